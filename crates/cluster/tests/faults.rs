//! Things broken on purpose: what follows, and how it mends.

use std::time::Duration;

use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::faults::{FORMS, Fault, complete};
use kubarium_cluster::{Action, Cluster, Component, Config};
use kubarium_objects::{ObjectKey, ObjectMeta, Value};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: nginx}]}
";

fn apply(cluster: &mut Cluster, yaml: &str) {
    for document in kubarium_objects::yaml::parse(yaml).expect("yaml") {
        cluster
            .create_with(&Component::Person, document.value, &WriteOptions::strict())
            .expect("accepted");
    }
}

fn world() -> Cluster {
    let mut cluster = Cluster::new(Config::default());
    apply(&mut cluster, WEB);
    run(&mut cluster, 8);
    assert_eq!(ready(&cluster).len(), 4);
    cluster
}

fn run(cluster: &mut Cluster, seconds: u64) {
    cluster.run_until(cluster.now + Duration::from_secs(seconds));
}

fn fault(cluster: &mut Cluster, words: &str) -> Option<u32> {
    let words: Vec<&str> = words.split(' ').collect();
    let fault = Fault::parse(&words, "default").expect("a fault");
    cluster.break_it(fault).expect("can be broken")
}

fn pods(cluster: &Cluster) -> Vec<(ObjectKey, Value)> {
    let all = cluster.etcd.list("pods", Some("default"));
    all.map(|(key, pod)| (key.clone(), pod.clone())).collect()
}

/// Pods that are ready, by name.
fn ready(cluster: &Cluster) -> Vec<String> {
    let is_ready = |pod: &Value| {
        let mut all = pod["status"]["conditions"].items().iter();
        all.any(|c| c["type"].str() == "Ready" && c["status"].str() == "True") && !pod.is_deleting()
    };
    let all = pods(cluster).into_iter().filter(|(_, pod)| is_ready(pod));
    all.map(|(key, _)| key.name.to_string()).collect()
}

fn on(cluster: &Cluster, node: &str) -> Vec<(ObjectKey, Value)> {
    let mut all = pods(cluster);
    all.retain(|(_, pod)| pod["spec"]["nodeName"].str() == node);
    all
}

fn condition(cluster: &Cluster, node: &str, kind: &str) -> String {
    let node = cluster.find("nodes", "", node).expect("a node");
    let mut all = node["status"]["conditions"].items().iter();
    all.find(|c| c["type"].str() == kind).expect("a condition")["status"]
        .str()
        .to_owned()
}

fn scale(cluster: &mut Cluster, replicas: i64) {
    let key = ObjectKey::new("deployments.apps", "default", "web");
    cluster
        .modify(&Component::Person, &key, Default::default(), |d| {
            d["spec"]["replicas"] = replicas.into();
        })
        .expect("scaled");
}

