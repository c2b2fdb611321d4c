//! Topology aware hints (`service.kubernetes.io/topology-mode: Auto`): each zone is given endpoints in proportion to the
//! CPU of its nodes (kubernetes v1.37, `staging/src/k8s.io/endpointslice/topologycache`).

use std::collections::BTreeMap;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::pods;
use crate::cluster::{Change, Cluster};

/// How much more than its share an endpoint may get.
const OVERLOAD: f64 = 0.2;

/// Does the Service ask for them?
pub(crate) fn is_wanted(service: &Value) -> bool {
    let old = service.annotation("service.kubernetes.io/topology-aware-hints");
    let mode = old.or_else(|| service.annotation("service.kubernetes.io/topology-mode"));
    matches!(mode, Some("Auto" | "auto"))
}

/// A Service's slices: to be made, to be changed, and to be left as they are.
pub(super) struct Slices<'a> {
    pub create: &'a mut Vec<Value>,
    pub update: &'a mut Vec<Value>,
    pub unchanged: &'a mut Vec<Value>,
}

/// What a zone may get.
#[derive(Clone, Copy, Debug)]
struct Share {
    most: i64,
    desired: f64,
}

fn is_ready(endpoint: &Value) -> bool {
    endpoint["conditions"]["ready"].as_bool() == Some(true)
}

/// The zones that an endpoint is meant for.
fn zones_of(endpoint: &Value) -> impl Iterator<Item = Text> {
    let zones = endpoint["hints"]["forZones"].items().iter();
    zones.map(|zone| zone["name"].text())
}

fn meant_for(zone: &Text) -> Value {
    let zones = vec![object([("name", zone.into())])];
    object([("forZones", zones.into())])
}

const ZONE: &str = "topology.kubernetes.io/zone";

fn is_node_ready(node: &Value) -> bool {
    pods::condition(node, "Ready").is_some_and(|c| c["status"].str() == "True")
}

/// Each zone's part of the CPU of all nodes that are ready; none where a node does not say, or there are not two zones.
fn ratios(cluster: &Cluster) -> Option<BTreeMap<Text, f64>> {
    let mut zones: BTreeMap<Text, i64> = BTreeMap::new();
    for (_, node) in cluster.etcd.list("nodes", None) {
        let manages = ["control-plane", "master"].iter().any(|role| {
            node.label(&format!("node-role.kubernetes.io/{role}"))
                .is_some()
        });
        if manages || !is_node_ready(node) {
            continue;
        }
        let cpu = node["status"]["allocatable"]["cpu"].str();
        let cpu = cpu.parse::<Quantity>().map_or(0, |q| q.milli_value());
        let zone = node.label(ZONE).unwrap_or("");
        if zone.is_empty() || cpu == 0 {
            return None;
        }
        *zones.entry(zone.into()).or_default() += cpu;
    }
    let total: i64 = zones.values().sum();
    let ratio = |(zone, cpu): (Text, i64)| (zone, cpu as f64 / total as f64);
    (zones.len() >= 2).then(|| zones.into_iter().map(ratio).collect())
}

/// Whether a change of a node can change the ratios: it comes or goes, is ready or no longer, or has another zone
/// (`updateNode` of the endpointslice controller; what it can allocate counts from the next of these on).
pub(super) fn is_touched(change: &Change) -> bool {
    let seen = |node: &Option<Value>| {
        let node = node.as_ref()?;
        let zone = node.label(ZONE).unwrap_or("").to_owned();
        Some((is_node_ready(node), zone))
    };
    seen(&change.old) != seen(&change.new)
}

/// The Services with hints that give a zone fewer endpoints than it needs by now (`GetOverloadedServices`).
pub(super) fn overloaded(cluster: &Cluster) -> Vec<ObjectKey> {
    let mut wanted = cluster.index.topology_aware().peekable();
    if wanted.peek().is_none() {
        return Vec::new();
    }
    let ratios = ratios(cluster).unwrap_or_default();
    let lacks = |key: &&ObjectKey| {
        let mut hinted: BTreeMap<Text, i64> = BTreeMap::new();
        for slice in cluster.index.slices_of(&key.namespace, &key.name) {
            let slice = cluster.etcd.get(slice);
            let endpoints = slice.map_or(&[][..], |slice| slice["endpoints"].items());
            for zone in endpoints.iter().flat_map(zones_of) {
                *hinted.entry(zone).or_default() += 1;
            }
        }
        let total: i64 = hinted.values().sum();
        let least = |ratio: f64| (total as f64 * ratio * (1.0 / (1.0 + OVERLOAD))).ceil() as i64;
        let fewer = |(zone, ratio): (&Text, &f64)| {
            hinted.get(zone).is_none_or(|count| *count < least(*ratio))
        };
        total > 0 && (ratios.is_empty() || ratios.iter().any(fewer))
    };
    wanted.filter(lacks).cloned().collect()
}

/// Each zone's share of so many endpoints.
fn shares(cluster: &Cluster, endpoints: i64) -> Result<BTreeMap<Text, Share>, String> {
    let Some(ratios) = ratios(cluster) else {
        return Err("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes".to_owned());
    };
    let zones = ratios.len();
    let counted = |what: &str| Err(format!("{what} ({endpoints} endpoints, {zones} zones)"));
    if zones as i64 > endpoints {
        return counted("Insufficient number of endpoints");
    }
    let mut spare = endpoints;
    let mut shares = BTreeMap::new();
    for (zone, ratio) in ratios {
        let desired = ratio * endpoints as f64;
        let least = (desired * (1.0 / (1.0 + OVERLOAD))).ceil();
        spare -= least as i64;
        if spare < 0 {
            return counted(
                "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold",
            );
        }
        let share = Share {
            most: least as i64,
            desired: desired.max(least),
        };
        shares.insert(zone, share);
    }
    for share in shares.values_mut() {
        share.most += spare;
    }
    Ok(shares)
}

