//! DefaultPreemption: which pods would have to go for a more important one
//! (kubernetes v1.37, `pkg/scheduler/framework/preemption`).

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::{ObjectMeta, Text, Value};

use super::cache::{Cache, Store};
use super::filter::{Cycle, Failure, Reason, message};
use super::node::NodeInfo;
use super::pod::PodInfo;
use crate::controllers::pods;
use crate::rng::Rng;
use crate::time::Time;

/// What preemption came to.
pub(super) enum Preemption {
    /// A sentence for the message.
    No(String),
    /// The node, and the pods that have to go.
    Found(Text, Vec<Arc<PodInfo>>),
}

struct Candidate {
    place: usize,
    victims: Vec<Arc<PodInfo>>,
    violations: usize,
}

/// At least this many candidates are looked at, and a tenth of the nodes.
const CANDIDATES_MIN: usize = 100;

/// Looks for the node where making room for the pod costs least.
pub(super) fn preempt(
    cache: &Cache,
    store: Store<'_>,
    rng: &mut Rng,
    now: Time,
    cycle: &Cycle,
    failures: &BTreeMap<usize, Failure>,
) -> Preemption {
    let pod = &*cycle.pod;
    if pod.object["spec"]["preemptionPolicy"].str() == "Never" {
        return Preemption::No("not eligible due to preemptionPolicy=Never.".to_owned());
    }
    if waits_for_victims(cache, pod, failures) {
        return Preemption::No(
            "not eligible due to a terminating pod on the nominated node.".to_owned(),
        );
    }
    let mut potential: Vec<usize> = failures
        .iter()
        .filter(|(_, f)| f.resolvable)
        .map(|(at, _)| *at)
        .collect();
    let wanted = (cache.len() / 10).max(CANDIDATES_MIN);
    if potential.len() > wanted {
        let start = rng.below(potential.len() as u64) as usize;
        potential.rotate_left(start);
    }
    let budgets: Vec<&Value> = store
        .etcd
        .list("poddisruptionbudgets.policy", None)
        .map(|(_, budget)| budget)
        .collect();
    let mut candidates = Vec::new();
    let mut verdicts = failures.clone();
    verdicts
        .values_mut()
        .for_each(|f| *f = Failure::unresolvable(Reason::NotHelpful));
    for place in potential {
        let Some(node) = cache.node(place) else {
            continue;
        };
        match victims(store, cycle, node, &budgets) {
            Ok((victims, violations)) => candidates.push(Candidate {
                place,
                victims,
                violations,
            }),
            Err(failure) => drop(verdicts.insert(place, failure)),
        }
        if candidates.len() >= wanted {
            break;
        }
    }
    let Some(best) = candidates.into_iter().min_by(|a, b| compare(a, b, now)) else {
        return Preemption::No(message(cache.len(), verdicts.values()));
    };
    let name = cache
        .node(best.place)
        .map(|node| node.name.clone())
        .unwrap_or_default();
    Preemption::Found(name, best.victims)
}

/// Whether pods that were evicted for this one are still going.
fn waits_for_victims(cache: &Cache, pod: &PodInfo, failures: &BTreeMap<usize, Failure>) -> bool {
    let nominated = cache.place(pod.object["status"]["nominatedNodeName"].str());
    let Some(place) = nominated.filter(|at| failures.get(at).is_none_or(|f| f.resolvable)) else {
        return false;
    };
    let evicted = |p: &PodInfo| {
        pods::condition(&p.object, "DisruptionTarget")
            .is_some_and(|c| c["reason"].str() == "PreemptionByScheduler")
    };
    cache.node(place).is_some_and(|node| {
        node.pods
            .values()
            .any(|p| p.deleting && p.priority < pod.priority && evicted(p))
    })
}

/// The pods that have to go from a node, and how many of them a disruption budget protects.
fn victims(
    store: Store<'_>,
    cycle: &Cycle,
    node: &NodeInfo,
    budgets: &[&Value],
) -> Result<(Vec<Arc<PodInfo>>, usize), Failure> {
    let (mut cycle, mut without) = (cycle.clone(), node.clone());
    let priority = cycle.pod.priority;
    let mut potential: Vec<Arc<PodInfo>> = node
        .pods
        .values()
        .filter(|p| p.priority < priority)
        .cloned()
        .collect();
    if potential.is_empty() {
        return Err(Failure::unresolvable(Reason::NoVictims));
    }
    for pod in &potential {
        without.remove(&pod.key);
        cycle.update(pod, node, -1);
    }
    cycle.filter(store, &without)?;
    potential.sort_by(|a, b| importance(a, b));
    let (violating, others) = by_budgets(&potential, budgets);
    let (mut victims, mut violations) = (Vec::new(), 0);
    for (pod, violates) in violating
        .iter()
        .map(|p| (p, true))
        .chain(others.iter().map(|p| (p, false)))
    {
        // As many as possible are let off, the most important first.
        without.add(pod);
        cycle.update(pod, node, 1);
        if cycle.filter(store, &without).is_err() {
            without.remove(&pod.key);
            cycle.update(pod, node, -1);
            victims.push(pod.clone());
            violations += usize::from(violates);
        }
    }
    victims.sort_by(|a, b| importance(a, b));
    Ok((victims, violations))
}

/// The more important first: the higher priority, then the earlier start. A pod that has not been
/// started counts as started now.
fn importance(a: &PodInfo, b: &PodInfo) -> Ordering {
    let never = |t: Option<Time>| t.unwrap_or(Time(u64::MAX));
    b.priority
        .cmp(&a.priority)
        .then_with(|| never(a.started).cmp(&never(b.started)))
}

/// Parts pods into those whose eviction a budget does not allow, and the others.
fn by_budgets(pods: &[Arc<PodInfo>], budgets: &[&Value]) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut allowed: Vec<i64> = budgets
        .iter()
        .map(|b| b["status"]["disruptionsAllowed"].as_i64().unwrap_or(0))
        .collect();
    let mut violates = |pod: &PodInfo| {
        let mut violates = false;
        for (budget, allowed) in budgets.iter().zip(&mut allowed) {
            let selector = pods::selector(&budget["spec"]["selector"]);
            let means = *budget.namespace() == *pod.key.namespace
                && !selector.is_everything()
                && selector.matches(&pod.labels);
            if pod.labels.is_empty()
                || !means
                || budget["status"]["disruptedPods"]
                    .get(&pod.key.name)
                    .is_some()
            {
                continue;
            }
            *allowed -= 1;
            violates |= *allowed < 0;
        }
        violates
    };
    pods.iter().cloned().partition(|pod| violates(pod))
}

/// The better candidate first.
fn compare(a: &Candidate, b: &Candidate, now: Time) -> Ordering {
    let top = |c: &Candidate| {
        c.victims
            .iter()
            .map(|v| v.priority)
            .max()
            .unwrap_or(i64::MIN)
    };
    let sum = |c: &Candidate| {
        c.victims
            .iter()
            .map(|v| v.priority + i64::from(i32::MAX) + 1)
            .sum::<i64>()
    };
    let start = |c: &Candidate| {
        let most = top(c);
        c.victims
            .iter()
            .filter(|v| v.priority == most)
            .map(|v| v.started.unwrap_or(now))
            .min()
    };
    a.violations
        .cmp(&b.violations)
        .then_with(|| top(a).cmp(&top(b)))
        .then_with(|| sum(a).cmp(&sum(b)))
        .then_with(|| a.victims.len().cmp(&b.victims.len()))
        .then_with(|| Reverse(start(a)).cmp(&Reverse(start(b))))
        .then_with(|| a.place.cmp(&b.place))
}
