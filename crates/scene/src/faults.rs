//! What can go wrong with a thing that is drawn, as command lines; and what is broken, with its marks on the map.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_cluster::faults::{Fault, Part, Place};
use kubarium_cluster::kubelet::Pressure;
use kubarium_cluster::{Cluster, controller_names};
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::Map;
use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::inspect::{Deed, Verb};
use kubarium_snapshot::map::pod_id;
use kubarium_snapshot::time::Broken;

/// By how much a component is slowed and a packet delayed, and which share of packets is lost, where a click says so.
const SLOW: Duration = Duration::from_secs(2);
const DELAY: Duration = Duration::from_millis(100);
const LOSS: u32 = 30;
/// How far two marks of one thing stand apart.
const BESIDE: f64 = 18.0;

/// The command line that breaks something.
fn deed(verb: Verb, of: impl Into<String>, fault: &Fault) -> Deed {
    Deed {
        verb,
        of: of.into(),
        command: format!("sim fault {}", fault.words()),
    }
}

/// What can go wrong with a component.
pub(crate) fn of_part(part: &Part) -> Vec<Deed> {
    vec![
        deed(Verb::Stop, "", &Fault::Stop(part.clone())),
        deed(
            Verb::Slow,
            format!("{} s", SLOW.as_secs()),
            &Fault::Slow(part.clone(), SLOW),
        ),
        deed(Verb::Anew, "", &Fault::Restart(part.clone())),
    ]
}

/// The component that an id names: `kube-scheduler`, `kubelet worker-1`.
pub(crate) fn part(name: &str) -> Option<Part> {
    let node = |node: &str| Text::from(node);
    Some(match name.split_once(' ') {
        Some(("kubelet", of)) => Part::Kubelet(node(of)),
        Some(("kube-proxy", of)) => Part::KubeProxy(node(of)),
        Some(("containerd", of)) => Part::Runtime(node(of)),
        Some(_) => return None,
        None => match name {
            "kube-apiserver" => Part::ApiServer,
            "etcd" => Part::Etcd,
            "kube-scheduler" => Part::Scheduler,
            "kube-controller-manager" => Part::ControllerManager,
            name => Part::Controller(controller_names().find(|known| *known == name)?),
        },
    })
}

/// What can go wrong with a network card.
pub(crate) fn of_card(place: &Place) -> Vec<Deed> {
    vec![
        deed(Verb::LinkDown, "", &Fault::LinkDown(place.clone())),
        deed(
            Verb::Lose,
            format!("{LOSS} %"),
            &Fault::Loss(place.clone(), LOSS),
        ),
        deed(
            Verb::Delay,
            format!("{} ms", DELAY.as_millis()),
            &Fault::Delay(place.clone(), DELAY),
        ),
    ]
}

/// What can go wrong with a machine.
pub(crate) fn of_node(node: &Text) -> Vec<Deed> {
    let mut deeds = vec![
        deed(Verb::PowerOff, "", &Fault::Node(node.clone())),
        deed(
            Verb::Stop,
            "kubelet",
            &Fault::Stop(Part::Kubelet(node.clone())),
        ),
        deed(Verb::Cut, "", &Fault::Cut(node.clone())),
        deed(Verb::Part, "", &Fault::Partition(vec![node.clone()])),
    ];
    deeds.extend(of_card(&Place::Node(node.clone())));
    for (verb, what) in [
        (Verb::Memory, Pressure::Memory),
        (Verb::Disk, Pressure::Disk),
        (Verb::Pid, Pressure::Pid),
    ] {
        deeds.push(deed(verb, "", &Fault::Pressure(node.clone(), what)));
    }
    deeds
}

/// What can go wrong with a container of a pod, or with its only one.
pub(crate) fn of_container(pod: &ObjectKey, container: &Value, is_only: bool) -> Vec<Deed> {
    let name = (!is_only).then(|| container["name"].text());
    let of = name.as_deref().unwrap_or_default().to_owned();
    vec![
        deed(
            Verb::Kill,
            of.clone(),
            &Fault::Kill(pod.clone(), name.clone()),
        ),
        deed(
            Verb::OutOfMemory,
            of,
            &Fault::OutOfMemory(pod.clone(), name),
        ),
    ]
}

/// What can go wrong with a pod.
pub(crate) fn of_pod(key: &ObjectKey, pod: &Value) -> Vec<Deed> {
    let containers = pod["spec"]["containers"].items();
    let mut deeds: Vec<Deed> = containers
        .iter()
        .flat_map(|c| of_container(key, c, containers.len() == 1))
        .collect();
    if pod["spec"]["hostNetwork"].as_bool() != Some(true) {
        deeds.extend(of_card(&Place::Pod(key.clone())));
    }
    deeds.extend(images(pod).map(|image| missing(&image)));
    deeds
}

