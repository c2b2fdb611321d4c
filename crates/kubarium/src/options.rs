//! Options of the command line: each is declared once, and from its declaration come its reading,
//! its line in the help and the errors about it.

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// `--nodes`, or `-e`.
    pub name: &'static str,
    /// What its value is called in the help; empty where it takes none.
    pub value: &'static str,
    /// What it does, in a line or a few.
    pub help: &'static str,
}

/// A command of `kubarium`.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// `sh`
    pub name: &'static str,
    /// What it is for, in a line.
    pub short: &'static str,
    /// Its operands as the usage line shows them.
    pub operands: &'static str,
    /// How many operands it takes at the most.
    pub operands_max: usize,
    /// Its options.
    pub options: &'static [Declared],
    /// What else there is to say about it.
    pub long: &'static str,
}

/// A command line that has been read.
#[derive(Debug, Default)]
pub struct Arguments {
    options: Vec<(&'static str, String)>,
    /// What is no option.
    pub operands: Vec<String>,
}

const HELP: &str = "--help";

impl Declaration {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it, and how it is used.
    pub fn read(&self, words: &[String]) -> Result<Arguments, String> {
        let mut read = Arguments::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                read.operands.extend(words.cloned());
                break;
            }
            if word == HELP || word == "-h" {
                read.options.push((HELP, String::new()));
                continue;
            }
            if word == "-" || !word.starts_with('-') {
                read.operands.push(word.clone());
                continue;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let Some(option) = self.options.iter().find(|o| o.name == name) else {
                return Err(self.wrong(&format!("unknown option {name}")));
            };
            let value = match (option.value, value) {
                ("", None) => String::new(),
                ("", Some(_)) => return Err(self.wrong(&format!("{name} takes no value"))),
                (_, Some(value)) => value,
                (what, None) => match words.next() {
                    Some(value) => value.clone(),
                    None => return Err(self.wrong(&format!("{name} needs {what} after it"))),
                },
            };
            read.options.push((option.name, value));
        }
        match read.operands.get(self.operands_max) {
            Some(word) => Err(self.wrong(&format!("unexpected {word:?}"))),
            None => Ok(read),
        }
    }

    /// An error with the way in which the command is used.
    pub fn wrong(&self, message: &str) -> String {
        format!(
            "{message}\n{}\n`kubarium help {}` says what each is for.",
            self.usage(),
            self.name
        )
    }

    /// `Usage: kubarium sh [--nodes N] [SCRIPT|-]`
    pub fn usage(&self) -> String {
        let mut line = format!("Usage: kubarium {}", self.name);
        for option in self.options {
            line += &match option.value {
                "" => format!(" [{}]", option.name),
                value => format!(" [{} {value}]", option.name),
            };
        }
        if !self.operands.is_empty() {
            line = format!("{line} {}", self.operands);
        }
        line
    }

    /// All there is to say about the command.
    pub fn help(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.short, self.usage());
        let shown = |o: &Declared| match o.value {
            "" => o.name.to_owned(),
            value => format!("{} {value}", o.name),
        };
        let width = self.options.iter().map(|o| shown(o).len()).max();
        if let Some(width) = width {
            text += "\nOptions:\n";
            for option in self.options {
                let help = option
                    .help
                    .replace('\n', &format!("\n{}", " ".repeat(width + 4)));
                text += &format!("  {:width$}  {help}\n", shown(option));
            }
        }
        if !self.long.is_empty() {
            text += &format!("\n{}", self.long);
        }
        text
    }
}

impl Arguments {
    /// Whether help is asked for.
    pub fn wants_help(&self) -> bool {
        self.has(HELP)
    }

    /// Whether an option is given.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(n, _)| *n == name)
    }

    /// An option's last value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.as_str())
    }

    /// An option's last value as a number.
    ///
    /// # Errors
    /// The option with its value, where that is no number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("{name} wants a number, not {text:?}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Declaration = Declaration {
        name: "test",
        short: "Tests.",
        operands: "[FILE]",
        operands_max: 1,
        options: &[
            Declared {
                name: "--number",
                value: "N",
                help: "a number",
            },
            Declared {
                name: "-e",
                value: "",
                help: "a flag",
            },
        ],
        long: "",
    };

    fn read(line: &str) -> Result<Arguments, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        TEST.read(&words)
    }

    #[test]
    fn options_are_read() {
        let number = |line: &str| read(line).and_then(|a| a.number::<u32>("--number"));
        assert_eq!(number("--number 3"), Ok(Some(3)));
        assert_eq!(number("--number=4 x -e"), Ok(Some(4)));
        assert_eq!(number("--number 1 --number 2"), Ok(Some(2)));
        assert_eq!(number("-e"), Ok(None));
        assert!(number("--number x").is_err_and(|e| e.contains("--number wants a number")));
        let operands = |line: &str| read(line).map(|a| a.operands);
        assert_eq!(operands("-e -"), Ok(vec!["-".to_owned()]));
        assert_eq!(operands("-- -e"), Ok(vec!["-e".to_owned()]));
        assert!(read("--help").is_ok_and(|a| a.wants_help()));
    }

    #[test]
    fn errors_say_how_it_is_used() {
        for (line, want) in [
            ("--nope", "unknown option --nope"),
            ("--number", "--number needs N"),
            ("-e=1", "-e takes no value"),
            ("a b", "unexpected \"b\""),
        ] {
            let error = read(line).err().unwrap_or_default();
            assert!(error.starts_with(want), "{error}");
            assert!(
                error.contains("Usage: kubarium test [--number N] [-e] [FILE]"),
                "{error}"
            );
        }
    }
}
