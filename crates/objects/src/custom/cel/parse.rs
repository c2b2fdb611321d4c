//! Reading an expression, and what is wrong with it, in cel-go's words.

use super::expr::Expr;
use super::functions::FUNCTIONS;
use super::tokens::{Lexed, Token, tokens};
use super::types::{self, Type};
use crate::custom::DEPTH_MAX;

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

/// Functions that CEL has in Kubernetes, and that are not simulated.
const OTHERS: &[&str] = &[
    "allowed",
    "base64",
    "bind",
    "bool",
    "bytes",
    "check",
    "decode",
    "distinct",
    "duration",
    "encode",
    "equivalent",
    "error",
    "errored",
    "existsOne",
    "fieldSelector",
    "first",
    "flatten",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "greatest",
    "group",
    "intersects",
    "key",
    "labelSelector",
    "last",
    "least",
    "name",
    "named",
    "namespace",
    "none",
    "of",
    "ofNonZeroValue",
    "optFlatMap",
    "optMap",
    "path",
    "quote",
    "range",
    "reason",
    "resource",
    "serviceAccount",
    "slice",
    "sort",
    "sortBy",
    "subresource",
    "timestamp",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "type",
    "uint",
    "validate",
];

/// What functions are kept under, and types, which are no variables.
const WORDS: &[&str] = &[
    "JSONPatch",
    "Object",
    "base64",
    "bool",
    "bytes",
    "cel",
    "double",
    "dyn",
    "google",
    "int",
    "jsonpatch",
    "list",
    "lists",
    "map",
    "math",
    "null_type",
    "optional",
    "optional_type",
    "sets",
    "string",
    "strings",
    "type",
    "uint",
];

/// Words that no variable can have.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

