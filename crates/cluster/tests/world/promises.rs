//! Who goes first, who may not go, who has to, and what goes on without those who decide.

use std::time::Duration;

use crate::common::live::World;
use kubarium_cluster::api::DeleteOptions;
use kubarium_cluster::faults::Fault;
use kubarium_cluster::trace::{TraceRequest, Verdict};
use kubarium_cluster::{Component, time::Time};
use kubarium_objects::{ObjectKey, ObjectMeta};

const SLEEPS: &str = "image: busybox, command: [sleep, '100000']";

/// A pod that sleeps, of the set `r`; its spec's beginning, and more of its container.
fn member(name: &str, annotations: &str, spec: &str, container: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: r}}, annotations: {{{annotations}}}}}, spec: {{terminationGracePeriodSeconds: 1, {spec}containers: [{{name: c, {SLEEPS}{container}}}]}}}}\n---\n"
    )
}

fn set(kind: &str, replicas: u32) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: r}}, spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: r}}}}, template: {{metadata: {{labels: {{app: r}}}}, spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: c, {SLEEPS}}}]}}}}}}}}\n---\n"
    )
}

fn names(world: &World) -> Vec<String> {
    let pods = world.0.etcd.list("pods", Some("default"));
    let staying = pods.filter(|(_, pod)| !pod.is_deleting());
    staying.map(|(key, _)| key.name.to_string()).collect()
}

#[test]
fn of_too_many_pods_those_go_first_that_are_missed_least() {
    let cost = |cost: i32| format!("controller.kubernetes.io/pod-deletion-cost: '{cost}'");
    let on = |node: &str| format!("nodeName: {node}, ");
    let unready = ", readinessProbe: {exec: {command: ['false']}}";
    let nowhere = "nodeSelector: {no: where}, ";
    let cases = [
        // The rank that decides: a node, readiness, the cost, the company on the node.
        (
            member("a", "", nowhere, ""),
            member("b", &cost(-9), "", unready),
            "b",
        ),
        (
            member("a", "", "", ""),
            member("b", &cost(9), "", unready),
            "a",
        ),
        (
            member("a", &cost(5), "", ""),
            member("b", &cost(9), "", ""),
            "b",
        ),
        (
            member("a", "", &on("worker-1"), "") + &member("c", &cost(9), &on("worker-1"), ""),
            member("b", "", &on("worker-2"), ""),
            "b",
        ),
    ];
    for (one, other, stays) in cases {
        let mut world = World::with(&(one + &other));
        let all = names(&world).len() as u32;
        world.apply(&set("ReplicaSet", all));
        world.run(2.0);
        assert_eq!(names(&world).len() as u32, all, "all are adopted");
        let fewer = format!("{{spec: {{replicas: {}}}}}", all - 1);
        let part = kubarium_cluster::api::Subresource::None;
        world
            .patch("replicasets.apps", "r", part, &fewer)
            .expect("accepted");
        world.run(2.0);
        assert!(
            names(&world).contains(&stays.to_owned()),
            "{:?}",
            names(&world)
        );
    }
}

#[test]
fn no_pod_is_evicted_against_its_budget() {
    let budget = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: r}, spec: {minAvailable: 2, selector: {matchLabels: {app: r}}}}\n---\n";
    let mut world = World::with(&format!("{}{budget}", set("Deployment", 3)));
    let evict = |world: &mut World| {
        let key = ObjectKey::new("pods", "default", names(world).remove(0));
        let outcome = world
            .0
            .evict(&Component::Person, &key, &DeleteOptions::default());
        outcome.err().map(|status| (status.code, status.message))
    };
    assert_eq!(evict(&mut world), None);
    let refused = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!(evict(&mut world), Some((429, refused.to_owned())));
    world.run(10.0);
    assert_eq!(evict(&mut world), None, "another has taken its place");
}

#[test]
fn a_pod_of_rank_takes_the_place_of_another() {
    let class = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}\n---\n";
    let needs = ", resources: {requests: {cpu: 3}}";
    let here = "nodeSelector: {kubernetes.io/hostname: worker-1}, ";
    let mut world = World::with(&format!("{class}{}", member("low", "", here, needs)));
    assert_eq!(world.at("low", "status/phase"), "Running");
    world.apply(&member("same", "", here, needs));
    world.apply(&member(
        "high",
        "",
        &format!("priorityClassName: high, {here}"),
        needs,
    ));
    world.run(10.0);
    assert_eq!(names(&world), ["high", "same"]);
    assert_eq!(world.at("high", "status/phase"), "Running");
    assert_eq!(world.at("same", "status/phase"), "Pending");
}

#[test]
fn leases_are_renewed_until_a_kubelet_falls_silent() {
    let mut world = World::with("");
    let age = |world: &World| -> Duration {
        let space = "kube-node-lease";
        let lease = world
            .0
            .find("leases.coordination.k8s.io", space, "worker-1");
        let renewed = lease.expect("a lease")["spec"]["renewTime"]
            .str()
            .to_owned();
        world.0.now.since(Time::parse(&renewed).expect("a time"))
    };
    for _ in 0..5 {
        world.run(7.0);
        assert!(age(&world) <= Duration::from_secs(11), "{:?}", age(&world));
    }
    let stopped = Fault::parse(&["stop", "kubelet", "worker-1"], "default").expect("a fault");
    world.0.break_it(stopped).expect("stopped");
    world.run(60.0);
    assert!(age(&world) > Duration::from_secs(45));
    let node = world.0.find("nodes", "", "worker-1").expect("a node");
    let mut conditions = node["status"]["conditions"].items().iter();
    let ready = conditions
        .find(|c| c["type"].str() == "Ready")
        .expect("Ready");
    assert_eq!(ready["status"].str(), "Unknown");
    assert_eq!(ready["reason"].str(), "NodeStatusUnknown");
}

#[test]
fn traffic_goes_on_flowing_without_the_control_plane() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {app: s}, ports: [{port: 80}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: server, labels: {app: s}}, spec: {containers: [{name: c, image: nginx}]}}\n---\n";
    let mut world = World::with(&format!("{service}{}", member("client", "", "", "")));
    let request = TraceRequest {
        from: "pod/client".to_owned(),
        to: "http://s".to_owned(),
        udp: false,
    };
    for part in [
        "kube-apiserver",
        "etcd",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        let stopped = Fault::parse(&["stop", part], "default").expect("a fault");
        world.0.break_it(stopped).expect("stopped");
        world.run(30.0);
        let trace = world.0.trace(&request).expect("a connection");
        assert_eq!(trace.verdict, Verdict::Delivered, "{part}");
    }
}
