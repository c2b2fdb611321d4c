//! DNS messages (RFC 1035) as tcpdump prints them.

use std::fmt::Write;

use super::print::Bytes;

/// Names of types.
fn kind(number: u16) -> String {
    match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        41 => "OPT",
        252 => "AXFR",
        255 => "ANY",
        other => return format!("Type{other}"),
    }
    .to_owned()
}

/// A name from `at` on, and where it ends.
fn name(bytes: Bytes<'_>, mut at: usize) -> (String, usize) {
    let mut out = String::new();
    let mut end = None;
    // A name has 128 labels at the most; pointers could lead round for ever.
    for _ in 0..128 {
        let length = usize::from(bytes.u8(at));
        if length == 0 {
            at += 1;
            break;
        }
        if length & 0xc0 == 0xc0 {
            end.get_or_insert(at + 2);
            at = usize::from(bytes.u16(at) & 0x3fff);
            continue;
        }
        let label = bytes.0.get(at + 1..at + 1 + length).unwrap_or_default();
        out += &String::from_utf8_lossy(label);
        out.push('.');
        at += 1 + length;
    }
    if out.is_empty() {
        out.push('.');
    }
    (out, end.unwrap_or(at))
}

/// One record; where it ends.
fn record(out: &mut String, bytes: Bytes<'_>, at: usize, verbose: u8) -> usize {
    let (owner, at) = name(bytes, at);
    let (number, ttl, length) = (
        bytes.u16(at),
        bytes.u32(at + 4),
        usize::from(bytes.u16(at + 8)),
    );
    let data = at + 10;
    if number == 41 {
        let _ = write!(out, " . OPT UDPsize={}", bytes.u16(at + 2));
        return data + length;
    }
    if verbose > 0 {
        let _ = write!(out, " {owner}");
    }
    if verbose > 2 {
        let _ = write!(out, " [{}]", lived(ttl));
    }
    let _ = write!(out, " {}", kind(number));
    let _ = match number {
        1 => write!(out, " {}", bytes.address(data)),
        2 | 5 | 12 => write!(out, " {}", name(bytes, data).0),
        6 if verbose > 0 => {
            let (server, next) = name(bytes, data);
            let (mail, next) = name(bytes, next);
            let field = |n: usize| bytes.u32(next + 4 * n);
            write!(
                out,
                " {server} {mail} {} {} {} {} {}",
                field(0),
                field(1),
                field(2),
                field(3),
                field(4)
            )
        }
        16 => {
            let size = usize::from(bytes.u8(data));
            let text = bytes.0.get(data + 1..data + 1 + size).unwrap_or_default();
            write!(out, " \"{}\"", String::from_utf8_lossy(text))
        }
        28 => {
            let words: [u16; 8] = std::array::from_fn(|n| bytes.u16(data + 2 * n));
            write!(out, " {}", std::net::Ipv6Addr::from(words))
        }
        33 => write!(
            out,
            " {}:{} {} {}",
            name(bytes, data + 6).0,
            bytes.u16(data + 4),
            bytes.u16(data),
            bytes.u16(data + 2)
        ),
        _ => Ok(()),
    };
    data + length
}

/// `1m30s`
fn lived(ttl: u32) -> String {
    let mut out = String::new();
    let mut left = ttl;
    for (unit, seconds) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)] {
        if left >= seconds {
            let _ = write!(out, "{}{unit}", left / seconds);
            left %= seconds;
        }
    }
    if left > 0 || out.is_empty() {
        let _ = write!(out, "{left}s");
    }
    out
}

/// A message of this length.
pub(super) fn print(out: &mut String, bytes: Bytes<'_>, length: usize, verbose: u8) {
    let (id, flags) = (bytes.u16(0), bytes.u16(2));
    let [questions, answers, authorities, additional] =
        [4, 6, 8, 10].map(|at| usize::from(bytes.u16(at)));
    let reply = flags & 0x8000 != 0;
    let _ = write!(out, "{id}");
    if reply {
        let code = match flags & 0xf {
            0 => "",
            1 => " FormErr",
            2 => " ServFail",
            3 => " NXDomain",
            4 => " NotImp",
            5 => " Refused",
            _ => " Resp",
        };
        *out += code;
        if flags & 0x0400 != 0 {
            out.push('*');
        }
        if flags & 0x0080 == 0 {
            out.push('-');
        }
        if flags & 0x0200 != 0 {
            out.push('|');
        }
        if flags & 0x0020 != 0 {
            out.push('$');
        }
    } else {
        if flags & 0x0100 != 0 {
            out.push('+');
        }
        if flags & 0x0010 != 0 {
            out.push('%');
        }
    }
    let mut at = 12;
    let mut asked = Vec::new();
    for _ in 0..questions.min(8) {
        let (name, next) = name(bytes, at);
        asked.push(format!("{}? {name}", kind(bytes.u16(next))));
        at = next + 4;
    }
    if reply {
        if verbose > 1 && !asked.is_empty() {
            let _ = write!(out, " q: {}", asked.join(", "));
        }
        let _ = write!(out, " {answers}/{authorities}/{additional}");
        for (n, title) in [(answers, ""), (authorities, " ns:"), (additional, " ar:")] {
            // Without -v only the answers are printed.
            if n == 0 || !(title.is_empty() || verbose > 0) {
                continue;
            }
            *out += title;
            for number in 0..n.min(64) {
                if number > 0 {
                    out.push(',');
                }
                at = record(out, bytes, at, verbose);
                if at >= bytes.len() {
                    break;
                }
            }
        }
    } else {
        if additional > 0 {
            let _ = write!(out, " [{additional}au]");
        }
        let _ = write!(out, " {}", asked.join(", "));
    }
    let _ = write!(out, " ({length})");
}
