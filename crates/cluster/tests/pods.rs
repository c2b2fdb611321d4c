//! Pods from their manifests to their answers.

use std::time::Duration;

use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value};

/// A cluster that has come up.
fn cluster() -> Cluster {
    Cluster::new(Config::default())
}

/// Applies manifests and lets the cluster come to rest.
fn apply(cluster: &mut Cluster, manifests: &str) {
    for document in kubarium_objects::yaml::parse(manifests).unwrap() {
        cluster
            .create_with(&Component::Person, document.value, &WriteOptions::strict())
            .unwrap();
    }
    settle(cluster);
}

fn settle(cluster: &mut Cluster) {
    cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
}

fn pod<'a>(cluster: &'a Cluster, name: &str) -> &'a Value {
    cluster.find("pods", "default", name).unwrap()
}

/// Runs a shell command in a pod's first container: what it prints, `? N` after a failure.
fn sh(cluster: &mut Cluster, name: &str, script: &str) -> String {
    let key = ObjectKey::new("pods", "default", name);
    let argv = ["sh", "-c", script].map(str::to_owned);
    match cluster.exec(&key, None, &argv, b"") {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.merged).into_owned();
            if output.status == 0 {
                text
            } else {
                format!("{text}? {}\n", output.status)
            }
        }
        Err(error) => format!("{error:?}"),
    }
}

const WEB: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: worker-2, containers: [{name: c, image: nicolaka/netshoot, command: [sleep, '100000']}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.43.100.10, selector: {app: web}, ports: [{name: http, port: 80}]}
";

#[test]
fn a_pod_runs_has_an_address_and_answers() {
    let mut cluster = cluster();
    apply(&mut cluster, WEB);
    let web = pod(&cluster, "web");
    assert_eq!(
        (web["status"]["phase"].str(), web["status"]["podIP"].str()),
        ("Running", "10.42.1.3")
    );
    for (script, part) in [
        ("curl -s http://web", "<title>Welcome to nginx!</title>"),
        (
            "wget -qO- http://10.42.1.3",
            "<title>Welcome to nginx!</title>",
        ),
        ("dig no.such", "status: SERVFAIL"),
        ("dig x.svc.cluster.local", "status: NXDOMAIN"),
    ] {
        let printed = sh(&mut cluster, "client", script);
        assert!(printed.contains(part), "{script}: {printed}");
    }
    for (script, expected) in [
        (
            "curl -s -o /dev/null -w '%{http_code}\\n' http://web/nosuch",
            "404\n",
        ),
        ("dig +short web.default.svc.cluster.local", "10.43.100.10\n"),
        (
            "dig +short SRV _http._tcp.web.default.svc.cluster.local",
            "0 100 80 web.default.svc.cluster.local.\n",
        ),
        (
            "dig +short -x 10.43.100.10",
            "web.default.svc.cluster.local.\n",
        ),
        (
            "curl -sS http://nosuch",
            "curl: (6) Could not resolve host: nosuch\n? 6\n",
        ),
        (
            "curl -sS http://10.42.1.3:81",
            "curl: (7) Failed to connect to 10.42.1.3 port 81 after 0 ms: Couldn't connect to server\n? 7\n",
        ),
        (
            "curl -sS -m 3 http://10.43.0.99",
            "curl: (28) Connection timed out after 3001 milliseconds\n? 28\n",
        ),
        ("curl -sSk https://kubernetes/healthz", "ok"),
    ] {
        assert_eq!(sh(&mut cluster, "client", script), expected, "{script}");
    }
}
