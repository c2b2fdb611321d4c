//! Volumes, autoscaling, quotas, mirrored Endpoints, and Jobs' policies.

use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, WriteOptions};
use kubarium_cluster::load::Load;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value};

const PERSON: Component = Component::Person;

fn world(config: &str) -> Cluster {
    let config = format!("{{apiVersion: kubarium/v1alpha1, kind: Cluster, dns: false, {config}}}");
    let mut config = Config::parse(&config).expect("a configuration");
    config.nodes = Config::machines(2);
    Cluster::new(config)
}

fn apply(cluster: &mut Cluster, text: &str) {
    for document in kubarium_objects::yaml::parse(text).expect("yaml") {
        cluster
            .create_with(&PERSON, document.value, &WriteOptions::strict())
            .expect("accepted");
    }
}

fn run(cluster: &mut Cluster, seconds: u64) {
    cluster.run_until(cluster.now + Duration::from_secs(seconds));
}

fn get(cluster: &Cluster, resource: &str, name: &str) -> Value {
    let namespaced = !matches!(resource, "persistentvolumes" | "nodes");
    let namespace = if namespaced { "default" } else { "" };
    cluster
        .find(resource, namespace, name)
        .cloned()
        .unwrap_or_default()
}

/// What the container of a pod has written.
fn written(cluster: &Cluster, pod: &str) -> String {
    let logs = cluster.logs(&ObjectKey::new("pods", "default", pod), "c", false);
    let lines = logs.into_iter().flat_map(|logs| logs.lines());
    lines.map(|line| format!("{}\n", line.text)).collect()
}

fn events(cluster: &Cluster, about: &str) -> Vec<(String, String)> {
    let all = cluster.etcd.list("events", None).map(|(_, e)| e);
    let found = all.filter(|e| e["involvedObject"]["name"].str() == about);
    found
        .map(|e| (e["reason"].str().to_owned(), e["message"].str().to_owned()))
        .collect()
}

fn has_event(cluster: &Cluster, about: &str, reason: &str) -> bool {
    events(cluster, about).iter().any(|(r, _)| r == reason)
}

fn claim(name: &str, class: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}}}, spec: {{storageClassName: {class}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}"
    )
}

fn volume(name: &str, size: &str, policy: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: {name}}}, spec: {{storageClassName: manual, capacity: {{storage: {size}}}, accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: {policy}, hostPath: {{path: /tmp/{name}}}}}}}"
    )
}

fn user(name: &str, claim: &str, command: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: c, image: busybox, command: [sh, -c, '{command}'], volumeMounts: [{{name: d, mountPath: /d}}]}}], volumes: [{{name: d, persistentVolumeClaim: {{claimName: {claim}}}}}]}}}}"
    )
}

#[test]
fn a_claim_gets_the_smallest_volume_that_suits() {
    let mut cluster = world("");
    apply(&mut cluster, &volume("large", "5Gi", "Retain"));
    apply(&mut cluster, &volume("small", "512Mi", "Retain"));
    apply(&mut cluster, &volume("right", "2Gi", "Delete"));
    run(&mut cluster, 1);
    apply(&mut cluster, &claim("data", "manual"));
    run(&mut cluster, 1);
    let data = get(&cluster, "persistentvolumeclaims", "data");
    assert_eq!(
        (
            data["status"]["phase"].str(),
            data["spec"]["volumeName"].str()
        ),
        ("Bound", "right")
    );
    assert_eq!(data["status"]["capacity"]["storage"].str(), "2Gi");
    assert_eq!(
        get(&cluster, "persistentvolumes", "right")["status"]["phase"].str(),
        "Bound"
    );
    assert_eq!(
        get(&cluster, "persistentvolumes", "large")["status"]["phase"].str(),
        "Available"
    );
    // In use, it stays until its pod has gone; then the volume goes, too.
    apply(&mut cluster, &user("user", "data", "sleep 1000"));
    run(&mut cluster, 5);
    let key = ObjectKey::new("persistentvolumeclaims", "default", "data");
    cluster
        .delete(&PERSON, &key, &DeleteOptions::default())
        .expect("accepted");
    run(&mut cluster, 5);
    assert!(
        !get(&cluster, "persistentvolumeclaims", "data").is_null(),
        "in use"
    );
    let pod = ObjectKey::new("pods", "default", "user");
    cluster
        .delete(&PERSON, &pod, &DeleteOptions::now())
        .expect("accepted");
    run(&mut cluster, 5);
    assert!(get(&cluster, "persistentvolumeclaims", "data").is_null());
    assert!(
        get(&cluster, "persistentvolumes", "right").is_null(),
        "reclaim policy Delete"
    );
}

