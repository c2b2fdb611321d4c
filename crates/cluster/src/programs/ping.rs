//! ping and traceroute as BusyBox has them (1.37, `networking/ping.c`, `networking/traceroute.c`), and ping as
//! iputils has it (20221126).

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
    /// iputils' words rather than BusyBox'.
    iputils: bool,
    /// Not to be fragmented (`-M do`).
    whole: bool,
    ttl: u8,
    errors: u32,
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
pub(super) fn options(argv: &[String], with_value: &str) -> (Vec<(char, String)>, Vec<String>) {
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

pub(super) fn start(argv: &[String], iputils: bool) -> Program {
    let (options, others) = options(argv, if iputils { "cswWiItmMQlp" } else { "cswWiItmp" });
    let Some(host) = others.first() else {
        if iputils {
            return usage("ping: usage error: Destination address required\n");
        }
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
        iputils,
        whole: false,
        ttl: 0,
        errors: 0,
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
            ('t', Some(n)) => ping.ttl = (n as u32).clamp(1, 255) as u8,
            ('M', None) => match value.as_str() {
                "do" => ping.whole = true,
                "want" | "dont" => {}
                _ => return usage("ping: wrong value for -M: do, dont, want are valid ones.\n"),
            },
            ('M', Some(_)) => {
                return usage("ping: wrong value for -M: do, dont, want are valid ones.\n");
            }
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
                        io.out(if self.iputils {
                            let whole = self.size + 28;
                            format!(
                                "PING {} ({address}) {}({whole}) bytes of data.\n",
                                self.host, self.size
                            )
                        } else {
                            format!("PING {} ({address}): {} data bytes\n", self.host, self.size)
                        });
                        continue;
                    }
                    Resolved::Failed if self.iputils => {
                        io.err(format!("ping: {}: Name or service not known\n", self.host));
                        return Step::Exit(2);
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
            let connection = echo(io, address, self, wait);
            let seq = self.sent + u32::from(self.iputils);
            self.sent += 1;
            let answered = connection.verdict == Verdict::Connected;
            if answered {
                self.received += 1;
                let micros = connection.elapsed.0 / 1000;
                let micros = micros.max(40);
                self.times.push(micros);
                if !self.quiet {
                    let ttl = connection.answer_ttl.unwrap_or(64);
                    let word = if self.iputils { "icmp_seq" } else { "seq" };
                    let time = if self.iputils {
                        rounded(micros)
                    } else {
                        format!("{}.{:03}", micros / 1000, micros % 1000)
                    };
                    io.out(format!(
                        "{} bytes from {address}: {word}={seq} ttl={ttl} time={time} ms\n",
                        self.size + 8
                    ));
                }
            } else if self.iputils {
                if let Some(status) = self.complain(io, &connection, address, seq) {
                    return Step::Exit(status);
                }
            } else if connection.verdict == Verdict::Denied {
                io.err("ping: sendto: Operation not permitted\n");
                return Step::Exit(1);
            } else if connection.verdict == Verdict::Unreachable && connection.error.is_none() {
                io.err("ping: sendto: Network is unreachable\n");
                return Step::Exit(1);
            }
            let told = self.iputils && self.received + self.errors >= self.sent;
            let pause = match (last, answered) {
                (true, _) if told => continue,
                (true, true) => continue,
                (true, false) => self.wait,
                (false, _) => self.interval,
            };
            self.pending = Some(io.now + pause);
        }
    }

    /// What iputils says of an echo without an answer; its status where it gives up.
    fn complain(
        &mut self,
        io: &mut Io<'_>,
        connection: &Connection,
        address: Ipv4Addr,
        seq: u32,
    ) -> Option<i32> {
        match (connection.verdict, connection.error) {
            (_, Some(error)) => {
                self.errors += 1;
                let what = match (error.kind, error.code) {
                    (3, 0) => "Destination Net Unreachable".to_owned(),
                    (3, 1) => "Destination Host Unreachable".to_owned(),
                    (3, 2) => "Destination Protocol Unreachable".to_owned(),
                    (3, 3) => "Destination Port Unreachable".to_owned(),
                    (3, 4) => {
                        let mtu = io.cluster.net.path_mtu(io.place.netns, address);
                        format!("Frag needed and DF set (mtu = {mtu})")
                    }
                    (3, 9) => "Destination Net Prohibited".to_owned(),
                    (3, 10) => "Destination Host Prohibited".to_owned(),
                    (3, 13) => "Packet filtered".to_owned(),
                    (11, _) => "Time to live exceeded".to_owned(),
                    (kind, code) => format!("Bad ICMP type: {kind} code {code}"),
                };
                io.out(format!("From {} icmp_seq={seq} {what}\n", error.from));
            }
            (Verdict::Denied, None) => {
                self.errors += 1;
                io.err("ping: sendmsg: Operation not permitted\n");
            }
            (Verdict::Unreachable, None) => {
                let mtu = io.cluster.net.path_mtu(io.place.netns, address);
                if self.whole && self.size + 28 > mtu {
                    self.errors += 1;
                    io.err(format!("ping: local error: message too long, mtu={mtu}\n"));
                } else {
                    io.err("ping: connect: Network is unreachable\n");
                    return Some(2);
                }
            }
            _ => {}
        }
        None
    }

    fn summary(&self, io: &mut Io<'_>) -> Step {
        if self.iputils {
            return self.long_summary(io);
        }
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

    /// iputils' last lines.
    fn long_summary(&self, io: &mut Io<'_>) -> Step {
        let loss = (self.sent - self.received) * 100 / self.sent.max(1);
        let errors = match self.errors {
            0 => String::new(),
            n => format!("+{n} errors, "),
        };
        let took = io.now.since(self.started).as_millis();
        io.out(format!(
            "\n--- {} ping statistics ---\n{} packets transmitted, {} received, {errors}{loss}% packet loss, time {took}ms\n",
            self.host, self.sent, self.received
        ));
        let count = self.times.len() as u64;
        let (min, max) = (self.times.iter().min(), self.times.iter().max());
        if let (Some(min), Some(max)) = (min, max) {
            let mean = self.times.iter().sum::<u64>() / count;
            let squares = self.times.iter().map(|t| t * t).sum::<u64>() / count;
            let deviation = squares.saturating_sub(mean * mean).isqrt();
            let ms = |t: u64| format!("{}.{:03}", t / 1000, t % 1000);
            io.out(format!(
                "rtt min/avg/max/mdev = {}/{}/{}/{} ms\n",
                ms(*min),
                ms(mean),
                ms(*max),
                ms(deviation)
            ));
        } else {
            io.out("\n");
        }
        Step::Exit(i32::from(self.received == 0))
    }
}

/// Three digits that count, as iputils prints a time in milliseconds.
fn rounded(micros: u64) -> String {
    let ms = micros as f64 / 1000.0;
    let digits = match micros {
        100_000.. => 0,
        10_000.. => 1,
        1000.. => 2,
        _ => 3,
    };
    format!("{ms:.digits$}")
}

fn echo(io: &mut Io<'_>, address: Ipv4Addr, ping: &Ping, wait: Duration) -> Connection {
    let timeout = kubarium_linux::Time(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    let connect = Connect {
        request: ping.size,
        answer: ping.size,
        timeout,
        ttl: ping.ttl,
        whole: ping.whole,
        echo: u16::try_from(ping.sent + u32::from(ping.iputils)).unwrap_or(u16::MAX),
        ..Connect::ping(io.place.netns, address)
    };
    io.cluster.send(&connect, io.now)
}

#[derive(Clone, Debug)]
pub(crate) struct Traceroute {
    pub(super) host: String,
    numeric: bool,
    pub(super) icmp: bool,
    queries: u32,
    wait: Duration,
    pub(super) max: u8,
    pub(super) resolve: Resolve,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) ttl: u8,
    query: u32,
    last: Option<Ipv4Addr>,
    port: u16,
    pub(super) reached: bool,
    /// The last answer was an error, and not that the packet came only so far.
    pub(super) refused: bool,
    pending: Option<Time>,
}

pub(super) fn start_traceroute(argv: &[String]) -> Program {
    let (options, others) = options(argv, "fgimpqstwzN");
    let Some(host) = others.first() else {
        return usage("BusyBox v1.37.0 multi-call binary.\n\nUsage: traceroute [-Fnrv] HOST\n");
    };
    let mut trace = Traceroute {
        icmp: false,
        ..Traceroute::by_echo(host)
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
    /// One that sends echoes.
    pub(super) fn by_echo(host: &str) -> Traceroute {
        Traceroute {
            host: host.to_owned(),
            numeric: false,
            icmp: true,
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
            refused: false,
            pending: None,
        }
    }

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

    /// Sends one packet: who answered, and after how many microseconds.
    pub(super) fn ask(&mut self, io: &mut Io<'_>, address: Ipv4Addr) -> Option<(Ipv4Addr, u64)> {
        let connection = if self.icmp {
            let timeout =
                kubarium_linux::Time(u64::try_from(self.wait.as_nanos()).unwrap_or(u64::MAX));
            let connect = Connect {
                request: 18,
                answer: 18,
                timeout,
                ttl: self.ttl,
                ..Connect::ping(io.place.netns, address)
            };
            io.cluster.send(&connect, io.now)
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
        }?;
        self.reached |=
            from == address || matches!(connection.verdict, Verdict::Connected | Verdict::Refused);
        self.refused = connection.error.is_some_and(|error| error.kind != 11);
        Some((from, (connection.elapsed.0 / 1000).max(4)))
    }

    /// Sends one packet and tells of it; how long to wait where nobody answered.
    fn probe(&mut self, io: &mut Io<'_>, address: Ipv4Addr) -> Option<Duration> {
        let Some((from, micros)) = self.ask(io, address) else {
            io.out(" *");
            return Some(self.wait);
        };
        if self.last != Some(from) {
            self.last = Some(from);
            if self.numeric {
                io.out(format!(" {from}"))
            } else {
                io.out(format!(" {from} ({from})"))
            }
        }
        io.out(format!("  {}.{:03} ms", micros / 1000, micros % 1000));
        None
    }
}
