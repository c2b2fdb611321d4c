//! The controllers, each by what it makes of a few objects.

mod common;

use common::{World, key};
use kubarium_cluster::Component;
use kubarium_cluster::api::{DeleteOptions, Propagation};
use kubarium_objects::ObjectMeta;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: 'nginx:1.27', ports: [{name: http, containerPort: 80}]}]
";
const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, labels: {team: a}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
";

fn sizes(world: &World) -> Vec<(i64, i64)> {
    let mut sets: Vec<_> = world.list("replicasets.apps");
    sets.sort_by_key(|s| {
        s.annotation("deployment.kubernetes.io/revision")
            .map(str::to_owned)
    });
    let size = |s: &&kubarium_objects::Value| {
        (
            s["spec"]["replicas"].as_i64().unwrap_or(-1),
            s["status"]["readyReplicas"].as_i64().unwrap_or(0),
        )
    };
    sets.iter().map(size).collect()
}

#[test]
fn a_deployment_comes_up() {
    let mut world = World::new(2);
    world.apply(WEB).run(5.0);
    assert_eq!(sizes(&world), [(3, 3)]);
    let set = world.list("replicasets.apps")[0].clone();
    let pods = world.list("pods");
    assert!(
        pods.iter()
            .all(|p| p.name().starts_with(&format!("{}-", set.name()))
                && !p["spec"]["nodeName"].is_empty())
    );
    assert_eq!(
        world.events("web"),
        [format!("Scaled up replica set {} from 0 to 3", set.name())]
    );
    let progress = (
        "True".to_owned(),
        "NewReplicaSetAvailable".to_owned(),
        format!("ReplicaSet \"{}\" has successfully progressed.", set.name()),
    );
    assert_eq!(
        world.condition("deployments.apps", "web", "Progressing"),
        progress
    );
    assert_eq!(
        world.condition("deployments.apps", "web", "Available").2,
        "Deployment has minimum availability."
    );
    let status = &world.get("deployments.apps", "web")["status"];
    assert_eq!(status["observedGeneration"].as_i64(), Some(1));
    assert_eq!(
        [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas"
        ]
        .map(|f| status[f].as_i64()),
        [Some(3), Some(3), Some(3), Some(3), None]
    );
    assert!(
        world
            .events(set.name())
            .iter()
            .all(|m| m.starts_with("Created pod: web-"))
    );
}

#[test]
fn a_new_template_rolls_out_and_back() {
    let mut world = World::new(2);
    world.apply(WEB).run(5.0);
    let old = world.list("replicasets.apps")[0].name().to_owned();
    let image = ["spec", "template", "spec", "terminationGracePeriodSeconds"];
    world.change("deployments.apps", "web", &image, 5).run(8.0);
    assert_eq!(sizes(&world), [(0, 0), (3, 3)]);
    let new = world
        .list("replicasets.apps")
        .into_iter()
        .map(|s| s.name().to_owned())
        .find(|n| *n != old)
        .expect("a second set");
    let moves: Vec<String> = world
        .events("web")
        .iter()
        .map(|m| m.replace(&old, "OLD").replace(&new, "NEW"))
        .collect();
    assert_eq!(
        moves,
        [
            "Scaled up replica set OLD from 0 to 3",
            "Scaled up replica set NEW from 0 to 1",
            "Scaled down replica set OLD from 3 to 2",
            "Scaled up replica set NEW from 1 to 2",
            "Scaled down replica set OLD from 2 to 1",
            "Scaled up replica set NEW from 2 to 3",
            "Scaled down replica set OLD from 1 to 0",
        ]
    );
    world.change("deployments.apps", "web", &image, 30).run(8.0);
    let set = world.get("replicasets.apps", &old);
    assert_eq!(
        set.annotation("deployment.kubernetes.io/revision"),
        Some("3")
    );
    assert_eq!(
        set.annotation("deployment.kubernetes.io/revision-history"),
        Some("1")
    );
    assert_eq!(world.list("pods").len(), 3);
}

