//! Pods.

use crate::{ObjectMeta, Value, time};

use super::{Context, Printer, age, column, number, or, wide};
use crate::duration::human_duration;

pub(super) static POD: Printer = Printer {
    columns: &[
        column("Name"),
        column("Ready"),
        column("Status"),
        column("Restarts"),
        column("Age"),
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    row,
};

fn row(pod: &Value, context: &Context) -> Vec<String> {
    let summary = Summary::of(pod);
    let restarts = match summary.last_restart {
        Some(at) if summary.restarts != 0 => format!(
            "{} ({} ago)",
            summary.restarts,
            human_duration(context.now - at)
        ),
        _ => summary.restarts.to_string(),
    };
    let gates = pod["spec"]["readinessGates"].items();
    let passed = gates
        .iter()
        .filter(|g| super::condition(pod, g["conditionType"].str()))
        .count();
    vec![
        pod.name().to_owned(),
        format!("{}/{}", summary.ready, summary.containers),
        summary.reason,
        restarts,
        age(pod, context),
        or(&pod["status"]["podIPs"][0]["ip"], "<none>"),
        or(&pod["spec"]["nodeName"], "<none>"),
        or(&pod["status"]["nominatedNodeName"], "<none>"),
        if gates.is_empty() {
            "<none>".to_owned()
        } else {
            format!("{passed}/{}", gates.len())
        },
    ]
}

/// What `kubectl get` says of a pod in few words (`printPod`).
pub struct Summary {
    /// How many of the containers are ready, sidecars among them.
    pub ready: usize,
    /// How many there are.
    pub containers: usize,
    /// What stands under STATUS: `Running`, `CrashLoopBackOff`.
    pub reason: String,
    restarts: i64,
    last_restart: Option<i64>,
}

impl Summary {
    /// Of a pod as it is stored.
    pub fn of(pod: &Value) -> Summary {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let restartable = |name: &str| {
            let mut init = spec["initContainers"].items().iter();
            init.any(|c| c["name"].str() == name && c["restartPolicy"].str() == "Always")
        };
        let sidecars = spec["initContainers"]
            .items()
            .iter()
            .filter(|c| c["restartPolicy"].str() == "Always")
            .count();
        let mut summary = Summary {
            ready: 0,
            containers: spec["containers"].items().len() + sidecars,
            reason: or(&status["reason"], status["phase"].str()),
            restarts: 0,
            last_restart: None,
        };
        let gated =
            |c: &Value| c["type"].str() == "PodScheduled" && c["reason"].str() == "SchedulingGated";
        if status["conditions"].items().iter().any(gated) {
            summary.reason = "SchedulingGated".to_owned();
        }
        let (mut sidecar_restarts, mut sidecar_restart) = (0, None);
        let mut initializing = false;
        for (at, container) in status["initContainerStatuses"].items().iter().enumerate() {
            let sidecar = restartable(container["name"].str());
            summary.count(container);
            if sidecar {
                sidecar_restarts += number(&container["restartCount"]);
                sidecar_restart = sidecar_restart.max(finished(container));
            }
            let state = &container["state"];
            let terminated = &state["terminated"];
            if !terminated.is_null() && number(&terminated["exitCode"]) == 0 {
                continue;
            }
            if sidecar && container["started"].as_bool() == Some(true) {
                summary.ready += usize::from(container["ready"].as_bool() == Some(true));
                continue;
            }
            summary.reason = if !terminated.is_null() {
                format!("Init:{}", end(terminated))
            } else {
                match state["waiting"]["reason"].str() {
                    "" | "PodInitializing" => {
                        format!("Init:{at}/{}", spec["initContainers"].items().len())
                    }
                    reason => format!("Init:{reason}"),
                }
            };
            initializing = true;
            break;
        }
        if !initializing || super::condition(pod, "Initialized") {
            (summary.restarts, summary.last_restart) = (sidecar_restarts, sidecar_restart);
            summary.main_containers(pod);
        }
        if pod.is_deleting() {
            if status["reason"].str() == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(status["phase"].str(), "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    fn main_containers(&mut self, pod: &Value) {
        let (mut running, mut failed) = (false, None);
        for container in pod["status"]["containerStatuses"].items().iter().rev() {
            self.count(container);
            let state = &container["state"];
            if !state["waiting"]["reason"].is_empty() {
                self.reason = state["waiting"]["reason"].str().to_owned();
            } else if !state["terminated"].is_null() {
                self.reason = end(&state["terminated"]);
                if number(&state["terminated"]["exitCode"]) != 0 {
                    failed = Some(self.reason.clone());
                }
            } else if container["ready"].as_bool() == Some(true) && !state["running"].is_null() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && super::condition(pod, "Ready") {
                self.reason = "Running".to_owned();
            } else if let Some(failed) = failed {
                self.reason = failed;
            } else if running {
                self.reason = "NotReady".to_owned();
            }
        }
    }

    fn count(&mut self, container: &Value) {
        self.restarts += number(&container["restartCount"]);
        self.last_restart = self.last_restart.max(finished(container));
    }
}

/// When the container's last run ended.
fn finished(container: &Value) -> Option<i64> {
    let at = container["lastState"]["terminated"]["finishedAt"].as_str()?;
    time::parse_seconds(at)
}

/// Why a container ended.
fn end(terminated: &Value) -> String {
    match (terminated["reason"].str(), number(&terminated["signal"])) {
        ("", 0) => format!("ExitCode:{}", number(&terminated["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn status(status: &str, want: (&str, &str, &str)) {
        let text = format!(
            r#"{{"metadata":{{"name":"p"}},"spec":{{"containers":[{{"name":"a"}},{{"name":"b"}}],"initContainers":[{{"name":"i"}}]}},"status":{status}}}"#
        );
        let row = row(
            &Value::from_json(&text).unwrap(),
            &Context {
                now: 1_000_000,
                wide: false,
            },
        );
        assert_eq!((row[1].as_str(), row[2].as_str(), row[3].as_str()), want);
    }

    #[test]
    fn a_pods_status_is_summed_up() {
        status(r#"{"phase":"Pending"}"#, ("0/2", "Pending", "0"));
        status(
            r#"{"phase":"Running","containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}},{"name":"b","ready":false,"restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"finishedAt":"1970-01-12T13:46:30Z"}}}]}"#,
            ("1/2", "CrashLoopBackOff", "2 (10s ago)"),
        );
        status(
            r#"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}]}"#,
            ("0/2", "Init:0/1", "0"),
        );
        status(
            r#"{"phase":"Failed","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}"#,
            ("0/2", "Init:Error", "0"),
        );
        status(
            r#"{"phase":"Failed","reason":"Evicted"}"#,
            ("0/2", "Evicted", "0"),
        );
        status(
            r#"{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}},{"name":"b","state":{"terminated":{"reason":"Completed"}}}]}"#,
            ("1/2", "Running", "0"),
        );
        status(
            r#"{"phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},{"name":"b","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}"#,
            ("0/2", "Error", "0"),
        );
    }
}
