//! LimitRanger: what a namespace's LimitRanges give to pods, and what they refuse
//! (kubernetes v1.37, `plugin/pkg/admission/limitranger`).

use std::collections::{BTreeMap, BTreeSet};

use kubarium_objects::quantity::Quantity;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{Text, Value};

use crate::cluster::Cluster;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

type Amounts = BTreeMap<Text, Quantity>;

/// The namespace's LimitRanges.
fn ranges<'a>(cluster: &'a Cluster, object: &Value) -> impl Iterator<Item = &'a Value> + use<'a> {
    let namespace = object["metadata"]["namespace"].str();
    cluster
        .etcd
        .list("limitranges", Some(namespace))
        .map(|(_, range)| range)
}

/// Gives containers the requests and limits that they lack.
pub(super) fn default(cluster: &Cluster, pod: &mut Value) {
    for range in ranges(cluster, pod) {
        let mut said = Vec::new();
        let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
        for limit in range["spec"]["limits"].items() {
            if limit["type"].str() == "Container" {
                requests.extend(limit["defaultRequest"].entries().iter().cloned());
                limits.extend(limit["default"].entries().iter().cloned());
            }
        }
        for (list, what) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            for at in 0..pod["spec"][list].items().len() {
                let container = &mut pod["spec"][list][at];
                let name = container["name"].text();
                for (field, defaults) in [("requests", &requests), ("limits", &limits)] {
                    let mut set: Vec<&str> = Vec::new();
                    for (resource, amount) in defaults {
                        if container["resources"][field].get(resource).is_none() {
                            container["resources"][field][&**resource] = amount.clone();
                            set.push(resource);
                        }
                    }
                    if !set.is_empty() {
                        let kind = field.trim_end_matches('s');
                        said.push(format!("{} {kind} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
        if !said.is_empty() {
            let text = format!("LimitRanger plugin set: {}", said.join("; "));
            pod["metadata"]["annotations"][ANNOTATION] = text.into();
        }
    }
}

/// Refuses what goes beyond the LimitRanges.
pub(super) fn validate(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
) -> Result<(), Status> {
    for range in ranges(cluster, object) {
        let mut errors = Vec::new();
        for limit in range["spec"]["limits"].items() {
            match (&*resource.plural, limit["type"].str()) {
                ("pods", "Container") => {
                    for list in ["containers", "initContainers"] {
                        for container in object["spec"][list].items() {
                            let requests = amounts(&container["resources"]["requests"]);
                            let limits = amounts(&container["resources"]["limits"]);
                            check(limit, &requests, &limits, &mut errors);
                        }
                    }
                }
                ("pods", "Pod") => {
                    let requests = of_pod(object, "requests");
                    let limits = of_pod(object, "limits");
                    check(limit, &requests, &limits, &mut errors);
                }
                ("persistentvolumeclaims", "PersistentVolumeClaim") => {
                    let requests = amounts(&object["spec"]["resources"]["requests"]);
                    check_claim(limit, &requests, &mut errors);
                }
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        errors.retain(|e: &String| seen.insert(e.clone()));
        if !errors.is_empty() {
            let text = match &errors[..] {
                [one] => one.clone(),
                many => format!("[{}]", many.join(", ")),
            };
            let name = object["metadata"]["name"].str();
            return Err(Status::forbidden(&resource.id(), name, &text));
        }
    }
    Ok(())
}

fn amounts(list: &Value) -> Amounts {
    let all = list.entries().iter();
    all.filter_map(|(name, amount)| Some((name.clone(), amount.str().parse().ok()?)))
        .collect()
}

/// What the containers of a pod have together, or one of its init containers alone if that is more.
fn of_pod(pod: &Value, field: &str) -> Amounts {
    let mut sum = Amounts::new();
    let of = |container: &Value| amounts(&container["resources"][field]);
    for container in pod["spec"]["containers"].items() {
        for (name, amount) in of(container) {
            let total = sum.get(&name).map_or(amount, |s| s.plus(&amount));
            sum.insert(name, total);
        }
    }
    // A container that starts before the others and stays counts along with them.
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in pod["spec"]["initContainers"].items() {
        let stays = container["restartPolicy"].str() == "Always";
        for (name, amount) in of(container) {
            let with = sidecars.get(&name).map_or(amount, |s| s.plus(&amount));
            if stays {
                let total = sum.get(&name).map_or(amount, |s| s.plus(&amount));
                sum.insert(name.clone(), total);
                sidecars.insert(name.clone(), with);
            }
            if peak.get(&name).is_none_or(|p| with.minus(p).sign() > 0) {
                peak.insert(name, with);
            }
        }
    }
    for (name, most) in peak {
        if sum.get(&name).is_none_or(|s| most.minus(s).sign() > 0) {
            sum.insert(name, most);
        }
    }
    sum.extend(amounts(&pod["spec"]["resources"][field]));
    sum
}

fn check(limit: &Value, requests: &Amounts, limits: &Amounts, errors: &mut Vec<String>) {
    let kind = limit["type"].str();
    for (name, least) in amounts(&limit["min"]) {
        let below = |q: &Quantity| q.minus(&least).sign() < 0;
        let start = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => errors.push(format!("{start}.  No request is specified")),
            (Some(r), _) if below(r) => errors.push(format!("{start}, but request is {r}")),
            (_, Some(l)) if below(l) => errors.push(format!("{start}, but limit is {l}")),
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["max"]) {
        let above = |q: &Quantity| q.minus(&most).sign() > 0;
        let start = format!("maximum {name} usage per {kind} is {most}");
        match (requests.get(&name), limits.get(&name)) {
            (_, None) => errors.push(format!("{start}.  No limit is specified")),
            (_, Some(l)) if above(l) => errors.push(format!("{start}, but limit is {l}")),
            (Some(r), _) if above(r) => errors.push(format!("{start}, but request is {r}")),
            _ => {}
        }
    }
    for (name, ratio) in amounts(&limit["maxLimitRequestRatio"]) {
        let start = format!("{name} max limit to request ratio per {kind} is {ratio}");
        let given = |of: &Amounts| of.get(&name).copied().filter(|q| !q.is_zero());
        match (given(requests), given(limits)) {
            (None, _) => errors.push(format!(
                "{start}, but no request is specified or request is 0"
            )),
            (_, None) => {
                errors.push(format!("{start}, but no limit is specified or limit is 0"));
            }
            (Some(request), Some(limit)) => {
                let observed = limit.as_f64() / request.as_f64();
                if observed > ratio.as_f64() {
                    errors.push(format!("{start}, but provided ratio is {observed:.6}"));
                }
            }
        }
    }
}

/// A claim has requests only.
fn check_claim(limit: &Value, requests: &Amounts, errors: &mut Vec<String>) {
    let kind = limit["type"].str();
    for (bound, word, sign) in [("min", "minimum", -1), ("max", "maximum", 1)] {
        for (name, amount) in amounts(&limit[bound]) {
            let start = format!("{word} {name} usage per {kind} is {amount}");
            match requests.get(&name) {
                None => errors.push(format!("{start}.  No request is specified")),
                Some(r) if r.minus(&amount).sign() == sign => {
                    errors.push(format!("{start}, but request is {r}"));
                }
                _ => {}
            }
        }
    }
}
