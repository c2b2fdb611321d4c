//! What the scheduler knows of a node, and what of a pod fits to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::selector::{Operator, Requirement};
use kubarium_objects::{ObjectKey, Text, Value};

use super::cache::Images;
use super::pod::{HostPort, PodInfo, Resources};

/// The label with the node's name.
pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";
/// The label with the node's zone.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// A taint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taint {
    pub key: Text,
    pub value: Text,
    pub effect: Text,
}

/// Pods in the order of their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods(Vec<Arc<PodInfo>>);

impl Pods {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn values(&self) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.0.iter()
    }

    fn find(&self, key: &ObjectKey) -> Result<usize, usize> {
        self.0.binary_search_by(|pod| pod.key.cmp(key))
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<PodInfo>> {
        self.0.get(self.find(key).ok()?)
    }

    pub fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Arc<PodInfo>> {
        let at = self.find(key).ok()?;
        self.0.get_mut(at)
    }

    fn insert(&mut self, pod: Arc<PodInfo>) {
        match self.find(&pod.key) {
            Ok(at) => self.0[at] = pod,
            Err(at) => {
                self.0
                    .reserve_exact(usize::from(self.0.len() == self.0.capacity()) * 4);
                self.0.insert(at, pod);
            }
        }
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<PodInfo>> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at))
    }
}

/// A node with the pods that are bound to it, and their sums.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeInfo {
    pub name: Text,
    pub labels: Value,
    /// The labels that are asked for most.
    hostname: Option<Text>,
    zone: Option<Text>,
    pub taints: Vec<Taint>,
    pub unschedulable: bool,
    pub allocatable: Resources,
    pub allowed_pods: i64,
    pub requested: Resources,
    pub nonzero: (i64, i64),
    pub ports: Vec<HostPort>,
    pub pods: Pods,
    pub images: Images,
    /// The number of that set.
    pub image_set: u32,
}

/// What most decisions ask of a node. Thousands are looked at for each pod: these lie close together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief {
    /// A cordon or a taint: to be judged by the node itself. Also where there is no node.
    pub special: bool,
    pub has_host: bool,
    pub has_zone: bool,
    /// How many pods it can still take.
    pub room: i64,
    /// Processors, memory, and ephemeral storage.
    pub allocatable: (i64, i64, i64),
    pub requested: (i64, i64, i64),
    pub nonzero: (i64, i64),
    /// The number of the set of images that it has.
    pub images: u32,
}

impl Brief {
    /// Of a place without a node.
    pub const NOWHERE: Brief = Brief {
        special: true,
        has_host: false,
        has_zone: false,
        room: 0,
        allocatable: (0, 0, 0),
        requested: (0, 0, 0),
        nonzero: (0, 0),
        images: 0,
    };

    pub fn of(node: &NodeInfo) -> Brief {
        let amounts = |r: &Resources| (r.cpu, r.memory, r.ephemeral);
        Brief {
            special: node.unschedulable || !node.taints.is_empty(),
            has_host: node.hostname.is_some(),
            has_zone: node.zone.is_some(),
            room: node.allowed_pods.saturating_sub(node.pods.len() as i64),
            allocatable: amounts(&node.allocatable),
            requested: amounts(&node.requested),
            nonzero: node.nonzero,
            images: node.image_set,
        }
    }

    /// Whether a pod without any wish but processors, memory and ephemeral storage surely fits.
    pub fn surely_fits(&self, request: &Resources) -> bool {
        let (has, used) = (&self.allocatable, &self.requested);
        let fits = |wanted: i64, has: i64, used: i64| wanted <= 0 || wanted <= has - used;
        !self.special
            && self.room > 0
            && fits(request.cpu, has.0, used.0)
            && fits(request.memory, has.1, used.1)
            && fits(request.ephemeral, has.2, used.2)
    }
}

impl NodeInfo {
    /// Takes over what the object says; the pods stay.
    pub fn set(&mut self, node: &Value) {
        self.name = node["metadata"]["name"].text();
        self.labels = node["metadata"]["labels"].clone();
        let label = |key: &str| self.labels.get(key).and_then(Value::as_str).map(Text::from);
        (self.hostname, self.zone) = (label(HOSTNAME), label(ZONE));
        let taint = |t: &Value| Taint {
            key: t["key"].text(),
            value: t["value"].text(),
            effect: t["effect"].text(),
        };
        self.taints = node["spec"]["taints"].items().iter().map(taint).collect();
        self.unschedulable = node["spec"]["unschedulable"].as_bool() == Some(true);
        let allocatable = &node["status"]["allocatable"];
        self.allocatable = Resources::read(allocatable);
        let pods = &allocatable["pods"];
        self.allowed_pods = pods.as_i64().or(pods.str().parse().ok()).unwrap_or(0);
        let mut images = BTreeMap::new();
        for image in node["status"]["images"].items() {
            let size = image["sizeBytes"].as_i64().unwrap_or(0);
            let names = image["names"].items().iter();
            images.extend(names.map(|name| (name.text(), size)));
        }
        if *self.images != images {
            self.images = Arc::new(images);
        }
    }

