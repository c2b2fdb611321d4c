//! What a kubelet does for the pods of its node beside starting and stopping them.

use crate::common::live::{World, one, sleeper};
use kubarium_cluster::api::Subresource;
use kubarium_cluster::faults::Fault;

#[test]
fn a_container_leaves_last_words() {
    let script = |words: &str| format!("command: [sh, -c, \"{words}\"]");
    let never = ", restartPolicy: Never";
    let world = World::with(
        &[
            one(
                "file",
                never,
                &script("echo out; echo why > /dev/termination-log; exit 1"),
            ),
            one(
                "own",
                never,
                &format!(
                    "terminationMessagePath: /tmp/end, {}",
                    script("printf bye > /tmp/end")
                ),
            ),
            one(
                "logs",
                never,
                &format!(
                    "terminationMessagePolicy: FallbackToLogsOnError, {}",
                    script("echo one; echo two; exit 1")
                ),
            ),
            one(
                "fine",
                never,
                &format!(
                    "terminationMessagePolicy: FallbackToLogsOnError, {}",
                    script("echo one")
                ),
            ),
        ]
        .concat(),
    );
    for (pod, words) in [
        ("file", "why\n"),
        ("own", "bye"),
        ("logs", "one\ntwo\n"),
        ("fine", "null"),
    ] {
        let path = "status/containerStatuses/0/state/terminated/message";
        assert_eq!(world.at(pod, path), words, "{pod}");
    }
}

#[test]
fn a_container_is_started_again_by_its_own_rules() {
    let rules = "restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]";
    let exits = |code: u8| format!("command: [sh, -c, 'sleep 1; exit {code}'], {rules}");
    let never = ", restartPolicy: Never";
    let mut world = World::with(
        &[
            one("again", never, &exits(42)),
            one("over", never, &exits(1)),
        ]
        .concat(),
    );
    world.run(30.0);
    assert_ne!(
        world.at("again", "status/containerStatuses/0/restartCount"),
        "0"
    );
    assert_eq!(world.at("again", "status/phase"), "Running");
    assert_eq!(
        world.at("over", "status/containerStatuses/0/restartCount"),
        "0"
    );
    assert_eq!(world.at("over", "status/phase"), "Failed");
}

#[test]
fn volumes_are_renewed_and_the_environment_is_not() {
    let container = "env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: a}}}], volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /sub, subPath: a}]";
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: old}}\n---\n";
    let volumes = ", volumes: [{name: v, configMap: {name: m}}]";
    let pod = one(
        "p",
        volumes,
        &format!("command: [sleep, '100000'], {container}"),
    );
    let mut world = World::with(&format!("{map}{pod}"));
    let show = "echo $A $(cat /v/a) $(cat /sub)";
    assert_eq!(world.sh("p", show), "old old old\n");
    world
        .patch("configmaps", "m", Subresource::None, "{data: {a: new}}")
        .unwrap();
    assert_eq!(world.sh("p", show), "old old old\n");
    world.run(91.0);
    assert_eq!(world.sh("p", show), "old new old\n");
}

#[test]
fn containers_get_other_resources_in_place() {
    let given = "resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}";
    let restart = "resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]";
    let mut world = World::with(&sleeper("p", &format!("{given}, {restart}")));
    let cpu = "status/containerStatuses/0/resources/requests/cpu";
    world.resize("p", "{requests: {cpu: 200m}}").unwrap();
    world.run(0.2);
    assert_eq!(world.at("p", cpu), "100m");
    assert_eq!(
        world.at("p", "status/containerStatuses/0/allocatedResources/cpu"),
        "200m"
    );
    world.run(3.0);
    assert_eq!(world.at("p", cpu), "200m");
    assert_eq!(world.condition("p", "PodResizeInProgress"), "");
    assert_eq!(
        world.events("p", "ResizeCompleted"),
        [
            r#"Pod resize completed: {"containers":[{"name":"c","resources":{"limits":{"memory":"128Mi"},"requests":{"cpu":"200m","memory":"64Mi"}}}],"generation":2}"#
        ]
    );
    assert_eq!(
        world.at("p", "status/containerStatuses/0/restartCount"),
        "0"
    );
    // More than the machine has, or than is free.
    world.resize("p", "{requests: {cpu: 100}}").unwrap();
    world.run(1.0);
    assert_eq!(
        world.condition("p", "PodResizePending"),
        "Infeasible Node didn't have enough capacity: cpu, requested: 100000, capacity: 4000"
    );
    // Memory wants a restart here.
    world
        .resize("p", "{requests: {cpu: 200m, memory: 80Mi}}")
        .unwrap();
    world.run(40.0);
    assert_eq!(
        world.at("p", "status/containerStatuses/0/restartCount"),
        "1"
    );
    assert_eq!(
        world.at("p", "status/containerStatuses/0/resources/requests/memory"),
        "80Mi"
    );
    assert_eq!(world.condition("p", "PodResizePending"), "");
    let refused = world.resize(
        "p",
        "{requests: {cpu: 200m, memory: 128Mi}, limits: {cpu: 200m, memory: 128Mi}}",
    );
    assert!(
        refused
            .unwrap_err()
            .contains("Pod QOS Class may not change as a result of resizing")
    );
}

