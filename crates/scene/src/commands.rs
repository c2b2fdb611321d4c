//! The command lines that fit an object: what a click on the page does, a person can type.

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Value};

/// The command lines that fit an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Describes it.
    pub describe: String,
    /// Say more about it.
    pub looks: Vec<String>,
    /// Change or break it.
    pub changes: Vec<String>,
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
        let events = format!("kubectl events --for {kind}/{name}{scope}");
        match object["kind"].str() {
            "Pod" => {
                looks.push(format!("kubectl logs {name}{scope}"));
                looks.push(format!("kubectl exec {name}{scope} -- ip addr"));
                looks.push(events);
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
                    changes.push(format!(
                        "kubectl scale deployment {name}{scope} --replicas={to}"
                    ));
                }
                changes.push(format!("kubectl rollout restart deployment {name}{scope}"));
                changes.push(format!("kubectl rollout undo deployment {name}{scope}"));
            }
            "StatefulSet" | "DaemonSet" => {
                looks.push(format!("kubectl rollout history {kind} {name}{scope}"));
                changes.push(format!("kubectl rollout restart {kind} {name}{scope}"));
            }
            "Service" => {
                looks.push(format!(
                    "kubectl get endpointslices{scope} -l kubernetes.io/service-name={name}"
                ));
            }
            "Node" => {
                looks.push(format!("ssh {name} ip addr"));
                looks.push(format!("ssh {name} iptables-save -t nat"));
                if object["spec"]["unschedulable"].as_bool() == Some(true) {
                    changes.push(format!("kubectl uncordon {name}"));
                } else {
                    changes.push(format!("kubectl cordon {name}"));
                }
                changes.push(format!("kubectl drain {name} --ignore-daemonsets --force"));
                changes.push(format!("sim node remove {name}"));
                return Commands {
                    describe,
                    looks,
                    changes,
                };
            }
            _ => {}
        }
        changes.push(format!("kubectl delete {kind} {name}{scope} --wait=false"));
        Commands {
            describe,
            looks,
            changes,
        }
    }
}
