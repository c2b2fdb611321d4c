//! Which nodes a pod may be put on, and why not on the others.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kubarium_objects::Text;

use super::affinity::Required;
use super::cache::{Cache, Store};
use super::devices::Devices;
use super::node::{NodeAffinity, NodeInfo, stands_taints, tolerated};
use super::pod::{PodInfo, ports_conflict};
use super::spread::Hard;
use super::volumes::Volumes;

/// Why a node does not suit a pod; prints as the scheduler says it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reason {
    Unschedulable,
    Taint,
    NodeAffinity,
    Ports,
    TooManyPods,
    Insufficient(Text),
    Disk,
    ReadWriteOncePod,
    VolumeCount,
    VolumeAffinity,
    NoVolume,
    VolumeZone,
    SpreadLabel,
    Spread,
    Affinity,
    AntiAffinity,
    ExistingAntiAffinity,
    /// Its claims cannot have their devices there.
    Devices(Text),
    /// A filter cannot decide at all: the whole sentence.
    Error(Text),
    /// A plugin had confined the pod to other nodes.
    Confined(&'static str),
    NoVictims,
    NotHelpful,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Unschedulable => "node(s) were unschedulable",
            Reason::Taint => "node(s) had untolerated taint(s)",
            Reason::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Reason::Ports => "node(s) didn't have free ports for the requested pod ports",
            Reason::TooManyPods => "Too many pods",
            Reason::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Reason::Disk => "node(s) had no available disk",
            Reason::ReadWriteOncePod => {
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
            }
            Reason::VolumeCount => "node(s) exceed max volume count",
            Reason::VolumeAffinity => "node(s) didn't match PersistentVolume's node affinity",
            Reason::NoVolume => "node(s) didn't find available persistent volumes to bind",
            Reason::VolumeZone => "node(s) had no available volume zone",
            Reason::SpreadLabel => "node(s) didn't match pod topology spread constraints (missing required label)",
            Reason::Spread => "node(s) didn't match pod topology spread constraints",
            Reason::Affinity => "node(s) didn't match pod affinity rules",
            Reason::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Reason::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Reason::Devices(why) | Reason::Error(why) => why,
            Reason::Confined(plugin) => return write!(f, "node(s) didn't satisfy plugin(s) [{plugin}]"),
            Reason::NoVictims => "No preemption victims found for incoming pod",
            Reason::NotHelpful => "Preemption is not helpful for scheduling",
        })
    }
}

/// The filters of the default profile, in the order in which a node is asked
/// (kubernetes v1.37, `pkg/scheduler/apis/config/v1/default_plugins.go`).
pub const FILTERS: [&str; 13] = [
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
];

impl Reason {
    /// The plugin that says so; empty for what is said of preemption.
    pub fn plugin(&self) -> &'static str {
        match self {
            Reason::Unschedulable => "NodeUnschedulable",
            Reason::Taint => "TaintToleration",
            Reason::NodeAffinity => "NodeAffinity",
            Reason::Ports => "NodePorts",
            Reason::TooManyPods | Reason::Insufficient(_) => "NodeResourcesFit",
            Reason::Disk | Reason::ReadWriteOncePod => "VolumeRestrictions",
            Reason::VolumeCount => "NodeVolumeLimits",
            Reason::VolumeAffinity | Reason::NoVolume => "VolumeBinding",
            Reason::VolumeZone => "VolumeZone",
            Reason::SpreadLabel | Reason::Spread => "PodTopologySpread",
            Reason::Affinity | Reason::AntiAffinity | Reason::ExistingAntiAffinity => {
                "InterPodAffinity"
            }
            Reason::Devices(_) | Reason::Error(_) => "DynamicResources",
            Reason::Confined(plugin) => plugin,
            Reason::NoVictims | Reason::NotHelpful => "",
        }
    }
}