const OPERANDS: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const ARGUMENTS: &str = "{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const ITEMS: &str = "{'[', ']', '{', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const PAIRS: &str = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

const MACROS: &[&str] = &["all", "exists", "exists_one", "filter", "map"];

/// Reading has come to its end before the expression has: what is wrong is noted.
pub(super) struct Stop;

/// What has been read: the expression, its type, where it begins.
struct Read {
    expr: Expr,
    of: Type,
    at: usize,
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexed>,
    at: usize,
    depth: usize,
    /// The variables there are; none where nobody asks.
    scope: Option<Vec<(String, Type)>>,
    syntax: Vec<(usize, String)>,
    errors: Vec<(usize, String)>,
    /// Whether there is something in it that is not simulated.
    beyond: bool,
}

pub(super) fn parse(text: &str) -> Result<Expr, ()> {
    let mut parser = Parser::new(text, None);
    let read = parser.whole().map_err(drop)?;
    let right = parser.syntax.is_empty() && parser.errors.is_empty() && !parser.beyond;
    if right { Ok(read.expr) } else { Err(()) }
}

/// The type of an expression.
///
/// # Errors
/// What the compiler says, with the places.
pub(super) fn compile(text: &str, variables: &[(&str, Type)]) -> Result<Type, String> {
    let scope = variables.iter().map(|(n, t)| ((*n).to_owned(), t.clone()));
    let mut parser = Parser::new(text, Some(scope.collect()));
    let read = parser.whole();
    let syntax = !parser.syntax.is_empty();
    let mut errors = match syntax {
        true => std::mem::take(&mut parser.syntax),
        false => std::mem::take(&mut parser.errors),
    };
    errors.sort_by_key(|(at, _)| *at);
    match read {
        Ok(read) if errors.is_empty() => Ok(read.of),
        _ if errors.is_empty() => Ok(Type::Any),
        _ => {
            let shown = errors.iter().map(|(at, why)| {
                let prefix = if syntax && !why.starts_with("reserved") {
                    "Syntax error: "
                } else {
                    ""
                };
                placed(text, *at, &format!("{prefix}{why}"))
            });
            Err(shown.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A message with the line and the place that it is about.
fn placed(text: &str, at: usize, why: &str) -> String {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let shown = text.split('\n').nth(line).unwrap_or("");
    format!(
        "ERROR: <input>:{}:{}: {why}\n | {shown}\n | {}^",
        line + 1,
        column + 1,
        ".".repeat(column)
    )
}

/// Operators from the loosest to the tightest.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">", "in"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl<'a> Parser<'a> {
    fn new(text: &'a str, scope: Option<Vec<(String, Type)>>) -> Parser<'a> {
        let (tokens, syntax) = tokens(text);
        Parser {
            text,
            tokens,
            at: 0,
            depth: 0,
            scope,
            syntax,
            errors: Vec::new(),
            beyond: false,
        }
    }

    fn whole(&mut self) -> Result<Read, Stop> {
        let read = self.choice()?;
        if let Some(token) = self.tokens.get(self.at) {
            let how = match self.tokens.len() - self.at {
                1 => "extraneous",
                _ => "mismatched",
            };
            let word = &self.text[token.start..token.end];
            let why = format!("{how} input '{word}' expecting <EOF>");
            self.syntax.push((token.start, why));
        }
        Ok(read)
    }

    /// Where the next token is.
    fn here(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.text.len(), |t| t.start)
    }

    /// The next token as it stands there.
    fn word(&self) -> &'a str {
        match self.tokens.get(self.at) {
            Some(token) => &self.text[token.start..token.end],
            None => "<EOF>",
        }
    }

    fn wrong(&mut self, at: usize, why: String) -> Type {
        if self.scope.is_some() {
            self.errors.push((at, why));
        }
        Type::Any
    }

    fn stop<T>(&mut self, why: String) -> Result<T, Stop> {
        self.syntax.push((self.here(), why));
        Err(Stop)
    }

    fn is(&self, sign: &str) -> bool {
        match self.tokens.get(self.at).map(|t| &t.token) {
            Some(Token::Sign(s)) => *s == sign,
            Some(Token::Name(n)) => n == sign && sign == "in",
            _ => false,
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    /// A sign that must stand here. One that is missing is thought there, as ANTLR does it; a token
    /// too many is passed over.
    fn need(&mut self, sign: &str) -> Result<(), Stop> {
        if self.take(sign) {
            return Ok(());
        }
        let next = self.tokens.get(self.at + 1).map(|t| &t.token);
        if matches!(next, Some(Token::Sign(s)) if *s == sign) {
            let why = format!("extraneous input '{}' expecting '{sign}'", self.word());
            self.syntax.push((self.here(), why));
            self.at += 2;
            return Ok(());
        }
        let closes = self.at == self.tokens.len() && matches!(sign, ")" | "]");
        if closes || sign == ":" && self.at < self.tokens.len() {
            let why = format!("missing '{sign}' at '{}'", self.word());
            self.syntax.push((self.here(), why));
            return Ok(());
        }
        self.stop(format!(
            "mismatched input '{}' expecting '{sign}'",
            self.word()
        ))
    }

    /// Goes one level deeper.
    fn deeper(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.beyond = true;
            return Err(Stop);
        }
        Ok(())
    }

    fn choice(&mut self) -> Result<Read, Stop> {
        self.deeper()?;
        let condition = self.binary(0)?;
        let sign = self.here();
        let result = if self.take("?") {
            let yes = self.choice()?;
            self.need(":")?;
            let no = self.choice()?;
            let of = match types::choice(&condition.of, &yes.of, &no.of) {
                Some(of) => of,
                None => {
                    let all = [&condition.of, &yes.of, &no.of];
                    self.no_overload(sign, "_?_:_", None, &all)
                }
            };
            Read {
                at: condition.at,
                expr: Expr::Choice(condition.expr.into(), yes.expr.into(), no.expr.into()),
                of,
            }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(result)
    }

    fn binary(&mut self, level: usize) -> Result<Read, Stop> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        loop {
            let at = self.here();
            let Some(sign) = signs.iter().find(|s| self.take(s)) else {
                return Ok(left);
            };
            let right = self.binary(level + 1)?;
            let of = if matches!(*sign, "&&" | "||") {
                self.must_be_bool(&left);
                self.must_be_bool(&right);
                Type::Bool
            } else {
                match types::binary(sign, &left.of, &right.of) {
                    Some(of) => of,
                    None => {
                        let name = match *sign {
                            "in" => "@in".to_owned(),
                            sign => format!("_{sign}_"),
                        };
                        self.no_overload(at, &name, None, &[&left.of, &right.of])
                    }
                }
            };
            left = Read {
                at: left.at,
                expr: Expr::Binary(sign, left.expr.into(), right.expr.into()),
                of,
            };
        }
    }

    fn must_be_bool(&mut self, read: &Read) {
        if !types::fits(&read.of, &Type::Bool) {
            let why = format!("expected type 'bool' but found '{}'", read.of);
            self.wrong(read.at, why);
        }
    }

    fn no_overload(&mut self, at: usize, name: &str, of: Option<&Type>, args: &[&Type]) -> Type {
        let shown: Vec<String> = args.iter().map(ToString::to_string).collect();
        let of = of.map_or(String::new(), |of| format!("{of}."));
        self.wrong(
            at,
            format!(
                "found no matching overload for '{name}' applied to '{of}({})'",
                shown.join(", ")
            ),
        )
    }

    fn unary(&mut self) -> Result<Read, Stop> {
        self.deeper()?;
        let at = self.here();
        let sign = ['!', '-'].into_iter().find(|s| self.take(&s.to_string()));
        let result = match sign {
            None => self.member()?,
            Some(sign) => {
                let inner = self.unary()?;
                let of = match types::unary(sign, &inner.of) {
                    Some(of) => of,
                    None => self.no_overload(at, &format!("{sign}_"), None, &[&inner.of]),
                };
                Read {
                    expr: Expr::Unary(sign, inner.expr.into()),
                    of,
                    at,
                }
            }
        };
        self.depth -= 1;
        Ok(result)
    }

    fn member(&mut self) -> Result<Read, Stop> {
        let mut left = self.primary()?;
        loop {
            let (at, sign) = (left.at, self.here());
            if self.take(".") {
                let maybe = self.take("?");
                let Some(Token::Name(name)) = self.tokens.get(self.at).map(|t| t.token.clone())
                else {
                    let word = match self.word() {
                        "<EOF>" => "",
                        word => word,
                    };
                    return self.stop(format!("no viable alternative at input '.{word}'"));
                };
                self.at += 1;
                let open = self.here();
                left = if maybe {
                    let of = types::optional_field(&left.of, &unescape(&name));
                    let expr = Expr::Maybe(left.expr.into(), unescape(&name));
                    Read { expr, of, at }
                } else if self.take("(") {
                    self.call(Some(left), name, open)?
                } else {
                    let of = match types::field(&left.of, &unescape(&name)) {
                        Ok(of) => of,
                        Err(why) => self.wrong(sign, why),
                    };
                    let expr = Expr::Field(left.expr.into(), unescape(&name));
                    Read { expr, of, at }
                };
            } else if self.take("[") {
                let index = self.choice()?;
                self.need("]")?;
                let of = match types::index(&left.of, &index.of) {
                    Some(of) => of,
                    None => self.no_overload(sign, "_[_]", None, &[&left.of, &index.of]),
                };
                let expr = Expr::Index(left.expr.into(), index.expr.into());
                left = Read { expr, of, at };
            } else if is_message(&left.expr) && self.take("{") {
                let expr = Expr::Map(self.fields()?);
                let of = Type::Any;
                left = Read { expr, of, at };
            } else {
                return Ok(left);
            }
        }
    }

    /// The fields of a message: `Object.spec{replicas: 3}`.
    fn fields(&mut self) -> Result<Vec<(Expr, Expr)>, Stop> {
        let mut out = Vec::new();
        while !self.take("}") {
            let Some(Token::Name(name)) = self.tokens.get(self.at).map(|t| t.token.clone()) else {
                return self.stop(format!("mismatched input '{}' expecting '}}'", self.word()));
            };
            self.at += 1;
            self.need(":")?;
            let key = Expr::Literal(unescape(&name).into());
            out.push((key, self.choice()?.expr));
            if !self.take(",") {
                self.need("}")?;
                break;
            }
        }
        Ok(out)
    }

    /// Items up to a sign that ends them. `first` is what may stand at their beginning.
    fn items(&mut self, end: &str, first: &str) -> Result<Vec<Read>, Stop> {
        let mut out = Vec::new();
        if self.at == self.tokens.len() {
            let why = format!("mismatched input '<EOF>' expecting {first}");
            return self.stop(why);
        }
        while !self.take(end) {
            out.push(self.choice()?);
            if self.take(",") {
                if end == "]" && self.is(",") {
                    return self.stop("mismatched input ',' expecting ']'".to_owned());
                }
                continue;
            }
            self.end(end)?;
            break;
        }
        Ok(out)
    }

    /// What ends a list of things with commas between them.
    fn end(&mut self, end: &str) -> Result<(), Stop> {
        if end == ")" || self.is(end) {
            return self.need(end);
        }
        let next = self.tokens.get(self.at + 1).map(|t| &t.token);
        let more = matches!(next, Some(Token::Sign(s)) if *s == end);
        let how = if more { "extraneous" } else { "mismatched" };
        let why = format!("{how} input '{}' expecting {{'{end}', ','}}", self.word());
        self.syntax.push((self.here(), why));
        self.at += 2;
        if more { Ok(()) } else { Err(Stop) }
    }

    fn primary(&mut self) -> Result<Read, Stop> {
        let at = self.here();
        if self.take("(") {
            let inner = self.choice()?;
            self.need(")")?;
            return Ok(inner);
        }
        if self.take("[") {
            let items = self.items("]", ITEMS)?;
            let of = types::list(items.iter().map(|i| &i.of));
            let expr = Expr::List(items.into_iter().map(|i| i.expr).collect());
            return Ok(Read { expr, of, at });
        }
        if self.take("{") {
            return self.map(at);
        }
        let token = self.tokens.get(self.at).map(|t| t.token.clone());
        match token {
            Some(Token::Literal(value)) => {
                self.at += 1;
                let of = types::of_literal(self.text, at, &value);
                self.beyond |= matches!(of, Type::Uint | Type::Bytes);
                Ok(Read {
                    expr: Expr::Literal(value),
                    of,
                    at,
                })
            }
            Some(Token::Name(name)) if name != "in" => {
                self.at += 1;
                let open = self.here();
                if self.take("(") {
                    return self.call(None, name, open);
                }
                let of = self.variable(&name, at);
                Ok(Read {
                    expr: Expr::Name(name),
                    of,
                    at,
                })
            }
            _ => self.no_operand(),
        }
    }

    /// The first token that cannot begin an operand is passed over where the next one can.
    fn no_operand(&mut self) -> Result<Read, Stop> {
        let next = self.tokens.get(self.at + 1).map(|t| &t.token);
        let begins = match next {
            Some(Token::Sign(s)) => matches!(*s, "(" | "[" | "{" | "-" | "!" | "."),
            Some(Token::Name(name)) => name != "in",
            Some(Token::Literal(_)) => true,
            None => false,
        };
        let how = if begins { "extraneous" } else { "mismatched" };
        let why = format!("{how} input '{}' expecting {OPERANDS}", self.word());
        self.syntax.push((self.here(), why));
        if !begins {
            return Err(Stop);
        }
        self.deeper()?;
        self.at += 1;
        // A name may begin with a dot: that it is of no container.
        self.take(".");
        let read = self.primary();
        self.depth -= 1;
        read
    }

    fn map(&mut self, at: usize) -> Result<Read, Stop> {
        if self.at == self.tokens.len() {
            return self.stop(format!("mismatched input '<EOF>' expecting {PAIRS}"));
        }
        let mut pairs = Vec::new();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        while !self.take("}") {
            let key = self.choice()?;
            self.need(":")?;
            let value = self.choice()?;
            keys.push(key.of);
            values.push(value.of);
            pairs.push((key.expr, value.expr));
            if !self.take(",") {
                self.end("}")?;
                break;
            }
        }
        let of = types::map(&keys, &values);
        let expr = Expr::Map(pairs);
        Ok(Read { expr, of, at })
    }

    fn variable(&mut self, name: &str, at: usize) -> Type {
        if RESERVED.contains(&name) {
            self.syntax
                .push((at, format!("reserved identifier: {name}")));
            return Type::Any;
        }
        let found = self.scope.as_ref().map(|scope| {
            let mut all = scope.iter().rev();
            all.find(|(known, _)| known == name)
                .map(|(_, of)| of.clone())
        });
        match found {
            Some(Some(of)) => of,
            Some(None) if !WORDS.contains(&name) => self.undeclared(name, at),
            _ => Type::Any,
        }
    }

    fn undeclared(&mut self, name: &str, at: usize) -> Type {
        self.wrong(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        )
    }

    /// A call, behind its opening bracket.
    fn call(&mut self, of: Option<Read>, name: String, open: usize) -> Result<Read, Stop> {
        let at = of.as_ref().map_or(open - name.len(), |of| of.at);
        let is_macro = of.is_some() && MACROS.contains(&name.as_str());
        let mut bound = false;
        if let (true, Some(of)) = (is_macro, &of)
            && let Some(Token::Name(variable)) = self.tokens.get(self.at).map(|t| t.token.clone())
            && let Some(Token::Sign(",")) = self.tokens.get(self.at + 1).map(|t| &t.token)
        {
            let element = match types::element(&of.of) {
                Some(element) => element,
                None => {
                    let why = format!(
                        "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                        of.of
                    );
                    self.wrong(of.at, why)
                }
            };
            if let Some(scope) = &mut self.scope {
                scope.push((variable, element));
                bound = true;
            }
        }
        let args = self.items(")", ARGUMENTS)?;
        if bound && let Some(scope) = &mut self.scope {
            scope.pop();
        }
        let result = self.result(of.as_ref(), &name, &args, open);
        let args: Vec<Expr> = args.into_iter().map(|a| a.expr).collect();
        if let (Some(Expr::Name(space)), [_]) = (of.as_ref().map(|of| &of.expr), args.as_slice()) {
            let whole = format!("{space}.{name}");
            if matches!(whole.as_str(), "jsonpatch.escapeKey" | "optional.of") {
                return Ok(Read {
                    expr: Expr::Call(None, whole, args),
                    of: result,
                    at,
                });
            }
        }
        let counts = FUNCTIONS.iter().find(|(n, _)| *n == name);
        let known = counts.is_some_and(|(_, counts)| counts.contains(&args.len()));
        self.beyond |= !(known && (of.is_some() || BARE.contains(&name.as_str())));
        Ok(Read {
            expr: Expr::Call(of.map(|of| of.expr.into()), name, args),
            of: result,
            at,
        })
    }

    /// The type of what a call gives.
    fn result(&mut self, of: Option<&Read>, name: &str, args: &[Read], open: usize) -> Type {
        let first = args.first();
        if name == "has" && of.is_none() {
            match first {
                Some(one) if args.len() == 1 && matches!(one.expr, Expr::Field(..)) => {}
                _ => {
                    self.beyond = true;
                    let at = first.map_or(open, |one| one.at);
                    return self.wrong(at, "invalid argument to has() macro".to_owned());
                }
            }
            return Type::Bool;
        }
        let takes = |n: usize| n == 2 || n == 3 && name == "map";
        if of.is_some() && MACROS.contains(&name) && takes(args.len()) {
            if let Some(one) = first
                && !matches!(one.expr, Expr::Name(_))
            {
                self.beyond = true;
                return self.wrong(one.at, "argument must be a simple name".to_owned());
            }
            if let (true, Some(body)) = (matches!(name, "all" | "exists"), args.get(1)) {
                self.must_be_bool(body);
            }
            let element = of.and_then(|of| types::element(&of.of));
            return types::of_macro(name, element, args.last().map(|a| &a.of));
        }
        let space =
            matches!(of.map(|of| &of.expr), Some(Expr::Name(n)) if WORDS.contains(&n.as_str()));
        let counts = FUNCTIONS.iter().find(|(n, _)| *n == name);
        let somewhere =
            counts.is_some() && !MACROS.contains(&name) || OTHERS.contains(&name) || space;
        if !somewhere {
            self.beyond = true;
            return self.undeclared(name, open);
        }
        let given: Vec<&Type> = args.iter().map(|a| &a.of).collect();
        let wrong_number = counts.is_some_and(|(_, counts)| !counts.contains(&given.len()));
        match types::call(name, of.map(|of| &of.of), &given) {
            Some(of) if !wrong_number || OTHERS.contains(&name) || space => of,
            _ => self.no_overload(open, name, of.map(|of| &of.of), &given),
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
