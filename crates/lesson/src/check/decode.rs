//! Reading checks.

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_linux::netfilter::TableKind;
use kubarium_objects::schema::Schema;
use kubarium_objects::{Value, similar};

use super::{Check, Command, Condition, Connect, Dns, Event, From, Objects, Quiz, Rule, What};
use crate::document::Node;

const KINDS: [&str; 9] = [
    "assert",
    "error",
    "connect",
    "dns",
    "command",
    "event",
    "condition",
    "rule",
    "quiz",
];
const VERDICTS: [&str; 6] = [
    "delivered",
    "refused",
    "dropped",
    "unreachable",
    "timeout",
    "unresolved",
];
/// How often a connection may be tried.
const TIMES_MAX: u64 = 50;

impl Check {
    /// The checks of a field.
    pub(crate) fn decode_all(node: &Node<'_>, key: &str) -> Vec<Check> {
        node.items(key).iter().filter_map(Check::decode).collect()
    }

    fn decode(node: &Node<'_>) -> Option<Check> {
        if !node.is_map() {
            return None;
        }
        let mut known = KINDS.to_vec();
        known.extend(["explain", "count"]);
        node.knows(&known);
        let kinds: Vec<&str> = KINDS
            .into_iter()
            .filter(|k| node.get(k).is_some())
            .collect();
        let [kind] = kinds[..] else {
            let message = match kinds.len() {
                0 => "this checks nothing".to_owned(),
                _ => format!("this checks {} things at once", kinds.len()),
            };
            node.problem(
                &message,
                &format!("each check has one of {}", KINDS.join(", ")),
            );
            return None;
        };
        let inner = node.at(kind);
        if !inner.is_map() {
            return None;
        }
        if !matches!(kind, "assert" | "error") && node.get("count").is_some() {
            node.at("count")
                .problem("count belongs to assert", "leave it out here");
        }
        let what = match kind {
            "assert" => What::Assert(Objects::decode(&inner, node)?),
            "error" => What::Error(Objects::decode(&inner, node)?),
            "connect" => What::Connect(Box::new(Connect::decode(&inner)?)),
            "dns" => What::Dns(Dns::decode(&inner)?),
            "command" => What::Command(Command::decode(&inner)),
            "event" => What::Event(Event::decode(&inner)),
            "condition" => What::Condition(Condition::decode(&inner)?),
            "rule" => What::Rule(Rule::decode(&inner)),
            _ => What::Quiz(Quiz::decode(&inner)),
        };
        Some(Check {
            what,
            explain: node.text("explain"),
        })
    }
}

/// A number or a comparison, as patterns have it.
fn amount(node: &Node<'_>, key: &str) -> Option<Value> {
    let node = node.get(key)?;
    let fine = match node.value {
        Value::Int(n) => *n >= 0,
        Value::String(text) => [">= ", "<= ", "> ", "< "].iter().any(|o| {
            text.strip_prefix(o)
                .is_some_and(|n| n.parse::<u32>().is_ok())
        }),
        _ => false,
    };
    if !fine {
        node.problem(&format!("{key} is no number"), "such as `2`, or `\">= 2\"`");
    }
    Some(node.value.clone())
}

impl Objects {
    fn decode(node: &Node<'_>, check: &Node<'_>) -> Option<Objects> {
        let (version, kind) = (node.required("apiVersion"), node.required("kind"));
        if version.is_empty() || kind.is_empty() {
            return None;
        }
        let schema = Schema::builtin();
        let Some(resource) = schema.by_kind(&version, &kind).cloned() else {
            let other = schema.resources().iter().find(|r| *r.kind == *kind);
            let hint = match other {
                Some(r) if r.group.is_empty() => format!("{kind} is in {}", r.version),
                Some(r) => format!("{kind} is in {}/{}", r.group, r.version),
                None => similar::nearest(&kind, schema.resources().iter().map(|r| &*r.kind))
                    .map(|near| format!("did you mean {near}?"))
                    .unwrap_or_default(),
            };
            node.at("kind")
                .problem(&format!("there is no kind {kind:?} in {version}"), &hint);
            return None;
        };
        let metadata = &node.value["metadata"];
        let name = metadata["name"]
            .as_str()
            .filter(|n| !n.contains('*'))
            .map(str::to_owned);
        let namespace = match metadata["namespace"].as_str() {
            _ if !resource.namespaced => None,
            Some("*") => None,
            Some(namespace) => Some(namespace.to_owned()),
            None => Some("default".to_owned()),
        };
        let mut pattern = node.value.clone();
        pattern.remove(&["apiVersion"]);
        pattern.remove(&["kind"]);
        Some(Objects {
            resource,
            namespace,
            name,
            pattern,
            count: amount(check, "count"),
        })
    }

