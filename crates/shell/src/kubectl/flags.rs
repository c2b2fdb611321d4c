//! Flags, declared once in a table for each command, read as pflag reads them (spf13/pflag 1.0,
//! its error texts word for word).

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_objects::go;

use crate::registry::State;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Text,
    /// A string that may be left out: `--dry-run` means `--dry-run=VALUE`.
    Optional(&'static str),
    /// Several, separated by commas or by giving the flag again.
    List,
    /// Several, by giving the flag again.
    Texts,
    /// `KEY=VALUE`, separated by commas or by giving the flag again.
    Pairs,
    Duration,
}

/// A flag of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    pub default: &'static str,
    pub help: &'static str,
    pub state: State,
    /// What to print where the flag is used although it is deprecated.
    pub deprecated: &'static str,
    pub required: bool,
}

pub(crate) const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        short: None,
        kind,
        default,
        help,
        state: State::Works,
        deprecated: "",
        required: false,
    }
}

pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Bool, "false", help)
}

pub(crate) const fn text(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Text, "", help)
}

pub(crate) const fn list(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::List, "", help)
}

impl Flag {
    pub const fn short(self, short: char) -> Flag {
        Flag {
            short: Some(short),
            ..self
        }
    }
    pub const fn not_yet(self) -> Flag {
        Flag {
            state: State::NotYet(""),
            ..self
        }
    }
    pub const fn required(self) -> Flag {
        Flag {
            required: true,
            ..self
        }
    }
    pub const fn deprecated(self, message: &'static str) -> Flag {
        Flag {
            deprecated: message,
            ..self
        }
    }

    /// What stands for the value where only the name is given.
    fn implied(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Bool => Some("true"),
            Kind::Optional(value) => Some(value),
            _ => None,
        }
    }

    /// `-A, --all-namespaces`
    fn shown(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }

    fn check(&self, value: &str) -> Result<(), String> {
        let problem = match self.kind {
            Kind::Bool => parse_bool(value)
                .is_none()
                .then(|| parsing("ParseBool", value, "invalid syntax")),
            Kind::Int => match value.parse::<i64>() {
                Ok(_) => None,
                Err(e)
                    if matches!(
                        e.kind(),
                        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
                    ) =>
                {
                    Some(parsing("ParseInt", value, "value out of range"))
                }
                Err(_) => Some(parsing("ParseInt", value, "invalid syntax")),
            },
            Kind::Duration => go_duration(value).err(),
            Kind::Pairs => {
                let odd = value.split(',').find(|pair| !pair.contains('='));
                odd.map(|pair| format!("{pair} must be formatted as key=value"))
            }
            _ => None,
        };
        match problem {
            None => Ok(()),
            Some(problem) => Err(format!(
                "invalid argument {} for {} flag: {problem}",
                go::quote(value),
                go::quote(&self.shown())
            )),
        }
    }
}

fn parsing(function: &str, value: &str, problem: &str) -> String {
    format!(
        "strconv.{function}: parsing {}: {problem}",
        go::quote(value)
    )
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `time.ParseDuration`; negative times are zero.
pub(crate) fn go_duration(value: &str) -> Result<Duration, String> {
    let bad = || format!("time: invalid duration {}", go::quote(value));
    let text = value.strip_prefix(['-', '+']).unwrap_or(value);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(bad());
    }
    let (mut rest, mut nanos) = (text, 0f64);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| bad())?;
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => {
                return Err(format!(
                    "time: missing unit in duration {}",
                    go::quote(value)
                ));
            }
            unit => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    go::quote(unit),
                    go::quote(value)
                ));
            }
        };
        nanos += number * scale;
        rest = after;
    }
    let negative = value.starts_with('-');
    Ok(if negative {
        Duration::ZERO
    } else {
        Duration::from_nanos(nanos.min(9e18) as u64)
    })
}

/// A command line's flags and arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    table: Vec<&'static Flag>,
    values: BTreeMap<&'static str, Vec<String>>,
    /// What is no flag, in order.
    pub args: Vec<String>,
    /// How many of the arguments stand before `--`, where there is one.
    pub dash: Option<usize>,
}

/// Why flags cannot be read.
#[derive(Debug)]
pub(crate) enum FlagError {
    /// `-h`, `--help`
    Help,
    Bad(String),
}

impl Flags {
    /// Reads the words behind a command's name.
    pub fn parse(
        tables: &[&'static [Flag]],
        words: &[String],
        interspersed: bool,
    ) -> Result<Flags, FlagError> {
        let mut flags = Flags {
            table: tables.iter().flat_map(|t| t.iter()).collect(),
            ..Flags::default()
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                flags.dash = Some(flags.args.len());
                flags.args.extend(words.cloned());
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                flags.long(long, &mut words)?;
            } else if word.len() > 1 && word.starts_with('-') {
                flags.shorthands(word, &mut words)?;
            } else {
                flags.args.push(word.clone());
                if !interspersed {
                    flags.args.extend(words.cloned());
                    break;
                }
            }
        }
        Ok(flags)
    }

