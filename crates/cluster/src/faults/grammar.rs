//! What a person types after `sim fault`: one table for reading, help and completion.

use std::fmt;
use std::time::Duration;

use kubarium_objects::duration::GoDuration;
use kubarium_objects::{ObjectKey, Text};

use super::{Fault, Part, Place, names, pod_key};
use crate::cluster::Cluster;
use crate::controllers;
use crate::kubelet::Pressure;

/// One form of a fault. Words in capitals stand for something; the others are to be typed.
pub struct Form {
    /// `stop COMPONENT`
    pub words: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
}

/// All forms.
pub static FORMS: &[Form] = &[
    Form {
        words: "stop COMPONENT",
        help: "A component does nothing until it is mended",
    },
    Form {
        words: "slow COMPONENT TIME",
        help: "A component does everything later by that time",
    },
    Form {
        words: "restart COMPONENT",
        help: "A component begins anew; nothing is left to mend",
    },
    Form {
        words: "cut NODE",
        help: "A node's kubelet and kube-proxy do not reach the API server",
    },
    Form {
        words: "node NODE",
        help: "A machine has no power; mended, it boots",
    },
    Form {
        words: "link down PLACE",
        help: "A network card is down: of a node, or of pod/NAME",
    },
    Form {
        words: "link loss PLACE PERCENT",
        help: "A network card loses that share of what it sends",
    },
    Form {
        words: "link delay PLACE TIME",
        help: "What a network card sends arrives later by that time",
    },
    Form {
        words: "partition NODE...",
        help: "These machines reach each other, but none of the others",
    },
    Form {
        words: "kill POD [CONTAINER]",
        help: "A container's process gets SIGKILL",
    },
    Form {
        words: "oom POD [CONTAINER]",
        help: "A container's process is killed for want of memory",
    },
    Form {
        words: "image IMAGE",
        help: "The registry does not have an image (nodes that have it keep it)",
    },
    Form {
        words: "registry",
        help: "The registry does not answer",
    },
    Form {
        words: "pressure NODE RESOURCE",
        help: "A node runs out of memory, disk or pid",
    },
    Form {
        words: "rule NODE TABLE CHAIN NUMBER",
        help: "A rule of a node's iptables is deleted",
    },
    Form {
        words: "list",
        help: "What is broken, with its numbers",
    },
    Form {
        words: "mend [N]",
        help: "Mends fault N, or all",
    },
];

/// The components that are not on every node.
const PARTS: [(&str, Part); 4] = [
    ("kube-apiserver", Part::ApiServer),
    ("etcd", Part::Etcd),
    ("kube-scheduler", Part::Scheduler),
    ("kube-controller-manager", Part::ControllerManager),
];
const ON_NODES: [&str; 3] = ["kubelet", "kube-proxy", "containerd"];