    /// `deployment/web`, `pod/x`.
    fn of_name(node: &Node<'_>) -> Option<Objects> {
        let text = node.required("object");
        let (kind, name) = text.split_once('/')?;
        let Some(resource) = Schema::builtin().by_name(kind).cloned() else {
            node.at("object").problem(
                &format!("there is no kind {kind:?}"),
                "such as deployment/web",
            );
            return None;
        };
        let namespace = node.text("namespace");
        let namespaced = resource.namespaced;
        Some(Objects {
            resource,
            namespace: namespaced.then(|| {
                if namespace.is_empty() {
                    "default".to_owned()
                } else {
                    namespace
                }
            }),
            name: Some(name.to_owned()),
            pattern: Value::Null,
            count: None,
        })
    }
}

impl From {
    fn decode(node: &Node<'_>) -> Option<From> {
        let Some(from) = node.get("from") else {
            node.problem(
                "from is missing",
                "pod/NAME[.NAMESPACE], node/NAME, outside, or labels",
            );
            return None;
        };
        if from.value.as_object().is_none() {
            let place = from.own_text();
            let known =
                place == "outside" || place.starts_with("pod/") || place.starts_with("node/");
            if !known {
                from.problem(
                    &format!("from is {place:?}"),
                    "pod/NAME[.NAMESPACE], node/NAME or outside; or `{labels: {app: web}}`",
                );
            }
            return Some(From::Place(place));
        }
        from.knows(&["namespace", "labels"]);
        let namespace = from.text("namespace");
        let mut labels = BTreeMap::new();
        for (key, value) in from.value["labels"].entries() {
            labels.insert(key.to_string(), value.str().to_owned());
        }
        if labels.is_empty() {
            from.problem("labels are missing", "such as `labels: {app: web}`");
        }
        Some(From::Pods {
            namespace: if namespace.is_empty() {
                "default".to_owned()
            } else {
                namespace
            },
            labels,
        })
    }
}