fn reasons(cluster: &Cluster, about: &str) -> Vec<String> {
    let all = cluster.etcd.list("events", None).map(|(_, e)| e);
    let mut found: Vec<String> = all
        .filter(|e| e["involvedObject"]["name"].str() == about)
        .map(|e| e["reason"].str().to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_stopped_component_does_nothing_until_it_is_mended() {
    for part in [
        "kube-scheduler",
        "replicaset-controller",
        "kube-controller-manager",
        "kube-apiserver",
        "etcd",
    ] {
        let mut cluster = world();
        if !matches!(part, "kube-apiserver" | "etcd") {
            let number = fault(&mut cluster, &format!("stop {part}")).expect("lasts");
            scale(&mut cluster, 6);
            run(&mut cluster, 20);
            assert_eq!(ready(&cluster).len(), 4, "{part} is stopped");
            cluster.mend(number).expect("mended");
        } else {
            scale(&mut cluster, 6);
            fault(&mut cluster, &format!("stop {part}"));
            let refused = cluster.delete(
                &Component::Person,
                &pods(&cluster)[0].0.clone(),
                &Default::default(),
            );
            assert!(refused.is_err(), "{part} is stopped");
            assert!(cluster.connection_error().is_some());
            let revision = cluster.etcd.revision();
            run(&mut cluster, 120);
            assert_eq!(
                cluster.etcd.revision(),
                revision,
                "nothing is written without {part}"
            );
            cluster.mend_all();
            assert_eq!(cluster.connection_error(), None);
        }
        run(&mut cluster, 20);
        assert_eq!(ready(&cluster).len(), 6, "{part} is mended");
        assert_eq!(condition(&cluster, "worker-1", "Ready"), "True", "{part}");
    }
}

#[test]
fn a_lost_node_is_noticed_and_its_pods_move() {
    let mut cluster = world();
    let before = on(&cluster, "worker-1");
    assert!(!before.is_empty());
    let number = fault(&mut cluster, "node worker-1").expect("lasts");
    run(&mut cluster, 40);
    assert_eq!(
        condition(&cluster, "worker-1", "Ready"),
        "True",
        "nobody has noticed yet"
    );
    run(&mut cluster, 25);
    assert_eq!(condition(&cluster, "worker-1", "Ready"), "Unknown");
    assert_eq!(
        ready(&cluster).len() + before.len(),
        4,
        "no longer endpoints"
    );
    run(&mut cluster, 280);
    assert_eq!(
        on(&cluster, "worker-1").len(),
        before.len(),
        "five minutes of patience"
    );
    run(&mut cluster, 40);
    assert_eq!(ready(&cluster).len(), 4, "elsewhere");
    assert!(
        before
            .iter()
            .all(|(key, _)| cluster.etcd.get(key).is_some_and(ObjectMeta::is_deleting)),
        "their kubelet cannot confirm that they ended"
    );
    cluster.mend(number).expect("mended");
    run(&mut cluster, 15);
    assert_eq!(condition(&cluster, "worker-1", "Ready"), "True");
    assert!(
        before
            .iter()
            .all(|(key, _)| cluster.etcd.get(key).is_none())
    );
    assert!(reasons(&cluster, "worker-1").contains(&"Rebooted".to_owned()));
    let node = cluster.find("nodes", "", "worker-1").expect("a node");
    assert!(node["spec"]["taints"].is_empty());
}

#[test]
fn a_node_that_boots_soon_starts_its_pods_anew() {
    let mut cluster = world();
    let before = on(&cluster, "worker-1");
    let number = fault(&mut cluster, "node worker-1").expect("lasts");
    run(&mut cluster, 20);
    cluster.mend(number).expect("mended");
    run(&mut cluster, 20);
    assert_eq!(ready(&cluster).len(), 4);
    for (key, old) in before {
        let pod = cluster.etcd.get(&key).expect("the same pod");
        assert_eq!(
            pod["status"]["containerStatuses"][0]["restartCount"].as_i64(),
            Some(1)
        );
        assert_eq!(
            pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"].as_i64(),
            Some(255)
        );
        assert_ne!(
            pod["status"]["podIP"], old["status"]["podIP"],
            "a new sandbox"
        );
        assert!(reasons(&cluster, &key.name).contains(&"SandboxChanged".to_owned()));
    }
}

#[test]
fn a_taint_frees_the_pods_of_a_node_that_is_out_of_service() {
    let mut cluster = world();
    let before = on(&cluster, "worker-1");
    fault(&mut cluster, "node worker-1");
    run(&mut cluster, 70);
    let key = ObjectKey::new("nodes", "", "worker-1");
    cluster
        .modify(&Component::Person, &key, Default::default(), |node| {
            let taint = r#"{"key":"node.kubernetes.io/out-of-service","value":"nodeshutdown","effect":"NoExecute"}"#;
            node["spec"]["taints"].push(Value::from_json(taint).expect("json"));
        })
        .expect("tainted");
    run(&mut cluster, 10);
    assert!(
        before
            .iter()
            .all(|(key, _)| cluster.etcd.get(key).is_none())
    );
    assert_eq!(ready(&cluster).len(), 4);
}

#[test]
fn a_kubelet_that_is_cut_off_keeps_its_pods_running() {
    for words in [
        "cut worker-1",
        "partition worker-1",
        "link down worker-1",
        "stop kubelet worker-1",
    ] {
        let mut cluster = world();
        let before = on(&cluster, "worker-1");
        let number = fault(&mut cluster, words).expect("lasts");
        run(&mut cluster, 70);
        assert_eq!(
            condition(&cluster, "worker-1", "Ready"),
            "Unknown",
            "{words}"
        );
        let runs = |cluster: &Cluster| {
            let running = |(key, _): &(ObjectKey, Value)| {
                cluster
                    .sandbox_of(key)
                    .is_some_and(|(_, s)| s.containers.iter().all(|c| c.is_running()))
            };
            before.iter().all(running)
        };
        assert!(runs(&cluster), "{words}");
        cluster.mend(number).expect("mended");
        run(&mut cluster, 20);
        assert_eq!(condition(&cluster, "worker-1", "Ready"), "True", "{words}");
        assert!(runs(&cluster), "{words}");
        assert_eq!(ready(&cluster).len(), 4, "{words}");
    }
}

/// A node's command line.
fn ssh(cluster: &mut Cluster, node: &str, line: &str) {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let output = cluster.run_on_node(node, &words, b"").expect("a machine");
    assert_eq!(output.status, 0, "{line}");
}

#[test]
fn whoever_takes_a_nodes_way_to_the_api_server_cuts_its_kubelet_off() {
    for (breaks, mends, why) in [
        (
            "ip link set eth0 down",
            "ip link set eth0 up",
            "connect: no route to host",
        ),
        (
            "iptables -I INPUT -i eth0 -j DROP",
            "iptables -D INPUT -i eth0 -j DROP",
            "i/o timeout",
        ),
    ] {
        let mut cluster = world();
        let (_, pod) = on(&cluster, "worker-2").pop().expect("a pod there");
        assert_eq!(cluster.kubelet_dial_error(&pod), None);
        ssh(&mut cluster, "worker-2", breaks);
        run(&mut cluster, 60);
        assert_eq!(
            condition(&cluster, "worker-2", "Ready"),
            "Unknown",
            "{breaks}"
        );
        assert_eq!(condition(&cluster, "worker-1", "Ready"), "True", "{breaks}");
        let (_, error) = cluster.kubelet_dial_error(&pod).expect("an error");
        assert_eq!(error, format!("dial tcp 172.18.0.4:10250: {why}"));
        ssh(&mut cluster, "worker-2", mends);
        run(&mut cluster, 30);
        assert_eq!(condition(&cluster, "worker-2", "Ready"), "True", "{mends}");
    }
}

#[test]
fn what_ends_unheard_is_told_later() {
    let mut cluster = world();
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: Pod, metadata: {name: once}, spec: {nodeName: worker-1, restartPolicy: Never, containers: [{name: c, image: busybox, command: [sleep, '20']}]}}",
    );
    run(&mut cluster, 10);
    let number = fault(&mut cluster, "cut worker-1").expect("lasts");
    run(&mut cluster, 30);
    let phase = |cluster: &Cluster| {
        let pod = cluster
            .find("pods", "default", "once")
            .cloned()
            .unwrap_or_default();
        pod["status"]["phase"].str().to_owned()
    };
    assert_eq!(phase(&cluster), "Running", "as far as anybody has heard");
    cluster.mend(number).expect("mended");
    run(&mut cluster, 5);
    assert_eq!(phase(&cluster), "Succeeded");
}