/// What kinds of change can make a pod schedulable that was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hints {
    /// Pods that come or change: it wants company, or spreads.
    pub pods: bool,
    /// Volumes and claims.
    pub volumes: bool,
    /// Devices, and claims of them.
    pub devices: bool,
}

impl Hints {
    /// All of them.
    pub fn all(self) -> [bool; 3] {
        [self.pods, self.volumes, self.devices]
    }
}

/// A node's verdict against a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// Whether the departure of pods could help.
    pub resolvable: bool,
    pub reasons: Vec<Reason>,
}

impl Failure {
    pub fn resolvable(reason: Reason) -> Failure {
        Failure {
            resolvable: true,
            reasons: vec![reason],
        }
    }

    pub fn unresolvable(reason: Reason) -> Failure {
        Failure {
            resolvable: false,
            reasons: vec![reason],
        }
    }

    /// Adds to what could help.
    pub fn hint(&self, hints: &mut Hints) {
        for reason in &self.reasons {
            match reason {
                Reason::SpreadLabel
                | Reason::Spread
                | Reason::Affinity
                | Reason::AntiAffinity
                | Reason::ExistingAntiAffinity => hints.pods = true,
                Reason::Disk
                | Reason::ReadWriteOncePod
                | Reason::VolumeCount
                | Reason::VolumeAffinity
                | Reason::NoVolume
                | Reason::VolumeZone => hints.volumes = true,
                Reason::Devices(_) | Reason::Error(_) => hints.devices = true,
                _ => {}
            }
        }
    }
}

/// What is computed once for a decision: the state of the filters that look beyond one node.
#[derive(Clone)]
pub(super) struct Cycle {
    pub pod: Arc<PodInfo>,
    pub node_affinity: NodeAffinity,
    pub spread: Hard,
    pub affinity: Required,
    pub volumes: Volumes,
    pub devices: Devices,
    stands_cordon: bool,
}

/// No node at all can suit a pod.
pub(super) struct Refusal {
    /// A sentence.
    pub why: String,
    pub hints: Hints,
    /// What is said of preemption, which is no help.
    pub after: &'static str,
}

impl Refusal {
    fn of_volumes(why: String) -> Refusal {
        Refusal {
            why,
            hints: Hints {
                volumes: true,
                ..Hints::default()
            },
            // The last words are those of DynamicResources, which has not been asked before.
            after: "not found",
        }
    }

    /// What is said of a cluster of so many nodes.
    pub fn message(&self, nodes: usize) -> String {
        let why = &self.why;
        let after = match self.after {
            "" => format!(
                "preemption: 0/{nodes} nodes are available: {nodes} {}.",
                Reason::NotHelpful
            ),
            after => after.to_owned(),
        };
        format!("0/{nodes} nodes are available: {why}. {after}")
    }

    fn of_devices(why: String) -> Refusal {
        Refusal {
            why,
            hints: Hints {
                devices: true,
                ..Hints::default()
            },
            after: "",
        }
    }
}

impl Cycle {
    /// The state for one pod.
    pub fn new(cache: &mut Cache, store: Store<'_>, pod: Arc<PodInfo>) -> Result<Cycle, Refusal> {
        let node_affinity = NodeAffinity::of(&pod.object);
        if node_affinity.names().is_some_and(|names| names.is_empty()) {
            let why = "pod affinity terms conflict".to_owned();
            return Err(Refusal::of_volumes(why));
        }
        let volumes = Volumes::new(store, &pod).map_err(Refusal::of_volumes)?;
        let devices = Devices::new(cache, store, &pod).map_err(Refusal::of_devices)?;
        Ok(Cycle {
            spread: Hard::new(cache, store, &pod, &node_affinity),
            affinity: Required::new(cache, store, &pod),
            stands_cordon: tolerated(
                &pod.object,
                "node.kubernetes.io/unschedulable",
                "",
                "NoSchedule",
            ),
            node_affinity,
            volumes,
            devices,
            pod,
        })
    }

