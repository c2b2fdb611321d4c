//! nft's language in words, and what is wrong with it: where, and what.

use std::net::Ipv6Addr;

/// A word, a quoted text or a sign, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub text: String,
    pub quoted: bool,
    pub at: Place,
}

/// Where something stands: the line (from 0), and columns (from 0, the end not included).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    pub line: usize,
    pub from: usize,
    pub to: usize,
}

impl Place {
    pub fn until(self, end: Place) -> Place {
        Place {
            to: if end.line == self.line {
                end.to
            } else {
                self.to
            },
            ..self
        }
    }
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub text: String,
    pub at: Place,
}

impl Problem {
    pub fn new(text: impl Into<String>, at: Place) -> Problem {
        Problem {
            text: text.into(),
            at,
        }
    }

    /// As nft prints it, the place underlined. `file`: the name of what was read, None for words of the command line.
    pub fn print(&self, input: &str, file: Option<&str>) -> String {
        let line = input.lines().nth(self.at.line).unwrap_or_default();
        let before = file.map_or_else(String::new, |file| {
            let (from, to) = (self.at.from + 1, self.at.to.max(self.at.from + 1));
            format!("{file}:{}:{from}-{to}: ", self.at.line + 1)
        });
        let wide = self.at.to.saturating_sub(self.at.from).max(1);
        let indent: String = line
            .chars()
            .take(self.at.from)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let pad = " ".repeat(self.at.from.saturating_sub(indent.chars().count()));
        format!(
            "{before}Error: {}\n{line}\n{indent}{pad}{}\n",
            self.text,
            "^".repeat(wide)
        )
    }
}

const SIGNS: [&str; 18] = [
    "!=", "==", "<=", ">=", "<<", ">>", "{", "}", ";", ",", ":", "=", "<", ">", "&", "|", "^", "@",
];

/// Cuts a text into words; a line's end is a `;` of its own, and `#` begins a comment.
pub(crate) fn cut(input: &str) -> Result<Vec<Token>, Problem> {
    let mut tokens = Vec::new();
    for (number, line) in input.lines().enumerate() {
        cut_line(line, number, &mut tokens)?;
        let at = Place {
            line: number,
            from: line.chars().count(),
            to: line.chars().count() + 1,
        };
        tokens.push(Token {
            text: "\n".to_owned(),
            quoted: false,
            at,
        });
    }
    Ok(tokens)
}

fn cut_line(line: &str, number: usize, tokens: &mut Vec<Token>) -> Result<(), Problem> {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let rest = &chars[at..];
        let mut push = |length: usize, text: String, quoted: bool| {
            let place = Place {
                line: number,
                from: at,
                to: at + length,
            };
            tokens.push(Token {
                text,
                quoted,
                at: place,
            });
            at += length;
        };
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        if c == '#' {
            break;
        }
        // An escaped end of line joins two lines.
        if c == '\\' && rest.len() == 1 {
            break;
        }
        if c == '"' {
            let end = rest.iter().skip(1).position(|c| *c == '"');
            let Some(end) = end else {
                let place = Place {
                    line: number,
                    from: at,
                    to: chars.len(),
                };
                return Err(Problem::new("syntax error, unexpected junk", place));
            };
            push(end + 2, rest[1..=end].iter().collect(), true);
            continue;
        }
        if let Some(length) = ipv6(rest) {
            push(length, rest[..length].iter().collect(), false);
            continue;
        }
        let sign = SIGNS.iter().find(|sign| {
            sign.chars().count() <= rest.len() && sign.chars().zip(rest).all(|(a, b)| a == *b)
        });
        if let Some(sign) = sign {
            push(sign.len(), (*sign).to_owned(), false);
            continue;
        }
        let is_word = |c: &char| c.is_alphanumeric() || "_./-*+\\$%".contains(*c);
        let length = rest.iter().take_while(|c| is_word(c)).count();
        if length == 0 {
            push(1, c.to_string(), false);
        } else {
            push(length, rest[..length].iter().collect(), false);
        }
    }
    Ok(())
}

/// The length of the IPv6 address (or network) that a text begins with.
fn ipv6(rest: &[char]) -> Option<usize> {
    let length = rest
        .iter()
        .take_while(|c| c.is_ascii_hexdigit() || ":./".contains(**c))
        .count();
    let text: String = rest[..length].iter().collect();
    let address = text.split('/').next().unwrap_or_default();
    (text.matches(':').count() >= 2 && address.parse::<Ipv6Addr>().is_ok()).then_some(length)
}