#[test]
fn pressure_evicts_pods_one_by_one_and_keeps_new_ones_away() {
    for (what, kind) in [
        ("memory", "MemoryPressure"),
        ("disk", "DiskPressure"),
        ("pid", "PIDPressure"),
    ] {
        let mut cluster = world();
        let before = on(&cluster, "worker-1").len();
        let number = fault(&mut cluster, &format!("pressure worker-1 {what}")).expect("lasts");
        run(&mut cluster, 12);
        assert_eq!(condition(&cluster, "worker-1", kind), "True");
        let evicted = |cluster: &Cluster| {
            let gone = on(cluster, "worker-1").into_iter();
            gone.filter(|(_, pod)| pod["status"]["reason"].str() == "Evicted")
                .count()
        };
        assert_eq!(evicted(&cluster), 1, "{what}");
        run(&mut cluster, 10 * before as u64);
        assert_eq!(evicted(&cluster), before, "{what}");
        assert_eq!(ready(&cluster).len(), 4, "{what}: elsewhere");
        cluster.mend(number).expect("mended");
        run(&mut cluster, 200);
        assert_eq!(
            condition(&cluster, "worker-1", kind),
            "True",
            "{what}: for five minutes"
        );
        run(&mut cluster, 110);
        assert_eq!(condition(&cluster, "worker-1", kind), "False");
    }
}

#[test]
fn containers_that_are_killed_start_again() {
    for (word, reason) in [("kill", "Error"), ("oom", "OOMKilled")] {
        let mut cluster = world();
        let (key, _) = pods(&cluster)[0].clone();
        assert_eq!(
            fault(&mut cluster, &format!("{word} {}", key.name)),
            None,
            "over at once"
        );
        run(&mut cluster, 4);
        let status =
            cluster.etcd.get(&key).expect("a pod")["status"]["containerStatuses"][0].clone();
        assert_eq!(status["restartCount"].as_i64(), Some(1));
        let last = &status["lastState"]["terminated"];
        assert_eq!(
            (last["exitCode"].as_i64(), last["reason"].str()),
            (Some(137), reason)
        );
        assert_eq!(ready(&cluster).len(), 4);
    }
}

