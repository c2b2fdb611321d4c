//! Command-line options as getopt(3) reads them.

use super::{Context, Failure};

/// A command line's options and operands.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// In order: the option's letter and its value, if it takes one.
    pub options: Vec<(char, String)>,
    pub operands: Vec<String>,
}

impl Parsed {
    pub fn has(&self, option: char) -> bool {
        self.options.iter().any(|(o, _)| *o == option)
    }

    /// The last value given.
    pub fn value(&self, option: char) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(o, _)| *o == option)
            .map(|(_, v)| v.as_str())
    }

    pub fn values(&self, option: char) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |(o, _)| *o == option)
            .map(|(_, v)| v.as_str())
    }

    /// The last value given, as a number.
    pub fn number(&self, option: char, what: &str) -> Result<Option<u64>, Failure> {
        match self.value(option) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Failure::Message(1, format!("{what}: '{text}'"))),
            },
        }
    }
}

/// Reads the arguments. `short`: letters, each followed by `:` where it takes a value. `long`: the
/// names of long options with the letters that they stand for.
pub(crate) fn parse(
    context: &Context,
    short: &str,
    long: &[(&str, char)],
) -> Result<Parsed, Failure> {
    parse_words(context.args, short, long)
}

pub(crate) fn parse_words(
    args: &[String],
    short: &str,
    long: &[(&str, char)],
) -> Result<Parsed, Failure> {
    let takes_value = |letter: char| {
        short
            .split_once(letter)
            .is_some_and(|(_, rest)| rest.starts_with(':'))
    };
    let usage = |message: String| Failure::Message(2, message);
    let mut parsed = Parsed::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.operands.extend(words.cloned());
            break;
        }
        if let Some(name) = word.strip_prefix("--") {
            let (name, value) = name
                .split_once('=')
                .map_or((name, None), |(n, v)| (n, Some(v.to_owned())));
            let mut fitting = long.iter().filter(|(n, _)| n.starts_with(name));
            let exact = long
                .iter()
                .find(|(n, _)| *n == name)
                .or_else(|| fitting.next());
            let Some((_, letter)) = exact else {
                return Err(usage(format!("unrecognized option '--{name}'")));
            };
            let value = match (takes_value(*letter), value) {
                (true, None) => match words.next() {
                    Some(value) => value.clone(),
                    None => return Err(usage(format!("option '--{name}' requires an argument"))),
                },
                (_, value) => value.unwrap_or_default(),
            };
            parsed.options.push((*letter, value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            parsed.operands.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            if letter == ':' || !short.contains(letter) {
                return Err(usage(format!("invalid option -- '{letter}'")));
            }
            if !takes_value(letter) {
                parsed.options.push((letter, String::new()));
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = match rest {
                "" => match words.next() {
                    Some(value) => value.clone(),
                    None => {
                        return Err(usage(format!("option requires an argument -- '{letter}'")));
                    }
                },
                rest => rest.to_owned(),
            };
            parsed.options.push((letter, value));
            break;
        }
    }
    Ok(parsed)
}
