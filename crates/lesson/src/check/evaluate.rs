//! Making checks.

use std::collections::BTreeSet;

use kubarium_cluster::trace::{Explained, Trace, TraceRequest};
use kubarium_cluster::{Cluster, EventId, Time, kube_proxy};
use kubarium_linux::netfilter::TableKind;
use kubarium_objects::{Value, object, similar};
use kubarium_shell::Session;

use super::{
    Answers, Check, Command, Condition, Connect, Dns, Event, From, Objects, Outcome, Quiz, Rule,
    What,
};
use crate::pattern::{fits, glob, in_order, misfits};

/// How many misfits of an object are told.
const MISFITS_MAX: usize = 3;
/// How many pods one check tries.
const PODS_MAX: usize = 50;

/// What a check looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The terminal with its cluster.
    pub session: &'a Session,
    /// How many events there were when the lesson began: what happened before is not looked at.
    pub began: usize,
    /// What the learner has answered.
    pub answers: &'a Answers,
}

impl Check {
    /// Makes the check. `id` is its key in the answers.
    pub fn make(&self, id: &str, subject: Subject<'_>) -> Outcome {
        let cluster = &subject.session.simulation.cluster;
        match &self.what {
            What::Assert(objects) => objects.there(cluster),
            What::Error(objects) => objects.absent(cluster),
            What::Connect(connect) => connect.make(cluster),
            What::Dns(dns) => dns.make(cluster),
            What::Command(command) => command.make(subject.session),
            What::Event(event) => event.make(cluster, subject.began),
            What::Condition(condition) => condition.make(cluster),
            What::Rule(rule) => rule.make(cluster),
            What::Quiz(quiz) => quiz.make(subject.answers.get(id).map_or(&[][..], Vec::as_slice)),
        }
    }
}

impl Objects {
    fn all<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = &'a Value> {
        let id = self.resource.id();
        let namespace = self.namespace.clone();
        cluster
            .etcd
            .list(&id, None)
            .filter(move |(key, _)| namespace.as_ref().is_none_or(|n| *key.namespace == **n))
            .filter(|(key, _)| self.name.as_ref().is_none_or(|n| *key.name == **n))
            .map(|(_, object)| object)
    }

    /// `the Deployment web in namespace shop`
    fn named(&self) -> String {
        let mut text = self.resource.kind.to_string();
        if let Some(name) = &self.name {
            text += &format!(" {name}");
        }
        match &self.namespace {
            Some(namespace) if namespace != "default" => {
                text + &format!(" in namespace {namespace}")
            }
            _ => text,
        }
    }

    fn there(&self, cluster: &Cluster) -> Outcome {
        if let Some(count) = &self.count {
            let fitting = self.all(cluster).filter(|o| fits(&self.pattern, o)).count();
            let there = Value::Int(i64::try_from(fitting).unwrap_or(i64::MAX));
            if fits(count, &there) {
                return Outcome::passed();
            }
            let wanted = count
                .as_str()
                .map_or_else(|| count.to_json(), str::to_owned);
            return Outcome::missing(format!(
                "{fitting} objects of kind {} fit, wanted {wanted}.{}",
                self.named(),
                self.nearest(cluster)
                    .map_or_else(String::new, |near| format!(" {near}"))
            ));
        }
        if self.all(cluster).any(|object| fits(&self.pattern, object)) {
            return Outcome::passed();
        }
        Outcome::missing(self.nearest(cluster).unwrap_or_else(|| self.none(cluster)))
    }

    /// What the object that fits best lacks.
    fn nearest(&self, cluster: &Cluster) -> Option<String> {
        let found = self.all(cluster).map(|o| (misfits(&self.pattern, o), o));
        let (misfits, object) = found
            .filter(|(misfits, _)| !misfits.is_empty())
            .min_by_key(|(misfits, _)| misfits.len())?;
        let named = format!(
            "{} {}",
            self.resource.kind,
            object["metadata"]["name"].str()
        );
        let mut told: Vec<String> = misfits.iter().take(MISFITS_MAX).cloned().collect();
        if misfits.len() > MISFITS_MAX {
            told.push(format!("{} more", misfits.len() - MISFITS_MAX));
        }
        Some(format!("{named}: {}.", told.join("; ")))
    }

    /// There is none; is there one of a similar name, or in another namespace?
    fn none(&self, cluster: &Cluster) -> String {
        let id = self.resource.id();
        let mut text = format!("There is no {}.", self.named());
        let Some(name) = &self.name else {
            return text;
        };
        let others = || cluster.etcd.list(&id, None).map(|(key, _)| key);
        if let Some(key) = others().find(|key| *key.name == **name) {
            text += &format!(" There is one in namespace {}.", key.namespace);
        } else if let Some(near) = similar::nearest(name, others().map(|key| &*key.name)) {
            text += &format!(" There is one named {near}.");
        }
        text
    }

    fn absent(&self, cluster: &Cluster) -> Outcome {
        match self.all(cluster).find(|object| fits(&self.pattern, object)) {
            None => Outcome::passed(),
            Some(object) => Outcome::missing(format!(
                "{} {} is still there as it should not be.",
                self.resource.kind,
                object["metadata"]["name"].str()
            )),
        }
    }
}

