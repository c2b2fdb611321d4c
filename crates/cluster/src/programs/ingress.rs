//! Ingress controllers: a server that hands requests on, by host and path, to the endpoints of Services, over
//! connections of its own.
//!
//! Source: ingress-nginx v1.13 (`internal/ingress/controller`), Traefik v3 (`pkg/provider/kubernetes/ingress`), and the
//! Ingress API's own words on hosts and paths.

use std::net::{Ipv4Addr, SocketAddrV4};

use kubarium_linux::{Connect, NamespaceId, Verdict};
use kubarium_objects::{ObjectKey, ObjectMeta, Value};

use super::http::{self, Reply, Request, Response};
use crate::cluster::Cluster;

/// Whose controller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// ingress-nginx.
    Nginx,
    /// Traefik.
    Traefik,
}

/// So often a request is handed on before somebody gives up: a proxy can be its own backend.
const HOPS_MAX: u8 = 8;

impl Controller {
    /// How IngressClasses name it.
    fn name(self) -> &'static str {
        match self {
            Controller::Nginx => "k8s.io/ingress-nginx",
            Controller::Traefik => "traefik.io/ingress-controller",
        }
    }

    /// The value of the older annotation `kubernetes.io/ingress.class`.
    fn class(self) -> &'static str {
        match self {
            Controller::Nginx => "nginx",
            Controller::Traefik => "traefik",
        }
    }

    /// The one whose program an image has.
    pub(crate) fn of_image(image: &str) -> Option<Controller> {
        let name = image.split('@').next().unwrap_or(image);
        let name = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => name,
        };
        if name.ends_with("ingress-nginx/controller") {
            return Some(Controller::Nginx);
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        (last == "traefik").then_some(Controller::Traefik)
    }

    /// Whether an Ingress is this controller's.
    pub(crate) fn serves(self, cluster: &Cluster, ingress: &Value) -> bool {
        if let Some(class) = ingress.annotation("kubernetes.io/ingress.class") {
            return class == self.class();
        }
        let class = ingress["spec"]["ingressClassName"].str();
        if class.is_empty() {
            // Traefik takes what nobody is named for; ingress-nginx only if it is told to.
            return self == Controller::Traefik;
        }
        cluster
            .find("ingressclasses.networking.k8s.io", "", class)
            .is_some_and(|class| class["spec"]["controller"].str() == self.name())
    }

    /// What it answers by itself.
    fn says(self, status: u16, reason: &str) -> Reply {
        let (kind, body) = match self {
            Controller::Nginx => (
                "text/html",
                format!(
                    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
                ),
            ),
            Controller::Traefik if status == 404 => (
                "text/plain; charset=utf-8",
                "404 page not found\n".to_owned(),
            ),
            Controller::Traefik if status == 503 => (
                "text/plain; charset=utf-8",
                "no available server\n".to_owned(),
            ),
            Controller::Traefik => ("text/plain; charset=utf-8", reason.to_owned()),
        };
        Reply::Response(Response::new(status, kind, body))
    }
}

/// Where a request goes: the namespace and the backend.
struct Found {
    namespace: String,
    backend: Value,
    /// The path that the backend sees, if not the request's own.
    rewritten: Option<String>,
    /// The host has TLS, and plain requests are sent there.
    secure: bool,
}

/// Does a path match a rule's, and how good is the match?
fn path_matches(rule: &Value, path: &str) -> Option<(usize, bool)> {
    let wanted = match rule["path"].str() {
        "" => "/",
        wanted => wanted,
    };
    let exact = rule["pathType"].str() == "Exact";
    if exact {
        return (wanted == path).then_some((wanted.len(), true));
    }
    // By elements: `/foo` is the beginning of `/foo/bar`, not of `/foobar`.
    let start = wanted.trim_end_matches('/');
    let rest = path.strip_prefix(start)?;
    (rest.is_empty() || rest.starts_with('/')).then_some((start.len(), false))
}

/// How well a host matches a rule's: 2 exactly, 1 by its wildcard, 0 by a rule for all.
fn host_matches(rule: &str, host: &str) -> Option<u8> {
    if rule.is_empty() {
        return Some(0);
    }
    if let Some(domain) = rule.strip_prefix("*.") {
        let (label, rest) = host.split_once('.')?;
        return (!label.is_empty() && rest.eq_ignore_ascii_case(domain)).then_some(1);
    }
    rule.eq_ignore_ascii_case(host).then_some(2)
}

