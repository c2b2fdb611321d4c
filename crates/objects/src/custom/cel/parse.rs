//! Reading an expression.

use crate::custom::DEPTH_MAX;
use crate::value::Value;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    Name(String),
    Field(Box<Expr>, String),
    /// A field that may be missing: `a.?b`.
    Maybe(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// A function, of an object or of none.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    /// `!`, `-`
    Unary(char, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

pub(super) fn uses(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Literal(_) => false,
        Expr::Name(n) => n == name,
        Expr::Field(of, _) | Expr::Maybe(of, _) | Expr::Unary(_, of) => uses(of, name),
        Expr::Index(a, b) | Expr::Binary(_, a, b) => uses(a, name) || uses(b, name),
        Expr::Choice(a, b, c) => uses(a, name) || uses(b, name) || uses(c, name),
        Expr::Call(of, _, args) => {
            of.as_ref().is_some_and(|o| uses(o, name)) || args.iter().any(|a| uses(a, name))
        }
        Expr::List(items) => items.iter().any(|i| uses(i, name)),
        Expr::Map(pairs) => pairs.iter().any(|(k, v)| uses(k, name) || uses(v, name)),
    }
}

/// Functions, with how many arguments they take.
pub(super) const FUNCTIONS: &[(&str, &[usize])] = &[
    ("add", &[1]),
    ("all", &[2]),
    ("asApproximateFloat", &[0]),
    ("asInteger", &[0]),
    ("charAt", &[1]),
    ("cidr", &[1]),
    ("compareTo", &[1]),
    ("contains", &[1]),
    ("containsCIDR", &[1]),
    ("containsIP", &[1]),
    ("double", &[1]),
    ("dyn", &[1]),
    ("endsWith", &[1]),
    ("exists", &[2]),
    ("exists_one", &[2]),
    ("filter", &[2]),
    ("family", &[0]),
    ("find", &[1]),
    ("findAll", &[1, 2]),
    ("format", &[1]),
    ("getEscapedPath", &[0]),
    ("getHost", &[0]),
    ("getHostname", &[0]),
    ("getPort", &[0]),
    ("getQuery", &[0]),
    ("getScheme", &[0]),
    ("has", &[1]),
    ("hasValue", &[0]),
    ("indexOf", &[1, 2]),
    ("int", &[1]),
    ("ip", &[0, 1]),
    ("isCIDR", &[1]),
    ("isGlobalUnicast", &[0]),
    ("isGreaterThan", &[1]),
    ("isIP", &[1]),
    ("isInteger", &[0]),
    ("isLessThan", &[1]),
    ("isLinkLocalMulticast", &[0]),
    ("isLinkLocalUnicast", &[0]),
    ("isLoopback", &[0]),
    ("isQuantity", &[1]),
    ("isSemver", &[1]),
    ("isSorted", &[0]),
    ("isURL", &[1]),
    ("isUnspecified", &[0]),
    ("join", &[0, 1]),
    ("lastIndexOf", &[1, 2]),
    ("lowerAscii", &[0]),
    ("major", &[0]),
    ("map", &[2, 3]),
    ("masked", &[0]),
    ("matches", &[1]),
    ("max", &[0]),
    ("min", &[0]),
    ("minor", &[0]),
    ("or", &[1]),
    ("orValue", &[1]),
    ("patch", &[0]),
    ("prefixLength", &[0]),
    ("quantity", &[1]),
    ("replace", &[2, 3]),
    ("reverse", &[0]),
    ("semver", &[1]),
    ("sign", &[0]),
    ("size", &[0, 1]),
    ("split", &[1, 2]),
    ("startsWith", &[1]),
    ("string", &[1]),
    ("sub", &[1]),
    ("substring", &[1, 2]),
    ("sum", &[0]),
    ("trim", &[0]),
    ("upperAscii", &[0]),
    ("url", &[1]),
    ("value", &[0]),
];

/// Those that are not of an object.
const BARE: &[&str] = &[
    "cidr",
    "double",
    "dyn",
    "has",
    "int",
    "ip",
    "isCIDR",
    "isIP",
    "isQuantity",
    "isSemver",
    "isURL",
    "quantity",
    "semver",
    "size",
    "string",
    "url",
];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Literal(Value),
    Sign(&'static str),
}

pub(super) const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ()> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(out);
        };
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, r)| r);
            continue;
        }
        let raw = rest.starts_with("r'") || rest.starts_with("r\"");
        if raw || first == '\'' || first == '"' {
            let body = if raw { &rest[1..] } else { rest };
            let (value, left) = string(body, raw)?;
            out.push(Token::Literal(value.into()));
            rest = left;
            continue;
        }
        if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(rest.len());
            let word = rest[..end].trim_end_matches(['u', 'U']);
            let value = match word.parse::<i64>() {
                Ok(i) => Value::Int(i),
                Err(_) => Value::Float(word.parse::<f64>().map_err(drop)?),
            };
            out.push(Token::Literal(value));
            rest = &rest[end..];
            continue;
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push(match &rest[..end] {
                "true" => Token::Literal(true.into()),
                "false" => Token::Literal(false.into()),
                "null" => Token::Literal(Value::Null),
                word => Token::Name(word.to_owned()),
            });
            rest = &rest[end..];
            continue;
        }
        let sign = SIGNS.iter().find(|s| rest.starts_with(**s)).ok_or(())?;
        out.push(Token::Sign(sign));
        rest = &rest[sign.len()..];
    }
}

