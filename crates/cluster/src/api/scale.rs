//! The scale of an object: how many replicas there are to be, whatever the object is
//! (kubernetes v1.37, `pkg/registry/apps`; apiextensions-apiserver v0.37,
//! `pkg/registry/customresource/etcd.go`).

use kubarium_objects::schema::Resource;
use kubarium_objects::{Selector, Value, object};

use crate::cluster::Cluster;

/// Where an object has its numbers of replicas and its selector.
struct Paths {
    wanted: Vec<String>,
    present: Vec<String>,
    /// None for the selector of workloads.
    selector: Option<Vec<String>>,
}

impl Paths {
    fn of(cluster: &Cluster, resource: &Resource) -> Paths {
        let steps = |path: &str| path.split('.').skip(1).map(str::to_owned).collect();
        let version = cluster.definitions().version(resource);
        match version.map(|v| &v.scale) {
            Some(scale) => Paths {
                wanted: steps(scale["specReplicasPath"].str()),
                present: steps(scale["statusReplicasPath"].str()),
                selector: Some(steps(scale["labelSelectorPath"].str())),
            },
            None => Paths {
                wanted: steps(".spec.replicas"),
                present: steps(".status.replicas"),
                selector: None,
            },
        }
    }
}

fn at<'a>(o: &'a Value, steps: &[String]) -> &'a Value {
    steps.iter().fold(o, |o, step| &o[step.as_str()])
}

impl Cluster {
    /// The scale of an object (`autoscaling/v1`).
    pub fn scale_of(&self, resource: &Resource, o: &Value) -> Value {
        let paths = Paths::of(self, resource);
        let mut metadata = Value::new_object();
        for field in [
            "creationTimestamp",
            "name",
            "namespace",
            "resourceVersion",
            "uid",
        ] {
            metadata[field] = o["metadata"][field].clone();
        }
        let mut spec = Value::new_object();
        // Go leaves a zero out here.
        if let Some(wanted) = at(o, &paths.wanted).as_i64().filter(|n| *n != 0) {
            spec["replicas"] = wanted.into();
        }
        let present = at(o, &paths.present).as_i64().unwrap_or(0);
        let mut status = object([("replicas", present.into())]);
        let selector = match (&paths.selector, &*resource.kind) {
            (Some(steps), _) => at(o, steps).str().to_owned(),
            (None, "ReplicationController") => {
                Selector::from_map(&o["spec"]["selector"]).to_string()
            }
            (None, _) => Selector::from_label_selector(&o["spec"]["selector"])
                .map_or(String::new(), |s| s.to_string()),
        };
        if !selector.is_empty() {
            status["selector"] = selector.into();
        }
        object([
            ("apiVersion", "autoscaling/v1".into()),
            ("kind", "Scale".into()),
            ("metadata", metadata),
            ("spec", spec),
            ("status", status),
        ])
    }

    /// The merge patch that gives an object another number of replicas.
    pub fn scale_change(&self, resource: &Resource, replicas: i64) -> Value {
        let paths = Paths::of(self, resource);
        let steps = paths.wanted.iter().rev();
        steps.fold(replicas.into(), |inner, step| {
            object([(step.as_str(), inner)])
        })
    }
}
