//! The programs that containers and nodes run beside the shell's own: clients, servers, tools of the
//! network. Each is a small state machine that goes on when its time has come.

mod crictl;
pub(crate) mod curl;
pub(crate) mod dial;
pub(crate) mod http;
pub mod ingress;
mod kubelet;
mod lookup;
pub(crate) mod monitor;
mod mtr;
mod nc;
mod netns;
mod ping;
pub(crate) mod resolve;
mod serve;
mod tcpdump;
mod wget;

pub use serve::Serve;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::NamespaceId;
use kubarium_linux::tools::monitor::Monitor;
use kubarium_linux::tools::{Output, Rights};
use kubarium_objects::{Text, Value};
use kubarium_posix::{Command, Found, Stream};

use crate::cluster::Cluster;
use crate::images::{Image, Tools};
use crate::kube_proxy;
use crate::kubelet::containers;
use crate::runtime::files::View;
use crate::runtime::process::{base_name, is_shell};
use crate::runtime::user;
use crate::time::Time;
use serve::Lookup;

/// Where a program runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The node; `outside` for the host outside.
    pub node: Text,
    /// The pod's uid and the container's place in it; `None` on a machine itself.
    pub pod: Option<(Text, usize)>,
    pub netns: NamespaceId,
    pub hostname: String,
    pub tools: Tools,
    pub image: Option<&'static Image>,
    /// What its listening sockets are called by.
    pub token: u64,
}

/// What a program works with.
pub(crate) struct Io<'a> {
    pub cluster: &'a mut Cluster,
    pub place: &'a Place,
    pub files: &'a mut View,
    pub now: Time,
    pub output: &'a mut Vec<(Stream, Vec<u8>)>,
}

impl Io<'_> {
    pub fn out(&mut self, text: impl AsRef<[u8]>) {
        self.output.push((Stream::Out, text.as_ref().to_vec()));
    }

    pub fn err(&mut self, text: impl AsRef<[u8]>) {
        self.output.push((Stream::Err, text.as_ref().to_vec()));
    }
}

/// How far a program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Exit(i32),
    /// Nothing before then; `None`: for ever.
    Wait(Option<Time>),
}

/// A program that was begun.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    Curl(Box<curl::Curl>),
    Wget(Box<wget::Wget>),
    Lookup(Box<lookup::Lookup>),
    Ping(Box<ping::Ping>),
    Traceroute(Box<ping::Traceroute>),
    Mtr(Box<mtr::Mtr>),
    Nc(Box<nc::Nc>),
    Serve(Serve),
    Tcpdump(Box<tcpdump::Capture>),
    /// `conntrack -E`, `ip monitor`
    Monitor(Box<Monitor>),
    /// A tool of iproute2 and its like, run at once on the machine's network.
    Net(Vec<String>),
    /// A program in another network namespace: `ip netns exec`.
    Within(NamespaceId, Box<Program>),
    /// Says something and ends.
    Say {
        out: String,
        err: String,
        status: i32,
    },
}

impl Program {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        match self {
            Program::Curl(curl) => curl.step(io),
            Program::Wget(wget) => wget.step(io),
            Program::Lookup(lookup) => lookup.step(io),
            Program::Ping(ping) => ping.step(io),
            Program::Traceroute(trace) => trace.step(io),
            Program::Mtr(mtr) => mtr.step(io),
            Program::Nc(nc) => nc.step(io),
            Program::Serve(serve) => serve.step(io),
            Program::Tcpdump(capture) => capture.step(io),
            Program::Monitor(monitor) => monitor::step(monitor, io),
            Program::Net(argv) => net(io, argv),
            Program::Within(netns, program) => {
                let place = Place {
                    netns: *netns,
                    ..io.place.clone()
                };
                program.step(&mut Io {
                    cluster: io.cluster,
                    place: &place,
                    files: io.files,
                    now: io.now,
                    output: io.output,
                })
            }
            Program::Say { out, err, status } => {
                io.out(&*out);
                io.err(&*err);
                Step::Exit(*status)
            }
        }
    }
}

/// Clients and tools that are programs of their own in an image.
pub(crate) const NAMES: &[&str] = &[
    "curl",
    "dig",
    "getent",
    "host",
    "hostname",
    "ip",
    "nc",
    "nslookup",
    "ping",
    "telnet",
    "traceroute",
    "wget",
];

