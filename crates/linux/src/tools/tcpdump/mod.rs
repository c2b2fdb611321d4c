//! `tcpdump` 4.99 (libpcap 1.10): captures what passes a device, prints it, or keeps it in a file.

mod dns;
mod filter;
mod print;

use std::fmt::Write;

use super::Output;
use crate::capture::{Captured, LinkType, Place, pcap};
use crate::link::{LinkKind, NamespaceId};
use crate::network::Network;
use filter::Filter;
use print::{Printer, Style};

/// How the time of a packet is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// `09:00:12.000128`
    Day,
    /// `-t`: not at all.
    None,
    /// `-tt`: seconds since 1970.
    Epoch,
    /// `-ttt`: since the packet before.
    Since,
    /// `-tttt`: with the date.
    Date,
    /// `-ttttt`: since the first packet.
    First,
}

/// A tcpdump that runs.
#[derive(Clone, Debug)]
pub struct Tcpdump {
    socket: u64,
    any: bool,
    device: String,
    filter: Filter,
    printer: Printer,
    clock: Clock,
    numbers: bool,
    /// Packets to take; 0: without end.
    count: u64,
    direction: Option<bool>,
    file: Option<String>,
    kept: Vec<Captured>,
    taken: u64,
    dropped: u64,
    first: Option<u64>,
    last: Option<u64>,
    begun: bool,
    /// Nanoseconds from 1970 to time 0.
    epoch: u64,
}

/// What a tcpdump has done since it was last asked.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// A file that it has written: name and content; `-` is standard output.
    pub file: Option<(String, Vec<u8>)>,
    /// It has ended.
    pub done: bool,
}

fn problem(text: &str) -> Output {
    Output::failed(1, format!("tcpdump: {text}\n"))
}

/// Options that are of no account here, and those of them that have a value.
const IGNORED: &[&str] = &[
    "-l",
    "-U",
    "-p",
    "-K",
    "-L",
    "-N",
    "-u",
    "--immediate-mode",
    "--no-promiscuous-mode",
    "--packet-buffered",
];
const IGNORED_VALUES: &[&str] = &[
    "-s",
    "-B",
    "-Z",
    "-y",
    "-m",
    "-C",
    "-W",
    "-G",
    "--snapshot-length",
];

