//! Kubernetes' own Event objects, counted up when the same thing happens again, summed up when
//! much the same happens often, and left out when it happens too often
//! (client-go v0.37, `tools/record/events_cache.go`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text, Value, object};

use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::rng::Rng;
use crate::shared_map::SharedMap;
use crate::time::Time;

/// Events that differ in their message only are summed up from this many on (`defaultAggregateMaxEvents`) …
const SIMILAR_MAX: usize = 10;
/// … as long as they come within this time (`defaultAggregateIntervalInSeconds`).
const SIMILAR_WITHIN: Duration = Duration::from_secs(600);
/// What a source may say of one object at once, and how long until it may say one thing more
/// (`defaultSpamBurst`, `defaultSpamQPS`).
const BURST: u64 = 25;
const REFILL: Duration = Duration::from_secs(300);
/// The scheduler's recorder ends a series after this long without its event (`tools/events`, `finishTime`).
const SERIES: Duration = Duration::from_secs(360);
/// What is remembered of a source and an object that had no event for so long is forgotten:
/// kube-apiserver's `--event-ttl`.
const FORGET: Duration = Duration::from_secs(3600);
/// So many words, and so many Events' contents, are kept to be shared.
const PLACES: u64 = 512;
const SUMMED_UP: &str = "(combined from similar events): ";

/// What every component remembers of the events that it has recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// By source and object.
    sources: SharedMap<u64, Arc<Source>>,
    /// At so many sources the old ones are looked for.
    tidy_at: usize,
    made: u64,
    /// Words that were said lately, each where its letters put it.
    words: SharedMap<u64, Text>,
    /// What was told lately, in the same way.
    told: SharedMap<u64, Arc<Told>>,
    /// Of what was told last.
    sort: Arc<Sort>,
}

/// Under which name a component's events come, where that is not its own.
fn source_name(by: &Component) -> &str {
    match by {
        Component::Scheduler => "default-scheduler",
        Component::Controller("node-lifecycle-controller") => "node-controller",
        Component::Controller("node-ipam-controller") => "cidrAllocator",
        Component::Controller("disruption-controller") => "controllermanager",
        Component::Controller("endpoints-controller") => "endpoint-controller",
        Component::Controller("endpointslice-controller") => "endpoint-slice-controller",
        Component::Controller("endpointslicemirroring-controller") => {
            "endpoint-slice-mirroring-controller"
        }
        Component::Controller("ephemeral-volume-controller") => "ephemeral_volume",
        Component::Controller("resourceclaim-controller") => "resource_claim",
        by => by.name(),
    }
}

/// A component and the object that it tells of.
#[derive(Clone, Debug)]
struct Subject {
    by: Component,
    sort: Arc<Sort>,
    name: Text,
    uid: Text,
}

/// What many objects that are told of have in common.
#[derive(Debug, Default, PartialEq)]
struct Sort {
    api_version: Text,
    kind: Text,
    namespace: Text,
}

/// What one component has said of one object.
#[derive(Clone, Debug)]
struct Source {
    subject: Arc<Subject>,
    /// When its allowance would be full again.
    full_at: Time,
    last: Time,
    seen: Vec<Seen>,
}

/// One event that was recorded.
#[derive(Clone, Debug)]
struct Seen {
    /// Its message and part of the object; 0 for the sum of similar ones.
    content: u32,
    /// Its type and reason: those that have them in common are similar.
    group: u32,
    /// Whether it counts among the similar ones that are not summed up yet.
    local: bool,
    count: u32,
    last: Time,
    first: Time,
    /// What names the object: the moment, and what keeps two of a moment apart.
    moment: u64,
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

/// An Event in short. The object is made when somebody looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    subject: Arc<Subject>,
    /// The resourceVersion of the object that it is about; 0 for none.
    version: u64,
    told: Arc<Told>,
    /// What makes its name out of the object's.
    moment: u64,
    uid: (u64, u64),
    count: u32,
    first: Time,
    last: Time,
    revision: u64,
    made: OnceLock<Box<Value>>,
}

/// What an Event says, which many have in common.
#[derive(Debug)]
struct Told {
    warning: bool,
    reason: Text,
    message: Text,
    field_path: Text,
}

impl Told {
    fn is(&self, event: &Recorded<'_>, message: &str) -> bool {
        self.warning == (event.kind == "Warning")
            && *self.reason == *event.reason
            && *self.message == *message
            && *self.field_path == *event.field_path
    }
}

