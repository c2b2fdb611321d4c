//! The grammar of awk's expressions.

use super::lexer::Token;
use super::parser::{CHAIN_MAX, Parsed, Parser};
use super::tree::{Argument, Expression, Place, Source};

impl Parser {
    /// Expressions with commas between them, up to and over `end`.
    pub(super) fn list(&mut self, end: &str) -> Parsed<Vec<Expression>> {
        let mut all = Vec::new();
        self.newlines();
        if self.operator(end) {
            return Ok(all);
        }
        loop {
            all.push(self.whole_expression()?);
            self.newlines();
            if self.operator(end) {
                return Ok(all);
            }
            self.expect(",")?;
            self.newlines();
        }
    }

    /// An expression in which `>` and `in` are operators again.
    pub(super) fn whole_expression(&mut self) -> Parsed<Expression> {
        let (greater, in_) = (self.no_greater, self.no_in);
        (self.no_greater, self.no_in) = (false, false);
        let result = self.expression();
        (self.no_greater, self.no_in) = (greater, in_);
        result
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.nested(Self::ternary)
    }

    pub(super) fn ternary(&mut self) -> Parsed<Expression> {
        let condition = self.or()?;
        if let Expression::Place(place) = &condition
            && let Some(operator) = self.any(&["=", "+=", "-=", "*=", "/=", "%=", "^="])
        {
            let place = place.clone();
            self.newlines();
            return Ok(Expression::Assign(
                operator,
                place,
                Box::new(self.expression()?),
            ));
        }
        if !self.operator("?") {
            return Ok(condition);
        }
        self.newlines();
        let yes = self.expression()?;
        self.newlines();
        self.expect(":")?;
        self.newlines();
        let no = self.expression()?;
        Ok(Expression::Condition(Box::new([condition, yes, no])))
    }

    fn too_long<T>(&self) -> Parsed<T> {
        Err(format!("more than {CHAIN_MAX} operators in a row"))
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        for _ in 0..CHAIN_MAX {
            if !self.operator("||") {
                return Ok(left);
            }
            self.newlines();
            left = Expression::Or(Box::new([left, self.and()?]));
        }
        self.too_long()
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.in_()?;
        for _ in 0..CHAIN_MAX {
            if !self.operator("&&") {
                return Ok(left);
            }
            self.newlines();
            left = Expression::And(Box::new([left, self.in_()?]));
        }
        self.too_long()
    }

    fn in_(&mut self) -> Parsed<Expression> {
        let mut left = self.matching()?;
        while !self.no_in && self.word("in") {
            let Token::Name { name, .. } = self.peek().clone() else {
                return self.error();
            };
            self.at += 1;
            left = Expression::In(vec![left], self.variable(&name));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed<Expression> {
        let mut left = self.comparison()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["~", "!~"]) else {
                return Ok(left);
            };
            let right = self.comparison()?;
            left = Expression::Match {
                negated: operator == "!~",
                sides: Box::new([left, right]),
            };
        }
        self.too_long()
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.concat()?;
        let operator = match self.no_greater {
            true => self.any(&["<=", "<", "==", "!=", ">="]),
            false => self.any(&["<=", "<", "==", "!=", ">=", ">"]),
        };
        match operator {
            Some(operator) => Ok(Expression::Compare(
                operator,
                Box::new([left, self.concat()?]),
            )),
            None => Ok(left),
        }
    }

    fn starts_operand(&self) -> bool {
        match self.peek() {
            Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name { .. } => true,
            Token::Operator(o) => matches!(*o, "$" | "!" | "(" | "-" | "+" | "++" | "--"),
            Token::Word(w) => !matches!(
                *w,
                "in" | "if"
                    | "else"
                    | "while"
                    | "for"
                    | "do"
                    | "print"
                    | "printf"
                    | "getline"
                    | "function"
            ),
            _ => false,
        }
    }

