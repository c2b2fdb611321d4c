//! Tracing: one real connection (it leaves its counters and tracked entries behind), noted hop by
//! hop.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::{Connect, Connection, NamespaceId, Payload};
use kubarium_objects::ObjectKey;

use super::names::Names;
use super::{Phase, PhaseKind, Server, Trace, Tracked, Verdict};
use crate::cluster::Cluster;
use crate::dns::{self, Answer, Code, Data, Type};
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
    place: Place,
}

enum Place {
    /// A node, or the host outside, by its name.
    Node(String),
    Pod(ObjectKey),
}

/// A connection that was made: what was noted on its way is put into words when somebody reads it.
#[derive(Clone, Debug)]
pub struct Explained {
    request: TraceRequest,
    /// The last query of the name's resolution that mattered.
    query: Option<Query>,
    /// `None` where the name has no address.
    made: Option<Made>,
}

#[derive(Clone, Debug)]
struct Query {
    server: SocketAddrV4,
    connection: Connection,
    way: kubarium_linux::Trace,
    said: Said,
}

/// What came of a query.
#[derive(Clone, Debug)]
enum Said {
    Nothing,
    Address(String, Ipv4Addr),
    Code(String, Code),
}

#[derive(Clone, Debug)]
struct Made {
    target: SocketAddrV4,
    connection: Connection,
    way: kubarium_linux::Trace,
}

impl Explained {
    /// What became of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.made.as_ref().map_or(Verdict::Unresolved, |made| {
            verdict(&made.connection, &made.way)
        })
    }

    /// Who answered.
    #[must_use]
    pub fn server(&self, cluster: &Cluster) -> Option<Server> {
        cluster.server_of(&self.made.as_ref()?.connection)
    }

    /// How many hops were noted.
    #[must_use]
    pub fn hops(&self) -> usize {
        let query = self.query.as_ref().map_or(0, |query| query.way.len());
        query + self.made.as_ref().map_or(0, |made| made.way.len())
    }

    /// The whole way in words. `cluster`: the one it was made in, not changed since.
    #[must_use]
    pub fn in_words(&self, cluster: &Cluster) -> Trace {
        let mut trace = Trace {
            from: self.request.from.clone(),
            to: self.request.to.clone(),
            protocol: if self.request.udp { "UDP" } else { "TCP" }.to_owned(),
            verdict: self.verdict(),
            ..Trace::default()
        };
        let mut number = 0;
        if let Some(query) = &self.query {
            let phase = query.phase(cluster, &mut number);
            trace.phases.push(phase);
        }
        let Some(made) = &self.made else {
            trace.reason = self.unresolved(cluster);
            return trace;
        };
        let names = Names::of(cluster, &made.way, *made.target.ip());
        for (kind, phase) in [
            (PhaseKind::Request, kubarium_linux::Phase::Request),
            (PhaseKind::Reply, kubarium_linux::Phase::Reply),
        ] {
            let of_phase = made.way.phases().enumerate().filter(|(_, p)| *p == phase);
            let hops = of_phase.filter_map(|(at, _)| made.way.hop(&cluster.net, at));
            let hops: Vec<_> = hops.map(|hop| names.hop(hop, &mut number)).collect();
            if !hops.is_empty() {
                trace.phases.push(Phase { phase: kind, hops });
            }
        }
        let end = ended(cluster, &made.way);
        trace.reason = reason(&made.connection, end.as_ref(), made.target, &names);
        let refused = end.filter(|_| trace.verdict != Verdict::Delivered);
        if let Some(why) = refused.and_then(|hop| network_policy::refusal(cluster, &hop)) {
            trace.reason = why;
        }
        trace.server = cluster.server_of(&made.connection);
        trace.conntrack = cluster.tracked(made);
        trace
    }

    /// Why the name has no address.
    fn unresolved(&self, cluster: &Cluster) -> String {
        let Ok((host, _)) = target(&self.request.to) else {
            return String::new();
        };
        let Some(query) = &self.query else {
            return format!("the name {host} has no address");
        };
        match &query.said {
            Said::Nothing => {
                let names = Names::of(cluster, &query.way, *query.server.ip());
                let end = ended(cluster, &query.way);
                format!(
                    "the DNS server {} does not answer: {}",
                    query.server.ip(),
                    reason(&query.connection, end.as_ref(), query.server, &names)
                )
            }
            said => format!("the name {host} has no address ({})", said.text()),
        }
    }
}