/// FNV-1a over texts, each with an end of its own.
fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// A hash in half the room: enough to tell apart what one source says of one object.
fn fold(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

impl Source {
    /// Notes that `content` is told at `now`. Gives back what has been told with it so far, and
    /// whether that is the sum of similar events.
    fn correlate(&mut self, content: u32, group: u32, moment: u64, now: Time) -> (Seen, bool) {
        let similar = |seen: &&mut Seen| seen.group == group;
        let last = self.seen.iter().filter(|seen| seen.group == group);
        let last = last.map(|seen| seen.last).max().unwrap_or_default();
        if now.since(last) > SIMILAR_WITHIN {
            self.seen
                .iter_mut()
                .filter(similar)
                .for_each(|seen| seen.local = false);
        }
        let local = |seen: &&Seen| seen.group == group && seen.local;
        let known = self
            .seen
            .iter()
            .any(|seen| local(&seen) && seen.content == content);
        let many = !known && self.seen.iter().filter(local).count() + 1 >= SIMILAR_MAX;
        let content = if many { 0 } else { content };
        (self.count(content, group, !many, moment, now), many)
    }

    /// Counts one that is told at `now`.
    fn count(&mut self, content: u32, group: u32, local: bool, moment: u64, now: Time) -> Seen {
        let at = self
            .seen
            .iter()
            .position(|seen| seen.group == group && seen.content == content);
        let mut seen = Seen {
            content,
            group,
            local,
            count: 1,
            last: now,
            first: now,
            moment,
        };
        match at.and_then(|at| self.seen.get_mut(at)) {
            Some(known) => {
                seen = Seen {
                    count: known.count.saturating_add(1),
                    first: known.first,
                    moment: known.moment,
                    ..seen
                };
                *known = seen.clone();
            }
            None => {
                self.seen.reserve_exact(1);
                self.seen.push(seen.clone());
            }
        }
        seen
    }

    /// Counts one of the scheduler's, whose recorder (`tools/events`) only makes series.
    fn series(&mut self, content: u32, group: u32, moment: u64, now: Time) -> Seen {
        self.seen.retain(|seen| now.since(seen.last) < SERIES);
        self.count(content, group, true, moment, now)
    }

    /// Whether the source may say one thing more of the object.
    fn is_allowed(&mut self, now: Time) -> bool {
        let full_at = self.full_at.max(now);
        if full_at.since(now) > REFILL * (BURST as u32 - 1) {
            return false;
        }
        self.full_at = full_at + REFILL;
        true
    }
}

impl Recorder {
    /// A word or sentence, kept once where it was said lately: what is said once makes way for what is said
    /// again.
    fn word(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::default();
        }
        let place = hash([text]) % PLACES;
        if let Some(word) = self.words.get(&place).filter(|word| ***word == *text) {
            return word.clone();
        }
        let word = Text::from(text);
        self.words.insert(place, word.clone());
        word
    }

    /// What an Event says, kept once where it was said lately.
    fn told(&mut self, event: &Recorded<'_>, message: &str) -> Arc<Told> {
        let place = hash([event.kind, event.reason, message, event.field_path]) % PLACES;
        let known = self.told.get(&place);
        if let Some(told) = known.filter(|told| told.is(event, message)) {
            return told.clone();
        }
        let told = Arc::new(Told {
            warning: event.kind == "Warning",
            reason: self.word(event.reason),
            message: message.into(),
            field_path: self.word(event.field_path),
        });
        self.told.insert(place, told.clone());
        told
    }

    /// The sort of object, kept once where the last one was of the same.
    fn sort(&mut self, sort: Sort) -> Arc<Sort> {
        if *self.sort != sort {
            self.sort = Arc::new(sort);
        }
        self.sort.clone()
    }

    fn tidy(&mut self, now: Time) {
        if self.sources.len() < self.tidy_at.max(4096) {
            return;
        }
        let old = |source: &Source| now.since(source.last) > FORGET;
        let sources = self.sources.iter().filter(|(_, source)| old(source));
        let keys: Vec<u64> = sources.map(|(key, _)| *key).collect();
        for key in keys {
            self.sources.remove(&key);
        }
        self.tidy_at = self.sources.len() * 2;
    }
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
        let now = self.now;
        let metadata = &about["metadata"];
        let name = metadata["name"].str();
        let node = by.node().map_or("", |node| &**node);
        let source = hash([
            by.name(),
            node,
            about["kind"].str(),
            metadata["namespace"].str(),
            name,
            metadata["uid"].str(),
        ]);
        // client-go names events after the nanosecond; the running number keeps two apart.
        let moment = now.0 + self.recorder.made;
        let content = fold(hash([event.message, event.field_path])).max(1);
        let group = fold(hash([event.kind, event.reason]));
        self.recorder.tidy(now);
        if self.recorder.sources.get(&source).is_none() {
            let sort = Sort {
                api_version: about["apiVersion"].text(),
                kind: about["kind"].text(),
                namespace: metadata["namespace"].text(),
            };
            let subject = Subject {
                by: by.clone(),
                sort: self.recorder.sort(sort),
                name: metadata["name"].text(),
                uid: metadata["uid"].text(),
            };
            let new = Source {
                subject: Arc::new(subject),
                full_at: Time::default(),
                last: now,
                seen: Vec::new(),
            };
            self.recorder.sources.insert(source, Arc::new(new));
        }
        let Some(entry) = self.recorder.sources.get_mut(&source).map(Arc::make_mut) else {
            return;
        };
        entry.last = now;
        let (seen, summed_up, allowed) = if *by == Component::Scheduler {
            (entry.series(content, group, moment, now), false, true)
        } else {
            let (seen, summed_up) = entry.correlate(content, group, moment, now);
            (seen, summed_up, entry.is_allowed(now))
        };
        let subject = entry.subject.clone();
        self.recorder.made += u64::from(seen.count == 1);
        if !allowed {
            return;
        }
        let key = ObjectKey {
            resource: self.recorder.word("events"),
            namespace: subject.place(),
            name: event_name(name, seen.moment).into(),
        };
        let summed = summed_up.then(|| format!("{SUMMED_UP}{}", event.message));
        let message = summed.as_deref().unwrap_or(event.message);
        let told = self.recorder.told(event, message);
        // What is told for the first time has a name that nothing has yet.
        let known = seen.count > 1;
        if let Some(note) = known.then(|| self.etcd.note(&key)).flatten().cloned() {
            self.commit_note(by, Action::Update, &key, |revision| Note {
                told,
                count: seen.count,
                last: now,
                revision,
                made: OnceLock::new(),
                ..Note::clone(&note)
            });
            return;
        }
        if let Some(mut object) = known.then(|| self.etcd.get(&key)).flatten().cloned() {
            // Somebody has changed the Event itself.
            object["count"] = seen.count.into();
            object["lastTimestamp"] = now.rfc3339().into();
            object["message"] = message.into();
            let _ = self.update(by, object);
            return;
        }
        self.write_note(by, &key, |revision, uid| Note {
            subject,
            version: metadata["resourceVersion"].str().parse().unwrap_or(0),
            told,
            moment: seen.moment,
            uid,
            count: seen.count,
            first: seen.first,
            last: now,
            revision,
            made: OnceLock::new(),
        });
    }
}

