//! `ss`: sockets that accept.

use super::Output;
use crate::link::NamespaceId;
use crate::namespace::Namespace;
use crate::network::Network;
use crate::packet::Protocol;

/// Columns: text, and whether it stands to the right.
fn print(rows: &[[String; 8]], header: bool) -> String {
    let widths: Vec<usize> = (0..8)
        .map(|c| rows.iter().map(|r| r[c].len()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows.iter().skip(usize::from(!header)) {
        let mut line = String::new();
        for (column, text) in row.iter().enumerate() {
            let width = widths[column];
            line += &match column {
                // Address and port stand together around a colon; the process follows its port directly.
                4 | 6 if width > 0 => format!("{text:>width$}:"),
                5 => format!("{text:<width$} "),
                7 => format!("{text:<width$}"),
                _ if width > 0 => format!("{text:<width$} "),
                _ => String::new(),
            };
            if column == 6 {
                let port = if text == "Peer Address" { "Port" } else { "*" };
                line += &format!("{port:<4}");
            }
        }
        out += &line;
        out.push('\n');
    }
    out
}

/// `ss -s`. A socket for all addresses is a dual-stack one, and those count as IPv6.
fn summary(ns: &Namespace) -> String {
    let of = |protocol: Protocol| {
        let own = ns.listeners().iter().filter(|l| l.protocol == protocol);
        let six = own.clone().filter(|l| l.address.is_unspecified()).count();
        (own.count(), six)
    };
    let (tcp, udp) = (of(Protocol::TCP), of(Protocol::UDP));
    let both = (tcp.0 + udp.0, tcp.1 + udp.1);
    let mut out = format!(
        "Total: {}\nTCP:   {} (estab 0, closed 0, orphaned 0, timewait 0)\n\nTransport Total     IP        IPv6\n",
        both.0, tcp.0
    );
    for (name, (all, six)) in [
        ("RAW", (0, 0)),
        ("UDP", udp),
        ("TCP", tcp),
        ("INET", both),
        ("FRAG", (0, 0)),
    ] {
        out += &format!("{name}\t  {all:<9} {:<9} {six:<9}\n", all - six);
    }
    out.push('\n');
    out
}

pub(super) fn run(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let Some(ns) = net.namespace(namespace) else {
        return Output::default();
    };
    let (mut tcp, mut udp, mut listening, mut header) = (false, false, false, true);
    let mut filter = Vec::new();
    for arg in args {
        match arg
            .strip_prefix('-')
            .filter(|l| !l.starts_with('-') && !l.is_empty())
        {
            Some(letters) => {
                for letter in letters.chars() {
                    match letter {
                        't' => tcp = true,
                        'u' => udp = true,
                        'l' | 'a' => listening = true,
                        'H' => header = false,
                        's' => return Output::ok(summary(ns)),
                        'n' | 'p' | '4' | 'e' | 'o' => {}
                        other => return Output::unknown(&format!("ss -{other}")),
                    }
                }
            }
            None if arg == "--no-header" => header = false,
            None if arg == "--summary" => return Output::ok(summary(ns)),
            None if arg.starts_with("--") => return Output::unknown(&format!("ss {arg}")),
            None => filter.push(arg.as_str()),
        }
    }
    let port = match filter.as_slice() {
        [] => None,
        ["sport", "=" | "eq" | "==", port] | ["(", "sport", "=" | "eq" | "==", port, ")"] => {
            match port.trim_start_matches(':').parse::<u16>() {
                Ok(port) => Some(port),
                Err(_) => {
                    return Output::failed(
                        255,
                        format!("Error: an inet prefix is expected rather than \"{port}\".\n"),
                    );
                }
            }
        }
        other => return Output::unknown(&format!("ss {}", other.join(" "))),
    };
    let all = !tcp && !udp;
    let both = all || tcp && udp;
    let title = |text: &str| text.to_owned();
    let mut rows = vec![[
        if both { title("Netid") } else { String::new() },
        title("State"),
        title("Recv-Q"),
        title("Send-Q"),
        title("Local Address"),
        title("Port"),
        title("Peer Address"),
        title("Process"),
    ]];
    for listener in ns.listeners().iter().filter(|_| listening) {
        let wanted = match listener.protocol {
            Protocol::TCP => tcp || all,
            Protocol::UDP => udp || all,
            _ => false,
        };
        if !wanted || port.is_some_and(|p| p != listener.port) {
            continue;
        }
        let (netid, state, queue) = if listener.protocol == Protocol::TCP {
            ("tcp", "LISTEN", "4096")
        } else {
            ("udp", "UNCONN", "0")
        };
        // A socket for all addresses is a dual-stack one, as most servers open it.
        let (address, peer) = if listener.address.is_unspecified() {
            ("*".to_owned(), "*")
        } else {
            (listener.address.to_string(), "0.0.0.0")
        };
        rows.push([
            if both { title(netid) } else { String::new() },
            title(state),
            title("0"),
            title(queue),
            address,
            listener.port.to_string(),
            title(peer),
            String::new(),
        ]);
    }
    Output::ok(print(&rows, header))
}
