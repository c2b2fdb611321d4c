//! Drawing the map: rooms with their pods, doors and cables, the corridor between them, the control
//! plane's office, and the Services' labels above.

use std::collections::BTreeMap;

use kubarium_cluster::{Cluster, Component};
use kubarium_linux::LinkKind;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::map::{
    Cable, Corridor, Desk, Device, DeviceKind, EndpointLine, Host, Map, Office, PodBox, Room,
    ServiceLabel, State, pod_id,
};

use crate::layout::Layout;

/// Above this many slots in a room its pods become cells.
const CELLS_FROM: usize = 18;
const MARGIN: f64 = 24.0;
const OFFICE: f64 = 88.0;
const LABEL: (f64, f64) = (216.0, 48.0);
const POD: (f64, f64) = (136.0, 60.0);
const CELL: f64 = 20.0;
const COLUMNS: usize = 3;
const GAP: f64 = 12.0;
const CORRIDOR: f64 = 64.0;

/// The measures of all rooms of one picture: they are alike, so that all is aligned.
struct Measures {
    columns: usize,
    rows: usize,
    cells: bool,
    /// The duct left of each column, in which cables run down.
    duct: f64,
    room: (f64, f64),
    rooms_per_row: usize,
}

impl Measures {
    fn new(rooms: usize, capacity: usize) -> Measures {
        let cells = capacity > CELLS_FROM;
        let columns = if cells { 14 } else { COLUMNS };
        let rows = capacity.div_ceil(columns).max(2);
        let duct = if cells { 0.0 } else { 10.0 + 6.0 * rows as f64 };
        let inner = if cells {
            (columns as f64 * (CELL + 4.0), rows as f64 * (CELL + 4.0))
        } else {
            (
                columns as f64 * (POD.0 + duct) + GAP,
                rows as f64 * (POD.1 + GAP),
            )
        };
        let room = (inner.0.max(400.0) + 2.0 * GAP, 84.0 + inner.1 + 96.0);
        // Rows of at most six; up to three rooms stay side by side.
        let rooms_per_row = match rooms {
            0..=3 => rooms.max(1),
            4 => 2,
            _ => ((rooms as f64 * 1.6).sqrt().ceil() as usize).clamp(3, 24),
        };
        Measures {
            columns,
            rows,
            cells,
            duct,
            room,
            rooms_per_row,
        }
    }

    fn slot(&self, room: &Rect, slot: usize) -> Rect {
        let (column, row) = ((slot % self.columns) as f64, (slot / self.columns) as f64);
        let top = room.y + 84.0;
        if self.cells {
            let step = CELL + 4.0;
            return Rect::new(room.x + GAP + column * step, top + row * step, CELL, CELL);
        }
        let x = room.x + GAP + column * (POD.0 + self.duct) + self.duct;
        // The first row stands on the floor, later ones above it.
        let from_floor = (self.rows as f64 - 1.0) - row;
        Rect::new(x, top + from_floor * (POD.1 + GAP), POD.0, POD.1)
    }

    /// The rail on which the pods stand.
    fn rail(&self, room: &Rect) -> Rect {
        Rect::new(
            room.x + GAP,
            room.bottom() - 92.0,
            room.width - 2.0 * GAP,
            20.0,
        )
    }
}