/// The name of an Event about an object: with the nanoseconds since 1970.
fn event_name(object: &str, moment: u64) -> String {
    let nanos = crate::time::EPOCH_SECONDS as u128 * 1_000_000_000 + u128::from(moment);
    format!("{object}.{nanos:x}")
}

impl Subject {
    /// The namespace of its Events.
    fn place(&self) -> Text {
        match &*self.sort.namespace {
            "" => "default".into(),
            _ => self.sort.namespace.clone(),
        }
    }
}

impl Note {
    /// The object.
    pub fn object(&self) -> &Value {
        self.made.get_or_init(|| Box::new(self.make()))
    }

    fn make(&self) -> Value {
        let (subject, told) = (&*self.subject, &*self.told);
        let version = match self.version {
            0 => String::new(),
            version => version.to_string(),
        };
        let mut involved = object([
            ("apiVersion", (&subject.sort.api_version).into()),
            ("kind", (&subject.sort.kind).into()),
            ("name", (&subject.name).into()),
            ("resourceVersion", version.into()),
            ("uid", (&subject.uid).into()),
        ]);
        if !subject.sort.namespace.is_empty() {
            involved["namespace"] = (&subject.sort.namespace).into();
        }
        if !told.field_path.is_empty() {
            involved["fieldPath"] = (&told.field_path).into();
        }
        let component = source_name(&subject.by);
        let mut source = object([("component", component.into())]);
        if let Some(node) = subject.by.node() {
            source["host"] = node.into();
        }
        let first: Value = self.first.rfc3339().into();
        let made = object([
            ("apiVersion", "v1".into()),
            ("count", self.count.into()),
            ("eventTime", Value::Null),
            ("firstTimestamp", first.clone()),
            ("involvedObject", involved),
            ("kind", "Event".into()),
            ("lastTimestamp", self.last.rfc3339().into()),
            ("message", (&told.message).into()),
            (
                "metadata",
                object([
                    ("creationTimestamp", first),
                    ("name", event_name(&subject.name, self.moment).into()),
                    ("namespace", subject.place().into()),
                    ("resourceVersion", self.revision.to_string().into()),
                    ("uid", Rng::uuid_of(self.uid).into()),
                ]),
            ),
            ("reason", (&told.reason).into()),
            ("reportingComponent", component.into()),
            (
                "reportingInstance",
                subject.by.node().map_or("".into(), Value::from),
            ),
            ("source", source),
            (
                "type",
                if told.warning { "Warning" } else { "Normal" }.into(),
            ),
        ]);
        match subject.by {
            Component::Scheduler => self.in_new_form(made),
            _ => made,
        }
    }

