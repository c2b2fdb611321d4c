//! sed's scripts: addresses, commands, substitutions.

use crate::tools::regex::{self, Kind as Syntax};
use regex_lite::{Captures, Regex};

#[derive(Clone, Debug)]
pub(super) enum Address {
    Line(usize),
    Last,
    /// `first~step`
    Step(usize, usize),
    /// None: the last one used.
    Regex(Option<Regex>),
    /// `,+N`
    Plus(usize),
    /// `,~N`
    Multiple(usize),
    /// `0,/x/`
    Zero,
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub first: Option<Address>,
    pub second: Option<Address>,
    pub negated: bool,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `{`: where its `}` is.
    Block(usize),
    Delete,
    DeleteFirst,
    Print,
    PrintFirst,
    Number,
    List,
    Quit(i32),
    QuitSilently(i32),
    Next,
    NextAppend,
    Hold,
    HoldAppend,
    Get,
    GetAppend,
    Exchange,
    Append(String),
    Insert(String),
    Change(String),
    Read(String),
    Write(String),
    Transliterate(Vec<(char, char)>),
    Jump(usize),
    JumpIf(usize),
    JumpUnless(usize),
    Substitute(Box<Substitution>),
}

#[derive(Clone, Debug)]
pub(super) struct Substitution {
    pub regex: Option<Regex>,
    replacement: Vec<Part>,
    global: bool,
    nth: usize,
    pub print: bool,
    pub write: Option<String>,
}

/// A piece of a replacement.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
    /// `\U`, `\L`, `\u`, `\l`, `\E`
    Case(char),
}

impl Substitution {
    /// The text with what matched replaced; None where nothing did.
    pub fn apply(&self, regex: &Regex, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut end = 0;
        let mut changed = false;
        let mut count = 0;
        let mut last_end = None;
        for captures in regex.captures_iter(text) {
            let Some(found) = captures.get(0) else {
                continue;
            };
            // An empty match right after another one is none.
            if found.is_empty() && last_end == Some(found.start()) {
                continue;
            }
            last_end = Some(found.end());
            count += 1;
            if count < self.nth {
                continue;
            }
            out.push_str(&text[end..found.start()]);
            self.replace(&captures, &mut out);
            end = found.end();
            changed = true;
            if !self.global {
                break;
            }
        }
        out.push_str(&text[end..]);
        changed.then_some(out)
    }

    fn replace(&self, captures: &Captures, out: &mut String) {
        let mut case = 'E';
        let mut once = None;
        for part in &self.replacement {
            let text = match part {
                Part::Case(c @ ('u' | 'l')) => {
                    once = Some(*c);
                    continue;
                }
                Part::Case(c) => {
                    case = *c;
                    continue;
                }
                Part::Text(text) => text.as_str(),
                Part::Group(n) => captures.get(*n).map_or("", |m| m.as_str()),
            };
            let mut text = match case {
                'U' => text.to_uppercase(),
                'L' => text.to_lowercase(),
                _ => text.to_owned(),
            };
            if let Some(c) = text.chars().next()
                && let Some(how) = once.take()
            {
                let rest = text.split_off(c.len_utf8());
                text = if how == 'u' {
                    text.to_uppercase()
                } else {
                    text.to_lowercase()
                } + &rest;
            }
            out.push_str(&text);
        }
    }
}

type Parsed<T> = Result<T, (usize, String)>;

struct Parser {
    text: Vec<char>,
    at: usize,
    extended: bool,
}

