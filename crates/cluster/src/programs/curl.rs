//! curl (8.x): its usual options, messages and exit codes (`curl.1`).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_posix::Files;

use super::dial::{Dial, Dialled, Failure};
use super::http::{self, Reply, Request, Response};
use super::resolve::{Resolve, Resolved};
use super::{Io, Program, Step};
use crate::time::Time;

const VERSION: &str = "8.14.1";

/// One run of curl.
#[derive(Clone, Debug)]
pub(crate) struct Curl {
    options: Options,
    /// The URLs that are left; the first is being fetched.
    urls: Vec<Url>,
    stage: Stage,
    started: Option<Time>,
    status: i32,
}

#[derive(Clone, Debug, Default)]
struct Options {
    silent: bool,
    show_errors: bool,
    verbose: bool,
    include: bool,
    head: bool,
    insecure: bool,
    /// The file with the authorities to trust.
    ca_file: Option<String>,
    fail: bool,
    output: Option<String>,
    remote_name: bool,
    write_out: Option<String>,
    max_time: Option<Duration>,
    connect_timeout: Option<Duration>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    has_body: bool,
    local_port: Option<u16>,
    agent: Option<String>,
    resolve: Vec<(String, u16, Ipv4Addr)>,
}

#[derive(Clone, Debug)]
struct Url {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Debug)]
enum Stage {
    New,
    Resolving(Resolve),
    /// Connecting to the first of these.
    Connecting {
        addresses: Vec<Ipv4Addr>,
        dial: Dial,
    },
    /// The answer goes on.
    Reading(Box<Response>),
}

fn say(status: i32, err: String) -> Program {
    Program::Say {
        out: String::new(),
        err,
        status,
    }
}

/// Seconds, with a fraction.
fn seconds(text: &str) -> Option<Duration> {
    let value: f64 = text.parse().ok()?;
    (0.0..1e9)
        .contains(&value)
        .then(|| Duration::from_secs_f64(value))
}

/// Reads the command line.
pub(super) fn start(argv: &[String], stdin: &[u8]) -> Program {
    let mut options = Options::default();
    let mut urls = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            urls.push(word.clone());
            continue;
        }
        let long = word.strip_prefix("--");
        let mut letters: Vec<String> = match long {
            Some(name) => vec![name.to_owned()],
            None => word.chars().skip(1).map(String::from).collect(),
        };
        letters.reverse();
        while let Some(letter) = letters.pop() {
            let name = if long.is_some() {
                letter
            } else {
                long_name(&letter)
            };
            // The rest of a word of letters is the value of a letter that takes one.
            let mut value = || -> Option<String> {
                if letters.is_empty() {
                    return words.next().cloned();
                }
                letters.reverse();
                Some(std::mem::take(&mut letters).concat())
            };
            match set(&mut options, &mut urls, &name, &mut value, stdin) {
                Ok(()) => {}
                Err(why) => {
                    return say(
                        2,
                        format!(
                            "curl: option {word}: {why}\ncurl: try 'curl --help' or 'curl --manual' for more information\n"
                        ),
                    );
                }
            }
        }
    }
    if urls.is_empty() {
        return say(2, "curl: (2) no URL specified\n".to_owned());
    }
    let mut parsed = Vec::new();
    for url in &urls {
        match parse(url) {
            Ok(url) => parsed.push(url),
            Err((status, why)) => return say(status, format!("curl: ({status}) {why}\n")),
        }
    }
    parsed.reverse();
    Program::Curl(Box::new(Curl {
        options,
        urls: parsed,
        stage: Stage::New,
        started: None,
        status: 0,
    }))
}

fn long_name(letter: &str) -> String {
    match letter {
        "s" => "silent",
        "S" => "show-error",
        "v" => "verbose",
        "o" => "output",
        "O" => "remote-name",
        "w" => "write-out",
        "m" => "max-time",
        "I" => "head",
        "i" => "include",
        "k" => "insecure",
        "H" => "header",
        "X" => "request",
        "d" => "data",
        "L" => "location",
        "f" => "fail",
        "A" => "user-agent",
        "4" => "ipv4",
        "g" => "globoff",
        "N" => "no-buffer",
        "u" => "user",
        "b" => "cookie",
        "e" => "referer",
        "x" => "proxy",
        "q" => "disable",
        "#" => "progress-bar",
        other => other,
    }
    .to_owned()
}