impl Tcpdump {
    /// Begins to capture. `epoch`: nanoseconds from 1970 to time 0. Errors: what it says and its status when it does
    /// not come to that.
    pub fn start(
        net: &mut Network,
        namespace: NamespaceId,
        args: &[String],
        epoch: u64,
    ) -> Result<Tcpdump, Output> {
        let mut style = Style::default();
        let mut device = None;
        let mut words = Vec::new();
        let (mut count, mut times, mut numbers) = (0, 0, false);
        let (mut file, mut direction) = (None, None);
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            if !arg.starts_with('-') || arg == "-" {
                words.push(arg);
                continue;
            }
            if IGNORED.contains(&arg) {
                continue;
            }
            let mut value = |given: Option<&'_ str>| -> Result<String, Output> {
                given
                    .map(str::to_owned)
                    .or_else(|| args.next().map(str::to_owned))
                    .ok_or_else(|| {
                        let letter = arg.trim_start_matches('-').chars().last().unwrap_or('?');
                        Output::failed(
                            1,
                            format!("tcpdump: option requires an argument -- '{letter}'\n"),
                        )
                    })
            };
            if let Some(long) = arg.strip_prefix("--") {
                let (name, given) = match long.split_once('=') {
                    Some((name, given)) => (name, Some(given)),
                    None => (long, None),
                };
                match name {
                    "interface" => device = Some(value(given)?),
                    "count" => count = number(&value(given)?)?,
                    "number" => numbers = true,
                    "direction" => direction = way(&value(given)?)?,
                    "absolute-tcp-sequence-numbers" => style.absolute = true,
                    "list-interfaces" => return Err(interfaces(net, namespace)),
                    "version" => {
                        return Err(Output::ok(
                            "tcpdump version 4.99.3\nlibpcap version 1.10.3 (with TPACKET_V3)\n",
                        ));
                    }
                    "snapshot-length" => {
                        value(given)?;
                    }
                    _ => return Err(problem(&format!("unrecognized option '--{long}'"))),
                }
                continue;
            }
            if IGNORED_VALUES.contains(&arg) {
                value(None)?;
                continue;
            }
            let letters = arg.get(1..).unwrap_or_default();
            for (at, letter) in letters.char_indices() {
                let rest = letters
                    .get(at + letter.len_utf8()..)
                    .filter(|r| !r.is_empty());
                match letter {
                    'n' => style.numeric = true,
                    'e' => style.link = true,
                    'v' => style.verbose += 1,
                    'q' => style.quiet = true,
                    'S' => style.absolute = true,
                    't' => times += 1,
                    'x' => style.hex += 1,
                    'X' => {
                        style.hex += 1;
                        style.text_too = true;
                    }
                    'A' => style.ascii = true,
                    '#' => numbers = true,
                    'l' | 'U' | 'p' | 'K' | 'N' | 'u' => {}
                    'D' => return Err(interfaces(net, namespace)),
                    'i' | 'c' | 'w' | 'Q' | 's' | 'r' => {
                        let value = value(rest)?;
                        match letter {
                            'i' => device = Some(value),
                            'c' => count = number(&value)?,
                            'w' => file = Some(value),
                            'Q' => direction = way(&value)?,
                            'r' => {
                                return Err(problem(
                                    "-r is not simulated yet: capture with -w, and open the file with Wireshark",
                                ));
                            }
                            _ => {}
                        }
                        break;
                    }
                    other => return Err(problem(&format!("invalid option -- '{other}'"))),
                }
            }
        }
        let filter = filter::parse(&words.join(" ")).map_err(|why| problem(&why))?;
        // Without -i the first device that is up and not lo.
        let device = match device {
            Some(device) => device,
            None => (net.links_of(namespace))
                .find(|l| l.up && !matches!(l.kind, LinkKind::Loopback))
                .map_or_else(|| "lo".to_owned(), |l| l.name.to_string()),
        };
        let any = device == "any";
        let place = if any {
            Place::Namespace(namespace)
        } else {
            let Some(link) = net.find_link(namespace, &device) else {
                return Err(problem(&format!(
                    "{device}: No such device exists\n(No such device exists)"
                )));
            };
            if !net.link(link).is_some_and(|l| l.up) {
                return Err(problem(&format!("{device}: That device is not up")));
            }
            Place::Device(link)
        };
        Ok(Tcpdump {
            socket: net.capture(place),
            any,
            device,
            filter,
            printer: Printer {
                style,
                ..Printer::default()
            },
            clock: match times {
                0 => Clock::Day,
                1 => Clock::None,
                2 => Clock::Epoch,
                3 => Clock::Since,
                4 => Clock::Date,
                _ => Clock::First,
            },
            numbers,
            count,
            direction,
            file,
            kept: Vec::new(),
            taken: 0,
            dropped: 0,
            first: None,
            last: None,
            begun: false,
            epoch,
        })
    }

    /// What it says before anything else.
    fn heading(&self) -> String {
        let mut out = String::new();
        let (kind, name) = if self.any {
            ("LINUX_SLL2", "Linux cooked v2")
        } else {
            ("EN10MB", "Ethernet")
        };
        if self.any {
            let _ = writeln!(out, "tcpdump: data link type {kind}");
        }
        if self.file.is_none() && self.printer.style.verbose == 0 {
            out += "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n";
        }
        let who = if self.file.is_some() || self.printer.style.verbose > 0 {
            "tcpdump: "
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "{who}listening on {}, link-type {kind} ({name}), snapshot length 262144 bytes",
            self.device
        );
        out
    }

    /// What has passed since it was last asked.
    pub fn go_on(&mut self, net: &mut Network) -> Progress {
        let mut progress = Progress::default();
        if !std::mem::replace(&mut self.begun, true) {
            progress.stderr += &self.heading();
        }
        let (packets, dropped) = net.captured(self.socket);
        self.dropped += dropped;
        for captured in packets {
            if self.count > 0 && self.taken >= self.count {
                break;
            }
            let link = net.link(captured.device);
            let loopback = link.is_some_and(|l| matches!(l.kind, LinkKind::Loopback));
            // libpcap shows a packet on lo once.
            if loopback && captured.outgoing
                || self.direction.is_some_and(|out| out != captured.outgoing)
                || !self.filter.passes(&captured.bytes, captured.outgoing)
            {
                continue;
            }
            self.taken += 1;
            if self.file.is_some() {
                self.kept.push(captured);
                continue;
            }
            let device = link.map_or("?", |l| &l.name);
            let ifindex = link.map_or(0, |l| l.ifindex);
            let way = if captured.outgoing {
                "Out"
            } else if captured.bytes.first().is_some_and(|b| *b == 0xff) {
                "B  "
            } else {
                "In "
            };
            let shown = self.any.then(|| format!("{device:<5} {way}"));
            if self.numbers {
                let _ = write!(progress.stdout, "{:5}  ", self.taken);
            }
            progress.stdout += &self.time(captured.at.0);
            progress.stdout += &self
                .printer
                .frame(&captured.bytes, shown.as_deref(), ifindex);
            progress.stdout.push('\n');
        }
        if self.count > 0 && self.taken >= self.count {
            self.finish(net, &mut progress);
        }
        progress
    }

    /// It is interrupted.
    pub fn stop(&mut self, net: &mut Network) -> Progress {
        let mut progress = self.go_on(net);
        if !progress.done {
            self.finish(net, &mut progress);
        }
        progress
    }

    fn finish(&mut self, net: &mut Network, progress: &mut Progress) {
        net.end_capture(self.socket);
        progress.done = true;
        let s = if self.taken == 1 { "" } else { "s" };
        let dropped = self.dropped;
        let d = if dropped == 1 { "" } else { "s" };
        let _ = write!(
            progress.stderr,
            "{0} packet{s} captured\n{0} packet{s} received by filter\n{dropped} packet{d} dropped by kernel\n",
            self.taken
        );
        if let Some(name) = self.file.take() {
            let kind = if self.any {
                LinkType::Cooked
            } else {
                LinkType::Ethernet
            };
            progress.file = Some((name, pcap(net, &self.kept, kind, self.epoch)));
        }
    }

    fn time(&mut self, at: u64) -> String {
        let now = self.epoch.saturating_add(at);
        let micros = now / 1000;
        let last = self.last.replace(micros).unwrap_or(micros);
        let first = *self.first.get_or_insert(micros);
        let clock = |micros: u64| {
            let seconds = micros / 1_000_000;
            format!(
                "{:02}:{:02}:{:02}.{:06} ",
                seconds / 3600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                micros % 1_000_000
            )
        };
        match self.clock {
            Clock::Day => clock(micros),
            Clock::None => String::new(),
            Clock::Epoch => format!("{}.{:06} ", micros / 1_000_000, micros % 1_000_000),
            Clock::Since => format!(" {}", clock(micros - last)),
            Clock::First => format!(" {}", clock(micros - first)),
            Clock::Date => {
                let (year, month, day) = date(micros / 86_400_000_000);
                format!("{year:04}-{month:02}-{day:02} {}", clock(micros))
            }
        }
    }
}

/// The date so many days after 1970-01-01 (the civil calendar).
fn date(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (of_month, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    (year + era * 400 + u64::from(month <= 2), month, of_month)
}

fn number(text: &str) -> Result<u64, Output> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| problem(&format!("invalid packet count {text}")))
}

fn way(text: &str) -> Result<Option<bool>, Output> {
    match text {
        "in" => Ok(Some(false)),
        "out" => Ok(Some(true)),
        "inout" => Ok(None),
        other => Err(problem(&format!("unknown capture direction '{other}'"))),
    }
}

/// `-D`
fn interfaces(net: &Network, namespace: NamespaceId) -> Output {
    let mut out = String::new();
    let mut number = 0;
    let mut line = |name: &str, flags: &str| {
        number += 1;
        let _ = writeln!(out, "{number}.{name} [{flags}]");
    };
    for link in net.links_of(namespace) {
        if link.up && !matches!(link.kind, LinkKind::Loopback) {
            line(&link.name, "Up, Running, Connected");
        }
    }
    line(
        "any (Pseudo-device that captures on all interfaces)",
        "Up, Running",
    );
    line("lo", "Up, Running, Loopback");
    Output::ok(out)
}
