//! Which of the suitable nodes is best: the default profile's scorers with their weights.

use std::sync::Arc;

use kubarium_objects::Value;

use super::affinity;
use super::cache::{Cache, Store};
use super::filter::Cycle;
use super::node::{Brief, NodeInfo, NodeTerm, repelling_taints};
use super::pod::PodInfo;
use super::spread::Soft;

/// The scorers, in the order of the default profile, with their weights
/// (kubernetes v1.37, `pkg/scheduler/apis/config/v1/default_plugins.go`).
pub const PLUGINS: [(&str, i64); 9] = [
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodeResourcesFit", 1),
    ("VolumeBinding", 1),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DynamicResources", 2),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
];

/// A node's weighted scores, in the order of [`PLUGINS`].
pub(super) type Scores = [i64; PLUGINS.len()];

/// The weighted scores of the feasible nodes, one after the other.
#[derive(Default)]
pub(super) struct Table {
    /// What each scorer says of each node; none where it has nothing to say.
    columns: [Option<Vec<i64>>; PLUGINS.len()],
    /// The sums of each node's weighted scores.
    pub totals: Vec<i64>,
}

impl Table {
    fn new(nodes: usize, columns: [Option<Vec<i64>>; PLUGINS.len()]) -> Table {
        let mut totals = vec![0; nodes];
        for (column, (_, weight)) in columns.iter().zip(PLUGINS) {
            let scores = column.iter().flatten();
            for (total, score) in totals.iter_mut().zip(scores) {
                *total += score * weight;
            }
        }
        Table { columns, totals }
    }

    /// Each node's weighted scores.
    pub fn rows(&self) -> impl Iterator<Item = Scores> + '_ {
        (0..self.totals.len()).map(|at| {
            let score = |column: &Option<Vec<i64>>| column.as_ref()?.get(at).copied();
            let mut row = [0; PLUGINS.len()];
            for (cell, (column, (_, weight))) in
                row.iter_mut().zip(self.columns.iter().zip(PLUGINS))
            {
                *cell = score(column).unwrap_or(0) * weight;
            }
            row
        })
    }
}

/// The weighted scores of the feasible nodes.
pub(super) fn scores(
    cache: &mut Cache,
    store: Store<'_>,
    cycle: &Cycle,
    feasible: &[usize],
) -> Table {
    let pod = &*cycle.pod;
    let spread = Soft::new(cache, store, pod, &cycle.node_affinity, feasible)
        .map(|soft| soft.scores(cache, feasible));
    let company = affinity::scores(cache, store, pod, feasible);
    let nodes: Vec<&Arc<NodeInfo>> = feasible.iter().filter_map(|at| cache.node(*at)).collect();
    let briefs: Vec<&Brief> = feasible.iter().map(|at| cache.brief(*at)).collect();
    let columns: [Option<Vec<i64>>; PLUGINS.len()] = [
        Some(normalise(
            nodes
                .iter()
                .zip(&briefs)
                .map(|(n, brief)| match brief.special {
                    true => repelling_taints(&pod.object, n),
                    false => 0,
                })
                .collect(),
            true,
        )),
        preferred_nodes(&pod.object, &nodes),
        Some(least_allocated(pod, &briefs)),
        cycle.volumes.scores(store, &nodes),
        spread,
        company,
        cycle
            .devices
            .scores(&nodes)
            .map(|raw| normalise(raw, false)),
        (pod.needs.request.cpu != 0 || pod.needs.request.memory != 0)
            .then(|| briefs.iter().map(|n| balanced(pod, n)).collect()),
        images(&pod.object, cache, feasible),
    ];
    Table::new(feasible.len(), columns)
}

/// 0 to 100 in proportion to the most; reversed, the least is best.
fn normalise(mut raw: Vec<i64>, reverse: bool) -> Vec<i64> {
    let most = raw.iter().max().copied().unwrap_or(0);
    for score in &mut raw {
        let share = if most == 0 { 0 } else { 100 * *score / most };
        *score = if reverse { 100 - share } else { share };
    }
    raw
}

fn preferred_nodes(pod: &Value, nodes: &[&Arc<NodeInfo>]) -> Option<Vec<i64>> {
    let terms =
        pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
            .items();
    let terms: Vec<(i64, NodeTerm)> = terms
        .iter()
        .map(|t| {
            (
                t["weight"].as_i64().unwrap_or(0),
                NodeTerm::read(&t["preference"]),
            )
        })
        .collect();
    if terms.is_empty() {
        return None;
    }
    let score = |node: &&Arc<NodeInfo>| {
        terms
            .iter()
            .filter(|(_, term)| term.matches(node))
            .map(|(weight, _)| weight)
            .sum()
    };
    Some(normalise(nodes.iter().map(score).collect(), false))
}