fn set(
    options: &mut Options,
    urls: &mut Vec<String>,
    name: &str,
    value: &mut dyn FnMut() -> Option<String>,
    stdin: &[u8],
) -> Result<(), String> {
    let mut needed = || value().ok_or_else(|| "requires parameter".to_owned());
    match name {
        "silent" => options.silent = true,
        "show-error" => options.show_errors = true,
        "verbose" => options.verbose = true,
        "include" | "show-headers" => options.include = true,
        "head" => options.head = true,
        "insecure" => options.insecure = true,
        "fail" | "fail-with-body" => options.fail = true,
        "location" | "ipv4" | "globoff" | "no-buffer" | "disable" | "progress-bar" | "http1.1"
        | "http1.0" | "compressed" | "no-keepalive" | "no-progress-meter" | "fail-early"
        | "http2" => {}
        "remote-name" => options.remote_name = true,
        "output" => options.output = Some(needed()?),
        "write-out" => options.write_out = Some(needed()?),
        "max-time" => options.max_time = Some(number(&needed()?)?),
        "connect-timeout" => options.connect_timeout = Some(number(&needed()?)?),
        "request" => options.method = Some(needed()?),
        "header" => {
            let line = needed()?;
            if let Some((name, value)) = line.split_once(':') {
                options
                    .headers
                    .push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        "data" | "data-raw" | "data-binary" | "json" => {
            let given = needed()?;
            if options.has_body {
                options.body.push(b'&');
            }
            options.has_body = true;
            match given.strip_prefix('@') {
                Some("-") => options.body.extend_from_slice(stdin),
                _ => options.body.extend_from_slice(given.as_bytes()),
            }
            let kind = if name == "json" {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            };
            if !options
                .headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
            {
                options
                    .headers
                    .push(("Content-Type".to_owned(), kind.to_owned()));
            }
        }
        "user-agent" => options.agent = Some(needed()?),
        "local-port" => {
            let text = needed()?;
            let first = text.split('-').next().unwrap_or("");
            options.local_port = Some(
                first
                    .parse()
                    .map_err(|_| "expected a proper numerical parameter".to_owned())?,
            );
        }
        "resolve" => {
            let text = needed()?;
            let parts: Vec<&str> = text.trim_start_matches('+').splitn(3, ':').collect();
            if let [host, port, address] = parts.as_slice()
                && let (Ok(port), Ok(address)) = (port.parse(), address.parse())
            {
                options.resolve.push(((*host).to_owned(), port, address));
            }
        }
        "url" => urls.push(needed()?),
        "cacert" => options.ca_file = Some(needed()?),
        "user" | "cookie" | "referer" | "proxy" | "cert" | "key" | "retry" | "retry-delay"
        | "interface" | "noproxy" | "max-redirs" | "form" | "dns-servers" | "keepalive-time"
        | "retry-max-time" => {
            needed()?;
        }
        _ => return Err("is unknown".to_owned()),
    }
    Ok(())
}

fn number(text: &str) -> Result<Duration, String> {
    seconds(text).ok_or_else(|| "expected a proper numerical parameter".to_owned())
}

fn parse(text: &str) -> Result<Url, (i32, String)> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        other => return Err((1, format!("Protocol \"{other}\" not supported"))),
    };
    let malformed = || {
        (
            3,
            "URL rejected: Malformed input to a URL function".to_owned(),
        )
    };
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse().map_err(|_| {
                (
                    3,
                    "URL rejected: Port number was not a decimal number between 0 and 65535"
                        .to_owned(),
                )
            })?,
        ),
        None => (authority, if tls { 443 } else { 80 }),
    };
    if host.is_empty() {
        return Err((3, "URL rejected: No host part in the URL".to_owned()));
    }
    if host.contains([' ', '"', '<', '>']) || host.len() > 255 {
        return Err(malformed());
    }
    let path = path.split('#').next().unwrap_or("");
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(Url {
        tls,
        host: host.to_owned(),
        port,
        path,
    })
}

impl Curl {
    fn end(&self) -> Option<Time> {
        self.started
            .zip(self.options.max_time)
            .map(|(start, max)| start + max)
    }

    fn connect_end(&self) -> Option<Time> {
        let connect = self
            .started
            .zip(self.options.connect_timeout)
            .map(|(start, max)| start + max);
        self.end().into_iter().chain(connect).min()
    }

