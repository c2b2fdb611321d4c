//! What clients outside the cluster reach: a cloud's load balancers, health checks, an Ingress controller.

use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, WriteOptions};
use kubarium_cluster::config::CloudConfig;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::ObjectKey;

/// A cluster in a cloud.
fn cluster() -> Cluster {
    Cluster::new(Config {
        cloud: CloudConfig {
            load_balancers: Some("192.0.2.0/24".parse().expect("a network")),
        },
        ..Config::default()
    })
}

fn apply(cluster: &mut Cluster, manifests: &str) {
    for document in kubarium_objects::yaml::parse(manifests).expect("yaml") {
        cluster
            .create_with(&Component::Person, document.value, &WriteOptions::strict())
            .expect("accepted");
    }
    settle(cluster);
}

fn settle(cluster: &mut Cluster) {
    cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
}

/// Runs a command on the host outside or a node.
fn on(cluster: &mut Cluster, machine: &str, command: &str) -> String {
    let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let output = cluster.run_on_node(machine, &argv, b"").expect("a machine");
    String::from_utf8_lossy(&output.merged).into_owned()
}

fn prints(cluster: &mut Cluster, machine: &str, command: &str, want: &str) {
    let printed = on(cluster, machine, command);
    assert!(printed.contains(want), "{machine} {command}: {printed}");
}

const WEB: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker-2, containers: [{name: c, image: traefik/whoami}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 31999, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: wrong}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
";

const GET: &str = "curl -sS -m 3 ";

#[test]
fn a_load_balancer_s_address_leads_to_a_node_with_an_endpoint() {
    let mut cluster = cluster();
    apply(&mut cluster, WEB);
    let key = ObjectKey::new("services", "default", "web");
    let ip = |cluster: &Cluster| {
        let service = cluster.etcd.get(&key).cloned().unwrap_or_default();
        service["status"]["loadBalancer"]["ingress"][0]["ip"]
            .text()
            .to_string()
    };
    assert_eq!(ip(&cluster), "192.0.2.1");
    prints(
        &mut cluster,
        "outside",
        &format!("{GET}http://192.0.2.1"),
        "RemoteAddr: 172.18.0.1:",
    );
    prints(
        &mut cluster,
        "outside",
        "ip route get 192.0.2.1",
        "via 172.18.0.4",
    );
    // Only the node with the endpoint is healthy.
    let health = "curl -sSi -m 3 http://172.18.0.";
    prints(
        &mut cluster,
        "outside",
        &format!("{health}4:31999"),
        "X-Load-Balancing-Endpoint-Weight: 1",
    );
    prints(
        &mut cluster,
        "outside",
        &format!("{health}3:31999"),
        "503 Service Unavailable",
    );
    prints(
        &mut cluster,
        "worker-1",
        "curl -sS http://localhost:10256/healthz",
        "\"healthy\":true",
    );
    // Without an endpoint the address leads nowhere, and without the Service there is none.
    let pod = ObjectKey::new("pods", "default", "web");
    cluster
        .delete(&Component::Person, &pod, &DeleteOptions::now())
        .expect("deleted");
    settle(&mut cluster);
    prints(
        &mut cluster,
        "outside",
        "ip route get 192.0.2.1",
        "unreachable",
    );
    cluster
        .delete(&Component::Person, &key, &DeleteOptions::default())
        .expect("deleted");
    settle(&mut cluster);
    assert!(cluster.etcd.get(&key).is_none());
    prints(
        &mut cluster,
        "outside",
        &format!("{GET}http://172.18.0.4:31999"),
        "Couldn't connect",
    );
}

const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Pod
metadata: {name: controller, labels: {app: ingress}}
spec: {nodeName: worker-1, containers: [{name: c, image: 'registry.k8s.io/ingress-nginx/controller:v1.13.3'}]}
---
apiVersion: v1
kind: Service
metadata: {name: ingress}
spec: {type: NodePort, selector: {app: ingress}, ports: [{name: http, port: 80, nodePort: 30080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /wrong, pathType: Prefix, backend: {service: {name: wrong, port: {name: http}}}}
      - {path: /none, pathType: Exact, backend: {service: {name: none, port: {number: 80}}}}
  - host: loop.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ingress, port: {name: http}}}}]}
";

#[test]
fn an_ingress_controller_hands_requests_on_by_host_and_path() {
    let mut cluster = cluster();
    apply(&mut cluster, WEB);
    apply(&mut cluster, INGRESS);
    let mut get = |host: &str, path: &str, want: &str| {
        let command = format!("{GET}--resolve {host}:30080:172.18.0.3 http://{host}:30080{path}");
        prints(&mut cluster, "outside", &command, want);
    };
    get("shop.test", "/", "X-Forwarded-Host: shop.test:30080");
    get("shop.test", "/any/where", "GET /any/where HTTP/1.1");
    // The backend sees the controller, not the client, as its peer.
    get("shop.test", "/", "RemoteAddr: 10.42.1.");
    get("shop.test", "/wrong/x", "502 Bad Gateway");
    get("shop.test", "/none", "503 Service Temporarily Unavailable");
    get("other.test", "/", "404 Not Found");
    // A controller that is its own backend gives up in the end.
    get("loop.test", "/", "503 Service Temporarily Unavailable");
    // Nothing says where the controller is reached: its node is.
    let key = ObjectKey::new("ingresses.networking.k8s.io", "default", "shop");
    let reached = |cluster: &Cluster| {
        let ingress = cluster.etcd.get(&key).expect("it is there");
        ingress["status"]["loadBalancer"]["ingress"].to_json()
    };
    assert_eq!(reached(&cluster), r#"[{"ip":"172.18.0.3"}]"#);
    let other = ObjectKey::new("pods", "default", "controller");
    cluster
        .delete(&Component::Person, &other, &DeleteOptions::default())
        .expect("deleted");
    let published = "
apiVersion: v1
kind: Pod
metadata: {name: second, labels: {app: ingress}}
spec: {nodeName: worker-1, containers: [{name: c, image: 'registry.k8s.io/ingress-nginx/controller:v1.13.3', args: [/nginx-ingress-controller, --publish-service=$(POD_NAMESPACE)/ingress]}]}
";
    apply(&mut cluster, published);
    let service = ObjectKey::new("services", "default", "ingress");
    let address = cluster.etcd.get(&service).expect("it is there")["spec"]["clusterIP"].text();
    assert_eq!(reached(&cluster), format!(r#"[{{"ip":"{address}"}}]"#));
}

#[test]
fn a_kube_proxy_that_would_not_start_is_refused_with_the_configuration() {
    let file = |mode: &str| {
        let text = format!("apiVersion: kubarium/v1alpha1\nkind: Cluster\nkubeProxy: {{{mode}}}\n");
        Config::parse(&text).map(drop)
    };
    assert_eq!(file("mode: nftables"), Ok(()));
    for (settings, want) in [
        ("mode: ipvs", "ipvs is not simulated yet"),
        ("flags: [--nope]", "unknown flag: --nope"),
    ] {
        let error = file(settings).expect_err(settings);
        assert!(error.contains(want), "{error}");
    }
}
