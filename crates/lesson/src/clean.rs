//! Texts without what cannot be seen.
//!
//! Control characters and the Unicode characters that turn the direction of text make a person read
//! something else than what is there ("Trojan Source", CVE-2021-42574).

/// Whether a character changes how others are shown without being seen itself.
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // U+200C and U+200D join letters of some scripts; they stay.
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => true,
        // Tags: an invisible copy of ASCII.
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// A text without hidden characters; `\r\n` becomes `\n`.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

/// Whether a text has hidden characters (a `\r` before `\n` is none).
pub fn has_hidden(text: &str) -> bool {
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\r' && characters.peek() == Some(&'\n') {
            continue;
        }
        if is_hidden(c) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_found_and_removed() {
        for (text, want) in [
            ("plain\n\ttext, größe, 日本語, 👩‍💻", None),
            ("a\r\nb", Some("a\nb")),
            ("a\u{202e}b", Some("ab")),
            ("\u{feff}a\u{0}\u{1b}[31mb\u{7f}\u{9b}", Some("a[31mb")),
            ("a\u{2066}b\u{2069}\u{200b}\u{e0041}", Some("ab")),
        ] {
            assert_eq!(clean(text), want.unwrap_or(text));
            assert_eq!(
                has_hidden(text),
                want.is_some() && !text.contains('\r'),
                "{text:?}"
            );
        }
    }
}
