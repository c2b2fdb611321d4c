//! Commands that tell what changes until they are stopped: `conntrack -E`, `ip monitor`.

use std::sync::Arc;

use super::{Output, conntrack, ip};
use crate::conntrack::{Change, ChangeKind};
use crate::link::NamespaceId;
use crate::network::Network;
use crate::time::Time;

/// Such a command under way.
#[derive(Clone, Debug)]
pub struct Monitor {
    namespace: NamespaceId,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Its words, where it has read to, and how many events it has shown.
    Conntrack {
        args: Vec<String>,
        from: usize,
        shown: usize,
    },
    /// What it listens to, whether it says which, and what there was.
    Ip {
        objects: Vec<Object>,
        label: bool,
        before: Vec<Vec<String>>,
    },
}

/// What `ip monitor` listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Object {
    Link,
    Address,
    Route,
    Rule,
    Neighbour,
}

const OBJECTS: [(Object, &str, &str, &str); 5] = [
    (Object::Link, "link", "LINK", "-o link"),
    (Object::Address, "address", "ADDR", "-o addr"),
    (Object::Route, "route", "ROUTE", "route show table all"),
    (Object::Rule, "rule", "RULE", "rule"),
    (Object::Neighbour, "neigh", "NEIGH", "neigh"),
];

impl Object {
    /// What there is of it, a line for each as `ip monitor` prints it.
    fn lines(self, net: &mut Network, namespace: NamespaceId, now: Time) -> Vec<String> {
        let words = OBJECTS.iter().find(|o| o.0 == self).map_or("", |o| o.3);
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let text = ip::run(net, namespace, &words, now).stdout;
        let line = |line: &str| match self {
            Object::Link => {
                let line = line.replace("mode DEFAULT ", "").replace("qlen 1000", "");
                line.replace('\\', "\n")
            }
            Object::Address => line.replace('\\', "\n"),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect()
    }

    fn label(self) -> &'static str {
        OBJECTS.iter().find(|o| o.0 == self).map_or("", |o| o.2)
    }
}

/// What `conntrack -E` says where events came quicker than it read them (`recv` gave ENOBUFS), and goes on.
const LOSING: &str = "WARNING: We have hit ENOBUFS! We are losing events.
This message means that the current netlink socket buffer size is too small.
Please, check --buffer-size in conntrack(8) manpage.
";

impl Monitor {
    /// Whether these words are a command that goes on.
    #[must_use]
    pub fn is_meant(argv: &[String]) -> bool {
        let mut words = argv.iter().map(String::as_str);
        match words.next() {
            Some("conntrack") => words.any(|w| matches!(w, "-E" | "--event")),
            Some("ip") => words
                .find(|w| !w.starts_with('-'))
                .is_some_and(|w| w.len() > 1 && "monitor".starts_with(w)),
            _ => false,
        }
    }

    /// Begins.
    ///
    /// # Errors
    /// What it says instead.
    pub fn start(
        net: &mut Network,
        namespace: NamespaceId,
        argv: &[String],
        now: Time,
    ) -> Result<Monitor, Output> {
        let args = argv.get(1..).unwrap_or_default().to_vec();
        let kind = if argv.first().is_some_and(|name| name == "conntrack") {
            conntrack::events_asked(&args)?;
            let ns = net.namespace_mut(namespace);
            let from = ns.map_or(0, |ns| Arc::make_mut(&mut ns.conntrack).listen());
            let shown = 0;
            Kind::Conntrack { args, from, shown }
        } else {
            let (objects, label) = objects(&args)?;
            net.leave_mesh(namespace);
            let before = objects.iter().map(|o| o.lines(net, namespace, now));
            let before = before.collect();
            Kind::Ip {
                objects,
                label,
                before,
            }
        };
        Ok(Monitor { namespace, kind })
    }