#[test]
fn a_rollout_that_hangs_exceeds_its_deadline() {
    let mut world = World::new(1);
    world.kubelets = false;
    world
        .apply(&WEB.replace("replicas: 3", "replicas: 1\n  progressDeadlineSeconds: 20"))
        .run(40.0);
    assert_eq!(
        world.condition("deployments.apps", "web", "Progressing").1,
        "ProgressDeadlineExceeded"
    );
}

#[test]
fn recreate_lets_the_old_go_first() {
    let mut world = World::new(1);
    world
        .apply(&WEB.replace("replicas: 3", "replicas: 2\n  strategy: {type: Recreate}"))
        .run(5.0);
    world
        .change(
            "deployments.apps",
            "web",
            &["spec", "template", "spec", "terminationGracePeriodSeconds"],
            5,
        )
        .run(8.0);
    assert_eq!(sizes(&world), [(0, 0), (2, 2)]);
    assert_eq!(world.events("web").len(), 3);
}

#[test]
fn scaling_and_pausing() {
    let mut world = World::new(1);
    world.apply(WEB).run(5.0);
    world
        .change("deployments.apps", "web", &["spec", "replicas"], 1)
        .run(3.0);
    assert_eq!((sizes(&world), world.list("pods").len()), (vec![(1, 1)], 1));
    world.change("deployments.apps", "web", &["spec", "paused"], true);
    world
        .change(
            "deployments.apps",
            "web",
            &["spec", "template", "spec", "terminationGracePeriodSeconds"],
            5,
        )
        .run(3.0);
    assert_eq!(sizes(&world).len(), 1);
    assert_eq!(
        world.condition("deployments.apps", "web", "Progressing").1,
        "DeploymentPaused"
    );
    world
        .change("deployments.apps", "web", &["spec", "paused"], false)
        .run(5.0);
    assert_eq!(sizes(&world), [(0, 0), (1, 1)]);
}

#[test]
fn a_replica_set_releases_and_adopts() {
    let mut world = World::new(1);
    world.apply(WEB).run(5.0);
    let pod = world.list("pods")[0].name().to_owned();
    let labels = world.get("pods", &pod).labels().clone();
    world
        .change("pods", &pod, &["metadata", "labels", "app"], "other")
        .run(3.0);
    assert_eq!(world.list("pods").len(), 4);
    assert!(world.get("pods", &pod).controller_ref().is_none());
    world
        .change("pods", &pod, &["metadata", "labels"], labels)
        .run(3.0);
    assert_eq!(world.list("pods").len(), 3);
}

#[test]
fn endpoints_follow_pods() {
    let mut world = World::new(2);
    world.apply(SERVICE).run(1.0);
    let slice = world
        .list("endpointslices.discovery.k8s.io")
        .pop()
        .cloned()
        .expect("a placeholder");
    assert!(slice["endpoints"].items().is_empty() && slice.name().starts_with("web-"));
    world.apply(WEB).run(5.0);
    let slices = world.list("endpointslices.discovery.k8s.io");
    assert_eq!((slices.len(), slices[0]["endpoints"].items().len()), (1, 3));
    assert_eq!(slices[0].label("team"), Some("a"));
    assert_eq!(
        slices[0]["ports"].to_json(),
        r#"[{"name":"","port":80,"protocol":"TCP"}]"#
    );
    let endpoint = &slices[0]["endpoints"][0];
    assert_eq!(
        endpoint["conditions"].to_json(),
        r#"{"ready":true,"serving":true,"terminating":false}"#
    );
    assert_eq!(
        world.get("endpoints", "web")["subsets"][0]["addresses"]
            .items()
            .len(),
        3
    );
    world
        .change("deployments.apps", "web", &["spec", "replicas"], 250)
        .run(20.0);
    let mut sizes: Vec<usize> = world
        .list("endpointslices.discovery.k8s.io")
        .iter()
        .map(|s| s["endpoints"].items().len())
        .collect();
    sizes.sort();
    assert_eq!(sizes.iter().sum::<usize>(), 250);
    assert!(sizes.iter().all(|n| *n <= 100), "{sizes:?}");
    world
        .change("deployments.apps", "web", &["spec", "replicas"], 0)
        .run(10.0);
    assert_eq!(world.list("endpointslices.discovery.k8s.io").len(), 1);
    world
        .cluster
        .delete(
            &Component::Person,
            &key("services", "web"),
            &DeleteOptions::default(),
        )
        .expect("deleted");
    world.run(2.0);
    assert_eq!(
        (
            world.list("endpointslices.discovery.k8s.io").len(),
            world.list("endpoints").len()
        ),
        (0, 0)
    );
}

