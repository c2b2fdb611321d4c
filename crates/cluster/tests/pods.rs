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

/// A node's or the outside's command line: what it prints.
fn on(cluster: &mut Cluster, machine: &str, line: &str) -> String {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let output = cluster.run_on_node(machine, &argv, b"").unwrap();
    String::from_utf8(output.merged).unwrap()
}

/// What a pod's status says at a path of names and numbers: `status.phase`.
fn at(cluster: &Cluster, name: &str, path: &str) -> String {
    let found = cluster.find("pods", "default", name);
    let value = path
        .split('.')
        .fold(found.cloned().unwrap_or_default(), |v, part| {
            match part.parse::<usize>() {
                Ok(index) => v[index].clone(),
                Err(_) => v[part].clone(),
            }
        });
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_json(),
    }
}

/// The reasons and messages of the Events about a pod, in order.
fn events(cluster: &Cluster, name: &str) -> Vec<String> {
    let about = cluster
        .etcd
        .list("events", Some("default"))
        .map(|(_, e)| e)
        .filter(|e| e["involvedObject"]["name"].str() == name);
    let mut all: Vec<_> = about
        .map(|e| {
            (
                e["metadata"]["resourceVersion"]
                    .str()
                    .parse::<u64>()
                    .unwrap(),
                format!("{} {}", e["reason"].str(), e["message"].str()),
            )
        })
        .collect();
    all.sort();
    all.into_iter().map(|(_, text)| text).collect()
}

fn printed(cluster: &Cluster, name: &str, container: &str, previous: bool) -> String {
    let key = ObjectKey::new("pods", "default", name);
    let logs = cluster.logs(&key, container, previous);
    logs.map_or_else(String::new, |l| {
        l.lines().map(|l| format!("{}\n", l.text)).collect()
    })
}