    /// The form of events.k8s.io, as the API server shows it in v1: the scheduler's recorder writes that.
    fn in_new_form(&self, mut event: Value) -> Value {
        event["eventTime"] = self.first.rfc3339_micro().into();
        event["firstTimestamp"] = Value::Null;
        event["lastTimestamp"] = Value::Null;
        event["source"] = Value::new_object();
        event.remove(&["count"]);
        event["action"] = match &*self.told.reason {
            "Scheduled" => "Binding",
            "Preempted" => "Preempting",
            _ => "Scheduling",
        }
        .into();
        if self.count > 1 {
            event["series"] = object([
                ("count", self.count.into()),
                ("lastObservedTime", self.last.rfc3339_micro().into()),
            ]);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> (Cluster, Value) {
        let mut cluster = Cluster::empty(crate::Config::default());
        let namespace = |name: &str| {
            let metadata = object([("name", name.into())]);
            object([
                ("apiVersion", "v1".into()),
                ("kind", "Namespace".into()),
                ("metadata", metadata),
            ])
        };
        let by = Component::ApiServer;
        cluster.create(&by, namespace("default")).unwrap();
        let about = cluster.create(&by, namespace("shop")).unwrap();
        (cluster, about)
    }

    /// The events as `COUNT MESSAGE`.
    fn told(cluster: &Cluster) -> Vec<String> {
        let events = cluster.etcd.list("events", None);
        let mut told: Vec<_> = events
            .map(|(_, e)| format!("{} {}", e["count"], e["message"].str()))
            .collect();
        told.sort();
        told
    }

    #[test]
    fn the_same_is_counted_and_too_much_is_left_out() {
        let (mut cluster, about) = cluster();
        let by = Component::Controller("test");
        for _ in 0..40 {
            cluster.record(&by, &about, "Tested", "once more");
        }
        assert_eq!(told(&cluster), ["25 once more"]);
        // One more is allowed every five minutes; those left out are counted all the same.
        cluster.now = Time::from_secs(300);
        cluster.record(&by, &about, "Tested", "once more");
        cluster.record(&by, &about, "Tested", "once more");
        assert_eq!(told(&cluster), ["41 once more"]);
        let other = Component::Controller("other");
        cluster.record(&other, &about, "Tested", "once more");
        assert_eq!(told(&cluster), ["1 once more", "41 once more"]);
    }

    #[test]
    fn similar_events_are_summed_up_from_the_tenth_on() {
        let (mut cluster, about) = cluster();
        let by = Component::Controller("test");
        for n in 10..22 {
            cluster.record(&by, &about, "Made", &format!("made {n}"));
        }
        let told_ = told(&cluster);
        assert_eq!(told_.len(), 10, "{told_:?}");
        assert_eq!(told_.first().unwrap(), "1 made 10");
        assert_eq!(
            told_.last().unwrap(),
            "3 (combined from similar events): made 21"
        );
        // After ten quiet minutes each is told by itself again.
        cluster.now = Time::from_secs(3000);
        cluster.record(&by, &about, "Made", "made 99");
        assert!(told(&cluster).contains(&"1 made 99".to_owned()));
    }

    #[test]
    fn a_note_reads_as_the_object_that_it_stands_for() {
        let (mut cluster, about) = cluster();
        cluster.record(&Component::Kubelet("n".into()), &about, "Tested", "well");
        let (key, event) = cluster.etcd.list("events", None).next().unwrap();
        assert_eq!(event["metadata"]["name"].str(), &*key.name);
        assert_eq!(
            event["metadata"]["resourceVersion"].str(),
            cluster.etcd.revision().to_string()
        );
        assert_eq!(event["metadata"]["uid"].str().len(), 36);
        assert_eq!(event["involvedObject"]["uid"], about["metadata"]["uid"]);
        assert_eq!(
            event["source"].to_json(),
            r#"{"component":"kubelet","host":"n"}"#
        );
        // A person may label it; the next count is written all the same.
        let mut object = event.clone();
        object.set(&["metadata", "labels", "seen"], "yes");
        cluster.update(&Component::Person, object).unwrap();
        cluster.record(&Component::Kubelet("n".into()), &about, "Tested", "well");
        let (_, event) = cluster.etcd.list("events", None).next().unwrap();
        assert_eq!(
            (
                event["count"].as_i64(),
                event["metadata"]["labels"]["seen"].str()
            ),
            (Some(2), "yes")
        );
    }
}
