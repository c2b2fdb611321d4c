//! Reading a template.

use super::{Bound, DEPTH_MAX, Node, Parsed};

pub(super) struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    pub(super) fn new(text: &str) -> Parser {
        Parser {
            text: text.chars().collect(),
            at: 0,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn looking_at(&self, word: &str) -> bool {
        word.chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c))
    }

    fn since(&self, start: usize) -> String {
        self.text[start..self.at].iter().collect()
    }

    pub(super) fn template(&mut self, depth: usize) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c != '{' {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            nodes.push(Node::List(self.action(depth)?));
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok(nodes)
    }

    /// What stands up to the `}`.
    fn action(&mut self, depth: usize) -> Parsed<Vec<Node>> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            if self.looking_at("[?(") {
                self.at += 3;
                nodes.push(self.filter(depth)?);
                continue;
            }
            if self.looking_at("..") {
                if matches!(nodes.last(), Some(Node::Recursive)) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.at += 2;
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(is_word) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.next() {
                Some('}') => return Ok(nodes),
                None | Some('\n' | '\r') => return Err("unclosed action".to_owned()),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(depth, &mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(quote)?),
                Some('.') => nodes.push(self.field()),
                Some(c) if c == '+' || c == '-' || c.is_numeric() => {
                    self.at -= 1;
                    nodes.push(self.number()?);
                }
                Some(c) if is_word(c) => {
                    self.at -= 1;
                    nodes.push(self.identifier());
                }
                Some(c) => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{c}'",
                        c as u32
                    ));
                }
            }
        }
    }

    fn identifier(&mut self) -> Node {
        let start = self.at;
        while self.peek().is_some_and(|c| !is_terminator(c)) {
            self.at += 1;
        }
        match self.since(start).as_str() {
            "true" => Node::Constant(true.into()),
            "false" => Node::Constant(false.into()),
            word => Node::Identifier(word.to_owned()),
        }
    }

    fn field(&mut self) -> Node {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at = (self.at + 2).min(self.text.len());
            } else if is_terminator(c) {
                break;
            } else {
                self.at += 1;
            }
        }
        match self.since(start).as_str() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Parsed<Node> {
        let start = self.at;
        if matches!(self.peek(), Some('+' | '-')) {
            self.at += 1;
        }
        while self.peek().is_some_and(|c| c == '.' || c.is_numeric()) {
            self.at += 1;
        }
        let text = self.since(start);
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Node::Constant(whole.into()));
        }
        match text.parse::<f64>() {
            Ok(number) => Ok(Node::Constant(number.into())),
            Err(_) => Err(format!("cannot parse number {text}")),
        }
    }

    fn quoted(&mut self, quote: char) -> Parsed<Node> {
        let start = self.at - 1;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote && self.text[self.at - 2] != '\\' => break,
                Some(_) => {}
            }
        }
        let whole = self.since(start);
        let inner: String = self.text[start + 1..self.at - 1].iter().collect();
        match unquoted(&inner, quote) {
            Some(text) => Ok(Node::Text(text)),
            None => Err(format!("unquote string {whole} error invalid syntax")),
        }
    }

    /// What stands in `[…]`.
    fn array(&mut self, depth: usize, nodes: &mut Vec<Node>) -> Parsed<()> {
        let start = self.at;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated array".to_owned()),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text: String = self.text[start..self.at - 1].iter().collect();
        let text = if text == "*" { ":" } else { &text };
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() > 1 {
            let mut union = Vec::new();
            for part in parts {
                union.push(action(&format!("[{}]", part.trim_matches(' ')), depth + 1)?);
            }
            nodes.push(Node::Union(union));
            return Ok(());
        }
        let key = text
            .strip_prefix('\'')
            .and_then(|t| t.strip_suffix('\''))
            .filter(|key| !key.contains('\''));
        if let Some(key) = key {
            nodes.extend(action(&format!(".{key}"), depth + 1)?);
            return Ok(());
        }
        nodes.push(Node::Array(bounds(text)?));
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Parsed<Node> {
        let start = self.at;
        let (mut begun, mut ended, mut pair) = (false, false, ' ');
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(c @ ('"' | '\'')) => {
                    if !begun {
                        (begun, pair) = (true, c);
                    } else if self.text[self.at - 2] != '\\' && c == pair {
                        ended = true;
                    }
                }
                Some(')') if begun == ended => break,
                Some(_) => {}
            }
        }
        let text: String = self.text[start..self.at - 1].iter().collect();
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let Some((left, operator, right)) = comparison(&text) else {
            return Ok(Node::Filter {
                left: action(&text, depth + 1)?,
                operator: "exists".to_owned(),
                right: Vec::new(),
            });
        };
        Ok(Node::Filter {
            left: action(left, depth + 1)?,
            operator: operator.to_owned(),
            right: action(right, depth + 1)?,
        })
    }
}

/// The nodes of `{TEXT}`; where the text holds several actions, those of the first.
pub(super) fn action(text: &str, depth: usize) -> Parsed<Vec<Node>> {
    if depth > DEPTH_MAX {
        return Err("nested too deeply".to_owned());
    }
    let nodes = Parser::new(&format!("{{{text}}}")).template(depth)?;
    match nodes.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

/// `LEFT OPERATOR RIGHT`, as the expression `^([^!<>=]+)([!<>=]+)(.+?)$` splits it.
pub(super) fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let start = text.find(is_operator).filter(|at| *at > 0)?;
    let length = text[start..].len() - text[start..].trim_start_matches(is_operator).len();
    let mut end = start + length;
    if end == text.len() {
        end -= 1;
    }
    let right = &text[end..];
    (end > start && !right.is_empty() && !right.contains('\n'))
        .then(|| (&text[..start], &text[start..end], right))
}

/// `1`, `1:2`, `::2`
pub(super) fn bounds(text: &str) -> Parsed<[Bound; 3]> {
    let bad = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let fits = |part: &&str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.chars().all(|c| c.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(fits) {
        return Err(bad());
    }
    let mut bounds = [Bound::default(); 3];
    for (at, bound) in bounds.iter_mut().enumerate() {
        if let Some(part) = parts.get(at).filter(|part| !part.is_empty()) {
            bound.known = true;
            bound.value = part
                .parse()
                .map_err(|_| format!("array index {part} is not a number"))?;
        }
    }
    if parts.len() == 1 {
        bounds[1] = Bound {
            value: bounds[0].value.saturating_add(1),
            known: true,
            derived: true,
        };
    }
    Ok(bounds)
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

pub(super) fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

/// The character of so many digits.
pub(super) fn digits(
    chars: &mut std::str::Chars,
    count: usize,
    radix: u32,
    first: u32,
) -> Option<char> {
    let mut code = first;
    for _ in 0..count {
        code = code.checked_mul(radix)? + chars.next()?.to_digit(radix)?;
    }
    char::from_u32(code)
}

/// Go's `strconv.UnquoteChar` for each character.
pub(super) fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'x' => out.push(digits(&mut chars, 2, 16, 0)?),
            'u' => out.push(digits(&mut chars, 4, 16, 0)?),
            'U' => out.push(digits(&mut chars, 8, 16, 0)?),
            c @ '0'..='7' => {
                let first = c.to_digit(8)?;
                out.push(digits(&mut chars, 2, 8, first).filter(|c| (*c as u32) < 256)?);
            }
            c => out.push(match c {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\\' => '\\',
                c if c == quote => c,
                _ => return None,
            }),
        }
    }
    Some(out)
}
