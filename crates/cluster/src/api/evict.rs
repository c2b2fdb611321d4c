//! The eviction subresource of pods: a deletion that asks the disruption budgets first
//! (kube-apiserver v1.37, `pkg/registry/core/pod/storage/eviction.go`).

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{DeleteOptions, Subresource};
use crate::cluster::Cluster;
use crate::controllers::pods;
use crate::event::Component;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl Cluster {
    /// POST of an Eviction: deletes a pod, if its disruption budget allows it.
    ///
    /// # Errors
    /// 404; 429 where the budget is used up or not known yet; 500 where there are two budgets.
    pub fn evict(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<Value, Status> {
        let pod = self.get(key)?.clone();
        let settled = matches!(pod["status"]["phase"].str(), "Pending") || pods::is_over(&pod);
        if !settled && !pod.is_deleting() && !options.dry_run {
            self.spend_budget(by, key, &pod)?;
            let now = self.now.rfc3339();
            self.modify(by, key, Subresource::Status, |pod| {
                let condition = object([
                    ("lastProbeTime", Value::Null),
                    ("lastTransitionTime", now.into()),
                    ("message", "Eviction API: evicting".into()),
                    ("observedGeneration", pod.generation().into()),
                    ("reason", "EvictionByEvictionAPI".into()),
                    ("status", "True".into()),
                    ("type", "DisruptionTarget".into()),
                ]);
                let conditions = pod["status"]["conditions"].array_mut();
                conditions.retain(|c| c["type"].str() != "DisruptionTarget");
                conditions.push(condition);
            })?;
        }
        self.delete(by, key, options)
    }

    /// Takes one from the budget of a pod.
    fn spend_budget(&mut self, by: &Component, key: &ObjectKey, pod: &Value) -> Result<(), Status> {
        let selecting =
            self.index
                .selecting("poddisruptionbudgets.policy", &key.namespace, pod.labels());
        let budgets: Vec<(ObjectKey, Value)> = selecting
            .into_iter()
            .filter_map(|key| Some((key.clone(), self.etcd.get(&key)?.clone())))
            .filter(|(_, budget)| pods::selector(&budget["spec"]["selector"]).matches(pod.labels()))
            .collect();
        let (budget_key, budget) = match &budgets[..] {
            [] => return Ok(()),
            [only] => only,
            _ => {
                return Err(Status::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let status = &budget["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        if !pods::is_ready(pod) {
            let always = budget["spec"]["unhealthyPodEvictionPolicy"].str() == "AlwaysAllow";
            let healthy = number("currentHealthy") >= number("desiredHealthy")
                && number("desiredHealthy") > 0;
            if always || healthy {
                return Ok(());
            }
        }
        if number("observedGeneration") < budget.generation() || number("disruptionsAllowed") <= 0 {
            return Err(Status::too_many_requests(REFUSED, 0));
        }
        let now: Value = self.now.rfc3339().into();
        self.modify(by, budget_key, Subresource::Status, |budget| {
            let left = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) - 1;
            budget["status"]["disruptionsAllowed"] = left.into();
            budget["status"]["disruptedPods"][&*key.name] = now;
        })
        .map(drop)
    }
}
