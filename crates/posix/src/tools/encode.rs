//! `base64`, `md5sum`, `sha256sum`, `od`, `strings`

use super::{Context, Failure, Outcome, fail, options};
use sha2::Digest;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648) of the bytes, on one line.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0_u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let index = (word >> (18 - 6 * i) & 63) as usize;
            out.push(if i <= group.len() {
                char::from(ALPHABET[index])
            } else {
                '='
            });
        }
    }
    out
}

/// What base64 stands for; None where it is none. Line ends are passed over.
pub(crate) fn decode(text: &[u8], ignore_garbage: bool) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits, mut count) = (0_u32, 0, 0_usize);
    let mut padding = 0;
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            b'\n' | b'\r' => continue,
            _ if ignore_garbage => continue,
            _ => return (out, false),
        };
        if padding > 0 {
            return (out, false);
        }
        count += 1;
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 0xff) as u8);
        }
    }
    let whole = (count + padding).is_multiple_of(4) && padding < 3;
    (out, whole)
}

pub(super) fn base64(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "dDiw:",
        &[("decode", 'd'), ("wrap", 'w'), ("ignore-garbage", 'i')],
    )?;
    let (bytes, status) =
        context.read_all("base64", parsed.operands.get(..1).unwrap_or_default())?;
    if parsed.has('d') || parsed.has('D') {
        let (decoded, whole) = decode(&bytes, parsed.has('i'));
        context.out.extend(decoded);
        return if whole {
            Ok(status)
        } else {
            fail("invalid input")
        };
    }
    let width = parsed.number('w', "invalid wrap size")?.unwrap_or(76) as usize;
    let text = encode(&bytes);
    if width == 0 {
        context.say(&text);
        return Ok(status);
    }
    for line in text.as_bytes().chunks(width) {
        context.out.extend_from_slice(line);
        context.out.push(b'\n');
    }
    Ok(status)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sums(context: &mut Context, name: &str, sum: fn(&[u8]) -> String) -> Outcome {
    let parsed = options::parse(context, "bct", &[("check", 'c'), ("binary", 'b')])?;
    if parsed.has('c') {
        return Err(Failure::Message(1, "-c is not simulated yet".to_owned()));
    }
    let stdin = ["-".to_owned()];
    let files = if parsed.operands.is_empty() {
        &stdin[..]
    } else {
        &parsed.operands
    };
    let mut status = 0;
    for file in files {
        match context.read(file)? {
            Ok(bytes) => {
                context.steps += bytes.len() as u64 / 16;
                context.say(&format!("{}  {file}\n", sum(&bytes)));
            }
            Err(message) => {
                context.complain(name, &message);
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(super) fn sha256sum(context: &mut Context) -> Outcome {
    sums(context, "sha256sum", |bytes| {
        hex(&sha2::Sha256::digest(bytes))
    })
}

pub(super) fn md5sum(context: &mut Context) -> Outcome {
    sums(context, "md5sum", |bytes| hex(&md5(bytes)))
}

/// MD5 (RFC 1321).
fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let sine = |i: usize| ((i as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
    let table: Vec<u32> = (0..64).map(sine).collect();
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut data = message.to_vec();
    data.push(0x80);
    while data.len() % 64 != 56 {
        data.push(0);
    }
    data.extend((message.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in data.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|c| c.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b)))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (f, g) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            let sum = a
                .wrapping_add(f)
                .wrapping_add(table[i])
                .wrapping_add(words[g]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
        }
        for (s, v) in state.iter_mut().zip([a, b, c, d]) {
            *s = s.wrapping_add(v);
        }
    }
    let mut out = [0; 16];
    for (chunk, word) in out.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    out
}
