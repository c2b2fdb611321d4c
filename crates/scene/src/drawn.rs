//! The map from one look to the next: only what something has happened to is drawn anew.

use kubarium_cluster::{Action, Cluster, Event, EventId};
use kubarium_snapshot::{Map, MapChange};

use crate::Layout;
use crate::map::{self, Plan, Touched};

/// The map as it was drawn last.
#[derive(Default)]
pub struct Drawn {
    /// Where the pods are.
    pub layout: Layout,
    /// What there is to see.
    pub map: Map,
    plan: Plan,
    /// The events that it shows the consequences of.
    events: usize,
}

impl Drawn {
    /// Draws what something has happened to; or all, where something may have happened that no event tells of. Gives what
    /// differs.
    pub fn update(&mut self, cluster: &Cluster, all: bool) -> MapChange {
        let since = u32::try_from(self.events).unwrap_or(u32::MAX);
        let went_back = cluster.log.len() < self.events;
        self.events = cluster.log.len();
        let touched = (!all && !went_back).then(|| self.touched(cluster, EventId(since)));
        let Some(touched) = touched.flatten() else {
            self.layout.update(cluster);
            return self.draw(cluster);
        };
        if self.layout.update_rooms(cluster, &touched.rooms) {
            return self.draw(cluster);
        }
        map::redraw(cluster, &self.layout, &self.plan, &touched, &mut self.map)
    }

    fn draw(&mut self, cluster: &Cluster) -> MapChange {
        let (plan, map) = map::planned(cluster, &self.layout);
        let change = MapChange::between(&self.map, &map);
        (self.plan, self.map) = (plan, map);
        change
    }

    /// What events from that number on have touched; none where it is all.
    fn touched(&self, cluster: &Cluster, since: EventId) -> Option<Touched> {
        let mut touched = Touched::default();
        for event in cluster.log.since(since) {
            if !self.touch(cluster, event, &mut touched) {
                return None;
            }
        }
        Some(touched)
    }

    /// Takes note of what an event touches; whether that is not all.
    fn touch(&self, cluster: &Cluster, event: &Event, touched: &mut Touched) -> bool {
        // What stops a component is seen in many places.
        if event.action == Action::Fault {
            return false;
        }
        touched.rooms.extend(event.from.node().cloned());
        let Some(key) = &event.object else {
            return true;
        };
        let status = event.action == Action::UpdateStatus;
        match &*key.resource {
            "nodes" if status => {
                touched.rooms.insert(key.name.clone());
            }
            "nodes" => return false,
            "services" if matches!(event.action, Action::Create | Action::Delete) => return false,
            "services" | "endpointslices.discovery.k8s.io" => {
                touched.namespaces.insert(key.namespace.clone());
            }
            "pods" => {
                touched.namespaces.insert(key.namespace.clone());
                let was = self.layout.place(key).map(|(node, _)| node.clone());
                let pod = cluster.etcd.get(key);
                let is = pod.map(|pod| pod["spec"]["nodeName"].text());
                touched.rooms.extend(was.into_iter().chain(is));
            }
            _ => {}
        }
        true
    }
}