impl Slices<'_> {
    /// Writes hints into the slices, or takes them out of all. Errors: why there can be none.
    pub fn hint(&mut self, cluster: &Cluster) -> Result<(), String> {
        let done = self.allocate(cluster);
        if done.is_err() {
            self.remove();
        }
        done
    }

    fn allocate(&mut self, cluster: &Cluster) -> Result<(), String> {
        let slices = self
            .create
            .iter()
            .chain(&*self.update)
            .chain(&*self.unchanged);
        let ready = slices
            .flat_map(|s| s["endpoints"].items())
            .filter(|e| is_ready(e));
        let shares = shares(cluster, ready.count() as i64)?;
        let mut given = self.keep(&shares);
        // Everybody's own zone first.
        for endpoint in self.changing() {
            if !is_ready(endpoint) {
                continue;
            }
            let zone = endpoint["zone"].text();
            if zone.is_empty() {
                return Err("One or more endpoints do not have a zone specified".to_owned());
            }
            endpoint["hints"] = meant_for(&zone);
            *given.entry(zone).or_default() += 1;
        }
        let (mut giving, mut receiving) = transfers(&shares, &given);
        for endpoint in self.changing().filter(|e| is_ready(e)) {
            let Some(left) = giving.get_mut(&endpoint["zone"].text()).filter(|n| **n > 0) else {
                continue;
            };
            let Some((to, room)) = receiving.iter_mut().find(|(_, room)| **room > 0) else {
                break;
            };
            endpoint["hints"] = meant_for(to);
            *left -= 1;
            *room -= 1;
        }
        if given.is_empty() {
            return Err("No hints allocated for zones".to_owned());
        }
        Ok(())
    }

    /// Leaves slices whose hints are still right as they are, and counts those; the others are to be changed.
    fn keep(&mut self, shares: &BTreeMap<Text, Share>) -> BTreeMap<Text, i64> {
        let mut given: BTreeMap<Text, i64> = BTreeMap::new();
        for slice in std::mem::take(self.unchanged) {
            let mut own: BTreeMap<Text, i64> = BTreeMap::new();
            let mut right = true;
            for endpoint in slice["endpoints"].items().iter().filter(|e| is_ready(e)) {
                right &= zones_of(endpoint).next().is_some();
                for zone in zones_of(endpoint).filter(|zone| shares.contains_key(zone)) {
                    *own.entry(zone).or_default() += 1;
                }
            }
            right &= own.iter().all(|(zone, count)| {
                let all = count + given.get(zone).copied().unwrap_or(0);
                shares.get(zone).is_some_and(|share| all <= share.most)
            });
            if !right {
                self.update.push(slice);
                continue;
            }
            for (zone, count) in own {
                *given.entry(zone).or_default() += count;
            }
            self.unchanged.push(slice);
        }
        given
    }

    fn changing(&mut self) -> impl Iterator<Item = &mut Value> {
        let slices = self.create.iter_mut().chain(self.update.iter_mut());
        slices
            .filter(|slice| !slice["endpoints"].is_empty())
            .flat_map(|slice| slice["endpoints"].array_mut().iter_mut())
    }

    fn remove(&mut self) {
        let hinted = |slice: &Value| {
            let endpoints = slice["endpoints"].items().iter();
            endpoints.clone().any(|e| !e["hints"].is_null())
        };
        let all = std::mem::take(self.unchanged);
        let (hinted, plain): (Vec<Value>, Vec<Value>) = all.into_iter().partition(hinted);
        self.update.extend(hinted);
        *self.unchanged = plain;
        for endpoint in self.changing() {
            endpoint.remove(&["hints"]);
        }
    }
}

/// How many endpoints zones give to others, and how many they get: always from the zone with the most too many to the
/// one with the most too few, as long as that makes the spread better.
fn transfers(
    shares: &BTreeMap<Text, Share>,
    given: &BTreeMap<Text, i64>,
) -> (BTreeMap<Text, i64>, BTreeMap<Text, i64>) {
    let mut over: BTreeMap<&Text, f64> = BTreeMap::new();
    for (zone, share) in shares {
        let own = given.get(zone).copied().unwrap_or(0) as f64;
        over.insert(zone, own - share.desired);
    }
    let (mut giving, mut receiving) = (BTreeMap::new(), BTreeMap::new());
    let most = |over: &BTreeMap<&Text, f64>, sign: f64| {
        let mut best: (Option<Text>, f64) = (None, 0.0);
        for (zone, amount) in over {
            if amount * sign > best.1 {
                best = (Some((*zone).clone()), amount * sign);
            }
        }
        best
    };
    loop {
        let ((from, extra), (to, missing)) = (most(&over, 1.0), most(&over, -1.0));
        let (Some(from), Some(to)) = (from, to) else {
            break;
        };
        if extra < 1.0 && missing < 1.0 || extra < 0.5 || missing < 0.5 {
            break;
        }
        if let Some(amount) = over.get_mut(&from) {
            *amount -= 1.0;
        }
        if let Some(amount) = over.get_mut(&to) {
            *amount += 1.0;
        }
        *giving.entry(from).or_default() += 1;
        *receiving.entry(to).or_default() += 1;
    }
    (giving, receiving)
}
