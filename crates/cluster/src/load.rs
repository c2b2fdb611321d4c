//! How much of a machine pods use: what a person dials, and what idle servers need anyway. The
//! metrics server tells it to the autoscaler and to `kubectl top`.

use std::collections::BTreeMap;
use std::iter::Sum;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use crate::cluster::Cluster;
use crate::controllers::pods;
use crate::event::{Action, Component};

/// An idle server's processor time, in thousandths of a processor.
const IDLE_MILLI: i64 = 1;
/// An idle server's memory, in bytes.
const IDLE_BYTES: i64 = 6 << 20;

/// A load that a person has dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Hundredths of what a pod requests.
    Percent(i64),
    /// Thousandths of a processor, for all pods of a workload together.
    Milli(i64),
}

impl Load {
    /// `80%`, `250m`, `2`
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Load, String> {
        let wrong = || {
            format!("{text:?} is no load: give a share of the request (80%) or an amount (250m)")
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: i64 = percent.parse().map_err(|_| wrong())?;
            return Ok(Load::Percent(percent.clamp(0, 100_000)));
        }
        let quantity: Quantity = text.parse().map_err(|_| wrong())?;
        Ok(Load::Milli(quantity.milli_value().max(0)))
    }
}

/// What a pod or a node uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(all: I) -> Usage {
        all.fold(Usage::default(), |sum, usage| Usage {
            cpu_milli: sum.cpu_milli + usage.cpu_milli,
            memory: sum.memory + usage.memory,
        })
    }
}

/// The dialled loads, by pod or by workload.
pub(crate) type Loads = BTreeMap<ObjectKey, Load>;

impl Cluster {
    /// Dials the load of a pod, or of a workload whose pods share it. A load of zero takes it away.
    ///
    /// # Errors
    /// A sentence when there is no such object.
    pub fn set_load(&mut self, target: &ObjectKey, load: Load) -> Result<(), String> {
        if self.etcd.get(target).is_none() {
            return Err(format!("{} \"{}\" not found", target.resource, target.name));
        }
        let text = match load {
            Load::Percent(n) => format!("load {n}% of the request"),
            Load::Milli(n) => format!("load {n}m"),
        };
        self.log(&Component::Person, Action::Process, Some(target), text);
        match load {
            Load::Percent(0) | Load::Milli(0) => drop(self.loads.remove(target)),
            load => drop(self.loads.insert(target.clone(), load)),
        }
        Ok(())
    }

    /// What a running pod uses; `None` for one that does not run.
    pub fn pod_usage(&self, key: &ObjectKey) -> Option<Usage> {
        let pod = self.etcd.get(key)?;
        if pod["status"]["phase"].str() != "Running" {
            return None;
        }
        let containers = pod["spec"]["containers"].items().len() as i64;
        let idle = Usage {
            cpu_milli: IDLE_MILLI * containers,
            memory: IDLE_BYTES * containers,
        };
        let requested: i64 = request(pod, "cpu");
        let own = |load: &Load, shared_by: i64| match *load {
            Load::Percent(percent) => requested * percent / 100,
            Load::Milli(milli) => milli / shared_by.max(1),
        };
        let cpu = match self.loads.get(key) {
            Some(load) => own(load, 1),
            None => {
                let workload = self.workloads_of(pod);
                let found = workload
                    .iter()
                    .find_map(|key| Some((key, self.loads.get(key)?)));
                match found {
                    Some((_, load @ Load::Percent(_))) => own(load, 1),
                    Some((workload, load)) => own(load, self.sharers(workload)),
                    None => 0,
                }
            }
        };
        Some(Usage {
            cpu_milli: cpu.max(idle.cpu_milli),
            ..idle
        })
    }

    /// What each container of a running pod uses: of the pod's processor time as much as it requests.
    pub fn container_usage(&self, key: &ObjectKey) -> Vec<(Text, Usage)> {
        let (Some(pod), Some(whole)) = (self.etcd.get(key), self.pod_usage(key)) else {
            return Vec::new();
        };
        let containers = pod["spec"]["containers"].items();
        let requests: Vec<i64> = containers
            .iter()
            .map(|c| c["resources"]["requests"]["cpu"].str().parse::<Quantity>())
            .map(|q| q.map_or(0, |q| q.milli_value()))
            .collect();
        let all: i64 = requests.iter().sum();
        let count = containers.len().max(1) as i64;
        let mut left = whole;
        let mut out = Vec::new();
        for (i, (container, request)) in containers.iter().zip(requests).enumerate() {
            let used = if i + 1 == containers.len() {
                left
            } else {
                Usage {
                    cpu_milli: match all {
                        0 => whole.cpu_milli / count,
                        all => whole.cpu_milli * request / all,
                    },
                    memory: whole.memory / count,
                }
            };
            left.cpu_milli -= used.cpu_milli;
            left.memory -= used.memory;
            out.push((container["name"].text(), used));
        }
        out
    }

    /// What a node's running pods use together.
    pub fn node_usage(&self, node: &str) -> Usage {
        let pods = self.index.pods_on(node);
        pods.filter_map(|key| self.pod_usage(key)).sum()
    }

    /// The objects that control a pod, from its own controller up.
    fn workloads_of(&self, pod: &Value) -> Vec<ObjectKey> {
        let mut keys = Vec::new();
        let mut object = pod;
        while let Some(owner) = object.controller_ref().filter(|_| keys.len() < 4) {
            let Some(resource) = self.resource_by_kind(owner.api_version(), owner.kind()) else {
                break;
            };
            let key = ObjectKey::new(
                resource.id(),
                pod["metadata"]["namespace"].text(),
                owner.name(),
            );
            keys.push(key.clone());
            match self.etcd.get(&key) {
                Some(above) => object = above,
                None => break,
            }
        }
        keys
    }

    /// How many ready pods share a workload's load.
    fn sharers(&self, workload: &ObjectKey) -> i64 {
        let Some(object) = self.etcd.get(workload) else {
            return 1;
        };
        let selector = pods::selector(&object["spec"]["selector"]);
        let namespace: Text = workload.namespace.clone();
        let matching = |key: &ObjectKey| {
            self.etcd
                .get(key)
                .is_some_and(|pod| selector.matches(pod.labels()) && pods::is_ready(pod))
        };
        let count = match selector.exact().next() {
            Some((label, value)) => self
                .index
                .pods_labelled(&namespace, label, value)
                .filter(|key| matching(key))
                .count(),
            None => 1,
        };
        count as i64
    }
}

/// What one container of a pod requests of a resource; `None` where there is no such container.
pub(crate) fn container_request(pod: &Value, container: &str, resource: &str) -> Option<i64> {
    let mut one = pod.clone();
    one["spec"]["containers"]
        .array_mut()
        .retain(|c| c["name"].str() == container);
    one["spec"].remove(&["initContainers"]);
    (!one["spec"]["containers"].items().is_empty()).then(|| request(&one, resource))
}

/// The sum of the containers' requests of a resource: thousandths of a processor, or bytes.
pub(crate) fn request(pod: &Value, resource: &str) -> i64 {
    let sidecars = pod["spec"]["initContainers"]
        .items()
        .iter()
        .filter(|c| c["restartPolicy"].str() == "Always");
    let of = |c: &Value| {
        let quantity = c["resources"]["requests"][resource]
            .str()
            .parse::<Quantity>();
        quantity.map_or(0, |q| match resource {
            "cpu" => q.milli_value(),
            _ => q.value(),
        })
    };
    pod["spec"]["containers"]
        .items()
        .iter()
        .chain(sidecars)
        .map(of)
        .sum()
}
