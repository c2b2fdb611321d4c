//! `ethtool` (what a driver is), `tc` (a link's delay and loss by netem), `dmesg` (what rules logged) and `arping`.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::Output;
use crate::link::{Link, LinkKind, NamespaceId};
use crate::network::Network;
use crate::time::Time;

pub(super) fn ethtool(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["-i" | "--driver", name] => {
            let Some(link) = net.find_link(namespace, name).and_then(|id| net.link(id)) else {
                return Output::failed(71, "Cannot get driver information: No such device\n");
            };
            let (driver, version, firmware, bus, statistics) = match link.kind {
                LinkKind::Bridge(_) => ("bridge", "2.3", "N/A", "N/A", "no"),
                LinkKind::Vxlan(_) => ("vxlan", "0.1", "", "", "no"),
                LinkKind::Dummy => ("dummy", "1.0", "", "", "no"),
                LinkKind::Ipip(_) => ("ipip", "", "", "", "no"),
                LinkKind::Loopback => {
                    return Output::failed(
                        75,
                        "Cannot get driver information: Operation not supported\n",
                    );
                }
                _ => ("veth", "1.0", "", "", "yes"),
            };
            Output::ok(format!(
                "driver: {driver}\nversion: {version}\nfirmware-version: {firmware}\nexpansion-rom-version: \nbus-info: {bus}\nsupports-statistics: {statistics}\nsupports-test: no\nsupports-eeprom-access: no\nsupports-register-dump: no\nsupports-priv-flags: no\n"
            ))
        }
        ["--version"] => Output::ok("ethtool version 6.1\n"),
        [option, ..] if option.starts_with('-') => Output::unknown(&format!("ethtool {option}")),
        _ => Output::unknown("ethtool without -i"),
    }
}

/// `100ms`, as netem prints a time.
fn span(time: Time) -> String {
    let micros = time.0 / 1000;
    if micros >= 1_000_000 && micros.is_multiple_of(1_000_000) {
        format!("{}s", micros / 1_000_000)
    } else if micros.is_multiple_of(1000) {
        format!("{}ms", micros / 1000)
    } else if micros >= 1000 {
        format!("{:.3}ms", micros as f64 / 1000.0)
    } else {
        format!("{micros}us")
    }
}

fn time(text: &str) -> Option<Time> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let number: f64 = number.parse().ok()?;
    let nanos = match unit {
        "s" | "sec" | "secs" => 1e9,
        "ms" | "msec" | "msecs" => 1e6,
        "us" | "usec" | "usecs" => 1e3,
        _ => return None,
    };
    let nanos = number * nanos;
    (0.0..=60e9).contains(&nanos).then_some(Time(nanos as u64))
}

/// Of 2^31 frames so many, of a text such as `10%`.
fn share(text: &str) -> Option<u32> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0)
        .contains(&percent)
        .then_some((percent / 100.0 * f64::from(1u32 << 31)) as u32)
}

/// A device's queueing discipline; `name` where the line names the device.
fn qdisc(link: &Link, name: bool) -> String {
    let dev = if name {
        format!("dev {} ", link.name)
    } else {
        String::new()
    };
    if link.delay == Time::ZERO && link.loss == 0 {
        let kind = match (link.up, &link.kind) {
            (false, _) => return String::new(),
            (true, LinkKind::Physical { .. }) => {
                return format!(
                    "qdisc fq_codel 0: {dev}root refcnt 2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64 \n"
                );
            }
            _ => "noqueue",
        };
        return format!("qdisc {kind} 0: {dev}root refcnt 2 \n");
    }
    let mut out = format!("qdisc netem 8001: {dev}root refcnt 2 limit 1000");
    if link.delay > Time::ZERO {
        let _ = write!(out, " delay {}", span(link.delay));
    }
    if link.loss > 0 {
        let percent = f64::from(link.loss) / f64::from(1u32 << 31) * 100.0;
        let percent = (percent * 1000.0).round() / 1000.0;
        let _ = write!(out, " loss {percent}%");
    }
    out + "\n"
}

