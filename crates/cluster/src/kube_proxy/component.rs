//! kube-proxy as it runs on every node of a cluster.
//!
//! All nodes' kube-proxies see the same writes at the same time, so what they know, and when they
//! sync, is kept once ([`Proxies`]). A node's rules are made from that when a packet walks there or
//! somebody looks ([`bring_up_to_date`]): nodes at rest cost nothing. Only where time matters in
//! between is a node synced at the moment itself: rules that hands have changed (a sync can fail),
//! and tracked UDP flows (a sync forgets some).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kubarium_linux::netfilter::ChainName;
use kubarium_linux::{Connect, Connection, NamespaceId, Network, Protocol, Trace, Upkeep};
use kubarium_objects::{ObjectKey, Text};

use super::address::Family;
use super::cache::{Caches, NftChainsCache};
use super::config::{Config, Mode};
use super::conntrack::StaleFlows;
use super::health;
use super::nftables::{Memory, NftSync};
use super::node::NodeInfo;
use super::service::NamespacedName;
use super::state::{ChangeTracker, State};
use super::sync::{Sync, SyncError, canary_is_gone, ensure_canary};
use crate::cluster::{Change, Cluster};
use crate::config::ProxyMode;
use crate::event::{Action, Component};
use crate::machine::Machine;
use crate::task::Task;
use crate::time::Time;

/// A full sync comes at the latest after this long (`FullSyncPeriod` of `pkg/proxy/util`).
const FULL_SYNC_PERIOD: Duration = Duration::from_secs(3600);
/// On clusters up to this size every node's sync is an event of its own.
const LOGGED_NODES: usize = 32;

/// What the kube-proxies of a cluster have in common.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Their configuration, or why none of them starts.
    config: Result<Arc<Config>, Text>,
    seen: ChangeTracker,
    caches: Caches,
    /// The states that were synced, oldest first. Of those that mean the same to any node only
    /// the last is kept.
    points: Vec<Point>,
    /// Whether a sync is due.
    pending: bool,
    /// Nodes on which somebody has changed rules since the last full sync.
    touched: BTreeSet<Text>,
    /// Nodes whose rules are made, and which may track UDP flows.
    walked: BTreeSet<Text>,
}

/// A sync of all nodes.
#[derive(Clone, Debug)]
struct Point {
    number: u64,
    at: Time,
    state: Arc<State>,
}

/// What one node's kube-proxy has done.
#[derive(Clone, Debug, Default)]
pub struct KubeProxy {
    /// `None` before its first sync.
    synced: Option<Synced>,
    /// Since when it does not run.
    stopped: bool,
    /// When a failed sync is tried again.
    retry_at: Option<Time>,
    /// What it remembers in the nftables mode, of each family.
    nft: [Memory; 2],
    /// Since when its syncs fail.
    failing_since: Option<Time>,
}

impl KubeProxy {
    /// What it has carried out, or tried to.
    pub(crate) fn state(&self) -> Option<&State> {
        self.synced.as_ref().map(|synced| &*synced.state)
    }

    /// Since when its syncs fail, if they do.
    pub(crate) fn failing_since(&self) -> Option<Time> {
        self.failing_since
    }
}

#[derive(Clone, Debug)]
struct Synced {
    /// The number of the point; later ones are still to be made.
    point: u64,
    state: Arc<State>,
    node: NodeInfo,
    last_full: Time,
    last_cleanup: Time,
    /// From when on the canary is looked at, every sync period.
    started: Time,
    /// Chains that no Service uses any more, and that are still there; `None` where that is not known.
    stale: Option<BTreeSet<ChainName>>,
}

impl Proxies {
    /// Those of a cluster of that configuration.
    pub fn new(config: &crate::config::Config) -> Proxies {
        Proxies {
            config: configured(config).map(Arc::new).map_err(Text::from),
            seen: ChangeTracker::default(),
            caches: Caches::default(),
            points: Vec::new(),
            pending: false,
            touched: BTreeSet::new(),
            walked: BTreeSet::new(),
        }
    }

    /// Their configuration.
    ///
    /// # Errors
    /// Why none of them starts.
    pub fn config(&self) -> Result<&Config, &str> {
        self.config.as_deref().map_err(|why| &**why)
    }

    fn last(&self) -> Option<&Point> {
        self.points.last()
    }