/// A string in quotes, and what follows it.
pub(super) fn string(text: &str, raw: bool) -> Result<(String, &str), ()> {
    let quote = text.chars().next().ok_or(())?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, &text[at + c.len_utf8()..]));
        }
        if c != '\\' || raw {
            out.push(c);
            continue;
        }
        match chars.next().ok_or(())?.1 {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            c @ ('\\' | '\'' | '"' | '`' | '?') => out.push(c),
            _ => return Err(()),
        }
    }
    Err(())
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

pub(super) fn parse(text: &str) -> Result<Expr, ()> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let expression = parser.choice()?;
    if parser.at == parser.tokens.len() {
        Ok(expression)
    } else {
        Err(())
    }
}

/// Operators from the loosest to the tightest.
pub(super) const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">", "in"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Parser {
    fn take(&mut self, sign: &str) -> bool {
        let found = match self.tokens.get(self.at) {
            Some(Token::Sign(s)) => *s == sign,
            Some(Token::Name(n)) => n == sign && sign == "in",
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), ()> {
        if self.take(sign) { Ok(()) } else { Err(()) }
    }

    fn choice(&mut self) -> Result<Expr, ()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(());
        }
        let condition = self.binary(0)?;
        let result = if self.take("?") {
            let yes = self.choice()?;
            self.need(":")?;
            let no = self.choice()?;
            Expr::Choice(condition.into(), yes.into(), no.into())
        } else {
            condition
        };
        self.depth -= 1;
        Ok(result)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, ()> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = signs.iter().find(|s| self.take(s)) {
            let right = self.binary(level + 1)?;
            left = Expr::Binary(sign, left.into(), right.into());
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(());
        }
        let result = if self.take("!") {
            Expr::Unary('!', self.unary()?.into())
        } else if self.take("-") {
            Expr::Unary('-', self.unary()?.into())
        } else {
            self.member()?
        };
        self.depth -= 1;
        Ok(result)
    }

    fn member(&mut self) -> Result<Expr, ()> {
        let mut here = self.primary()?;
        loop {
            if self.take(".") {
                let maybe = self.take("?");
                let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else {
                    return Err(());
                };
                self.at += 1;
                here = if maybe {
                    Expr::Maybe(here.into(), unescape(&name))
                } else if self.take("(") {
                    call(Some(here), name, self.arguments(")")?)?
                } else {
                    Expr::Field(here.into(), unescape(&name))
                };
            } else if self.take("[") {
                let index = self.choice()?;
                self.need("]")?;
                here = Expr::Index(here.into(), index.into());
            } else if is_message(&here) && self.take("{") {
                here = Expr::Map(self.fields()?);
            } else {
                return Ok(here);
            }
        }
    }

    /// The fields of a message: `Object.spec{replicas: 3}`.
    fn fields(&mut self) -> Result<Vec<(Expr, Expr)>, ()> {
        let mut out = Vec::new();
        while !self.take("}") {
            let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else {
                return Err(());
            };
            self.at += 1;
            self.need(":")?;
            let key = Expr::Literal(unescape(&name).into());
            out.push((key, self.choice()?));
            if !self.take(",") {
                self.need("}")?;
                break;
            }
        }
        Ok(out)
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expr>, ()> {
        let mut out = Vec::new();
        while !self.take(end) {
            out.push(self.choice()?);
            if !self.take(",") {
                self.need(end)?;
                break;
            }
        }
        Ok(out)
    }

    fn primary(&mut self) -> Result<Expr, ()> {
        if self.take("(") {
            let inner = self.choice()?;
            self.need(")")?;
            return Ok(inner);
        }
        if self.take("[") {
            return Ok(Expr::List(self.arguments("]")?));
        }
        if self.take("{") {
            let mut pairs = Vec::new();
            while !self.take("}") {
                let key = self.choice()?;
                self.need(":")?;
                pairs.push((key, self.choice()?));
                if !self.take(",") {
                    self.need("}")?;
                    break;
                }
            }
            return Ok(Expr::Map(pairs));
        }
        let token = self.tokens.get(self.at).cloned().ok_or(())?;
        self.at += 1;
        match token {
            Token::Literal(value) => Ok(Expr::Literal(value)),
            Token::Name(name) if self.take("(") => call(None, name, self.arguments(")")?),
            Token::Name(name) => Ok(Expr::Name(name)),
            Token::Sign(_) => Err(()),
        }
    }
}

