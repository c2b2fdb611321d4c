//! horizontal-pod-autoscaler-controller: as many pods as the load asks for
//! (kubernetes v1.37, `pkg/controller/podautoscaler`).

use std::time::Duration;

use kubarium_objects::quantity::{Format, Quantity};
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::load;
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "horizontalpodautoscalers.autoscaling";
/// `--horizontal-pod-autoscaler-sync-period`; the first look, too, comes after it.
const PERIOD: Duration = Duration::from_secs(15);
/// `--horizontal-pod-autoscaler-tolerance`
const TOLERANCE: f64 = 0.1;
/// `--horizontal-pod-autoscaler-cpu-initialization-period`
const INITIALIZATION: Duration = Duration::from_secs(300);
/// How long the highest recommendation counts when scaling down, unless the object says otherwise.
const STABILIZATION: i64 = 300;

/// The loop: its name is the one that its events carry.
pub(super) const CONTROLLER: Controller = Controller {
    name: "horizontal-pod-autoscaler",
    observe: |_, _| Vec::new(),
    size: small,
    sync,
};

/// What an autoscaler remembers between two looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Recommendations with their moments.
    recommended: Vec<(Time, i64)>,
    /// Changes of the size with their moments.
    changes: Vec<(Time, i64)>,
}

/// A new or changed autoscaler is looked at once the period is over, not at once.
pub(super) fn observe(cluster: &mut Cluster, change: &Change) {
    if &*change.key.resource != RESOURCE {
        return;
    }
    if change.new.is_none() {
        cluster.autoscalers.remove(&change.key);
    } else if pods::spec_changed(change) {
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, change.key.clone()),
            PERIOD,
        );
    }
}