    /// Notes a sync. A point replaces the one before it, unless the cluster became large or ceased
    /// to be: then the same Service means other rules.
    fn push(&mut self, at: Time) {
        let state = self.seen.state().clone();
        let number = self.last().map_or(1, |last| last.number + 1);
        let alike = |last: &mut Point| last.state.is_large() == state.is_large();
        self.points.pop_if(alike);
        self.points.push(Point { number, at, state });
    }
}

/// The configuration of a cluster's kube-proxies: its flags, and its pod CIDR.
pub(crate) fn configured(cluster: &crate::config::Config) -> Result<Config, String> {
    let mut config = Config::default();
    let cidr = format!("--cluster-cidr={}", cluster.network.pod_cidr);
    config.apply_flags([&*cidr])?;
    config.mode = match cluster.kube_proxy.mode {
        ProxyMode::Iptables => Mode::Iptables,
        ProxyMode::Nftables => Mode::Nftables,
        ProxyMode::Ipvs => Mode::Ipvs,
    };
    config.apply_flags(cluster.kube_proxy.flags.iter().map(|flag| &**flag))?;
    config.service_cidrs = vec![cluster.network.service_cidr.into()];
    match config.mode {
        Mode::Iptables | Mode::Nftables => Ok(config),
        Mode::Ipvs => Err("mode ipvs is not simulated yet; iptables and nftables are".to_owned()),
    }
}

/// Takes a change into account.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    let seen = &mut cluster.proxies.seen;
    let key = &change.key;
    let name = || NamespacedName {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    let changed = match (&*key.resource, &change.new) {
        ("services", Some(service)) => seen.apply_service(service),
        ("services", None) => seen.delete_service(&name()),
        ("endpointslices.discovery.k8s.io", Some(slice)) => seen.apply_slice(slice),
        ("endpointslices.discovery.k8s.io", None) => seen.delete_slice(&name()),
        ("nodes", Some(_)) => change.old.is_some() && change.differs(&["metadata", "labels"]),
        _ => false,
    };
    if changed {
        schedule(cluster);
    }
}

/// Asks for a sync: at once, but not sooner after the last than the least period.
fn schedule(cluster: &mut Cluster) {
    let proxies = &mut cluster.proxies;
    let Ok(config) = &proxies.config else {
        return;
    };
    if std::mem::replace(&mut proxies.pending, true) {
        return;
    }
    let seen = cluster.now + Duration::from_millis(cluster.config.timing.watch_ms);
    let earliest = proxies
        .points
        .last()
        .map(|last| last.at + config.min_sync_period());
    let due = earliest.map_or(seen, |earliest| earliest.max(seen));
    cluster.enqueue(Task::KubeProxies, due - cluster.now);
}

/// All nodes sync.
pub(crate) fn run_all(cluster: &mut Cluster) {
    let proxies = &mut cluster.proxies;
    proxies.pending = false;
    let before = proxies.last().map(|last| last.state.clone());
    let changed = proxies
        .seen
        .state()
        .changed_since(&before.unwrap_or_default());
    proxies.push(cluster.now);
    let text = described(&changed);
    let names: Vec<Text> = cluster.machines.keys().cloned().collect();
    if names.len() <= LOGGED_NODES {
        for name in &names {
            log(cluster, name, &text);
        }
    } else if let Some(first) = names.first() {
        let text = format!("{text}; so do {} other nodes", names.len() - 1);
        log(cluster, first, &text);
    }
    let now = kubarium_linux::Time(cluster.now.0);
    for name in std::mem::take(&mut cluster.proxies.walked) {
        if tracks_udp(cluster, &name, now) {
            bring_up_to_date(cluster, &name);
        }
    }
    for name in cluster.proxies.touched.clone() {
        bring_up_to_date(cluster, &name);
    }
}

/// What a sync is about.
fn described(changed: &BTreeSet<NamespacedName>) -> String {
    const NAMED: usize = 3;
    if changed.is_empty() {
        return "syncs its rules".to_owned();
    }
    let names: Vec<String> = changed
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match changed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("syncs its rules: {}{more} changed", names.join(", "))
}

fn log(cluster: &mut Cluster, node: &Text, text: &str) {
    if !cluster
        .machines
        .get(node)
        .is_some_and(|m| m.kube_proxy.stopped)
    {
        let from = Component::KubeProxy(node.clone());
        cluster.log(&from, Action::Configure, None, text);
    }
}