    fn long<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), FlagError> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(FlagError::Bad(format!("bad flag syntax: --{word}")));
        }
        let Some(flag) = self.table.iter().find(|f| f.name == name).copied() else {
            return Err(if name == "help" {
                FlagError::Help
            } else {
                FlagError::Bad(format!("unknown flag: --{name}"))
            });
        };
        let value = match (value, flag.implied()) {
            (Some(value), _) => value.to_owned(),
            (None, Some(implied)) => implied.to_owned(),
            (None, None) => words
                .next()
                .cloned()
                .ok_or_else(|| FlagError::Bad(format!("flag needs an argument: --{name}")))?,
        };
        self.set(flag, value)
    }

    fn shorthands<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), FlagError> {
        let mut rest = word.get(1..).unwrap_or("");
        while let Some(short) = rest.chars().next() {
            let after = &rest[short.len_utf8()..];
            let Some(flag) = self.table.iter().find(|f| f.short == Some(short)).copied() else {
                let unknown =
                    FlagError::Bad(format!("unknown shorthand flag: '{short}' in -{rest}"));
                return Err(if short == 'h' {
                    FlagError::Help
                } else {
                    unknown
                });
            };
            if let Some(value) = after.strip_prefix('=') {
                return self.set(flag, value.to_owned());
            }
            if let Some(implied) = flag.implied() {
                self.set(flag, implied.to_owned())?;
                rest = after;
                continue;
            }
            if !after.is_empty() {
                return self.set(flag, after.to_owned());
            }
            let value = words.next().cloned();
            let value = value.ok_or_else(|| {
                FlagError::Bad(format!("flag needs an argument: '{short}' in -{rest}"))
            })?;
            return self.set(flag, value);
        }
        Ok(())
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), FlagError> {
        flag.check(&value).map_err(FlagError::Bad)?;
        let values = self.values.entry(flag.name).or_default();
        match flag.kind {
            Kind::List | Kind::Pairs => values.extend(
                value
                    .split(',')
                    .filter(|v| !v.is_empty())
                    .map(str::to_owned),
            ),
            Kind::Texts => values.push(value),
            _ => *values = vec![value],
        }
        Ok(())
    }

    /// Gives a flag a value, as if the command line had it.
    pub fn give(&mut self, name: &'static str, value: String) {
        self.values.entry(name).or_default().push(value);
    }

    /// Whether the flag was given.
    pub fn changed(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The flag's value as text, or its default.
    pub fn str(&self, name: &str) -> &str {
        match self.values.get(name).and_then(|v| v.last()) {
            Some(value) => value,
            None => self
                .table
                .iter()
                .find(|f| f.name == name)
                .map_or("", |f| f.default),
        }
    }

    pub fn bool(&self, name: &str) -> bool {
        parse_bool(self.str(name)) == Some(true)
    }

    pub fn int(&self, name: &str) -> i64 {
        self.str(name).parse().unwrap_or(0)
    }

    pub fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], |v| v)
    }

    pub fn duration(&self, name: &str) -> Duration {
        go_duration(self.str(name)).unwrap_or_default()
    }

    /// The flags that were given, in the order of their names.
    pub fn given(&self) -> impl Iterator<Item = &'static Flag> {
        let table = self.table.clone();
        let names: Vec<_> = self.values.keys().copied().collect();
        names
            .into_iter()
            .filter_map(move |name| table.iter().find(|f| f.name == name).copied())
    }

    /// The names of the required flags that are missing.
    pub fn missing(&self) -> Vec<&'static str> {
        self.table
            .iter()
            .filter(|f| f.required && !self.changed(f.name))
            .map(|f| f.name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        switch("all-namespaces", "").short('A'),
        text("namespace", "").short('n'),
        list("filename", "").short('f'),
        flag("replicas", Kind::Int, "0", ""),
        flag("dry-run", Kind::Optional("unchanged"), "none", ""),
        flag("timeout", Kind::Duration, "0s", ""),
    ];

    fn parse(line: &str) -> Result<Flags, String> {
        let words: Vec<String> = line
            .split(' ')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect();
        Flags::parse(&[TABLE], &words, true).map_err(|e| match e {
            FlagError::Help => "help".to_owned(),
            FlagError::Bad(text) => text,
        })
    }

    #[test]
    fn flags_are_read_as_pflag_reads_them() {
        let f = parse("pods -nx --replicas=3 a -Af one,two --filename three --dry-run b --timeout 1m30s -- -c").unwrap();
        assert_eq!(
            (
                f.str("namespace"),
                f.int("replicas"),
                f.bool("all-namespaces")
            ),
            ("x", 3, true)
        );
        assert_eq!(f.list("filename"), ["one", "two", "three"]);
        assert_eq!(
            (f.str("dry-run"), f.args.join(" ").as_str(), f.dash),
            ("unchanged", "pods a b -c", Some(3))
        );
        assert_eq!(f.duration("timeout"), Duration::from_secs(90));
        assert_eq!(parse("").unwrap().str("dry-run"), "none");
    }

    #[track_caller]
    fn fails(line: &str, want: &str) {
        assert_eq!(parse(line).map(|_| ()).unwrap_err(), want);
    }

    #[test]
    fn errors_are_pflags() {
        fails("--nosuch", "unknown flag: --nosuch");
        fails("-z", "unknown shorthand flag: 'z' in -z");
        fails("-Az", "unknown shorthand flag: 'z' in -z");
        fails("-n", "flag needs an argument: 'n' in -n");
        fails("--filename", "flag needs an argument: --filename");
        fails(
            "--replicas=x",
            "invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        );
        fails(
            "--all-namespaces=maybe",
            "invalid argument \"maybe\" for \"-A, --all-namespaces\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        );
        fails(
            "--timeout=5x",
            "invalid argument \"5x\" for \"--timeout\" flag: time: unknown unit \"x\" in duration \"5x\"",
        );
        fails(
            "--timeout=5",
            "invalid argument \"5\" for \"--timeout\" flag: time: missing unit in duration \"5\"",
        );
        fails("-h", "help");
        fails("---x", "bad flag syntax: ---x");
    }
}
