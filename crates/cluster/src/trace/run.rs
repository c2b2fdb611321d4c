//! Tracing: one real connection (it leaves its counters and tracked entries behind), noted hop by
//! hop.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::{Connect, Connection, NamespaceId};
use kubarium_objects::ObjectKey;

use super::names::Names;
use super::{Phase, PhaseKind, Server, Trace, Tracked, Verdict};
use crate::cluster::Cluster;
use crate::dns::{self, Code, Data, Type};
use crate::event::{Action, Component};
use crate::kube_proxy;
use crate::machine::daemon;
use crate::network_policy;
use crate::programs::resolve::{Settings, from_hosts};
use crate::runtime::files::{self, View};

/// How long a traced connection waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is to be traced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceRequest {
    /// `pod/NAME[.NAMESPACE]`, `node/NAME` or `outside`.
    pub from: String,
    /// A host name, an address or a URL, with or without a port.
    pub to: String,
    /// A datagram instead of a connection.
    pub udp: bool,
}

/// What a DNS server answers to whoever asks from a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The full name that was answered last: `web.default.svc.cluster.local`.
    pub name: String,
    /// `NOERROR`, `NXDOMAIN`, …; empty where nobody answered.
    pub code: String,
    /// The answer's records of the type that was asked for, as zone files have their values.
    pub values: Vec<String>,
    /// Why nobody answered.
    pub reason: String,
}

/// Where a trace begins.
struct Start {
    netns: NamespaceId,
    view: View,
}

impl Cluster {
    /// Makes one connection and tells its whole way.
    ///
    /// # Errors
    /// A sentence: there is no such pod or node, or the target cannot be read.
    pub fn trace(&mut self, request: &TraceRequest) -> Result<Trace, String> {
        let start = self.start_of(&request.from)?;
        let (host, port) = target(&request.to)?;
        let mut trace = Trace {
            from: request.from.clone(),
            to: request.to.clone(),
            protocol: if request.udp { "UDP" } else { "TCP" }.to_owned(),
            ..Trace::default()
        };
        let text = format!("{} connects to {}", request.from, request.to);
        self.log(&Component::Network, Action::Connect, None, text);
        let mut number = 0;
        let address = match host.parse() {
            Ok(address) => Some(address),
            Err(_) => self.resolve_traced(&start, &host, &mut trace, &mut number),
        };
        let Some(address) = address else {
            trace.verdict = Verdict::Unresolved;
            return Ok(trace);
        };
        let target = SocketAddrV4::new(address, port);
        let base = if request.udp {
            Connect::udp(start.netns, target)
        } else {
            Connect::tcp(start.netns, target)
        };
        let connect = Connect {
            timeout: patience(),
            ..base
        };
        let (connection, hops) = self.connect_traced(&connect);
        let names = Names::of(self, &hops, address);
        let dropped = hops.iter().rev().find(|h| h.dropped).cloned();
        for (kind, phase) in [
            (PhaseKind::Request, kubarium_linux::Phase::Request),
            (PhaseKind::Reply, kubarium_linux::Phase::Reply),
        ] {
            let hops: Vec<_> = hops
                .iter()
                .filter(|h| h.phase == phase)
                .map(|h| names.hop(self, h, &mut number))
                .collect();
            if !hops.is_empty() {
                trace.phases.push(Phase { phase: kind, hops });
            }
        }
        (trace.verdict, trace.reason) = judge(&connection, dropped.as_ref(), target, &names);
        let refused = dropped.filter(|_| trace.verdict != Verdict::Delivered);
        if let Some(why) = refused.and_then(|hop| network_policy::refusal(self, &hop)) {
            trace.reason = why;
        }
        trace.server = self.server_of(&connection);
        trace.conntrack = self.tracked(&connection, &hops, target);
        Ok(trace)
    }

