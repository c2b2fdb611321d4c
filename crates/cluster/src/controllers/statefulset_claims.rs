//! A StatefulSet's claims: made from its templates, one set for each pod, and what becomes of them
//! when the set shrinks or goes (kubernetes v1.37, `pkg/controller/statefulset/stateful_set_utils.go`;
//! KEP-1847).

use kubarium_objects::meta::OwnerReference;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::statefulset::Sync;
use super::{Outcome, pods};
use crate::api::Subresource;

const CLAIMS: &str = "persistentvolumeclaims";

impl Sync<'_> {
    /// Whether the set's claims are deleted then (`whenDeleted`, `whenScaled`).
    fn goes(&self, when: &str) -> bool {
        let policy = &self.set["spec"]["persistentVolumeClaimRetentionPolicy"];
        policy[when].str() == "Delete"
    }

    /// The claims of a pod: each claim template with its name.
    pub(super) fn claims(&self, pod: &str) -> Vec<(Text, Value)> {
        let claim = |template: &Value| {
            let name: Text = format!("{}-{pod}", template.name()).into();
            let mut claim = object([
                ("apiVersion", "v1".into()),
                ("kind", "PersistentVolumeClaim".into()),
                ("metadata", template["metadata"].clone()),
                ("spec", template["spec"].clone()),
            ]);
            claim["metadata"]["name"] = (&name).into();
            claim["metadata"]["namespace"] = self.set["metadata"]["namespace"].clone();
            for (key, value) in self.set["spec"]["selector"]["matchLabels"].entries() {
                claim["metadata"]["labels"][&**key] = value.clone();
            }
            (name, claim)
        };
        self.set["spec"]["volumeClaimTemplates"]
            .items()
            .iter()
            .map(claim)
            .collect()
    }

    pub(super) fn create_claims(&mut self, pod: &str) -> Outcome {
        let deleted = self.goes("whenDeleted");
        for (name, mut claim) in self.claims(pod) {
            if self
                .cluster
                .find("persistentvolumeclaims", self.set.namespace(), &name)
                .is_some()
            {
                continue;
            }
            if deleted {
                claim["metadata"]["ownerReferences"].push(pods::controller_ref(&self.set));
            }
            let set = self.set.name().to_owned();
            let (reason, result) = match self.cluster.create(self.by, claim) {
                Ok(_) => ("SuccessfulCreate", Ok(())),
                Err(status) => ("FailedCreate", Err(status)),
            };
            match &result {
                Ok(()) => self.cluster.record(
                    self.by,
                    &self.set,
                    reason,
                    &format!("Create Claim {name} Pod {pod} in StatefulSet {set} success"),
                ),
                Err(status) => {
                    let message = format!(
                        "Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {}",
                        status.message
                    );
                    self.cluster.warn(self.by, &self.set, reason, &message);
                }
            }
            result?;
        }
        Ok(())
    }

    /// Makes a pod's claims the garbage collector's to delete, with their set or with their pod, as
    /// the retention policy says; a pod that is `condemned` goes for good.
    pub(super) fn own_claims(&mut self, pod: &Value, condemned: bool) -> Outcome {
        if self.set["spec"]["volumeClaimTemplates"].items().is_empty() {
            return Ok(());
        }
        let owner = match (
            self.goes("whenScaled") && condemned,
            self.goes("whenDeleted"),
        ) {
            (true, _) => Some(pods::controller_ref(pod)),
            (false, true) => Some(pods::controller_ref(&self.set)),
            (false, false) => None,
        };
        let set = self.set.uid().to_owned();
        for (name, _) in self.claims(pod.name()) {
            let key = ObjectKey::new(CLAIMS, self.set.namespace(), name);
            let Some(claim) = self.cluster.etcd.get(&key) else {
                continue;
            };
            let old = claim["metadata"]["ownerReferences"].items();
            let ours = |o: &&Value| {
                let uid = o["uid"].str();
                uid == set
                    || uid == pod.uid()
                    || o["kind"].str() == "Pod" && o["name"].str() == pod.name()
            };
            let others = old.iter().filter(|o| !ours(o));
            let new: Vec<Value> = others.cloned().chain(owner.clone()).collect();
            if new == old {
                continue;
            }
            self.cluster
                .modify(self.by, &key, Subresource::None, |claim| {
                    match new.is_empty() {
                        true => drop(claim.remove(&["metadata", "ownerReferences"])),
                        false => claim["metadata"]["ownerReferences"] = new.into(),
                    }
                })?;
        }
        Ok(())
    }

    /// Whether claims of a pod still belong to one of the same name that is gone: they go, too.
    pub(super) fn has_stale_claims(&self, pod: &str) -> bool {
        self.claims(pod).iter().any(|(name, _)| {
            let claim = self.cluster.find(CLAIMS, self.set.namespace(), name);
            claim.is_some_and(|claim| {
                let is_pod = |o: OwnerReference<'_>| o.kind() == "Pod" && o.name() == pod;
                claim.owner_references().any(is_pod)
            })
        })
    }
}