/// Whether a name is that of a type of messages, which policies that mutate make.
fn is_message(expr: &Expr) -> bool {
    match expr {
        Expr::Name(name) => matches!(name.as_str(), "Object" | "JSONPatch"),
        Expr::Field(of, _) => is_message(of),
        _ => false,
    }
}

/// Names that are no CEL names are written `__dash__`, `__dot__`, `__namespace__`, …
pub(super) fn unescape(name: &str) -> String {
    name.replace("__underscores__", "__")
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .strip_prefix("__")
        .and_then(|n| n.strip_suffix("__"))
        .map_or_else(
            || {
                name.replace("__dot__", ".")
                    .replace("__dash__", "-")
                    .replace("__slash__", "/")
            },
            str::to_owned,
        )
}

pub(super) fn call(of: Option<Expr>, name: String, args: Vec<Expr>) -> Result<Expr, ()> {
    if let (Some(Expr::Name(space)), [_]) = (&of, args.as_slice()) {
        let whole = format!("{space}.{name}");
        if matches!(whole.as_str(), "jsonpatch.escapeKey" | "optional.of") {
            return Ok(Expr::Call(None, whole, args));
        }
    }
    let known = FUNCTIONS
        .iter()
        .any(|(n, counts)| *n == name && counts.contains(&args.len()));
    let bare = BARE.contains(&name.as_str());
    let macros = matches!(
        name.as_str(),
        "all" | "exists" | "exists_one" | "filter" | "map"
    );
    let field = matches!(args.first(), Some(Expr::Field(..)));
    let named = matches!(args.first(), Some(Expr::Name(_)));
    let fits = known
        && (of.is_some() || bare)
        && (name != "has" || of.is_none() && field)
        && (!macros || named);
    if !fits {
        return Err(());
    }
    Ok(Expr::Call(of.map(Box::new), name, args))
}
