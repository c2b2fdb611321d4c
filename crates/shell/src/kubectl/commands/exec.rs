//! `kubectl exec`, `kubectl logs`, `kubectl attach`, `kubectl port-forward`

use kubarium_objects::Value;

use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};

/// `kubectl run -it`
pub(super) fn run_attached(_: &mut Kubectl, _: Value) -> Result {
    plain(crate::registry::not_yet(
        "kubectl run --stdin",
        "start the pod without -i, then use kubectl exec or kubectl logs",
    ))
}