/// Tools of the network that work on the namespace itself.
const NET_TOOLS: &[&str] = &[
    "ip",
    "ss",
    "bridge",
    "sysctl",
    "conntrack",
    "iptables",
    "iptables-save",
    "iptables-restore",
    "iptables-legacy",
    "iptables-nft",
    "ip6tables",
    "ip6tables-save",
    "nft",
    "ipset",
    "ipvsadm",
    "ipvsadm-save",
    "arp",
    "route",
    "ifconfig",
    "netstat",
    "arping",
    "ethtool",
    "tc",
    "tcpdump",
    "dmesg",
    "mtr",
    "tracepath",
];

/// What the kernel does not let a container do; on a machine it lets everybody.
fn refused(cluster: &Cluster, place: &Place, argv: &[String]) -> Option<Output> {
    let (uid, at) = place.pod.as_ref()?;
    let sandbox = cluster.sandbox(&place.node, uid);
    let pod = sandbox.and_then(|s| cluster.etcd.get(&s.pod));
    let spec = pod.and_then(|pod| Some((pod, containers(pod).nth(*at)?)));
    let none = Rights {
        net_admin: false,
        parameters: false,
    };
    let rights = spec.map_or(none, |(pod, spec)| user::rights(pod, spec));
    kubarium_linux::tools::refused(&cluster.net, place.netns, argv, rights)
}

/// A program that has nothing to do but to say something.
fn said(output: Output) -> Program {
    Program::Say {
        out: output.stdout,
        err: output.stderr,
        status: output.status,
    }
}

fn net(io: &mut Io<'_>, argv: &[String]) -> Step {
    let now = kubarium_linux::Time(io.now.0);
    let machine = io.cluster.machines.get_key_value(&io.place.node);
    let node = machine.filter(|(_, machine)| machine.netns == io.place.netns);
    let node = node.map(|(name, _)| name.clone());
    let on_node = node.is_some();
    if on_node {
        kube_proxy::bring_up_to_date(io.cluster, &io.place.node);
    }
    let output = kubarium_linux::tools::run(&mut io.cluster.net, io.place.netns, argv, now);
    let changes = |name: &String| name.starts_with("ip") || base_name(name) == "nft";
    if on_node && argv.first().is_some_and(changes) {
        kube_proxy::rules_changed(io.cluster, &io.place.node);
    }
    if let Some(node) = node {
        io.cluster.network_changed(&node);
    }
    io.out(output.stdout);
    io.err(output.stderr);
    Step::Exit(output.status)
}

/// Where a command comes from.
pub(crate) fn find(place: &Place, view: &View, argv: &[String]) -> Found {
    let Some(word) = argv.first() else {
        return Found::Missing;
    };
    let name = base_name(word);
    let tools = place.tools;
    let has = |wanted: Tools| tools.has(wanted);
    let host = |reads_stdin| Found::Host { reads_stdin };
    if place
        .image
        .and_then(|i| i.server)
        .is_some_and(|s| s.programs.contains(&name))
    {
        return host(false);
    }
    let on_node = place.pod.is_none();
    let found = match name {
        "curl" if has(Tools::CURL) => Some(host(argv.iter().any(|a| a == "@-"))),
        "wget" if has(Tools::BUSYBOX) || has(Tools::WGET) => Some(host(false)),
        "nslookup" if has(Tools::BUSYBOX) || has(Tools::BIND) => Some(host(false)),
        "dig" | "host" if has(Tools::BIND) => Some(host(false)),
        "ping" | "traceroute" if has(Tools::BUSYBOX) => Some(host(false)),
        "nc" | "telnet" if has(Tools::BUSYBOX) || has(Tools::NETCAT) => Some(host(
            !argv.iter().any(|a| a.starts_with('-') && a.contains('z')),
        )),
        "getent" if has(Tools::GETENT) => Some(host(false)),
        "tar" if has(Tools::SHELL) => Some(host(true)),
        "hostname" if has(Tools::SHELL) && argv.len() == 2 => Some(host(false)),
        "httpd" if has(Tools::BUSYBOX) => Some(host(false)),
        "ip" if has(Tools::IP) || has(Tools::BUSYBOX) => Some(host(false)),
        "sysctl" | "arp" | "route" | "ifconfig" | "netstat" if has(Tools::BUSYBOX) => {
            Some(host(false))
        }
        "crictl" if on_node && place.node.as_ref() != "outside" => Some(host(false)),
        name if NET_TOOLS.contains(&name) && (has(Tools::NET) || on_node) => {
            Some(host(name == "iptables-restore"))
        }
        _ => None,
    };
    if let Some(found) = found {
        return found;
    }
    if has(Tools::SHELL)
        && (is_shell(name)
            || kubarium_posix::tools::is_tool(name)
            || kubarium_posix::builtins().any(|b| b == name))
    {
        return Found::Tool;
    }
    // An image that nothing is known of has the programs that its pods name.
    if place.pod.is_some() && place.image.is_none() {
        return host(false);
    }
    let _ = view;
    Found::Missing
}