#[test]
fn a_provisioner_makes_volumes_where_their_pods_run() {
    let mut cluster =
        world("storage: {provisioner: rancher.io/local-path, defaultClass: standard}");
    let text = claim("data", "X").replace("storageClassName: X, ", "");
    apply(&mut cluster, &text);
    run(&mut cluster, 20);
    let class = get(&cluster, "persistentvolumeclaims", "data")["spec"]["storageClassName"].clone();
    assert_eq!(class.str(), "standard", "the default class");
    assert!(has_event(&cluster, "data", "WaitForFirstConsumer"));
    apply(
        &mut cluster,
        &user("user", "data", "echo kept > /d/file; sleep 1000"),
    );
    run(&mut cluster, 2);
    assert!(
        get(&cluster, "pods", "user")["spec"]["nodeName"].is_empty(),
        "bound after its volume"
    );
    run(&mut cluster, 15);
    let pod = get(&cluster, "pods", "user");
    assert_eq!(pod["status"]["phase"].str(), "Running");
    for reason in ["Provisioning", "ProvisioningSucceeded"] {
        assert!(
            has_event(&cluster, "data", reason),
            "{:?}",
            events(&cluster, "data")
        );
    }
    let name = get(&cluster, "persistentvolumeclaims", "data")["spec"]["volumeName"].text();
    let affinity = get(&cluster, "persistentvolumes", &name)["spec"]["nodeAffinity"].to_json();
    assert!(
        affinity.contains(pod["spec"]["nodeName"].str()),
        "{affinity}"
    );
    // What was written outlives the pod.
    let key = ObjectKey::new("pods", "default", "user");
    cluster
        .delete(&PERSON, &key, &DeleteOptions::now())
        .expect("accepted");
    run(&mut cluster, 5);
    apply(
        &mut cluster,
        &user("next", "data", "cat /d/file; sleep 1000"),
    );
    run(&mut cluster, 8);
    assert!(written(&cluster, "next").contains("kept"));
}