    fn elapsed(&self, io: &Io<'_>) -> Duration {
        self.started
            .map_or(Duration::ZERO, |start| io.now.since(start))
    }

    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        loop {
            let Some(url) = self.urls.last().cloned() else {
                return Step::Exit(self.status);
            };
            let done = match self.fetch(io, &url) {
                Ok(Some(at)) => return Step::Wait(Some(at)),
                Ok(None) => Ok(()),
                Err((status, why)) => Err((status, why)),
            };
            match done {
                Ok(()) => {}
                Err((status, why)) => {
                    self.status = status;
                    if !self.options.silent || self.options.show_errors {
                        io.err(format!("curl: ({status}) {why}\n"));
                    }
                    if self.options.write_out.is_some() {
                        self.write_out(io, None, None);
                    }
                }
            }
            self.urls.pop();
            self.stage = Stage::New;
            self.started = None;
        }
    }

    /// Goes on with one URL: `Some(t)` to wait, `None` when it is done.
    fn fetch(&mut self, io: &mut Io<'_>, url: &Url) -> Result<Option<Time>, (i32, String)> {
        self.started.get_or_insert(io.now);
        let late = |curl: &Curl, io: &Io<'_>| curl.connect_end().is_some_and(|end| io.now >= end);
        loop {
            match &mut self.stage {
                Stage::Reading(response) => {
                    let mut response = response.clone();
                    let next = self.read_on(io, url, &mut response);
                    self.stage = Stage::Reading(response);
                    return next;
                }
                Stage::New => {
                    let given = self.options.resolve.iter().find(|(host, port, _)| {
                        (host == "*" || *host == url.host) && *port == url.port
                    });
                    self.stage = match given {
                        Some((_, _, address)) => {
                            connecting(vec![*address], url, self.options.local_port)
                        }
                        None => Stage::Resolving(Resolve::new(&url.host)),
                    };
                }
                Stage::Resolving(resolve) => match resolve.step(io) {
                    Resolved::Addresses(addresses) => {
                        let text: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                        if url.host.parse::<Ipv4Addr>().is_err() {
                            self.note(
                                io,
                                &format!(
                                    "Host {}:{} was resolved.\n* IPv6: (none)\n* IPv4: {}",
                                    url.host,
                                    url.port,
                                    text.join(", ")
                                ),
                            );
                        }
                        self.stage = connecting(addresses, url, self.options.local_port);
                    }
                    Resolved::Failed => {
                        self.note(io, &format!("Could not resolve host: {}", url.host));
                        return Err((6, format!("Could not resolve host: {}", url.host)));
                    }
                    Resolved::Later(at) => {
                        if late(self, io) {
                            let ms = self.elapsed(io).as_millis();
                            return Err((
                                28,
                                format!("Resolving timed out after {ms} milliseconds"),
                            ));
                        }
                        // The answer is waited for until the time is up.
                        let end = self.connect_end().unwrap_or(at);
                        return Ok(Some(at.min(end)));
                    }
                },
                Stage::Connecting { addresses, dial } => {
                    let (target, first) = (dial.target, addresses.clone());
                    let mut dial = dial.clone();
                    if late(self, io) {
                        let ms = self.elapsed(io).as_millis() + 1;
                        return Err((28, format!("Connection timed out after {ms} milliseconds")));
                    }
                    self.note(io, &format!("  Trying {target}..."));
                    match dial.step(io, self.connect_end()) {
                        Dialled::Done(connection) => {
                            self.note(
                                io,
                                &format!(
                                    "Connected to {} ({}) port {}",
                                    url.host,
                                    target.ip(),
                                    url.port
                                ),
                            );
                            let Some(response) = self.exchange(io, url, &connection)? else {
                                return Ok(None);
                            };
                            self.stage = Stage::Reading(response);
                        }
                        Dialled::Later(at) => {
                            self.stage = Stage::Connecting {
                                addresses: first,
                                dial,
                            };
                            return Ok(Some(at));
                        }
                        Dialled::Failed(failure) => {
                            let rest = first.get(1..).unwrap_or_default().to_vec();
                            if !rest.is_empty() {
                                self.stage = connecting(rest, url, self.options.local_port);
                                continue;
                            }
                            let ms = self.elapsed(io).as_millis();
                            let status = if failure == Failure::Timeout { 28 } else { 7 };
                            let why = format!(
                                "Failed to connect to {} port {} after {ms} ms: Couldn't connect to server",
                                url.host, url.port
                            );
                            self.note(io, &why);
                            return Err((status, why));
                        }
                    }
                }
            }
        }
    }

    /// Takes what has come of an answer that goes on: when to look again, `None` at its end.
    fn read_on(
        &self,
        io: &mut Io<'_>,
        url: &Url,
        response: &mut Response,
    ) -> Result<Option<Time>, (i32, String)> {
        let Some(stream) = &mut response.stream else {
            return Ok(None);
        };
        let text = stream.take(io.cluster);
        response.body.extend_from_slice(text.as_bytes());
        self.keep(io, url, text.as_bytes(), true)?;
        if io.cluster.is_api_server_down() {
            let why = "transfer closed with outstanding read data remaining";
            return Err((18, why.to_owned()));
        }
        if stream.is_over(io.cluster) {
            self.write_out(io, Some(response), None);
            return Ok(None);
        }
        let end = self.end();
        if end.is_some_and(|end| io.now >= end) {
            let (ms, count) = (self.elapsed(io).as_millis(), response.body.len());
            return Err((
                28,
                format!("Operation timed out after {ms} milliseconds with {count} bytes received"),
            ));
        }
        let next = stream.next_look(io.cluster);
        Ok(Some(end.map_or(next, |end| next.min(end))))
    }

    fn note(&self, io: &mut Io<'_>, text: &str) {
        if self.options.verbose {
            io.err(format!("* {text}\n"));
        }
    }

    fn exchange(
        &mut self,
        io: &mut Io<'_>,
        url: &Url,
        connection: &kubarium_linux::Connection,
    ) -> Result<Option<Box<Response>>, (i32, String)> {
        let options = &self.options;
        let default = if options.head {
            "HEAD"
        } else if options.has_body {
            "POST"
        } else {
            "GET"
        };
        let method = options.method.clone().unwrap_or_else(|| default.to_owned());
        let agent = options
            .agent
            .clone()
            .unwrap_or_else(|| format!("curl/{VERSION}"));
        let standard = if url.tls { 443 } else { 80 };
        let host = match options
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            Some((_, host)) => host.clone(),
            None if url.port == standard => url.host.clone(),
            None => format!("{}:{}", url.host, url.port),
        };
        let trusted = options.ca_file.as_ref().is_some_and(|path| {
            let root = io
                .cluster
                .find("configmaps", "kube-system", "kube-root-ca.crt");
            let root = root.map_or("", |map| map["data"]["ca.crt"].str());
            !root.is_empty() && io.files.text(path).trim() == root.trim()
        });
        if url.tls && !options.insecure && !trusted && self.server_speaks_tls(io, connection) {
            return Err((60, "SSL certificate problem: unable to get local issuer certificate\nMore details here: https://curl.se/docs/sslcerts.html\n\ncurl failed to verify the legitimacy of the server and therefore could not\nestablish a secure connection to it. To learn more about this situation and\nhow to fix it, please visit the webpage mentioned above.".to_owned()));
        }
        if options.verbose {
            let mut text = format!(
                "> {method} {} HTTP/1.1\n> Host: {host}\n> User-Agent: {agent}\n> Accept: */*\n",
                url.path
            );
            for (name, value) in options
                .headers
                .iter()
                .filter(|(n, _)| !n.eq_ignore_ascii_case("host"))
            {
                text.push_str(&format!("> {name}: {value}\n"));
            }
            if options.has_body {
                text.push_str(&format!("> Content-Length: {}\n", options.body.len()));
            }
            io.err(format!("{text}> \n* Request completely sent off\n"));
        }
        let request = Request {
            method: &method,
            path: &url.path,
            host: &host,
            tls: url.tls,
            agent: &agent,
            headers: &options.headers,
            body: &options.body,
            hops: 0,
            is_api_server: false,
        };
        match http::ask(io.cluster, connection, &request) {
            Reply::Response(response) => {
                self.show(io, url, connection, &response)?;
                let goes_on = response.stream.is_some() && !self.options.head;
                Ok(goes_on.then(|| Box::new(response)))
            }
            Reply::Nothing => Err((52, "Empty reply from server".to_owned())),
            Reply::Stalled => {
                let ms = self
                    .options
                    .max_time
                    .unwrap_or(Duration::from_secs(300))
                    .as_millis();
                Err((
                    28,
                    format!("Operation timed out after {ms} milliseconds with 0 bytes received"),
                ))
            }
            Reply::Garbage if url.tls => Err((
                35,
                "TLS connect error: error:0A00010B:SSL routines::wrong version number".to_owned(),
            )),
            Reply::Garbage => Err((1, "Received HTTP/0.9 when not allowed".to_owned())),
            Reply::NotTls => Err((
                35,
                "TLS connect error: error:0A00010B:SSL routines::wrong version number".to_owned(),
            )),
        }
    }

    fn server_speaks_tls(&self, io: &Io<'_>, connection: &kubarium_linux::Connection) -> bool {
        use crate::machine::daemon;
        let port = connection
            .server_address
            .map_or(0, |address| address.port());
        connection.server.is_some_and(|(_, token)| {
            matches!(token, daemon::API_SERVER | daemon::KUBELET)
                || port == 443
                    && http::listening(io.cluster, token, port).is_some_and(|(serve, _)| {
                        matches!(serve.answers, crate::images::Server::Ingress(_))
                    })
        })
    }

    fn show(
        &mut self,
        io: &mut Io<'_>,
        url: &Url,
        connection: &kubarium_linux::Connection,
        response: &Response,
    ) -> Result<(), (i32, String)> {
        let head = response.head();
        if self.options.verbose {
            let text: String = head.lines().map(|l| format!("< {l}\n")).collect();
            io.err(format!(
                "{text}* Connection #0 to host {} left intact\n",
                url.host
            ));
        }
        if self.options.fail && response.status >= 400 {
            self.write_out(io, Some(response), connection.server_address);
            return Err((
                22,
                format!("The requested URL returned error: {}", response.status),
            ));
        }
        let mut bytes = Vec::new();
        if self.options.include || self.options.head {
            bytes.extend_from_slice(head.as_bytes());
        }
        if !self.options.head {
            bytes.extend_from_slice(&response.body);
        }
        self.keep(io, url, &bytes, false)?;
        if response.stream.is_none() {
            self.write_out(io, Some(response), connection.server_address);
        }
        Ok(())
    }

    /// Writes what has come to where it is wanted, behind what is there already if it goes on.
    fn keep(
        &self,
        io: &mut Io<'_>,
        url: &Url,
        bytes: &[u8],
        goes_on: bool,
    ) -> Result<(), (i32, String)> {
        let file = match (&self.options.output, self.options.remote_name) {
            (Some(file), _) => Some(file.clone()),
            (None, true) => url
                .path
                .rsplit('/')
                .next()
                .filter(|n| !n.is_empty())
                .map(str::to_owned),
            (None, false) => None,
        };
        match file.as_deref() {
            None | Some("-") => io.out(bytes),
            Some("/dev/null") => {}
            Some(file) => {
                let path = if file.starts_with('/') {
                    file.to_owned()
                } else {
                    format!("/{file}")
                };
                if io.files.write(&path, bytes, goes_on).is_err() {
                    return Err((
                        23,
                        format!(
                            "Failure writing output to destination, passed {} returned 0",
                            bytes.len()
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn write_out(
        &self,
        io: &mut Io<'_>,
        response: Option<&Response>,
        server: Option<SocketAddrV4>,
    ) {
        let Some(format) = &self.options.write_out else {
            return;
        };
        let total = self.elapsed(io).as_micros();
        let time = format!("{}.{:06}", total / 1_000_000, total % 1_000_000);
        let mut out = format
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\r", "\r");
        let url = self.urls.last();
        for (name, value) in [
            (
                "http_code",
                response.map_or("000".to_owned(), |r| r.status.to_string()),
            ),
            (
                "response_code",
                response.map_or("000".to_owned(), |r| r.status.to_string()),
            ),
            (
                "size_download",
                response.map_or(0, |r| r.body.len()).to_string(),
            ),
            (
                "remote_ip",
                server.map_or(String::new(), |s| s.ip().to_string()),
            ),
            (
                "remote_port",
                server.map_or("0".to_owned(), |s| s.port().to_string()),
            ),
            (
                "content_type",
                response
                    .and_then(|r| r.headers.iter().find(|(n, _)| *n == "Content-Type"))
                    .map_or(String::new(), |(_, v)| v.clone()),
            ),
            (
                "url_effective",
                url.map_or(String::new(), |u| {
                    format!(
                        "{}://{}{}",
                        if u.tls { "https" } else { "http" },
                        u.host,
                        u.path
                    )
                }),
            ),
            ("time_total", time.clone()),
            ("time_connect", time.clone()),
            ("time_namelookup", time.clone()),
            ("time_starttransfer", time.clone()),
            ("exitcode", self.status.to_string()),
            ("num_redirects", "0".to_owned()),
        ] {
            out = out.replace(&format!("%{{{name}}}"), &value);
        }
        io.out(out.replace("%%", "%"));
    }
}

fn connecting(addresses: Vec<Ipv4Addr>, url: &Url, local_port: Option<u16>) -> Stage {
    let address = addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
    Stage::Connecting {
        addresses,
        dial: Dial::tcp(SocketAddrV4::new(address, url.port), local_port),
    }
}
