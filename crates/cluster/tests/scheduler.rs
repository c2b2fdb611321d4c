//! The scheduler against recordings of a real one: the same verdicts, messages and scores.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, Subresource, WriteOptions};
use kubarium_cluster::scheduler::Decision;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value};

const CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/oracle/scheduler/cases.jsonl"
);

/// Counts of what was the same, by what was compared.
type Counts = BTreeMap<&'static str, (usize, usize)>;

fn create(cluster: &mut Cluster, object: &Value) -> Result<ObjectKey, String> {
    let mut object = object.clone();
    if !object["spec"]["replicas"].is_null() {
        object["spec"]["replicas"] = 0.into();
    }
    let made = cluster
        .create(&Component::Person, object.clone())
        .map_err(|s| s.message)?;
    let key = cluster.key_of(&made).ok_or("no such kind")?;
    if object["kind"].str() != "Node" && !object["status"].is_null() {
        let status = object["status"].clone();
        cluster
            .modify(&Component::Person, &key, Subresource::Status, |o| {
                status
                    .entries()
                    .iter()
                    .for_each(|(k, v)| o["status"][&**k] = v.clone())
            })
            .map_err(|s| s.message)?;
    }
    Ok(key)
}

struct Replay {
    counts: Counts,
    notes: Vec<String>,
}

impl Replay {
    fn check(&mut self, what: &'static str, same: bool, note: impl FnOnce() -> String) {
        let count = self.counts.entry(what).or_default();
        count.1 += 1;
        count.0 += usize::from(same);
        if !same {
            self.notes.push(format!("{what}: {}", note()));
        }
    }

    fn judge(&mut self, want: &Value, got: &Decision, first: bool) {
        let node = want["node"].as_str();
        self.check("verdict", node.is_some() == got.node.is_some(), || {
            format!(
                "real {node:?} {}, ours {:?} {:?}",
                want["message"], got.node, got.message
            )
        });
        let names = |list: &Value| -> Vec<String> {
            let mut names: Vec<String> = list.items().iter().map(|n| n.str().to_owned()).collect();
            names.sort();
            names
        };
        if node.is_some() {
            let mut feasible: Vec<String> = got.feasible.iter().map(|n| n.to_string()).collect();
            feasible.sort();
            self.check("feasible", feasible == names(&want["feasible"]), || {
                format!("real {}, ours {feasible:?}", want["feasible"])
            });
            let best = names(&want["best"]);
            self.check(
                "node",
                got.node
                    .as_ref()
                    .is_some_and(|n| best.contains(&n.to_string())),
                || format!("real {best:?}, ours {:?}", got.node),
            );
            if !want["totals"].is_empty() {
                let totals: BTreeMap<String, i64> = want["totals"]
                    .entries()
                    .iter()
                    .map(|(k, v)| (k.to_string(), v.as_i64().unwrap_or(0)))
                    .collect();
                let ours: BTreeMap<String, i64> = got
                    .totals
                    .iter()
                    .map(|(k, v)| (k.to_string(), *v))
                    .collect();
                self.check("totals", totals == ours, || {
                    let mut text = format!("real {totals:?}, ours {ours:?}");
                    for (node, plugins) in want["plugins"].entries() {
                        for (plugin, score) in plugins.entries() {
                            let own = got
                                .scores
                                .get(node)
                                .and_then(|s| s.get(&**plugin))
                                .copied()
                                .unwrap_or(0);
                            if score.as_i64() != Some(own) {
                                text +=
                                    &format!("\n      {node} {plugin} real {score}, ours {own}");
                            }
                        }
                    }
                    text
                });
            }
        } else {
            let message = got.message.as_deref().unwrap_or("").trim().to_owned();
            self.check("message", message == want["message"].str().trim(), || {
                format!("\n      real {}\n      ours {message:?}", want["message"])
            });
        }
        if first && !want["nominated"].is_null() {
            self.check(
                "nominated",
                got.nominated.as_deref() == want["nominated"].as_str(),
                || format!("real {}, ours {:?}", want["nominated"], got.nominated),
            );
            let mut evicted: Vec<String> = got
                .evicted
                .iter()
                .map(|p| p.rsplit('/').next().unwrap_or("").to_owned())
                .collect();
            evicted.sort();
            self.check("evicted", evicted == names(&want["evicted"]), || {
                format!("real {}, ours {evicted:?}", want["evicted"])
            });
        }
    }

