//! How containers are stopped and begun again, how probes hold each other up, and what ends a pod.

use crate::common::live::{World, one};
use kubarium_objects::base64;

/// How the container `c` of a pod ended the last time it was restarted: the field of `terminated`.
fn last(world: &World, pod: &str, field: &str) -> String {
    world.at(
        pod,
        &format!("status/containerStatuses/0/lastState/terminated/{field}"),
    )
}

/// A liveness probe that fails at once, with these fields.
fn fails(fields: &str) -> String {
    format!(
        "livenessProbe: {{exec: {{command: ['false']}}, failureThreshold: 1, periodSeconds: 30{fields}}}"
    )
}

#[test]
fn a_container_is_stopped_by_its_own_signal() {
    let traps = "trap 'exit 10' TERM; trap 'exit 11' USR1; trap 'exit 12' INT; trap 'exit 13' QUIT; while true; do sleep 1; done";
    let pod = |name: &str, lifecycle: &str| {
        let command = format!("command: [sh, -c, \"{traps}\"]{lifecycle}, {}", fails(""));
        one(name, ", os: {name: linux}", &command)
    };
    let cases = [
        ("plain", "", "10"),
        ("usr1", ", lifecycle: {stopSignal: SIGUSR1}", "11"),
        ("int", ", lifecycle: {stopSignal: SIGINT}", "12"),
        ("quit", ", lifecycle: {stopSignal: SIGQUIT}", "13"),
        ("kill", ", lifecycle: {stopSignal: SIGKILL}", "137"),
    ];
    let all: String = cases
        .iter()
        .map(|(name, life, _)| pod(name, life))
        .collect();
    let world = World::with(&all);
    for (name, _, code) in cases {
        assert_eq!(last(&world, name, "exitCode"), code, "{name}");
    }
}

#[test]
fn a_probe_has_a_grace_of_its_own() {
    let pod = |name: &str, fields: &str| {
        let stubborn = "command: [sh, -c, \"trap '' TERM; while true; do sleep 1; done\"]";
        one(
            name,
            ", terminationGracePeriodSeconds: 12",
            &format!("{stubborn}, {}", fails(fields)),
        )
    };
    let mut world = World::with(
        &[
            pod("own", ", terminationGracePeriodSeconds: 3"),
            pod("pods", ""),
        ]
        .concat(),
    );
    assert_eq!(last(&world, "own", "exitCode"), "137");
    assert_eq!(last(&world, "pods", "exitCode"), "null");
    world.run(10.0);
    assert_eq!(last(&world, "pods", "exitCode"), "137");
}

#[test]
fn nothing_counts_before_the_startup_probe() {
    let script = "sleep 5; touch /tmp/up; sleep 5; touch /tmp/ready; sleep 100000";
    let probe = |kind: &str, file: &str| {
        format!(
            "{kind}: {{exec: {{command: [test, -e, {file}]}}, periodSeconds: 1, failureThreshold: 20}}"
        )
    };
    let all = |name: &str, startup: &str| {
        one(
            name,
            ", terminationGracePeriodSeconds: 1",
            &format!(
                "command: [sh, -c, '{script}']{startup}, {}, livenessProbe: {{exec: {{command: [test, -e, /tmp/up]}}, periodSeconds: 1, failureThreshold: 3}}",
                probe("readinessProbe", "/tmp/ready")
            ),
        )
    };
    let startup = format!(", {}", probe("startupProbe", "/tmp/up"));
    let mut world = World::with("");
    world.apply(&[all("waits", &startup), all("hasty", "")].concat());
    let is = |world: &World, field: &str| {
        world.at("waits", &format!("status/containerStatuses/0/{field}"))
    };
    for (seconds, started, ready) in [
        (4.0, "false", "false"),
        (5.0, "true", "false"),
        (6.0, "true", "true"),
    ] {
        world.run(seconds);
        assert_eq!(
            (&*is(&world, "started"), &*is(&world, "ready")),
            (started, ready)
        );
    }
    assert_eq!(is(&world, "restartCount"), "0", "liveness waits, too");
    let hasty = world.at("hasty", "status/containerStatuses/0/restartCount");
    assert_ne!(hasty, "0", "without a startup probe it does not");
}

