//! The controller manager: one file for each loop.
//!
//! A controller is a row in [`CONTROLLERS`]: its name, what it wants to hear of, and what it does
//! for one object. It reads the store as its informers would, writes through the API server, and
//! keeps no state of its own beside what it stores.

use std::time::Duration;

use kubarium_objects::ObjectKey;

use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;

/// One control loop.
pub(crate) struct Controller {
    /// Its name, as in kube-controller-manager's `--controllers`.
    pub name: &'static str,
    /// Which objects to look at because of a change.
    pub observe: fn(&Cluster, &Change) -> Vec<ObjectKey>,
    /// Brings the actual state of one object nearer to the desired one.
    pub sync: fn(&mut Cluster, &Component, &ObjectKey),
}

/// All loops, in the order in which they hear of a change.
pub(crate) static CONTROLLERS: &[Controller] = &[];

/// Tells the controllers of a change.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    let delay = Duration::from_millis(cluster.config.timing.watch_ms);
    for controller in CONTROLLERS {
        for key in (controller.observe)(cluster, change) {
            cluster.enqueue(Task::Controller(controller.name, key), delay);
        }
    }
}

/// Carries out a controller's work item.
pub(crate) fn run(cluster: &mut Cluster, name: &'static str, key: &ObjectKey) {
    if let Some(controller) = CONTROLLERS.iter().find(|c| c.name == name) {
        (controller.sync)(cluster, &Component::Controller(name), key);
    }
}
