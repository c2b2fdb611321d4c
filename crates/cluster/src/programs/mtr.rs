//! `mtr --report` (mtr 0.95, `ui/report.c` and `ui/net.c`): traceroute and ping in one, cycle by cycle.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::ping::{Traceroute, options};
use super::resolve::Resolved;
use super::{Io, Program, Step};
use crate::time::Time;

/// Where the columns of numbers begin.
const NUMBERS_AT: usize = 33;
/// So many hops in a row that say nothing, and it looks no further.
const UNKNOWN_MAX: usize = 12;

/// What answered at a distance, and when it did: microseconds.
#[derive(Clone, Debug, Default)]
struct Hop {
    address: Option<Ipv4Addr>,
    /// It answered that the way ends here.
    refused: bool,
    sent: u32,
    times: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mtr {
    trace: Traceroute,
    wide: bool,
    cycles: u32,
    interval: Duration,
    started: Option<Time>,
    hops: Vec<Hop>,
    next: Time,
}

fn says(err: &str) -> Program {
    Program::Say {
        out: String::new(),
        err: err.to_owned(),
        status: 1,
    }
}

/// Long options by their letters.
fn letters(argv: &[String]) -> Vec<String> {
    const LONG: [(&str, &str); 9] = [
        ("--report-cycles", "-c"),
        ("--report-wide", "-w"),
        ("--report", "-r"),
        ("--no-dns", "-n"),
        ("--show-ips", "-b"),
        ("--interval", "-i"),
        ("--max-ttl", "-m"),
        ("--udp", "-u"),
        ("--tcp", "-T"),
    ];
    let short = |word: &String| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let found = LONG.iter().find(|(long, _)| *long == name);
        found.map_or(word.clone(), |(_, short)| format!("{short}{value}"))
    };
    argv.iter().map(short).collect()
}

pub(super) fn start(argv: &[String]) -> Program {
    let (options, others) = options(&letters(argv), "cimsfaoBPQ");
    let host = others.first().map_or("127.0.0.1", String::as_str);
    if others.len() > 1 {
        return says("mtr: more than one host is not simulated yet\n");
    }
    let mut mtr = Mtr {
        trace: Traceroute::by_echo(host),
        wide: false,
        cycles: 10,
        interval: Duration::from_secs(1),
        started: None,
        hops: Vec::new(),
        next: Time::default(),
    };
    let mut report = false;
    for (letter, value) in options {
        let number = value.parse::<f64>().ok().filter(|n| (0.0..1e6).contains(n));
        match (letter, number) {
            ('r', _) => report = true,
            ('w', _) => (report, mtr.wide) = (true, true),
            ('c', Some(n)) => mtr.cycles = (n as u32).max(1),
            ('i', Some(n)) => mtr.interval = Duration::from_secs_f64(n.max(0.01)),
            ('m', Some(n)) => mtr.trace.max = (n as u32).clamp(1, 255) as u8,
            ('u', _) => mtr.trace.icmp = false,
            ('n' | 'b' | '4', _) => {}
            (other, _) => return says(&format!("mtr: -{other} is not simulated yet\n")),
        }
    }
    match report {
        true => Program::Mtr(Box::new(mtr)),
        false => says("mtr's screen is not simulated yet: mtr --report prints the same\n"),
    }
}