#[test]
fn owners_take_what_they_own_along() {
    for (propagation, pods) in [
        (Propagation::Background, 0),
        (Propagation::Foreground, 0),
        (Propagation::Orphan, 3),
    ] {
        let mut world = World::new(1);
        world.apply(WEB).run(5.0);
        let options = DeleteOptions {
            propagation,
            ..DeleteOptions::default()
        };
        world
            .cluster
            .delete(
                &Component::Person,
                &key("deployments.apps", "web"),
                &options,
            )
            .expect("deleted");
        world.run(5.0);
        assert!(world.list("deployments.apps").is_empty(), "{propagation:?}");
        assert_eq!(world.list("pods").len(), pods, "{propagation:?}");
        assert_eq!(
            world.list("replicasets.apps").len(),
            usize::from(pods > 0),
            "{propagation:?}"
        );
    }
}

#[test]
fn a_namespace_is_furnished_and_emptied() {
    let mut world = World::new(1);
    world
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
        .run(1.0);
    assert!(
        world
            .cluster
            .find("serviceaccounts", "shop", "default")
            .is_some()
    );
    assert!(
        world
            .cluster
            .find("configmaps", "shop", "kube-root-ca.crt")
            .is_some()
    );
    world
        .apply(&WEB.replace("name: web}", "name: web, namespace: shop}"))
        .run(5.0);
    assert_eq!(world.list("pods").len(), 3);
    world
        .cluster
        .delete(
            &Component::Person,
            &key("namespaces", "shop"),
            &DeleteOptions::default(),
        )
        .expect("deleted");
    world.run(5.0);
    assert!(world.list("pods").is_empty() && world.get("namespaces", "shop").is_null());
}

