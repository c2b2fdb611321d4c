//! What a Job's failure policy makes of its failed pods
//! (kubernetes v1.37, `pkg/controller/job/pod_failure_policy.go`).

use kubarium_objects::{ObjectKey, Value};

use super::pods;

/// What the Job's failure policy makes of a failed pod.
pub(super) enum Judgement {
    /// It counts as a failure.
    Count,
    /// It does not.
    Ignore,
    /// Its index has failed for good.
    FailIndex,
    /// The Job has, with that message.
    FailJob(String),
}

/// Goes through the rules of the failure policy (`matchPodFailurePolicy`).
pub(super) fn judge(job: &Value, key: &ObjectKey, pod: &Value) -> Judgement {
    for (at, rule) in job["spec"]["podFailurePolicy"]["rules"]
        .items()
        .iter()
        .enumerate()
    {
        let action = rule["action"].str();
        let found = match rule.get("onExitCodes") {
            Some(codes) => exit_code(codes, pod).map(|(container, code)| {
                format!(
                    "Container {container} for pod {}/{} failed with exit code {code} matching {action} rule at index {at}",
                    key.namespace, key.name
                )
            }),
            None => {
                let mut patterns = rule["onPodConditions"].items().iter();
                let matching = patterns.find(|pattern| {
                    pods::condition(pod, pattern["type"].str()).is_some_and(|c| {
                        c["status"].str() == pattern["status"].as_str().unwrap_or("True")
                    })
                });
                matching.map(|pattern| {
                    format!(
                        "Pod {}/{} has condition {} matching {action} rule at index {at}",
                        key.namespace,
                        key.name,
                        pattern["type"].str()
                    )
                })
            }
        };
        if let Some(message) = found {
            return match action {
                "Ignore" => Judgement::Ignore,
                "FailIndex" => Judgement::FailIndex,
                "FailJob" => Judgement::FailJob(message),
                _ => Judgement::Count,
            };
        }
    }
    Judgement::Count
}

/// The container whose exit code a rule is about, with the code.
fn exit_code<'a>(codes: &Value, pod: &'a Value) -> Option<(&'a str, i64)> {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| pod["status"][*list].items());
    statuses.find_map(|status| {
        let name = codes["containerName"].str();
        let code = status["state"]["terminated"]["exitCode"]
            .as_i64()
            .filter(|code| *code != 0)?;
        let among = codes["values"]
            .items()
            .iter()
            .any(|v| v.as_i64() == Some(code));
        let wanted = among == (codes["operator"].str() == "In");
        (wanted && (name.is_empty() || name == status["name"].str()))
            .then(|| (status["name"].str(), code))
    })
}
