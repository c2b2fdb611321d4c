//! Trees to code: a flat list of steps for an explicit machine, so that a script can stop anywhere
//! and its whole state is plain data.

use crate::syntax::{
    Joint, Modifier, Node, Part, Redirection, RedirectionKind, Simple, SyntaxError, Test,
};
use std::sync::Arc;

/// A compiled command list.
pub(crate) type Code = Arc<[Op]>;

type Text = Arc<str>;

/// One step. Words are built on a stack of open words; closed ones go where the step says.
#[derive(Debug)]
pub(crate) enum Op {
    /// Opens a word.
    Open,
    Text {
        text: Text,
        quoted: bool,
        split: bool,
    },
    Tilde(Text),
    Parameter {
        name: Text,
        quoted: bool,
    },
    Length {
        name: Text,
        quoted: bool,
    },
    Indirect {
        name: Text,
        quoted: bool,
    },
    /// Jumps where the parameter is set (`or_null`: and not empty).
    IfSet {
        name: Text,
        or_null: bool,
        to: usize,
    },
    /// Closes a word: `${X:=word}`.
    AssignDefault {
        name: Text,
        quoted: bool,
    },
    /// Closes a word: `${X:?word}` of an unset parameter.
    FailUnset {
        name: Text,
        or_null: bool,
    },
    /// Closes the pattern.
    Trim {
        name: Text,
        suffix: bool,
        longest: bool,
        quoted: bool,
    },
    /// Closes the replacement, then the pattern.
    Replace {
        name: Text,
        anchor: char,
        quoted: bool,
    },
    /// Closes the length (if there is one), then the offset.
    Slice {
        name: Text,
        has_length: bool,
        quoted: bool,
    },
    Case {
        name: Text,
        upper: bool,
        all: bool,
        quoted: bool,
    },
    Substitute {
        code: Code,
        quoted: bool,
    },
    /// Closes an expression; its value goes to the word below.
    Arithmetic {
        quoted: bool,
    },
    /// Closes a word: its fields, split and globbed, are arguments.
    Fields,
    /// Closes a word: one argument.
    Field,
    /// Closes a word: an assignment before a command.
    Assign {
        name: Text,
        append: bool,
    },
    /// Closes a word: a redirection of the command or group that follows.
    Redirect {
        fd: Option<u32>,
        kind: RedirectionKind,
    },
    /// Runs the arguments as a command.
    Run {
        line: usize,
    },
    /// Applies redirections for what follows up to `Pop`; jumps where one fails.
    Redirected {
        otherwise: usize,
    },
    /// Errors do not end the script up to `Pop`.
    Quiet,
    Pop,
    Jump(usize),
    IfFailed(usize),
    IfOk(usize),
    Negate,
    Status(i32),
    EnterLoop {
        next: usize,
        end: usize,
    },
    /// The arguments are the loop's items.
    EnterFor {
        next: usize,
        end: usize,
    },
    /// The positional parameters are the loop's items.
    EnterForParameters {
        next: usize,
        end: usize,
    },
    ForNext {
        name: Text,
        end: usize,
    },
    /// Keeps the body's status as the loop's.
    LoopStatus,
    EndLoop,
    /// Closes the subject.
    EnterCase,
    /// Closes a pattern; jumps where it matches.
    CaseMatch(usize),
    /// No pattern matched.
    EndCase,
    Pipeline(Arc<[Code]>),
    Subshell(Code),
    Background(Code),
    Define {
        name: Text,
        code: Code,
    },
    /// Closes a word.
    TestUnary(Text),
    /// Closes the right, then the left word. `pattern`: the right one is a pattern.
    TestBinary {
        operator: Text,
    },
    /// Closes an expression: status 0 where it is not 0.
    ArithmeticCommand,
    /// Ends the script here where `set -e` says so.
    Check,
    /// Runs these words as they are.
    Argv(Arc<[String]>),
    /// A part of a script: its own code, run like a group.
    Script(Code),
    SyntaxError(Arc<SyntaxError>),
    Exit(i32),
    /// Ends the process with the last status.
    ExitLast,
}

pub(crate) fn compile(node: &Node) -> Code {
    let mut compiler = Compiler::default();
    compiler.node(node);
    compiler.ops.into()
}

