//! Kubernetes' own Event objects, counted up when the same thing happens again
//! (client-go v1.37, `tools/events` and `tools/record`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text, Value, object};

use crate::cluster::Cluster;
use crate::event::Component;
use crate::time::Time;

/// The same event within this time raises a count instead of making a new object.
const CORRELATE: Duration = Duration::from_secs(600);

type Same = (Component, Text, Text, Text, Text);

/// What every component remembers of the events that it has recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    seen: Arc<BTreeMap<Same, (ObjectKey, Time)>>,
    made: u64,
}

/// What an Event tells.
#[derive(Clone, Debug)]
pub struct Recorded<'a> {
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// A word: `Scheduled`.
    pub reason: &'a str,
    /// A sentence.
    pub message: &'a str,
    /// The part of the object: `spec.containers{nginx}`; empty for the whole.
    pub field_path: &'a str,
}

impl Cluster {
    /// Records an event about an object, of type Normal.
    pub fn record(&mut self, by: &Component, about: &Value, reason: &str, message: &str) {
        self.record_event(
            by,
            about,
            &Recorded {
                kind: "Normal",
                reason,
                message,
                field_path: "",
            },
        );
    }

    /// Records an event about an object, of type Warning.
    pub fn warn(&mut self, by: &Component, about: &Value, reason: &str, message: &str) {
        self.record_event(
            by,
            about,
            &Recorded {
                kind: "Warning",
                reason,
                message,
                field_path: "",
            },
        );
    }

    /// Records an event about an object.
    pub fn record_event(&mut self, by: &Component, about: &Value, event: &Recorded<'_>) {
        let metadata = &about["metadata"];
        let same = (
            by.clone(),
            metadata["uid"].text(),
            Text::from(event.field_path),
            Text::from(event.reason),
            Text::from(event.message),
        );
        let now = self.now;
        let again = self
            .recorder
            .seen
            .get(&same)
            .filter(|(_, last)| now.since(*last) < CORRELATE)
            .cloned();
        if let Some((key, _)) = again
            && let Some(old) = self.etcd.get(&key)
        {
            let mut object = old.clone();
            let count = object["count"].as_i64().unwrap_or(1) + 1;
            object["count"] = count.into();
            object["lastTimestamp"] = now.rfc3339().into();
            if self.update(by, object).is_ok() {
                Arc::make_mut(&mut self.recorder.seen).insert(same, (key, now));
                return;
            }
        }
        if let Ok(made) = self.create(by, self.new_event(by, about, event)) {
            self.recorder.made += 1;
            let key = ObjectKey::new(
                "events",
                made["metadata"]["namespace"].str(),
                made["metadata"]["name"].str(),
            );
            Arc::make_mut(&mut self.recorder.seen).insert(same, (key, now));
        }
    }

    fn new_event(&self, by: &Component, about: &Value, event: &Recorded<'_>) -> Value {
        let metadata = &about["metadata"];
        let namespace = match metadata["namespace"].str() {
            "" => "default",
            namespace => namespace,
        };
        // client-go names events after the nanosecond; the running number keeps two apart.
        let moment = u128::from(self.now.0) + u128::from(self.recorder.made);
        let nanos = crate::time::EPOCH_SECONDS as u128 * 1_000_000_000 + moment;
        let name = format!("{}.{nanos:x}", metadata["name"].str());
        let mut involved = object([
            ("apiVersion", about["apiVersion"].clone()),
            ("kind", about["kind"].clone()),
            ("name", metadata["name"].clone()),
            ("resourceVersion", metadata["resourceVersion"].clone()),
            ("uid", metadata["uid"].clone()),
        ]);
        if !metadata["namespace"].is_empty() {
            involved["namespace"] = metadata["namespace"].clone();
        }
        if !event.field_path.is_empty() {
            involved["fieldPath"] = event.field_path.into();
        }
        let component = match by {
            Component::Scheduler => "default-scheduler",
            by => by.name(),
        };
        let mut source = object([("component", component.into())]);
        if let Some(node) = by.node() {
            source["host"] = node.into();
        }
        let at: Value = self.now.rfc3339().into();
        object([
            ("apiVersion", "v1".into()),
            ("count", 1.into()),
            ("eventTime", Value::Null),
            ("firstTimestamp", at.clone()),
            ("involvedObject", involved),
            ("kind", "Event".into()),
            ("lastTimestamp", at),
            ("message", event.message.into()),
            (
                "metadata",
                object([("name", name.into()), ("namespace", namespace.into())]),
            ),
            ("reason", event.reason.into()),
            ("reportingComponent", component.into()),
            (
                "reportingInstance",
                by.node().map_or("".into(), Value::from),
            ),
            ("source", source),
            ("type", event.kind.into()),
        ])
    }
}
