//! The command lines that fit an object: what a click on the page does, a person can type.

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::inspect::{Deed, Verb};

use crate::faults;

/// The command lines that fit an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Describes it.
    pub describe: String,
    /// Say more about it.
    pub looks: Vec<String>,
    /// Change it.
    pub changes: Vec<Deed>,
    /// Break it.
    pub faults: Vec<Deed>,
}

fn deed(verb: Verb, of: impl ToString, command: String) -> Deed {
    Deed {
        verb,
        of: of.to_string(),
        command,
    }
}

impl Commands {
    /// Those for the object of that key.
    pub fn of(cluster: &Cluster, key: &ObjectKey, object: &Value) -> Commands {
        let Some(resource) = cluster.resource_by_id(&key.resource) else {
            return Commands::default();
        };
        let scope = if resource.namespaced && &*key.namespace != "default" {
            format!(" -n {}", key.namespace)
        } else {
            String::new()
        };
        let (kind, name) = (&resource.singular, &key.name);
        let describe = format!("kubectl describe {kind} {name}{scope}");
        let mut looks = vec![
            describe.clone(),
            format!("kubectl get {kind} {name}{scope} -o yaml"),
        ];
        let mut changes = Vec::new();
        let mut breaks = Vec::new();
        let events = format!("kubectl events --for {kind}/{name}{scope}");
        match object["kind"].str() {
            "Pod" => {
                looks.push(format!("kubectl logs {name}{scope}"));
                looks.push(format!("kubectl exec {name}{scope} -- ip addr"));
                looks.push(events);
                breaks = faults::of_pod(key, object);
            }
            "Deployment" => {
                let replicas = object["spec"]["replicas"].as_i64().unwrap_or(0);
                looks.push(format!(
                    "kubectl rollout status deployment {name}{scope} --watch=false"
                ));
                looks.push(format!("kubectl rollout history deployment {name}{scope}"));
                for to in [replicas + 1, replicas - 1]
                    .into_iter()
                    .filter(|to| *to >= 0)
                {
                    let line = format!("kubectl scale deployment {name}{scope} --replicas={to}");
                    changes.push(deed(Verb::Scale, to, line));
                }
                let restart = format!("kubectl rollout restart deployment {name}{scope}");
                changes.push(deed(Verb::Restart, "", restart));
                let undo = format!("kubectl rollout undo deployment {name}{scope}");
                changes.push(deed(Verb::Undo, "", undo));
            }
            "StatefulSet" | "DaemonSet" => {
                looks.push(format!("kubectl rollout history {kind} {name}{scope}"));
                let restart = format!("kubectl rollout restart {kind} {name}{scope}");
                changes.push(deed(Verb::Restart, "", restart));
            }
            "Service" => {
                looks.push(format!(
                    "kubectl get endpointslices{scope} -l kubernetes.io/service-name={name}"
                ));
            }
            "Node" => {
                looks.push(format!("ssh {name} ip addr"));
                looks.push(format!("ssh {name} iptables-save -t nat"));
                changes.push(if object["spec"]["unschedulable"].as_bool() == Some(true) {
                    deed(Verb::Uncordon, "", format!("kubectl uncordon {name}"))
                } else {
                    deed(Verb::Cordon, "", format!("kubectl cordon {name}"))
                });
                let drain = format!("kubectl drain {name} --ignore-daemonsets --force");
                changes.push(deed(Verb::Drain, "", drain));
                let remove = format!("sim node remove {name}");
                changes.push(deed(Verb::Remove, "", remove));
                return Commands {
                    describe,
                    looks,
                    changes,
                    faults: faults::of_node(&Text::from(&**name)),
                };
            }
            _ => {}
        }
        let delete = format!("kubectl delete {kind} {name}{scope} --wait=false");
        changes.push(deed(Verb::Delete, "", delete));
        Commands {
            describe,
            looks,
            changes,
            faults: breaks,
        }
    }
}

/// What stands before a command line that is typed at a place: `ssh worker-1 `.
pub fn before(place: &str) -> String {
    let place = place.split('#').next().unwrap_or(place);
    match place.split_once(':') {
        Some(("node" | "host", name)) => format!("ssh {} ", word(name)),
        Some(("pod", rest)) => {
            let (namespace, name) = rest.split_once('/').unwrap_or(("default", rest));
            let scope = crate::inspect::scope(namespace);
            format!("kubectl exec {}{scope} -- ", word(name))
        }
        _ => String::new(),
    }
}

/// The workstation's command line that opens a shell at a place.
pub fn opening(place: &str) -> Option<String> {
    let place = place.split('#').next().unwrap_or(place);
    match place.split_once(':')? {
        ("node" | "host", name) => Some(format!("ssh {}", word(name))),
        ("pod", rest) => {
            let (namespace, name) = rest.split_once('/').unwrap_or(("default", rest));
            let scope = crate::inspect::scope(namespace);
            Some(format!("kubectl exec -it {}{scope} -- sh", word(name)))
        }
        _ => None,
    }
}

/// A text as one word of a command line.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