fn tracks_udp(cluster: &Cluster, node: &str, now: kubarium_linux::Time) -> bool {
    let machine = cluster.machines.get(node);
    machine
        .and_then(|machine| cluster.net.namespace(machine.netns))
        .is_some_and(|ns| {
            let mut flows = ns.conntrack.iter(now);
            flows.any(|(_, entry)| entry.original.protocol == Protocol::UDP)
        })
}

/// One node's own work: a failed sync again, a look at the canary, a start.
pub(crate) fn run(cluster: &mut Cluster, node: &Text) {
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    let retry = machine
        .kube_proxy
        .retry_at
        .is_some_and(|at| at <= cluster.now);
    if retry || flushed(cluster, machine.netns) {
        make(cluster, node, true);
    }
}

/// Has someone flushed all rules? Only the iptables mode has a canary.
fn flushed(cluster: &Cluster, netns: NamespaceId) -> bool {
    let iptables = cluster
        .proxies
        .config
        .as_ref()
        .is_ok_and(|config| config.mode == Mode::Iptables);
    iptables
        && cluster
            .net
            .namespace(netns)
            .is_some_and(|ns| canary_is_gone(&ns.netfilter))
}

/// The kube-proxy of a node ends: its rules stay as they are.
pub(crate) fn stopped(cluster: &mut Cluster, node: &Text) {
    bring_up_to_date(cluster, node);
    if let Some(machine) = cluster.machine_mut(node) {
        machine.kube_proxy.stopped = true;
        let netns = machine.netns;
        health::close(&mut cluster.net, netns);
    }
}

/// The kube-proxy of a node starts again, with a full sync.
pub(crate) fn started(cluster: &mut Cluster, node: &Text) {
    if let Some(machine) = cluster.machine_mut(node) {
        machine.kube_proxy = KubeProxy::default();
    }
    make(cluster, node, true);
}

/// Makes a node's rules what its kube-proxy has made them by now. To be called before anything
/// reads or changes the rules or the tracked connections of a node.
pub fn bring_up_to_date(cluster: &mut Cluster, node: &str) {
    make(cluster, node, false);
    crate::network_policy::bring_up_to_date(cluster, node);
}

/// Whether a node's rules are not what they would be made by now.
fn is_behind(cluster: &Cluster, machine: &Machine) -> bool {
    let Some(last) = cluster.proxies.last() else {
        return false;
    };
    let synced = machine.kube_proxy.synced.as_ref();
    !machine.kube_proxy.stopped && synced.is_none_or(|synced| synced.point < last.number)
}

/// The same for every node.
pub fn bring_all_up_to_date(cluster: &mut Cluster) {
    let machines = cluster.machines.values();
    let behind = machines.filter(|machine| is_behind(cluster, machine));
    let names: Vec<Text> = behind.map(|machine| machine.name.clone()).collect();
    for name in names {
        bring_up_to_date(cluster, &name);
    }
    crate::network_policy::bring_all_up_to_date(cluster);
}

/// Brings the rules of the nodes up to date that a packet comes to, as it comes: the cluster, but for
/// its network, in which the packet walks.
struct OnTheWay<'a>(&'a mut Cluster);

impl Upkeep for OnTheWay<'_> {
    fn see_to(&mut self, net: &mut Network, namespace: NamespaceId) {
        let cluster = &mut *self.0;
        let name = net.namespace(namespace).map(|ns| ns.name.clone());
        let Some(machine) = name.as_ref().and_then(|name| cluster.machines.get(name)) else {
            return;
        };
        if machine.netns != namespace
            || !is_behind(cluster, machine) && !crate::network_policy::is_behind(cluster, machine)
        {
            return;
        }
        let name = machine.name.clone();
        std::mem::swap(&mut cluster.net, net);
        bring_up_to_date(cluster, &name);
        std::mem::swap(&mut cluster.net, net);
    }
}

/// Makes a connection in the cluster's network. The rules of the nodes that it comes to are brought
/// up to date as it comes.
pub(crate) fn connect(
    cluster: &mut Cluster,
    connect: &Connect,
    now: Time,
    trace: Option<&mut Trace>,
) -> Connection {
    let (mut net, mut rng) = (std::mem::take(&mut cluster.net), cluster.rng.clone());
    let now = kubarium_linux::Time(now.0);
    let connection = net.connect_with(connect, now, &mut rng, trace, &mut OnTheWay(cluster));
    (cluster.net, cluster.rng) = (net, rng);
    connection
}

