//! The controllers, each by what it makes of a few objects.

use crate::common::{World, key};
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

/// Zones get endpoints by their CPU: `a` has two of the three nodes.
#[test]
fn endpoints_are_meant_for_zones() {
    let mut world = World::new(3);
    for (node, zone) in [("n1", "a"), ("n2", "a"), ("n3", "b")] {
        let label = ["metadata", "labels", "topology.kubernetes.io/zone"];
        world.change("nodes", node, &label, zone);
    }
    let auto = "annotations: {service.kubernetes.io/topology-mode: Auto}, labels:";
    world.apply(&SERVICE.replace("labels:", auto)).apply(WEB);
    let zones = |world: &World| -> Vec<String> {
        let slices = world.list("endpointslices.discovery.k8s.io");
        let endpoints = slices.iter().flat_map(|s| s["endpoints"].items());
        let mut zones: Vec<String> = endpoints
            .map(|e| e["hints"]["forZones"][0]["name"].str().to_owned())
            .collect();
        zones.sort();
        zones
    };
    let mut said = |replicas: i64| -> (String, Vec<String>) {
        let path = ["spec", "replicas"];
        world.change("deployments.apps", "web", &path, replicas);
        world.run(5.0);
        let events = world.events("web").pop().unwrap_or_default();
        (events, zones(&world))
    };
    assert_eq!(said(6).1, ["a", "a", "a", "a", "b", "b"]);
    let (event, only) = said(1);
    assert_eq!(only, [""]);
    assert_eq!(
        event,
        "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4"
    );
    assert_eq!(said(6).1, ["a", "a", "a", "a", "b", "b"]);
    // A node in another zone: `b` has two of the three now, and its endpoints would be overloaded.
    let label = ["metadata", "labels", "topology.kubernetes.io/zone"];
    world.change("nodes", "n2", &label, "b");
    world.run(5.0);
    assert_eq!(zones(&world), ["a", "a", "b", "b", "b", "b"]);
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
    assert_eq!(taints, ["NoSchedule", "NoExecute"]);
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
    let created = (0..3).map(|n| format!("Create Pod web-{n} in StatefulSet web successful"));
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

#[test]
fn a_sets_claims_stay_or_go_as_told() {
    let set = |policy: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec: {{serviceName: db, replicas: 2, {policy}selector: {{matchLabels: {{app: db}}}}, template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: c, image: nginx}}]}}}}, volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], storageClassName: '', resources: {{requests: {{storage: 1Gi}}}}}}}}]}}"
        )
    };
    let volumes = ["a", "b"]
        .map(|name| format!("apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}}}\nspec: {{capacity: {{storage: 1Gi}}, accessModes: [ReadWriteOnce], hostPath: {{path: /tmp/{name}}}}}\n"))
        .join("---\n");
    let claims = |world: &World| -> Vec<(String, String)> {
        let owner = |c: &kubarium_objects::Value| {
            c["metadata"]["ownerReferences"][0]["kind"].str().to_owned()
        };
        let all = world.list("persistentvolumeclaims");
        all.iter()
            .map(|c| (c.name().to_owned(), owner(c)))
            .collect()
    };
    let named = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    let policy = |scaled: &str, deleted: &str| {
        format!(
            "persistentVolumeClaimRetentionPolicy: {{whenScaled: {scaled}, whenDeleted: {deleted}}}, "
        )
    };
    for (policy, up, down, gone) in [
        (
            String::new(),
            &[("data-db-0", ""), ("data-db-1", "")][..],
            2,
            2,
        ),
        (
            policy("Retain", "Delete"),
            &[("data-db-0", "StatefulSet"), ("data-db-1", "StatefulSet")],
            2,
            0,
        ),
        (
            policy("Delete", "Retain"),
            &[("data-db-0", ""), ("data-db-1", "")],
            1,
            1,
        ),
        (
            policy("Delete", "Delete"),
            &[("data-db-0", "StatefulSet"), ("data-db-1", "StatefulSet")],
            1,
            0,
        ),
    ] {
        let mut world = World::new(1);
        world.apply(&volumes).apply(&set(&policy)).run(20.0);
        assert_eq!(claims(&world), named(up), "{policy}");
        world
            .change("statefulsets.apps", "db", &["spec", "replicas"], 1)
            .run(20.0);
        assert_eq!(claims(&world).len(), down, "{policy} scaled down");
        let options = DeleteOptions {
            propagation: Propagation::Background,
            ..DeleteOptions::default()
        };
        world
            .cluster
            .delete(
                &Component::Person,
                &key("statefulsets.apps", "db"),
                &options,
            )
            .expect("accepted");
        world.run(20.0);
        assert_eq!(claims(&world).len(), gone, "{policy} deleted");
    }
}

