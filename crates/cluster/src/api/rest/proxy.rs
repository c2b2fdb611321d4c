//! The proxy subresources: the API server asks a pod, or one behind a Service, over a connection
//! of its own (kubernetes v1.37, `pkg/registry/core/pod/strategy.go` and
//! `pkg/registry/core/service/storage`, ResourceLocation; apimachinery, `util/proxy`).

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, go};

use super::{Answer, Request, Target};
use crate::cluster::Cluster;
use crate::programs::dial::{self, Failure};
use crate::programs::http::{self, Reply};

/// How long the API server waits for a connection (`net.Dialer` of its proxy transport).
const PATIENCE: Duration = Duration::from_secs(30);

/// `https:name:port`, with scheme and port as they are given.
struct Address<'a> {
    tls: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Address<'a> {
    /// Source: apimachinery, `util/net`, SplitSchemeNamePort.
    fn read(id: &'a str, kind: &str) -> Result<Address<'a>, Status> {
        let parts: Vec<&str> = id.split(':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => ("?", "", ""),
        };
        if name.is_empty() || !matches!(scheme, "" | "http" | "https") {
            let id = go::quote(id);
            return Err(Status::bad_request(format!("invalid {kind} request {id}")));
        }
        Ok(Address {
            tls: scheme == "https",
            name,
            port,
        })
    }
}

impl Cluster {
    /// What stands behind `…/proxy/path` answers.
    pub(super) fn answer_by_proxy(
        &mut self,
        request: &Request,
        target: &Target,
        query: &str,
    ) -> Result<Answer, Status> {
        let kind = &*target.resource.singular;
        let address = Address::read(&target.name, kind)?;
        let (ip, port) = match &*target.resource.id() {
            "pods" => self.pod_address(&target.namespace, &address)?,
            "services" => self.endpoint_address(&target.namespace, &address)?,
            _ => self.kubelet_address(&address)?,
        };
        let is_node = &*target.resource.id() == "nodes";
        let to = SocketAddrV4::new(ip, port);
        let mut path = format!("/{}", target.path);
        if !query.is_empty() {
            path += &format!("?{query}");
        }
        let forwarded = [
            ("X-Forwarded-Proto".to_owned(), "https".to_owned()),
            ("X-Forwarded-Uri".to_owned(), request.path.to_owned()),
        ];
        let host = to.to_string();
        let asked = http::Request {
            method: request.method,
            path: &path,
            host: &host,
            tls: address.tls || is_node && address.port.is_empty(),
            agent: request.agent,
            headers: &forwarded,
            body: request.body,
            hops: 0,
            is_api_server: is_node,
        };
        let first = self.control_planes().next();
        let node = first.map_or(String::new(), ToString::to_string);
        let unreached = |why: &str| {
            Status::service_unavailable(format!("error trying to reach service: {why}"))
        };
        let connection = dial::once(self, &node, to, PATIENCE, true)
            .map_err(|failure| unreached(&format!("dial tcp {to}: {}", said(failure))))?;
        match http::ask(self, &connection, &asked) {
            Reply::Response(response) => Ok(Answer {
                code: response.status,
                content_type: content_type(&response.headers),
                body: String::from_utf8_lossy(&response.body).into_owned(),
                stream: response.stream,
            }),
            Reply::Nothing => Err(unreached("EOF")),
            Reply::Garbage => Err(unreached(
                "net/http: HTTP/1.x transport connection broken: malformed HTTP response",
            )),
            Reply::NotTls => Err(unreached(
                "tls: first record does not look like a TLS handshake",
            )),
            Reply::Stalled => Err(unreached("http2: timeout awaiting response headers")),
        }
    }

    /// A pod's address, and the port that is named or its first.
    fn pod_address(&self, namespace: &str, to: &Address) -> Result<(Ipv4Addr, u16), Status> {
        let pod = self.get(&ObjectKey::new("pods", namespace, to.name))?;
        let containers = pod["spec"]["containers"].items().iter();
        let mut ports = containers.flat_map(|c| c["ports"].items());
        let port = match to.port {
            "" => ports.next().and_then(|p| p["containerPort"].as_i64()),
            given => given.parse().ok(),
        };
        let default = if to.tls { 443 } else { 80 };
        let port = port.and_then(|p| u16::try_from(p).ok()).unwrap_or(default);
        match pod["status"]["podIPs"][0]["ip"].str().parse() {
            Ok(IpAddr::V4(ip)) if !ip.is_loopback() && !ip.is_unspecified() => Ok((ip, port)),
            _ => Err(Status::bad_request("address not allowed")),
        }
    }

