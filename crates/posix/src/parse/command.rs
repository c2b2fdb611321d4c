//! The grammar of commands.

use super::{Parsed, Parser, PendingHere, is_name};
use crate::syntax::{
    Arm, Assignment, Dialect, Joint, Node, Part, Redirection, RedirectionKind, Simple, Test, Word,
};
use std::sync::{Arc, OnceLock};

/// Reserved words that end a list of commands.
const ENDS: [&str; 9] = [
    "then", "else", "elif", "fi", "do", "done", "esac", "}", "]]",
];

impl Parser {
    /// One line's commands, up to the newline (not passed) or the text's end.
    pub(super) fn list(&mut self) -> Parsed<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip_blanks();
            if nodes.is_empty() || !self.at_list_end() {
                let node = self.and_or()?;
                nodes.push(node);
            } else {
                return Ok(sequence(nodes));
            }
            self.skip_blanks();
            if !self.separator(&mut nodes) {
                return Ok(sequence(nodes));
            }
        }
    }

    /// The commands inside a compound command, over newlines, up to what ends them.
    pub(super) fn compound_list(&mut self) -> Parsed<Node> {
        self.nested(|parser| {
            let mut nodes = Vec::new();
            loop {
                parser.skip_newlines()?;
                if parser.at_list_end() {
                    if nodes.is_empty() {
                        return parser.unexpected("");
                    }
                    return Ok(sequence(nodes));
                }
                let node = parser.and_or()?;
                nodes.push(node);
                parser.skip_blanks();
                if parser.peek() != Some('\n') && !parser.separator(&mut nodes) {
                    return Ok(sequence(nodes));
                }
            }
        })
    }

    /// `;` or `&` after a command; `&` makes it a background one.
    fn separator(&mut self, nodes: &mut Vec<Node>) -> bool {
        match self.peek() {
            Some(';') if !matches!(self.peek_at(1), Some(';' | '&')) => self.at += 1,
            Some('&') if !matches!(self.peek_at(1), Some('&' | '>')) => {
                self.at += 1;
                if let Some(last) = nodes.pop() {
                    nodes.push(Node::Background(Box::new(last)));
                }
            }
            _ => return false,
        }
        true
    }

    fn at_list_end(&self) -> bool {
        match self.peek() {
            None | Some('\n' | ')') => true,
            Some(';') => matches!(self.peek_at(1), Some(';' | '&')),
            _ => self
                .reserved()
                .is_some_and(|word| ENDS.contains(&word.as_str())),
        }
    }

    /// The unquoted word here, if it is one that could be reserved.
    fn reserved(&self) -> Option<String> {
        let word: String = self.text[self.at..]
            .iter()
            .take(9)
            .take_while(|c| c.is_ascii_alphabetic() || "{}![".contains(**c) || **c == ']')
            .collect();
        let after = self.peek_at(word.chars().count());
        let ends = after.is_none_or(|c| c.is_whitespace() || ";&|()<>".contains(c));
        (ends && !word.is_empty()).then_some(word)
    }

    fn accept_reserved(&mut self, word: &str) -> bool {
        let found = self.reserved().is_some_and(|r| r == word);
        if found {
            self.at += word.chars().count();
        }
        found
    }

    fn expect_reserved(&mut self, word: &str) -> Parsed<()> {
        self.skip_newlines()?;
        if self.accept_reserved(word) {
            Ok(())
        } else {
            self.unexpected(word)
        }
    }

    fn and_or(&mut self) -> Parsed<Node> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.skip_blanks();
            let joint = match () {
                () if self.accept("&&") => Joint::And,
                () if self.accept("||") => Joint::Or,
                () => break,
            };
            self.skip_newlines()?;
            rest.push((joint, self.pipeline()?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Node::AndOr {
                first: Box::new(first),
                rest,
            }
        })
    }

    fn pipeline(&mut self) -> Parsed<Node> {
        let mut negated = false;
        self.skip_blanks();
        while self.accept_reserved("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let mut stages = Vec::new();
        loop {
            let mut stage = self.command()?;
            self.skip_blanks();
            let errors_too = self.looking_at("|&");
            if !errors_too && (self.peek() != Some('|') || self.peek_at(1) == Some('|')) {
                stages.push(stage);
                break;
            }
            self.at += 1;
            if errors_too {
                self.at += 1;
                let both = Redirection {
                    fd: Some(2),
                    kind: RedirectionKind::Duplicate,
                    target: vec![Part::Literal("1".into())],
                    here: None,
                };
                stage = Node::Redirected(Box::new(stage), vec![both]);
            }
            stages.push(stage);
            self.skip_newlines()?;
        }
        if !negated && stages.len() == 1 {
            return Ok(stages.remove(0));
        }
        Ok(Node::Pipeline { negated, stages })
    }

    fn command(&mut self) -> Parsed<Node> {
        self.skip_blanks();
        let node = match self.compound()? {
            Some(node) => node,
            None => return self.simple(),
        };
        let mut redirections = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirection()? {
                Some(r) => redirections.push(r),
                None => break,
            }
        }
        Ok(if redirections.is_empty() {
            node
        } else {
            Node::Redirected(Box::new(node), redirections)
        })
    }

    fn compound(&mut self) -> Parsed<Option<Node>> {
        if self.looking_at("((") {
            let start = self.at;
            self.at += 2;
            if let Some(text) = self.arithmetic_text()? {
                return Ok(Some(Node::Arithmetic(text)));
            }
            self.at = start;
        }
        if self.accept("(") {
            let body = self.compound_list()?;
            self.skip_newlines()?;
            if !self.accept(")") {
                return self.unexpected(")");
            }
            return Ok(Some(Node::Subshell(Box::new(body))));
        }
        let Some(word) = self.reserved() else {
            return Ok(None);
        };
        let length = word.chars().count();
        let node = match word.as_str() {
            "{" => {
                self.at += length;
                let body = self.compound_list()?;
                self.expect_reserved("}")?;
                Node::Group(Box::new(body))
            }
            "if" => {
                self.at += length;
                self.if_command()?
            }
            "while" | "until" => {
                self.at += length;
                let condition = Box::new(self.compound_list()?);
                let body = self.do_group()?;
                Node::Loop {
                    condition,
                    body,
                    until: word == "until",
                }
            }
            "for" => {
                self.at += length;
                self.for_command()?
            }
            "case" => {
                self.at += length;
                self.case_command()?
            }
            "[[" => {
                self.at += length;
                let test = self.nested(Parser::test_or)?;
                self.expect_reserved("]]")?;
                Node::Test(test)
            }
            "function" => {
                self.at += length;
                self.skip_blanks();
                let name = self.plain_word()?;
                self.skip_blanks();
                if self.accept("(") {
                    self.skip_blanks();
                    if !self.accept(")") {
                        return self.unexpected(")");
                    }
                }
                self.function_body(name)?
            }
            "select" | "coproc" => return self.error(format!("\"{word}\" is not supported")),
            w if ENDS.contains(&w) => return self.unexpected(""),
            _ => return Ok(None),
        };
        Ok(Some(node))
    }

    fn if_command(&mut self) -> Parsed<Node> {
        let mut arms = Vec::new();
        loop {
            let condition = self.compound_list()?;
            self.expect_reserved("then")?;
            arms.push((condition, self.compound_list()?));
            self.skip_newlines()?;
            if self.accept_reserved("elif") {
                continue;
            }
            let otherwise = match self.accept_reserved("else") {
                true => Some(Box::new(self.compound_list()?)),
                false => None,
            };
            self.expect_reserved("fi")?;
            return Ok(Node::If { arms, otherwise });
        }
    }

    fn do_group(&mut self) -> Parsed<Box<Node>> {
        self.expect_reserved("do")?;
        let body = self.compound_list()?;
        self.expect_reserved("done")?;
        Ok(Box::new(body))
    }

    fn for_command(&mut self) -> Parsed<Node> {
        self.skip_blanks();
        if self.accept("((") {
            let mut parts = [Word::new(), Word::new(), Word::new()];
            for (i, part) in parts.iter_mut().enumerate() {
                *part = self.arithmetic_part(if i < 2 { ";" } else { "))" })?;
            }
            self.skip_blanks();
            self.accept(";");
            let body = self.do_group()?;
            return Ok(Node::ForArith {
                parts: Box::new(parts),
                body,
            });
        }
        let variable = self.plain_word()?;
        if !is_name(&variable) {
            return self.error(format!("\"{variable}\" is no name for a variable"));
        }
        self.skip_blanks();
        if self.peek() == Some(';') {
            self.at += 1;
            let body = self.do_group()?;
            return Ok(Node::For {
                variable,
                words: None,
                body,
            });
        }
        self.skip_newlines()?;
        let mut words = None;
        if self.accept_reserved("in") {
            let mut list = Vec::new();
            loop {
                self.skip_blanks();
                match self.word()? {
                    Some(word) => list.extend(self.braces(word)),
                    None => break,
                }
            }
            match self.peek() {
                Some(';') if self.peek_at(1) != Some(';') => self.at += 1,
                Some('\n') => {}
                _ => return self.unexpected("do"),
            }
            words = Some(list);
        }
        let body = self.do_group()?;
        Ok(Node::For {
            variable,
            words,
            body,
        })
    }

    fn case_command(&mut self) -> Parsed<Node> {
        self.skip_blanks();
        let Some(subject) = self.word()? else {
            return self.unexpected("word");
        };
        self.expect_reserved("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.accept_reserved("esac") {
                return Ok(Node::Case { subject, arms });
            }
            self.accept("(");
            let mut patterns = Vec::new();
            loop {
                self.skip_blanks();
                let Some(word) = self.word()? else {
                    return self.unexpected(")");
                };
                patterns.push(word);
                self.skip_blanks();
                if self.accept(")") {
                    break;
                }
                if !self.accept("|") {
                    return self.unexpected(")");
                }
            }
            self.skip_newlines()?;
            let body = match self.at_list_end() {
                true => None,
                false => Some(self.compound_list()?),
            };
            self.skip_newlines()?;
            let falls = self.accept(";&");
            let ended = falls || self.accept(";;");
            arms.push(Arm {
                patterns,
                body,
                falls,
            });
            if !ended {
                self.expect_reserved("esac")?;
                return Ok(Node::Case { subject, arms });
            }
        }
    }

    fn function_body(&mut self, name: String) -> Parsed<Node> {
        self.skip_newlines()?;
        let body = self.nested(Parser::command)?;
        if matches!(body, Node::Simple(_)) {
            return self.unexpected("{");
        }
        Ok(Node::Function {
            name,
            body: Arc::new(body),
        })
    }

    fn simple(&mut self) -> Parsed<Node> {
        let mut simple = Simple {
            line: self.line(),
            ..Simple::default()
        };
        let start = self.at;
        loop {
            self.skip_blanks();
            if let Some(redirection) = self.redirection()? {
                simple.redirections.push(redirection);
                continue;
            }
            if simple.words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                simple.assignments.push(assignment);
                continue;
            }
            let Some(word) = self.word()? else { break };
            if simple.words.is_empty() && simple.assignments.is_empty() {
                self.skip_blanks();
                if self.peek() == Some('(') {
                    return match word.as_slice() {
                        [Part::Literal(name)] if simple.redirections.is_empty() => {
                            let name = name.clone();
                            self.at += 1;
                            self.skip_blanks();
                            if !self.accept(")") {
                                return self.unexpected(")");
                            }
                            self.function_body(name)
                        }
                        _ => self.unexpected(""),
                    };
                }
            }
            simple.words.extend(self.braces(word));
        }
        if self.at == start
            || (simple.words.is_empty()
                && simple.assignments.is_empty()
                && simple.redirections.is_empty())
        {
            return self.unexpected("");
        }
        Ok(Node::Simple(simple))
    }

    /// `NAME=word` or `NAME+=word`, if it stands here.
    fn assignment(&mut self) -> Parsed<Option<Assignment>> {
        let name: String = self.text[self.at..]
            .iter()
            .take_while(|c| **c == '_' || c.is_ascii_alphanumeric())
            .collect();
        let mut length = name.len();
        let append = self.peek_at(length) == Some('+');
        length += usize::from(append);
        if !is_name(&name) || self.peek_at(length) != Some('=') {
            return Ok(None);
        }
        self.at += length + 1;
        if self.peek() == Some('(') {
            return self.error("arrays are not supported");
        }
        let value = self.word_in(true)?.unwrap_or_default();
        Ok(Some(Assignment {
            name,
            append,
            value,
        }))
    }

    fn redirection(&mut self) -> Parsed<Option<Redirection>> {
        let start = self.at;
        let mut fd = None;
        let digits = self.text[self.at..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .count();
        if digits > 0 && digits < 4 && matches!(self.peek_at(digits), Some('<' | '>')) {
            let number: String = self.text[self.at..self.at + digits].iter().collect();
            fd = number.parse::<u32>().ok();
            self.at += digits;
        }
        use RedirectionKind as Kind;
        let (default, kind) = match () {
            () if fd.is_none() && self.accept("&>>") => (None, Kind::Append),
            () if fd.is_none() && self.accept("&>") => (None, Kind::Write),
            () if self.looking_at("<(") || self.looking_at(">(") => {
                return self.error("process substitution is not supported");
            }
            () if self.accept("<<<") => (Some(0), Kind::Here),
            () if self.looking_at("<<") => {
                self.at += 2;
                return self.here_redirection(fd.unwrap_or(0)).map(Some);
            }
            () if self.accept(">>") => (Some(1), Kind::Append),
            () if self.accept(">&") => (Some(1), Kind::Duplicate),
            () if self.accept("<&") => (Some(0), Kind::Duplicate),
            () if self.accept("<>") => (Some(0), Kind::ReadWrite),
            () if self.accept(">|") || self.accept(">") => (Some(1), Kind::Write),
            () if self.accept("<") => (Some(0), Kind::Read),
            () => {
                self.at = start;
                return Ok(None);
            }
        };
        self.skip_blanks();
        let Some(target) = self.word()? else {
            return self.unexpected("word");
        };
        Ok(Some(Redirection {
            fd: fd.or(default),
            kind,
            target,
            here: None,
        }))
    }

    fn here_redirection(&mut self, fd: u32) -> Parsed<Redirection> {
        let strip_tabs = self.accept("-");
        self.skip_blanks();
        let start = self.at;
        if self.word()?.is_none() {
            return self.unexpected("word");
        }
        let mut delimiter = String::new();
        let mut quoted = false;
        for c in &self.text[start..self.at] {
            match c {
                '\'' | '"' | '\\' => quoted = true,
                c => delimiter.push(*c),
            }
        }
        let text = Arc::new(OnceLock::new());
        self.pending.push(PendingHere {
            delimiter,
            quoted,
            strip_tabs,
            text: text.clone(),
        });
        Ok(Redirection {
            fd: Some(fd),
            kind: RedirectionKind::Here,
            target: Word::new(),
            here: Some(text),
        })
    }

    fn plain_word(&mut self) -> Parsed<String> {
        match self.word()?.as_deref() {
            Some([Part::Literal(name)]) => Ok(name.clone()),
            _ => self.unexpected("word"),
        }
    }

    fn test_or(&mut self) -> Parsed<Test> {
        let mut left = self.test_and()?;
        loop {
            self.skip_newlines()?;
            if !self.accept("||") {
                return Ok(left);
            }
            let right = self.nested(Parser::test_and)?;
            left = Test::Or(Box::new(left), Box::new(right));
        }
    }

    fn test_and(&mut self) -> Parsed<Test> {
        let mut left = self.test_term()?;
        loop {
            self.skip_newlines()?;
            if !self.accept("&&") {
                return Ok(left);
            }
            let right = self.nested(Parser::test_term)?;
            left = Test::And(Box::new(left), Box::new(right));
        }
    }

    fn test_term(&mut self) -> Parsed<Test> {
        self.skip_newlines()?;
        if self.accept_reserved("!") {
            return Ok(Test::Not(Box::new(self.nested(Parser::test_term)?)));
        }
        if self.accept("(") {
            let inner = self.nested(Parser::test_or)?;
            self.skip_newlines()?;
            return if self.accept(")") {
                Ok(inner)
            } else {
                self.unexpected(")")
            };
        }
        let Some(left) = self.word()? else {
            return self.unexpected("word");
        };
        self.skip_blanks();
        if let [Part::Literal(operator)] = left.as_slice()
            && operator.len() == 2
            && operator.starts_with('-')
            && !self.at_test_end()
        {
            let operator = operator.clone();
            let Some(operand) = self.word()? else {
                return self.unexpected("word");
            };
            return Ok(Test::Unary(operator, operand));
        }
        if self.at_test_end() {
            return Ok(Test::Unary("-n".into(), left));
        }
        let operator = match self.peek() {
            Some(c @ ('<' | '>')) => {
                self.at += 1;
                c.to_string()
            }
            _ => self.plain_word()?,
        };
        self.skip_blanks();
        let right = match operator == "=~" {
            true => self.regex_word()?,
            false => self.word()?,
        };
        let Some(right) = right else {
            return self.unexpected("word");
        };
        Ok(Test::Binary(left, operator, right))
    }

    fn at_test_end(&self) -> bool {
        self.looking_at("&&")
            || self.looking_at("||")
            || matches!(self.peek(), None | Some(')' | '\n'))
            || self.reserved().is_some_and(|w| w == "]]")
    }

    /// bash: adds what braces stand for; other shells leave them as they are.
    fn braces(&self, word: Word) -> Vec<Word> {
        match self.dialect {
            Dialect::Bash => super::word::expand_braces(word),
            Dialect::Ash | Dialect::Dash => vec![word],
        }
    }
}

fn sequence(mut nodes: Vec<Node>) -> Node {
    if nodes.len() == 1 {
        nodes.remove(0)
    } else {
        Node::Sequence(nodes)
    }
}