#[test]
fn nodes_get_their_addresses_and_lose_their_pods() {
    let mut world = World::new(2);
    assert_eq!(
        ["n1", "n2"].map(|n| world.get("nodes", n)["spec"]["podCIDR"].str().to_owned()),
        ["10.42.0.0/24", "10.42.1.0/24"]
    );
    world.apply(WEB).run(5.0);
    let node = world.list("pods")[0]["spec"]["nodeName"].str().to_owned();
    world
        .cluster
        .modify(
            &Component::Person,
            &key("nodes", &node),
            kubarium_cluster::api::Subresource::Status,
            |n| {
                n["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-05T09:00:00Z".into();
            },
        )
        .expect("accepted");
    world.run(90.0);
    assert_eq!(world.condition("nodes", &node, "Ready").0, "Unknown");
    let taints: Vec<&str> = world.get("nodes", &node)["spec"]["taints"]
        .items()
        .iter()
        .map(|t| t["effect"].str())
        .collect();
    assert_eq!(taints, ["NoExecute", "NoSchedule"]);
    world.run(330.0);
    let left = world
        .list("pods")
        .into_iter()
        .filter(|p| p["spec"]["nodeName"].str() == node)
        .count();
    assert_eq!((left, world.list("pods").len()), (0, 3));
}

#[test]
fn a_stateful_set_goes_in_order() {
    let mut world = World::new(2);
    let set = WEB
        .replace("Deployment", "StatefulSet")
        .replace("replicas: 3", "replicas: 3\n  serviceName: web");
    world.apply(&set).run(5.0);
    let names: Vec<&str> = world.list("pods").iter().map(|p| p.name()).collect();
    assert_eq!(names, ["web-0", "web-1", "web-2"]);
    let created = (0..3).map(|n| format!("create Pod web-{n} in StatefulSet web successful"));
    assert_eq!(world.events("web"), created.collect::<Vec<_>>());
    assert_eq!(world.get("pods", "web-1")["spec"]["subdomain"].str(), "web");
    let old = world.get("statefulsets.apps", "web")["status"]["currentRevision"].text();
    world
        .change(
            "statefulsets.apps",
            "web",
            &["spec", "template", "spec", "terminationGracePeriodSeconds"],
            5,
        )
        .run(10.0);
    let status = world.get("statefulsets.apps", "web")["status"].clone();
    assert!(
        status["currentRevision"].str() != &*old
            && status["currentRevision"] == status["updateRevision"],
        "{status}"
    );
    assert_eq!(
        [&status["readyReplicas"], &status["updatedReplicas"]].map(|v| v.as_i64()),
        [Some(3), Some(3)]
    );
    world
        .change("statefulsets.apps", "web", &["spec", "replicas"], 1)
        .run(5.0);
    assert_eq!(
        world
            .list("pods")
            .iter()
            .map(|p| p.name())
            .collect::<Vec<_>>(),
        ["web-0"]
    );
}

#[test]
fn a_daemon_set_is_on_every_node() {
    let mut world = World::new(3);
    world.change(
        "nodes",
        "n3",
        &["spec", "taints"],
        kubarium_objects::Value::from_json(r#"[{"key":"a","effect":"NoSchedule"}]"#).expect("json"),
    );
    let set = WEB
        .replace("Deployment", "DaemonSet")
        .replace("  replicas: 3\n", "");
    world.apply(&set).run(5.0);
    let on = |world: &World| {
        let mut nodes: Vec<String> = world
            .list("pods")
            .iter()
            .map(|p| p["spec"]["nodeName"].str().to_owned())
            .collect();
        nodes.sort();
        nodes
    };
    assert_eq!(on(&world), ["n1", "n2"]);
    world
        .change(
            "nodes",
            "n3",
            &["spec", "taints"],
            kubarium_objects::Value::Null,
        )
        .run(5.0);
    assert_eq!(on(&world), ["n1", "n2", "n3"]);
    world
        .change(
            "daemonsets.apps",
            "web",
            &["spec", "template", "spec", "terminationGracePeriodSeconds"],
            5,
        )
        .run(10.0);
    let status = &world.get("daemonsets.apps", "web")["status"];
    assert_eq!(
        ["updatedNumberScheduled", "numberAvailable"].map(|f| status[f].as_i64()),
        [Some(3), Some(3)],
        "{status}"
    );
}

#[test]
fn a_job_completes_or_fails() {
    let job = "
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec:
  completions: 2
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}
";
    for (phase, condition) in [("Succeeded", "Complete"), ("Failed", "Failed")] {
        let mut world = World::new(1);
        world.apply(job);
        for _ in 0..3 {
            world.run(1.0);
            let pods: Vec<String> = world
                .list("pods")
                .iter()
                .filter(|p| p["status"]["phase"].str() == "Running")
                .map(|p| p.name().to_owned())
                .collect();
            pods.iter().for_each(|name| {
                world.set_status(&key("pods", name), |s| s["phase"] = phase.into())
            });
        }
        world.run(2.0);
        assert_eq!(
            world.condition("jobs.batch", "sum", condition).0,
            "True",
            "{:?}",
            world.get("jobs.batch", "sum")["status"].to_json()
        );
        assert!(
            world
                .list("pods")
                .iter()
                .all(|p| p.finalizers().next().is_none())
        );
    }
}

#[test]
fn a_cron_job_makes_jobs() {
    let cron = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: '* * * * *'
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}}}
";
    let mut world = World::new(1);
    world.apply(cron).run(150.0);
    assert_eq!(world.list("jobs.batch").len(), 2);
    assert!(world.events("tick")[0].starts_with("Created job tick-"));
}

#[test]
fn a_budget_counts_what_may_go() {
    let mut world = World::new(1);
    world.apply(WEB).apply("{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}}").run(5.0);
    let status = &world.get("poddisruptionbudgets.policy", "web")["status"];
    assert_eq!(
        [
            "currentHealthy",
            "desiredHealthy",
            "disruptionsAllowed",
            "expectedPods"
        ]
        .map(|f| status[f].as_i64()),
        [Some(3), Some(2), Some(1), Some(3)]
    );
}
