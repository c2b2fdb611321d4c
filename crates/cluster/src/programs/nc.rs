//! nc and telnet: whether a port answers, what it says, and a small server.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::{Connect, Protocol, Verdict};

use super::dial::{Dial, Dialled, Failure};
use super::http::{self, Reply, Request};
use super::resolve::{Resolve, Resolved};
use super::{Io, Place, Program, Step};
use crate::time::Time;

#[derive(Clone, Debug)]
pub(crate) struct Nc {
    host: String,
    port: u16,
    udp: bool,
    scan: bool,
    verbose: bool,
    wait: Option<Duration>,
    listen: bool,
    stdin: Vec<u8>,
    resolve: Resolve,
    dial: Option<Dial>,
    started: Option<Time>,
}

pub(super) fn start(argv: &[String], stdin: &[u8], _: &Place) -> Program {
    let mut nc = Nc {
        host: String::new(),
        port: 0,
        udp: false,
        scan: false,
        verbose: false,
        wait: None,
        listen: false,
        stdin: stdin.to_vec(),
        resolve: Resolve::new(""),
        dial: None,
        started: None,
    };
    let mut others = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            others.push(word.clone());
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
                'u' => nc.udp = true,
                'z' => nc.scan = true,
                'v' => nc.verbose = true,
                'l' => nc.listen = true,
                'w' => {
                    nc.wait = value()
                        .and_then(|v| v.parse().ok())
                        .map(Duration::from_secs)
                }
                'p' => nc.port = value().and_then(|v| v.parse().ok()).unwrap_or(0),
                's' | 'e' | 'i' | 'q' | 'c' => drop(value()),
                _ => {}
            }
        }
    }
    if nc.listen {
        if let Some(port) = others
            .last()
            .and_then(|p| p.parse().ok())
            .filter(|_| nc.port == 0)
        {
            nc.port = port;
        }
        return Program::Nc(Box::new(nc));
    }
    let [host, port] = others.as_slice() else {
        return Program::Say {
            out: String::new(),
            err: "BusyBox v1.37.0 multi-call binary.\n\nUsage: nc [OPTIONS] HOST PORT\n".to_owned(),
            status: 1,
        };
    };
    let Ok(port) = port.parse() else {
        return Program::Say {
            out: String::new(),
            err: format!("nc: bad port '{port}'\n"),
            status: 1,
        };
    };
    nc.host.clone_from(host);
    nc.port = port;
    nc.resolve = Resolve::new(host);
    Program::Nc(Box::new(nc))
}

