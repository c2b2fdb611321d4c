//! The Services on the map: labels above the rooms, with lines to their endpoints.
//!
//! A line runs where nothing else stands: below its label's row, down the aisle beside the room, and along the gap above
//! the pod's row. Lines of one Service share their way, so that many are a branching one; those of different Services run
//! side by side.

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::map::{EndpointLine, ServiceLabel, State, pod_id};

use crate::map::{GAP, MARGIN, Places};

/// The size of a label, at the most.
const LABEL: (f64, f64) = (208.0, 44.0);
/// So near to its label's row a room has nothing above it.
const NEAR: f64 = 2.0 * MARGIN + GAP;

/// Where the labels stand.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    /// The first row's upper edge.
    top: f64,
    /// How many stand in a row.
    per_row: usize,
    /// Each one's width.
    width: f64,
}

impl Grid {
    /// Rows of labels from `top` on, as wide as that.
    pub(crate) fn new(top: f64, width: f64) -> Grid {
        let per_row = (((width + GAP) / (LABEL.0 + GAP)).floor() as usize).max(2);
        Grid {
            top,
            per_row,
            width: ((width + GAP) / per_row as f64 - GAP).min(LABEL.0),
        }
    }

    /// The height of so many labels.
    pub(crate) fn height(&self, labels: usize) -> f64 {
        labels.div_ceil(self.per_row).max(1) as f64 * (LABEL.1 + GAP)
    }

    /// The place of the `at`-th label.
    pub(crate) fn place(&self, at: usize) -> Rect {
        let (column, row) = ((at % self.per_row) as f64, (at / self.per_row) as f64);
        let x = MARGIN + column * (self.width + GAP);
        Rect::new(x, self.top + row * (LABEL.1 + GAP), self.width, LABEL.1)
    }
}

/// The Services in the order of their labels: the cluster's own last.
pub(crate) fn in_order(cluster: &Cluster) -> Vec<&ObjectKey> {
    let mut services: Vec<_> = cluster
        .etcd
        .list("services", None)
        .map(|(key, _)| key)
        .collect();
    services.sort_by_key(|key| (&*key.namespace == "kube-system", (*key).clone()));
    services
}

/// The label of the `at`-th Service, with lines to its pods.
pub(crate) fn label(
    cluster: &Cluster,
    places: &Places,
    key: &ObjectKey,
    at: usize,
    rect: Rect,
) -> Option<ServiceLabel> {
    let spec = &cluster.etcd.get(key)?["spec"];
    let address = match (spec["type"].str(), spec["clusterIP"].str()) {
        ("ExternalName", _) => spec["externalName"].str(),
        (_, "None") => "headless",
        (_, address) => address,
    };
    let ports = spec["ports"].items().iter();
    let ports: Vec<String> = ports
        .map(|p| format!("{}/{}", p["port"], p["protocol"].str()))
        .collect();
    let (count, endpoints) = lines(cluster, places, key, at, &rect);
    Some(ServiceLabel {
        id: format!("service:{}/{}", key.namespace, key.name),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        kind: spec["type"].str().to_owned(),
        address: address.to_owned(),
        ports: ports.join(", "),
        rect,
        count,
        endpoints,
    })
}

/// How many endpoints a Service has, and the lines to those that are pods.
fn lines(
    cluster: &Cluster,
    places: &Places,
    key: &ObjectKey,
    at: usize,
    rect: &Rect,
) -> (usize, Vec<EndpointLine>) {
    let mut lines: Vec<EndpointLine> = Vec::new();
    let mut count = 0;
    let resource = Text::from("pods");
    let slices = cluster.index.slices_of(&key.namespace, &key.name);
    for slice in slices.filter_map(|key| cluster.etcd.get(key)) {
        for endpoint in slice["endpoints"].items() {
            count += 1;
            let target = &endpoint["targetRef"];
            let pod = ObjectKey {
                resource: resource.clone(),
                namespace: target["namespace"].text(),
                name: target["name"].text(),
            };
            let Some((room, place)) = places.of(&pod) else {
                continue;
            };
            let state = state(&endpoint["conditions"]);
            // To a room full of cells one line leads for all.
            if room.crowded {
                let known = lines
                    .iter_mut()
                    .find(|line| line.to_id == room.id && line.state == state);
                if let Some(line) = known {
                    line.count += 1;
                    continue;
                }
            }
            let (to_id, to) = match room.crowded {
                true => (room.id.clone(), room.rect),
                false => (pod_id(&pod.namespace, &pod.name), place),
            };
            lines.push(EndpointLine {
                to_id,
                count: 1,
                state,
                points: way(at, rect, &room.rect, &to),
            });
        }
    }
    (count, lines)
}

