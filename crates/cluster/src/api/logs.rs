//! What the API server has of a container's output: it asks the kubelet, which may refuse
//! (kubernetes v1.37, `pkg/registry/core/pod/strategy.go`, `pkg/kubelet/kubelet_pods.go`).

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, go};

use crate::cluster::Cluster;
use crate::runtime::Logs;

impl Cluster {
    /// The output of a pod's container, or of the run before; none before there is any.
    ///
    /// # Errors
    /// 400 and 500 in the kubelet's words where it has none to give.
    pub fn container_logs(
        &self,
        key: &ObjectKey,
        container: &str,
        previous: bool,
    ) -> Result<Option<&Logs>, Status> {
        let pod = self.get(key)?;
        if pod["spec"]["nodeName"].is_empty() {
            return Ok(None);
        }
        let path = format!("containerLogs/{}/{}/{container}", key.namespace, key.name);
        if let Some((at, error)) = self.kubelet_dial_error(pod) {
            return Err(Status::unnamed(format!(
                "Get \"https://{at}/{path}\": {error}"
            )));
        }
        let status = container_status(pod, container);
        let name = format!(
            "container {} in pod {}",
            go::quote(container),
            go::quote(&key.name)
        );
        let last = &status["lastState"]["terminated"];
        let running = &status["state"]["running"];
        let ended = &status["state"]["terminated"];
        if previous {
            return match last.is_null() {
                true => Err(Status::bad_request(format!(
                    "previous terminated {name} not found"
                ))),
                false => Ok(self.logs(key, container, true)),
            };
        }
        if running.is_null() && ended.is_null() {
            if last.is_null() {
                let reason = status["state"]["waiting"]["reason"].str();
                return Err(Status::bad_request(format!("{name} {}", waiting(reason))));
            }
            // The container is waiting to be started again: its last run's output is shown.
            let current = self.logs(key, container, false);
            if current.is_none_or(|logs| logs.lines().next().is_none()) {
                return Ok(self.logs(key, container, true));
            }
        }
        Ok(self.logs(key, container, false))
    }
}

fn waiting(reason: &str) -> String {
    match reason {
        "" => "is waiting to start - no logs yet".to_owned(),
        "ErrImagePull" => "is waiting to start: image can't be pulled".to_owned(),
        "ImagePullBackOff" => "is waiting to start: trying and failing to pull image".to_owned(),
        reason => format!("is waiting to start: {reason}"),
    }
}

/// The status of one of a pod's containers, of whatever kind.
fn container_status(pod: &Value, container: &str) -> Value {
    let lists = [
        "initContainerStatuses",
        "containerStatuses",
        "ephemeralContainerStatuses",
    ];
    let all = lists.iter().flat_map(|list| pod["status"][*list].items());
    let mut named = all.filter(|s| s["name"].str() == container);
    named.next().cloned().unwrap_or_default()
}