impl From {
    /// The places as a trace names them.
    fn places(&self, cluster: &Cluster) -> Result<Vec<String>, String> {
        let (namespace, labels) = match self {
            From::Place(place) => return Ok(vec![place.clone()]),
            From::Pods { namespace, labels } => (namespace, labels),
        };
        let pods = cluster.etcd.list("pods", Some(namespace));
        let has = |pod: &Value| {
            let own = &pod["metadata"]["labels"];
            pod["status"]["phase"].str() == "Running"
                && labels.iter().all(|(k, v)| own[k.as_str()].str() == v)
        };
        let found: Vec<String> = pods
            .filter(|(_, pod)| has(pod))
            .map(|(key, _)| format!("pod/{}.{}", key.name, key.namespace))
            .take(PODS_MAX)
            .collect();
        if found.is_empty() {
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            return Err(format!(
                "No running pod in namespace {namespace} has the labels {}.",
                labels.join(",")
            ));
        }
        Ok(found)
    }
}

/// The address that `pod/NAME`, `node/NAME` or `service/NAME` stands for; the text where it is none.
fn address(cluster: &Cluster, text: &str) -> Option<String> {
    let Some((kind, name)) = text.split_once('/') else {
        return Some(text.to_owned());
    };
    let (name, namespace) = match kind {
        "node" => (name, ""),
        _ => name.rsplit_once('.').unwrap_or((name, "default")),
    };
    let found = match kind {
        "node" => return cluster.machines.get(name).map(|m| m.address.to_string()),
        "pod" => &cluster.find("pods", namespace, name)?["status"]["podIP"],
        "service" => &cluster.find("services", namespace, name)?["spec"]["clusterIP"],
        _ => return None,
    };
    found.as_str().map(str::to_owned)
}

impl Connect {
    fn make(&self, cluster: &Cluster) -> Outcome {
        let places = match self.from.places(cluster) {
            Ok(places) => places,
            Err(why) => return Outcome::missing(why),
        };
        let Some(to) = self.target(cluster) else {
            return Outcome::missing(format!("{} has no address.", self.to));
        };
        let mut copy = cluster.clone();
        for place in &places {
            let request = TraceRequest {
                from: place.clone(),
                to: to.clone(),
                udp: self.udp,
            };
            for _ in 0..self.times {
                let told = match copy.explain(&request) {
                    Ok(made) => self.judge(&copy, place, &made),
                    Err(why) => Some(format!("From {place} nothing can be sent: {why}.")),
                };
                if let Some(told) = told {
                    return Outcome::missing(told);
                }
            }
        }
        Outcome::passed()
    }

    /// Where to, with `pod/NAME:80` and the like as an address; `None` where that has none.
    fn target(&self, cluster: &Cluster) -> Option<String> {
        let named = ["pod/", "node/", "service/"]
            .iter()
            .any(|kind| self.to.starts_with(kind));
        if !named {
            return Some(self.to.clone());
        }
        let (name, port) = self.to.split_once(':').unwrap_or((&self.to, "80"));
        Some(format!("{}:{port}", address(cluster, name)?))
    }

    /// What is not as it has to be.
    fn judge(&self, cluster: &Cluster, place: &str, made: &Explained) -> Option<String> {
        let way = format!("From {place} to {}", self.to);
        let verdict = serde_json::to_value(made.verdict()).ok();
        let verdict = verdict.as_ref().and_then(|v| v.as_str()).unwrap_or("");
        if verdict != self.verdict {
            let trace = made.in_words(cluster);
            let why = match trace.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            return Some(format!(
                "{way} the connection is {verdict}{why}, wanted {}.",
                self.verdict
            ));
        }
        let server = made.server(cluster);
        if let Some(wanted) = &self.server {
            let pod = server.as_ref().map_or("", |s| s.pod.as_str());
            let name = pod.rsplit('/').next().unwrap_or(pod);
            if !glob(wanted, pod) && !glob(wanted, name) {
                return Some(format!("{way} {pod} answers, wanted {wanted}."));
            }
        }
        if let Some(wanted) = &self.source {
            let seen = server.as_ref().map_or("", |s| s.sees_source.as_str());
            let own = match wanted.as_str() {
                "client" => address(cluster, place),
                other => address(cluster, other),
            };
            if own.as_deref() != Some(seen) {
                let own = own.map_or_else(String::new, |own| format!(" ({own})"));
                return Some(format!(
                    "{way} the server sees the source {seen}, wanted {wanted}{own}."
                ));
            }
        }
        if self.hops.is_empty() && self.without.is_empty() {
            return None;
        }
        let hops = hops(&made.in_words(cluster));
        if let Some(missing) = in_order(&self.hops, hops.iter()) {
            return Some(format!(
                "{way} there is no hop {} in its place.",
                self.hops[missing].to_json()
            ));
        }
        let unwanted = self
            .without
            .iter()
            .find(|p| hops.iter().any(|hop| fits(p, hop)));
        unwanted.map(|p| format!("{way} there is a hop {}, wanted none.", p.to_json()))
    }
}

