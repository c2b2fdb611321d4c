//! wget as BusyBox has it (1.37, `networking/wget.c`).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_posix::Files;

use super::dial::{Dial, Dialled, Failure};
use super::http::{self, Reply, Request};
use super::resolve::{Resolve, Resolved};
use super::{Io, Place, Program, Step};
use crate::api::rest::Stream;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(crate) struct Wget {
    host: String,
    port: u16,
    path: String,
    tls: bool,
    quiet: bool,
    spider: bool,
    output: Option<String>,
    timeout: Option<Duration>,
    headers: Vec<(String, String)>,
    post: Option<Vec<u8>>,
    stage: Stage,
    started: Option<Time>,
}

#[derive(Clone, Debug)]
enum Stage {
    Resolving(Resolve),
    Connecting(Dial),
    /// The answer goes on.
    Reading(Box<Stream>),
}

pub(super) fn start(argv: &[String], _: &Place) -> Program {
    let mut wget = Wget {
        host: String::new(),
        port: 80,
        path: "/".to_owned(),
        tls: false,
        quiet: false,
        spider: false,
        output: None,
        timeout: None,
        headers: Vec::new(),
        post: None,
        stage: Stage::Resolving(Resolve::new("")),
        started: None,
    };
    let mut url = None;
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            match name {
                "spider" => wget.spider = true,
                "quiet" => wget.quiet = true,
                "timeout" => {
                    wget.timeout = value
                        .or_else(|| words.next().cloned())
                        .and_then(|v| v.parse().ok())
                        .map(Duration::from_secs)
                }
                "output-document" => wget.output = value.or_else(|| words.next().cloned()),
                "header" => {
                    let line = value.or_else(|| words.next().cloned()).unwrap_or_default();
                    if let Some((name, value)) = line.split_once(':') {
                        wget.headers
                            .push((name.trim().to_owned(), value.trim().to_owned()));
                    }
                }
                "post-data" => {
                    wget.post = value
                        .or_else(|| words.next().cloned())
                        .map(String::into_bytes)
                }
                "tries" | "no-check-certificate" | "server-response" | "user-agent" => {}
                _ => {
                    return Program::Say {
                        out: String::new(),
                        err: format!("wget: unrecognized option: {name}\n"),
                        status: 1,
                    };
                }
            }
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            url = Some(word.clone());
            continue;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let mut value = || {
                let tail = rest.as_str().to_owned();
                rest = "".chars();
                if tail.is_empty() {
                    words.next().cloned()
                } else {
                    Some(tail)
                }
            };
            match letter {
                'q' => wget.quiet = true,
                'O' => wget.output = value(),
                'T' => {
                    wget.timeout = value()
                        .and_then(|v| v.parse().ok())
                        .map(Duration::from_secs)
                }
                't' | 'U' | 'P' | 'Y' | 'o' => drop(value()),
                _ => {}
            }
        }
    }
    let Some(url) = url else {
        return Program::Say { out: String::new(), err: "BusyBox v1.37.0 multi-call binary.\n\nUsage: wget [-cqS] [--spider] [-O FILE] [-T SEC] URL...\n".to_owned(), status: 1 };
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    wget.tls = scheme == "https";
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    wget.path = format!("/{path}");
    let (host, port) = authority
        .rsplit_once(':')
        .unwrap_or((authority, if wget.tls { "443" } else { "80" }));
    let Ok(port) = port.parse() else {
        return Program::Say {
            out: String::new(),
            err: format!("wget: bad port spec '{authority}'\n"),
            status: 1,
        };
    };
    wget.host = host.to_owned();
    wget.port = port;
    wget.stage = Stage::Resolving(Resolve::new(host));
    Program::Wget(Box::new(wget))
}

