//! Who told whom: the events that a command set off, as a conversation of the components.

use kubarium_cluster::event::{Event, EventLog};
use kubarium_cluster::{Action, Component, EventId};
use serde::Serialize;

/// The most messages of one conversation.
const MESSAGES_MAX: usize = 2_000;

/// One message between two components.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub verb: &'static str,
    /// The object concerned: `pods default/web-1`; may be empty.
    pub object: String,
    /// What a person reads beside it.
    pub text: String,
}

/// The messages that an event set off, in their order, with the components as columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Conversation {
    /// The components in the order in which they first speak; the API server is always there.
    pub columns: Vec<String>,
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there were more.
    pub cut: bool,
}

/// All that `root` set off, `root` included.
pub fn conversation(log: &EventLog, root: EventId) -> Conversation {
    let mut result = Conversation::default();
    let mut within = vec![root];
    for event in log.since(root) {
        let part = event.id == root
            || event
                .cause
                .is_some_and(|cause| within.binary_search(&cause).is_ok());
        if !part {
            continue;
        }
        if event.id != root {
            within.push(event.id);
        }
        if result.messages.len() == MESSAGES_MAX {
            result.cut = true;
            break;
        }
        result.add(event);
    }
    result
}

impl Conversation {
    /// Adds an event as a message.
    pub fn add(&mut self, event: &Event) {
        let message = message(&mut self.columns, event);
        self.messages.push(message);
    }
}

fn message(columns: &mut Vec<String>, event: &Event) -> Message {
    let from = column(columns, &event.from);
    let to = match event.action {
        Action::Create
        | Action::Update
        | Action::UpdateStatus
        | Action::MarkDeleted
        | Action::Delete
        | Action::Refuse => column(columns, &Component::ApiServer),
        Action::Cri => match event.from.node() {
            Some(node) => column(columns, &Component::Runtime(node.clone())),
            None => from,
        },
        Action::Cni => match event.from.node() {
            Some(node) => column(columns, &Component::Cni(node.clone())),
            None => from,
        },
        _ => from,
    };
    Message {
        event: event.id.0,
        cause: event.cause.map(|c| c.0),
        at_seconds: event.at.0 as f64 / 1e9,
        from,
        to,
        verb: event.action.word(),
        object: event
            .object
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        text: event.text.to_string(),
    }
}

fn column(columns: &mut Vec<String>, component: &Component) -> usize {
    let name = component.to_string();
    columns.iter().position(|c| *c == name).unwrap_or_else(|| {
        columns.push(name);
        columns.len() - 1
    })
}