impl Nc {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        let start = *self.started.get_or_insert(io.now);
        if self.listen {
            return self.serve(io);
        }
        let end = self.wait.map(|w| start + w);
        loop {
            if end.is_some_and(|end| io.now >= end) {
                return self.fail(io, "Operation timed out");
            }
            let Some(dial) = &mut self.dial else {
                match self.resolve.step(io) {
                    Resolved::Addresses(found) => {
                        let address = found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                        self.dial = Some(Dial::tcp(SocketAddrV4::new(address, self.port), None));
                        continue;
                    }
                    Resolved::Failed => {
                        io.err(format!("nc: bad address '{}'\n", self.host));
                        return Step::Exit(1);
                    }
                    Resolved::Later(at) => return Step::Wait(Some(end.map_or(at, |e| e.min(at)))),
                }
            };
            if self.udp {
                let target = dial.target;
                return self.datagram(io, target);
            }
            match dial.step(io, end) {
                Dialled::Done(connection) => {
                    let target = dial.target;
                    return self.talk(io, target, &connection);
                }
                Dialled::Later(at) => return Step::Wait(Some(at)),
                Dialled::Failed(failure) => {
                    let why = match failure {
                        Failure::Refused => "Connection refused",
                        Failure::Unreachable => "No route to host",
                        Failure::Timeout => "Operation timed out",
                    };
                    return self.fail(io, why);
                }
            }
        }
    }

    fn fail(&self, io: &mut Io<'_>, why: &str) -> Step {
        let target = self
            .dial
            .as_ref()
            .map_or(Ipv4Addr::UNSPECIFIED, |d| *d.target.ip());
        if self.verbose || !self.scan {
            io.err(format!(
                "nc: {} ({target}:{}): {why}\n",
                self.host, self.port
            ));
        }
        Step::Exit(1)
    }

    fn talk(
        &self,
        io: &mut Io<'_>,
        target: SocketAddrV4,
        connection: &kubarium_linux::Connection,
    ) -> Step {
        if self.verbose {
            io.err(format!("{} ({target}) open\n", self.host));
        }
        let hang_up = |io: &mut Io<'_>, said: &[u8]| {
            let said = kubarium_linux::Payload::from(said.to_vec());
            io.cluster
                .converse(connection, said, kubarium_linux::Payload::default());
        };
        if self.scan {
            hang_up(io, &[]);
            return Step::Exit(0);
        }
        let text = String::from_utf8_lossy(&self.stdin).into_owned();
        let mut words = text.lines().next().unwrap_or("").split_whitespace();
        if let (Some(method @ ("GET" | "HEAD" | "POST")), Some(path)) = (words.next(), words.next())
        {
            let request = Request {
                method,
                path,
                host: &self.host,
                tls: false,
                agent: "",
                headers: &[],
                body: &[],
                hops: 0,
                is_api_server: false,
            };
            if let Reply::Response(response) = http::ask(io.cluster, connection, &request) {
                io.out(response.head());
                io.out(&response.body);
            }
        } else {
            hang_up(io, &self.stdin);
        }
        Step::Exit(0)
    }

    fn datagram(&self, io: &mut Io<'_>, target: SocketAddrV4) -> Step {
        let timeout = kubarium_linux::Time(
            u64::try_from(self.wait.unwrap_or(Duration::from_secs(1)).as_nanos())
                .unwrap_or(u64::MAX),
        );
        let length = u32::try_from(self.stdin.len()).unwrap_or(1).clamp(1, 1400);
        let connect = Connect {
            protocol: Protocol::UDP,
            request: length,
            timeout,
            ..Connect::udp(io.place.netns, target)
        };
        let connection = io.cluster.send(&connect, io.now);
        match connection.verdict {
            Verdict::Connected => {
                if let Some((_, token)) = connection.server
                    && let Some((serve, hostname)) = http::listening(
                        io.cluster,
                        token,
                        connection.server_address.map_or(0, |a| a.port()),
                    )
                    && serve.answers == crate::images::Server::Echo
                    && let Some(client) = connection.seen_source
                {
                    io.out(format!("{hostname} client={client}"));
                }
                Step::Exit(0)
            }
            Verdict::Refused => self.fail(io, "Connection refused"),
            // A datagram that nobody answers counts as sent.
            _ => Step::Exit(i32::from(connection.verdict != Verdict::Timeout)),
        }
    }

    /// `nc -l`: waits for somebody; what it is told is not simulated, so it goes on waiting.
    fn serve(&self, io: &mut Io<'_>) -> Step {
        let protocol = if self.udp {
            Protocol::UDP
        } else {
            Protocol::TCP
        };
        let token = io.place.token;
        if token != 0
            && io
                .cluster
                .net
                .listen(
                    io.place.netns,
                    protocol,
                    Ipv4Addr::UNSPECIFIED,
                    self.port,
                    token,
                )
                .is_err()
        {
            let own = io.cluster.net.namespace(io.place.netns).is_some_and(|ns| {
                ns.listeners()
                    .iter()
                    .any(|l| l.token == token && l.port == self.port)
            });
            if !own {
                io.err("nc: bind: Address already in use\n");
                return Step::Exit(1);
            }
        }
        Step::Wait(None)
    }
}