    pub(super) fn concat(&mut self) -> Parsed<Expression> {
        let first = self.additive()?;
        let mut parts = vec![first];
        while self.starts_operand() && !self.is("-") && !self.is("+") && !self.is("!") {
            parts.push(self.additive()?);
        }
        let mut left = match parts.len() {
            1 => parts.remove(0),
            _ => Expression::Concat(parts),
        };
        // `"command" | getline`
        while self.is("|") && self.peek_at(1) == &Token::Word("getline") {
            self.at += 2;
            let place = self.optional_place()?;
            left = Expression::Getline(place, Source::Command(Box::new(left)));
        }
        Ok(left)
    }

    fn additive(&mut self) -> Parsed<Expression> {
        let mut left = self.multiplicative()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["+", "-"]) else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new([left, self.multiplicative()?]));
        }
        self.too_long()
    }

    fn multiplicative(&mut self) -> Parsed<Expression> {
        let mut left = self.unary()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["*", "/", "%"]) else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new([left, self.unary()?]));
        }
        self.too_long()
    }

    fn unary(&mut self) -> Parsed<Expression> {
        match self.any(&["!", "-", "+"]) {
            Some("!") => Ok(Expression::Not(Box::new(self.nested(Self::unary)?))),
            Some("-") => Ok(Expression::Minus(Box::new(self.nested(Self::unary)?))),
            Some(_) => Ok(Expression::Plus(Box::new(self.nested(Self::unary)?))),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Parsed<Expression> {
        let base = self.postfix()?;
        if !self.operator("^") {
            return Ok(base);
        }
        // `2^-3^2`: from the right, and a sign may stand before the exponent.
        let exponent = self.nested(|p| match p.operator("-") {
            true => Ok(Expression::Minus(Box::new(p.nested(Self::power)?))),
            false => p.power(),
        })?;
        Ok(Expression::Arithmetic("^", Box::new([base, exponent])))
    }

    fn postfix(&mut self) -> Parsed<Expression> {
        for (operator, by) in [("++", 1.0), ("--", -1.0)] {
            if self.operator(operator) {
                let Expression::Place(place) = self.primary()? else {
                    return self.error();
                };
                return Ok(Expression::Increment {
                    place,
                    by,
                    before: true,
                });
            }
        }
        let operand = self.primary()?;
        if let Expression::Place(place) = &operand {
            for (operator, by) in [("++", 1.0), ("--", -1.0)] {
                if self.operator(operator) {
                    return Ok(Expression::Increment {
                        place: place.clone(),
                        by,
                        before: false,
                    });
                }
            }
        }
        Ok(operand)
    }

    fn optional_place(&mut self) -> Parsed<Option<Place>> {
        if !matches!(
            self.peek(),
            Token::Name { call: false, .. } | Token::Operator("$")
        ) {
            return Ok(None);
        }
        match self.primary()? {
            Expression::Place(place) => Ok(Some(place)),
            _ => self.error(),
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let token = self.peek().clone();
        self.at += 1;
        match token {
            Token::Number(n) => Ok(Expression::Number(n)),
            Token::Text(text) => Ok(Expression::Text(text)),
            Token::Regex(text) => Ok(Expression::Regex(text)),
            Token::Operator("$") => {
                let inner = self.nested(|p| match p.any(&["++", "--", "-"]) {
                    Some("-") => Ok(Expression::Minus(Box::new(p.primary()?))),
                    Some(operator) => match p.primary()? {
                        Expression::Place(place) => {
                            let by = if operator == "++" { 1.0 } else { -1.0 };
                            Ok(Expression::Increment {
                                place,
                                by,
                                before: true,
                            })
                        }
                        _ => p.error(),
                    },
                    None => p.primary(),
                })?;
                Ok(Expression::Place(Place::Field(Box::new(inner))))
            }
            Token::Operator("(") => {
                let mut list = self.nested(|p| p.list(")"))?;
                if self.word("in") {
                    let Token::Name { name, .. } = self.peek().clone() else {
                        return self.error();
                    };
                    self.at += 1;
                    return Ok(Expression::In(list, self.variable(&name)));
                }
                match list.len() {
                    1 => Ok(Expression::Group(Box::new(list.remove(0)))),
                    _ => self.error(),
                }
            }
            Token::Name { name, call: true } => {
                self.at += 1;
                self.calls.push(name.clone());
                let arguments = self.nested(Self::arguments)?;
                Ok(Expression::Call(name, arguments))
            }
            Token::Name { name, call: false } => {
                let variable = self.variable(&name);
                if self.operator("[") {
                    let index = self.nested(|p| p.list("]"))?;
                    return Ok(Expression::Place(Place::Element(variable, index)));
                }
                Ok(Expression::Place(Place::Variable(variable)))
            }
            Token::Word("getline") => {
                let place = self.optional_place()?;
                let source = match self.operator("<") {
                    true => Source::File(Box::new(self.primary()?)),
                    false => Source::Main,
                };
                Ok(Expression::Getline(place, source))
            }
            Token::Word(word) => {
                self.at -= 1;
                self.builtin(word)
            }
            _ => {
                self.at -= 1;
                self.error()
            }
        }
    }

    fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        let mut all = Vec::new();
        self.newlines();
        if self.operator(")") {
            return Ok(all);
        }
        loop {
            all.push(match self.whole_expression()? {
                Expression::Place(Place::Variable(variable)) => Argument::Name(variable),
                value => Argument::Value(value),
            });
            self.newlines();
            if self.operator(")") {
                return Ok(all);
            }
            self.expect(",")?;
            self.newlines();
        }
    }

    fn builtin(&mut self, word: &'static str) -> Parsed<Expression> {
        let plain = [
            "length", "substr", "index", "match", "sprintf", "tolower", "toupper", "sin", "cos",
            "atan2", "exp", "log", "sqrt", "int", "rand", "srand", "system", "close", "fflush",
            "systime", "strftime", "gensub",
        ];
        self.at += 1;
        match word {
            "split" => {
                self.expect("(")?;
                let text = self.whole_expression()?;
                self.expect(",")?;
                let Token::Name { name, .. } = self.peek().clone() else {
                    return self.error();
                };
                self.at += 1;
                let array = self.variable(&name);
                let separator = match self.operator(",") {
                    true => Some(Box::new(self.whole_expression()?)),
                    false => None,
                };
                self.expect(")")?;
                Ok(Expression::Split(Box::new(text), array, separator))
            }
            "sub" | "gsub" => {
                self.expect("(")?;
                let mut list = self.nested(|p| p.list(")"))?;
                let place = match list.len() {
                    2 => Place::Field(Box::new(Expression::Number(0.0))),
                    3 => match list.pop() {
                        Some(Expression::Place(place)) => place,
                        _ => return self.error(),
                    },
                    _ => return self.error(),
                };
                let (Some(with), Some(regex)) = (list.pop(), list.pop()) else {
                    return self.error();
                };
                Ok(Expression::Substitute {
                    all: word == "gsub",
                    regex: Box::new(regex),
                    with: Box::new(with),
                    place,
                })
            }
            word if plain.contains(&word) => {
                let arguments = match self.operator("(") {
                    true => self.nested(|p| p.list(")"))?,
                    false if word == "length" => Vec::new(),
                    false => return self.error(),
                };
                let least = match word {
                    "length" | "rand" | "srand" | "fflush" | "systime" | "strftime" => 0,
                    "substr" | "index" | "match" | "atan2" => 2,
                    "gensub" => 3,
                    _ => 1,
                };
                if arguments.len() < least {
                    return Err(format!("not enough arguments to {word}"));
                }
                Ok(Expression::Builtin(word, arguments))
            }
            _ => {
                self.at -= 1;
                self.error()
            }
        }
    }
}
