//! Arithmetic expansion (POSIX.1, 2.6.4): C's expressions over 64-bit integers.

/// How deep parentheses and variables' own expressions may be nested.
const DEPTH_MAX: usize = 48;

/// Where variables come from.
pub(crate) trait Scope {
    fn get(&self, name: &str) -> Option<String>;
    /// False where the variable is read-only.
    fn set(&mut self, name: &str, value: i64) -> bool;
}

/// The expression's value.
pub(crate) fn evaluate(text: &str, scope: &mut dyn Scope) -> Result<i64, String> {
    evaluate_at(text, scope, 0)
}

fn evaluate_at(text: &str, scope: &mut dyn Scope, depth: usize) -> Result<i64, String> {
    let mut parser = Parser {
        text: text.as_bytes(),
        source: text,
        at: 0,
        depth,
        scope,
        dead: 0,
    };
    parser.blanks();
    if parser.at == parser.text.len() {
        return Ok(0);
    }
    let value = parser.comma()?;
    parser.blanks();
    if parser.at < parser.text.len() {
        Err(parser.syntax())
    } else {
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    source: &'a str,
    at: usize,
    depth: usize,
    scope: &'a mut dyn Scope,
    /// Inside an operand that is not evaluated (`0 && x++`): nothing is assigned.
    dead: usize,
}

/// Binary operators by precedence, loosest first; `&&` and `||` apart.
const LEVELS: [&[&str]; 8] = [
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

const ASSIGNMENTS: [&str; 11] = [
    "=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^=",
];

impl Parser<'_> {
    fn syntax(&self) -> String {
        format!(
            "arithmetic expression: syntax error in \"{}\"",
            self.source.trim()
        )
    }

    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Passes over `operator` unless a longer operator stands here.
    fn accept(&mut self, operator: &str) -> bool {
        self.blanks();
        let rest = &self.text[self.at..];
        if !rest.starts_with(operator.as_bytes()) {
            return false;
        }
        let next = rest.get(operator.len()).copied().unwrap_or(0);
        let longer = match operator {
            "<" | ">" => next == b'=' || next == operator.as_bytes()[0],
            "&" | "|" => next == b'=' || next == operator.as_bytes()[0],
            "*" => next == b'=' || next == b'*',
            "=" => next == b'=',
            "!" => next == b'=',
            "+" | "-" | "/" | "%" | "^" | "<<" | ">>" => next == b'=',
            _ => false,
        };
        if !longer {
            self.at += operator.len();
        }
        !longer
    }

    fn comma(&mut self) -> Result<i64, String> {
        let mut value = self.assignment()?;
        while self.accept(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<i64, String>,
    ) -> Result<i64, String> {
        if self.depth >= DEPTH_MAX {
            return Err(format!(
                "arithmetic expression: nested deeper than {DEPTH_MAX} levels"
            ));
        }
        self.depth += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let rest = self.source.get(self.at..)?;
        let length = rest
            .bytes()
            .take_while(|b| *b == b'_' || b.is_ascii_alphanumeric())
            .count();
        let name = &rest[..length];
        if !crate::parse::is_name(name) {
            return None;
        }
        self.at += length;
        Some(name.to_owned())
    }

    fn assignment(&mut self) -> Result<i64, String> {
        let start = self.at;
        if let Some(name) = self.name() {
            for operator in ASSIGNMENTS {
                if self.accept(operator) {
                    let right = self.nested(Self::assignment)?;
                    let value = match operator.strip_suffix('=') {
                        Some("") | None => right,
                        Some(operator) => {
                            let left = self.variable(&name)?;
                            self.binary(operator, left, right)?
                        }
                    };
                    return self.assign(&name, value);
                }
            }
            self.at = start;
        }
        self.ternary()
    }

    fn assign(&mut self, name: &str, value: i64) -> Result<i64, String> {
        if self.dead == 0 && !self.scope.set(name, value) {
            return Err(format!("{name}: is read only"));
        }
        Ok(value)
    }

    fn ternary(&mut self) -> Result<i64, String> {
        let condition = self.or()?;
        if !self.accept("?") {
            return Ok(condition);
        }
        self.nested(|p| {
            let chosen = condition != 0;
            p.dead += usize::from(!chosen);
            let yes = p.comma();
            p.dead -= usize::from(!chosen);
            let yes = yes?;
            if !p.accept(":") {
                return Err(p.syntax());
            }
            p.dead += usize::from(chosen);
            let no = p.assignment();
            p.dead -= usize::from(chosen);
            let no = no?;
            Ok(if chosen { yes } else { no })
        })
    }

    fn or(&mut self) -> Result<i64, String> {
        let mut left = self.and()?;
        while self.accept("||") {
            let skip = usize::from(left != 0);
            self.dead += skip;
            let right = self.and();
            self.dead -= skip;
            left = i64::from(left != 0 || right? != 0);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<i64, String> {
        let mut left = self.level(0)?;
        while self.accept("&&") {
            let skip = usize::from(left == 0);
            self.dead += skip;
            let right = self.level(0);
            self.dead -= skip;
            left = i64::from(left != 0 && right? != 0);
        }
        Ok(left)
    }

    fn level(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.power();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().find(|o| self.accept(o)) {
            let right = self.level(level + 1)?;
            left = self.binary(operator, left, right)?;
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<i64, String> {
        let base = self.unary()?;
        if !self.accept("**") {
            return Ok(base);
        }
        let exponent = self.nested(Self::power)?;
        let exponent = u32::try_from(exponent).map_err(|_| "exponent less than 0".to_owned())?;
        Ok(base.wrapping_pow(exponent))
    }

    fn binary(&self, operator: &str, a: i64, b: i64) -> Result<i64, String> {
        Ok(match operator {
            "|" => a | b,
            "^" => a ^ b,
            "&" => a & b,
            "==" => i64::from(a == b),
            "!=" => i64::from(a != b),
            "<=" => i64::from(a <= b),
            ">=" => i64::from(a >= b),
            "<" => i64::from(a < b),
            ">" => i64::from(a > b),
            "<<" => a.wrapping_shl(b as u32),
            ">>" => a.wrapping_shr(b as u32),
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            _ if b == 0 && self.dead > 0 => 0,
            _ if b == 0 => return Err("divide by zero".to_owned()),
            "/" => a.wrapping_div(b),
            _ => a.wrapping_rem(b),
        })
    }

    fn unary(&mut self) -> Result<i64, String> {
        for operator in ["++", "--"] {
            let start = self.at;
            if self.accept(operator) {
                if let Some(name) = self.name() {
                    let value =
                        self.variable(&name)?
                            .wrapping_add(if operator == "++" { 1 } else { -1 });
                    return self.assign(&name, value);
                }
                self.at = start;
            }
        }
        match () {
            () if self.accept("!") => Ok(i64::from(self.nested(Self::unary)? == 0)),
            () if self.accept("~") => Ok(!self.nested(Self::unary)?),
            () if self.accept("-") => Ok(self.nested(Self::unary)?.wrapping_neg()),
            () if self.accept("+") => self.nested(Self::unary),
            () => self.primary(),
        }
    }

    fn primary(&mut self) -> Result<i64, String> {
        if self.accept("(") {
            let value = self.nested(Self::comma)?;
            return if self.accept(")") {
                Ok(value)
            } else {
                Err(self.syntax())
            };
        }
        if let Some(name) = self.name() {
            let value = self.variable(&name)?;
            for (operator, by) in [("++", 1), ("--", -1)] {
                if self.accept(operator) {
                    self.assign(&name, value.wrapping_add(by))?;
                }
            }
            return Ok(value);
        }
        self.blanks();
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'#')
            .count();
        let text = &rest[..length];
        self.at += length;
        number(text).ok_or_else(|| self.syntax())
    }

    fn variable(&mut self, name: &str) -> Result<i64, String> {
        let value = self.scope.get(name).unwrap_or_default();
        let value = value.trim();
        if value.is_empty() {
            return Ok(0);
        }
        if let Some(n) = value
            .strip_prefix('-')
            .map_or_else(|| number(value), |v| number(v).map(i64::wrapping_neg))
        {
            return Ok(n);
        }
        if self.depth >= DEPTH_MAX {
            return Err("expression recursion level exceeded".to_owned());
        }
        evaluate_at(value, self.scope, self.depth + 1)
    }
}

/// `12`, `0x1f`, `017`, `2#101`
pub(crate) fn number(text: &str) -> Option<i64> {
    let (digits, radix) = match text {
        t if t.starts_with("0x") || t.starts_with("0X") => (&t[2..], 16),
        t if t.len() > 1 && t.starts_with('0') => (&t[1..], 8),
        t => match t.split_once('#') {
            Some((base, digits)) => (digits, base.parse().ok().filter(|b| (2..=36).contains(b))?),
            None => (t, 10),
        },
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(i64::from_str_radix(digits, radix).unwrap_or(i64::MAX))
}