/// Draws the cluster with the pods where `layout` has them.
pub fn draw(cluster: &Cluster, layout: &Layout) -> Map {
    let nodes: Vec<(&ObjectKey, &Value)> = in_order(cluster);
    let measures = Measures::new(nodes.len(), layout.capacity());
    let services = service_labels(cluster);
    let width =
        (measures.rooms_per_row as f64 * (measures.room.0 + MARGIN) + MARGIN).max(1.0) + 176.0;
    let per_row = ((width - 2.0 * MARGIN) / (LABEL.0 + GAP)).floor().max(1.0) as usize;
    let label_rows = services.len().div_ceil(per_row).max(1);
    let mut top = MARGIN;
    let office = office(
        cluster,
        Rect::new(MARGIN, top, width - 2.0 * MARGIN, OFFICE),
    );
    top += OFFICE + MARGIN;
    let labels_top = top;
    top += label_rows as f64 * (LABEL.1 + GAP) + MARGIN;
    let mut rooms = Vec::new();
    let mut corridors = Vec::new();
    for row in nodes.chunks(measures.rooms_per_row) {
        for (at, (key, node)) in row.iter().enumerate() {
            let x = MARGIN + at as f64 * (measures.room.0 + MARGIN);
            let rect = Rect::new(x, top, measures.room.0, measures.room.1);
            rooms.push(room(cluster, layout, &measures, &key.name, node, rect));
        }
        top += measures.room.1 + 24.0;
        corridors.push(Corridor {
            id: format!("segment:{}", corridors.len() + 1),
            rect: Rect::new(MARGIN, top, width - 2.0 * MARGIN, CORRIDOR),
            cidr: cluster.config.network.node_cidr.to_string(),
        });
        top += CORRIDOR + MARGIN;
    }
    let hosts = corridors.first().map(|corridor| {
        let rect = Rect::new(
            corridor.rect.right() - 152.0,
            corridor.rect.y - 88.0,
            152.0,
            64.0,
        );
        let address = cluster
            .config
            .network
            .node_cidr
            .hosts()
            .next()
            .map(|a| a.to_string())
            .unwrap_or_default();
        Host {
            id: "host:outside".to_owned(),
            name: "outside".to_owned(),
            address,
            rect,
        }
    });
    let mut map = Map {
        bounds: Rect::new(0.0, 0.0, width, top),
        office,
        rooms,
        corridors,
        hosts: hosts.into_iter().collect(),
        services: Vec::new(),
    };
    let tops: BTreeMap<&str, Point> = map
        .pods()
        .map(|pod| (pod.id.as_str(), Point::new(pod.rect.center().x, pod.rect.y)))
        .collect();
    let labels = services
        .into_iter()
        .enumerate()
        .map(|(at, service)| {
            let (column, row) = ((at % per_row) as f64, (at / per_row) as f64);
            let rect = Rect::new(
                MARGIN + column * (LABEL.0 + GAP),
                labels_top + row * (LABEL.1 + GAP),
                LABEL.0,
                LABEL.1,
            );
            place_label(cluster, &tops, service, rect)
        })
        .collect();
    map.services = labels;
    map
}

/// The nodes in the order in which they joined, control plane first.
fn in_order(cluster: &Cluster) -> Vec<(&ObjectKey, &Value)> {
    let mut nodes: Vec<_> = cluster.etcd.list("nodes", None).collect();
    nodes.sort_by_key(|(key, node)| {
        let worker = node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null();
        (worker, natural(&key.name))
    });
    nodes
}

/// Orders `worker-2` before `worker-10`.
fn natural(name: &str) -> (String, u64) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0))
}

fn office(cluster: &Cluster, rect: Rect) -> Office {
    let stopped = |component: &Component| {
        if cluster.stopped().contains(component) {
            State::Failing
        } else {
            State::Ready
        }
    };
    let waiting = cluster
        .etcd
        .list("pods", None)
        .filter(|(_, pod)| pod["spec"]["nodeName"].is_empty())
        .count();
    let desks = [
        (
            "kube-apiserver",
            format!("{} kinds served", cluster.resources().len()),
            stopped(&Component::ApiServer),
        ),
        (
            "etcd",
            format!("revision {}", cluster.etcd.revision()),
            State::Ready,
        ),
        (
            "kube-scheduler",
            format!("{waiting} pods waiting"),
            stopped(&Component::Scheduler),
        ),
        (
            "kube-controller-manager",
            format!(
                "{} control loops",
                kubarium_cluster::controller_names().count()
            ),
            State::Ready,
        ),
    ];
    let width = (rect.width - GAP * (desks.len() as f64 + 1.0)) / desks.len() as f64;
    let desks = desks
        .into_iter()
        .enumerate()
        .map(|(at, (name, detail, state))| Desk {
            id: format!("component:{name}"),
            name: name.to_owned(),
            detail,
            rect: Rect::new(
                rect.x + GAP + at as f64 * (width + GAP),
                rect.y + 28.0,
                width,
                rect.height - 40.0,
            ),
            state,
        })
        .collect();
    Office { rect, desks }
}