/// The backend of a request.
fn find(cluster: &Cluster, controller: Controller, host: &str, path: &str) -> Option<Found> {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let mut best: Option<((u8, bool, usize), Found)> = None;
    let mut served_host = 0;
    let mut fallback = None;
    for (_, ingress) in cluster.etcd.list("ingresses.networking.k8s.io", None) {
        if !controller.serves(cluster, ingress) {
            continue;
        }
        let secure = ingress["spec"]["tls"].items().iter().any(|tls| {
            tls["hosts"]
                .items()
                .iter()
                .any(|h| host_matches(h.str(), host).is_some_and(|n| n > 0))
        }) && ingress.annotation("nginx.ingress.kubernetes.io/ssl-redirect")
            != Some("false");
        let found = |backend: &Value| Found {
            namespace: ingress.namespace().to_owned(),
            backend: backend.clone(),
            rewritten: ingress
                .annotation("nginx.ingress.kubernetes.io/rewrite-target")
                .filter(|_| controller == Controller::Nginx)
                .map(str::to_owned),
            secure,
        };
        if !ingress["spec"]["defaultBackend"].is_empty() && fallback.is_none() {
            fallback = Some(found(&ingress["spec"]["defaultBackend"]));
        }
        for rule in ingress["spec"]["rules"].items() {
            let Some(host_rank) = host_matches(rule["host"].str(), host) else {
                continue;
            };
            served_host = served_host.max(host_rank);
            for entry in rule["http"]["paths"].items() {
                let Some((length, exact)) = path_matches(entry, path) else {
                    continue;
                };
                let rank = (host_rank, exact, length);
                if best.as_ref().is_none_or(|(old, _)| rank > *old) {
                    best = Some((rank, found(&entry["backend"])));
                }
            }
        }
    }
    // nginx has a server for each host: what its paths do not take is not another host's.
    let best = best.filter(|(rank, _)| controller == Controller::Traefik || rank.0 == served_host);
    best.map(|b| b.1).or(fallback)
}