/// `$(< file)`: the file's content.
fn lone_input(body: &Node) -> Option<&Redirection> {
    match body {
        Node::Simple(Simple {
            assignments,
            words,
            redirections,
            ..
        }) => match redirections.as_slice() {
            [one]
                if one.kind == RedirectionKind::Read
                    && assignments.is_empty()
                    && words.is_empty() =>
            {
                Some(one)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Code that runs one command line as it is.
pub(crate) fn argv(words: Vec<String>) -> Code {
    Arc::new([Op::Argv(words.into()), Op::Run { line: 0 }])
}

/// Commands whose arguments that look like assignments are expanded as such.
const DECLARATIONS: [&str; 5] = ["export", "readonly", "local", "declare", "typeset"];

#[derive(Default)]
struct Compiler {
    ops: Vec<Op>,
}

impl Compiler {
    fn push(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    fn here(&self) -> usize {
        self.ops.len()
    }

    /// Lets the jump at `at` lead here.
    fn land(&mut self, at: usize) {
        let here = self.here();
        match &mut self.ops[at] {
            Op::Jump(to)
            | Op::IfFailed(to)
            | Op::IfOk(to)
            | Op::CaseMatch(to)
            | Op::IfSet { to, .. }
            | Op::Redirected { otherwise: to }
            | Op::ForNext { end: to, .. }
            | Op::EnterLoop { end: to, .. }
            | Op::EnterFor { end: to, .. }
            | Op::EnterForParameters { end: to, .. } => *to = here,
            _ => {}
        }
    }

    /// Lets `continue` in the loop entered at `at` lead here.
    fn land_next(&mut self, at: usize) {
        let here = self.here();
        match &mut self.ops[at] {
            Op::EnterLoop { next, .. }
            | Op::EnterFor { next, .. }
            | Op::EnterForParameters { next, .. } => {
                *next = here;
            }
            _ => {}
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Simple(simple) => self.simple(simple),
            Node::Sequence(nodes) => nodes.iter().for_each(|n| self.node(n)),
            Node::Group(body) => self.node(body),
            Node::Pipeline { negated, stages } => {
                if *negated {
                    self.push(Op::Quiet);
                }
                match stages.as_slice() {
                    [one] => self.node(one),
                    many => {
                        let codes: Vec<Code> = many.iter().map(compile).collect();
                        self.push(Op::Pipeline(codes.into()));
                        self.push(Op::Check);
                    }
                }
                if *negated {
                    self.push(Op::Pop);
                    self.push(Op::Negate);
                }
            }
            Node::AndOr { first, rest } => self.and_or(first, rest),
            Node::Background(body) => {
                let code = compile(body);
                self.push(Op::Background(code));
            }
            Node::Subshell(body) => {
                let code = compile(body);
                self.push(Op::Subshell(code));
                self.push(Op::Check);
            }
            Node::If { arms, otherwise } => {
                let mut ends = Vec::new();
                for (condition, body) in arms {
                    self.quiet(condition);
                    let skip = self.push(Op::IfFailed(0));
                    self.node(body);
                    ends.push(self.push(Op::Jump(0)));
                    self.land(skip);
                }
                match otherwise {
                    Some(body) => self.node(body),
                    None => {
                        self.push(Op::Status(0));
                    }
                }
                ends.into_iter().for_each(|at| self.land(at));
            }
            Node::Loop {
                condition,
                body,
                until,
            } => {
                let enter = self.push(Op::EnterLoop { next: 0, end: 0 });
                let top = self.here();
                self.quiet(condition);
                let leave = self.push(if *until { Op::IfOk(0) } else { Op::IfFailed(0) });
                self.node(body);
                self.land_next(enter);
                self.push(Op::LoopStatus);
                self.push(Op::Jump(top));
                self.land(leave);
                self.land(enter);
                self.push(Op::EndLoop);
            }
            Node::For {
                variable,
                words,
                body,
            } => {
                let enter = match words {
                    Some(words) => {
                        words.iter().for_each(|w| self.fields(w));
                        self.push(Op::EnterFor { next: 0, end: 0 })
                    }
                    None => self.push(Op::EnterForParameters { next: 0, end: 0 }),
                };
                let top = self.push(Op::ForNext {
                    name: variable.as_str().into(),
                    end: 0,
                });
                self.node(body);
                self.land_next(enter);
                self.push(Op::LoopStatus);
                self.push(Op::Jump(top));
                self.land(top);
                self.land(enter);
                self.push(Op::EndLoop);
            }
            Node::ForArith { parts, body } => {
                let [init, condition, step] = parts.as_ref();
                self.expression(init);
                let enter = self.push(Op::EnterLoop { next: 0, end: 0 });
                let top = self.here();
                let leave = (!condition.is_empty()).then(|| {
                    self.expression(condition);
                    self.push(Op::IfFailed(0))
                });
                self.node(body);
                self.land_next(enter);
                self.push(Op::LoopStatus);
                self.expression(step);
                self.push(Op::Jump(top));
                leave.into_iter().for_each(|at| self.land(at));
                self.land(enter);
                self.push(Op::EndLoop);
            }
            Node::Case { subject, arms } => {
                self.word(subject);
                self.push(Op::EnterCase);
                let mut entries = Vec::new();
                for arm in arms {
                    let jumps: Vec<usize> = arm
                        .patterns
                        .iter()
                        .map(|pattern| {
                            self.word(pattern);
                            self.push(Op::CaseMatch(0))
                        })
                        .collect();
                    entries.push(jumps);
                }
                self.push(Op::EndCase);
                let mut ends = vec![self.push(Op::Jump(0))];
                for (arm, jumps) in arms.iter().zip(entries) {
                    jumps.into_iter().for_each(|at| self.land(at));
                    match &arm.body {
                        Some(body) => self.node(body),
                        None => {
                            self.push(Op::Status(0));
                        }
                    }
                    if !arm.falls {
                        ends.push(self.push(Op::Jump(0)));
                    }
                }
                ends.into_iter().for_each(|at| self.land(at));
            }
            Node::Redirected(body, redirections) => {
                redirections.iter().for_each(|r| self.redirection(r));
                let enter = self.push(Op::Redirected { otherwise: 0 });
                self.node(body);
                self.push(Op::Pop);
                self.land(enter);
                self.push(Op::Check);
            }
            Node::Function { name, body } => {
                let code = compile(body);
                self.push(Op::Define {
                    name: name.as_str().into(),
                    code,
                });
            }
            Node::Test(test) => {
                self.test(test);
                self.push(Op::Check);
            }
            Node::Arithmetic(text) => {
                self.expression(text);
                self.push(Op::Check);
            }
        }
    }

    fn quiet(&mut self, node: &Node) {
        self.push(Op::Quiet);
        self.node(node);
        self.push(Op::Pop);
    }

    fn and_or(&mut self, first: &Node, rest: &[(Joint, Node)]) {
        self.quiet(first);
        for (i, (joint, node)) in rest.iter().enumerate() {
            let skip = self.push(match joint {
                Joint::And => Op::IfFailed(0),
                Joint::Or => Op::IfOk(0),
            });
            if i + 1 == rest.len() {
                self.node(node);
            } else {
                self.quiet(node);
            }
            self.land(skip);
        }
    }

    fn simple(&mut self, simple: &Simple) {
        let declares = matches!(simple.words.first().map(Vec::as_slice),
            Some([Part::Literal(name)]) if DECLARATIONS.contains(&name.as_str()));
        for word in &simple.words {
            match word.first() {
                Some(Part::Literal(text)) if declares && text.contains('=') => {
                    self.word(word);
                    self.push(Op::Field);
                }
                _ => self.fields(word),
            }
        }
        simple.redirections.iter().for_each(|r| self.redirection(r));
        for assignment in &simple.assignments {
            self.word(&assignment.value);
            self.push(Op::Assign {
                name: assignment.name.as_str().into(),
                append: assignment.append,
            });
        }
        self.push(Op::Run { line: simple.line });
        self.push(Op::Check);
    }

    fn redirection(&mut self, redirection: &Redirection) {
        match redirection.here.as_ref().map(|text| text.get()) {
            Some(text) => self.word(text.map_or(&[], |t| t)),
            None => {
                self.word(&redirection.target);
                if redirection.kind == RedirectionKind::Here {
                    self.push(Op::Text {
                        text: "\n".into(),
                        quoted: true,
                        split: false,
                    });
                }
            }
        }
        self.push(Op::Redirect {
            fd: redirection.fd,
            kind: redirection.kind,
        });
    }

    fn expression(&mut self, text: &[Part]) {
        self.word(text);
        self.push(Op::ArithmeticCommand);
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::Not(inner) => {
                self.test(inner);
                self.push(Op::Negate);
            }
            Test::And(left, right) | Test::Or(left, right) => {
                self.test(left);
                let skip = self.push(if matches!(test, Test::And(..)) {
                    Op::IfFailed(0)
                } else {
                    Op::IfOk(0)
                });
                self.test(right);
                self.land(skip);
            }
            Test::Unary(operator, operand) => {
                self.word(operand);
                self.push(Op::TestUnary(operator.as_str().into()));
            }
            Test::Binary(left, operator, right) => {
                self.word(left);
                self.word(right);
                self.push(Op::TestBinary {
                    operator: operator.as_str().into(),
                });
            }
        }
    }

    fn fields(&mut self, word: &[Part]) {
        self.word(word);
        self.push(Op::Fields);
    }

    /// Opens a word and fills it.
    fn word(&mut self, word: &[Part]) {
        self.push(Op::Open);
        self.parts(word, false);
    }

    /// `expanded`: unquoted text comes out of an expansion, so it is split into fields.
    fn parts(&mut self, parts: &[Part], expanded: bool) {
        for part in parts {
            match part {
                Part::Literal(text) => {
                    self.push(Op::Text {
                        text: text.as_str().into(),
                        quoted: false,
                        split: expanded,
                    });
                }
                Part::Quoted(text) => {
                    self.push(Op::Text {
                        text: text.as_str().into(),
                        quoted: true,
                        split: false,
                    });
                }
                Part::Tilde(user) => {
                    self.push(Op::Tilde(user.as_str().into()));
                }
                Part::Command { body, quoted } => {
                    let code = match lone_input(body) {
                        Some(redirection) => {
                            let mut compiler = Compiler::default();
                            compiler.push(Op::Argv(Arc::new(["cat".to_owned()])));
                            compiler.redirection(redirection);
                            compiler.push(Op::Run { line: 0 });
                            compiler.ops.into()
                        }
                        None => compile(body),
                    };
                    self.push(Op::Substitute {
                        code,
                        quoted: *quoted,
                    });
                }
                Part::Arithmetic { text, quoted } => {
                    self.word(text);
                    self.push(Op::Arithmetic { quoted: *quoted });
                }
                Part::Parameter {
                    name,
                    modifier,
                    quoted,
                } => self.parameter(name, modifier, *quoted),
            }
        }
    }

    fn parameter(&mut self, name: &str, modifier: &Modifier, quoted: bool) {
        let name: Text = name.into();
        match modifier {
            Modifier::None => {
                self.push(Op::Parameter { name, quoted });
            }
            Modifier::Length => {
                self.push(Op::Length { name, quoted });
            }
            Modifier::Indirect => {
                self.push(Op::Indirect { name, quoted });
            }
            Modifier::Default {
                operator,
                or_null,
                word,
            } => {
                let or_null = *or_null;
                let test = self.push(Op::IfSet {
                    name: name.clone(),
                    or_null,
                    to: 0,
                });
                match operator {
                    '-' => self.parts(word, true),
                    '+' => {}
                    '=' => {
                        self.word(word);
                        self.push(Op::AssignDefault {
                            name: name.clone(),
                            quoted,
                        });
                    }
                    _ => {
                        self.word(word);
                        self.push(Op::FailUnset {
                            name: name.clone(),
                            or_null,
                        });
                    }
                }
                let end = self.push(Op::Jump(0));
                self.land(test);
                if *operator == '+' {
                    self.parts(word, true);
                } else {
                    self.push(Op::Parameter { name, quoted });
                }
                self.land(end);
            }
            Modifier::Trim {
                suffix,
                longest,
                pattern,
            } => {
                self.word(pattern);
                self.push(Op::Trim {
                    name,
                    suffix: *suffix,
                    longest: *longest,
                    quoted,
                });
            }
            Modifier::Replace {
                anchor,
                pattern,
                with,
            } => {
                self.word(pattern);
                self.word(with);
                self.push(Op::Replace {
                    name,
                    anchor: *anchor,
                    quoted,
                });
            }
            Modifier::Slice { offset, length } => {
                self.word(offset);
                if let Some(length) = length {
                    self.word(length);
                }
                self.push(Op::Slice {
                    name,
                    has_length: length.is_some(),
                    quoted,
                });
            }
            Modifier::Case { upper, all } => {
                self.push(Op::Case {
                    name,
                    upper: *upper,
                    all: *all,
                    quoted,
                });
            }
        }
    }
}