fn room(
    cluster: &Cluster,
    layout: &Layout,
    measures: &Measures,
    name: &Text,
    node: &Value,
    rect: Rect,
) -> Room {
    let conditions = node["status"]["conditions"].items();
    let ready = conditions
        .iter()
        .find(|c| c["type"].str() == "Ready")
        .map(|c| c["status"].str());
    let state = match ready {
        Some("True") => State::Ready,
        Some("False") => State::Failing,
        Some(_) => State::Unknown,
        None => State::Progressing,
    };
    let addresses = node["status"]["addresses"].items();
    let address = addresses
        .iter()
        .find(|a| a["type"].str() == "InternalIP")
        .map(|a| a["address"].str())
        .unwrap_or("");
    let control_plane =
        !node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null();
    let badge = match (node["spec"]["unschedulable"].as_bool(), control_plane) {
        (Some(true), _) => "cordoned",
        (_, true) => "control plane",
        _ => "",
    };
    let rail = measures.rail(&rect);
    let pods = layout
        .pods(name)
        .filter_map(|(slot, key)| {
            Some(pod_box(
                cluster,
                measures,
                &rect,
                &rail,
                slot,
                key,
                cluster.etcd.get(key)?,
            ))
        })
        .collect();
    Room {
        id: format!("node:{name}"),
        name: name.to_string(),
        address: address.to_owned(),
        pod_cidr: node["spec"]["podCIDR"].str().to_owned(),
        badge: badge.to_owned(),
        state,
        fixtures: fixtures(cluster, name, &rect),
        devices: devices(cluster, name, &rect, &rail),
        pods,
        crowded: measures.cells,
        rect,
    }
}

fn fixtures(cluster: &Cluster, node: &Text, room: &Rect) -> Vec<Desk> {
    let components = [
        (Component::Kubelet(node.clone()), "kubelet"),
        (Component::Runtime(node.clone()), "containerd"),
        (Component::Cni(node.clone()), "CNI"),
        (Component::KubeProxy(node.clone()), "kube-proxy"),
    ];
    let width = (room.width - 2.0 * GAP - 3.0 * 8.0) / 4.0;
    components
        .into_iter()
        .enumerate()
        .map(|(at, (component, name))| Desk {
            id: format!("component:{component}"),
            name: name.to_owned(),
            detail: String::new(),
            rect: Rect::new(
                room.x + GAP + at as f64 * (width + 8.0),
                room.y + 44.0,
                width,
                24.0,
            ),
            state: if cluster.stopped().contains(&component) {
                State::Failing
            } else {
                State::Ready
            },
        })
        .collect()
}

/// The rail, and the two doors beneath it.
fn devices(cluster: &Cluster, node: &Text, room: &Rect, rail: &Rect) -> Vec<Device> {
    let Some(machine) = cluster.machines.get(node) else {
        return Vec::new();
    };
    let doors = [
        ("cbr0", DeviceKind::Bridge, *rail),
        (
            "flannel.1",
            DeviceKind::Tunnel,
            Rect::new(
                room.x + room.width * 0.25 - 64.0,
                room.bottom() - 44.0,
                128.0,
                44.0,
            ),
        ),
        (
            "eth0",
            DeviceKind::Link,
            Rect::new(
                room.x + room.width * 0.75 - 64.0,
                room.bottom() - 44.0,
                128.0,
                44.0,
            ),
        ),
    ];
    let mut devices = Vec::new();
    for (name, kind, rect) in doors {
        let link = cluster
            .net
            .find_link(machine.netns, name)
            .and_then(|id| cluster.net.link(id));
        if let Some(link) = link {
            devices.push(Device {
                id: format!("device:{node}/{name}"),
                name: name.to_owned(),
                kind,
                address: link
                    .addresses
                    .first()
                    .map(|a| a.net.to_string())
                    .unwrap_or_default(),
                up: link.up,
                rect,
            });
        }
    }
    devices
}

fn pod_box(
    cluster: &Cluster,
    measures: &Measures,
    room: &Rect,
    rail: &Rect,
    slot: usize,
    key: &ObjectKey,
    pod: &Value,
) -> PodBox {
    let rect = measures.slot(room, slot);
    let statuses = pod["status"]["containerStatuses"].items();
    let ready = statuses
        .iter()
        .filter(|c| c["ready"].as_bool() == Some(true))
        .count();
    let containers = pod["spec"]["containers"].items();
    let (status, state) = pod_state(pod, ready == containers.len());
    let own_network = pod["spec"]["hostNetwork"].as_bool() != Some(true);
    let port = port(cluster, key).filter(|_| own_network && !measures.cells);
    PodBox {
        id: pod_id(&key.namespace, &key.name),
        slot,
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        address: pod["status"]["podIP"].str().to_owned(),
        status,
        state,
        ready: (ready, containers.len()),
        image: containers
            .first()
            .map(|c| c["image"].str().to_owned())
            .unwrap_or_default(),
        cable: port.map(|port| cable(measures, &rect, rail, slot, key, &port)),
        rect,
    }
}