/// Somebody has changed a node's rules: kube-proxy may notice, by its canary or by a sync that
/// fails.
pub fn rules_changed(cluster: &mut Cluster, node: &str) {
    let (Some(machine), Ok(config)) = (cluster.machines.get(node), &cluster.proxies.config) else {
        return;
    };
    let Some(synced) = &machine.kube_proxy.synced else {
        return;
    };
    let name = machine.name.clone();
    if flushed(cluster, machine.netns) {
        let period = config.sync_period().as_nanos().max(1);
        let past = (cluster.now - synced.started).as_nanos() % period;
        let left = u64::try_from(period - past).unwrap_or(u64::MAX);
        cluster.enqueue(Task::KubeProxy(name.clone()), Duration::from_nanos(left));
    }
    cluster.proxies.touched.insert(name);
}

/// Carries out on a node the syncs that are still to be made; with `full`, one more that writes
/// everything that is known now.
fn make(cluster: &mut Cluster, node: &str, full: bool) {
    let Ok(config) = cluster.proxies.config.clone() else {
        return;
    };
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    let mut proxy = machine.kube_proxy.clone();
    let (name, netns) = (machine.name.clone(), machine.netns);
    if proxy.stopped {
        return;
    }
    let done = proxy.synced.as_ref().map_or(0, |synced| synced.point);
    let mut points = cluster.proxies.points.clone();
    points.retain(|point| point.number > done);
    if full {
        let state = cluster.proxies.seen.state().clone();
        let number = cluster.proxies.last().map_or(0, |last| last.number);
        points = vec![Point {
            number,
            at: cluster.now,
            state,
        }];
    }
    if points.is_empty() {
        return;
    }
    let key = ObjectKey::new("nodes", "", name.clone());
    let Some(object) = cluster.etcd.get(&key) else {
        return;
    };
    let mut info = NodeInfo::from_object(object);
    info.interface_addresses = addresses(&cluster.net, netns);
    let touched = cluster.proxies.touched.contains(&name);
    for point in points {
        let sync = NodeSync {
            config: &config,
            info: &info,
            point: &point,
            full,
            touched,
        };
        let Some(result) = sync.run(
            &mut proxy,
            &mut cluster.net,
            netns,
            &mut cluster.proxies.caches,
        ) else {
            return;
        };
        if let Err(error) = result {
            let retry = point.at + config.sync_period();
            proxy.retry_at = Some(retry);
            log(cluster, &name, &format!("fails to sync its rules: {error}"));
            let task = Task::KubeProxy(name.clone());
            cluster.enqueue(task, retry - cluster.now);
        } else if full {
            cluster.proxies.touched.remove(&name);
            log(cluster, &name, "writes all its rules anew");
        }
    }
    cluster.proxies.walked.insert(name.clone());
    if let Some(machine) = cluster.machine_mut(&name) {
        machine.kube_proxy = proxy;
    }
}

/// Every address of a namespace's interfaces.
fn addresses(net: &Network, netns: NamespaceId) -> Vec<std::net::IpAddr> {
    let links = net.links_of(netns);
    let addresses = links.flat_map(|link| &link.addresses);
    addresses.map(|a| a.net.addr().into()).collect()
}

/// One sync on one node.
struct NodeSync<'a> {
    config: &'a Config,
    info: &'a NodeInfo,
    point: &'a Point,
    full: bool,
    /// Somebody else has changed rules.
    touched: bool,
}

