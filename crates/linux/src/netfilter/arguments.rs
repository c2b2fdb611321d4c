//! The words of one rule, read one after the other.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Words with a place in them.
pub(crate) struct Arguments<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Arguments<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Arguments { words, at: 0 }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    /// The word that an option needs after it.
    pub fn value(&mut self, option: &str) -> Result<&'a str, String> {
        self.next()
            .ok_or_else(|| format!("option \"{option}\" requires an argument"))
    }
}

/// A decimal or `0x` number.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `VALUE[/MASK]`; the mask is all ones where there is none.
pub(crate) fn value_and_mask(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.0/255.0.0.0`; host bits are cleared.
pub(crate) fn network(text: &str) -> Option<Ipv4Net> {
    let (address, length) = match text.split_once('/') {
        None => (text, 32),
        Some((address, mask)) => match mask.parse::<u8>() {
            Ok(length) => (address, length),
            Err(_) => {
                let mask: Ipv4Addr = mask.parse().ok()?;
                let bits = mask.to_bits();
                if bits.leading_ones() + bits.trailing_zeros() < 32 {
                    return None;
                }
                (address, bits.leading_ones() as u8)
            }
        },
    };
    Some(Ipv4Net::new(address.parse().ok()?, length).ok()?.trunc())
}

/// Splits a line into words as iptables-restore does: blanks separate, quotes hold together, `\` escapes in quotes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Writes a value as `xtables_save_string` does: quoted unless all of it is of `[A-Za-z0-9_-]`.
pub(crate) fn quoted(out: &mut String, value: &str) {
    if !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