/// The node's end of a pod's veth pair.
fn port(cluster: &Cluster, key: &ObjectKey) -> Option<String> {
    let pod = cluster
        .net
        .find(&format!("pod {}/{}", key.namespace, key.name))?;
    let eth0 = cluster.net.link(cluster.net.find_link(pod, "eth0")?)?;
    let LinkKind::Veth { peer } = eth0.kind else {
        return None;
    };
    Some(cluster.net.link(peer)?.name.to_string())
}

/// Out of the pod's left side, down its row's place in the duct, to the rail.
fn cable(
    measures: &Measures,
    pod: &Rect,
    rail: &Rect,
    slot: usize,
    key: &ObjectKey,
    port: &str,
) -> Cable {
    let row = slot / measures.columns;
    let x = pod.x - 8.0 - 6.0 * row as f64;
    let node = &key.namespace;
    let y = pod.y + pod.height / 2.0;
    Cable {
        id: format!("device:{node}/{}/eth0", key.name),
        port_id: format!("port:{port}"),
        port: port.to_owned(),
        points: vec![
            Point::new(pod.x, y),
            Point::new(x, y),
            Point::new(x, rail.y),
        ],
    }
}

/// The word of `kubectl get pods`, and what it means.
fn pod_state(pod: &Value, all_ready: bool) -> (String, State) {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return ("Terminating".to_owned(), State::Terminating);
    }
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].items());
    for container in statuses {
        let reason = container["state"]["waiting"]["reason"].str();
        if !matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
            return (reason.to_owned(), State::Failing);
        }
    }
    let phase = match pod["status"]["reason"].str() {
        "" => pod["status"]["phase"].str(),
        reason => reason,
    };
    let state = match pod["status"]["phase"].str() {
        "Running" if all_ready => State::Ready,
        "Succeeded" => State::Done,
        "Failed" => State::Failing,
        "Unknown" => State::Unknown,
        _ => State::Progressing,
    };
    let created = !pod["spec"]["nodeName"].is_empty() && phase == "Pending";
    (
        if created {
            "ContainerCreating".to_owned()
        } else {
            phase.to_owned()
        },
        state,
    )
}

fn service_labels(cluster: &Cluster) -> Vec<(&ObjectKey, &Value)> {
    let mut services: Vec<_> = cluster.etcd.list("services", None).collect();
    services.sort_by_key(|(key, _)| (&*key.namespace == "kube-system", (*key).clone()));
    services
}

fn place_label(
    cluster: &Cluster,
    tops: &BTreeMap<&str, Point>,
    (key, service): (&ObjectKey, &Value),
    rect: Rect,
) -> ServiceLabel {
    let spec = &service["spec"];
    let address = match (spec["type"].str(), spec["clusterIP"].str()) {
        ("ExternalName", _) => spec["externalName"].str(),
        (_, "None") => "headless",
        (_, address) => address,
    };
    let ports: Vec<String> = spec["ports"]
        .items()
        .iter()
        .map(|p| format!("{}/{}", p["port"], p["protocol"].str()))
        .collect();
    let mut endpoints = Vec::new();
    for slice in cluster
        .index
        .slices_of(&key.namespace, &key.name)
        .filter_map(|k| cluster.etcd.get(k))
    {
        for endpoint in slice["endpoints"].items() {
            let target = &endpoint["targetRef"];
            let id = pod_id(target["namespace"].str(), target["name"].str());
            let Some(&to) = tops.get(id.as_str()) else {
                continue;
            };
            let conditions = &endpoint["conditions"];
            let state = match (
                conditions["terminating"].as_bool(),
                conditions["ready"].as_bool(),
            ) {
                (Some(true), _) => State::Terminating,
                (_, Some(false)) => State::Progressing,
                _ => State::Ready,
            };
            endpoints.push(EndpointLine {
                pod: id,
                state,
                from: Point::new(rect.center().x, rect.bottom()),
                to,
            });
        }
    }
    ServiceLabel {
        id: format!("service:{}/{}", key.namespace, key.name),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        kind: spec["type"].str().to_owned(),
        address: address.to_owned(),
        ports: ports.join(", "),
        rect,
        endpoints,
    }
}
