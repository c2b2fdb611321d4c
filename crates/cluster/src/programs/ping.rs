//! ping and traceroute as BusyBox has them (1.37, `networking/ping.c`, `networking/traceroute.c`).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::{Connect, Connection, Protocol, Verdict};

use super::resolve::{Resolve, Resolved};
use super::{Io, Program, Step};
use crate::time::Time;

#[derive(Clone, Debug)]
pub(crate) struct Ping {
    host: String,
    count: Option<u32>,
    wait: Duration,
    interval: Duration,
    size: u32,
    deadline: Option<Duration>,
    quiet: bool,
    resolve: Resolve,
    address: Option<Ipv4Addr>,
    started: Time,
    sent: u32,
    received: u32,
    times: Vec<u64>,
    /// The last one was sent and is waited for until then.
    pending: Option<Time>,
}

fn usage(err: &str) -> Program {
    Program::Say {
        out: String::new(),
        err: err.to_owned(),
        status: 1,
    }
}

/// Splits a command line into options with their values and the other words.
fn options(argv: &[String], with_value: &str) -> (Vec<(char, String)>, Vec<String>) {
    let mut options = Vec::new();
    let mut others = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            others.push(word.clone());
            continue;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if !with_value.contains(letter) {
                options.push((letter, String::new()));
                continue;
            }
            let tail = rest.as_str().to_owned();
            let value = if tail.is_empty() {
                words.next().cloned().unwrap_or_default()
            } else {
                tail
            };
            options.push((letter, value));
            break;
        }
    }
    (options, others)
}

pub(super) fn start(argv: &[String]) -> Program {
    let (options, others) = options(argv, "cswWiItm");
    let Some(host) = others.first() else {
        return usage("BusyBox v1.37.0 multi-call binary.\n\nUsage: ping [OPTIONS] HOST\n");
    };
    let mut ping = Ping {
        host: host.clone(),
        count: None,
        wait: Duration::from_secs(10),
        interval: Duration::from_secs(1),
        size: 56,
        deadline: None,
        quiet: false,
        resolve: Resolve::new(host),
        address: None,
        started: Time::default(),
        sent: 0,
        received: 0,
        times: Vec::new(),
        pending: None,
    };
    for (letter, value) in options {
        let number = value.parse::<f64>().ok().filter(|n| (0.0..1e6).contains(n));
        match (letter, number) {
            ('c', Some(n)) => ping.count = Some(n as u32),
            ('W', Some(n)) => ping.wait = Duration::from_secs_f64(n),
            ('w', Some(n)) => ping.deadline = Some(Duration::from_secs_f64(n)),
            ('i', Some(n)) => ping.interval = Duration::from_secs_f64(n.max(0.01)),
            ('s', Some(n)) => ping.size = (n as u32).min(65_000),
            ('q', _) => ping.quiet = true,
            ('c' | 'W' | 'w' | 'i' | 's', None) => {
                return usage(&format!("ping: invalid number '{value}'\n"));
            }
            _ => {}
        }
    }
    Program::Ping(Box::new(ping))
}

impl Ping {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        loop {
            let Some(address) = self.address else {
                match self.resolve.step(io) {
                    Resolved::Addresses(found) => {
                        self.address = found.first().copied();
                        self.started = io.now;
                        let address = found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                        io.out(format!(
                            "PING {} ({address}): {} data bytes\n",
                            self.host, self.size
                        ));
                        continue;
                    }
                    Resolved::Failed => {
                        io.err(format!("ping: bad address '{}'\n", self.host));
                        return Step::Exit(1);
                    }
                    Resolved::Later(at) => return Step::Wait(Some(at)),
                }
            };
            if let Some(at) = self.pending {
                if io.now < at {
                    return Step::Wait(Some(at));
                }
                self.pending = None;
            }
            let over = self.count.is_some_and(|c| self.sent >= c)
                || self
                    .deadline
                    .is_some_and(|d| io.now.since(self.started) >= d);
            if over {
                return self.summary(io);
            }
            let last = self.count.is_some_and(|c| self.sent + 1 >= c);
            let wait = if last { self.wait } else { self.interval };
            let connection = echo(io, address, self.size, wait, 0);
            let seq = self.sent;
            self.sent += 1;
            let answered = connection.verdict == Verdict::Connected;
            if answered {
                self.received += 1;
                let micros = connection.elapsed.0 / 1000;
                let micros = micros.max(40);
                self.times.push(micros);
                if !self.quiet {
                    let ttl = connection.answer_ttl.unwrap_or(64);
                    io.out(format!(
                        "{} bytes from {address}: seq={seq} ttl={ttl} time={}.{:03} ms\n",
                        self.size + 8,
                        micros / 1000,
                        micros % 1000
                    ));
                }
            } else if connection.verdict == Verdict::Denied {
                io.err("ping: sendto: Operation not permitted\n");
                return Step::Exit(1);
            } else if connection.verdict == Verdict::Unreachable && connection.error.is_none() {
                io.err("ping: sendto: Network is unreachable\n");
                return Step::Exit(1);
            }
            let pause = match (last, answered) {
                (true, true) => continue,
                (true, false) => self.wait,
                (false, _) => self.interval,
            };
            self.pending = Some(io.now + pause);
        }
    }

    fn summary(&self, io: &mut Io<'_>) -> Step {
        let loss = (self.sent - self.received) * 100 / self.sent.max(1);
        io.out(format!("\n--- {} ping statistics ---\n{} packets transmitted, {} packets received, {loss}% packet loss\n", self.host, self.sent, self.received));
        if let (Some(min), Some(max)) = (self.times.iter().min(), self.times.iter().max()) {
            let average = self.times.iter().sum::<u64>() / self.times.len().max(1) as u64;
            let ms = |t: u64| format!("{}.{:03}", t / 1000, t % 1000);
            io.out(format!(
                "round-trip min/avg/max = {}/{}/{} ms\n",
                ms(*min),
                ms(average),
                ms(*max)
            ));
        }
        Step::Exit(i32::from(self.received == 0))
    }
}