/// The images of a pod, each once.
fn images(pod: &Value) -> impl Iterator<Item = Text> + use<> {
    let all = ["initContainers", "containers"].map(|list| pod["spec"][list].items().to_vec());
    let all: BTreeSet<Text> = all.iter().flatten().map(|c| c["image"].text()).collect();
    all.into_iter().filter(|image| !image.is_empty())
}

/// An image is not to be had.
pub(crate) fn missing(image: &Text) -> Deed {
    deed(Verb::ImageMissing, &**image, &Fault::Image(image.clone()))
}

/// The registry does not answer: it is outside.
pub(crate) fn of_outside() -> Vec<Deed> {
    vec![deed(Verb::RegistryDown, "", &Fault::Registry)]
}

/// Machines are parted from the others on the segment.
pub(crate) fn of_segment(cluster: &Cluster) -> Vec<Deed> {
    let nodes = cluster.machines.keys();
    nodes
        .map(|node| deed(Verb::Part, &**node, &Fault::Partition(vec![node.clone()])))
        .collect()
}

/// A rule of a node's tables is deleted.
pub(crate) fn of_rule(node: &str, table: &str, chain: &str, number: u32) -> Vec<Deed> {
    let fault = Fault::Rule(node.into(), table.into(), chain.into(), number);
    vec![deed(Verb::DeleteRule, "", &fault)]
}

/// The ids of the things that a fault is about.
fn about(fault: &Fault) -> Vec<String> {
    let place = |place: &Place| match place {
        Place::Node(node) => format!("device:{node}/eth0"),
        Place::Pod(pod) => pod_id(&pod.namespace, &pod.name),
    };
    match fault {
        Fault::Stop(part) | Fault::Slow(part, _) | Fault::Restart(part) => match part {
            Part::Controller(_) => vec!["component:kube-controller-manager".to_owned()],
            part => vec![format!("component:{part}")],
        },
        Fault::Node(node) | Fault::Pressure(node, _) => vec![format!("node:{node}")],
        Fault::Cut(node) => vec![format!("component:kubelet {node}")],
        Fault::LinkDown(at) | Fault::Loss(at, _) | Fault::Delay(at, _) => vec![place(at)],
        Fault::Partition(nodes) => nodes.iter().map(|n| format!("device:{n}/eth0")).collect(),
        Fault::Kill(pod, _) | Fault::OutOfMemory(pod, _) => {
            vec![pod_id(&pod.namespace, &pod.name)]
        }
        // The registry is somewhere outside.
        Fault::Image(_) | Fault::Registry => vec!["host:outside".to_owned()],
        Fault::Rule(node, ..) => vec![format!("component:kube-proxy {node}")],
    }
}

/// The ids of the components that a fault has stopped.
pub(crate) fn stopped(cluster: &Cluster) -> BTreeSet<String> {
    let active = cluster.faults().active().values();
    active
        .filter(|active| matches!(active.fault, Fault::Stop(_)))
        .flat_map(|active| about(&active.fault))
        .collect()
}

/// What is broken, with its marks on the map.
pub fn broken(cluster: &Cluster, map: &Map) -> Vec<Broken> {
    let active = cluster.faults().active();
    if active.is_empty() {
        return Vec::new();
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = Vec::new();
    for (number, active) in active {
        let mark = |id: String| {
            let corner = corner(map, &id)?;
            let nth = taken.entry(id.clone()).or_default();
            *nth += 1;
            let x = corner.x - BESIDE * (*nth - 1) as f64;
            Some((id, Point::new(x, corner.y)))
        };
        all.push(Broken {
            number: *number,
            text: active.fault.to_string(),
            event: active.event.0,
            since_ms: active.since.0 / 1_000_000,
            mend: format!("sim fault mend {number}"),
            marks: about(&active.fault).into_iter().filter_map(mark).collect(),
        });
    }
    all
}

/// Where the mark of a thing is drawn: at its upper right corner.
fn corner(map: &Map, id: &str) -> Option<Point> {
    let of = |rect: &Rect| Point::new(rect.right(), rect.y);
    let desks = map.office.desks.iter();
    let fixtures = map.rooms.iter().flat_map(|room| &room.fixtures);
    if let Some(desk) = desks.chain(fixtures).find(|desk| desk.id == id) {
        return Some(of(&desk.rect));
    }
    let devices = map.rooms.iter().flat_map(|room| &room.devices);
    let device = devices.into_iter().find(|d| d.id == id).map(|d| &d.rect);
    let room = || map.rooms.iter().find(|r| r.id == id).map(|r| &r.rect);
    let host = || map.hosts.iter().find(|h| h.id == id).map(|h| &h.rect);
    let pod = || map.pods().find(|p| p.id == id).map(|p| &p.rect);
    device.or_else(room).or_else(host).or_else(pod).map(of)
}
