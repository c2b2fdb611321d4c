//! The map: rooms with their pods, doors and cables, the corridor between them, the control
//! plane's office, and the Services' labels above.

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect};

/// How something does: shown as a shape and a word first, as a colour second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// As declared.
    Ready,
    /// On its way.
    #[default]
    Progressing,
    /// On its way out.
    Terminating,
    /// Came to its end as intended.
    Done,
    /// Wrong.
    Failing,
    /// Nobody can say.
    Unknown,
}

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Its size.
    pub bounds: Rect,
    /// The control plane.
    pub office: Office,
    /// The nodes in order.
    pub rooms: Vec<Room>,
    /// The segments between the nodes, one under each row of rooms.
    pub corridors: Vec<Corridor>,
    /// Hosts outside the cluster.
    pub hosts: Vec<Host>,
    /// The Services.
    pub services: Vec<ServiceLabel>,
}

/// The control plane, apart from the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Office {
    /// Its place.
    pub rect: Rect,
    /// The API server as the counter, etcd as the archive, scheduler and controllers as desks.
    pub desks: Vec<Desk>,
}

/// A member of the control plane, or a component on a node's wall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    /// What is selected with it: `component:kube-scheduler`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it says about itself in few words.
    pub detail: String,
    /// Its place.
    pub rect: Rect,
    /// Whether it works.
    pub state: State,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// `node:worker-1`
    pub id: String,
    /// The node's name.
    pub name: String,
    /// Its address on the segment.
    pub address: String,
    /// The pods' addresses.
    pub pod_cidr: String,
    /// What it is for, or that it is cordoned; may be empty.
    pub badge: String,
    /// Whether it is ready.
    pub state: State,
    /// Its place.
    pub rect: Rect,
    /// kubelet, container runtime, kube-proxy, CNI on its wall.
    pub fixtures: Vec<Desk>,
    /// Its network devices but the veths.
    pub devices: Vec<Device>,
    /// Its pods.
    pub pods: Vec<PodBox>,
    /// Whether pods are drawn as small cells because there are many.
    pub crowded: bool,
}

/// What a network device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// The node's door to the segment.
    Link,
    /// The rail on which the pods stand.
    Bridge,
    /// The door to the overlay.
    Tunnel,
}

/// A network device of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// `device:worker-1/cbr0`
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is, for its shape and colour.
    pub kind: DeviceKind,
    /// Its address, if it has one.
    pub address: String,
    /// Whether it is up.
    pub up: bool,
    /// Its place.
    pub rect: Rect,
}

/// A pod with its cable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodBox {
    /// `pod:default/web-1`
    pub id: String,
    /// Its place in the room, from 0: kept for life.
    pub slot: usize,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its address; empty before it has one.
    pub address: String,
    /// What `kubectl get pods` says in STATUS.
    pub status: String,
    /// How it does.
    pub state: State,
    /// Its containers: ready ones, all.
    pub ready: (usize, usize),
    /// The image of its first container.
    pub image: String,
    /// Its labels, `app=web` each.
    pub labels: Vec<String>,
    /// Its containers, for whoever looks closely.
    pub containers: Vec<ContainerLine>,
    /// Its place.
    pub rect: Rect,
    /// Its veth pair; none before the CNI made it, nor for pods in the node's own network.
    pub cable: Option<Cable>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerLine {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// What it does: `running`, or why it does not.
    pub doing: String,
    /// How it does.
    pub state: State,
}

/// A veth pair, drawn from the pod to its port of the bridge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cable {
    /// `device:default/web-1/eth0`: the pod's end.
    pub id: String,
    /// `device:worker-1/veth12ab34cd`: the node's end.
    pub port_id: String,
    /// The node's end's name.
    pub port: String,
    /// The pod's end's Ethernet address.
    pub mac: String,
    /// From the pod to the port.
    pub points: Vec<Point>,
}

/// The segment that the nodes are plugged into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corridor {
    /// `segment`
    pub id: String,
    /// Its place.
    pub rect: Rect,
    /// The machines' addresses.
    pub cidr: String,
}

/// A host outside the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// `host:outside`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its place.
    pub rect: Rect,
}

/// A Service: no place, but a label with lines to its endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceLabel {
    /// `service:default/web`
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its cluster IP, or what it has instead.
    pub address: String,
    /// `80/TCP`
    pub ports: String,
    /// Its place.
    pub rect: Rect,
    /// How many endpoints it has, pods or not.
    pub count: usize,
    /// Lines to its endpoints that are pods.
    pub endpoints: Vec<EndpointLine>,
}

/// A line from a Service to an endpoint, or to all endpoints of a room with many pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointLine {
    /// `pod:default/web-1`; or the room's id.
    pub to_id: String,
    /// How many endpoints it stands for.
    pub count: usize,
    /// Full: ready. Dashed: not ready. Grey: terminating.
    pub state: State,
    /// From the label to the pod, or to the room's wall.
    pub points: Vec<Point>,
}

impl Map {
    /// All pods of all rooms.
    pub fn pods(&self) -> impl Iterator<Item = &PodBox> {
        self.rooms.iter().flat_map(|room| &room.pods)
    }
}

/// `pod:default/web-1`
pub fn pod_id(namespace: &str, name: &str) -> String {
    format!("pod:{namespace}/{name}")
}
