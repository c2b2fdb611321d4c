//! HTTP between a client and whoever listens: the server's answer by what it is.

use std::net::SocketAddrV4;

use kubarium_linux::{Connection, NamespaceId, Payload, Verdict};

use crate::api::rest;
use crate::cluster::Cluster;
use crate::event::Component;
use crate::images::{Page, Server};
use crate::kube_proxy::health;
use crate::machine::daemon;
use crate::programs::{Program, Serve, ingress, kubelet};
use crate::runtime::{Process, environment};

/// A request.
pub(crate) struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// The Host header.
    pub host: &'a str,
    pub tls: bool,
    pub agent: &'a str,
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
    /// How many proxies have handed it on.
    pub hops: u8,
    /// Whether the API server asks, with its certificate.
    pub is_api_server: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// What goes on behind the body: a watch.
    pub stream: Option<Box<rest::Stream>>,
}

/// What came back on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Response(Response),
    /// The other side closed without a word.
    Nothing,
    /// Not HTTP.
    Garbage,
    /// TLS was wanted, and the server speaks plain HTTP.
    NotTls,
    /// The request or the answer never arrived whole.
    Stalled,
}

/// What TLS adds to a request and to its answer: the handshake's messages (TLS 1.3, one certificate), and each record's
/// own head and tag.
const TLS_CLIENT: usize = 517 + 80 + 22;
const TLS_SERVER: usize = 127 + 1200 + 22;

impl Request<'_> {
    /// As it goes over the connection.
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.path, self.host
        );
        if !self.agent.is_empty() {
            head += &format!("User-Agent: {}\r\nAccept: */*\r\n", self.agent);
        }
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        [head.as_bytes(), self.body].concat()
    }
}

/// What is said, in the clear or not.
fn payload(bytes: Vec<u8>, tls: bool, handshake: usize) -> Payload {
    if tls {
        Payload::opaque(u32::try_from(bytes.len() + handshake).unwrap_or(u32::MAX))
    } else {
        bytes.into()
    }
}

impl Response {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        let body = body.into();
        let headers = vec![
            ("Content-Type", kind.to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        Response {
            status,
            headers,
            body,
            stream: None,
        }
    }

    fn text(body: impl Into<Vec<u8>>) -> Reply {
        Reply::Response(Response::new(200, "text/plain; charset=utf-8", body))
    }

    /// Its first line and its headers, with the empty line behind them.
    pub fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, self.reason());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// `OK`
    pub fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            201 => "Created",
            301 => "Moved Permanently",
            302 => "Found",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            500 => "Internal Server Error",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "",
        }
    }
}

/// A short text as an answer.
pub(crate) fn plain(status: u16, text: &str) -> Reply {
    Reply::Response(Response::new(status, "text/plain; charset=utf-8", text))
}

/// Sends a request over a connection that was made, and brings back the answer.
pub(crate) fn ask(cluster: &mut Cluster, connection: &Connection, request: &Request<'_>) -> Reply {
    let reply = answered(cluster, connection, request);
    let said = match &reply {
        Reply::Response(response) if request.method == "HEAD" => response.head().into_bytes(),
        Reply::Response(response) => [response.head().as_bytes(), &response.body].concat(),
        _ => Vec::new(),
    };
    let asked = payload(request.bytes(), request.tls, TLS_CLIENT);
    let said = payload(said, request.tls, TLS_SERVER);
    match cluster.converse(connection, asked, said) {
        Verdict::Stalled => Reply::Stalled,
        _ => reply,
    }
}

/// What whoever listens answers.
fn answered(cluster: &mut Cluster, connection: &Connection, request: &Request<'_>) -> Reply {
    let Some((netns, token)) = connection.server else {
        return Reply::Nothing;
    };
    let nobody = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
    let client = connection.seen_source.unwrap_or(nobody);
    let local = connection.server_address.unwrap_or(nobody);
    if let Some(reply) = machine_answers(cluster, netns, token, request) {
        return reply;
    }
    let Some((serve, hostname)) = listening(cluster, token, local.port()) else {
        return Reply::Nothing;
    };
    if let Server::Ingress(controller) = serve.answers {
        if request.tls != (local.port() == 443) {
            return if request.tls {
                Reply::NotTls
            } else {
                plain(400, "Client sent an HTTP request to an HTTPS server.\n")
            };
        }
        return ingress::answer(cluster, controller, netns, client, local, request);
    }
    if request.tls {
        return match serve.answers {
            Server::Opaque => Reply::Garbage,
            _ => Reply::NotTls,
        };
    }
    let reply = answer(cluster, &serve, &hostname, client, local, request);
    log_access(cluster, token, &serve, client, request, &reply);
    reply
}