/// The ready endpoints of a backend.
fn endpoints(cluster: &Cluster, namespace: &str, backend: &Value) -> Vec<SocketAddrV4> {
    let wanted = &backend["service"];
    let key = ObjectKey::new("services", namespace, wanted["name"].str());
    let Some(service) = cluster.etcd.get(&key) else {
        return Vec::new();
    };
    let port = service["spec"]["ports"].items().iter().find(|port| {
        let (number, name) = (&wanted["port"]["number"], wanted["port"]["name"].str());
        match number.as_i64() {
            Some(number) => port["port"].as_i64() == Some(number),
            None => port["name"].str() == name,
        }
    });
    let Some(port) = port else {
        return Vec::new();
    };
    let slices = cluster.index.slices_of(&key.namespace, &key.name);
    let mut found: Vec<SocketAddrV4> = Vec::new();
    for slice in slices.filter_map(|key| cluster.etcd.get(key)) {
        let mut ports = slice["ports"].items().iter();
        let target = ports.find(|p| p["name"].str() == port["name"].str());
        let Some(target) = target.and_then(|p| u16::try_from(p["port"].as_i64()?).ok()) else {
            continue;
        };
        let ready = slice["endpoints"].items().iter();
        let ready = ready.filter(|e| e["conditions"]["ready"].as_bool() != Some(false));
        let addresses = ready.filter_map(|e| e["addresses"][0].str().parse::<Ipv4Addr>().ok());
        found.extend(addresses.map(|ip| SocketAddrV4::new(ip, target)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Answers a request that reached a controller in a namespace.
pub(crate) fn answer(
    cluster: &mut Cluster,
    controller: Controller,
    netns: NamespaceId,
    client: SocketAddrV4,
    local: SocketAddrV4,
    request: &Request<'_>,
) -> Reply {
    let path = request.path.split('?').next().unwrap_or("/");
    match (controller, local.port(), path) {
        (Controller::Nginx, 10254, "/healthz") => return http::plain(200, "ok"),
        (Controller::Nginx, 10254, _) => return http::plain(404, "404 page not found\n"),
        (Controller::Traefik, 8080, "/ping") => return http::plain(200, "OK"),
        _ => {}
    }
    let Some(found) = find(cluster, controller, request.host, path) else {
        return controller.says(404, "Not Found");
    };
    if controller == Controller::Nginx && found.secure && !request.tls {
        let Reply::Response(mut moved) = controller.says(308, "Permanent Redirect") else {
            return Reply::Nothing;
        };
        let host = request.host.split(':').next().unwrap_or_default();
        let to = format!("https://{host}{}", request.path);
        moved.headers.insert(1, ("Location", to));
        return Reply::Response(moved);
    }
    let endpoints = endpoints(cluster, &found.namespace, &found.backend);
    let count = endpoints.len() as u64;
    if count == 0 || request.hops >= HOPS_MAX {
        return controller.says(503, "Service Temporarily Unavailable");
    }
    // Round robin among many workers and connections: as good as a draw.
    let at = cluster.rng.below(count);
    let Some(target) = usize::try_from(at).ok().and_then(|at| endpoints.get(at)) else {
        return controller.says(503, "Service Temporarily Unavailable");
    };
    let now = cluster.now;
    let connect = Connect {
        waits: true,
        ..Connect::tcp(netns, *target)
    };
    let connection = cluster.send(&connect, now);
    match connection.verdict {
        Verdict::Connected | Verdict::Stalled => {}
        Verdict::Timeout => return controller.says(504, "Gateway Time-out"),
        _ => return controller.says(502, "Bad Gateway"),
    }
    let headers = forwarded(controller, client, request);
    let rewritten = found.rewritten.unwrap_or_else(|| request.path.to_owned());
    let onward = Request {
        path: &rewritten,
        tls: false,
        headers: &headers,
        hops: request.hops + 1,
        is_api_server: false,
        ..*request
    };
    match http::ask(cluster, &connection, &onward) {
        Reply::Response(response) => Reply::Response(response),
        Reply::Stalled => controller.says(504, "Gateway Time-out"),
        _ => controller.says(502, "Bad Gateway"),
    }
}

/// The request's headers with those that say who really asks.
fn forwarded(
    controller: Controller,
    client: SocketAddrV4,
    request: &Request<'_>,
) -> Vec<(String, String)> {
    let scheme = if request.tls { "https" } else { "http" };
    let port = if request.tls { "443" } else { "80" };
    let ip = client.ip().to_string();
    let host = request.host.to_owned();
    let given = request.headers.iter();
    let mut headers: Vec<(String, String)> = given
        .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
        .cloned()
        .collect();
    let own: &[(&str, &str)] = match controller {
        Controller::Nginx => &[
            ("X-Forwarded-For", &ip),
            ("X-Forwarded-Host", &host),
            ("X-Forwarded-Port", port),
            ("X-Forwarded-Proto", scheme),
            ("X-Forwarded-Scheme", scheme),
            ("X-Real-Ip", &ip),
            ("X-Scheme", scheme),
        ],
        Controller::Traefik => &[
            ("X-Forwarded-For", &ip),
            ("X-Forwarded-Host", &host),
            ("X-Forwarded-Port", port),
            ("X-Forwarded-Proto", scheme),
            ("X-Real-Ip", &ip),
        ],
    };
    for (name, value) in own {
        headers.retain(|(old, _)| !old.eq_ignore_ascii_case(name));
        headers.push(((*name).to_owned(), (*value).to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kind: &str, rule: &str, path: &str, want: bool) {
        let json = format!(r#"{{"path":"{rule}","pathType":"{kind}"}}"#);
        let rule = Value::from_json(&json).unwrap();
        assert_eq!(path_matches(&rule, path).is_some(), want, "{json} {path}");
    }

    /// The examples of the API's documentation.
    #[test]
    fn paths_match_as_the_api_says() {
        path("Prefix", "/", "/any", true);
        path("Exact", "/foo", "/foo", true);
        path("Exact", "/foo", "/foo/", false);
        path("Exact", "/foo/", "/foo", false);
        path("Prefix", "/foo", "/foo/", true);
        path("Prefix", "/foo/", "/foo", true);
        path("Prefix", "/aaa/bb", "/aaa/bbb", false);
        path("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", true);
        path("Prefix", "/aaa/bbb", "/aaa/bbbxyz", false);
    }

    #[test]
    fn hosts_match_as_the_api_says() {
        assert_eq!(host_matches("*.foo.com", "bar.foo.com"), Some(1));
        assert_eq!(host_matches("*.foo.com", "baz.bar.foo.com"), None);
        assert_eq!(host_matches("*.foo.com", "foo.com"), None);
        assert_eq!(host_matches("foo.com", "FOO.com"), Some(2));
        assert_eq!(host_matches("", "x"), Some(0));
    }
}