#[test]
fn containers_end_and_are_started_again_as_the_pod_says() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: moody}
spec: {nodeName: worker-1, containers: [{name: c, image: busybox, args: [sh, -c, 'echo giving up; exit 3']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {nodeName: worker-1, restartPolicy: Never, containers: [{name: c, image: busybox, command: [sh, -c, 'echo done; sleep 1']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: absent}
spec: {nodeName: worker-1, containers: [{name: c, image: 'nginx:1.99'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: nocmd}
spec: {nodeName: worker-1, restartPolicy: Never, containers: [{name: c, image: busybox, command: [nosuch]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: staged}
spec:
  nodeName: worker-1
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, 'echo one > /w/log'], volumeMounts: [{name: w, mountPath: /w}]}
  containers:
  - {name: c, image: busybox, command: [sh, -c, 'read x < /w/log; echo $x; sleep 1000'], volumeMounts: [{name: w, mountPath: /w}]}
  volumes: [{name: w, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: config}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx, envFrom: [{configMapRef: {name: nosuch}}]}]}
",
    );
    for (name, path, expected) in [
        (
            "moody",
            "status.containerStatuses.0.state.waiting.reason",
            "CrashLoopBackOff",
        ),
        (
            "moody",
            "status.containerStatuses.0.lastState.terminated.exitCode",
            "3",
        ),
        ("moody", "status.containerStatuses.0.restartCount", "1"),
        ("moody", "status.phase", "Running"),
        ("once", "status.phase", "Succeeded"),
        (
            "once",
            "status.containerStatuses.0.state.terminated.reason",
            "Completed",
        ),
        ("once", "status.conditions.0.status", "False"),
        (
            "absent",
            "status.containerStatuses.0.state.waiting.reason",
            "ErrImagePull",
        ),
        ("absent", "status.phase", "Pending"),
        (
            "nocmd",
            "status.containerStatuses.0.state.terminated.reason",
            "StartError",
        ),
        ("nocmd", "status.phase", "Failed"),
        (
            "staged",
            "status.initContainerStatuses.0.state.terminated.exitCode",
            "0",
        ),
        ("staged", "status.phase", "Running"),
        (
            "config",
            "status.containerStatuses.0.state.waiting.reason",
            "CreateContainerConfigError",
        ),
        (
            "config",
            "status.containerStatuses.0.state.waiting.message",
            "configmap \"nosuch\" not found",
        ),
    ] {
        assert_eq!(at(&cluster, name, path), expected, "{name} {path}");
    }
    assert_eq!(printed(&cluster, "moody", "c", false), "giving up\n");
    assert_eq!(printed(&cluster, "moody", "c", true), "giving up\n");
    assert_eq!(printed(&cluster, "staged", "c", false), "one\n");
    assert!(events(&cluster, "moody").iter().any(|e| {
        e.starts_with("BackOff Back-off restarting failed container c in pod moody_default(")
    }));
    assert!(events(&cluster, "absent").contains(&"Failed Failed to pull image \"nginx:1.99\": rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/nginx:1.99\": failed to resolve reference \"docker.io/library/nginx:1.99\": docker.io/library/nginx:1.99: not found".to_owned()));
    // The back-off grows: 10 s after the second end, then 20 s, 40 s …
    cluster.run_until(cluster.now + Duration::from_secs(120));
    assert_eq!(
        at(&cluster, "moody", "status.containerStatuses.0.restartCount"),
        "4"
    );
}

/// The reasons that a pod's container is seen to have in so many seconds, each change of it.
fn reasons(cluster: &mut Cluster, name: &str, seconds: u64) -> Vec<String> {
    let end = cluster.now + Duration::from_secs(seconds);
    let mut seen: Vec<String> = Vec::new();
    while cluster.now < end {
        cluster.run_until(cluster.now + Duration::from_millis(100));
        let state = &pod(cluster, name)["status"]["containerStatuses"][0]["state"];
        let reason = [&state["waiting"], &state["terminated"]].map(|of| of["reason"].str());
        let reason = reason.concat();
        if seen.last() != Some(&reason) {
            seen.push(reason);
        }
    }
    seen
}

#[test]
fn what_a_sync_came_to_is_told_by_the_next() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: absent}
spec: {containers: [{name: c, image: 'nginx:1.99'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: over}
spec: {containers: [{name: c, image: busybox, command: ['true']}]}
",
    );
    // A pull every other sync, each 10 to 15 s after the one before.
    let seen = reasons(&mut cluster, "absent", 40);
    let begin = ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"];
    assert_eq!(seen[..3], begin, "{seen:?}");
    // From the second round on a container has ended until it is started again.
    let seen = reasons(&mut cluster, "over", 130);
    let waits = |at: usize| seen[at] == "CrashLoopBackOff";
    assert!(waits(seen.len() - 2) || waits(seen.len() - 3), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "Completed", "{seen:?}");
}

#[test]
fn a_deleted_pod_has_its_grace() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: polite}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec: {nodeName: worker-1, terminationGracePeriodSeconds: 5, containers: [{name: c, image: busybox, command: [sleep, '1000']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: trapped}
spec: {nodeName: worker-1, containers: [{name: c, image: busybox, command: [sh, -c, 'trap \"exit 0\" TERM; while true; do sleep 0.2; done']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: hooked}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx, lifecycle: {preStop: {exec: {command: [sleep, '3']}}}}]}
",
    );
    let start = cluster.now;
    for name in ["polite", "stubborn", "trapped", "hooked"] {
        assert_eq!(at(&cluster, name, "status.phase"), "Running", "{name}");
        cluster
            .delete(
                &Component::Person,
                &ObjectKey::new("pods", "default", name),
                &Default::default(),
            )
            .unwrap();
    }
    for (name, seconds) in [
        ("polite", 0),
        ("trapped", 0),
        ("hooked", 3),
        ("stubborn", 5),
    ] {
        let there = |c: &Cluster| c.find("pods", "default", name).is_none();
        assert!(
            cluster.run_while(Duration::from_secs(60), there),
            "{name} stays"
        );
        assert_eq!(cluster.now.since(start).as_secs(), seconds, "{name}");
    }
}