#[test]
fn a_claim_without_a_volume_says_why_it_waits() {
    let mut cluster = world("");
    apply(&mut cluster, &claim("typo", "nosuch"));
    apply(&mut cluster, &claim("none", "''"));
    run(&mut cluster, 2);
    let (reason, message) = (
        "ProvisioningFailed",
        "storageclass.storage.k8s.io \"nosuch\" not found",
    );
    assert_eq!(
        events(&cluster, "typo"),
        [(reason.to_owned(), message.to_owned())]
    );
    let (reason, message) = (
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
    );
    assert_eq!(
        events(&cluster, "none"),
        [(reason.to_owned(), message.to_owned())]
    );
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx, resources: {requests: {cpu: 100m}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 6
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
";

#[test]
fn an_autoscaler_follows_the_load_up_at_once_and_down_later() {
    let mut cluster = world("metrics: true");
    apply(&mut cluster, WEB);
    run(&mut cluster, 40);
    let replicas =
        |cluster: &Cluster| get(cluster, "deployments.apps", "web")["spec"]["replicas"].as_i64();
    assert_eq!(replicas(&cluster), Some(1));
    let web = ObjectKey::new("deployments.apps", "default", "web");
    cluster
        .set_load(&web, Load::parse("200m").expect("a load"))
        .expect("dialled");
    run(&mut cluster, 60);
    assert_eq!(replicas(&cluster), Some(4), "{:?}", events(&cluster, "web"));
    cluster
        .set_load(&web, Load::parse("0").expect("a load"))
        .expect("dialled");
    run(&mut cluster, 200);
    assert_eq!(replicas(&cluster), Some(4), "five minutes of patience");
    run(&mut cluster, 200);
    assert_eq!(replicas(&cluster), Some(1));
    assert!(has_event(&cluster, "web", "SuccessfulRescale"));
}

#[test]
fn an_autoscaler_without_metrics_says_so() {
    let mut cluster = world("");
    apply(&mut cluster, WEB);
    run(&mut cluster, 40);
    let hpa = get(&cluster, "horizontalpodautoscalers.autoscaling", "web");
    let conditions: Vec<(&str, &str, &str)> = hpa["status"]["conditions"]
        .items()
        .iter()
        .map(|c| (c["type"].str(), c["status"].str(), c["reason"].str()))
        .collect();
    assert_eq!(
        conditions,
        [
            ("AbleToScale", "True", "SucceededGetScale"),
            ("ScalingActive", "False", "FailedGetResourceMetric")
        ]
    );
    for reason in ["FailedGetResourceMetric", "FailedComputeMetricsReplicas"] {
        assert!(has_event(&cluster, "web", reason));
    }
}

#[test]
fn an_autoscaler_follows_one_container_of_several() {
    // Each pod uses four fifths of what it requests: `c` 80m of 100m, `side` 240m of 300m.
    for (container, target, replicas) in [
        ("c", "type: Utilization, averageUtilization: 40", 6),
        ("side", "type: Utilization, averageUtilization: 80", 1),
        ("c", "type: AverageValue, averageValue: 40m", 6),
        ("side", "type: AverageValue, averageValue: 240m", 1),
    ] {
        let mut cluster = world("metrics: true");
        let metric = format!(
            "{{type: ContainerResource, containerResource: {{name: cpu, container: {container}, target: {{{target}}}}}}}"
        );
        let side = "{name: side, image: busybox, command: [sleep, '100000'], resources: {requests: {cpu: 300m}}}";
        let text = WEB
            .replace("containers: [{name: c,", &format!("containers: [{side}, {{name: c,"))
            .replace("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}", &metric);
        apply(&mut cluster, &text);
        run(&mut cluster, 20);
        let web = ObjectKey::new("deployments.apps", "default", "web");
        let load = Load::parse("80%").expect("a load");
        cluster.set_load(&web, load).expect("dialled");
        run(&mut cluster, 100);
        let hpa = get(&cluster, "horizontalpodautoscalers.autoscaling", "web");
        let told = &hpa["status"]["currentMetrics"][0]["containerResource"];
        assert_eq!(told["container"].str(), container);
        let found = get(&cluster, "deployments.apps", "web")["spec"]["replicas"].as_i64();
        assert_eq!(
            found,
            Some(replicas),
            "{container} {target}: {}",
            hpa["status"]
        );
    }
}

#[test]
fn a_quota_tells_what_is_used() {
    let mut cluster = world("");
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '9', requests.cpu: '2', services.nodeports: '3', persistentvolumeclaims: '1', count/deployments.apps: '4'}}}",
    );
    run(&mut cluster, 1);
    apply(&mut cluster, WEB.split("---").next().unwrap_or_default());
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: Service, metadata: {name: np}, spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}}",
    );
    run(&mut cluster, 2);
    let used = get(&cluster, "resourcequotas", "q")["status"]["used"].clone();
    for (name, amount) in [
        ("pods", "1"),
        ("requests.cpu", "100m"),
        ("services.nodeports", "1"),
        ("persistentvolumeclaims", "0"),
        ("count/deployments.apps", "1"),
    ] {
        assert_eq!(used[name].str(), amount, "{name}");
    }
}