    /// Decides; where the real scheduler took another node, that one is taken.
    fn decide(&mut self, cluster: &mut Cluster, key: &ObjectKey, want: &Value, first: bool) {
        let mut trial = cluster.clone();
        let decision = match trial.schedule_now(key, None) {
            Ok(decision) => decision,
            Err(why) => return self.check("verdict", false, || why),
        };
        self.judge(want, &decision, first);
        if want["node"].is_null() || decision.node.as_deref() == want["node"].as_str() {
            *cluster = trial;
        } else {
            let _ = cluster.schedule_now(key, want["node"].as_str());
        }
    }

    fn case(&mut self, case: &Value) {
        let mut cluster = Cluster::new(Config::empty());
        let of_kind = |namespaces: bool| {
            case["extra"]
                .items()
                .iter()
                .filter(move |o| (o["kind"].str() == "Namespace") == namespaces)
        };
        for object in of_kind(true) {
            if let Err(why) = create(&mut cluster, object) {
                self.notes.push(format!("namespace: {why}"));
            }
        }
        cluster.settle(Duration::from_secs(1), Duration::from_secs(5));
        for object in of_kind(false)
            .chain(case["nodes"].items())
            .chain(case["existing"].items())
        {
            if let Err(why) = create(&mut cluster, object) {
                self.notes.push(format!("setup: {why}"));
            }
        }
        for (pod, want) in case["pods"].items().iter().zip(case["results"].items()) {
            let mut options = WriteOptions::strict();
            options.namespace = pod["metadata"]["namespace"].as_str().map(Into::into);
            let made = cluster.create_with(&Component::Person, pod.clone(), &options);
            if !want["error"].is_null() {
                self.check("refused", made.is_err(), || {
                    format!("real {}", want["error"])
                });
                continue;
            }
            let key = match made {
                Ok(made) => cluster.key_of(&made).expect("pods are served"),
                Err(why) => {
                    self.check("verdict", false, || why.message);
                    continue;
                }
            };
            if want["preset"].as_bool() == Some(true) || !want["preset"].is_null() {
                continue;
            }
            self.decide(&mut cluster, &key, want, true);
            if !want["ungated"].is_null() {
                let _ = cluster.modify(&Component::Person, &key, Subresource::None, |pod| {
                    drop(pod.remove(&["spec", "schedulingGates"]))
                });
                self.decide(&mut cluster, &key, &want["ungated"], false);
            } else if !want["retry"].is_empty() {
                self.decide(&mut cluster, &key, &want["retry"], false);
            }
            if want["then"].str() == "deleted" {
                let _ = cluster.delete(&Component::Person, &key, &DeleteOptions::now());
            }
        }
    }
}

#[test]
fn decisions_are_those_of_a_real_scheduler() {
    if !Path::new(CASES).exists() {
        println!("skipped: the recordings are not here ({CASES})");
        return;
    }
    let text = fs::read_to_string(CASES).expect("readable");
    let only = std::env::var("CASE").unwrap_or_default();
    let mut counts = Counts::new();
    let (mut whole, mut all) = (0, 0);
    for line in text.lines() {
        let case = Value::from_json(line).expect("a case a line");
        if !case["id"].str().contains(&only) {
            continue;
        }
        let mut replay = Replay {
            counts: std::mem::take(&mut counts),
            notes: Vec::new(),
        };
        replay.case(&case);
        counts = replay.counts;
        all += 1;
        whole += usize::from(replay.notes.is_empty());
        for note in &replay.notes {
            println!("{}: {note}", case["id"].str());
        }
    }
    println!("{whole} of {all} cases, {counts:?}");
    if only.is_empty() {
        assert!(
            whole >= FLOOR,
            "{whole} of {all} cases are wholly right, {FLOOR} were"
        );
    }
}

/// How many recorded cases come out wholly right. It only rises.
const FLOOR: usize = 301;