/// The hops as `sim trace -o json` shows them, each with its phase.
fn hops(trace: &Trace) -> Vec<Value> {
    let mut all = Vec::new();
    for phase in &trace.phases {
        let kind = value_of(&phase.phase);
        for hop in &phase.hops {
            let mut hop = value_of(hop);
            hop["phase"] = kind.clone();
            all.push(hop);
        }
    }
    all
}

fn value_of(data: &impl serde::Serialize) -> Value {
    let text = serde_json::to_string(data).unwrap_or_default();
    Value::from_json(&text).unwrap_or_default()
}

impl Dns {
    fn make(&self, cluster: &Cluster) -> Outcome {
        let places = match self.from.places(cluster) {
            Ok(places) => places,
            Err(why) => return Outcome::missing(why),
        };
        let mut copy = cluster.clone();
        for place in &places {
            let found = match copy.lookup(place, &self.name, &self.kind) {
                Ok(found) => found,
                Err(why) => {
                    return Outcome::missing(format!("From {place} nothing can be asked: {why}."));
                }
            };
            let asked = format!("From {place} {}", self.name);
            if found.code != self.code {
                let why = match found.reason.as_str() {
                    "" => format!("the answer is {}", found.code),
                    reason => reason.to_owned(),
                };
                return Outcome::missing(format!("{asked}: {why}, wanted {}.", self.code));
            }
            for wanted in &self.answers {
                let value = address(cluster, wanted);
                if !value
                    .as_ref()
                    .is_some_and(|v| found.values.iter().any(|f| glob(v, f)))
                {
                    return Outcome::missing(format!(
                        "{asked} is [{}], wanted {wanted} among it.",
                        found.values.join(", ")
                    ));
                }
            }
            let count = Value::Int(i64::try_from(found.values.len()).unwrap_or(i64::MAX));
            if let Some(wanted) = self.count.as_ref().filter(|wanted| !fits(wanted, &count)) {
                return Outcome::missing(format!(
                    "{asked} has {} {} records, wanted {}.",
                    found.values.len(),
                    self.kind,
                    wanted
                        .as_str()
                        .map_or_else(|| wanted.to_json(), str::to_owned)
                ));
            }
        }
        Outcome::passed()
    }
}

impl Command {
    fn make(&self, session: &Session) -> Outcome {
        let output = session.clone().run(&self.run);
        let text = output.text();
        let line = self.run.lines().next().unwrap_or("");
        if output.status != self.status {
            let first = text.lines().next().unwrap_or("nothing");
            return Outcome::missing(format!(
                "`{line}` ends with status {}, wanted {}; it prints: {first}",
                output.status, self.status
            ));
        }
        if let Some(wanted) = self.contains.iter().find(|wanted| !text.contains(*wanted)) {
            return Outcome::missing(format!("`{line}` does not print {wanted:?}."));
        }
        if let Some(unwanted) = self.lacks.iter().find(|unwanted| text.contains(*unwanted)) {
            return Outcome::missing(format!("`{line}` still prints {unwanted:?}."));
        }
        let regex = self.matches.as_deref().map(regex_lite::Regex::new);
        match regex {
            Some(Ok(regex)) if !regex.is_match(&text) => Outcome::missing(format!(
                "What `{line}` prints does not fit {:?}.",
                regex.as_str()
            )),
            _ => Outcome::passed(),
        }
    }
}

impl Event {
    fn make(&self, cluster: &Cluster, began: usize) -> Outcome {
        let first = u32::try_from(began).unwrap_or(u32::MAX);
        let log = &cluster.log;
        // Patterns are compared with what they name only: the log is long.
        let fitting =
            |pattern: &Value, event: &kubarium_cluster::Event| fits(pattern, &view(event));
        if !self.caused {
            let mut events = log.since(EventId(first));
            let missing = self.order.iter().find(|p| !events.any(|e| fitting(p, e)));
            return match missing {
                None => Outcome::passed(),
                Some(pattern) => Outcome::missing(format!(
                    "This has not happened yet, or not in this order: {}.",
                    pattern.to_json()
                )),
            };
        }
        let Some((last, before)) = self.order.split_last() else {
            return Outcome::passed();
        };
        let ends = log.since(EventId(first)).filter(|e| fitting(last, e));
        for end in ends {
            let mut causes: Vec<EventId> = log.causes(end.id);
            causes.reverse();
            let mut causes = causes.iter().filter_map(|id| log.get(*id));
            if before.iter().all(|p| causes.any(|e| fitting(p, e))) {
                return Outcome::passed();
            }
        }
        Outcome::missing(format!(
            "Nothing that was so caused has happened yet: {}.",
            last.to_json()
        ))
    }
}