impl Mtr {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        let Some(address) = self.trace.address else {
            return match self.trace.resolve.step(io) {
                Resolved::Addresses(found) => {
                    self.trace.address = found.first().copied();
                    self.started = Some(io.now);
                    Step::Wait(Some(io.now))
                }
                Resolved::Failed => {
                    io.err(format!(
                        "mtr: Failed to resolve host: {}: Name or service not known\n",
                        self.trace.host
                    ));
                    // It would go on with the next.
                    Step::Exit(0)
                }
                Resolved::Later(at) => Step::Wait(Some(at)),
            };
        };
        if io.now < self.next {
            return Step::Wait(Some(self.next));
        }
        if self.cycles == 0 {
            let report = self.report(address, &io.place.hostname);
            io.out(report);
            return Step::Exit(0);
        }
        self.cycles -= 1;
        self.cycle(io, address);
        self.next = io.now + self.interval;
        Step::Wait(Some(self.next))
    }

    /// One packet to each distance, as far as somebody answers.
    fn cycle(&mut self, io: &mut Io<'_>, address: Ipv4Addr) {
        self.trace.reached = false;
        let mut silent = 0;
        for at in 0..usize::from(self.trace.max) {
            self.trace.ttl = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let answer = self.trace.ask(io, address);
            if self.hops.len() <= at {
                self.hops.push(Hop::default());
            }
            let hop = &mut self.hops[at];
            hop.sent += 1;
            let Some((from, micros)) = answer else {
                silent += 1;
                if silent >= UNKNOWN_MAX {
                    return;
                }
                continue;
            };
            silent = 0;
            hop.address.get_or_insert(from);
            hop.refused = self.trace.refused;
            hop.times.push(micros);
            if from == address || self.trace.reached || hop.refused {
                return;
            }
        }
    }

    fn report(&self, address: Ipv4Addr, hostname: &str) -> String {
        let started = self.started.unwrap_or_default().rfc3339();
        let mut out = format!("Start: {}+0000\n", started.trim_end_matches('Z'));
        // What is told: up to where the way ends, or one more than those who answered (`net_max`).
        let ends = |hop: &Hop| hop.refused || hop.address == Some(address);
        let end = self.hops.iter().position(ends);
        let last = self.hops.iter().rposition(|hop| hop.address.is_some());
        let told = end.map_or(last.map_or(0, |at| at + 2), |at| at + 1);
        let hops = self.hops.iter().take(told);
        let names: Vec<String> = hops
            .clone()
            .map(|hop| hop.address.map_or("???".to_owned(), |a| a.to_string()))
            .collect();
        // The wide report's columns do not stand below their heads.
        let longest = names.iter().map(String::len).max().unwrap_or(0);
        let longest = longest.max(hostname.len());
        let start = |text: String| match self.wide {
            true => text,
            false => format!("{text:<NUMBERS_AT$.NUMBERS_AT$}"),
        };
        let head = start(format!("HOST: {hostname:<longest$}"));
        let _ = writeln!(out, "{head} Loss%   Snt   Last   Avg  Best  Wrst StDev");
        for (at, (hop, name)) in hops.zip(&names).enumerate() {
            let name = start(format!(" {:>2}.|-- {name:<longest$}", at + 1));
            let _ = writeln!(out, "{name}{}", hop.numbers());
        }
        out
    }
}

impl Hop {
    fn numbers(&self) -> String {
        let answered = self.times.len() as f64;
        let sent = f64::from(self.sent.max(1));
        let loss = format!(" {:>4.1}%", 100.0 - 100.0 * answered / sent);
        let ms = |micros: f64| micros / 1000.0;
        let count = answered.max(1.0);
        let mean = self.times.iter().sum::<u64>() as f64 / count;
        let spread = |time: &u64| (*time as f64 - mean).powi(2);
        let squares = self
            .times
            .iter()
            .map(spread)
            .fold(0.0, |all, one| all + one);
        let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        let of = |time: Option<&u64>| ms(time.copied().unwrap_or(0) as f64);
        let time = |ms: f64| format!(" {ms:>5.1}");
        // What has no room in its column is cut off by the next one.
        format!(
            "{loss:.6} {:>5} {:.6}{:.6}{:.6}{:.6}{}",
            self.sent,
            time(of(self.times.last())),
            time(ms(mean)),
            time(of(self.times.iter().min())),
            time(of(self.times.iter().max())),
            time(ms(deviation))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What mtr 0.95 printed of such a way.
    #[test]
    fn numbers_stand_as_mtr_has_them() {
        let cases: [(u32, &[u64], &str); 4] = [
            (
                2,
                &[3_072_000, 1_668_000],
                "  0.0%     2  1668. 2370. 1668. 3072. 992.8",
            ),
            (
                3,
                &[120, 60, 70],
                "  0.0%     3    0.1   0.1   0.1   0.1   0.0",
            ),
            (2, &[], " 100.0     2    0.0   0.0   0.0   0.0   0.0"),
            (
                2,
                &[3_057_300],
                " 50.0%     2  3057. 3057. 3057. 3057.   0.0",
            ),
        ];
        for (sent, times, want) in cases {
            let hop = Hop {
                sent,
                times: times.to_vec(),
                ..Hop::default()
            };
            assert_eq!(hop.numbers(), want);
        }
    }
}