    /// What has happened since it last looked, and what it says of it on standard error.
    pub fn go_on(&mut self, net: &mut Network, now: Time) -> Output {
        let namespace = self.namespace;
        let mut said = Output::default();
        match &mut self.kind {
            Kind::Conntrack { args, from, shown } => {
                let (Some(ns), Ok(asked)) =
                    (net.namespace_mut(namespace), conntrack::events_asked(args))
                else {
                    return said;
                };
                let table = Arc::make_mut(&mut ns.conntrack);
                table.sweep(now);
                let (changes, lost) = table.changes(from);
                if lost {
                    said.stderr.push_str(LOSING);
                }
                for line in changes.filter_map(|change| asked.event(change)) {
                    *shown += 1;
                    said.stdout += &line;
                }
            }
            Kind::Ip {
                objects,
                label,
                before,
            } => {
                let out = &mut said.stdout;
                for (object, before) in objects.iter().zip(before) {
                    let after = object.lines(net, namespace, now);
                    let mark = if *label {
                        format!("[{}]", object.label())
                    } else {
                        String::new()
                    };
                    // A device that changes is told anew; nothing of it is deleted.
                    let name = |line: &str| line.split(": ").nth(1).map(str::to_owned);
                    let stays = |line: &String| {
                        after.contains(line)
                            || *object == Object::Link
                                && after.iter().any(|a| name(a) == name(line))
                    };
                    for line in before.iter().filter(|line| !stays(line)) {
                        *out += &format!("{mark}Deleted {line}\n");
                    }
                    for line in after.iter().filter(|line| !before.contains(line)) {
                        *out += &format!("{mark}{line}\n");
                    }
                    *before = after;
                }
            }
        }
        said
    }

    /// It is stopped: what it still says, on standard error.
    pub fn stop(self, net: &mut Network) -> String {
        let Kind::Conntrack { shown, .. } = self.kind else {
            return String::new();
        };
        if let Some(ns) = net.namespace_mut(self.namespace) {
            Arc::make_mut(&mut ns.conntrack).stop_listening();
        }
        format!("conntrack v1.4.7 (conntrack-tools): {shown} flow events have been shown.\n")
    }
}

/// What the words after `ip monitor` name, and whether each line says what it is about.
fn objects(args: &[String]) -> Result<(Vec<Object>, bool), Output> {
    let mut words = args.iter().map(String::as_str);
    // `-o`, `-4` and the word `monitor` itself.
    let _ = words.find(|w| !w.starts_with('-'));
    let (mut chosen, mut label) = (Vec::new(), false);
    for word in words {
        let object = OBJECTS.iter().find(|o| o.1.starts_with(word));
        match (word, object) {
            ("all", _) => chosen.extend(OBJECTS.iter().map(|o| o.0)),
            ("label", _) => label = true,
            (_, Some(object)) => chosen.push(object.0),
            _ => {
                let text = format!("Argument \"{word}\" is unknown, try \"ip monitor help\".\n");
                return Err(Output::failed(255, text));
            }
        }
    }
    if chosen.is_empty() {
        chosen.extend(OBJECTS.iter().map(|o| o.0));
    }
    Ok((chosen, label))
}

impl conntrack::Asked {
    /// The line of an event; None: it was not asked for.
    fn event(&self, change: &Change) -> Option<String> {
        let Change { kind, entry, at } = change;
        let (word, tag) = match kind {
            ChangeKind::New => ("NEW", "    [NEW]"),
            ChangeKind::Update => ("UPDATES", " [UPDATE]"),
            ChangeKind::Destroy(_) => ("DESTROY", "[DESTROY]"),
        };
        // What has run out has no time left to show.
        let seconds =
            (*kind != ChangeKind::Destroy(false)).then(|| (entry.expires - *at).as_secs());
        (self.wants(entry) && self.wants_event(word)).then(|| {
            let family = if self.extended { "ipv4     2 " } else { "" };
            format!("{tag} {family}{}\n", entry.told(seconds))
        })
    }
}