#[test]
fn an_image_that_cannot_be_pulled_is_pulled_later() {
    for words in ["image httpd", "registry"] {
        let mut cluster = world();
        let number = fault(&mut cluster, words).expect("lasts");
        apply(
            &mut cluster,
            "{apiVersion: v1, kind: Pod, metadata: {name: late}, spec: {containers: [{name: c, image: httpd}]}}",
        );
        run(&mut cluster, 15);
        let late = |cluster: &Cluster| {
            cluster
                .find("pods", "default", "late")
                .cloned()
                .unwrap_or_default()
        };
        let waiting = late(&cluster)["status"]["containerStatuses"][0]["state"]["waiting"].clone();
        assert!(
            matches!(waiting["reason"].str(), "ErrImagePull" | "ImagePullBackOff"),
            "{words}: {waiting}"
        );
        cluster.mend(number).expect("mended");
        run(&mut cluster, 60);
        assert_eq!(
            late(&cluster)["status"]["phase"].str(),
            "Running",
            "{words}"
        );
    }
}

#[test]
fn a_slow_component_comes_late() {
    let mut cluster = world();
    fault(&mut cluster, "slow kube-scheduler 3s");
    scale(&mut cluster, 5);
    run(&mut cluster, 2);
    let waiting = |cluster: &Cluster| {
        pods(cluster)
            .iter()
            .filter(|(_, p)| p["spec"]["nodeName"].is_empty())
            .count()
    };
    assert_eq!(waiting(&cluster), 1);
    run(&mut cluster, 3);
    assert_eq!(waiting(&cluster), 0);
}

#[test]
fn every_effect_of_a_fault_leads_back_to_it() {
    let mut cluster = world();
    fault(&mut cluster, "node worker-1");
    let event = cluster
        .faults()
        .active()
        .values()
        .next()
        .expect("a fault")
        .event;
    assert_eq!(
        cluster.log.get(event).map(|e| e.action),
        Some(Action::Fault)
    );
    let (key, _) = on(&cluster, "worker-2")[0].clone();
    fault(&mut cluster, &format!("kill {}", key.name));
    let killed = cluster
        .log
        .iter()
        .rev()
        .find(|e| e.action == Action::Fault)
        .expect("a fault")
        .id;
    run(&mut cluster, 5);
    let effects = cluster.log.effects(killed);
    assert!(effects.len() > 3, "{effects:?}");
    assert!(
        effects
            .iter()
            .all(|id| cluster.log.causes(*id).contains(&killed))
    );
}

#[test]
fn what_cannot_be_meant_is_said() {
    let cluster = Cluster::new(Config::default());
    for (words, why) in [
        ("stop", "say which component"),
        ("stop kubelet", "runs on every node"),
        ("stop nothing", "there is no component"),
        ("pressure worker-1 luck", "none of memory, disk, pid"),
        ("link loss worker-1 much", "no share"),
        ("wish", "there is no fault"),
        ("node", "usage: sim fault node NODE"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let error = Fault::parse(&words, "default").expect_err("no fault");
        assert!(error.contains(why), "{error}");
    }
    for words in [
        "node nowhere",
        "kill nobody",
        "cut nowhere",
        "stop kubelet nowhere",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let fault = Fault::parse(&words, "default").expect("well formed");
        assert!(cluster.clone().break_it(fault).is_err());
    }
    assert!(cluster.clone().mend(1).is_err());
}

#[test]
fn a_delayed_card_makes_answers_late() {
    let mut cluster = world();
    let ping = |cluster: &mut Cluster| {
        let address = pods(cluster)[0].1["status"]["podIP"].str().to_owned();
        let argv = ["ping", "-c", "1", &address].map(str::to_owned);
        let output = cluster
            .run_on_node("control-plane", &argv, b"")
            .expect("a machine");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let time = text
            .split_once("time=")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
        time.expect("an answer")
    };
    assert!(ping(&mut cluster) < 5.0);
    let number = fault(&mut cluster, "link delay control-plane 80ms").expect("lasts");
    assert!((80.0..100.0).contains(&ping(&mut cluster)));
    cluster.mend(number).expect("mended");
    assert!(ping(&mut cluster) < 5.0);
}

#[test]
fn completion_knows_every_form() {
    let cluster = Cluster::new(Config::default());
    let first = complete(&cluster, &[], "default");
    assert!(FORMS.iter().all(|form| {
        first
            .iter()
            .any(|word| form.words.starts_with(word.as_str()))
    }));
    for (words, candidate) in [
        (&["stop"][..], "kubelet"),
        (&["stop", "kubelet"], "worker-1"),
        (&["slow", "kubelet", "worker-1"], "2s"),
        (&["link"], "loss"),
        (&["link", "down"], "worker-2"),
        (&["partition", "worker-1"], "worker-2"),
        (&["pressure", "worker-1"], "disk"),
    ] {
        let found = complete(&cluster, words, "default");
        assert!(
            found.iter().any(|word| word == candidate),
            "{words:?}: {found:?}"
        );
    }
}