fn echo(io: &mut Io<'_>, address: Ipv4Addr, size: u32, wait: Duration, ttl: u8) -> Connection {
    let timeout = kubarium_linux::Time(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    let connect = Connect {
        request: size,
        answer: size,
        timeout,
        ttl,
        ..Connect::ping(io.place.netns, address)
    };
    io.cluster.send(&connect, io.now)
}

#[derive(Clone, Debug)]
pub(crate) struct Traceroute {
    host: String,
    numeric: bool,
    icmp: bool,
    queries: u32,
    wait: Duration,
    max: u8,
    resolve: Resolve,
    address: Option<Ipv4Addr>,
    ttl: u8,
    query: u32,
    last: Option<Ipv4Addr>,
    port: u16,
    reached: bool,
    pending: Option<Time>,
}

pub(super) fn start_traceroute(argv: &[String]) -> Program {
    let (options, others) = options(argv, "fgimpqstwzN");
    let Some(host) = others.first() else {
        return usage("BusyBox v1.37.0 multi-call binary.\n\nUsage: traceroute [-Fnrv] HOST\n");
    };
    let mut trace = Traceroute {
        host: host.clone(),
        numeric: false,
        icmp: false,
        queries: 3,
        wait: Duration::from_secs(3),
        max: 30,
        resolve: Resolve::new(host),
        address: None,
        ttl: 1,
        query: 0,
        last: None,
        port: 33434,
        reached: false,
        pending: None,
    };
    for (letter, value) in options {
        let number = value.parse::<u32>().ok();
        match (letter, number) {
            ('n', _) => trace.numeric = true,
            ('I', _) => trace.icmp = true,
            ('q', Some(n)) => trace.queries = n.clamp(1, 10),
            ('w', Some(n)) => trace.wait = Duration::from_secs(n.into()),
            ('m', Some(n)) => trace.max = u8::try_from(n).unwrap_or(30).max(1),
            _ => {}
        }
    }
    Program::Traceroute(Box::new(trace))
}

impl Traceroute {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        loop {
            let Some(address) = self.address else {
                match self.resolve.step(io) {
                    Resolved::Addresses(found) => {
                        let address = found.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                        self.address = Some(address);
                        io.out(format!(
                            "traceroute to {} ({address}), {} hops max, 46 byte packets\n",
                            self.host, self.max
                        ));
                        continue;
                    }
                    Resolved::Failed => {
                        io.err(format!("traceroute: bad address '{}'\n", self.host));
                        return Step::Exit(1);
                    }
                    Resolved::Later(at) => return Step::Wait(Some(at)),
                }
            };
            if let Some(at) = self.pending.take()
                && io.now < at
            {
                self.pending = Some(at);
                return Step::Wait(Some(at));
            }
            if self.query == 0 {
                if self.ttl > self.max || self.reached {
                    return Step::Exit(0);
                }
                io.out(format!("{:>2} ", self.ttl));
                self.last = None;
            }
            let wait = self.probe(io, address);
            self.query += 1;
            if self.query == self.queries {
                io.out("\n");
                self.query = 0;
                self.ttl += 1;
            }
            if let Some(wait) = wait {
                self.pending = Some(io.now + wait);
            }
        }
    }

    /// Sends one packet; how long to wait where nobody answered.
    fn probe(&mut self, io: &mut Io<'_>, address: Ipv4Addr) -> Option<Duration> {
        let connection = if self.icmp {
            echo(io, address, 18, self.wait, self.ttl)
        } else {
            let target = SocketAddrV4::new(address, self.port);
            self.port = self.port.wrapping_add(1);
            let timeout =
                kubarium_linux::Time(u64::try_from(self.wait.as_nanos()).unwrap_or(u64::MAX));
            let connect = Connect {
                protocol: Protocol::UDP,
                request: 18,
                timeout,
                ttl: self.ttl,
                ..Connect::udp(io.place.netns, target)
            };
            io.cluster.send(&connect, io.now)
        };
        let from = match (connection.verdict, connection.error) {
            (Verdict::Connected, _) => Some(address),
            (_, Some(error)) => Some(error.from),
            (Verdict::Refused, None) => Some(address),
            _ => None,
        };
        let Some(from) = from else {
            io.out(" *");
            return Some(self.wait);
        };
        self.reached |=
            from == address || matches!(connection.verdict, Verdict::Connected | Verdict::Refused);
        if self.last != Some(from) {
            self.last = Some(from);
            if self.numeric {
                io.out(format!(" {from}"))
            } else {
                io.out(format!(" {from} ({from})"))
            }
        }
        let micros = (connection.elapsed.0 / 1000).max(4);
        io.out(format!("  {}.{:03} ms", micros / 1000, micros % 1000));
        None
    }
}