impl Said {
    fn text(&self) -> String {
        match self {
            Said::Nothing => String::new(),
            Said::Address(name, address) => format!("{name} is {address}"),
            Said::Code(name, code) => format!("{name}: {}", code.name()),
        }
    }
}

impl Query {
    fn phase(&self, cluster: &Cluster, number: &mut usize) -> Phase {
        let names = Names::of(cluster, &self.way, *self.server.ip());
        let hops = self.way.hops(&cluster.net).into_iter();
        let mut hops: Vec<_> = hops.map(|hop| names.hop(hop, number)).collect();
        let said = self.said.text();
        let delivered = hops.iter_mut().find(|h| h.action == "deliver");
        if let Some(hop) = delivered.filter(|_| !said.is_empty()) {
            hop.explanation = format!("{} CoreDNS answers: {said}.", hop.explanation);
            hop.packet.payload = said;
        }
        Phase {
            phase: PhaseKind::Dns,
            hops,
        }
    }
}

/// The last hop at which a packet's way was over, in words.
fn ended(cluster: &Cluster, way: &kubarium_linux::Trace) -> Option<kubarium_linux::Hop> {
    way.hop(&cluster.net, way.end()?)
}

impl Cluster {
    /// Makes one connection and tells its whole way.
    ///
    /// # Errors
    /// A sentence: there is no such pod or node, or the target cannot be read.
    pub fn trace(&mut self, request: &TraceRequest) -> Result<Trace, String> {
        let explained = self.explain(request)?;
        Ok(explained.in_words(self))
    }

    /// Makes one connection and notes its whole way.
    ///
    /// # Errors
    /// As of [`Cluster::trace`].
    pub fn explain(&mut self, request: &TraceRequest) -> Result<Explained, String> {
        let start = self.start_of(&request.from)?;
        let (host, port) = target(&request.to)?;
        let text = format!("{} connects to {}", request.from, request.to);
        self.log(&Component::Network, Action::Connect, None, text);
        let mut explained = Explained {
            request: request.clone(),
            query: None,
            made: None,
        };
        let address = match host.parse() {
            Ok(address) => Some(address),
            Err(_) => self.resolve_traced(&start, host, &mut explained.query),
        };
        explained.made = address.map(|address| {
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
            let (connection, way) = self.connect_traced(&connect);
            Made {
                target,
                connection,
                way,
            }
        });
        Ok(explained)
    }

