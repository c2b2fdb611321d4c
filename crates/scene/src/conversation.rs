//! Who told whom: the events that a command set off, as a conversation of the components.

use kubarium_cluster::event::{Event, EventLog};
use kubarium_cluster::{Action, Component, EventId};
use kubarium_snapshot::conversation::{Conversation, Message};

/// The most messages of one conversation.
const MESSAGES_MAX: usize = 2_000;

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
        add(&mut result, event);
    }
    result
}

/// Adds an event as a message.
pub fn add(talk: &mut Conversation, event: &Event) {
    let message = message(&mut talk.columns, event);
    talk.messages.push(message);
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
        verb: event.action.word().to_owned(),
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