    /// Looks a name up in DNS from a place as [`TraceRequest::from`] has it, through the network and
    /// with its search list.
    ///
    /// # Errors
    /// A sentence: there is no such pod or node, or no such type of record.
    pub fn lookup(&mut self, from: &str, name: &str, kind: &str) -> Result<Lookup, String> {
        let start = self.start_of(from)?;
        let kind = Type::parse(kind).ok_or_else(|| format!("{kind:?} is no type of record"))?;
        let settings = Settings::read(&start.view);
        let server = settings.servers.first().copied();
        let target = SocketAddrV4::new(server.unwrap_or(Ipv4Addr::LOCALHOST), 53);
        let mut found = Lookup::default();
        for candidate in settings.candidates(name) {
            let connect = Connect {
                timeout: patience(),
                ..Connect::udp(start.netns, target)
            };
            let (connection, hops) = self.connect_traced(&connect);
            let now = self.now;
            let answer = connection
                .server
                .and_then(|(_, token)| dns::ask(self, token, &candidate, kind, now));
            let Some(answer) = answer else {
                let names = Names::of(self, &hops, *target.ip());
                let dropped = hops.iter().rev().find(|h| h.dropped);
                let why = judge(&connection, dropped, target, &names).1;
                found.reason = format!("the DNS server {} does not answer: {why}", target.ip());
                break;
            };
            let values = answer.answers.iter().filter(|r| r.kind() == kind);
            found = Lookup {
                name: candidate,
                code: answer.code.name().to_owned(),
                values: values.map(dns::Record::value).collect(),
                reason: String::new(),
            };
            if !found.values.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn start_of(&self, from: &str) -> Result<Start, String> {
        if from == "outside" {
            let netns = self
                .ground
                .outside
                .ok_or("there is no host outside: the cluster has no machine")?;
            return Ok(Start {
                netns,
                view: files::node_view(self, "outside"),
            });
        }
        if let Some(name) = from.strip_prefix("node/") {
            let netns = self
                .node_netns(name)
                .ok_or_else(|| format!("there is no node {name:?}"))?;
            return Ok(Start {
                netns,
                view: files::node_view(self, name),
            });
        }
        let Some(name) = from.strip_prefix("pod/") else {
            return Err(format!(
                "{from:?} is no start: it is pod/NAME[.NAMESPACE], node/NAME or outside"
            ));
        };
        // A pod's name may have dots: the namespace is behind the last one, if there is such a pod.
        let split = name
            .rsplit_once('.')
            .map(|(pod, namespace)| ObjectKey::new("pods", namespace, pod));
        let whole = ObjectKey::new("pods", "default", name);
        let key = split
            .filter(|key| self.etcd.get(key).is_some())
            .unwrap_or(whole);
        let object = self
            .etcd
            .get(&key)
            .ok_or_else(|| format!("there is no pod {name:?}"))?;
        let (node, sandbox) = self.sandbox_of(&key).ok_or_else(|| {
            format!(
                "pod {name:?} has no network: it is {}",
                object["status"]["phase"].str()
            )
        })?;
        let first = object["spec"]["initContainers"].items().len();
        if self.net.namespace(sandbox.netns).is_none() {
            return Err(format!(
                "pod {name:?} has no network any more: it is {}",
                object["status"]["phase"].str()
            ));
        }
        Ok(Start {
            netns: sandbox.netns,
            view: files::view(self, node, sandbox, object, first),
        })
    }

    fn connect_traced(&mut self, connect: &Connect) -> (Connection, Vec<kubarium_linux::Hop>) {
        kube_proxy::bring_all_up_to_date(self);
        let mut raw = kubarium_linux::Trace::new();
        let now = kubarium_linux::Time(self.now.0);
        let connection = self
            .net
            .connect(connect, now, &mut self.rng, Some(&mut raw));
        let hops = raw.hops(&self.net);
        (connection, hops)
    }

    /// Looks a name up as the resolver does; the last query that mattered becomes a phase.
    fn resolve_traced(
        &mut self,
        start: &Start,
        host: &str,
        trace: &mut Trace,
        number: &mut usize,
    ) -> Option<Ipv4Addr> {
        if let Some(found) = from_hosts(&start.view, host) {
            return found.first().copied();
        }
        let settings = Settings::read(&start.view);
        let server = settings
            .servers
            .first()
            .copied()
            .unwrap_or(Ipv4Addr::LOCALHOST);
        let target = SocketAddrV4::new(server, 53);
        let mut why = format!("the name {host} has no address");
        let mut last = Vec::new();
        for name in settings.candidates(host) {
            let connect = Connect {
                timeout: patience(),
                ..Connect::udp(start.netns, target)
            };
            let (connection, hops) = self.connect_traced(&connect);
            let token = connection.server.map(|(_, token)| token);
            let now = self.now;
            let answer = token.and_then(|token| dns::ask(self, token, &name, Type::A, now));
            let names = Names::of(self, &hops, server);
            let Some(answer) = answer else {
                let dropped = hops.iter().rev().find(|h| h.dropped).cloned();
                why = format!(
                    "the DNS server {server} does not answer: {}",
                    judge(&connection, dropped.as_ref(), target, &names).1
                );
                last = vec![(hops, names, String::new())];
                break;
            };
            let address = answer.answers.iter().find_map(|r| match r.data {
                Data::A(address) => Some(address),
                _ => None,
            });
            let said = match (answer.code, address) {
                (Code::NoError, Some(address)) => format!("{name} is {address}"),
                (code, _) => format!("{name}: {}", code.name()),
            };
            why = format!("the name {host} has no address ({said})");
            last = vec![(hops, names, said)];
            if let Some(address) = address.filter(|_| answer.code == Code::NoError) {
                self.push_dns(trace, last, number);
                return Some(address);
            }
        }
        self.push_dns(trace, last, number);
        trace.reason = why;
        None
    }

    fn push_dns(
        &self,
        trace: &mut Trace,
        queries: Vec<(Vec<kubarium_linux::Hop>, Names, String)>,
        number: &mut usize,
    ) {
        for (hops, names, said) in queries {
            let mut hops: Vec<_> = hops.iter().map(|h| names.hop(self, h, number)).collect();
            let delivered = hops.iter_mut().find(|h| h.action == "deliver");
            if let Some(hop) = delivered.filter(|_| !said.is_empty()) {
                hop.explanation = format!("{} CoreDNS answers: {said}.", hop.explanation);
                hop.packet.payload = said;
            }
            trace.phases.push(Phase {
                phase: PhaseKind::Dns,
                hops,
            });
        }
    }

    fn server_of(&self, connection: &Connection) -> Option<Server> {
        let (netns, token) = connection.server?;
        let sees_source = connection.seen_source?.ip().to_string();
        if let Some((_, sandbox, at)) = self.container_of(token) {
            let container = sandbox
                .containers
                .get(at)
                .map_or_else(String::new, |c| c.name.to_string());
            return Some(Server {
                pod: format!("{}/{}", sandbox.pod.namespace, sandbox.pod.name),
                container,
                sees_source,
            });
        }
        let machine = self
            .net
            .namespace(netns)
            .map_or_else(String::new, |ns| ns.name.to_string());
        let container = match token {
            daemon::API_SERVER => "kube-apiserver",
            daemon::KUBELET | daemon::KUBELET_HEALTH => "kubelet",
            daemon::KUBE_PROXY => "kube-proxy",
            token if daemon::service_health_port(token).is_some() => "kube-proxy",
            daemon::REGISTRY => "registry",
            _ => "",
        };
        Some(Server {
            pod: machine,
            container: container.to_owned(),
            sees_source,
        })
    }

    /// The entries that the connection has left.
    fn tracked(
        &self,
        connection: &Connection,
        hops: &[kubarium_linux::Hop],
        target: SocketAddrV4,
    ) -> Vec<Tracked> {
        let Some(local) = connection.local else {
            return Vec::new();
        };
        let now = kubarium_linux::Time(self.now.0);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut ports = BTreeSet::from([local.port()]);
        ports.extend(connection.seen_source.map(|s| s.port()));
        for hop in hops.iter().filter(|h| seen.insert(h.namespace)) {
            let Some(namespace) = self.net.namespace(hop.namespace) else {
                continue;
            };
            for (_, entry) in namespace.conntrack.iter(now) {
                let ours = ports.contains(&entry.original.sport)
                    && (entry.original.src == *local.ip()
                        || entry.original.dst == *target.ip()
                        || ports.contains(&entry.reply.dport));
                if !ours {
                    continue;
                }
                let way = |t: &kubarium_linux::conntrack::Tuple| {
                    format!("{}:{} -> {}:{}", t.src, t.sport, t.dst, t.dport)
                };
                let state = match (entry.tcp, entry.assured, entry.seen_reply) {
                    (Some(state), ..) => state.name(),
                    (None, true, _) => "ASSURED",
                    (None, false, true) => "REPLIED",
                    (None, false, false) => "UNREPLIED",
                };
                found.push(Tracked {
                    node: namespace.name.to_string(),
                    original: way(&entry.original),
                    reply: way(&entry.reply),
                    state: state.to_owned(),
                });
            }
        }
        found
    }
}

fn patience() -> kubarium_linux::Time {
    kubarium_linux::Time(u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX))
}

/// `http://web:80/x`, `web`, `10.43.0.1:443`: the host and the port.
fn target(to: &str) -> Result<(String, u16), String> {
    let (scheme, rest) = to.split_once("://").unwrap_or(("http", to));
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        "dns" => 53,
        _ => {
            return Err(format!(
                "{to:?}: the scheme {scheme:?} is not known; use http:// or https://"
            ));
        }
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse()
                .map_err(|_| format!("{to:?}: {port:?} is no port"))?,
        ),
        None => (authority, default),
    };
    if host.is_empty() || host.len() > 253 {
        return Err(format!("{to:?} names no host"));
    }
    Ok((host.to_owned(), port))
}