fn part(words: &[&str]) -> Result<Part, String> {
    match words {
        [name] => {
            if let Some((_, part)) = PARTS.iter().find(|(known, _)| known == name) {
                return Ok(part.clone());
            }
            if let Some(name) = controllers::controller_names().find(|known| known == name) {
                return Ok(Part::Controller(name));
            }
            if ON_NODES.contains(name) {
                return Err(format!(
                    "{name} runs on every node: say which, as in {name} worker-1"
                ));
            }
            let known: Vec<&str> = PARTS
                .iter()
                .map(|(name, _)| *name)
                .chain(ON_NODES)
                .collect();
            Err(format!(
                "there is no component {name:?}; there are {}, and the controllers by name",
                known.join(", ")
            ))
        }
        [name, node] => {
            let node = Text::from(*node);
            match *name {
                "kubelet" => Ok(Part::Kubelet(node)),
                "kube-proxy" => Ok(Part::KubeProxy(node)),
                "containerd" => Ok(Part::Runtime(node)),
                _ => Err(format!(
                    "{name:?} does not run on every node; leave {node:?} out"
                )),
            }
        }
        _ => Err("say which component: kube-scheduler, kubelet worker-1, ...".to_owned()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time: GoDuration = text.parse().map_err(|e| format!("{e}"))?;
    u64::try_from(time.0)
        .map(Duration::from_nanos)
        .map_err(|_| format!("{text:?} lies in the past"))
}

fn place(word: &str, namespace: &str) -> Place {
    if word.starts_with("pod/") || word.starts_with("pods/") {
        return Place::Pod(pod_key(word, namespace));
    }
    Place::Node(word.strip_prefix("node/").unwrap_or(word).into())
}

impl Fault {
    /// Reads the words after `sim fault`. Pods without a namespace are in `namespace`.
    ///
    /// # Errors
    /// A sentence with the form that was meant.
    pub fn parse(words: &[&str], namespace: &str) -> Result<Fault, String> {
        let pod = |word: &str| pod_key(word, namespace);
        match words {
            ["stop", rest @ ..] => part(rest).map(Fault::Stop),
            ["restart", rest @ ..] => part(rest).map(Fault::Restart),
            ["slow", rest @ .., delay] => Ok(Fault::Slow(part(rest)?, time(delay)?)),
            ["cut", node] | ["cut", "kubelet", node] => Ok(Fault::Cut((*node).into())),
            ["node", node] => Ok(Fault::Node((*node).into())),
            ["link", "down", at] => Ok(Fault::LinkDown(place(at, namespace))),
            ["link", "loss", at, percent] => {
                let number = percent.trim_end_matches('%').parse::<u32>();
                let number = number.ok().filter(|n| (1..=100).contains(n));
                let number =
                    number.ok_or_else(|| format!("{percent:?} is no share from 1% to 100%"))?;
                Ok(Fault::Loss(place(at, namespace), number))
            }
            ["link", "delay", at, delay] => Ok(Fault::Delay(place(at, namespace), time(delay)?)),
            ["partition", first, rest @ ..] => {
                let nodes = std::iter::once(first).chain(rest);
                Ok(Fault::Partition(nodes.map(|n| Text::from(*n)).collect()))
            }
            ["kill", name] => Ok(Fault::Kill(pod(name), None)),
            ["kill", name, container] => Ok(Fault::Kill(pod(name), Some((*container).into()))),
            ["oom", name] => Ok(Fault::OutOfMemory(pod(name), None)),
            ["oom", name, container] => {
                Ok(Fault::OutOfMemory(pod(name), Some((*container).into())))
            }
            ["image", image] => Ok(Fault::Image((*image).into())),
            ["registry"] => Ok(Fault::Registry),
            ["pressure", node, resource] => match Pressure::parse(resource) {
                Some(pressure) => Ok(Fault::Pressure((*node).into(), pressure)),
                None => Err(format!("{resource:?} is none of memory, disk, pid")),
            },
            ["rule", node, table, chain, number] => {
                let number = number.parse::<u32>().ok().filter(|n| *n > 0);
                let number = number.ok_or("a rule's number counts from 1")?;
                Ok(Fault::Rule(
                    (*node).into(),
                    (*table).into(),
                    (*chain).into(),
                    number,
                ))
            }
            _ => Err(usage(words.first().copied().unwrap_or_default())),
        }
    }

    /// The words after `sim fault` that mean it, whatever namespace is the usual one: what [`Fault::parse`] reads.
    pub fn words(&self) -> String {
        let pod = |pod: &ObjectKey, container: &Option<Text>| {
            let container = container
                .as_ref()
                .map_or(String::new(), |c| format!(" {c}"));
            format!("{}/{}{container}", pod.namespace, pod.name)
        };
        let place = |place: &Place| match place {
            Place::Node(node) => node.to_string(),
            Place::Pod(pod) => format!("pod/{}/{}", pod.namespace, pod.name),
        };
        match self {
            Fault::Stop(part) => format!("stop {part}"),
            Fault::Slow(part, delay) => format!("slow {part} {}ms", delay.as_millis()),
            Fault::Restart(part) => format!("restart {part}"),
            Fault::Node(node) => format!("node {node}"),
            Fault::Cut(node) => format!("cut {node}"),
            Fault::LinkDown(at) => format!("link down {}", place(at)),
            Fault::Loss(at, percent) => format!("link loss {} {percent}%", place(at)),
            Fault::Delay(at, delay) => format!("link delay {} {}ms", place(at), delay.as_millis()),
            Fault::Partition(nodes) => format!("partition {}", nodes.join(" ")),
            Fault::Kill(name, c) => format!("kill {}", pod(name, c)),
            Fault::OutOfMemory(name, c) => format!("oom {}", pod(name, c)),
            Fault::Image(image) => format!("image {image}"),
            Fault::Registry => "registry".to_owned(),
            Fault::Pressure(node, what) => {
                let what = match what {
                    Pressure::Memory => "memory",
                    Pressure::Disk => "disk",
                    Pressure::Pid => "pid",
                };
                format!("pressure {node} {what}")
            }
            Fault::Rule(node, table, chain, number) => {
                format!("rule {node} {table} {chain} {number}")
            }
        }
    }
}

fn usage(first: &str) -> String {
    let mut forms = FORMS
        .iter()
        .filter(|f| f.words.split(' ').next() == Some(first))
        .peekable();
    if forms.peek().is_none() {
        return format!("there is no fault {first:?}; sim fault --help lists them");
    }
    let all: Vec<String> = forms.map(|f| format!("sim fault {}", f.words)).collect();
    format!("usage: {}", all.join(" | "))
}

/// What can stand after these words, for a terminal's completion.
pub fn complete(cluster: &Cluster, words: &[&str], namespace: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for form in FORMS {
        let mut pattern = form.words.split(' ');
        let mut place = pattern.next().unwrap_or_default();
        let mut fits = true;
        for word in words {
            let fixed = place.chars().all(|c| c.is_ascii_lowercase());
            if fixed && place != *word {
                fits = false;
                break;
            }
            // A component of every node takes one word more.
            if place == "COMPONENT" && ON_NODES.contains(word) {
                place = "NODE";
                continue;
            }
            if place.ends_with("...") {
                continue;
            }
            place = pattern.next().unwrap_or_default();
        }
        if fits && !place.is_empty() {
            found.extend(candidates(cluster, place, words, namespace));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn candidates(cluster: &Cluster, place: &str, words: &[&str], namespace: &str) -> Vec<String> {
    let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let nodes = || cluster.machines.keys().map(|n| n.to_string());
    match place {
        "COMPONENT" => {
            let parts = PARTS.iter().map(|(name, _)| *name).chain(ON_NODES);
            parts
                .chain(controllers::controller_names())
                .map(str::to_owned)
                .collect()
        }
        "NODE" | "NODE..." => nodes().filter(|n| !words.contains(&n.as_str())).collect(),
        "PLACE" => {
            let pods = names(cluster, "pods", namespace)
                .into_iter()
                .map(|p| format!("pod/{p}"));
            nodes().chain(pods).collect()
        }
        "POD" => names(cluster, "pods", namespace),
        "RESOURCE" => list(&["memory", "disk", "pid"]),
        "TABLE" => list(&["filter", "nat", "mangle", "raw"]),
        "TIME" => list(&["500ms", "2s"]),
        "PERCENT" => list(&["10%", "30%"]),
        "[N]" => cluster
            .faults()
            .active()
            .keys()
            .map(u32::to_string)
            .collect(),
        word if word.chars().all(|c| c.is_ascii_lowercase()) => vec![word.to_owned()],
        _ => Vec::new(),
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::ApiServer => f.write_str("kube-apiserver"),
            Part::Etcd => f.write_str("etcd"),
            Part::Scheduler => f.write_str("kube-scheduler"),
            Part::ControllerManager => f.write_str("kube-controller-manager"),
            Part::Controller(name) => f.write_str(name),
            Part::Kubelet(node) => write!(f, "kubelet {node}"),
            Part::KubeProxy(node) => write!(f, "kube-proxy {node}"),
            Part::Runtime(node) => write!(f, "containerd {node}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Node(node) => f.write_str(node),
            Place::Pod(pod) => write!(f, "pod {}/{}", pod.namespace, pod.name),
        }
    }
}

/// A sentence: `kubelet worker-1 is stopped`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |container: &Option<Text>| {
            container
                .as_ref()
                .map_or(String::new(), |c| format!(", container {c}"))
        };
        match self {
            Fault::Stop(part) => write!(f, "{part} is stopped"),
            Fault::Slow(part, delay) => write!(f, "{part} is slow by {delay:?}"),
            Fault::Restart(part) => write!(f, "{part} is restarted"),
            Fault::Node(node) => write!(f, "machine {node} is lost"),
            Fault::Cut(node) => write!(f, "node {node} is cut off from the API server"),
            Fault::LinkDown(place) => write!(f, "the network card of {place} is down"),
            Fault::Loss(place, percent) => {
                write!(
                    f,
                    "the network card of {place} loses {percent}% of its packets"
                )
            }
            Fault::Delay(place, delay) => {
                write!(f, "the network card of {place} is late by {delay:?}")
            }
            Fault::Partition(nodes) => {
                write!(f, "{} cannot reach the other machines", nodes.join(", "))
            }
            Fault::Kill(pod, c) => {
                write!(f, "pod {}/{}{} is killed", pod.namespace, pod.name, of(c))
            }
            Fault::OutOfMemory(pod, c) => {
                write!(
                    f,
                    "pod {}/{}{} runs out of memory",
                    pod.namespace,
                    pod.name,
                    of(c)
                )
            }
            Fault::Image(image) => write!(f, "image {image} is missing"),
            Fault::Registry => f.write_str("the registry does not answer"),
            Fault::Pressure(node, what) => write!(f, "node {node} runs out of {what}"),
            Fault::Rule(node, table, chain, number) => {
                write!(
                    f,
                    "rule {number} of {chain} in table {table} on {node} is deleted"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_said_in_words_that_are_read_as_the_same_fault() {
        for words in [
            "stop kube-scheduler",
            "stop kubelet worker-1",
            "slow replicaset-controller 1500ms",
            "restart containerd worker-2",
            "node worker-1",
            "cut worker-1",
            "link down worker-1",
            "link loss pod/shop/web-1 30%",
            "partition worker-1 worker-2",
            "kill shop/web-1",
            "oom shop/web-1 nginx",
            "image nginx:1.29",
            "registry",
            "pressure worker-1 disk",
            "rule worker-1 nat KUBE-SERVICES 3",
        ] {
            let list: Vec<&str> = words.split(' ').collect();
            let fault = Fault::parse(&list, "elsewhere").expect(words);
            assert_eq!(fault.words(), words);
        }
    }
}