/// The patterns of a list.
fn patterns(node: &Node<'_>, key: &str, known: &[&str]) -> Vec<Value> {
    let items = node.items(key);
    let maps = items.iter().filter(|item| item.is_map());
    maps.map(|item| {
        item.knows(known);
        item.value.clone()
    })
    .collect()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl Connect {
    fn decode(node: &Node<'_>) -> Option<Connect> {
        node.knows(&[
            "from", "to", "udp", "verdict", "server", "source", "times", "hops", "without",
        ]);
        const HOP: [&str; 14] = [
            "n",
            "node",
            "netns",
            "layer",
            "device",
            "table",
            "chain",
            "rule",
            "rule_text",
            "action",
            "explanation",
            "object",
            "packet",
            "phase",
        ];
        let verdict = node.word("verdict", &VERDICTS, "delivered");
        let times = node.number("times").unwrap_or(1);
        if !(1..=TIMES_MAX).contains(&times) {
            node.at("times")
                .problem(&format!("times is {times}"), &format!("1 to {TIMES_MAX}"));
        }
        let (server, source) = (some(node.text("server")), some(node.text("source")));
        if verdict != "delivered" && (server.is_some() || source.is_some()) {
            node.at("verdict").problem(
                "nobody answers a connection that is not delivered",
                "leave out server and source",
            );
        }
        Some(Connect {
            from: From::decode(node)?,
            to: node.required("to"),
            udp: node.flag("udp", false),
            verdict,
            server,
            source,
            times: times.clamp(1, TIMES_MAX),
            hops: patterns(node, "hops", &HOP),
            without: patterns(node, "without", &HOP),
        })
    }
}

impl Dns {
    fn decode(node: &Node<'_>) -> Option<Dns> {
        node.knows(&["from", "name", "type", "code", "answers", "count"]);
        let known = ["A", "AAAA", "CNAME", "SRV", "PTR", "TXT"];
        let codes = ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"];
        Some(Dns {
            from: From::decode(node)?,
            name: node.required("name"),
            kind: node.word("type", &known, "A").to_owned(),
            code: node.word("code", &codes, "NOERROR").to_owned(),
            answers: node.texts("answers"),
            count: amount(node, "count"),
        })
    }
}

impl Command {
    fn decode(node: &Node<'_>) -> Command {
        node.knows(&["run", "status", "contains", "lacks", "matches"]);
        let matches = some(node.text("matches"));
        if let Some(Err(error)) = matches.as_deref().map(regex_lite::Regex::new) {
            node.at("matches")
                .problem(&format!("this is no regular expression: {error}"), "");
        }
        node.required("run");
        Command {
            run: node.commands("run").join("\n"),
            status: node
                .number("status")
                .and_then(|n| i32::try_from(n).ok())
                .unwrap_or(0),
            contains: node.texts("contains"),
            lacks: node.texts("lacks"),
            matches,
        }
    }
}

impl Event {
    fn decode(node: &Node<'_>) -> Event {
        node.knows(&["order", "caused"]);
        let known = ["component", "node", "action", "object", "text"];
        let order = patterns(node, "order", &known);
        if order.is_empty() {
            node.problem(
                "order is missing",
                "such as `order: [{component: kube-scheduler}]`",
            );
        }
        Event {
            order,
            caused: node.flag("caused", false),
        }
    }
}

impl Condition {
    fn decode(node: &Node<'_>) -> Option<Condition> {
        node.knows(&["object", "namespace", "type", "status", "for"]);
        let of = Objects::of_name(node);
        if of.is_none() {
            node.at("object")
                .problem("object is no KIND/NAME", "such as deployment/web");
        }
        Some(Condition {
            of: of?,
            kind: node.required("type"),
            status: some(node.text("status")).map_or_else(
                || "True".to_owned(),
                |s| {
                    // YAML reads True as a boolean.
                    match s.as_str() {
                        "true" => "True".to_owned(),
                        "false" => "False".to_owned(),
                        _ => s,
                    }
                },
            ),
            since: node.duration("for").unwrap_or(Duration::ZERO),
        })
    }
}

impl Rule {
    fn decode(node: &Node<'_>) -> Rule {
        node.knows(&["node", "table", "chain", "rule", "packets"]);
        let known = [
            TableKind::Nat,
            TableKind::Filter,
            TableKind::Mangle,
            TableKind::Raw,
        ];
        Rule {
            node: some(node.text("node")),
            table: node.word("table", &known.map(TableKind::name), "nat"),
            chain: node.required("chain"),
            rule: some(node.text("rule")),
            packets: amount(node, "packets").unwrap_or_else(|| ">= 1".into()),
        }
    }
}

impl Quiz {
    fn decode(node: &Node<'_>) -> Quiz {
        node.knows(&["question", "options", "answer"]);
        let quiz = Quiz {
            question: node.required("question"),
            options: node.texts("options"),
            answer: node.texts("answer"),
        };
        if quiz.answer.is_empty() {
            node.problem("answer is missing", "the right answer, or a list of them");
        }
        for answer in &quiz.answer {
            if !quiz.options.is_empty() && !quiz.options.contains(answer) {
                let hint = match similar::nearest(answer, quiz.options.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "write it as it stands in options".to_owned(),
                };
                node.at("answer")
                    .problem(&format!("{answer:?} is none of the options"), &hint);
            }
        }
        quiz
    }
}