pub(super) fn tc(net: &mut Network, namespace: NamespaceId, args: &[String]) -> Output {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let missing = |name: &str| Output::failed(1, format!("Cannot find device \"{name}\"\n"));
    match words[..] {
        ["qdisc"] | ["qdisc", "show" | "list" | "ls"] => Output::ok(
            net.links_of(namespace)
                .map(|l| qdisc(l, true))
                .collect::<String>(),
        ),
        ["qdisc", "show" | "list" | "ls", "dev", name] => {
            match net.find_link(namespace, name).and_then(|id| net.link(id)) {
                Some(link) => Output::ok(qdisc(link, false)),
                None => missing(name),
            }
        }
        [
            "qdisc",
            verb @ ("add" | "replace" | "change"),
            "dev",
            name,
            "root",
            ref rest @ ..,
        ] if rest.contains(&"netem") => {
            let Some(id) = net.find_link(namespace, name) else {
                return missing(name);
            };
            let has = net
                .link(id)
                .is_some_and(|l| l.delay > Time::ZERO || l.loss > 0);
            if verb == "add" && has {
                return Output::failed(2, "Error: Exclusivity flag on, cannot modify.\n");
            }
            if verb == "change" && !has {
                return Output::failed(
                    2,
                    "Error: Qdisc not found. To create specify NLM_F_CREATE flag.\n",
                );
            }
            let at = rest.iter().position(|w| *w == "netem").unwrap_or(0) + 1;
            let mut rest = rest.get(at..).unwrap_or_default().iter();
            let (mut delay, mut loss) = (Time::ZERO, 0);
            while let Some(word) = rest.next() {
                let value = rest.next().copied().unwrap_or("");
                match *word {
                    "delay" => match time(value) {
                        Some(time) => delay = time,
                        None => return Output::failed(1, "Illegal \"latency\"\n"),
                    },
                    "loss" => {
                        let value = if value == "random" {
                            rest.next().copied().unwrap_or("")
                        } else {
                            value
                        };
                        match share(value) {
                            Some(share) => loss = share,
                            None => return Output::failed(1, "Illegal \"loss percent\"\n"),
                        }
                    }
                    "limit" => {}
                    other => return Output::unknown(&format!("tc netem {other}")),
                }
            }
            let done = net
                .set_loss(id, loss)
                .and_then(|()| net.set_delay(id, delay));
            done.map_or_else(super::ip::answers, |()| Output::ok(""))
        }
        ["qdisc", "del" | "delete", "dev", name, "root", ..] => {
            let Some(id) = net.find_link(namespace, name) else {
                return missing(name);
            };
            if !net
                .link(id)
                .is_some_and(|l| l.delay > Time::ZERO || l.loss > 0)
            {
                return Output::failed(2, "Error: Cannot delete qdisc with handle of zero.\n");
            }
            let done = net
                .set_loss(id, 0)
                .and_then(|()| net.set_delay(id, Time::ZERO));
            done.map_or_else(super::ip::answers, |()| Output::ok(""))
        }
        ["-V"] => Output::ok("tc utility, iproute2-6.1.0, libbpf 1.1.0\n"),
        _ => Output::unknown(&format!("tc {}", words.join(" "))),
    }
}

/// The kernel's log: what `-j LOG` wrote there.
pub(super) fn dmesg(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    if let Some(other) = args
        .iter()
        .find(|a| !matches!(a.as_str(), "-t" | "--notime"))
    {
        return Output::unknown(&format!("dmesg {other}"));
    }
    let mut out = String::new();
    let log = net.namespace(namespace).map(|ns| ns.netfilter.log());
    for (at, line) in log.into_iter().flatten() {
        if args.is_empty() {
            let micros = at.0 / 1000;
            let _ = write!(
                out,
                "[{:>5}.{:06}] ",
                micros / 1_000_000,
                micros % 1_000_000
            );
        }
        let _ = writeln!(out, "{line}");
    }
    Output::ok(out)
}

/// iputils' arping.
pub(super) fn arping(
    net: &mut Network,
    namespace: NamespaceId,
    args: &[String],
    now: Time,
) -> Output {
    let (mut device, mut target, mut count, mut quiet) = (None, None, 3u32, false);
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-I" => device = words.next(),
            "-c" => match words.next().and_then(|n| n.parse().ok()) {
                Some(n) => count = n,
                None => return Output::failed(1, "arping: invalid argument\n"),
            },
            "-w" | "-i" => {
                words.next();
            }
            "-q" => quiet = true,
            "-f" | "-b" => {}
            other if other.starts_with('-') => return Output::unknown(&format!("arping {other}")),
            other => target = Some(other),
        }
    }
    let Some(text) = target else {
        return Output::failed(2, "Usage:\n  arping [options] <destination>\n");
    };
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Output::failed(2, format!("arping: {text}: Name or service not known\n"));
    };
    let found = match device {
        Some(name) => net.find_link(namespace, name),
        None => net.namespace(namespace).and_then(|ns| {
            let route = net.route(ns, &crate::route::Flow::to(address))?.0;
            route.dev
        }),
    };
    let Some(link) = found.and_then(|id| net.link(id)) else {
        return Output::failed(
            2,
            format!("arping: Device {} not available.\n", device.unwrap_or("?")),
        );
    };
    if matches!(link.kind, LinkKind::Loopback) {
        return Output::failed(
            2,
            format!("arping: Interface \"{}\" is not ARPable\n", link.name),
        );
    }
    let (id, name) = (link.id, link.name.clone());
    let own = link
        .select_address(Some(address))
        .unwrap_or(Ipv4Addr::UNSPECIFIED);
    let mut out = format!("ARPING {address} from {own} {name}\n");
    let (mut answers, mut broadcasts) = (0, 0);
    for n in 0..count.min(1000) {
        let at = now + Time::from_secs(u64::from(n));
        broadcasts += u32::from(answers == 0);
        if let Some((mac, took)) = net.ask_neighbour(id, own, address, at) {
            answers += 1;
            let mac = mac.to_string().to_ascii_uppercase();
            // Asking takes a moment of the program's own.
            let micros = (took.0 / 1000).max(25);
            if !quiet {
                let _ = writeln!(
                    out,
                    "Unicast reply from {address} [{mac}]  {}.{:03}ms",
                    micros / 1000,
                    micros % 1000
                );
            }
        }
    }
    let count = count.min(1000);
    let _ = write!(
        out,
        "Sent {count} probes ({broadcasts} broadcast(s))\nReceived {answers} response(s)\n"
    );
    Output {
        stdout: out,
        stderr: String::new(),
        status: i32::from(answers == 0),
    }
}
