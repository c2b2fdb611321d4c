//! Events in few bytes: each as the difference to the one before it, their words kept once.

use std::collections::HashMap;

use kubarium_objects::{ObjectKey, Text};

use super::{Action, Component, Event, EventId};
use crate::time::Time;

/// A chunk of events, packed.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    first: EventId,
    bytes: Box<[u8]>,
    /// Names and sentences, each once.
    texts: Box<[Text]>,
    components: Box<[Component]>,
}

/// Gives each of some things a number.
struct Numbers<T> {
    known: HashMap<T, u64>,
    all: Vec<T>,
}

impl<T: Clone + Eq + std::hash::Hash> Numbers<T> {
    fn new() -> Numbers<T> {
        Numbers {
            known: HashMap::new(),
            all: Vec::new(),
        }
    }

    fn of(&mut self, thing: &T) -> u64 {
        if let Some(number) = self.known.get(thing) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.known.insert(thing.clone(), number);
        self.all.push(thing.clone());
        number
    }
}

/// Appends a number, seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

impl Packed {
    /// Packs events whose numbers follow each other from `first` on.
    pub fn new(first: EventId, events: &[Event]) -> Packed {
        let mut texts = Numbers::new();
        let mut components = Numbers::new();
        let mut bytes = Vec::with_capacity(events.len() * 12);
        let (mut at, mut revision) = (Time::default(), 0);
        for event in events {
            put(&mut bytes, event.at.0.wrapping_sub(at.0));
            at = event.at;
            // How much older the cause is; a cause is never the event itself.
            let cause = event
                .cause
                .map_or(0, |cause| event.id.0.wrapping_sub(cause.0));
            put(&mut bytes, cause.into());
            put(&mut bytes, components.of(&event.from));
            bytes.push(event.action as u8);
            match &event.object {
                None => put(&mut bytes, 0),
                Some(key) => {
                    put(&mut bytes, 1 + texts.of(&key.resource));
                    put(&mut bytes, texts.of(&key.namespace));
                    put(&mut bytes, texts.of(&key.name));
                }
            }
            match event.revision {
                None => put(&mut bytes, 0),
                Some(now) => {
                    put(&mut bytes, 1 + now.wrapping_sub(revision));
                    revision = now;
                }
            }
            put(&mut bytes, texts.of(&event.text));
        }
        Packed {
            first,
            bytes: bytes.into(),
            texts: texts.all.into(),
            components: components.all.into(),
        }
    }

    /// The events.
    pub fn events(&self) -> Vec<Event> {
        let mut reader = Reader {
            packed: self,
            at: 0,
        };
        let (mut id, mut at, mut revision) = (self.first, Time::default(), 0);
        let mut events = Vec::new();
        while reader.at < self.bytes.len() {
            at = Time(at.0.wrapping_add(reader.number()));
            let cause = reader.number() as u32;
            let from = self.components.get(reader.number() as usize);
            let action = Action::ALL.get(reader.number() as usize);
            let object = reader.number().checked_sub(1).map(|resource| ObjectKey {
                resource: reader.word(resource),
                namespace: reader.text(),
                name: reader.text(),
            });
            let write = reader.number().checked_sub(1);
            revision = write.map_or(revision, |more| more.wrapping_add(revision));
            events.push(Event {
                id,
                at,
                cause: (cause != 0).then(|| EventId(id.0.wrapping_sub(cause))),
                from: from.cloned().unwrap_or(Component::Network),
                action: action.copied().unwrap_or(Action::Boot),
                object,
                revision: write.map(|_| revision),
                text: reader.text(),
            });
            id = EventId(id.0.wrapping_add(1));
        }
        events
    }
}

struct Reader<'a> {
    packed: &'a Packed,
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.packed.bytes.get(self.at).copied().unwrap_or(0);
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn text(&mut self) -> Text {
        let number = self.number();
        self.word(number)
    }

    fn word(&self, number: u64) -> Text {
        let text = self.packed.texts.get(number as usize);
        text.cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventLog;

    #[test]
    fn packing_loses_nothing() {
        let mut log = EventLog::default();
        let mut all = Vec::new();
        for n in 0..5_000_u32 {
            let event = Event {
                id: EventId(n),
                at: Time(u64::from(n / 3) * 1_234_567),
                cause: n.checked_sub(1 + n % 700).map(EventId).filter(|c| c.0 < n),
                from: match n % 4 {
                    0 => Component::Person,
                    1 => Component::Controller("test"),
                    2 => Component::Kubelet(format!("worker-{}", n % 5).into()),
                    _ => Component::Network,
                },
                action: Action::ALL[n as usize % Action::ALL.len()],
                object: (n % 3 != 0).then(|| ObjectKey::new("pods", "default", format!("web-{n}"))),
                revision: (n % 2 == 0).then_some(u64::from(n) * 2),
                text: format!("sentence {}", n % 11).into(),
            };
            all.push(event.to_string());
            log.push(event);
        }
        assert!(log.chunks.iter().filter(|c| c.packed.is_some()).count() >= 7);
        assert_eq!(log.len(), 5_000);
        assert!(log.iter().map(ToString::to_string).eq(all.iter().cloned()));
        let since = log.since(EventId(700)).map(|e| e.id.0);
        assert!(since.eq(700..5_000));
        assert_eq!(
            log.get(EventId(3)).map(ToString::to_string).as_ref(),
            all.get(3)
        );
    }
}
