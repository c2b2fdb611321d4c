//! The tree that a script is parsed into. POSIX.1-2024, Shell Command Language, names the parts.

use std::sync::{Arc, OnceLock};

/// Which shell's extensions and error texts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dialect {
    /// busybox ash, the `sh` of busybox and Alpine images.
    #[default]
    Ash,
    /// dash, the `sh` of Debian images.
    Dash,
    /// bash: adds brace expansion.
    Bash,
}

/// A text that is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
    /// What is wrong, without the place.
    pub message: String,
    /// More text could still make this a script: a terminal shows its second prompt.
    pub incomplete: bool,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: syntax error: {}", self.line, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// A script: its top-level commands in order.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What a person typed before each Enter.
    pub commands: Vec<Complete>,
}

/// One top-level command (POSIX: complete command): everything up to the newline that ends it.
#[derive(Clone, Debug)]
pub struct Complete {
    /// Its source text without the newline at its end; here-documents are part of it.
    pub text: String,
    /// The line that it begins on, from 1.
    pub line: usize,
    pub(crate) node: Arc<Node>,
}

impl Complete {
    /// Whether it is one command by that name and nothing beside it.
    pub fn is_only(&self, name: &str) -> bool {
        let Node::Simple(simple) = &*self.node else {
            return false;
        };
        let named = |part: &Part| matches!(part, Part::Literal(text) if text == name);
        simple
            .words
            .first()
            .is_some_and(|word| matches!(&word[..], [part] if named(part)))
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Simple(Simple),
    /// Commands joined by `|`; negated with `!`.
    Pipeline {
        negated: bool,
        stages: Vec<Node>,
    },
    /// First command, then each with what joins it to the ones before.
    AndOr {
        first: Box<Node>,
        rest: Vec<(Joint, Node)>,
    },
    Sequence(Vec<Node>),
    Background(Box<Node>),
    If {
        arms: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Loop {
        condition: Box<Node>,
        body: Box<Node>,
        until: bool,
    },
    For {
        variable: String,
        /// None: the positional parameters.
        words: Option<Vec<Word>>,
        body: Box<Node>,
    },
    /// bash's `for ((init; condition; step))`.
    ForArith {
        parts: Box<[Word; 3]>,
        body: Box<Node>,
    },
    Case {
        subject: Word,
        arms: Vec<Arm>,
    },
    Group(Box<Node>),
    Subshell(Box<Node>),
    Redirected(Box<Node>, Vec<Redirection>),
    Function {
        name: String,
        body: Arc<Node>,
    },
    Test(Test),
    Arithmetic(Word),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    And,
    Or,
}

#[derive(Debug)]
pub(crate) struct Arm {
    pub patterns: Vec<Word>,
    pub body: Option<Node>,
    /// Ends in `;&`: goes on with the next arm's body.
    pub falls: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Simple {
    pub assignments: Vec<Assignment>,
    pub words: Vec<Word>,
    pub redirections: Vec<Redirection>,
    pub line: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub name: String,
    pub append: bool,
    pub value: Word,
}

#[derive(Debug, Clone)]
pub(crate) struct Redirection {
    /// The file descriptor; `None` for `&>`, which is 1 and 2.
    pub fd: Option<u32>,
    pub kind: RedirectionKind,
    pub target: Word,
    /// A here-document's text, which is read after the rest of its line.
    pub here: Option<Arc<OnceLock<Word>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectionKind {
    Read,
    Write,
    Append,
    ReadWrite,
    /// `>&` and `<&`
    Duplicate,
    /// A here-document (`here` is its text) or a here-string (the target is).
    Here,
}

pub(crate) type Word = Vec<Part>;

#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Text as it stands; unquoted, so its `*`, `?` and `[` are patterns.
    Literal(String),
    /// Quoted text.
    Quoted(String),
    /// `~` or `~user` at a word's beginning.
    Tilde(String),
    Parameter {
        name: String,
        modifier: Modifier,
        quoted: bool,
    },
    Command {
        body: Arc<Node>,
        quoted: bool,
    },
    Arithmetic {
        text: Word,
        quoted: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Modifier {
    None,
    /// `${#X}`
    Length,
    /// `-`, `=`, `+`, `?`, each with `:` or without.
    Default {
        operator: char,
        or_null: bool,
        word: Word,
    },
    /// `%`, `%%`, `#`, `##`
    Trim {
        suffix: bool,
        longest: bool,
        pattern: Word,
    },
    /// `${X/a/b}`: `anchor` is `/` for all, `#` or `%` for the ends, a blank for the first.
    Replace {
        anchor: char,
        pattern: Word,
        with: Word,
    },
    /// `${X:offset:length}`
    Slice {
        offset: Word,
        length: Option<Word>,
    },
    /// `${X^}`, `${X^^}`, `${X,}`, `${X,,}`
    Case {
        upper: bool,
        all: bool,
    },
    /// `${!X}`
    Indirect,
}

/// `[[ … ]]`
#[derive(Debug)]
pub(crate) enum Test {
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Unary(String, Word),
    Binary(Word, String, Word),
}