#[test]
fn endpoints_made_by_hand_are_mirrored() {
    let mut cluster = world("");
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: Service, metadata: {name: old}, spec: {ports: [{port: 80}]}}\n---\n{apiVersion: v1, kind: Endpoints, metadata: {name: old}, subsets: [{addresses: [{ip: 172.18.0.1}], ports: [{port: 5000}]}]}",
    );
    run(&mut cluster, 1);
    let slices = |cluster: &Cluster| -> Vec<Value> {
        let all = cluster.index.slices_of(&"default".into(), &"old".into());
        all.filter_map(|key| cluster.etcd.get(key).cloned())
            .collect()
    };
    let found = slices(&cluster);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["endpoints"][0]["addresses"][0].str(), "172.18.0.1");
    assert_eq!(found[0]["ports"][0]["port"].as_i64(), Some(5000));
    let key = ObjectKey::new("endpoints", "default", "old");
    cluster
        .delete(&PERSON, &key, &DeleteOptions::default())
        .expect("accepted");
    run(&mut cluster, 2);
    assert!(slices(&cluster).is_empty());
}

#[test]
fn jobs_fail_by_their_policies() {
    for (spec, script, reason) in [
        ("backoffLimit: 0", "exit 1", "BackoffLimitExceeded"),
        (
            "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}",
            "exit 42",
            "PodFailurePolicy",
        ),
        (
            "completionMode: Indexed, completions: 2, backoffLimitPerIndex: 0",
            "exit $JOB_COMPLETION_INDEX",
            "FailedIndexes",
        ),
        (
            "completionMode: Indexed, completions: 3, parallelism: 3, backoffLimitPerIndex: 0, maxFailedIndexes: 1",
            "exit 1",
            "MaxFailedIndexesExceeded",
        ),
        (
            "completionMode: Indexed, completions: 3, parallelism: 3, successPolicy: {rules: [{succeededIndexes: '0'}]}",
            "test $JOB_COMPLETION_INDEX = 0 || sleep 1000",
            "SuccessPolicy",
        ),
    ] {
        let mut cluster = world("");
        apply(
            &mut cluster,
            &format!(
                "{{apiVersion: batch/v1, kind: Job, metadata: {{name: job}}, spec: {{{spec}, template: {{spec: {{restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{{name: c, image: busybox, command: [sh, -c, '{script}']}}]}}}}}}}}"
            ),
        );
        run(&mut cluster, 60);
        let job = get(&cluster, "jobs.batch", "job");
        let last = job["status"]["conditions"]
            .items()
            .last()
            .cloned()
            .unwrap_or_default();
        assert_eq!(last["reason"].str(), reason, "{spec}: {}", job["status"]);
        let wanted = if reason == "SuccessPolicy" {
            "Complete"
        } else {
            "Failed"
        };
        assert_eq!(last["type"].str(), wanted, "{spec}");
    }
}

#[test]
fn sidecars_end_after_the_pod_is_done() {
    let mut cluster = world("");
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 2, initContainers: [{name: side, image: busybox, restartPolicy: Always, command: [sleep, '1000']}], containers: [{name: c, image: busybox, command: [sleep, '3']}]}}",
    );
    run(&mut cluster, 20);
    let status = get(&cluster, "pods", "p")["status"].clone();
    assert_eq!(status["phase"].str(), "Succeeded");
    assert!(
        !status["initContainerStatuses"][0]["state"]["terminated"].is_null(),
        "{status}"
    );
}

#[test]
fn databases_without_a_password_say_so_and_stop() {
    for (image, words) in [
        ("postgres", "superuser password is not specified"),
        ("mysql", "MYSQL_ROOT_PASSWORD"),
    ] {
        let mut cluster = world("");
        apply(
            &mut cluster,
            &format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: db}}, spec: {{restartPolicy: Never, containers: [{{name: c, image: {image}}}]}}}}"
            ),
        );
        run(&mut cluster, 20);
        assert_eq!(
            get(&cluster, "pods", "db")["status"]["phase"].str(),
            "Failed"
        );
        assert!(written(&cluster, "db").contains(words));
    }
}
