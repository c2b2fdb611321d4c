//! What is between an object and what it wants: what of it is not ready and why, and which component acts on that next.

use std::collections::BTreeSet;

use kubarium_cluster::kubelet::Work;
use kubarium_cluster::task::Task;
use kubarium_cluster::{Cluster, Time};
use kubarium_objects::printers::pod::Summary;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::map::State;
use kubarium_snapshot::rare::{Gap, Lack, Next};

use crate::inspect::{key_of, object_id};
use crate::map::pod_state;

/// The most objects that are looked at, and the most that are told.
const OBJECTS_MAX: usize = 500;
const LACKS_MAX: usize = 8;
const NEXT_MAX: usize = 5;

/// What is between the object that an id names and what it wants.
pub(crate) fn gap(cluster: &Cluster, id: &str) -> Gap {
    let Some(key) = key_of(id).filter(|key| cluster.etcd.get(key).is_some()) else {
        return Gap::default();
    };
    let concerned = concerned(cluster, &key);
    let mut gap = Gap::default();
    let mut lacking = BTreeSet::new();
    for (key, object) in concerned
        .iter()
        .filter_map(|key| Some((key, cluster.etcd.get(key)?)))
    {
        let Some(why) = lack(object) else { continue };
        lacking.insert(key);
        if gap.lacks.len() == LACKS_MAX {
            gap.more += 1;
            continue;
        }
        gap.lacks.push(Lack {
            id: object_id(key),
            name: key.name.to_string(),
            why,
        });
    }
    gap.next = next(cluster, &concerned, &lacking);
    gap
}

/// The object, what it owns down to the last, and what a Service leads to.
fn concerned(cluster: &Cluster, key: &ObjectKey) -> BTreeSet<ObjectKey> {
    let mut concerned = BTreeSet::new();
    let mut waiting = vec![key.clone()];
    while let Some(key) = waiting.pop() {
        let Some(object) = cluster.etcd.get(&key) else {
            continue;
        };
        waiting.extend(
            cluster
                .index
                .dependents(object["metadata"]["uid"].str())
                .cloned(),
        );
        for endpoint in object["endpoints"].items() {
            let target = &endpoint["targetRef"];
            if target["kind"].str() == "Pod" {
                waiting.push(ObjectKey::new(
                    "pods",
                    target["namespace"].str(),
                    target["name"].str(),
                ));
            }
        }
        if concerned.len() >= OBJECTS_MAX {
            break;
        }
        concerned.insert(key);
    }
    concerned
}

/// Why an object is not as it should be, as its status says; none where it is.
fn lack(object: &Value) -> Option<String> {
    match object["kind"].str() {
        "Pod" => pod_lack(object),
        "Deployment"
        | "ReplicaSet"
        | "DaemonSet"
        | "StatefulSet"
        | "ReplicationController"
        | "Job" => said(object, |kind, status| match kind {
            "ReplicaFailure" | "Failed" => status == "True",
            "Progressing" => status == "False",
            _ => false,
        }),
        "Node" => said(object, |kind, status| match kind {
            "Ready" => status != "True",
            _ => status == "True",
        }),
        _ => None,
    }
}

/// What the first condition says that is bad.
fn said(object: &Value, is_bad: impl Fn(&str, &str) -> bool) -> Option<String> {
    let conditions = object["status"]["conditions"].items();
    let bad = conditions
        .iter()
        .find(|c| is_bad(c["type"].str(), c["status"].str()))?;
    Some(words(bad["reason"].str(), bad["message"].str()))
}

fn words(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", only) | (only, "") => only.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

fn pod_lack(pod: &Value) -> Option<String> {
    let summary = Summary::of(pod);
    let state = pod_state(pod, &summary);
    let word = summary.reason;
    if matches!(state, State::Ready | State::Done) {
        return None;
    }
    // A container that waits says more than the pod's conditions.
    let waiting = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].items())
        .map(|c| &c["state"]["waiting"])
        .find(|waiting| !waiting["message"].is_empty());
    if let Some(waiting) = waiting {
        return Some(words(waiting["reason"].str(), waiting["message"].str()));
    }
    let unmet = said(pod, |kind, status| match kind {
        "PodScheduled" | "Initialized" | "Ready" => status != "True",
        _ => false,
    });
    match unmet {
        Some(unmet) if state != State::Terminating => Some(format!("{word}, {unmet}")),
        _ => Some(word),
    }
}