fn judge(
    connection: &Connection,
    dropped: Option<&kubarium_linux::Hop>,
    target: SocketAddrV4,
    names: &Names,
) -> (Verdict, String) {
    use kubarium_linux::Verdict as Linux;
    let at = dropped.map(|hop| format!("{} ({})", hop.explanation, hop.namespace_name));
    match connection.verdict {
        Linux::Connected => (
            Verdict::Delivered,
            format!(
                "{} answers",
                names.who(connection.server_address.map_or(*target.ip(), |a| *a.ip()))
            ),
        ),
        Linux::Stalled => (
            Verdict::Timeout,
            "connected, but large packets never arrive: an MTU on the way is too small".to_owned(),
        ),
        Linux::Refused => (
            Verdict::Refused,
            at.unwrap_or_else(|| format!("{target} refuses the connection")),
        ),
        Linux::Unreachable => (
            Verdict::Unreachable,
            at.unwrap_or_else(|| format!("there is no way to {target}")),
        ),
        Linux::Denied => (
            Verdict::Dropped,
            at.unwrap_or_else(|| "the sender's own rules do not let it out".to_owned()),
        ),
        Linux::Timeout => match dropped {
            Some(hop) if hop.layer == kubarium_linux::Layer::Netfilter => {
                (Verdict::Dropped, at.unwrap_or_default())
            }
            _ => (
                Verdict::Timeout,
                at.unwrap_or_else(|| format!("no answer from {target}")),
            ),
        },
    }
}