#[test]
fn all_containers_start_again_where_a_rule_says_so() {
    let rules = "restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]";
    let pod = |name: &str, code: u8| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: worker-1, restartPolicy: Never, initContainers: [{{name: i, image: busybox, command: [sh, -c, 'echo x >> /d/f'], volumeMounts: [{{name: d, mountPath: /d}}]}}], containers: [{{name: c, image: busybox, command: [sh, -c, 'trap \"\" TERM; while sleep 1; do true; done'], volumeMounts: [{{name: d, mountPath: /d}}]}}, {{name: w, image: busybox, command: [sh, -c, 'test $(wc -l < /d/f) -gt 1 && sleep 100000; sleep 6; exit {code}'], volumeMounts: [{{name: d, mountPath: /d}}], {rules}}}], volumes: [{{name: d, emptyDir: {{}}}}]}}}}\n---\n"
        )
    };
    let mut world = World::with(&[pod("gang", 42), pod("alone", 41)].concat());
    let address = world.at("gang", "status/podIP");
    assert_eq!(world.condition("gang", "AllContainersRestarting"), " ");
    world.run(6.0);
    for list in [
        "initContainerStatuses/0",
        "containerStatuses/0",
        "containerStatuses/1",
    ] {
        let field = |field: &str| world.at("gang", &format!("status/{list}/{field}"));
        assert_eq!(field("restartCount"), "1", "{list}");
        assert_eq!(
            field("lastState/terminated/reason"),
            "RestartingAllContainers"
        );
        assert_eq!(field("lastState/terminated/exitCode"), "137");
    }
    assert_eq!(world.at("gang", "status/phase"), "Running");
    assert_eq!(
        world.at("gang", "status/podIP"),
        address,
        "the same sandbox"
    );
    assert_eq!(world.sh("gang", "wc -l < /d/f"), "2\n", "the same volumes");
    let told: Vec<String> = world.0.log.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|e| e.contains("StartContainer i")),
        "init containers, too"
    );
    assert_eq!(
        world.at("alone", "status/containerStatuses/0/restartCount"),
        "0"
    );
    assert_eq!(
        world.at(
            "alone",
            "status/containerStatuses/1/state/terminated/exitCode"
        ),
        "41"
    );
}

#[test]
fn a_pod_that_writes_more_than_it_may_is_evicted() {
    let fill = |to: &str| {
        format!(
            "i=0; while [ $i -lt 40 ]; do echo 0123456789012345678901234567890123456789 >> {to}; i=$((i+1)); done; sleep 100000"
        )
    };
    let pod = |name: &str, to: &str, limit: &str| {
        one(
            name,
            ", volumes: [{name: e, emptyDir: {}}]",
            &format!(
                "command: [sh, -c, '{}'], volumeMounts: [{{name: e, mountPath: /e}}]{limit}",
                fill(to)
            ),
        )
    };
    let small = ", resources: {limits: {ephemeral-storage: 1Ki}}";
    // Beside a container that may write much, the pod as a whole may, too.
    let side = "containers: [{name: side, image: busybox, command: [sleep, '100000'], resources: {limits: {ephemeral-storage: 1Mi}}}, ";
    let large = ", resources: {limits: {ephemeral-storage: 1Mi}}";
    let mut world = World::with(
        &[
            pod("own", "/tmp/f", small),
            pod("volume", "/e/f", small),
            pod("output", "/dev/stdout", small),
            pod("one", "/tmp/f", small).replace("containers: [", side),
            pod("large", "/tmp/f", large),
            pod("free", "/tmp/f", ""),
        ]
        .concat(),
    );
    world.run(15.0);
    let total = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. ";
    let container = "Container c exceeded its local ephemeral storage limit \"1Ki\". ";
    for (pod, message) in [
        ("own", total),
        ("volume", total),
        ("output", total),
        ("one", container),
    ] {
        assert_eq!(world.at(pod, "status/reason"), "Evicted", "{pod}");
        assert_eq!(world.at(pod, "status/message"), message, "{pod}");
    }
    for pod in ["large", "free"] {
        assert_eq!(world.at(pod, "status/phase"), "Running", "{pod}");
    }
}

#[test]
fn a_projected_token_is_for_whom_it_says() {
    let pod = |name: &str, audience: &str| {
        one(
            name,
            &format!(
                ", volumes: [{{name: t, projected: {{sources: [{{serviceAccountToken: {{path: token{audience}}}}}]}}}}]"
            ),
            "command: [sleep, '100000'], volumeMounts: [{name: t, mountPath: /t}]",
        )
    };
    let mut world = World::with(
        &[
            pod("vault", ", audience: vault, expirationSeconds: 600"),
            pod("own", ""),
        ]
        .concat(),
    );
    let own = "https://kubernetes.default.svc.cluster.local";
    for (name, audience, lifetime) in [("vault", "vault", 600), ("own", own, 3600)] {
        let token = world.sh(name, "cat /t/token");
        let payload = token.split('.').nth(1).unwrap_or_default();
        let mut payload = payload.replace('-', "+").replace('_', "/");
        while !payload.len().is_multiple_of(4) {
            payload.push('=');
        }
        let claims = String::from_utf8(base64::decode(&payload).unwrap()).unwrap();
        let claims = kubarium_objects::Value::from_json(&claims).unwrap();
        assert_eq!(claims["aud"][0].str(), audience);
        let (from, to) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        assert_eq!(to - from, lifetime, "{name}");
    }
    // The API server takes only tokens that are for itself.
    for (name, code) in [("vault", "401"), ("own", "403")] {
        let script = "wget -S -O - --no-check-certificate --header \"Authorization: Bearer $(cat /t/token)\" https://kubernetes.default/api/v1/pods 2>&1 || true";
        let said = world.sh(name, script);
        assert!(said.contains(code), "{name}: {said}");
    }
}
