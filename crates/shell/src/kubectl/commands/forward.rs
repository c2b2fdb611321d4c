//! `kubectl port-forward` and `kubectl proxy`: they stand open until somebody ends them.

use kubarium_cluster::Time;
use kubarium_objects::{ObjectKey, Value, go};

use super::{exec, logs};
use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, text};
use crate::kubectl::follow::Follow;
use crate::kubectl::resource::Info;

const FLAGS: &[Flag] = &[
    flag(
        "address",
        Kind::List,
        "localhost",
        "Addresses to listen on (comma separated). Only accepts IP addresses or localhost as a value. When localhost is supplied, kubectl will try to bind on both 127.0.0.1 and ::1 and will fail if neither of these addresses are available to bind.",
    ),
    flag(
        "pod-running-timeout",
        Kind::Duration,
        "1m0s",
        "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running",
    ),
];

pub(crate) const PORT_FORWARD: Command = Command::new(
    "port-forward",
    "TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
    "Forward one or more local ports to a pod",
    port_forward,
)
.flags(&[FLAGS])
.partly("nothing on this machine connects to its port; sim trace shows the way to the pod");

const PROXY_FLAGS: &[Flag] = &[
    flag(
        "accept-hosts",
        Kind::Text,
        "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$",
        "Regular expression for hosts that the proxy should accept.",
    ),
    flag(
        "accept-paths",
        Kind::Text,
        "^.*",
        "Regular expression for paths that the proxy should accept.",
    ),
    flag(
        "address",
        Kind::Text,
        "127.0.0.1",
        "The IP address on which to serve on.",
    ),
    flag(
        "api-prefix",
        Kind::Text,
        "/",
        "Prefix to serve the proxied API under.",
    ),
    flag(
        "append-server-path",
        Kind::Bool,
        "false",
        "If true, enables automatic path appending of the kube context server path to each request.",
    ),
    flag(
        "disable-filter",
        Kind::Bool,
        "false",
        "If true, disable request filtering in the proxy. This is dangerous, and can leave you vulnerable to XSRF attacks, when used with an accessible port.",
    ),
    flag(
        "keepalive",
        Kind::Duration,
        "0s",
        "keepalive specifies the keep-alive period for an active network connection. Set to 0 to disable keepalive.",
    ),
    flag(
        "port",
        Kind::Int,
        "8001",
        "The port on which to run the proxy. Set to 0 to pick a random port.",
    )
    .short('p'),
    flag(
        "reject-methods",
        Kind::Text,
        "^$",
        "Regular expression for HTTP methods that the proxy should reject (example --reject-methods='POST,PUT,PATCH'). ",
    ),
    flag(
        "reject-paths",
        Kind::Text,
        "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
        "Regular expression for paths that the proxy should reject. Paths specified here will be rejected even accepted by --accept-paths.",
    ),
    text("unix-socket", "Unix socket on which to run the proxy."),
    text(
        "www",
        "Also serve static files from the given directory under the specified prefix.",
    )
    .short('w'),
    flag(
        "www-prefix",
        Kind::Text,
        "/static/",
        "Prefix to serve static files under, if static file directory is specified.",
    )
    .short('P'),
];

pub(crate) const PROXY: Command = Command::new(
    "proxy",
    "[--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix] [options]",
    "Run a proxy to the Kubernetes API server",
    proxy,
)
.flags(&[PROXY_FLAGS])
.partly("nothing on this machine connects to its port; kubectl get --raw asks the API server");

/// What stands open.
#[derive(Clone)]
pub(crate) struct Forwarding {
    /// The pod that is forwarded to; none for the API server.
    pod: Option<ObjectKey>,
}

impl Forwarding {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        if let Some(pod) = &self.pod {
            let runs = k
                .current(pod)
                .is_some_and(|o| o["status"]["phase"].str() == "Running");
            if !runs {
                return plain("lost connection to pod");
            }
        }
        Ok(Some(k.next_look(None)))
    }
}

fn proxy(k: &mut Kubectl) -> Result {
    let port = k.flags.int("port");
    let address = k.flags.str("address").to_owned();
    k.out(format!("Starting to serve on {address}:{port}\n"));
    k.follow = Some(Follow::Forward(Forwarding { pod: None }));
    Ok(())
}