fn view(event: &kubarium_cluster::Event) -> Value {
    object([
        ("component", event.from.name().into()),
        (
            "node",
            event.from.node().cloned().unwrap_or_default().into(),
        ),
        ("action", event.action.word().into()),
        (
            "object",
            event
                .object
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
                .into(),
        ),
        ("text", event.text.clone().into()),
    ])
}

impl Condition {
    fn make(&self, cluster: &Cluster) -> Outcome {
        let Some(object) = self.of.all(cluster).next() else {
            return Outcome::missing(self.of.none(cluster));
        };
        let named = self.of.named();
        let conditions = object["status"]["conditions"].items();
        let Some(condition) = conditions.iter().find(|c| c["type"].str() == self.kind) else {
            return Outcome::missing(format!("{named} has no condition {} yet.", self.kind));
        };
        if condition["status"].str() != self.status {
            let why = match condition["message"].str() {
                "" => condition["reason"].str().to_owned(),
                message => message.to_owned(),
            };
            return Outcome::missing(format!(
                "{named}: {} is {}, wanted {}. {why}",
                self.kind,
                condition["status"].str(),
                self.status
            ));
        }
        let began = Time::parse(condition["lastTransitionTime"].str()).unwrap_or_default();
        let held = cluster.now.since(began);
        if held < self.since {
            return Outcome::missing(format!(
                "{named}: {} is {} since {} s, wanted {} s.",
                self.kind,
                self.status,
                held.as_secs(),
                self.since.as_secs()
            ));
        }
        Outcome::passed()
    }
}

impl Rule {
    fn make(&self, cluster: &Cluster) -> Outcome {
        let kind = TableKind::parse(self.table).unwrap_or(TableKind::Nat);
        // kube-proxy's rules are made when a packet walks or somebody looks.
        let mut copy = cluster.clone();
        kube_proxy::bring_all_up_to_date(&mut copy);
        let mut chains = BTreeSet::new();
        let mut most = None;
        for machine in copy.machines.values() {
            if self
                .node
                .as_ref()
                .is_some_and(|node| **node != *machine.name)
            {
                continue;
            }
            let Some(namespace) = copy.net.namespace(machine.netns) else {
                continue;
            };
            let Some(table) = namespace.netfilter.table(kind) else {
                continue;
            };
            for chain in table.chains() {
                let name = chain.name.as_str();
                if !glob(&self.chain, name) {
                    continue;
                }
                chains.insert(name.to_owned());
                for index in 0..chain.rules.len() {
                    let fits_text = self
                        .rule
                        .as_ref()
                        .is_none_or(|r| glob(r, &chain.rule_text(index)));
                    if fits_text {
                        let packets = namespace.netfilter.rule_counter(kind, name, index).packets;
                        most = most.max(Some(packets));
                        let packets = Value::Int(i64::try_from(packets).unwrap_or(i64::MAX));
                        if fits(&self.packets, &packets) {
                            return Outcome::passed();
                        }
                    }
                }
            }
        }
        let wanted = self
            .packets
            .as_str()
            .map_or_else(|| self.packets.to_json(), str::to_owned);
        Outcome::missing(match most {
            _ if chains.is_empty() => {
                format!("The table {} has no chain {}.", self.table, self.chain)
            }
            None => format!(
                "The chain {} has no rule {}.",
                self.chain,
                self.rule.as_deref().unwrap_or("at all")
            ),
            Some(most) => format!(
                "{most} packets matched in the chain {}, wanted {wanted}.",
                self.chain
            ),
        })
    }
}

impl Quiz {
    fn make(&self, given: &[String]) -> Outcome {
        if given.is_empty() {
            return Outcome::missing("The question is not answered yet.");
        }
        let plain = |text: &String| {
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase()
        };
        let given: BTreeSet<String> = given.iter().map(plain).collect();
        let answer: BTreeSet<String> = self.answer.iter().map(plain).collect();
        let right = match self.options.is_empty() {
            true => given.len() == 1 && given.is_subset(&answer),
            false => given == answer,
        };
        match right {
            true => Outcome::passed(),
            false => Outcome::missing("That is not the answer."),
        }
    }
}