    /// Adds a pod.
    pub fn add(&mut self, pod: &Arc<PodInfo>) {
        self.requested.add(&pod.needs.request, 1);
        self.nonzero.0 += pod.needs.nonzero.0;
        self.nonzero.1 += pod.needs.nonzero.1;
        // A set, as in the real one: of two pods with one port (the kubelet turns the second away) the
        // one that goes takes the entry along.
        for port in &pod.needs.ports {
            if !self.ports.contains(port) {
                self.ports.push(port.clone());
            }
        }
        self.pods.insert(pod.clone());
    }

    /// Takes a pod away.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Arc<PodInfo>> {
        let pod = self.pods.remove(key)?;
        self.requested.add(&pod.needs.request, -1);
        self.nonzero.0 -= pod.needs.nonzero.0;
        self.nonzero.1 -= pod.needs.nonzero.1;
        for port in &pod.needs.ports {
            if let Some(at) = self.ports.iter().position(|p| p == port) {
                self.ports.swap_remove(at);
            }
        }
        Some(pod)
    }

    /// The label of that key.
    pub fn label(&self, key: &str) -> Option<&Text> {
        match key.len() {
            // Compared by length first: this is asked for every node of every decision.
            22 if key == HOSTNAME => self.hostname.as_ref(),
            27 if key == ZONE => self.zone.as_ref(),
            _ => match self.labels.get(key)? {
                Value::String(text) => Some(text),
                _ => None,
            },
        }
    }
}

/// Whether a toleration tolerates a taint.
fn tolerates(toleration: &Value, taint: &Taint) -> bool {
    let (key, effect) = (toleration["key"].str(), toleration["effect"].str());
    let number = |s: &str| s.parse::<i64>().ok();
    (effect.is_empty() || *effect == *taint.effect)
        && (key.is_empty() || *key == *taint.key)
        && match toleration["operator"].str() {
            "" | "Equal" => *toleration["value"].str() == *taint.value && !key.is_empty(),
            "Exists" => true,
            "Lt" => number(&taint.value)
                .zip(number(toleration["value"].str()))
                .is_some_and(|(a, b)| a < b),
            "Gt" => number(&taint.value)
                .zip(number(toleration["value"].str()))
                .is_some_and(|(a, b)| a > b),
            _ => false,
        }
}

/// Whether one of a pod's tolerations tolerates a taint.
pub(crate) fn tolerated(pod: &Value, key: &str, value: &str, effect: &str) -> bool {
    let taint = Taint {
        key: key.into(),
        value: value.into(),
        effect: effect.into(),
    };
    pod["spec"]["tolerations"]
        .items()
        .iter()
        .any(|t| tolerates(t, &taint))
}

/// The first toleration of a pod that tolerates a taint, as it is in a node (`GetMatchingTolerations`).
pub(crate) fn toleration_of<'a>(pod: &'a Value, taint: &Value) -> Option<&'a Value> {
    let taint = Taint {
        key: taint["key"].text(),
        value: taint["value"].text(),
        effect: taint["effect"].text(),
    };
    let mut all = pod["spec"]["tolerations"].items().iter();
    all.find(|t| tolerates(t, &taint))
}

/// Whether the pod stands all taints that keep pods away.
pub(super) fn stands_taints(pod: &Value, node: &NodeInfo) -> bool {
    let tolerations = pod["spec"]["tolerations"].items();
    let hard = node
        .taints
        .iter()
        .filter(|t| matches!(&*t.effect, "NoSchedule" | "NoExecute"));
    let mut hard = hard;
    hard.all(|taint| tolerations.iter().any(|t| tolerates(t, taint)))
}

/// How many of the taints that only repel the pod does not tolerate.
pub(super) fn repelling_taints(pod: &Value, node: &NodeInfo) -> i64 {
    let tolerations = || {
        pod["spec"]["tolerations"]
            .items()
            .iter()
            .filter(|t| matches!(t["effect"].str(), "" | "PreferNoSchedule"))
    };
    let soft = node
        .taints
        .iter()
        .filter(|t| &*t.effect == "PreferNoSchedule");
    soft.filter(|taint| !tolerations().any(|t| tolerates(t, taint)))
        .count() as i64
}