    /// Looks a name up in DNS from a place as [`TraceRequest::from`] has it, through the network and
    /// with its search list.
    ///
    /// # Errors
    /// A sentence: there is no such pod or node, or no such type of record.
    pub fn lookup(&mut self, from: &str, name: &str, kind: &str) -> Result<Lookup, String> {
        let start = self.start_of(from)?;
        let kind = Type::parse(kind).ok_or_else(|| format!("{kind:?} is no type of record"))?;
        let settings = Settings::read(&self.view_at(&start));
        let server = settings.servers.first().copied();
        let target = SocketAddrV4::new(server.unwrap_or(Ipv4Addr::LOCALHOST), 53);
        let mut found = Lookup::default();
        for candidate in settings.candidates(name) {
            let (connection, way, answer) =
                self.query_traced(start.netns, target, &candidate, kind);
            let Some(answer) = answer else {
                let names = Names::of(self, &way, *target.ip());
                let end = ended(self, &way);
                let why = reason(&connection, end.as_ref(), target, &names);
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

    /// The same, with a capture file (pcapng) of all packets that it makes, at every device on their way.
    ///
    /// # Errors
    /// As [`Cluster::trace`].
    pub fn trace_captured(&mut self, request: &TraceRequest) -> Result<(Trace, Vec<u8>), String> {
        let socket = self.net.capture(kubarium_linux::capture::Place::Everywhere);
        let traced = self.trace(request);
        let (packets, _) = self.net.captured(socket);
        self.net.end_capture(socket);
        let epoch = crate::runtime::process::unix(crate::time::Time::default());
        let file = kubarium_linux::capture::pcapng(&self.net, &packets, epoch);
        Ok((traced?, file))
    }

    fn start_of(&self, from: &str) -> Result<Start, String> {
        if from == "outside" {
            let netns = self
                .ground
                .outside
                .ok_or("there is no host outside: the cluster has no machine")?;
            let place = Place::Node("outside".to_owned());
            return Ok(Start { netns, place });
        }
        if let Some(name) = from.strip_prefix("node/") {
            let netns = self
                .node_netns(name)
                .ok_or_else(|| format!("there is no node {name:?}"))?;
            let place = Place::Node(name.to_owned());
            return Ok(Start { netns, place });
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
        let (_, sandbox) = self.sandbox_of(&key).ok_or_else(|| {
            format!(
                "pod {name:?} has no network: it is {}",
                object["status"]["phase"].str()
            )
        })?;
        if self.net.namespace(sandbox.netns).is_none() {
            return Err(format!(
                "pod {name:?} has no network any more: it is {}",
                object["status"]["phase"].str()
            ));
        }
        let netns = sandbox.netns;
        let place = Place::Pod(key);
        Ok(Start { netns, place })
    }

    /// The files that who starts there sees.
    fn view_at(&self, start: &Start) -> View {
        match &start.place {
            Place::Node(name) => files::node_view(self, name),
            Place::Pod(key) => {
                let (object, place) = (self.etcd.get(key), self.sandbox_of(key));
                let Some((object, (node, sandbox))) = object.zip(place) else {
                    return View::default();
                };
                let first = object["spec"]["initContainers"].items().len();
                files::view(self, node, sandbox, object, first)
            }
        }
    }

    fn connect_traced(&mut self, connect: &Connect) -> (Connection, kubarium_linux::Trace) {
        let mut way = kubarium_linux::Trace::new();
        let connection = kube_proxy::connect(self, connect, self.now, Some(&mut way));
        (connection, way)
    }

    /// One query to a DNS server.
    fn query_traced(
        &mut self,
        netns: NamespaceId,
        server: SocketAddrV4,
        name: &str,
        kind: Type,
    ) -> (Connection, kubarium_linux::Trace, Option<Answer>) {
        let now = self.now;
        let id = dns::wire::id(name, kind, now);
        let message = Payload::from(dns::wire::query(id, name, kind, false));
        let connect = Connect {
            timeout: patience(),
            request: message.length,
            data: message.data.clone(),
            waits: true,
            ..Connect::udp(netns, server)
        };
        let (mut connection, mut way) = self.connect_traced(&connect);
        let token = connection.server.map(|(_, token)| token);
        let mut answer = token.and_then(|token| dns::ask(self, token, name, kind, now));
        if let Some(conversation) = connection.conversation.take() {
            let said = answer.as_ref().map_or(message, |answer| {
                Payload::from(answer.message(id, name, kind, false))
            });
            let (rng, trace) = (&mut self.rng, Some(&mut way));
            connection = self.net.go_on(*conversation, None, said, rng, trace);
        }
        if connection.verdict != kubarium_linux::Verdict::Connected {
            answer = None;
        }
        (connection, way, answer)
    }

    /// Looks a name up as the resolver does; the last query that mattered is kept.
    fn resolve_traced(
        &mut self,
        start: &Start,
        host: &str,
        query: &mut Option<Query>,
    ) -> Option<Ipv4Addr> {
        let view = self.view_at(start);
        if let Some(found) = from_hosts(&view, host) {
            return found.first().copied();
        }
        let settings = Settings::read(&view);
        let server = settings.servers.first().copied();
        let server = SocketAddrV4::new(server.unwrap_or(Ipv4Addr::LOCALHOST), 53);
        for name in settings.candidates(host) {
            let (connection, way, answer) = self.query_traced(start.netns, server, &name, Type::A);
            let found = answer.map(|answer| {
                let address = answer.answers.iter().find_map(|r| match r.data {
                    Data::A(address) => Some(address),
                    _ => None,
                });
                (answer.code, address)
            });
            let said = match found {
                None => Said::Nothing,
                Some((Code::NoError, Some(address))) => Said::Address(name, address),
                Some((code, _)) => Said::Code(name, code),
            };
            let over = match &said {
                Said::Nothing => Some(None),
                Said::Address(_, address) => Some(Some(*address)),
                Said::Code(..) => None,
            };
            *query = Some(Query {
                server,
                connection,
                way,
                said,
            });
            if let Some(address) = over {
                return address;
            }
        }
        None
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

    /// The entries that the connection has left, by namespace in the order of the way.
    fn tracked(&self, made: &Made) -> Vec<Tracked> {
        let Some(local) = made.connection.local else {
            return Vec::new();
        };
        let now = kubarium_linux::Time(self.now.0);
        let mut ports = vec![local.port()];
        ports.extend(made.connection.seen_source.map(|s| s.port()));
        let mut entered: Vec<(NamespaceId, kubarium_linux::conntrack::Tuple)> = Vec::new();
        for entry in made.way.tracked() {
            if !entered.contains(&entry) {
                entered.push(entry);
            }
        }
        let mut found = Vec::new();
        for (namespace, tuple) in entered {
            let Some(namespace) = self.net.namespace(namespace) else {
                continue;
            };
            let entry = namespace.conntrack.find(tuple, now);
            let Some(entry) = entry.and_then(|(id, _)| namespace.conntrack.get(id)) else {
                continue;
            };
            let ours = ports.contains(&entry.original.sport)
                && (entry.original.src == *local.ip()
                    || entry.original.dst == *made.target.ip()
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
        found
    }
}

fn patience() -> kubarium_linux::Time {
    kubarium_linux::Time(u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX))
}

/// `http://web:80/x`, `web`, `10.43.0.1:443`: the host and the port.
fn target(to: &str) -> Result<(&str, u16), String> {
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
    Ok((host, port))
}

fn verdict(connection: &Connection, way: &kubarium_linux::Trace) -> Verdict {
    use kubarium_linux::Verdict as Linux;
    match connection.verdict {
        Linux::Connected => Verdict::Delivered,
        Linux::Stalled => Verdict::Timeout,
        Linux::Refused => Verdict::Refused,
        Linux::Unreachable => Verdict::Unreachable,
        Linux::Denied => Verdict::Dropped,
        Linux::Timeout => match way.end() {
            Some(at) if way.is_netfilter(at) => Verdict::Dropped,
            _ => Verdict::Timeout,
        },
    }
}

/// Why a connection ended as it did; `end`: the last hop at which a packet's way was over.
fn reason(
    connection: &Connection,
    end: Option<&kubarium_linux::Hop>,
    target: SocketAddrV4,
    names: &Names,
) -> String {
    use kubarium_linux::Verdict as Linux;
    let at = || end.map(|hop| format!("{} ({})", hop.explanation, hop.namespace_name));
    let otherwise = match connection.verdict {
        Linux::Connected => {
            let server = connection.server_address.map_or(*target.ip(), |a| *a.ip());
            return format!("{} answers", names.who(server));
        }
        Linux::Stalled => {
            return "connected, but large packets never arrive: an MTU on the way is too small"
                .to_owned();
        }
        Linux::Refused => format!("{target} refuses the connection"),
        Linux::Unreachable => format!("there is no way to {target}"),
        Linux::Denied => "the sender's own rules do not let it out".to_owned(),
        Linux::Timeout => format!("no answer from {target}"),
    };
    at().unwrap_or(otherwise)
}