/// Who has something to do about these objects, the soonest first.
fn next(
    cluster: &Cluster,
    concerned: &BTreeSet<ObjectKey>,
    lacking: &BTreeSet<&ObjectKey>,
) -> Vec<Next> {
    let pods = concerned.iter().filter(|key| &*key.resource == "pods");
    let pods: Vec<(&ObjectKey, &Value)> = pods
        .filter_map(|key| Some((key, cluster.etcd.get(key)?)))
        .collect();
    let unbound = pods
        .iter()
        .any(|(_, pod)| pod["spec"]["nodeName"].is_empty());
    let routed = concerned.iter().any(|key| {
        matches!(
            &*key.resource,
            "services" | "endpointslices.discovery.k8s.io"
        )
    });
    let pod_of = |uid: &Text| {
        pods.iter()
            .find(|(_, pod)| pod["metadata"]["uid"].str() == &**uid)
            .map(|(key, _)| *key)
    };
    let of = |key: &ObjectKey| concerned.get(key).cloned();
    let due = |(at, task): (Time, &Task)| {
        let (who, about) = match task {
            Task::Controller(name, key) => {
                (format!("kube-controller-manager: {name}"), Some(of(key)?))
            }
            Task::Scheduler if unbound => ("kube-scheduler".to_owned(), None),
            Task::KubeProxies if routed => ("kube-proxy".to_owned(), None),
            Task::Kubelet(node, Work::Pod(key, _) | Work::Volumes(key, _)) => {
                (format!("kubelet {node}"), Some(of(key)?))
            }
            // Probes and programs go on for ever; they matter where something is not ready.
            Task::Kubelet(node, Work::Probe(key, _)) => {
                let key = lacking.get(key)?;
                (format!("kubelet {node}"), Some((*key).clone()))
            }
            Task::Process(node, uid, _) => {
                let key = pod_of(uid).filter(|key| lacking.contains(key))?;
                (format!("containerd {node}"), Some(key.clone()))
            }
            _ => return None,
        };
        Some(Next {
            at_ms: at.0 / 1_000_000,
            who,
            id: about.as_ref().map_or_else(String::new, object_id),
            name: about.map_or_else(String::new, |key| key.name.to_string()),
        })
    };
    cluster
        .queue
        .iter()
        .filter_map(due)
        .take(NEXT_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubarium_cluster::{Config, Simulation};
    use kubarium_shell::Session;

    /// What the gap of a thing says after these command lines: a part of why, and of who acts next; empty for nothing.
    fn check(lines: &[&str], id: &str, why: &str, who: &str) {
        let mut session = Session::new(Simulation::new(Config::default()));
        for line in lines {
            assert_eq!(session.run(line).status, 0, "{line}");
        }
        let gap = gap(&session.simulation.cluster, id);
        let lacks: Vec<_> = gap.lacks.iter().map(|lack| lack.why.as_str()).collect();
        let next: Vec<_> = gap.next.iter().map(|next| next.who.as_str()).collect();
        for (part, all) in [(why, &lacks), (who, &next)] {
            let found = match part {
                "" => all.is_empty(),
                part => all.iter().any(|one| one.contains(part)),
            };
            assert!(found, "{lines:?}: {part:?} in {all:?}");
        }
        let now = session.simulation.cluster.now.0 / 1_000_000;
        assert!(
            gap.next.iter().all(|next| next.at_ms >= now),
            "{:?}",
            gap.next
        );
    }

    #[test]
    fn what_is_missing_and_who_acts_next_is_told() {
        let web = "object:deployments.apps/default/web";
        let create = "kubectl create deployment web --image=nginx";
        check(&[create], web, "", "deployment");
        check(
            &[create, "sim advance 300ms"],
            web,
            "ContainersNotReady",
            "kubelet",
        );
        check(&[create, "sim settle"], web, "", "");
        check(
            &[
                "kubectl create deployment web --image=nginx:none",
                "sim fault image nginx:none",
                "sim advance 5s",
            ],
            web,
            "ImagePull",
            "kubelet",
        );
        check(
            &[
                create,
                "sim settle",
                "kubectl scale deployment web --replicas=300; sim settle",
            ],
            web,
            "nodes are available",
            "kube-scheduler",
        );
        check(
            &[
                create,
                "kubectl expose deployment web --port=80",
                "sim settle",
                "kubectl delete pod --all --wait=false",
            ],
            "service:default/web",
            "Terminating",
            "kubelet",
        );
        check(&[], "pod:default/none", "", "");
    }
}