#[test]
fn a_resize_waits_for_room() {
    let mut world = World::with(
        &[
            sleeper("p", "resources: {requests: {cpu: 1}}"),
            sleeper("q", "resources: {requests: {cpu: 2500m}}"),
        ]
        .concat(),
    );
    world.resize("p", "{requests: {cpu: 2}}").unwrap();
    world.run(1.0);
    let pending = world.condition("p", "PodResizePending");
    assert!(
        pending
            .starts_with("Deferred Node didn't have enough resource: cpu, requested: 2000, used: "),
        "{pending}"
    );
    world.delete("pods", "q");
    world.run(40.0);
    assert_eq!(world.condition("p", "PodResizePending"), "");
    assert_eq!(
        world.at("p", "status/containerStatuses/0/resources/requests/cpu"),
        "2"
    );
}

#[test]
fn a_machine_runs_the_pods_of_its_manifests() {
    let mut world = World::with("");
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: nginx}]}\n";
    world.on(
        "worker-1",
        &format!("cat > /etc/kubernetes/manifests/web.yaml <<X\n{manifest}X"),
    );
    world.run(8.0);
    assert_eq!(world.at("web-worker-1", "status/phase"), "Running");
    let container = world.at("web-worker-1", "status/containerStatuses/0/containerID");
    let uid = world.at("web-worker-1", "metadata/uid");
    // The mirror comes back; the containers go on.
    world.delete("pods", "web-worker-1");
    world.run(2.0);
    assert_ne!(world.at("web-worker-1", "metadata/uid"), uid);
    assert_eq!(
        world.at("web-worker-1", "status/containerStatuses/0/containerID"),
        container
    );
    assert_eq!(world.sh("web-worker-1", "hostname"), "web-worker-1\n");
    let refused = world.resize("web-worker-1", "{requests: {cpu: 1}}");
    assert!(
        refused
            .unwrap_err()
            .contains("static pods cannot be resized")
    );
    // Another file is another pod, once the old one is gone.
    world.on(
        "worker-1",
        "sed -i 's/nginx/httpd/' /etc/kubernetes/manifests/web.yaml",
    );
    world.run(10.0);
    assert_eq!(world.at("web-worker-1", "spec/containers/0/image"), "httpd");
    assert_eq!(world.at("web-worker-1", "status/phase"), "Running");
    world.on("worker-1", "rm /etc/kubernetes/manifests/web.yaml");
    world.run(10.0);
    assert!(world.pod("web-worker-1").is_null());
}

#[test]
fn manifests_change_while_nobody_is_reached() {
    let mut world = World::with("");
    let write = |world: &mut World, image: &str| {
        let manifest = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{containers: [{{name: c, image: {image}}}]}}}}"
        );
        let path = "/etc/kubernetes/manifests/web.yaml";
        world.on("worker-1", &format!("echo '{manifest}' > {path}"));
        world.run(8.0);
    };
    let fault = |world: &mut World, words: &[&str]| {
        let fault = Fault::parse(words, "default").expect("a fault");
        let broken = world.0.break_it(fault).expect("broken");
        broken.expect("a number")
    };
    write(&mut world, "nginx");
    // A kubelet that is cut off reads its manifests all the same.
    let cut = fault(&mut world, &["cut", "worker-1"]);
    write(&mut world, "httpd");
    let images = |world: &World| -> Vec<String> {
        let machine = &world.0.machines["worker-1"];
        let sandboxes = machine.runtime.sandboxes.values();
        let own = sandboxes.filter(|sandbox| &*sandbox.pod.name == "web-worker-1");
        let containers = own.flat_map(|sandbox| &sandbox.containers);
        containers
            .map(|container| container.image.to_string())
            .collect()
    };
    assert_eq!(images(&world), ["docker.io/library/httpd:latest"]);
    // So does one whose machine boots.
    let off = fault(&mut world, &["node", "worker-1"]);
    write(&mut world, "nginx");
    write(&mut world, "httpd");
    for number in [cut, off] {
        world.0.mend(number).expect("mended");
    }
    world.run(20.0);
    assert_eq!(world.at("web-worker-1", "spec/containers/0/image"), "httpd");
    assert_eq!(world.at("web-worker-1", "status/phase"), "Running");
}