#[test]
fn probes_decide_on_readiness_and_restarts() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: ready}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx, readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unready}
spec: {nodeName: worker-1, containers: [{name: c, image: nginx, readinessProbe: {httpGet: {path: /nosuch, port: 80}, periodSeconds: 1}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sick}
spec: {nodeName: worker-1, terminationGracePeriodSeconds: 1, containers: [{name: c, image: nginx, livenessProbe: {tcpSocket: {port: 81}, periodSeconds: 1, failureThreshold: 2}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: told}
spec: {nodeName: worker-1, containers: [{name: c, image: busybox, command: [sh, -c, 'touch /tmp/ok; sleep 1000'], readinessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1}}]}
",
    );
    for (name, ready) in [("ready", "true"), ("unready", "false"), ("told", "true")] {
        assert_eq!(
            at(&cluster, name, "status.containerStatuses.0.ready"),
            ready,
            "{name}"
        );
    }
    let has = |name: &str, text: &str| events(&cluster, name).iter().any(|e| e == text);
    assert!(has(
        "unready",
        "Unhealthy Readiness probe failed: HTTP probe failed with statuscode: 404"
    ));
    assert!(
        has(
            "sick",
            "Unhealthy Liveness probe failed: dial tcp 10.42.1.5:81: connect: connection refused"
        ),
        "{:?}",
        events(&cluster, "sick")
    );
    assert!(has(
        "sick",
        "Killing Container c failed liveness probe, will be restarted"
    ));
    assert_ne!(
        at(&cluster, "sick", "status.containerStatuses.0.restartCount"),
        "0"
    );
    let before = cluster.log.len();
    let key = ObjectKey::new("pods", "default", "sick");
    cluster
        .delete(&Component::Person, &key, &Default::default())
        .unwrap();
    settle(&mut cluster);
    let quiet = cluster.log.len();
    cluster.run_until(cluster.now + Duration::from_secs(60));
    assert!(cluster.log.len() > before);
    let since: Vec<String> = cluster
        .log
        .iter()
        .skip(quiet)
        .map(ToString::to_string)
        .filter(|e| !e.contains("unready"))
        .collect();
    assert_eq!(
        since,
        Vec::<String>::new(),
        "probes that keep their result are silent"
    );
}

#[test]
fn a_trace_names_who_decides() {
    let mut cluster = cluster();
    apply(&mut cluster, WEB);
    let request = kubarium_cluster::trace::TraceRequest {
        from: "pod/client".into(),
        to: "http://web".into(),
        udp: false,
    };
    let trace = cluster.trace(&request).unwrap();
    assert_eq!(
        trace.server.as_ref().map(|s| (
            s.pod.as_str(),
            s.container.as_str(),
            s.sees_source.as_str()
        )),
        Some(("default/web", "c", "10.42.2.3"))
    );
    let phases: Vec<_> = trace
        .phases
        .iter()
        .map(|p| format!("{:?}", p.phase))
        .collect();
    assert_eq!(phases, ["Dns", "Request", "Reply"]);
    let all: Vec<&str> = trace
        .phases
        .iter()
        .flat_map(|p| p.hops.iter().map(|h| h.explanation.as_str()))
        .collect();
    assert!(all.iter().any(|e| e.contains("DNAT: for the Service default/web the destination becomes 10.42.1.3:80, pod default/web (10.42.1.3)")), "{all:#?}");
    assert!(
        trace
            .conntrack
            .iter()
            .any(|t| t.node == "worker-2" && t.original.ends_with("-> 10.43.100.10:80")),
        "{:?}",
        trace.conntrack
    );
    for (to, verdict) in [
        ("http://nosuch", "unresolved"),
        ("10.42.1.3:81", "refused"),
        ("10.43.0.99:80", "timeout"),
        ("https://10.43.0.1", "delivered"),
    ] {
        let request = kubarium_cluster::trace::TraceRequest {
            from: "pod/client".into(),
            to: to.into(),
            udp: false,
        };
        let trace = cluster.trace(&request).unwrap();
        assert_eq!(
            format!("{:?}", trace.verdict).to_lowercase(),
            verdict,
            "{to}: {}",
            trace.reason
        );
    }
}

#[test]
fn a_host_port_leads_to_its_pod() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: shop}
spec: {nodeName: worker-1, containers: [{name: c, image: traefik/whoami, ports: [{containerPort: 80, hostPort: 8088}]}]}
",
    );
    for (node, url, source) in [
        ("outside", "http://172.18.0.3:8088", "172.18.0.1"),
        ("worker-2", "http://172.18.0.3:8088", "172.18.0.4"),
        ("worker-1", "http://127.0.0.1:8088", "10.42.1.1"),
    ] {
        let printed = on(&mut cluster, node, &format!("curl -sS -m 3 {url}"));
        assert!(
            printed.contains(&format!("RemoteAddr: {source}:")),
            "{node}: {printed}"
        );
    }
    cluster
        .delete(
            &Component::Person,
            &ObjectKey::new("pods", "default", "shop"),
            &Default::default(),
        )
        .unwrap();
    settle(&mut cluster);
    assert!(
        on(
            &mut cluster,
            "outside",
            "curl -sS -m 3 http://172.18.0.3:8088"
        )
        .contains("(7)")
    );
    assert_eq!(
        on(
            &mut cluster,
            "worker-1",
            "iptables -t nat -S CNI-HOSTPORT-DNAT"
        ),
        "-N CNI-HOSTPORT-DNAT\n"
    );
}