impl Wget {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        let start = *self.started.get_or_insert(io.now);
        let end = self.timeout.map(|t| start + t);
        loop {
            if end.is_some_and(|end| io.now >= end) {
                io.err("wget: download timed out\n");
                return Step::Exit(1);
            }
            match &mut self.stage {
                Stage::Resolving(resolve) => match resolve.step(io) {
                    Resolved::Addresses(addresses) => {
                        let first = addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                        let target = SocketAddrV4::new(first, self.port);
                        if !self.quiet {
                            io.err(format!(
                                "Connecting to {} ({target})\n",
                                authority(&self.host, self.port)
                            ));
                        }
                        self.stage = Stage::Connecting(Dial::tcp(target, None));
                    }
                    Resolved::Failed => {
                        io.err(format!(
                            "wget: bad address '{}'\n",
                            authority(&self.host, self.port)
                        ));
                        return Step::Exit(1);
                    }
                    Resolved::Later(at) => return Step::Wait(Some(end.map_or(at, |e| e.min(at)))),
                },
                Stage::Reading(stream) => {
                    let text = stream.take(io.cluster);
                    if !text.is_empty() {
                        self.started = Some(io.now);
                    }
                    let (over, next) = (stream.is_over(io.cluster), stream.next_look(io.cluster));
                    return match self.keep(io, text.as_bytes(), true) {
                        Err(step) => step,
                        Ok(()) if over || io.cluster.is_api_server_down() => Step::Exit(0),
                        Ok(()) => Step::Wait(Some(end.map_or(next, |e| e.min(next)))),
                    };
                }
                Stage::Connecting(dial) => match dial.step(io, end) {
                    Dialled::Done(connection) => return self.exchange(io, &connection),
                    Dialled::Later(at) => return Step::Wait(Some(at)),
                    Dialled::Failed(failure) => {
                        let why = match failure {
                            Failure::Refused => "Connection refused",
                            Failure::Unreachable => "No route to host",
                            Failure::Timeout => "Operation timed out",
                        };
                        io.err(format!(
                            "wget: can't connect to remote host ({}): {why}\n",
                            dial.target.ip()
                        ));
                        return Step::Exit(1);
                    }
                },
            }
        }
    }

    fn exchange(&mut self, io: &mut Io<'_>, connection: &kubarium_linux::Connection) -> Step {
        let host = authority(&self.host, self.port);
        let method = if self.spider {
            "HEAD"
        } else if self.post.is_some() {
            "POST"
        } else {
            "GET"
        };
        let body = self.post.clone().unwrap_or_default();
        let request = Request {
            method,
            path: &self.path,
            host: &host,
            tls: self.tls,
            agent: "Wget",
            headers: &self.headers,
            body: &body,
            hops: 0,
            is_api_server: false,
        };
        let response = match http::ask(io.cluster, connection, &request) {
            Reply::Response(response) => response,
            Reply::Nothing => {
                io.err("wget: error getting response: Connection reset by peer\n");
                return Step::Exit(1);
            }
            Reply::Stalled => {
                io.err("wget: download timed out\n");
                return Step::Exit(1);
            }
            Reply::Garbage | Reply::NotTls => {
                io.err("wget: error getting response\n");
                return Step::Exit(1);
            }
        };
        if response.status >= 400 {
            io.err(format!(
                "wget: server returned error: HTTP/1.1 {} {}\n",
                response.status,
                response.reason()
            ));
            return Step::Exit(1);
        }
        if self.spider {
            if !self.quiet {
                io.err("remote file exists\n");
            }
            return Step::Exit(0);
        }
        if let Err(step) = self.keep(io, &response.body, false) {
            return step;
        }
        match response.stream {
            Some(stream) => {
                let next = stream.next_look(io.cluster);
                self.stage = Stage::Reading(stream);
                Step::Wait(Some(next))
            }
            None => Step::Exit(0),
        }
    }

    /// Writes what has come to where it is wanted.
    fn keep(&self, io: &mut Io<'_>, bytes: &[u8], goes_on: bool) -> Result<(), Step> {
        let name = self
            .path
            .rsplit('/')
            .next()
            .filter(|n| !n.is_empty())
            .unwrap_or("index.html");
        match self.output.as_deref().unwrap_or(name) {
            "-" => io.out(bytes),
            "/dev/null" => {}
            file => {
                let path = if file.starts_with('/') {
                    file.to_owned()
                } else {
                    format!("/{file}")
                };
                if let Err(error) = io.files.write(&path, bytes, goes_on) {
                    io.err(format!("wget: can't open '{file}': {error}\n"));
                    return Err(Step::Exit(1));
                }
                if !self.quiet && !goes_on {
                    io.err(format!("saving to '{file}'\n'{file}' saved\n"));
                }
            }
        }
        Ok(())
    }
}

fn authority(host: &str, port: u16) -> String {
    match port {
        80 | 443 => host.to_owned(),
        port => format!("{host}:{port}"),
    }
}
