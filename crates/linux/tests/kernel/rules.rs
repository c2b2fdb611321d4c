//! What of the tools' text is compared.

/// The rules of `iptables-save -c` that something passed, and built-in chains whose policy decided on something.
pub fn passed(space: &str, saved: &str) -> Vec<String> {
    let mut table = "";
    let mut found = Vec::new();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        }
        let (counter, text) = match line.strip_prefix(':') {
            Some(chain) => match chain.rsplit_once(" [") {
                Some((text, counter)) if !text.ends_with(" -") => (counter, text),
                _ => continue,
            },
            None => match line.strip_prefix('[').and_then(|l| l.split_once("] ")) {
                Some(found) => found,
                None => continue,
            },
        };
        if !counter.starts_with("0:") {
            found.push(format!("{space} {table} {text}"));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A line of tracked connections without what two runs have not in common: time-outs and free ports.
pub fn tracked(space: &str, line: &str) -> Option<String> {
    const PROTOCOLS: [&str; 4] = ["tcp", "udp", "icmp", "sctp"];
    let protocol = line.split_whitespace().find(|w| PROTOCOLS.contains(w))?;
    let mut out = format!("{space} {protocol}");
    for word in line.split_whitespace() {
        let fixed = |text: &str| matches!(text, "80" | "81" | "8080" | "8472" | "30080");
        match word.split_once('=') {
            Some(("src" | "dst" | "type" | "code", _)) => out += &format!(" {word}"),
            Some((key @ ("sport" | "dport"), port)) => {
                let port = if fixed(port) { port } else { "free" };
                out += &format!(" {key}={port}");
            }
            _ if word == "[UNREPLIED]" => out += " [UNREPLIED]",
            _ => {}
        }
    }
    Some(out)
}