/// As recorded on a real cluster whose registry has small test servers.
#[test]
fn a_server_sees_the_sources_that_a_real_one_sees() {
    let mut config = Config::default();
    config.images.unknown = kubarium_cluster::config::UnknownImage::Fail;
    let mut cluster = Cluster::new(config);
    apply(
        &mut cluster,
        "
apiVersion: v1
kind: Pod
metadata: {name: solo, labels: {app: solo}}
spec: {nodeName: worker-1, containers: [{name: c, image: 'nginx:1.27'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near}
spec: {nodeName: worker-1, containers: [{name: c, image: nicolaka/netshoot, command: [sleep, '100000']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far}
spec: {nodeName: worker-2, containers: [{name: c, image: nicolaka/netshoot, command: [sleep, '100000']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host}
spec: {nodeName: worker-2, hostNetwork: true, containers: [{name: c, image: httpd}]}
---
apiVersion: v1
kind: Service
metadata: {name: solo}
spec: {clusterIP: 10.43.100.70, selector: {app: solo}, type: NodePort, ports: [{port: 80, nodePort: 30070}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: solo.default.svc.cluster.local}
",
    );
    let ip = at(&cluster, "solo", "status.podIP");
    let near = at(&cluster, "near", "status.podIP");
    let far = at(&cluster, "far", "status.podIP");
    let get = |url: &str| format!("wget -qO- {url}");
    for (from, url, source) in [
        ("solo", "http://10.43.100.70", "10.42.1.1"),
        ("solo", &format!("http://{ip}"), &*ip),
        ("solo", "http://172.18.0.3:30070", "10.42.1.1"),
        ("solo", "http://172.18.0.4:30070", "10.42.2.0"),
        ("near", "http://solo", &near),
        ("far", "http://solo.default", &far),
        ("far", "http://alias", &far),
        ("near", "http://172.18.0.4", "172.18.0.3"),
        ("far", "http://172.18.0.4", &far),
    ] {
        let printed = sh(&mut cluster, from, &get(url));
        assert!(
            printed.contains(&format!(" client={source}:")),
            "{from} {url}: {printed}"
        );
    }
    for (machine, url, source) in [
        ("worker-2", format!("http://{ip}"), "10.42.2.0"),
        ("worker-1", format!("http://{ip}"), "10.42.1.1"),
        ("outside", "http://172.18.0.4:30070".to_owned(), "10.42.2.0"),
        ("outside", "http://172.18.0.4".to_owned(), "172.18.0.1"),
    ] {
        let printed = on(&mut cluster, machine, &format!("curl -sS -m 3 {url}"));
        assert!(
            printed.contains(&format!(" client={source}:")),
            "{machine} {url}: {printed}"
        );
    }
    assert_eq!(
        sh(
            &mut cluster,
            "near",
            "dig +noall +answer +nottlid alias.default.svc.cluster.local"
        ),
        "alias.default.svc.cluster.local. IN CNAME solo.default.svc.cluster.local.\nsolo.default.svc.cluster.local.\tIN A\t10.43.100.70\n"
    );
    assert_eq!(
        sh(
            &mut cluster,
            "near",
            "traceroute -n -q 1 -w 1 172.18.0.3 | sed 's/ *[0-9.]* ms//'"
        ),
        "traceroute to 172.18.0.3 (172.18.0.3), 30 hops max, 46 byte packets\n 1  172.18.0.3\n"
    );
    assert_eq!(
        on(
            &mut cluster,
            "outside",
            "curl -sS http://172.18.0.1:5000/v2/"
        ),
        "{}"
    );
}

#[test]
fn a_pod_on_a_taken_port_is_turned_away() {
    let mut cluster = cluster();
    for name in ["first", "second"] {
        apply(
            &mut cluster,
            &format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: worker-1, hostNetwork: true, containers: [{{name: c, image: nginx, ports: [{{containerPort: 80}}]}}]}}}}"
            ),
        );
    }
    for (path, expected) in [
        ("status.phase", "Failed"),
        ("status.reason", "NodePorts"),
        (
            "status.message",
            "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        ),
    ] {
        assert_eq!(at(&cluster, "second", path), expected);
    }
}

#[test]
fn two_runs_are_alike() {
    let run = || {
        let mut cluster = cluster();
        apply(&mut cluster, WEB);
        let printed = sh(
            &mut cluster,
            "client",
            "curl -s http://web; dig web.default.svc.cluster.local",
        );
        let log: String = cluster.log.iter().map(|e| format!("{e}\n")).collect();
        (printed, log)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_container_knows_the_services_that_were_there_first() {
    let mut cluster = cluster();
    let service = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}]}}}}"
        )
    };
    apply(&mut cluster, &service("early"));
    apply(
        &mut cluster,
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {hostname: h, subdomain: s, containers: [{name: c, image: busybox, command: [sleep, '1000']}]}}",
    );
    apply(&mut cluster, &service("late"));
    for (script, expected) in [
        ("echo $EARLY_SERVICE_PORT", "80\n"),
        ("echo ${LATE_SERVICE_PORT-none}", "none\n"),
        ("echo $KUBERNETES_SERVICE_HOST", "10.43.0.1\n"),
        ("hostname", "h\n"),
        ("hostname -f", "h.s.default.svc.cluster.local\n"),
    ] {
        assert_eq!(sh(&mut cluster, "p", script), expected, "{script}");
    }
}

#[test]
fn a_pod_waits_for_its_new_namespaces_account() {
    let mut cluster = cluster();
    apply(
        &mut cluster,
        "
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: nginx}]}}
",
    );
    assert!(cluster.find("pods", "shop", "p").is_some());
}

#[test]
fn a_fresh_pod_knows_no_neighbour() {
    let mut cluster = cluster();
    apply(&mut cluster, WEB);
    assert_eq!(sh(&mut cluster, "client", "ip neigh"), "");
}