#[test]
fn host_paths_are_of_their_type_and_seen_on_the_machine() {
    let at = |path: &str, kind: &str| {
        format!(", volumes: [{{name: h, hostPath: {{path: {path}, type: {kind}}}}}]")
    };
    let write = "command: [sh, -c, 'echo hi > /h/x; sleep 100000'], volumeMounts: [{name: h, mountPath: /h}]";
    let mut world = World::with(
        &[
            one("makes", &at("/data", "DirectoryOrCreate"), write),
            one("lacks", &at("/nope", "Directory"), write),
            one("wrong", &at("/etc/hostname", "Directory"), write),
        ]
        .concat(),
    );
    assert_eq!(world.on("worker-1", "cat /data/x"), "hi\n");
    for (pod, why) in [("lacks", "/nope"), ("wrong", "/etc/hostname")] {
        let events = world.events(pod, "FailedMount");
        let text = format!(
            "MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: {why} is not a directory"
        );
        assert_eq!(events.first(), Some(&text));
    }
}

#[test]
fn a_pod_that_fills_its_volume_is_evicted() {
    let volumes = ", volumes: [{name: e, emptyDir: {sizeLimit: 1Ki}}]";
    let fill = "command: [sh, -c, 'i=0; while [ $i -lt 40 ]; do echo 0123456789012345678901234567890123456789 >> /e/f; i=$((i+1)); done; sleep 100000'], volumeMounts: [{name: e, mountPath: /e}]";
    let mut world = World::with(&one("p", volumes, fill));
    world.run(15.0);
    assert_eq!(world.at("p", "status/reason"), "Evicted");
    assert_eq!(
        world.at("p", "status/message"),
        "Usage of EmptyDir volume \"e\" exceeds the limit \"1Ki\". "
    );
}

#[test]
fn grpc_probes_ask_for_health() {
    let probe = |port: u16, service: &str| {
        format!(
            "readinessProbe: {{grpc: {{port: {port}, service: '{service}'}}, periodSeconds: 2}}"
        )
    };
    let health =
        "image: registry.k8s.io/e2e-test-images/agnhost:2.57, args: [grpc-health-checking]";
    let pod = |name: &str, container: &str, probe: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: worker-1, containers: [{{name: c, {container}, {probe}}}]}}}}\n---\n"
        )
    };
    let world = World::with(
        &[
            pod("serves", health, &probe(5000, "")),
            pod("other", health, &probe(5000, "x")),
            pod("http", "image: nginx", &probe(80, "")),
        ]
        .concat(),
    );
    assert_eq!(
        world.at("serves", "status/containerStatuses/0/ready"),
        "true"
    );
    for (name, why) in [
        (
            "other",
            "Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
        ),
        ("http", "within 1s: context deadline exceeded"),
    ] {
        let events = world.events(name, "Unhealthy");
        assert!(
            events.first().is_some_and(|e| e.ends_with(why)),
            "{events:?}"
        );
    }
}

#[test]
fn a_node_pulls_one_image_after_the_other() {
    let pod = |name: &str, image: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: worker-1, containers: [{{name: c, image: '{image}'}}]}}}}\n---\n"
        )
    };
    let world = World::with(
        &[
            pod("a", "nginx:1.27"),
            pod("b", "httpd:2.4"),
            pod("c", "nginx:1.27"),
        ]
        .concat(),
    );
    for (name, times) in [
        ("a", "in 900ms (900ms including waiting)"),
        ("b", "in 900ms (1.8s including waiting)"),
        ("c", "in 60ms (1.86s including waiting)"),
    ] {
        let events = world.events(name, "Pulled");
        assert!(
            events.iter().any(|e| e.contains(times)),
            "{name}: {events:?}"
        );
    }
}