#[test]
fn two_sets_of_one_name_and_template_come_up() {
    let mut world = World::new(1);
    let set = |kind: &str, more: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: twin}}\nspec: {{{more}selector: {{matchLabels: {{app: twin}}}}, template: {{metadata: {{labels: {{app: twin}}}}, spec: {{containers: [{{name: c, image: nginx}}]}}}}}}\n"
        )
    };
    world.apply(&set("DaemonSet", "")).run(5.0);
    world
        .apply(&set("StatefulSet", "serviceName: twin, replicas: 2, "))
        .run(10.0);
    assert_eq!(
        world.get("statefulsets.apps", "twin")["status"]["readyReplicas"].as_i64(),
        Some(2)
    );
    assert_eq!(world.list("pods").len(), 3);
}

#[test]
fn a_job_waits_for_pods_that_end() {
    let job = |policy: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j}}\nspec: {{podReplacementPolicy: {policy}, template: {{spec: {{restartPolicy: Never, terminationGracePeriodSeconds: 30, containers: [{{name: c, image: nginx}}]}}}}}}\n"
        )
    };
    for (policy, pods) in [("TerminatingOrFailed", 2), ("Failed", 1)] {
        let mut world = World::new(1);
        world.apply(&job(policy)).run(2.0);
        let pod = world.list("pods")[0].name().to_owned();
        // Nobody ends it.
        world.kubelets = false;
        world
            .cluster
            .delete(
                &Component::Person,
                &key("pods", &pod),
                &DeleteOptions::default(),
            )
            .expect("accepted");
        world.run(15.0);
        assert_eq!(world.list("pods").len(), pods, "{policy}");
    }
}

#[test]
fn a_job_of_another_controller_is_left_alone() {
    let mut world = World::new(1);
    world.apply("apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {managedBy: example.com/mine, template: {spec: {restartPolicy: Never, containers: [{name: c, image: nginx}]}}}\n");
    world.run(5.0);
    assert_eq!(world.list("pods").len(), 0);
}

#[test]
fn a_secret_of_the_type_gets_its_accounts_token() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: t, annotations: {kubernetes.io/service-account.name: robot}}\ntype: kubernetes.io/service-account-token\n";
    let mut world = World::new(0);
    world
        .apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n")
        .apply(secret)
        .run(1.0);
    let stored = world.get("secrets", "t").clone();
    let uid = world.get("serviceaccounts", "robot").uid().to_owned();
    assert_eq!(
        stored.annotation("kubernetes.io/service-account.uid"),
        Some(&*uid)
    );
    let token = kubarium_objects::base64::decode(stored["data"]["token"].str()).expect("base64");
    let token = String::from_utf8(token).expect("text");
    let user = world.cluster.authenticate(&token).expect("a user");
    assert_eq!(user.name, "system:serviceaccount:default:robot");
    world
        .cluster
        .delete(
            &Component::Person,
            &key("serviceaccounts", "robot"),
            &DeleteOptions::default(),
        )
        .expect("accepted");
    world.run(1.0);
    assert!(world.get("secrets", "t").is_null());
    assert!(world.cluster.authenticate(&token).is_none());
}