/// A script's commands, its blocks and branches as positions.
pub(super) fn parse(text: &str, extended: bool) -> Parsed<Vec<Command>> {
    let mut parser = Parser {
        text: text.chars().collect(),
        at: 0,
        extended,
    };
    let mut commands: Vec<Command> = Vec::new();
    let mut blocks: Vec<usize> = Vec::new();
    let mut labels: Vec<(String, usize)> = Vec::new();
    // Branches, with the labels that they are to.
    let mut branches: Vec<(usize, String)> = Vec::new();
    loop {
        parser.skip(|c| c.is_whitespace() || c == ';');
        if parser.peek().is_none() {
            break;
        }
        if parser.peek() == Some('#') {
            parser.skip(|c| c != '\n');
            continue;
        }
        let (first, second) = parser.addresses()?;
        parser.skip(|c| c == ' ' || c == '\t');
        let mut negated = false;
        while parser.peek() == Some('!') {
            negated = true;
            parser.at += 1;
            parser.skip(|c| c == ' ');
        }
        let Some(name) = parser.next() else {
            return parser.error("missing command");
        };
        let here = commands.len();
        let kind = match name {
            '{' => {
                blocks.push(here);
                Kind::Block(0)
            }
            '}' => {
                let Some(open) = blocks.pop() else {
                    return parser.error("unexpected `}'");
                };
                if first.is_some() {
                    return parser.error("} doesn't want any addresses");
                }
                if let Some(command) = commands.get_mut(open) {
                    command.kind = Kind::Block(here);
                }
                parser.end()?;
                continue;
            }
            ':' => {
                parser.skip(|c| c == ' ');
                let label = parser.word();
                if label.is_empty() {
                    return parser.error("\":\" lacks a label");
                }
                labels.push((label, here));
                continue;
            }
            'b' | 't' | 'T' => {
                parser.skip(|c| c == ' ');
                branches.push((here, parser.word()));
                match name {
                    'b' => Kind::Jump(0),
                    't' => Kind::JumpIf(0),
                    _ => Kind::JumpUnless(0),
                }
            }
            'a' => Kind::Append(parser.text_argument()?),
            'i' => Kind::Insert(parser.text_argument()?),
            'c' => Kind::Change(parser.text_argument()?),
            'r' | 'w' => {
                parser.skip(|c| c == ' ');
                let file = parser.rest_of_line();
                if file.is_empty() {
                    return parser.error("missing filename in r/R/w/W commands");
                }
                if name == 'r' {
                    Kind::Read(file)
                } else {
                    Kind::Write(file)
                }
            }
            's' => Kind::Substitute(Box::new(parser.substitution()?)),
            'y' => parser.transliteration()?,
            'q' | 'Q' => {
                parser.skip(|c| c == ' ');
                let status = parser.number().unwrap_or(0) as i32 & 0xff;
                if name == 'q' {
                    Kind::Quit(status)
                } else {
                    Kind::QuitSilently(status)
                }
            }
            'd' => Kind::Delete,
            'D' => Kind::DeleteFirst,
            'p' => Kind::Print,
            'P' => Kind::PrintFirst,
            '=' => Kind::Number,
            'l' => Kind::List,
            'n' => Kind::Next,
            'N' => Kind::NextAppend,
            'h' => Kind::Hold,
            'H' => Kind::HoldAppend,
            'g' => Kind::Get,
            'G' => Kind::GetAppend,
            'x' => Kind::Exchange,
            'z' | 'F' | 'e' | 'R' | 'W' => {
                return parser.error(&format!("command `{name}' is not simulated yet"));
            }
            _ => return parser.error(&format!("unknown command: `{name}'")),
        };
        if !matches!(
            kind,
            Kind::Block(_) | Kind::Append(_) | Kind::Insert(_) | Kind::Change(_)
        ) {
            parser.end()?;
        }
        commands.push(Command {
            first,
            second,
            negated,
            kind,
        });
    }
    if !blocks.is_empty() {
        parser.at = 0;
        return parser.error("unmatched `{'");
    }
    let end = commands.len();
    for (at, label) in branches {
        let to = match labels.iter().find(|(l, _)| *l == label) {
            Some((_, to)) => *to,
            None if label.is_empty() => end,
            None => return Err((parser.at, format!("can't find label for jump to `{label}'"))),
        };
        if let Kind::Jump(t) | Kind::JumpIf(t) | Kind::JumpUnless(t) = &mut commands[at].kind {
            *t = to;
        }
    }
    Ok(commands)
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&unwanted) {
            self.at += 1;
        }
    }

    fn error<T>(&self, message: &str) -> Parsed<T> {
        Err((self.at, message.to_owned()))
    }

    /// What may follow a command.
    fn end(&mut self) -> Parsed<()> {
        self.skip(|c| c == ' ' || c == '\t');
        match self.peek() {
            None | Some(';' | '\n' | '}' | '#') => Ok(()),
            Some(_) => {
                self.at += 1;
                self.error("extra characters after command")
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits: String = self.text[self.at..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .collect();
        self.at += digits.len();
        digits.parse().ok()
    }

    fn word(&mut self) -> String {
        let word: String = self.text[self.at..]
            .iter()
            .take_while(|c| !c.is_whitespace() && **c != ';' && **c != '}')
            .collect();
        self.at += word.chars().count();
        word
    }

    fn rest_of_line(&mut self) -> String {
        let rest: String = self.text[self.at..]
            .iter()
            .take_while(|c| **c != '\n')
            .collect();
        self.at += rest.chars().count();
        rest.trim_end().to_owned()
    }

    fn addresses(&mut self) -> Parsed<(Option<Address>, Option<Address>)> {
        let Some(first) = self.address()? else {
            return Ok((None, None));
        };
        self.skip(|c| c == ' ');
        if self.peek() != Some(',') {
            if matches!(first, Address::Line(0)) {
                return self.error("invalid usage of line address 0");
            }
            return Ok((Some(first), None));
        }
        self.at += 1;
        self.skip(|c| c == ' ');
        let second = match self.peek() {
            Some('+') => {
                self.at += 1;
                Address::Plus(self.number().unwrap_or(0))
            }
            Some('~') => {
                self.at += 1;
                Address::Multiple(self.number().unwrap_or(0))
            }
            _ => match self.address()? {
                Some(address) => address,
                None => return self.error("unexpected `,'"),
            },
        };
        let first = match (first, &second) {
            (Address::Line(0), Address::Regex(_)) => Address::Zero,
            (Address::Line(0), _) => return self.error("invalid usage of line address 0"),
            (first, _) => first,
        };
        Ok((Some(first), Some(second)))
    }

    fn address(&mut self) -> Parsed<Option<Address>> {
        Ok(match self.peek() {
            Some('$') => {
                self.at += 1;
                Some(Address::Last)
            }
            Some(c) if c.is_ascii_digit() => {
                let Some(line) = self.number() else {
                    return self.error("invalid line number");
                };
                if self.peek() == Some('~') {
                    self.at += 1;
                    return Ok(Some(Address::Step(line, self.number().unwrap_or(0))));
                }
                Some(Address::Line(line))
            }
            Some('/' | '\\') => {
                let mut delimiter = '/';
                if self.next() == Some('\\') {
                    match self.next() {
                        Some(c) => delimiter = c,
                        None => return self.error("unterminated address regex"),
                    }
                }
                let Some(pattern) = self.until(delimiter, true) else {
                    return self.error("unterminated address regex");
                };
                let mut fold = false;
                while let Some('I' | 'M') = self.peek() {
                    fold |= self.next() == Some('I');
                }
                Some(Address::Regex(self.regex(&pattern, fold)?))
            }
            _ => None,
        })
    }

    fn regex(&self, pattern: &str, fold: bool) -> Parsed<Option<Regex>> {
        if pattern.is_empty() {
            return Ok(None);
        }
        let kind = if self.extended {
            Syntax::Extended
        } else {
            Syntax::Basic
        };
        regex::compile(pattern, kind, fold)
            .map(Some)
            .map_err(|message| (self.at, message))
    }

    /// The text up to the delimiter, which is passed over. An escaped delimiter is just itself.
    fn until(&mut self, delimiter: char, pattern: bool) -> Option<String> {
        let mut out = String::new();
        loop {
            match self.next()? {
                '\\' => match self.next()? {
                    'n' if pattern => out.push_str("\\n"),
                    n if n == delimiter => {
                        // Where the delimiter has a meaning of its own, escaped it is literal.
                        if pattern && "^.*$[]+?(){}".contains(n) {
                            out.push('\\');
                        }
                        out.push(n);
                    }
                    n => out.extend(['\\', n]),
                },
                c if c == delimiter => return Some(out),
                '\n' if pattern => return None,
                '[' if pattern => {
                    out.push('[');
                    if let Some(end) = self.bracket_end() {
                        self.bracket(end, delimiter, &mut out);
                    }
                }
                c => out.push(c),
            }
        }
    }

    /// Where the bracket expression that has just been opened ends; None where it does not.
    fn bracket_end(&self) -> Option<usize> {
        let mut at = self.at;
        at += usize::from(self.text.get(at) == Some(&'^'));
        at += usize::from(self.text.get(at) == Some(&']'));
        loop {
            match self.text.get(at)? {
                ']' => return Some(at),
                '\n' => return None,
                '[' if self.text.get(at + 1).is_some_and(|c| ":.=".contains(*c)) => {
                    let mark = self.text[at + 1];
                    at += 2;
                    while !(*self.text.get(at)? == mark && self.text.get(at + 1) == Some(&']')) {
                        at += 1;
                    }
                    at += 2;
                }
                _ => at += 1,
            }
        }
    }

    /// Takes over a bracket expression: a delimiter in it is literal, as are backslashes but in `\n`.
    fn bracket(&mut self, end: usize, delimiter: char, out: &mut String) {
        while self.at <= end {
            let (c, next) = (self.text[self.at], self.text.get(self.at + 1).copied());
            self.at += 1;
            match (c, next) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some('t')) => out.push('\t'),
                ('\\', Some(n)) if n == delimiter => out.push(n),
                _ => {
                    out.push(c);
                    continue;
                }
            }
            self.at += 1;
        }
    }

    fn substitution(&mut self) -> Parsed<Substitution> {
        let Some(delimiter) = self.next() else {
            return self.error("unterminated `s' command");
        };
        let Some(pattern) = self.until(delimiter, true) else {
            return self.error("unterminated `s' command");
        };
        let Some(replacement) = self.until_replacement(delimiter) else {
            return self.error("unterminated `s' command");
        };
        let mut s = Substitution {
            regex: None,
            replacement,
            global: false,
            nth: 1,
            print: false,
            write: None,
        };
        let mut fold = false;
        loop {
            match self.peek() {
                Some('g') => s.global = true,
                Some('p') => s.print = true,
                Some('i' | 'I') => fold = true,
                Some('m' | 'M') => {}
                Some('e') => return self.error("`s' command's flag `e' is not simulated yet"),
                Some('w') => {
                    self.at += 1;
                    self.skip(|c| c == ' ');
                    s.write = Some(self.rest_of_line());
                    break;
                }
                Some(c) if c.is_ascii_digit() => {
                    match self.number() {
                        Some(n) if n > 0 => s.nth = n,
                        _ => return self.error("number option to `s' command may not be zero"),
                    }
                    continue;
                }
                None | Some(';' | '\n' | '}' | '#' | ' ' | '\t') => break,
                Some(_) => {
                    self.at += 1;
                    return self.error("unknown option to `s'");
                }
            }
            self.at += 1;
        }
        s.regex = self.regex(&pattern, fold)?;
        let groups = s.regex.as_ref().map_or(9, |r| r.captures_len() - 1);
        let highest = s
            .replacement
            .iter()
            .filter_map(|p| {
                if let Part::Group(n) = p {
                    Some(*n)
                } else {
                    None
                }
            })
            .max();
        match highest {
            Some(n) if n > groups => {
                self.error(&format!("invalid reference \\{n} on `s' command's RHS"))
            }
            _ => Ok(s),
        }
    }

    fn until_replacement(&mut self, delimiter: char) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let mut text = String::new();
        loop {
            let part = match self.next()? {
                c if c == delimiter => break,
                '\n' => return None,
                '&' => Part::Group(0),
                '\\' => match self.next()? {
                    c if c == delimiter && c != '&' => {
                        text.push(c);
                        continue;
                    }
                    d @ '0'..='9' => Part::Group(d.to_digit(10).unwrap_or(0) as usize),
                    c @ ('U' | 'L' | 'u' | 'l' | 'E') => Part::Case(c),
                    'n' => {
                        text.push('\n');
                        continue;
                    }
                    't' => {
                        text.push('\t');
                        continue;
                    }
                    c => {
                        text.push(c);
                        continue;
                    }
                },
                c => {
                    text.push(c);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Some(parts)
    }

    fn transliteration(&mut self) -> Parsed<Kind> {
        let unterminated = "unterminated `y' command";
        let Some(delimiter) = self.next() else {
            return self.error(unterminated);
        };
        let mut sides = Vec::new();
        for _ in 0..2 {
            let Some(text) = self.until(delimiter, false) else {
                return self.error(unterminated);
            };
            let mut chars = text.chars();
            let mut side = Vec::new();
            while let Some(c) = chars.next() {
                side.push(match c {
                    '\\' => match chars.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(c) => c,
                        None => '\\',
                    },
                    c => c,
                });
            }
            sides.push(side);
        }
        if sides[0].len() != sides[1].len() {
            return self.error("strings for `y' command are different lengths");
        }
        Ok(Kind::Transliterate(
            sides[0]
                .iter()
                .copied()
                .zip(sides[1].iter().copied())
                .collect(),
        ))
    }

    /// The text of `a`, `i`, `c`: on the same line (GNU) or after `\` and a newline.
    fn text_argument(&mut self) -> Parsed<String> {
        self.skip(|c| c == ' ' || c == '\t');
        if self.peek() == Some('\\') {
            self.at += 1;
            let blanks = self.text[self.at..]
                .iter()
                .take_while(|c| **c == ' ' || **c == '\t')
                .count();
            // Blanks after the backslash are the text's own, where it is on the same line.
            if self.text.get(self.at + blanks) == Some(&'\n') {
                self.at += blanks + 1;
            }
        }
        if self.peek().is_none() {
            return self.error("expected \\ after `a', `c' or `i'");
        }
        let mut out = String::new();
        loop {
            match self.next() {
                None | Some('\n') => break,
                Some('\\') => match self.next() {
                    Some('t') => out.push('\t'),
                    Some(c) => out.push(c),
                    None => {}
                },
                Some(c) => out.push(c),
            }
        }
        out.push('\n');
        Ok(out)
    }
}
