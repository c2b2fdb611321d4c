//! How the drawn places are connected: the graph along which a packet is seen to move.

use std::collections::BTreeMap;

use petgraph::algo::astar;
use petgraph::graph::{NodeIndex, UnGraph};

use kubarium_snapshot::geometry::Point;
use kubarium_snapshot::lane::{Lane, Step};
use kubarium_snapshot::map::{Map, Room};

/// The places of a map and the lines between them.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    graph: UnGraph<Point, Vec<Point>>,
    places: BTreeMap<String, NodeIndex>,
}

impl Wiring {
    /// The wiring of a map.
    pub fn of(map: &Map) -> Wiring {
        let mut wiring = Wiring::default();
        for room in &map.rooms {
            wiring.room(room);
        }
        // Where the corridor before begins, for the wire and for the tube.
        let mut begins: [Option<String>; 2] = [None, None];
        for corridor in &map.corridors {
            let middle = corridor.rect.y + corridor.rect.height * 0.68;
            let tube = corridor.rect.y + corridor.rect.height * 0.3;
            let mut last: [Option<(String, Point)>; 2] = [None, None];
            for room in map
                .rooms
                .iter()
                .filter(|r| (r.rect.bottom() - corridor.rect.y).abs() < 48.0)
            {
                for (lane, door, y) in [(0, "eth0", middle), (1, "flannel.1", tube)] {
                    let device = format!("device:{}/{door}", room.name);
                    let Some(from) = wiring.point(&device) else {
                        continue;
                    };
                    let id = format!("{}/{door}/{}", corridor.id, room.name);
                    let at = Point::new(from.x, y);
                    wiring.place(&id, at);
                    wiring.join(&device, &id, vec![]);
                    match last[lane].replace((id.clone(), at)) {
                        Some((previous, _)) => wiring.join(&previous, &id, vec![]),
                        // Rows of rooms are joined at their left ends.
                        None => {
                            if let Some(before) = begins[lane].replace(id.clone())
                                && let Some(from) = wiring.point(&before)
                            {
                                let x = corridor.rect.x;
                                let over = vec![Point::new(x, from.y), Point::new(x, y)];
                                wiring.join(&before, &id, over);
                            }
                        }
                    }
                }
            }
            let hosts = map.hosts.iter();
            for host in hosts.filter(|h| corridor.rect.contains(&h.rect)) {
                let at = Point::new(host.rect.x, middle);
                let id = format!("{}/{}", corridor.id, host.name);
                wiring.place(&id, at);
                wiring.place(&host.id, host.rect.center());
                wiring.join(&host.id, &id, vec![]);
                if let Some((previous, _)) = &last[0] {
                    wiring.join(previous, &id, vec![]);
                }
            }
        }
        wiring
    }

    fn room(&mut self, room: &Room) {
        let device = |name: &str| format!("device:{}/{name}", room.name);
        // What happens on the node itself is seen in the middle of its plate.
        let plate = Point::new(room.rect.center().x, room.rect.y + 20.0);
        self.place(&room.id, plate);
        for d in &room.devices {
            self.place(&d.id, d.rect.center());
        }
        for name in ["eth0", "flannel.1"] {
            if let (Some(door), Some(rail)) =
                (self.point(&device(name)), self.point(&device("cbr0")))
            {
                self.join(
                    &device(name),
                    &device("cbr0"),
                    vec![Point::new(door.x, rail.y)],
                );
            }
        }
        if let (Some(a), Some(b)) = (
            self.point(&device("eth0")),
            self.point(&device("flannel.1")),
        ) {
            let y = a.y.min(b.y) - 28.0;
            self.join(
                &device("eth0"),
                &device("flannel.1"),
                vec![Point::new(a.x, y), Point::new(b.x, y)],
            );
        }
        for pod in &room.pods {
            self.place(&pod.id, pod.rect.center());
            match &pod.cable {
                Some(cable) => {
                    let end = cable.points.last().copied().unwrap_or(pod.rect.center());
                    self.place(&cable.port_id, end);
                    self.join(&pod.id, &cable.port_id, cable.points.clone());
                    if let Some(rail) = self.point(&device("cbr0")) {
                        self.join(
                            &cable.port_id,
                            &device("cbr0"),
                            vec![Point::new(end.x, rail.y)],
                        );
                    }
                }
                None => self.join(&pod.id, &device("cbr0"), vec![]),
            }
        }
    }

    /// Where a thing is.
    pub fn point(&self, id: &str) -> Option<Point> {
        self.graph.node_weight(*self.places.get(id)?).copied()
    }

    /// The ways of a packet: to the place of each of its steps from that of the step before.
    pub fn ways(&self, lane: &Lane) -> Vec<Vec<Point>> {
        let mut known: BTreeMap<(&str, &str), Vec<Point>> = BTreeMap::new();
        let mut ways = Vec::with_capacity(lane.steps.len());
        let mut before: Option<&Step> = None;
        for step in &lane.steps {
            // A part begins where its packet is made: nothing travels there.
            let from = before.filter(|b| b.phase == step.phase).unwrap_or(step);
            let ends = (from.place.as_str(), step.place.as_str());
            let way = known
                .entry(ends)
                .or_insert_with(|| self.way(ends.0, ends.1));
            ways.push(way.clone());
            before = Some(step);
        }
        ways
    }

    /// The way from one thing to another along the lines, both ends included. Straight where no
    /// line leads; empty where one of them is not drawn.
    pub fn way(&self, from: &str, to: &str) -> Vec<Point> {
        let (Some(&a), Some(&b)) = (self.places.get(from), self.places.get(to)) else {
            return Vec::new();
        };
        let ends = || vec![self.graph[a], self.graph[b]];
        let cost = |points: &[Point]| {
            points
                .windows(2)
                .map(|p| (p[1].x - p[0].x).abs() + (p[1].y - p[0].y).abs())
                .sum::<f64>()
        };
        let found = astar(
            &self.graph,
            a,
            |n| n == b,
            |edge| cost(edge.weight()),
            |_| 0.0,
        );
        let Some((_, nodes)) = found else {
            return ends();
        };
        let mut way = vec![self.graph[a]];
        for pair in nodes.windows(2) {
            let Some(edge) = self.graph.find_edge(pair[0], pair[1]) else {
                continue;
            };
            let line = &self.graph[edge];
            let forward = line.first() == way.last();
            let points: Vec<Point> = if forward {
                line.clone()
            } else {
                line.iter().rev().copied().collect()
            };
            way.extend(points.into_iter().skip(1));
        }
        way
    }

    fn place(&mut self, id: &str, at: Point) {
        if !self.places.contains_key(id) {
            let node = self.graph.add_node(at);
            self.places.insert(id.to_owned(), node);
        }
    }

    /// Joins two places by a line over these points.
    fn join(&mut self, a: &str, b: &str, over: Vec<Point>) {
        let (Some(&from), Some(&to)) = (self.places.get(a), self.places.get(b)) else {
            return;
        };
        let mut line = vec![self.graph[from]];
        line.extend(over);
        line.push(self.graph[to]);
        line.dedup();
        self.graph.update_edge(from, to, line);
    }
}