fn state(conditions: &Value) -> State {
    let is = |what: &str| conditions[what].as_bool();
    match (is("terminating"), is("ready")) {
        (Some(true), _) => State::Terminating,
        (_, Some(false)) => State::Progressing,
        _ => State::Ready,
    }
}

/// From the `at`-th label to a pod in a room, or to the room itself.
fn way(at: usize, label: &Rect, room: &Rect, to: &Rect) -> Vec<Point> {
    // Beside those of the next labels.
    let side = (at % 4) as f64 - 1.5;
    let from = label.center().x + side * 2.0;
    let below = label.bottom() + GAP / 2.0 + side * 2.0;
    let end = to.center().x + side * 8.0;
    let mut way = vec![Point::new(from, label.bottom()), Point::new(from, below)];
    if to == room && room.y - below < NEAR {
        way.push(Point::new(end, below));
    } else {
        let aisle = room.x - MARGIN / 2.0 + side * 2.5;
        let above = to.y - GAP / 2.0 + side;
        way.extend([
            Point::new(aisle, below),
            Point::new(aisle, above),
            Point::new(end, above),
        ]);
    }
    way.push(Point::new(end, to.y));
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, map};
    use kubarium_cluster::{Config, Simulation};
    use kubarium_shell::Session;

    /// Whether a part of a way meets what stands in a rectangle.
    fn crosses(part: &[Point], rect: &Rect) -> bool {
        let (a, b) = (part[0], part[1]);
        let inside =
            |from: f64, to: f64, low: f64, high: f64| from.min(to) < high && from.max(to) > low;
        inside(a.x, b.x, rect.x, rect.right()) && inside(a.y, b.y, rect.y, rect.bottom())
    }

    #[test]
    fn lines_cross_nothing_that_stands_in_a_room() {
        let mut session = Session::new(Simulation::new(Config::default()));
        for line in [
            "kubectl create deployment web --image=nginx --replicas=9",
            "kubectl expose deployment web --port=80",
            "kubectl create service clusterip other --tcp=80",
            "kubectl expose deployment web --name=again --port=81",
            "sim settle",
        ] {
            assert_eq!(session.run(line).status, 0, "{line}");
        }
        let cluster = &session.simulation.cluster;
        for across in [0, 1, 2] {
            let mut layout = Layout::default();
            layout.across = across;
            layout.update(cluster);
            let map = map::draw(cluster, &layout);
            let fixtures = map
                .rooms
                .iter()
                .flat_map(|room| &room.fixtures)
                .map(|f| f.rect);
            let devices = map
                .rooms
                .iter()
                .flat_map(|room| &room.devices)
                .map(|d| d.rect);
            let pods = map.pods().map(|pod| pod.rect);
            let all: Vec<Rect> = fixtures.chain(devices).chain(pods).collect();
            let lines: Vec<_> = map
                .services
                .iter()
                .flat_map(|service| &service.endpoints)
                .collect();
            assert!(lines.len() > 18, "{}", lines.len());
            for line in lines {
                let met = all
                    .iter()
                    .find(|rect| line.points.windows(2).any(|part| crosses(part, rect)));
                assert_eq!(met, None, "{across} across, {line:?}");
                let end = map
                    .pods()
                    .find(|pod| pod.id == line.to_id)
                    .map(|pod| pod.rect.y);
                assert_eq!(line.points.last().map(|p| p.y), end);
            }
        }
    }
}