/// What `score` says of each key, asked once for equal ones in a row: most nodes are like the one before.
fn each_once<K: PartialEq>(keys: impl Iterator<Item = K>, score: impl Fn(&K) -> i64) -> Vec<i64> {
    let mut last: Option<(K, i64)> = None;
    let known = |key: K| match &last {
        Some((before, known)) if *before == key => *known,
        _ => {
            let known = score(&key);
            last = Some((key, known));
            known
        }
    };
    keys.map(known).collect()
}

/// NodeResourcesFit's LeastAllocated: the share that would stay free.
fn least_allocated(pod: &PodInfo, nodes: &[&Brief]) -> Vec<i64> {
    let (cpu, memory) = pod.needs.scored;
    let free = |has: i64, used: i64| {
        if used > has {
            0
        } else {
            (has - used).saturating_mul(100) / has
        }
    };
    let amounts = |node: &&Brief| {
        [
            (node.allocatable.0, node.nonzero.0 + cpu),
            (node.allocatable.1, node.nonzero.1 + memory),
        ]
    };
    each_once(nodes.iter().map(amounts), |has| {
        let counted = || has.iter().filter(|(has, _)| *has != 0);
        let sum: i64 = counted().map(|(has, used)| free(*has, *used)).sum();
        match counted().count() as i64 {
            0 => 0,
            count => sum / count,
        }
    })
}

/// NodeResourcesBalancedAllocation: how much more evenly processors and memory would be used with
/// the pod than without it.
fn balanced(pod: &PodInfo, node: &Brief) -> i64 {
    let even = |cpu: i64, memory: i64| {
        let used = [(cpu, node.allocatable.0), (memory, node.allocatable.1)];
        let share = |(used, has): &(i64, i64)| (*used as f64 / *has as f64).min(1.0);
        let shares: Vec<f64> = used
            .iter()
            .filter(|(_, has)| *has != 0)
            .map(share)
            .collect();
        let deviation = match shares[..] {
            [a, b] => ((a - b) / 2.0).abs(),
            _ => 0.0,
        };
        ((1.0 - deviation) * 100.0) as i64
    };
    let before = even(node.requested.0, node.requested.1);
    let after = even(
        node.requested.0 + pod.needs.request.cpu,
        node.requested.1 + pod.needs.request.memory,
    );
    50 + (50 + after - before) / 2
}

/// ImageLocality: how much of the images the node has already, spread over how many nodes.
fn images(pod: &Value, cache: &Cache, feasible: &[usize]) -> Option<Vec<i64>> {
    if cache.images.is_empty() {
        return None;
    }
    const MB: i64 = 1024 * 1024;
    let containers = || {
        ["initContainers", "containers"]
            .iter()
            .flat_map(|list| pod["spec"][*list].items())
    };
    let count = containers().count() as i64;
    let names: Vec<String> = containers().map(|c| tagged(c["image"].str())).collect();
    // Images that no node has count nothing anywhere.
    if !names.iter().any(|name| cache.images.contains_key(&**name)) {
        return None;
    }
    let all = cache.len() as f64;
    let score = |set: &ImageSet| {
        let has = |name: &String| cache.node(set.place)?.images.get(&**name);
        let have = names
            .iter()
            .filter_map(|name| Some((has(name)?, cache.images.get(&**name)?)));
        let sum: i64 = have
            .map(|(size, nodes)| (*size as f64 * (*nodes as f64 / all)) as i64)
            .sum();
        let (least, most) = (23 * MB, 1000 * MB * count);
        100 * (sum.clamp(least, most) - least) / (most - least).max(1)
    };
    let sets = feasible.iter().map(|place| ImageSet {
        number: cache.brief(*place).images,
        place: *place,
    });
    Some(each_once(sets, score))
}

/// A set of images, with the place of a node that has it.
struct ImageSet {
    number: u32,
    place: usize,
}

impl PartialEq for ImageSet {
    fn eq(&self, other: &ImageSet) -> bool {
        self.number == other.number
    }
}

/// An image's name with `:latest` where it has no tag.
fn tagged(image: &str) -> String {
    let last = image.rfind('/').unwrap_or(0);
    if image.rfind(':').is_some_and(|colon| colon > last) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}