/// Words, read one after the other.
pub(crate) struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Reader { tokens, at: 0 }
    }

    fn slice(&self, from: usize, to: usize) -> &'a [Token] {
        self.tokens.get(from..to).unwrap_or_default()
    }

    pub fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |t| &t.text)
    }

    pub fn peek_at(&self, more: usize) -> &'a str {
        self.tokens.get(self.at + more).map_or("", |t| &t.text)
    }

    pub fn peek_quoted(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.quoted)
    }

    /// Where the next word stands; at the end, behind the last.
    pub fn place(&self) -> Place {
        match (self.tokens.get(self.at), self.tokens.last()) {
            (Some(token), _) => token.at,
            (None, Some(last)) => Place {
                from: last.at.to,
                to: last.at.to + 1,
                ..last.at
            },
            (None, None) => Place::default(),
        }
    }

    /// Where the last word that was read stands.
    pub fn last_place(&self) -> Place {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or_else(|| self.place(), |t| t.at)
    }

    pub fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    pub fn eat(&mut self, text: &str) -> bool {
        let is = !self.peek_quoted() && self.peek() == text && self.at < self.tokens.len();
        if is {
            self.at += 1;
        }
        is
    }

    pub fn unexpected(&self) -> Problem {
        let what = match self.tokens.get(self.at) {
            None => "end of file".to_owned(),
            Some(t) if t.text == "\n" => {
                if self.at + 1 == self.tokens.len() {
                    "end of file".to_owned()
                } else {
                    "newline".to_owned()
                }
            }
            Some(t) if t.quoted => "quoted string".to_owned(),
            Some(t) if t.text.chars().all(|c| c.is_ascii_digit()) => "number".to_owned(),
            Some(t) if SIGNS.contains(&&*t.text) => format!("'{}'", t.text),
            Some(t) if KEYWORDS.contains(&&*t.text) => t.text.clone(),
            Some(_) => "string".to_owned(),
        };
        Problem::new(format!("syntax error, unexpected {what}"), self.place())
    }

    pub fn expect(&mut self, text: &str) -> Result<(), Problem> {
        if self.eat(text) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// A name, or any word.
    pub fn word(&mut self) -> Result<&'a Token, Problem> {
        match self.tokens.get(self.at) {
            Some(t) if t.text != "\n" && !SIGNS.contains(&&*t.text) => {
                self.at += 1;
                Ok(t)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub fn number<T: std::str::FromStr>(&mut self) -> Result<T, Problem> {
        let Ok(number) = self.peek().parse() else {
            return Err(self.unexpected());
        };
        self.at += 1;
        Ok(number)
    }

    pub fn quoted(&mut self) -> Result<&'a str, Problem> {
        match self.tokens.get(self.at) {
            Some(t) if t.quoted => {
                self.at += 1;
                Ok(&t.text)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Passes over ends of lines.
    pub fn skip_lines(&mut self) {
        while self.eat("\n") {}
    }

    /// Passes over ends of statements.
    pub fn skip_ends(&mut self) {
        while self.eat("\n") || self.eat(";") {}
    }

    /// At the end of a command or statement?
    pub fn at_end(&self) -> bool {
        !self.peek_quoted() && matches!(self.peek(), "" | "\n" | ";" | "}")
    }

    pub fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The words of a block in braces, without them; the reader stands behind it.
    pub fn block(&mut self) -> Result<&'a [Token], Problem> {
        self.expect("{")?;
        let from = self.at;
        let mut depth = 1;
        while let Some(token) = self.next() {
            match token.text.as_str() {
                "{" if !token.quoted => depth += 1,
                "}" if !token.quoted => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.slice(from, self.at - 1));
            }
        }
        Err(self.unexpected())
    }
}

/// Words of the language that an error calls by their own name.
const KEYWORDS: [&str; 24] = [
    "table", "chain", "rule", "set", "map", "element", "list", "add", "delete", "insert", "flush",
    "ruleset", "handle", "accept", "drop", "jump", "goto", "ip", "ip6", "meta", "ct", "counter",
    "comment", "type",
];
