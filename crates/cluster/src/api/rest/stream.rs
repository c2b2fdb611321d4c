//! Answers that go on: a watch's events, a container's output (apiserver v0.37,
//! `endpoints/handlers/watch.go`; kubernetes v1.37, `pkg/registry/core/pod/rest/log.go`).

use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, object};

use super::form::Form;
use super::wire::Json;
use crate::api::watch::Watch;
use crate::cluster::Cluster;
use crate::runtime::{ContainerId, Line, Logs, State};
use crate::time::Time;

/// How often a watch that wants bookmarks gets one (`storage/cacher`, `defaultBookmarkFrequency`).
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How often whoever reads looks for more at the most.
const LOOK: Duration = Duration::from_millis(20);
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What goes on behind an answer's beginning.
#[derive(Clone, Debug)]
pub enum Stream {
    /// The events of a watch: lines of JSON.
    Watch(Watching),
    /// What a container writes.
    Log(Following),
}

impl Stream {
    /// What has come since it was last asked.
    pub fn take(&mut self, cluster: &Cluster) -> String {
        match self {
            Stream::Watch(watching) => watching.take(cluster),
            Stream::Log(following) => following.take(cluster),
        }
    }

    /// Whether the server has ended it.
    pub fn is_over(&self, cluster: &Cluster) -> bool {
        match self {
            Stream::Watch(watching) => watching.watch.is_none() || cluster.now >= watching.end,
            Stream::Log(following) => following.over,
        }
    }

    /// When to look again.
    pub fn next_look(&self, cluster: &Cluster) -> Time {
        let soon = cluster.now + LOOK;
        let next = cluster.queue.next_at().unwrap_or(soon).max(soon);
        match self {
            Stream::Watch(watching) => next.min(watching.end),
            Stream::Log(_) => next,
        }
    }
}

/// A watch, in the form that is wanted.
#[derive(Clone, Debug)]
pub struct Watching {
    /// None once it has failed.
    watch: Option<Watch>,
    form: Form,
    bookmark: Option<Time>,
    end: Time,
}

impl Watching {
    pub(super) fn new(form: Form, bookmarks: bool, now: Time, limit: Duration) -> Watching {
        Watching {
            watch: None,
            form,
            bookmark: bookmarks.then(|| now + BOOKMARKS),
            end: now + limit,
        }
    }

    pub(super) fn follow(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    pub(super) fn take(&mut self, cluster: &Cluster) -> String {
        let Some(watch) = &mut self.watch else {
            return String::new();
        };
        let mut text = String::new();
        for (kind, _, object) in watch.take(cluster) {
            text += &line(kind.word(), self.form.next(object, cluster.now));
        }
        if self.bookmark.is_some_and(|at| cluster.now >= at) {
            self.bookmark = Some(cluster.now + BOOKMARKS);
            text += &self.bookmark(cluster, false);
        }
        text
    }

    /// An event of the watch as it is sent.
    pub(super) fn event(&mut self, word: &str, object: Value, now: Time) -> String {
        line(word, self.form.next(object, now))
    }

    /// What is sent instead of a watch that cannot be.
    pub(super) fn error(&self, status: &Status) -> String {
        line("ERROR", Json::typed(status.to_value()))
    }

    /// How far the watch is, though nothing has happened to its objects.
    pub(super) fn bookmark(&mut self, cluster: &Cluster, end_of_list: bool) -> String {
        let Some(watch) = &self.watch else {
            return String::new();
        };
        let revision = cluster.etcd.revision().to_string();
        let mut metadata = object([("resourceVersion", revision.into())]);
        if end_of_list {
            metadata["annotations"] = object([(INITIAL_EVENTS_END, "true".into())]);
        }
        let resource = watch.resource();
        let empty = object([
            ("apiVersion", resource.api_version().into()),
            ("kind", (&resource.kind).into()),
            ("metadata", metadata),
        ]);
        line("BOOKMARK", self.form.next(empty, cluster.now))
    }
}

fn line(word: &str, object: Json) -> String {
    Json::object([("type", word.into()), ("object", object)]).compact() + "\n"
}

/// The output of one run of a container, as it is written.
#[derive(Clone, Debug)]
pub struct Following {
    pod: ObjectKey,
    container: String,
    /// Which run of the container.
    run: ContainerId,
    /// How many of its lines are sent.
    sent: usize,
    timestamps: bool,
    over: bool,
}

impl Following {
    /// Goes on behind what a container has written so far; none where none has run.
    pub(super) fn new(
        cluster: &Cluster,
        pod: &ObjectKey,
        container: &str,
        timestamps: bool,
    ) -> Option<Following> {
        let (_, sandbox) = cluster.sandbox_of(pod)?;
        let now = sandbox.container(container)?;
        let over = matches!(now.state, State::Exited(_));
        Some(Following {
            pod: pod.clone(),
            container: container.to_owned(),
            run: now.id.clone(),
            sent: whole_lines(&now.logs, over),
            timestamps,
            over,
        })
    }

    fn take(&mut self, cluster: &Cluster) -> String {
        let Some((logs, ended)) = self.logs(cluster) else {
            self.over = true;
            return String::new();
        };
        let end = whole_lines(logs, ended);
        // Old lines may have been given up.
        let from = self.sent.min(end);
        let lines = logs.lines().skip(from).take(end - from);
        let text = lines.map(|l| as_sent(l, self.timestamps)).collect();
        (self.sent, self.over) = (end, ended);
        text
    }

    fn logs<'a>(&self, cluster: &'a Cluster) -> Option<(&'a Logs, bool)> {
        let (_, sandbox) = cluster.sandbox_of(&self.pod)?;
        let container = sandbox.container(&self.container)?;
        if container.id == self.run {
            return Some((&container.logs, matches!(container.state, State::Exited(_))));
        }
        let previous = container.previous.as_ref().filter(|p| p.id == self.run)?;
        Some((&previous.logs, true))
    }
}

/// The lines that are complete, or all where nothing is to follow.
pub(super) fn whole_lines(logs: &Logs, ended: bool) -> usize {
    let open = logs.lines().next_back().is_some_and(|l| !l.complete) && !ended;
    logs.lines().count() - usize::from(open)
}

/// A line of a container's output as it is sent.
pub(super) fn as_sent(line: &Line, timestamp: bool) -> String {
    let stamp = match timestamp {
        true => line.at.rfc3339_micro().replace('Z', "000Z "),
        false => String::new(),
    };
    let end = if line.complete { "\n" } else { "" };
    format!("{stamp}{}{end}", line.text)
}
