//! Base64, the standard alphabet with padding, with Go's error text.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of some bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let six = (n >> (18 - 6 * place)) as usize & 63;
            out.push(if place <= chunk.len() {
                char::from(ALPHABET[six])
            } else {
                '='
            });
        }
    }
    out
}

/// The bytes of a text. Newlines are skipped. Errors: the offset of the first byte that is wrong, for
/// `illegal base64 data at input byte N`.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let significant: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, b)| !matches!(b, b'\r' | b'\n'))
        .collect();
    let mut quads = significant.chunks(4).peekable();
    while let Some(quad) = quads.next() {
        let mut n = 0_u32;
        let mut digits = 0;
        for (at, byte) in quad {
            match ALPHABET.iter().position(|a| a == byte) {
                Some(six) => n = n << 6 | six as u32,
                // Padding: two or one at the very end.
                None if *byte == b'=' && digits >= 2 => break,
                None => return Err(*at),
            }
            digits += 1;
        }
        let padding = &quad[digits..];
        if let Some((at, _)) = padding.iter().find(|(_, b)| *b != b'=') {
            return Err(*at);
        }
        if quad.len() < 4 {
            // Cut short: Go names the first byte of the incomplete group.
            return Err(if padding.is_empty() {
                quad[0].0
            } else {
                text.len()
            });
        }
        if digits < 4
            && let Some(next) = quads.peek()
        {
            return Err(next[0].0);
        }
        n <<= 6 * (4 - digits);
        out.extend(n.to_be_bytes()[1..].iter().take(digits - 1));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (plain, coded) in [
            ("", ""),
            ("a", "YQ=="),
            ("ab", "YWI="),
            ("abc", "YWJj"),
            ("hello\n", "aGVsbG8K"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded), Ok(plain.as_bytes().to_vec()));
        }
        for (wrong, at) in [
            ("a", 0),
            ("a!==", 1),
            ("YQ==YQ==", 4),
            ("abcd*", 4),
            ("YWJj\nYQ=", 8),
        ] {
            assert_eq!(decode(wrong), Err(at), "{wrong}");
        }
    }
}
