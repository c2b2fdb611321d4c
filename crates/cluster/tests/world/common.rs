//! A cluster from a few lines of YAML, with stand-ins for kubelets.

pub mod live;

use std::time::Duration;

use kubarium_cluster::api::{Subresource, WriteOptions};
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value, object};

/// A cluster under test.
pub struct World {
    pub cluster: Cluster,
    /// Pods' next address.
    next: u32,
    /// Whether the stand-ins let pods run.
    pub kubelets: bool,
}

impl World {
    /// An empty cluster with that many ready nodes `n1`, `n2`, …
    pub fn new(nodes: usize) -> World {
        let mut cluster = Cluster::new(Config::empty());
        for n in 1..=nodes {
            let node = format!(
                r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"n{n}","labels":{{"kubernetes.io/hostname":"n{n}"}}}},
                "status":{{"allocatable":{{"cpu":"64","memory":"256Gi","pods":"500"}},
                "conditions":[{{"type":"Ready","status":"True","lastHeartbeatTime":"2030-01-01T00:00:00Z"}}]}}}}"#
            );
            cluster
                .create(&Component::Person, Value::from_json(&node).expect("json"))
                .expect("a node");
        }
        let mut world = World {
            cluster,
            next: 1,
            kubelets: true,
        };
        world.run(1.0);
        world
    }

    /// Applies documents as a person would.
    pub fn apply(&mut self, yaml: &str) -> &mut World {
        for document in kubarium_objects::yaml::parse(yaml).expect("yaml") {
            let object = document.value;
            let namespace = object["metadata"]["namespace"].as_str().map(Into::into);
            let options = WriteOptions {
                namespace,
                ..WriteOptions::strict()
            };
            self.cluster
                .create_with(&Component::Person, object, &options)
                .expect("accepted");
        }
        self
    }

    /// Changes an object.
    pub fn change(
        &mut self,
        resource: &str,
        name: &str,
        path: &[&str],
        value: impl Into<Value>,
    ) -> &mut World {
        let value = value.into();
        self.cluster
            .modify(
                &Component::Person,
                &key(resource, name),
                Subresource::None,
                |o| o.set(path, value),
            )
            .expect("accepted");
        self
    }

    /// Lets time run, pods becoming ready a tenth of a second after they have a node.
    pub fn run(&mut self, seconds: f64) -> &mut World {
        for _ in 0..(seconds * 10.0).round() as usize {
            self.cluster
                .run_until(self.cluster.now + Duration::from_millis(100));
            if self.kubelets {
                self.be_kubelets();
            }
        }
        self
    }

    fn be_kubelets(&mut self) {
        let pods: Vec<(ObjectKey, Value)> = self
            .cluster
            .etcd
            .list("pods", None)
            .map(|(k, p)| (k.clone(), p.clone()))
            .collect();
        for (key, pod) in pods {
            if pod["spec"]["nodeName"].is_empty() {
                continue;
            }
            let by = Component::Kubelet(pod["spec"]["nodeName"].text());
            if !pod["metadata"]["deletionTimestamp"].is_null() {
                let _ =
                    self.cluster
                        .delete(&by, &key, &kubarium_cluster::api::DeleteOptions::now());
            } else if pod["status"]["podIP"].is_empty() {
                self.next += 1;
                let (address, now) = (
                    format!("10.42.{}.{}", self.next / 250, self.next % 250 + 1),
                    self.cluster.now.rfc3339(),
                );
                self.set_status(&key, |status| {
                    status["phase"] = "Running".into();
                    status["podIP"] = address.as_str().into();
                    status["startTime"] = now.as_str().into();
                    let ready = [
                        ("lastTransitionTime", now.as_str().into()),
                        ("status", "True".into()),
                        ("type", "Ready".into()),
                    ];
                    status["conditions"].push(object(ready));
                });
            }
        }
    }

    /// Writes a pod's status.
    pub fn set_status(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Value)) {
        let by = Component::Kubelet("n1".into());
        self.cluster
            .modify(&by, key, Subresource::Status, |o| change(&mut o["status"]))
            .expect("accepted");
    }

    /// An object in `default` (or without a namespace).
    pub fn get(&self, resource: &str, name: &str) -> &Value {
        static NULL: Value = Value::Null;
        self.cluster.etcd.get(&key(resource, name)).unwrap_or(&NULL)
    }

    /// The objects of a resource.
    pub fn list(&self, resource: &str) -> Vec<&Value> {
        self.cluster
            .etcd
            .list(resource, None)
            .map(|(_, o)| o)
            .collect()
    }

    /// The messages of the events about an object, oldest first.
    pub fn events(&self, about: &str) -> Vec<String> {
        let mut events: Vec<&Value> = self
            .list("events")
            .into_iter()
            .filter(|e| e["involvedObject"]["name"].str() == about)
            .collect();
        events.sort_by_key(|e| {
            e["metadata"]["resourceVersion"]
                .str()
                .parse::<u64>()
                .unwrap_or(0)
        });
        events
            .iter()
            .map(|e| e["message"].str().to_owned())
            .collect()
    }

    /// A condition's status, reason and message.
    pub fn condition(&self, resource: &str, name: &str, kind: &str) -> (String, String, String) {
        let mut conditions = self.get(resource, name)["status"]["conditions"]
            .items()
            .iter();
        let found = conditions
            .find(|c| c["type"].str() == kind)
            .cloned()
            .unwrap_or_default();
        (
            found["status"].str().into(),
            found["reason"].str().into(),
            found["message"].str().into(),
        )
    }
}

/// A key in `default` (or without a namespace).
pub fn key(resource: &str, name: &str) -> ObjectKey {
    let namespaced = !matches!(resource, "nodes" | "namespaces");
    ObjectKey::new(resource, if namespaced { "default" } else { "" }, name)
}