/// Begins a command that [`find`] called a host's.
pub(crate) fn start(
    cluster: &mut Cluster,
    place: &Place,
    view: &View,
    command: Command,
    now: Time,
) -> Program {
    if netns::is_meant(&command.argv) {
        return netns::begin(cluster, place, view, command, now);
    }
    let argv = &command.argv;
    let name = base_name(argv.first().map_or("", String::as_str)).to_owned();
    match name.as_str() {
        "curl" => curl::start(argv, &command.stdin),
        "wget" => wget::start(argv, place),
        "nslookup" | "dig" | "host" | "getent" => lookup::start(&name, argv, place),
        "ping" => ping::start(argv, iputils(cluster, place)),
        "traceroute" => ping::start_traceroute(argv),
        "mtr" => mtr::start(argv),
        "hostname" => hostname(place, view, argv.get(1).map_or("", String::as_str)),
        "nc" | "telnet" => nc::start(argv, &command.stdin, place),
        "crictl" => crictl::start(cluster, place, argv),
        "tcpdump" => tcpdump::start(cluster, place, argv, &command.cwd),
        name if NET_TOOLS.contains(&name) => {
            let rest = argv.iter().skip(1).cloned();
            let words: Vec<String> = std::iter::once(name.to_owned()).chain(rest).collect();
            match refused(cluster, place, &words) {
                Some(output) => said(output),
                None if Monitor::is_meant(&words) => monitor::start(cluster, place, &words, now),
                None => Program::Net(words),
            }
        }
        _ => {
            let pod = place
                .pod
                .as_ref()
                .and_then(|(uid, at)| Some((cluster.sandbox(&place.node, uid)?.pod.clone(), *at)));
            let (pod, at) = match pod {
                Some((key, at)) => (cluster.etcd.get(&key).cloned().unwrap_or_default(), at),
                None => (Value::Null, 0),
            };
            match server(place, &pod, at, argv, &|name| {
                command.env.get(name).cloned()
            }) {
                Some(mut serve) => {
                    serve.replaced_shell = command.replaces_shell;
                    Program::Serve(serve)
                }
                None => Program::Say {
                    out: String::new(),
                    err: format!("{name}: not simulated yet\n"),
                    status: 127,
                },
            }
        }
    }
}

/// Whether a place has iputils' ping rather than BusyBox': nodes, and images that are made for looking at networks.
fn iputils(cluster: &Cluster, place: &Place) -> bool {
    let real = cluster.config.images.servers() == crate::config::Servers::Real;
    place.image.map_or(place.pod.is_none(), |image| {
        real && image.repository.ends_with("/netshoot")
    })
}

/// `hostname -f` and its like: what /etc/hosts says of the own name.
fn hostname(place: &Place, view: &View, option: &str) -> Program {
    let text = view.text("/etc/hosts");
    let own = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>());
    let line = own
        .into_iter()
        .find(|words| words.iter().skip(1).any(|w| *w == place.hostname))
        .unwrap_or_default();
    let full = line.get(1).map_or(place.hostname.as_str(), |w| w);
    let said = match option {
        "-f" | "--fqdn" | "--long" => full.to_owned(),
        "-s" | "--short" => place.hostname.split('.').next().unwrap_or("").to_owned(),
        "-d" | "--domain" => full
            .split_once('.')
            .map_or("", |(_, domain)| domain)
            .to_owned(),
        "-i" | "-I" | "--ip-address" => line.first().map_or("", |a| a).to_owned(),
        _ => {
            let err = "hostname: you must be root to change the host name\n".to_owned();
            return Program::Say {
                out: String::new(),
                err,
                status: 1,
            };
        }
    };
    Program::Say {
        out: format!("{said}\n"),
        err: String::new(),
        status: 0,
    }
}