/// The server that listens on a socket, and the host's name.
pub(crate) fn listening(cluster: &Cluster, token: u64, port: u16) -> Option<(Serve, String)> {
    let (_, sandbox, at) = cluster.container_of(token)?;
    let hostname = cluster
        .etcd
        .get(&sandbox.pod)
        .map_or_else(|| sandbox.pod.name.to_string(), environment::hostname);
    let serve = match sandbox.containers.get(at)?.process.as_ref()? {
        Process::Serve(serve) => Serve::clone(serve),
        Process::Shell(shell) => shell.jobs.running.values().find_map(|p| match p {
            Program::Serve(serve) if serve.has(port) => Some(serve.clone()),
            _ => None,
        })?,
    };
    Some((serve, hostname))
}

fn answer(
    cluster: &Cluster,
    serve: &Serve,
    hostname: &str,
    client: SocketAddrV4,
    local: SocketAddrV4,
    request: &Request<'_>,
) -> Reply {
    match serve.answers {
        Server::Echo => Response::text(format!("{hostname} client={client} local={local}\n")),
        Server::Text(text) => Response::text(text),
        Server::Greeting(text) => {
            Response::text(filled_in(text, serve, hostname, client, local, request))
        }
        Server::Agnhost => agnhost(cluster, serve, hostname, client, request),
        Server::HttpEcho => Response::text(format!("{}\n", serve.text)),
        Server::Whoami => Response::text(whoami(hostname, client, local, request)),
        Server::Opaque => Reply::Garbage,
        // Answered before: it needs the network.
        Server::Ingress(_) => Reply::Nothing,
        Server::Dns => dns_answers(cluster, local.port(), request),
        Server::Page { server, page } => page_answers(server, page, serve, request),
    }
}

fn dns_answers(_: &Cluster, port: u16, request: &Request<'_>) -> Reply {
    match (port, request.path) {
        (8080, "/health") | (8181, "/ready") => Response::text("OK"),
        (9153, _) => Response::text("# metrics are not simulated yet\n"),
        (53, _) => Reply::Nothing,
        _ => Reply::Response(Response::new(
            404,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        )),
    }
}

/// A greeting with its words in place.
fn filled_in(
    text: &str,
    serve: &Serve,
    hostname: &str,
    client: SocketAddrV4,
    local: SocketAddrV4,
    request: &Request<'_>,
) -> String {
    let number: String = serve
        .version
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let version = if number.is_empty() { "1" } else { &number };
    let mut filled = text.to_owned();
    for (word, value) in [
        ("{host}", hostname),
        ("{tag}", &serve.version),
        ("{version}", version),
        ("{client}", &client.ip().to_string()),
        ("{address}", &local.to_string()),
        ("{method}", request.method),
        ("{path}", request.path),
        ("{to}", request.host),
        ("{agent}", request.agent),
    ] {
        filled = filled.replace(word, value);
    }
    filled
}

/// agnhost's servers (kubernetes `test/images/agnhost`, netexec and serve-hostname).
fn agnhost(
    cluster: &Cluster,
    serve: &Serve,
    hostname: &str,
    client: SocketAddrV4,
    request: &Request<'_>,
) -> Reply {
    if &*serve.text == "serve-hostname" {
        return Response::text(hostname);
    }
    let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
    match path {
        "/" => Response::text(format!("NOW: {}", cluster.now.rfc3339())),
        "/hostname" => Response::text(hostname),
        "/clientip" => Response::text(client.to_string()),
        "/healthz" => Response::text(""),
        "/echo" => Response::text(query.strip_prefix("msg=").unwrap_or("").replace('+', " ")),
        _ => Reply::Response(Response::new(
            404,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        )),
    }
}

fn whoami(
    hostname: &str,
    client: SocketAddrV4,
    local: SocketAddrV4,
    request: &Request<'_>,
) -> String {
    let mut text = format!(
        "Hostname: {hostname}\nIP: 127.0.0.1\nIP: {}\nRemoteAddr: {client}\n{} {} HTTP/1.1\nHost: {}\nUser-Agent: {}\n",
        local.ip(),
        request.method,
        request.path,
        request.host,
        request.agent
    );
    let accepts = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("accept"));
    if !accepts {
        text.push_str("Accept: */*\n");
    }
    for (name, value) in request.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if !request.body.is_empty() {
        text.push_str(&format!("Content-Length: {}\n", request.body.len()));
    }
    text.push('\n');
    text
}

const NGINX: &str = "<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href=\"http://nginx.org/\">nginx.org</a>.<br/>
Commercial support is available at
<a href=\"http://nginx.com/\">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
";