/// A condition of an autoscaler.
fn set(hpa: &mut Value, now: Time, kind: &str, status: bool, reason: &str, message: &str) {
    let mut condition = pods::new_condition(kind, status, reason, message, now);
    let conditions = hpa["status"]["conditions"].array_mut();
    match conditions.iter_mut().find(|c| c["type"].str() == kind) {
        Some(old) => {
            if old["status"] == condition["status"] {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(old) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), PERIOD);
    let mut hpa = old.clone();
    reconcile(cluster, by, key, &mut hpa);
    if hpa.same(&old) {
        return Ok(());
    }
    cluster.update_status(by, hpa).map(drop)
}

fn reconcile(cluster: &mut Cluster, by: &Component, key: &ObjectKey, hpa: &mut Value) {
    let now = cluster.now;
    let target = match scale_target(cluster, hpa) {
        Ok(target) => target,
        Err(why) => {
            cluster.warn(by, hpa, "FailedGetScale", &why);
            let message =
                format!("the HPA controller was unable to get the target's current scale: {why}");
            set(hpa, now, "AbleToScale", false, "FailedGetScale", &message);
            return;
        }
    };
    let scaled = cluster.etcd.get(&target).cloned().unwrap_or_default();
    let message = "the HPA controller was able to get the target's current scale";
    set(hpa, now, "AbleToScale", true, "SucceededGetScale", message);
    let spec = hpa["spec"].clone();
    let current = scaled["spec"]["replicas"].as_i64().unwrap_or(1);
    let (least, most) = (
        spec["minReplicas"].as_i64().unwrap_or(1),
        spec["maxReplicas"].as_i64().unwrap_or(1),
    );
    {
        let memory = cluster.autoscalers.entry(key.clone()).or_default();
        if memory.recommended.is_empty() {
            memory.recommended.push((now, current));
        }
    }
    let (desired, reason): (i64, String);
    if current == 0 && least != 0 {
        let message = "scaling is disabled since the replica count of the target is zero";
        set(hpa, now, "ScalingActive", false, "ScalingDisabled", message);
        (desired, reason) = (0, String::new());
    } else if current > most {
        (desired, reason) = (
            most,
            "Current number of replicas above Spec.MaxReplicas".to_owned(),
        );
    } else if current < least {
        (desired, reason) = (
            least,
            "Current number of replicas below Spec.MinReplicas".to_owned(),
        );
    } else {
        let proposal = match measure(cluster, by, hpa, &scaled, current) {
            Ok(proposal) => proposal,
            Err(why) => {
                seen(hpa, current);
                hpa["status"]["desiredReplicas"] = hpa["status"]["desiredReplicas"]
                    .as_i64()
                    .unwrap_or(0)
                    .into();
                cluster.warn(by, hpa, "FailedComputeMetricsReplicas", &why);
                return;
            }
        };
        let wanted = normalize(
            cluster,
            key,
            hpa,
            &spec,
            current,
            proposal.replicas,
            least,
            most,
        );
        reason = match wanted.cmp(&current) {
            std::cmp::Ordering::Greater => format!("{} above target", proposal.metric),
            _ => "All metrics below target".to_owned(),
        };
        desired = wanted;
    }
    let status = &mut hpa["status"];
    if desired != current {
        let scaled = cluster.modify(by, &target, Subresource::None, |target| {
            target["spec"]["replicas"] = desired.into();
        });
        if let Err(status) = scaled {
            let why = status.message;
            cluster.warn(
                by,
                hpa,
                "FailedRescale",
                &format!("New size: {desired}; reason: {reason}; error: {why}"),
            );
            let message =
                format!("the HPA controller was unable to update the target scale: {why}");
            set(
                hpa,
                now,
                "AbleToScale",
                false,
                "FailedUpdateScale",
                &message,
            );
            return;
        }
        let message =
            format!("the HPA controller was able to update the target scale to {desired}");
        set(hpa, now, "AbleToScale", true, "SucceededRescale", &message);
        cluster.record(
            by,
            hpa,
            "SuccessfulRescale",
            &format!("New size: {desired}; reason: {reason}"),
        );
        let (word, why, message) = match desired == 0 && least == 0 {
            true => (
                true,
                "ScaledToZero",
                "the HPA controller scaled the workload to zero",
            ),
            false => (
                false,
                "NotScaledToZero",
                "the HPA controller did not scale the workload to zero",
            ),
        };
        set(hpa, now, "ScaledToZero", word, why, message);
        let memory = cluster.autoscalers.entry(key.clone()).or_default();
        memory.changes.push((now, desired - current));
        memory
            .changes
            .retain(|(at, _)| now.since(*at) <= Duration::from_secs(1800));
        hpa["status"]["lastScaleTime"] = now.rfc3339().into();
    } else {
        status["desiredReplicas"] = desired.into();
    }
    seen(hpa, current);
    hpa["status"]["desiredReplicas"] = desired.into();
}

/// What a sync that came as far as the target has seen (`setStatus`).
fn seen(hpa: &mut Value, replicas: i64) {
    hpa["status"]["currentReplicas"] = replicas.into();
    hpa["status"]["observedGeneration"] = hpa["metadata"]["generation"].clone();
}

/// The key of what is scaled.
fn scale_target(cluster: &Cluster, hpa: &Value) -> Result<ObjectKey, String> {
    let reference = &hpa["spec"]["scaleTargetRef"];
    let (version, kind) = (reference["apiVersion"].str(), reference["kind"].str());
    let resource =
        cluster
            .resource_by_kind(version, kind)
            .ok_or_else(|| match version.split_once('/') {
                Some((group, _)) => format!("no matches for kind \"{kind}\" in group \"{group}\""),
                None => format!("no matches for kind \"{kind}\" in group \"\""),
            })?;
    let id = resource.id();
    let key = ObjectKey::new(
        id.clone(),
        hpa["metadata"]["namespace"].text(),
        reference["name"].text(),
    );
    let scales = matches!(
        &*id,
        "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "replicationcontrollers"
    );
    if !scales {
        return Err("the server could not find the requested resource".to_owned());
    }
    match cluster.etcd.get(&key) {
        Some(_) => Ok(key),
        None => Err(format!("{id} \"{}\" not found", key.name)),
    }
}

/// What the metrics ask for.
struct Proposal {
    replicas: i64,
    metric: String,
}

/// The largest number of pods that any metric asks for.
fn measure(
    cluster: &mut Cluster,
    by: &Component,
    hpa: &mut Value,
    scaled: &Value,
    current: i64,
) -> Result<Proposal, String> {
    let now = cluster.now;
    let specs = hpa["spec"]["metrics"].items().to_vec();
    let mut best: Option<Proposal> = None;
    let mut statuses: Vec<Value> = Vec::new();
    let mut errors: Vec<(&'static str, String, String)> = Vec::new();
    for metric in &specs {
        match one(cluster, hpa, metric, scaled, current) {
            Ok((proposal, status)) => {
                statuses.push(status);
                if best.as_ref().is_none_or(|b| proposal.replicas > b.replicas) {
                    best = Some(proposal);
                }
            }
            Err((reason, why, whole)) => {
                cluster.warn(by, hpa, reason, &why);
                errors.push((reason, why, whole));
            }
        }
    }
    let invalid = errors.len();
    if let Some((reason, why, whole)) = errors.into_iter().next()
        && best.as_ref().is_none_or(|b| b.replicas < current)
    {
        let message = format!("the HPA was unable to compute the replica count: {why}");
        set(hpa, now, "ScalingActive", false, reason, &message);
        return Err(format!(
            "invalid metrics ({invalid} invalid out of {}), first error is: {whole}",
            specs.len()
        ));
    }
    let Some(best) = best else {
        return Err("no metrics".to_owned());
    };
    hpa["status"]["currentMetrics"] = statuses.into();
    let message = format!(
        "the HPA was able to successfully calculate a replica count from {}",
        best.metric
    );
    set(
        hpa,
        now,
        "ScalingActive",
        true,
        "ValidMetricFound",
        &message,
    );
    Ok(best)
}

type Failed = (&'static str, String, String);

/// How far off the target a metric may be without anything being done (KEP-4951).
fn tolerance(hpa: &Value, grows: bool) -> f64 {
    let direction = if grows { "scaleUp" } else { "scaleDown" };
    let own = hpa["spec"]["behavior"][direction]["tolerance"].as_str();
    let own = own.and_then(|q| q.parse::<Quantity>().ok());
    own.map_or(TOLERANCE, |q| q.milli_value() as f64 / 1000.0)
}

fn one(
    cluster: &Cluster,
    hpa: &Value,
    metric: &Value,
    scaled: &Value,
    current: i64,
) -> Result<(Proposal, Value), Failed> {
    let kind = metric["type"].str();
    let field = match kind {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => "",
    };
    if field.is_empty() {
        // Nobody serves custom or external metrics.
        let (reason, words, api) = match kind {
            "Pods" => (
                "FailedGetPodsMetric",
                "pods",
                "custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
            ),
            "Object" => (
                "FailedGetObjectMetric",
                "object",
                "custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
            ),
            _ => (
                "FailedGetExternalMetric",
                "external",
                "external metrics API: the server could not find the requested resource (get NAME.external.metrics.k8s.io)",
            ),
        };
        let name = match kind {
            "Pods" => metric["pods"]["metric"]["name"].str(),
            "Object" => metric["object"]["metric"]["name"].str(),
            _ => metric["external"]["metric"]["name"].str(),
        };
        let api = api.replace("NAME", name);
        let why = match kind {
            "External" => format!(
                "unable to get external metric {}/{name}/nil: unable to fetch metrics from {api}",
                hpa.namespace()
            ),
            _ => format!("unable to get metric {name}: unable to fetch metrics from {api}"),
        };
        let whole = format!("failed to get {words} metric value: {why}");
        return Err((reason, why, whole));
    }
    let source = &metric[field];
    let resource = source["name"].text();
    let target = &source["target"];
    let utilization = target["averageUtilization"].as_i64();
    let failed = |why: String| {
        let what = if utilization.is_some() {
            "utilization"
        } else {
            "usage"
        };
        let why = format!("failed to get {resource} {what}: {why}");
        let reason = if field == "resource" {
            "FailedGetResourceMetric"
        } else {
            "FailedGetContainerResourceMetric"
        };
        let whole = match field {
            "resource" => format!("failed to get {resource} resource metric value: {why}"),
            _ => format!("failed to get {resource} container metric value: {why}"),
        };
        (reason, why, whole)
    };
    if !cluster.config.metrics {
        return Err(failed(format!(
            "unable to get metrics for resource {resource}: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
        )));
    }
    let container = source["container"].as_str();
    let found = gather(cluster, scaled, &resource, container).map_err(failed)?;
    let used: i64 = found.ready.iter().map(|(usage, _)| usage).sum();
    let requested: i64 = found.ready.iter().map(|(_, request)| request).sum();
    let count = found.ready.len() as i64;
    if count == 0 {
        return Err(failed(
            "did not receive metrics for targeted pods (pods might be unready)".to_owned(),
        ));
    }
    let average = used / count;
    let (ratio, words, mut shown) = match utilization {
        Some(wanted) => {
            if found.ready.iter().any(|(_, request)| *request == 0) {
                let name = found.unrequested.clone();
                return Err(failed(format!(
                    "missing request for {resource} in container {} of Pod {}",
                    name.1, name.0
                )));
            }
            let percent = used * 100 / requested.max(1);
            let shown = object([("averageUtilization", percent.into())]);
            (
                percent as f64 / wanted.max(1) as f64,
                format!("{resource} resource utilization (percentage of request)"),
                shown,
            )
        }
        None => {
            let wanted = target["averageValue"].str().parse::<Quantity>();
            let wanted = wanted.map_or(1, |q| {
                if &*resource == "cpu" {
                    q.milli_value()
                } else {
                    q.value()
                }
            });
            (
                average as f64 / wanted.max(1) as f64,
                format!("{resource} resource"),
                Value::new_object(),
            )
        }
    };
    let value = if &*resource == "cpu" {
        Quantity::from_milli(average, Format::DecimalSi)
    } else {
        Quantity::new(average, Format::DecimalSi)
    };
    shown["averageValue"] = value.to_string().into();
    // Pods that are not ready yet count as idle when the load grows.
    let tolerance = tolerance(hpa, ratio > 1.0);
    let replicas = if (ratio - 1.0).abs() <= tolerance {
        current
    } else if found.unready == 0 || ratio < 1.0 {
        (ratio * count as f64).ceil() as i64
    } else {
        let all = count + found.unready;
        let tempered = ratio * count as f64 / all as f64;
        if tempered <= 1.0 + tolerance {
            current
        } else {
            (tempered * all as f64).ceil() as i64
        }
    };
    let mut status = object([("current", shown), ("name", (&resource).into())]);
    if field == "containerResource" {
        status["container"] = source["container"].clone();
    }
    let mut whole = object([("type", kind.into())]);
    whole[field] = status;
    Ok((
        Proposal {
            replicas,
            metric: words,
        },
        whole,
    ))
}

/// The pods of a target with what they use and request.
#[derive(Default)]
struct Gathered {
    ready: Vec<(i64, i64)>,
    unready: i64,
    /// A pod without a request, and its container.
    unrequested: (Text, Text),
}

fn gather(
    cluster: &Cluster,
    scaled: &Value,
    resource: &str,
    container: Option<&str>,
) -> Result<Gathered, String> {
    let plain = scaled["kind"].str() == "ReplicationController";
    let selector = match plain {
        true => kubarium_objects::Selector::from_map(&scaled["spec"]["selector"]),
        false => pods::selector(&scaled["spec"]["selector"]),
    };
    let namespace = scaled["metadata"]["namespace"].text();
    let mut found = Gathered::default();
    let candidates: Vec<&ObjectKey> = match selector.exact().next() {
        Some((label, value)) => cluster
            .index
            .pods_labelled(&namespace, label, value)
            .collect(),
        None => cluster
            .etcd
            .list("pods", Some(&namespace))
            .map(|(key, _)| key)
            .collect(),
    };
    let mut any = false;
    for key in candidates {
        let Some(pod) = cluster.etcd.get(key) else {
            continue;
        };
        if !selector.matches(pod.labels()) || pod.is_deleting() || pods::is_over(pod) {
            continue;
        }
        any = true;
        let Some(usage) = cluster.pod_usage(key) else {
            found.unready += 1;
            continue;
        };
        // A pod that has just started and is not ready yet says nothing of the load.
        let young = pod["status"]["startTime"]
            .as_str()
            .and_then(Time::parse)
            .is_some_and(|t| cluster.now.since(t) < INITIALIZATION);
        if resource == "cpu" && young && !pods::is_ready(pod) {
            found.unready += 1;
            continue;
        }
        let used = if resource == "cpu" {
            usage.cpu_milli
        } else {
            usage.memory
        };
        let all = load::request(pod, resource);
        let (used, request) = match container {
            None => (used, all),
            Some(name) => {
                let Some(request) = load::container_request(pod, name, resource) else {
                    return Err(format!(
                        "container {name} not present in metrics for pod {}/{}",
                        key.namespace, key.name
                    ));
                };
                // What a pod uses is spread over its containers by what they request.
                let count = pod["spec"]["containers"].items().len().max(1) as i64;
                let share = if all > 0 {
                    used * request / all
                } else {
                    used / count
                };
                (share, request)
            }
        };
        if request == 0 {
            let without = pod["spec"]["containers"]
                .items()
                .iter()
                .find(|c| c["resources"]["requests"][resource].is_empty());
            found.unrequested = (
                key.name.clone(),
                without.map(|c| c["name"].text()).unwrap_or_default(),
            );
        }
        found.ready.push((used, request));
    }
    if !any {
        return Err(format!(
            "unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
        ));
    }
    Ok(found)
}

/// The size within the limits: those of the object, of its behaviour, and of the last minutes.
#[allow(
    clippy::too_many_arguments,
    reason = "one step of the computation, with all that it reads"
)]
fn normalize(
    cluster: &mut Cluster,
    key: &ObjectKey,
    hpa: &mut Value,
    spec: &Value,
    current: i64,
    proposed: i64,
    least: i64,
    most: i64,
) -> i64 {
    let now = cluster.now;
    let behaviour = |direction: &str| &spec["behavior"][direction];
    let window = |direction: &str, default: i64| {
        let seconds = behaviour(direction)["stabilizationWindowSeconds"]
            .as_i64()
            .unwrap_or(default);
        Duration::from_secs(seconds.max(0).unsigned_abs())
    };
    let (up, down) = (window("scaleUp", 0), window("scaleDown", STABILIZATION));
    let memory = cluster.autoscalers.entry(key.clone()).or_default();
    let within = |span: Duration| {
        let recent = memory
            .recommended
            .iter()
            .filter(move |(at, _)| now.since(*at) < span);
        recent.map(|(_, n)| *n).collect::<Vec<i64>>()
    };
    let lowest = within(up)
        .into_iter()
        .chain([proposed])
        .min()
        .unwrap_or(proposed);
    let highest = within(down)
        .into_iter()
        .chain([proposed])
        .max()
        .unwrap_or(proposed);
    let wanted = current.max(lowest).min(highest);
    memory.recommended.push((now, proposed));
    let keep = up.max(down).max(PERIOD);
    memory.recommended.retain(|(at, _)| now.since(*at) < keep);
    let (reason, message) = if wanted > proposed {
        (
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        )
    } else if wanted < proposed {
        (
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation",
        )
    } else {
        ("ReadyForNewScale", "recommended size matches current size")
    };
    let changes = memory.changes.clone();
    set(hpa, now, "AbleToScale", true, reason, message);
    let limit = |direction: &str, grows: bool| -> i64 {
        let rules = behaviour(direction);
        let given = rules["policies"].items();
        let defaults = if grows {
            vec![("Pods", 4, 15), ("Percent", 100, 15)]
        } else {
            vec![("Percent", 100, 15)]
        };
        let read: Vec<(&str, i64, i64)> = match given.is_empty() {
            true => defaults,
            false => given
                .iter()
                .map(|p| {
                    (
                        p["type"].str(),
                        p["value"].as_i64().unwrap_or(0),
                        p["periodSeconds"].as_i64().unwrap_or(15),
                    )
                })
                .collect(),
        };
        if rules["selectPolicy"].str() == "Disabled" {
            return current;
        }
        let limits = read.into_iter().map(|(kind, value, seconds)| {
            let span = Duration::from_secs(seconds.max(0).unsigned_abs());
            let moved: i64 = changes
                .iter()
                .filter(|(at, by)| now.since(*at) <= span && (*by > 0) == grows)
                .map(|(_, by)| *by)
                .sum();
            let start = current - moved;
            match (kind, grows) {
                ("Pods", true) => start + value,
                ("Pods", false) => start - value,
                (_, true) => (start as f64 * (1.0 + value as f64 / 100.0)).ceil() as i64,
                (_, false) => (start as f64 * (1.0 - value as f64 / 100.0)) as i64,
            }
        });
        // `Max` allows the most change.
        let most_change = rules["selectPolicy"].str() != "Min";
        let chosen = if most_change == grows {
            limits.max()
        } else {
            limits.min()
        };
        chosen.unwrap_or(current)
    };
    let (limited, reason, message, desired);
    if wanted > current {
        let fastest = limit("scaleUp", true).max(current);
        let cap = fastest.min(most);
        (limited, reason, message, desired) = if wanted > cap && cap == most {
            (
                true,
                "TooManyReplicas",
                "the desired replica count is more than the maximum replica count",
                most,
            )
        } else if wanted > cap {
            (
                true,
                "ScaleUpLimit",
                "the desired replica count is increasing faster than the maximum scale rate",
                cap,
            )
        } else {
            (
                false,
                "DesiredWithinRange",
                "the desired count is within the acceptable range",
                wanted,
            )
        };
    } else if wanted < current {
        let fastest = limit("scaleDown", false).min(current);
        let floor = fastest.max(least);
        (limited, reason, message, desired) = if wanted < floor && floor == least {
            (
                true,
                "TooFewReplicas",
                "the desired replica count is less than the minimum replica count",
                least,
            )
        } else if wanted < floor {
            (
                true,
                "ScaleDownLimit",
                "the desired replica count is decreasing faster than the maximum scale rate",
                floor,
            )
        } else {
            (
                false,
                "DesiredWithinRange",
                "the desired count is within the acceptable range",
                wanted,
            )
        };
    } else if proposed > most {
        (limited, reason, message, desired) = (
            true,
            "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
            wanted,
        );
    } else if proposed < least {
        (limited, reason, message, desired) = (
            true,
            "TooFewReplicas",
            "the desired replica count is less than the minimum replica count",
            wanted,
        );
    } else {
        (limited, reason, message, desired) = (
            false,
            "DesiredWithinRange",
            "the desired count is within the acceptable range",
            wanted,
        );
    }
    set(hpa, now, "ScalingLimited", limited, reason, message);
    desired
}
