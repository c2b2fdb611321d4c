//! Texts with structure: what Markdown becomes. There is no HTML in them; whoever draws them makes elements of their
//! nodes and text of their texts.

use serde::{Deserialize, Serialize};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// A heading.
    Heading {
        /// 1 to 6.
        level: u8,
        /// Its words.
        content: Vec<Inline>,
    },
    /// A paragraph.
    Paragraph {
        /// Its words.
        content: Vec<Inline>,
    },
    /// A list.
    List {
        /// The first number, where it is numbered.
        start: Option<u64>,
        /// Its items.
        items: Vec<Vec<Block>>,
    },
    /// Code, as it stands.
    Code {
        /// `yaml`, `sh`; may be empty.
        language: String,
        /// The code.
        text: String,
    },
    /// A quotation or a note.
    Quote {
        /// What is in it.
        content: Vec<Block>,
    },
    /// A table.
    Table {
        /// The heads of its columns.
        head: Vec<Vec<Inline>>,
        /// Its rows.
        rows: Vec<Vec<Vec<Inline>>>,
    },
    /// A line between two parts.
    Rule,
}

/// A part of a paragraph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inline {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A name, a command, a field.
    Code {
        /// As it stands.
        text: String,
    },
    /// Stressed words.
    Emphasis {
        /// The words.
        content: Vec<Inline>,
    },
    /// Strongly stressed words.
    Strong {
        /// The words.
        content: Vec<Inline>,
    },
    /// A link.
    Link {
        /// Where it leads: http, https, or relative.
        to: String,
        /// Its words.
        content: Vec<Inline>,
    },
    /// A new line.
    Break,
}