impl NodeSync<'_> {
    /// Carries it out and notes it. `None`: the namespace is gone.
    fn run(
        &self,
        proxy: &mut KubeProxy,
        net: &mut Network,
        netns: NamespaceId,
        caches: &mut Caches,
    ) -> Option<Result<(), SyncError>> {
        let (at, state) = (self.point.at, &self.point.state);
        if proxy.synced.is_none() {
            self.start(net, netns)?;
        }
        let tables = &mut net.namespace_mut(netns)?.netfilter;
        let mut before = proxy.synced.take();
        let mut stale = before.as_mut().and_then(|before| before.stale.take());
        stale = stale.filter(|_| !self.touched);
        let partial = before.as_ref().filter(|before| {
            !self.full
                && proxy.retry_at.is_none_or(|retry| at < retry)
                && before.node.is_same_node(self.info)
                && at - before.last_full < FULL_SYNC_PERIOD
        });
        let last_cleanup = before.as_ref().map(|before| before.last_cleanup);
        let is_due = |last: Time| at - last > self.config.sync_period();
        let remove_stale = !state.is_large() || last_cleanup.is_none_or(is_due);
        let changed = partial.map(|before| state.changed_since(&before.state));
        let result = if self.config.mode == Mode::Nftables {
            self.nftables(
                tables,
                &mut proxy.nft,
                &mut caches.nftables,
                changed.as_ref(),
            )
        } else {
            let mut sync = Sync {
                config: self.config,
                node: self.info,
                state,
                cache: &mut caches.iptables,
                remove_stale,
            };
            let result = match (&changed, partial, &mut stale) {
                (Some(changed), Some(before), Some(stale)) => {
                    sync.partial_since(tables, changed, &before.state, stale)
                }
                (changed, ..) => {
                    // Who has looked for them all has left none.
                    stale = (remove_stale && (self.full || !self.touched)).then(BTreeSet::new);
                    match changed {
                        Some(changed) => sync.partial(tables, changed),
                        None => sync.full(tables),
                    }
                }
            };
            tables.share(&mut caches.written);
            result
        };
        let was_partial = partial.is_some();
        let last_full = before.as_ref().map_or(at, |before| before.last_full);
        proxy.synced = Some(Synced {
            point: self.point.number,
            state: state.clone(),
            node: self.info.clone(),
            last_full: if was_partial { last_full } else { at },
            last_cleanup: match last_cleanup {
                Some(last) if !remove_stale => last,
                _ => at,
            },
            started: before.map_or(at, |before| before.started),
            stale: stale.filter(|_| result.is_ok()),
        });
        if result.is_ok() {
            proxy.retry_at = None;
            proxy.failing_since = None;
            health::sync_services(state, net, netns);
            forget_stale_flows(state, net, netns, at);
        } else {
            proxy.failing_since.get_or_insert(at);
        }
        Some(result)
    }

    /// A sync in the nftables mode. The other family's table has no Services in it.
    fn nftables(
        &self,
        tables: &mut kubarium_linux::netfilter::Netfilter,
        [ipv4, ipv6]: &mut [Memory; 2],
        cache: &mut NftChainsCache,
        changed: Option<&BTreeSet<NamespacedName>>,
    ) -> Result<(), SyncError> {
        let nothing = State::new(Family::Ipv6);
        let each = [(&*self.point.state, ipv4), (&nothing, ipv6)];
        for (state, memory) in each {
            let mut sync = NftSync {
                config: self.config,
                node: self.info,
                state,
                cache,
                memory,
                at: self.point.at,
            };
            match changed {
                None => sync.full(tables)?,
                Some(changed) if state.family() == Family::Ipv4 => {
                    sync.partial(tables, changed)?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What kube-proxy does once, when it starts.
    fn start(&self, net: &mut Network, netns: NamespaceId) -> Option<()> {
        health::open(net, netns);
        if self.config.mode == Mode::Nftables {
            return Some(());
        }
        ensure_canary(&mut net.namespace_mut(netns)?.netfilter);
        if super::shared_chains::answers_on_localhost(self.config, self.info) {
            // The kernel knows this parameter; a failure would be the network's own.
            let _ = net.set_sysctl(netns, "net.ipv4.conf.all.route_localnet", "1");
        }
        Some(())
    }
}

/// Forgets the UDP flows that a sync forgets.
fn forget_stale_flows(state: &State, net: &mut Network, netns: NamespaceId, at: Time) {
    let now = kubarium_linux::Time(at.0);
    let Some(namespace) = net.namespace_mut(netns) else {
        return;
    };
    let is_udp = |(_, entry): (u64, &kubarium_linux::conntrack::Entry)| {
        entry.original.protocol == Protocol::UDP
    };
    if !namespace.conntrack.iter(now).any(is_udp) {
        return;
    }
    let stale = StaleFlows::new(state);
    Arc::make_mut(&mut namespace.conntrack).delete(now, |entry| {
        let (original, reply) = (entry.original, entry.reply);
        original.protocol == Protocol::UDP
            && stale.is_stale(
                (original.dst.into(), original.dport),
                (reply.src.into(), reply.sport),
            )
    });
}