/// The server that a command line is, if it is one.
pub(crate) fn server(
    place: &Place,
    pod: &Value,
    at: usize,
    argv: &[String],
    env: Lookup<'_>,
) -> Option<Serve> {
    serve::of(place, pod, at, argv, env)
}

/// What Go's HTTP client says when its time is over.
const NO_HEADERS: &str =
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// An HTTP probe from a node (kubelet v1.37, `pkg/probe/http`).
pub(crate) fn probe_http(
    cluster: &mut Cluster,
    node: &str,
    scheme: &str,
    host: &str,
    port: u16,
    path: &str,
    timeout: Duration,
) -> Result<(), String> {
    let url = match (scheme, port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}{path}"),
        _ => format!("{scheme}://{host}:{port}{path}"),
    };
    let failed = |why: String| {
        format!(
            "Get \"{}\": {why}",
            if url.contains(':') && !url[6..].contains(':') {
                format!("{scheme}://{host}:{port}{path}")
            } else {
                url.clone()
            }
        )
    };
    let address: Ipv4Addr = host
        .parse()
        .map_err(|_| failed(format!("dial tcp: lookup {host}: no such host")))?;
    let target = SocketAddrV4::new(address, port);
    match dial::once(cluster, node, target, timeout, true) {
        Ok(connection) => {
            let request = http::Request {
                method: "GET",
                path,
                host,
                tls: scheme == "https",
                agent: "kube-probe/1.37",
                headers: &[],
                body: &[],
                hops: 0,
                is_api_server: false,
            };
            match http::ask(cluster, &connection, &request) {
                http::Reply::Response(response) if (200..400).contains(&response.status) => Ok(()),
                http::Reply::Response(response) => Err(format!(
                    "HTTP probe failed with statuscode: {}",
                    response.status
                )),
                http::Reply::Nothing => Err(failed("EOF".to_owned())),
                http::Reply::Stalled => Err(failed(NO_HEADERS.to_owned())),
                http::Reply::NotTls => Err(failed(
                    "http: server gave HTTP response to HTTPS client".to_owned(),
                )),
                http::Reply::Garbage => Err(failed(
                    "net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x00\"".to_owned(),
                )),
            }
        }
        Err(dial::Failure::Refused) => Err(failed(format!(
            "dial tcp {target}: connect: connection refused"
        ))),
        Err(dial::Failure::Unreachable) => Err(failed(format!(
            "dial tcp {target}: connect: no route to host"
        ))),
        Err(dial::Failure::Timeout) => Err(failed(NO_HEADERS.to_owned())),
    }
}

/// A TCP probe from a node (kubelet v1.37, `pkg/probe/tcp`).
pub(crate) fn probe_tcp(
    cluster: &mut Cluster,
    node: &str,
    host: &str,
    port: u16,
    timeout: Duration,
) -> Result<(), String> {
    let address: Ipv4Addr = host
        .parse()
        .map_err(|_| format!("dial tcp: lookup {host}: no such host"))?;
    let target = SocketAddrV4::new(address, port);
    match dial::once(cluster, node, target, timeout, false) {
        Ok(_) => Ok(()),
        Err(dial::Failure::Refused) => {
            Err(format!("dial tcp {target}: connect: connection refused"))
        }
        Err(dial::Failure::Unreachable) => {
            Err(format!("dial tcp {target}: connect: no route to host"))
        }
        Err(dial::Failure::Timeout) => Err(format!("dial tcp {target}: i/o timeout")),
    }
}

/// A gRPC health check from a node: the services that the server knows of, all of them serving;
/// `None` where nothing there speaks gRPC.
pub(crate) fn grpc_health(
    cluster: &mut Cluster,
    node: &str,
    target: SocketAddrV4,
    timeout: Duration,
) -> Option<&'static [&'static str]> {
    let connection = dial::once(cluster, node, target, timeout, false).ok()?;
    let (_, token) = connection.server?;
    let port = connection.server_address.map_or(0, |a| a.port());
    let (serve, _) = http::listening(cluster, token, port)?;
    (serve.grpc == Some(port)).then_some(&[""])
}
