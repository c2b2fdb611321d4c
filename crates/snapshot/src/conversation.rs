//! Who told whom: the events that a command set off, as a conversation of the components.

use serde::{Deserialize, Serialize};

/// One message between two components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The event's number.
    pub event: u32,
    /// The event that set it off.
    pub cause: Option<u32>,
    /// Seconds since the simulation began.
    pub at_seconds: f64,
    /// The sender's column.
    pub from: usize,
    /// The receiver's column.
    pub to: usize,
    /// What was done: `create`, `update`, …
    pub verb: String,
    /// The object concerned: `pods default/web-1`; may be empty.
    pub object: String,
    /// What a person reads beside it.
    pub text: String,
}

/// The messages that an event set off, in their order, with the components as columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The components in the order in which they first speak; the API server is always there.
    pub columns: Vec<String>,
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there were more.
    pub cut: bool,
}