    /// A machine's address, and its kubelet's port unless another is named
    /// (`pkg/registry/core/node/strategy.go`, ResourceLocation).
    fn kubelet_address(&self, to: &Address) -> Result<(Ipv4Addr, u16), Status> {
        let node = self.get(&ObjectKey::new("nodes", "", to.name))?;
        let status = &node["status"];
        let own = status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_i64();
        let port = match to.port {
            "" => own,
            given => given.parse().ok(),
        };
        let mut addresses = status["addresses"].items().iter();
        let internal = addresses.find(|a| a["type"].str() == "InternalIP");
        let ip = internal.and_then(|a| a["address"].str().parse().ok());
        let port = port.and_then(|p| u16::try_from(p).ok());
        ip.zip(port)
            .ok_or_else(|| Status::bad_request("address not allowed"))
    }

    /// One of a Service's ready endpoints, and its port.
    fn endpoint_address(
        &mut self,
        namespace: &str,
        to: &Address,
    ) -> Result<(Ipv4Addr, u16), Status> {
        let none = |what: &str, name: &str| {
            Status::service_unavailable(format!("no {what} for service {}", go::quote(name)))
        };
        let mut port_name = to.port.to_owned();
        if let Ok(number) = to.port.parse::<i64>() {
            let service = self.get(&ObjectKey::new("services", namespace, to.name))?;
            let mut ports = service["spec"]["ports"].items().iter();
            match ports.find(|p| p["port"].as_i64() == Some(number)) {
                Some(port) => port_name = port["name"].str().to_owned(),
                None => {
                    let name = go::quote(to.name);
                    return Err(Status::service_unavailable(format!(
                        "no service port {number} found for service {name}"
                    )));
                }
            }
        }
        let found = self.ready_endpoints(namespace, to.name, &port_name);
        if found.is_empty() {
            return Err(none("endpoints available", to.name));
        }
        let pick = self.rng.below(found.len() as u64) as usize;
        Ok(found[pick])
    }

    /// The ready endpoints of a Service that are pods, with the port of a name.
    fn ready_endpoints(&self, namespace: &str, service: &str, port: &str) -> Vec<(Ipv4Addr, u16)> {
        let mut found = Vec::new();
        for (_, slice) in self
            .etcd
            .list("endpointslices.discovery.k8s.io", Some(namespace))
        {
            if slice["metadata"]["labels"]["kubernetes.io/service-name"].str() != service {
                continue;
            }
            let mut ports = slice["ports"].items().iter();
            let named = ports.find(|p| p["name"].str() == port);
            let Some(number) = named.and_then(|p| p["port"].as_i64()) else {
                continue;
            };
            for endpoint in slice["endpoints"].items() {
                let is_ready = endpoint["conditions"]["ready"].as_bool() != Some(false);
                let address = endpoint["addresses"][0].str().parse();
                if let (true, false, Ok(ip), Ok(port)) = (
                    is_ready,
                    endpoint["targetRef"].is_null(),
                    address,
                    u16::try_from(number),
                ) {
                    found.push((ip, port));
                }
            }
        }
        found
    }
}

fn said(failure: Failure) -> &'static str {
    match failure {
        Failure::Refused => "connect: connection refused",
        Failure::Unreachable => "connect: no route to host",
        Failure::Timeout => "i/o timeout",
    }
}

/// What a backend says that it sends, as far as anybody here asks for it.
fn content_type(headers: &[(&'static str, String)]) -> &'static str {
    let given = headers.iter().find(|(name, _)| *name == "Content-Type");
    match given.map(|(_, value)| value.as_str()) {
        Some("text/html") => "text/html",
        Some("application/json") => "application/json",
        _ => super::TEXT,
    }
}

/// What a client makes of an answer that is no Status (client-go, `NewGenericServerResponse`).
pub fn as_status(answer: &Answer) -> Option<Status> {
    if answer.code < 400 {
        return None;
    }
    let reported = Value::from_json(&answer.body).unwrap_or_default();
    let body = answer.body.trim();
    let (reason, message): (&str, String) = match answer.code {
        _ if reported["kind"].str() == "Status" => {
            (reported["reason"].str(), reported["message"].str().to_owned())
        }
        400 => ("BadRequest", "the server rejected our request for an unknown reason".into()),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".into()),
        403 => ("Forbidden", body.to_owned()),
        404 => ("NotFound", "the server could not find the requested resource".into()),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource".into()),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".into()),
        504 => ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request".into()),
        code if code >= 500 => ("InternalError", format!("an error on the server ({}) has prevented the request from succeeding", go::quote(body))),
        _ => ("Unknown", format!("the server responded with the status code {} but did not return more information", answer.code)),
    };
    let mut status = Status::unnamed(message);
    status.code = answer.code;
    status.reason = reason.to_owned().into();
    Some(status)
}