fn port_forward(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    if args.len() < 2 {
        return Err(k.usage("TYPE/NAME and list of ports are required for port-forward"));
    }
    k.pod_running_timeout()?;
    let target = exec::object_of(k, &args[0])?;
    let pod = exec::pod_behind(k, &target)?;
    let is_service = &*target.resource.id() == "services";
    let mut ports = Vec::new();
    for arg in &args[1..] {
        let (local, remote) = split(arg);
        let number = if is_service {
            service_port(&target, &pod.object, remote)?
        } else {
            pod_port(&pod.object, remote)?
        };
        let local = match local.parse::<i64>() {
            Ok(local) => local,
            Err(_) if local.is_empty() => 0,
            // A port by its name is the same on both sides.
            Err(_) => number,
        };
        if !(0..=65_535).contains(&local) || !(1..=65_535).contains(&number) {
            return plain(format!(
                "error parsing remote port: invalid port number: {arg}"
            ));
        }
        ports.push((local, number));
    }
    let phase = pod.object["status"]["phase"].str();
    if phase != "Running" {
        return plain(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        ));
    }
    let addresses = match k.flags.list("address") {
        [] => vec!["localhost".to_owned()],
        given => given.to_vec(),
    };
    for (local, remote) in ports {
        // A free port is asked of the kernel where none is named.
        let local = if local == 0 {
            40_000 + remote % 10_000
        } else {
            local
        };
        for address in &addresses {
            let both = ["127.0.0.1", "[::1]"];
            let bound: &[&str] = match address.as_str() {
                "localhost" => &both,
                "0.0.0.0" => &["0.0.0.0"],
                other => &[other],
            };
            for address in bound {
                k.out(format!("Forwarding from {address}:{local} -> {remote}\n"));
            }
        }
    }
    k.follow = Some(Follow::Forward(Forwarding {
        pod: Some(pod.key()),
    }));
    Ok(())
}

fn split(port: &str) -> (&str, &str) {
    let parts: Vec<&str> = port.split(':').collect();
    match parts[..] {
        [local, remote] => (local, remote),
        _ => (parts[0], parts[0]),
    }
}

/// The container port of a number or a name (`convertPodNamedPortToNumber`).
fn pod_port(pod: &Value, remote: &str) -> Result<i64> {
    if remote.is_empty() {
        return plain("remote port cannot be empty");
    }
    let ports = || {
        let containers = pod["spec"]["containers"].items().iter();
        containers.flat_map(|c| c["ports"].items())
    };
    let number = match remote.parse::<i64>() {
        Ok(number) => number,
        Err(_) => match ports().find(|p| p["name"].str() == remote) {
            Some(port) => port["containerPort"].as_i64().unwrap_or(0),
            None => {
                return plain(format!(
                    "Pod '{}' does not have a named port '{remote}'",
                    pod["metadata"]["name"].str()
                ));
            }
        },
    };
    let of = |protocol: &str| {
        ports()
            .any(|p| p["containerPort"].as_i64() == Some(number) && p["protocol"].str() == protocol)
    };
    if of("UDP") && !of("TCP") {
        return plain(format!("UDP protocol is not supported for {remote}"));
    }
    Ok(number)
}

/// The container port behind a Service's port (`translateServicePortToTargetPort`).
fn service_port(service: &Info, pod: &Value, remote: &str) -> Result<i64> {
    let ports = service.object["spec"]["ports"].items();
    let found = match remote.parse::<i64>() {
        Ok(number) => ports.iter().find(|p| p["port"].as_i64() == Some(number)),
        Err(_) => ports.iter().find(|p| p["name"].str() == remote),
    };
    let Some(port) = found else {
        return match remote.parse::<i64>() {
            Ok(number) => plain(format!(
                "Service {} does not have a service port {number}",
                service.name
            )),
            Err(_) => plain(format!(
                "Service '{}' does not have a named port '{remote}'",
                service.name
            )),
        };
    };
    if port["protocol"].str() == "UDP" {
        return plain(format!("UDP protocol is not supported for {remote}"));
    }
    let number = port["port"].as_i64().unwrap_or(0);
    if service.object["spec"]["clusterIP"].str() == "None" {
        return Ok(number);
    }
    match &port["targetPort"] {
        Value::Int(0) | Value::Null => Ok(number),
        Value::Int(target) => Ok(*target),
        name => match logs::container_port(pod, name.str()) {
            Some(target) => Ok(target),
            None => plain(format!(
                "Pod '{}' does not have a named port {}",
                pod["metadata"]["name"].str(),
                go::quote(name.str())
            )),
        },
    }
}