fn page_answers(server: &str, page: Page, serve: &Serve, request: &Request<'_>) -> Reply {
    let path = request.path.split('?').next().unwrap_or("/");
    let (index, missing) = match page {
        Page::Nginx => (NGINX.to_owned(), format!("<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>{}</center>\r\n</body>\r\n</html>\r\n", serve.software(server))),
        Page::Apache => (
            "<html><body><h1>It works!</h1></body></html>\n".to_owned(),
            "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n<p>The requested URL was not found on this server.</p>\n</body></html>\n".to_owned(),
        ),
        Page::Listing => (
            "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Directory listing for /</title>\n</head>\n<body>\n<h1>Directory listing for /</h1>\n<hr>\n<ul>\n</ul>\n<hr>\n</body>\n</html>\n".to_owned(),
            "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error code: 404</p>\n        <p>Message: File not found.</p>\n    </body>\n</html>\n".to_owned(),
        ),
    };
    let mut response = match path {
        "/" | "/index.html" => Response::new(200, "text/html", index),
        _ => Response::new(404, "text/html", missing),
    };
    response
        .headers
        .insert(0, ("Server", serve.software(server)));
    Reply::Response(response)
}

/// nginx and Apache write a line for each request.
fn log_access(
    cluster: &mut Cluster,
    token: u64,
    serve: &Serve,
    client: SocketAddrV4,
    request: &Request<'_>,
    reply: &Reply,
) {
    let (Server::Page { .. }, Reply::Response(response)) = (serve.answers, reply) else {
        return;
    };
    let Some((node, sandbox, at)) = cluster.container_of(token) else {
        return;
    };
    let (node, uid, now) = (node.clone(), sandbox.uid.clone(), cluster.now);
    let line = format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {} {} \"-\" \"{}\" \"-\"\n",
        client.ip(),
        now.rfc3339(),
        request.method,
        request.path,
        response.status,
        response.body.len(),
        request.agent
    );
    if let Some(container) = cluster
        .sandbox_mut(&node, &uid)
        .and_then(|s| s.containers.get_mut(at))
    {
        container.logs.write(now, false, line.as_bytes());
    }
}

/// What a machine's own server answers; `None` for a container's.
fn machine_answers(
    cluster: &mut Cluster,
    netns: NamespaceId,
    token: u64,
    request: &Request<'_>,
) -> Option<Reply> {
    let path = request.path.split('?').next().unwrap_or("/");
    if let Some(answer) = health::answer(cluster, netns, token, path) {
        if request.tls {
            return Some(Reply::NotTls);
        }
        let body = answer.body.into_bytes();
        let mut headers = answer.headers;
        headers.push(("Date", cluster.now.http_date()));
        headers.push(("Content-Length", body.len().to_string()));
        return Some(Reply::Response(Response {
            status: answer.status,
            headers,
            body,
            stream: None,
        }));
    }
    let https_only = || plain(400, "Client sent an HTTP request to an HTTPS server.\n");
    Some(match token {
        daemon::REGISTRY if request.tls => Reply::NotTls,
        daemon::REGISTRY => match path {
            "/v2/" => Reply::Response(Response::new(200, "application/json", "{}")),
            "/" => plain(200, ""),
            _ => plain(404, "404 page not found\n"),
        },
        daemon::API_SERVER if !request.tls => https_only(),
        daemon::API_SERVER => api_server(cluster, request),
        daemon::KUBELET_HEALTH if request.tls => Reply::NotTls,
        daemon::KUBELET_HEALTH => match path {
            "/healthz" | "/healthz/" => plain(200, "ok"),
            _ => plain(404, "404 page not found\n"),
        },
        daemon::KUBELET if !request.tls => https_only(),
        daemon::KUBELET => match path {
            "/healthz" => plain(200, "ok"),
            path if request.is_api_server => kubelet::answer(cluster, netns, path),
            _ => plain(401, "Unauthorized"),
        },
        _ => return None,
    })
}

/// What the API server answers.
fn api_server(cluster: &mut Cluster, request: &Request<'_>) -> Reply {
    let header = |name: &str| {
        let mut all = request.headers.iter();
        all.find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.as_str())
    };
    let agent = request
        .agent
        .split('/')
        .next()
        .unwrap_or("unknown")
        .to_owned();
    let answer = cluster.answer(
        &Component::Process(agent.as_str().into()),
        &rest::Request {
            method: request.method,
            path: request.path,
            authorization: header("Authorization"),
            content_type: header("Content-Type"),
            accept: header("Accept"),
            agent: &agent,
            body: request.body,
        },
    );
    let mut response = Response::new(answer.code, answer.content_type, answer.body);
    if answer.stream.is_some() {
        // Nobody knows how long it will be.
        response
            .headers
            .retain(|(name, _)| *name != "Content-Length");
        response
            .headers
            .push(("Transfer-Encoding", "chunked".to_owned()));
        response.stream = answer.stream;
    }
    Reply::Response(response)
}