    /// Whether the pod has no wish but processors, memory and ephemeral storage, so that a node in
    /// brief ([`super::node::Brief::surely_fits`]) can be enough to look at.
    pub fn is_plain(&self) -> bool {
        self.node_affinity.is_nothing()
            && self.pod.needs.ports.is_empty()
            && self.pod.needs.request.others.is_empty()
            && self.volumes.is_nothing()
            && self.devices.is_nothing()
            && self.spread.is_nothing()
            && self.affinity.is_nothing(&self.pod)
    }

    /// All filters in the order of the default profile; the first that fails is the verdict.
    pub fn filter(&self, store: Store<'_>, node: &NodeInfo) -> Result<(), Failure> {
        let pod = &*self.pod;
        if node.unschedulable && !self.stands_cordon {
            return Err(Failure::unresolvable(Reason::Unschedulable));
        }
        if !node.taints.is_empty() && !stands_taints(&pod.object, node) {
            return Err(Failure::unresolvable(Reason::Taint));
        }
        if !self.node_affinity.matches(node) {
            return Err(Failure::unresolvable(Reason::NodeAffinity));
        }
        if pod
            .needs
            .ports
            .iter()
            .any(|port| node.ports.iter().any(|used| ports_conflict(port, used)))
        {
            return Err(Failure::resolvable(Reason::Ports));
        }
        fits(pod, node)?;
        self.volumes.filter(store, node)?;
        self.spread.filter(pod, node)?;
        self.affinity.filter(pod, node)?;
        self.devices.filter(node)
    }

    /// As if `other` came to (`sign` 1) or left (-1) a node: what the counts beyond the node say.
    pub fn update(&mut self, other: &PodInfo, node: &NodeInfo, sign: i64) {
        let pod = self.pod.clone();
        self.spread
            .update(&pod, &self.node_affinity, other, node, sign);
        self.affinity.update(&pod, other, node, sign);
        self.volumes.update(other, sign);
    }
}

/// NodeResourcesFit.
fn fits(pod: &PodInfo, node: &NodeInfo) -> Result<(), Failure> {
    let mut failure = Failure {
        resolvable: true,
        reasons: Vec::new(),
    };
    if node.pods.len() as i64 + 1 > node.allowed_pods {
        failure.reasons.push(Reason::TooManyPods);
    }
    let mut check = |name: &str, wanted: i64, has: i64, used: i64| {
        if wanted > 0 && wanted > has - used {
            failure.reasons.push(Reason::Insufficient(name.into()));
            failure.resolvable &= wanted <= has;
        }
    };
    let (wanted, has, used) = (&pod.needs.request, &node.allocatable, &node.requested);
    if !wanted.is_zero() {
        check("cpu", wanted.cpu, has.cpu, used.cpu);
        check("memory", wanted.memory, has.memory, used.memory);
        check(
            "ephemeral-storage",
            wanted.ephemeral,
            has.ephemeral,
            used.ephemeral,
        );
        let of =
            |amounts: &BTreeMap<Text, i64>, name: &Text| amounts.get(name).copied().unwrap_or(0);
        for (name, amount) in &wanted.others {
            check(name, *amount, of(&has.others, name), of(&used.others, name));
        }
    }
    if failure.reasons.is_empty() {
        Ok(())
    } else {
        Err(failure)
    }
}

/// `0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu.`
pub(super) fn message<'a>(nodes: usize, failures: impl Iterator<Item = &'a Failure>) -> String {
    let mut counts: Vec<(Reason, usize)> = Vec::new();
    for reason in failures.flat_map(|failure| &failure.reasons) {
        match counts.iter_mut().find(|(r, _)| r == reason) {
            Some((_, count)) => *count += 1,
            None => counts.push((reason.clone(), 1)),
        }
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    parts.sort();
    match parts.is_empty() {
        true => format!("0/{nodes} nodes are available"),
        false => format!("0/{nodes} nodes are available: {}.", parts.join(", ")),
    }
}