/// A term of a node selector, parsed.
#[derive(Clone, Debug)]
pub(super) struct NodeTerm {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
    /// Something in it is not valid: it matches nothing.
    broken: bool,
}

impl NodeTerm {
    /// Reads a NodeSelectorTerm.
    pub fn read(term: &Value) -> NodeTerm {
        let mut broken = false;
        let mut read = |list: &Value| -> Vec<Requirement> {
            let requirement = |e: &Value| {
                let operator = match e["operator"].str() {
                    "In" => Operator::In,
                    "NotIn" => Operator::NotIn,
                    "Exists" => Operator::Exists,
                    "DoesNotExist" => Operator::DoesNotExist,
                    "Gt" => Operator::GreaterThan,
                    "Lt" => Operator::LessThan,
                    _ => return None,
                };
                let values = e["values"].items().iter().map(Value::text).collect();
                Some(Requirement {
                    key: e["key"].text(),
                    operator,
                    values,
                })
            };
            let all: Option<Vec<Requirement>> = list.items().iter().map(requirement).collect();
            broken |= all.is_none();
            all.unwrap_or_default()
        };
        let (labels, fields) = (read(&term["matchExpressions"]), read(&term["matchFields"]));
        NodeTerm {
            labels,
            fields,
            broken,
        }
    }

    /// An empty term matches nothing.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, node: &NodeInfo) -> bool {
        let name = |r: &Requirement| {
            let listed = &*r.key == "metadata.name" && r.values.contains(&node.name);
            if r.operator == Operator::NotIn {
                !listed
            } else {
                listed
            }
        };
        !self.broken
            && !self.is_empty()
            && self.labels.iter().all(|r| r.matches(&node.labels))
            && self.fields.iter().all(name)
    }

    /// The node names to which it is confined by `metadata.name In`.
    fn names(&self) -> Option<Vec<&Text>> {
        let mut confined = self
            .fields
            .iter()
            .filter(|r| &*r.key == "metadata.name" && r.operator == Operator::In);
        let mut names: Vec<&Text> = confined.next()?.values.iter().collect();
        confined.for_each(|r| names.retain(|n| r.values.contains(n)));
        Some(names)
    }
}

/// The nodes on which a pod may be: its nodeSelector and required node affinity.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeAffinity {
    selector: Vec<(Text, Text)>,
    terms: Option<Vec<NodeTerm>>,
}

impl NodeAffinity {
    pub fn of(pod: &Value) -> NodeAffinity {
        let selector = pod["spec"]["nodeSelector"]
            .entries()
            .iter()
            .map(|(k, v)| (k.clone(), v.text()))
            .collect();
        let required = pod["spec"]["affinity"]["nodeAffinity"]
            .get("requiredDuringSchedulingIgnoredDuringExecution");
        let terms = required.map(|r| {
            r["nodeSelectorTerms"]
                .items()
                .iter()
                .map(NodeTerm::read)
                .collect()
        });
        NodeAffinity { selector, terms }
    }

    pub fn matches(&self, node: &NodeInfo) -> bool {
        self.selector.iter().all(|(k, v)| node.label(k) == Some(v))
            && self
                .terms
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|t| t.matches(node)))
    }

    /// Whether the pod may be anywhere.
    pub fn is_nothing(&self) -> bool {
        self.selector.is_empty() && self.terms.is_none()
    }

    /// The names to which every term confines the pod, if all do. An empty answer is a conflict.
    pub fn names(&self) -> Option<Vec<Text>> {
        let terms = self.terms.as_ref().filter(|t| !t.is_empty())?;
        let mut all = Vec::new();
        for term in terms {
            all.extend(term.names()?.into_iter().cloned());
        }
        all.sort();
        all.dedup();
        Some(all)
    }
}

/// How a node suits a pod that is meant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeFit {
    /// It may be there.
    Fits,
    /// A new one would not be put there; one that is there may stay.
    Stays,
    /// It must not be there.
    Not,
}

/// Whether a daemon's pod belongs on a node: its node affinity and the node's taints decide
/// (kubernetes v1.37, `pkg/controller/daemon`, NodeShouldRunDaemonPod).
pub(crate) fn node_fit(pod: &Value, node: &Value) -> NodeFit {
    let mut info = NodeInfo::default();
    info.set(node);
    if !NodeAffinity::of(pod).matches(&info) {
        return NodeFit::Not;
    }
    if stands_taints(pod, &info) {
        return NodeFit::Fits;
    }
    info.taints.retain(|taint| &*taint.effect == "NoExecute");
    if stands_taints(pod, &info) {
        NodeFit::Stays
    } else {
        NodeFit::Not
    }
}
