//! What the controllers and kubelets promise, a few lines for each promise.

use crate::common::live::World;
use kubarium_cluster::api::Subresource;
use kubarium_objects::ObjectMeta;

/// Plays lines on a cluster that has come up:
/// `{…}` makes an object, `+SECONDS` lets time run, `patch RESOURCE NAME {…}` and `status RESOURCE NAME {…}` change
/// one, `delete RESOURCE NAME` deletes it; `POD $ SCRIPT = OUTPUT` runs a script in a pod, `count RESOURCE PREFIX =
/// NUMBER` counts objects that nobody deletes by the beginning of their names, `RESOURCE NAME PATH = VALUE` looks.
#[track_caller]
fn plays(lines: &[&str]) {
    let mut world = World::with("");
    for line in lines {
        play(&mut world, line);
    }
}

#[track_caller]
fn play(world: &mut World, line: &str) {
    if line.starts_with('{') {
        return world.apply(line);
    }
    if let Some(seconds) = line.strip_prefix('+') {
        return world.run(seconds.parse().expect("seconds"));
    }
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    match words[..] {
        ["patch", resource, name, patch] => {
            let done = world.patch(resource, name, Subresource::None, patch);
            assert_eq!(done, Ok(()), "{line}");
        }
        ["status", resource, name, patch] => {
            let done = world.patch(resource, name, Subresource::Status, patch);
            assert_eq!(done, Ok(()), "{line}");
        }
        ["delete", resource, name] => world.delete(resource, name),
        _ => {
            let (question, answer) = line.rsplit_once(" = ").expect("an answer");
            assert_eq!(ask(world, question), answer, "{line}");
        }
    }
}

fn ask(world: &mut World, question: &str) -> String {
    if let Some((pod, script)) = question.split_once(" $ ") {
        return world.sh(pod, script).trim_end().to_owned();
    }
    let words: Vec<&str> = question.split(' ').collect();
    match words[..] {
        ["count", resource, prefix] => {
            let all = world.0.etcd.list(resource, Some("default"));
            let named =
                all.filter(|(key, object)| key.name.starts_with(prefix) && !object.is_deleting());
            named.count().to_string()
        }
        [resource, name, path] => world.at_of(resource, name, path),
        _ => panic!("what is {question:?}?"),
    }
}

/// A workload of that kind with a pod template of one container; `spec` comes before it.
fn set(kind: &str, name: &str, spec: &str) -> String {
    let group = match kind {
        "Job" => "batch/v1",
        _ => "apps/v1",
    };
    let selector = match kind {
        "Job" => String::new(),
        _ => format!("selector: {{matchLabels: {{app: {name}}}}}, "),
    };
    format!(
        "{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}}}, spec: {{{selector}{spec}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{TEMPLATE}}}}}}}}"
    )
}

fn server(kind: &str, name: &str, spec: &str) -> String {
    set(kind, name, spec).replace(
        "TEMPLATE",
        "terminationGracePeriodSeconds: 1, containers: [{name: c, image: nginx}]",
    )
}

fn job(name: &str, spec: &str, script: &str) -> String {
    set("Job", name, spec).replace(
        "TEMPLATE",
        &format!("terminationGracePeriodSeconds: 1, restartPolicy: Never, containers: [{{name: c, image: busybox, command: [sh, -c, '{script}']}}]"),
    )
}

fn pod(name: &str, spec: &str, container: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{{spec}containers: [{{name: c, image: busybox, {container}}}]}}}}"
    )
}

const NEVER_READY: &str = "patch deployments.apps d {spec: {template: {spec: {containers: [{name: c, readinessProbe: {exec: {command: ['false']}}}]}}}}";

#[test]
fn a_rollout_keeps_to_its_arithmetic() {
    plays(&[
        &server("Deployment", "d", "replicas: 10"),
        "+8",
        "deployments.apps d status/availableReplicas = 10",
        // A quarter may be missing (2), a quarter too many (3).
        NEVER_READY,
        "+8",
        "count pods d- = 13",
        "deployments.apps d status/availableReplicas = 8",
        "deployments.apps d status/updatedReplicas = 5",
        // All sets grow in proportion to their sizes: 8 and 5 of 13 become 15 and 10 of 25.
        "patch deployments.apps d {spec: {replicas: 20}}",
        "+8",
        "count pods d- = 25",
        "deployments.apps d status/availableReplicas = 15",
        "deployments.apps d status/updatedReplicas = 10",
    ]);
    for (strategy, pods, available) in [
        ("maxSurge: 0, maxUnavailable: 1", "4", "3"),
        ("maxSurge: 1, maxUnavailable: 0", "5", "4"),
        ("maxSurge: 100%, maxUnavailable: 0", "8", "4"),
        ("maxSurge: 50%, maxUnavailable: 50%", "6", "2"),
    ] {
        let spec = format!("replicas: 4, strategy: {{rollingUpdate: {{{strategy}}}}}");
        plays(&[
            &server("Deployment", "d", &spec),
            "+8",
            NEVER_READY,
            "+8",
            &format!("count pods d- = {pods}"),
            &format!("deployments.apps d status/availableReplicas = {available}"),
        ]);
    }
}

#[test]
fn a_deployment_keeps_so_much_history_and_waits_for_steady_pods() {
    let image = |image: &str| {
        format!(
            "patch deployments.apps d {{spec: {{template: {{spec: {{containers: [{{name: c, image: {image}}}]}}}}}}}}"
        )
    };
    plays(&[
        &server("Deployment", "d", "revisionHistoryLimit: 1, replicas: 1"),
        "+5",
        &image("httpd"),
        "+8",
        "count replicasets.apps d- = 2",
        &image("caddy"),
        "+8",
        "count replicasets.apps d- = 2",
    ]);
    plays(&[
        &server("Deployment", "d", "minReadySeconds: 20, replicas: 1"),
        "+10",
        "deployments.apps d status/readyReplicas = 1",
        "deployments.apps d status/availableReplicas = null",
        "+20",
        "deployments.apps d status/availableReplicas = 1",
    ]);
}

#[test]
fn a_stateful_set_goes_as_it_is_told() {
    let policy = |policy: &str| {
        server(
            "StatefulSet",
            "s",
            &format!("replicas: 3, serviceName: s{policy}"),
        )
    };
    plays(&[
        &policy(""),
        "+0.5",
        "count pods s- = 1",
        "+15",
        "count pods s- = 3",
    ]);
    plays(&[
        &policy(", podManagementPolicy: Parallel"),
        "+0.5",
        "count pods s- = 3",
    ]);
    plays(&[
        &policy(", updateStrategy: {rollingUpdate: {partition: 2}}"),
        "+15",
        "patch statefulsets.apps s {spec: {template: {spec: {containers: [{name: c, image: httpd}]}}}}",
        "+20",
        "pods s-2 spec/containers/0/image = httpd",
        "pods s-1 spec/containers/0/image = nginx",
        "patch statefulsets.apps s {spec: {updateStrategy: {rollingUpdate: {partition: 0}}}}",
        "+30",
        "pods s-0 spec/containers/0/image = httpd",
    ]);
    plays(&[
        &policy(", updateStrategy: {type: OnDelete}"),
        "+15",
        "patch statefulsets.apps s {spec: {template: {spec: {containers: [{name: c, image: httpd}]}}}}",
        "+10",
        "pods s-1 spec/containers/0/image = nginx",
        "delete pods s-1",
        "+10",
        "pods s-1 spec/containers/0/image = httpd",
    ]);
}

#[test]
fn a_job_runs_as_many_as_it_may_for_as_long_as_it_may() {
    plays(&[
        &job("j", "completions: 4, parallelism: 2", "sleep 5"),
        "+4",
        "count pods j- = 2",
        "+30",
        "jobs.batch j status/succeeded = 4",
        "jobs.batch j status/conditions/1/type = Complete",
    ]);
    plays(&[
        &job("j", "activeDeadlineSeconds: 5", "sleep 1000"),
        "+15",
        "jobs.batch j status/conditions/1/reason = DeadlineExceeded",
        "count pods j- = 0",
    ]);
    plays(&[
        &job("j", "ttlSecondsAfterFinished: 10", "true"),
        "+8",
        "jobs.batch j status/succeeded = 1",
        "+20",
        "count jobs.batch j = 0",
        "count pods j- = 0",
    ]);
    plays(&[
        &job("j", "suspend: true", "sleep 2"),
        "+5",
        "count pods j- = 0",
        "jobs.batch j status/conditions/0/reason = JobSuspended",
        "patch jobs.batch j {spec: {suspend: false}}",
        "+10",
        "jobs.batch j status/succeeded = 1",
    ]);
    // The pods that a Job stops because it has failed have failed, too; those of one that rests have not.
    let indexed = "completionMode: Indexed, completions: 3, parallelism: 3, backoffLimit: 0";
    plays(&[
        &job(
            "j",
            indexed,
            "test $JOB_COMPLETION_INDEX = 1 && sleep 2 && exit 1; sleep 1000",
        ),
        "+12",
        "jobs.batch j status/conditions/1/reason = BackoffLimitExceeded",
        "jobs.batch j status/failed = 3",
        "jobs.batch j status/terminating = 0",
        "count pods j- = 1",
    ]);
    plays(&[
        &job("j", indexed, "sleep 1000"),
        "+5",
        "patch jobs.batch j {spec: {suspend: true}}",
        "+5",
        "count pods j- = 0",
        "jobs.batch j status/failed = null",
    ]);
}

#[test]
fn a_cron_job_minds_those_that_still_run() {
    for (policy, jobs) in [("Allow", "2"), ("Forbid", "1"), ("Replace", "1")] {
        let inner = job("x", "backoffLimit: 0", "sleep 100000");
        let (_, spec) = inner.split_once("spec: ").expect("a spec");
        let spec = spec.strip_suffix('}').expect("an end");
        let cron = format!(
            "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: k}}, spec: {{schedule: '* * * * *', concurrencyPolicy: {policy}, jobTemplate: {{spec: {spec}}}}}}}"
        );
        plays(&[&cron, "+125", &format!("count jobs.batch k- = {jobs}")]);
        let suspended = cron.replace("schedule:", "suspend: true, schedule:");
        plays(&[&suspended, "+65", "count jobs.batch k- = 0"]);
    }
}

#[test]
fn endpoints_tell_what_services_ask() {
    let service = |fields: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: p}}, spec: {{selector: {{app: p}}, ports: [{{port: 80}}]{fields}}}}}"
        )
    };
    let waits = pod(
        "p",
        "nodeName: worker-1, ",
        "command: [sleep, '100000'], readinessProbe: {exec: {command: ['false']}}",
    );
    for (fields, told) in [
        ("", "null"),
        (", publishNotReadyAddresses: true", "worker-1"),
    ] {
        let looks = format!("endpoints p subsets/0/addresses/0/nodeName = {told}");
        plays(&[&service(fields), &waits, "+6", &looks]);
    }
    let mut world = World::with("");
    let runs = pod("p", "nodeName: worker-1, ", "command: [sleep, '100000']");
    for line in [
        &*service(", trafficDistribution: PreferSameNode"),
        &*runs,
        "+6",
    ] {
        play(&mut world, line);
    }
    let slices: Vec<_> = world
        .0
        .index
        .slices_of(&"default".into(), &"p".into())
        .cloned()
        .collect();
    let slice = world.0.etcd.get(&slices[0]).cloned().unwrap_or_default();
    assert_eq!(
        slice["endpoints"][0]["hints"]["forNodes"][0]["name"].str(),
        "worker-1"
    );
}

#[test]
fn a_pod_is_told_of_itself() {
    let env = "env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: APP, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''app'']'}}}, {name: HOST, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}, {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}], resources: {requests: {cpu: 250m}, limits: {memory: 64Mi}}";
    let volume = "volumes: [{name: d, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}], ";
    plays(&[
        &pod(
            "p",
            &format!("nodeName: worker-1, {volume}"),
            &format!(
                "command: [sleep, '100000'], volumeMounts: [{{name: d, mountPath: /d}}], {env}"
            ),
        ),
        "+6",
        "p $ echo $NAME $APP $HOST $MEMORY $CPU = p p worker-1 64 250",
        "p $ cat /d/labels = app=\"p\"",
    ]);
}

#[test]
fn hooks_run_after_the_start_and_before_the_end() {
    let hooks = "volumeMounts: [{name: h, mountPath: /h}], lifecycle: {postStart: {exec: {command: [sh, -c, 'echo began >> /h/told']}}, preStop: {exec: {command: [sh, -c, 'echo ends >> /h/told']}}}";
    let spec = "terminationGracePeriodSeconds: 2, nodeName: worker-1, volumes: [{name: h, hostPath: {path: /told, type: DirectoryOrCreate}}], ";
    let mut world = World::with("");
    for line in [
        &*pod("p", spec, &format!("command: [sleep, '100000'], {hooks}")),
        "+6",
        "p $ cat /h/told = began",
        "delete pods p",
        "+6",
        "count pods p = 0",
    ] {
        play(&mut world, line);
    }
    assert_eq!(world.on("worker-1", "cat /told/told"), "began\nends\n");
}

#[test]
fn a_gate_keeps_a_pod_from_being_ready() {
    plays(&[
        &pod(
            "p",
            "readinessGates: [{conditionType: example.com/go}], ",
            "command: [sleep, '100000']",
        ),
        "+6",
        "pods p status/containerStatuses/0/ready = true",
        "pods p status/conditions/2/reason = ReadinessGatesNotReady",
        "status pods p {status: {conditions: [{type: example.com/go, status: 'True'}]}}",
        "+70",
        "pods p status/conditions/2/status = True",
    ]);
}

#[test]
fn an_end_takes_its_time() {
    plays(&[
        &pod("p", "", "").replace("busybox", "nginx"),
        "+6",
        "delete pods p",
        "+0.03",
        "pods p status/phase = Running",
        // The sandbox is stopped, …
        "+0.1",
        "pods p status/phase = Succeeded",
        // … and the volumes are unmounted.
        "+0.2",
        "pods p metadata/name = p",
        "+0.2",
        "pods p metadata/name = null",
    ]);
    let mut world = World::with(&pod("p", "restartPolicy: Never, ", "command: [sleep, '9']"));
    let told = "pods p status/containerStatuses/0/state/terminated/exitCode";
    while ask(&mut world, told) == "null" {
        world.run(0.01);
    }
    assert_eq!(ask(&mut world, "pods p status/phase"), "Running");
    world.run(0.1);
    assert_eq!(ask(&mut world, "pods p status/phase"), "Succeeded");
}

#[test]
fn pods_end_as_their_policies_say() {
    for (spec, script, phase, field, value) in [
        (
            "restartPolicy: Never, ",
            "exit 0",
            "Succeeded",
            "containerStatuses/0/restartCount",
            "0",
        ),
        (
            "restartPolicy: Never, ",
            "exit 3",
            "Failed",
            "containerStatuses/0/state/terminated/exitCode",
            "3",
        ),
        (
            "restartPolicy: OnFailure, ",
            "exit 0",
            "Succeeded",
            "containerStatuses/0/restartCount",
            "0",
        ),
        (
            "restartPolicy: OnFailure, ",
            "exit 3",
            "Running",
            "containerStatuses/0/state/waiting/reason",
            "CrashLoopBackOff",
        ),
        (
            "",
            "exit 0",
            "Running",
            "containerStatuses/0/state/waiting/reason",
            "CrashLoopBackOff",
        ),
        (
            "activeDeadlineSeconds: 4, ",
            "sleep 1000",
            "Failed",
            "reason",
            "DeadlineExceeded",
        ),
        (
            "restartPolicy: Never, initContainers: [{name: i, image: busybox, command: ['false']}], ",
            "sleep 1",
            "Failed",
            "initContainerStatuses/0/state/terminated/exitCode",
            "1",
        ),
    ] {
        let spec = format!("terminationGracePeriodSeconds: 1, {spec}");
        plays(&[
            &pod("p", &spec, &format!("command: [sh, -c, '{script}']")),
            "+9",
            &format!("pods p status/phase = {phase}"),
            &format!("pods p status/{field} = {value}"),
        ]);
    }
    for (image, policy, reason) in [
        ("nosuch", "Never", "ErrImageNeverPull"),
        ("UPPER", "Always", "InvalidImageName"),
    ] {
        let container = format!("imagePullPolicy: {policy}");
        let text = pod("p", "", &container).replace("busybox", image);
        plays(&[
            &text,
            "+4",
            &format!("pods p status/containerStatuses/0/state/waiting/reason = {reason}"),
        ]);
    }
    for (resources, class) in [
        ("", "BestEffort"),
        ("requests: {cpu: 10m}", "Burstable"),
        ("limits: {cpu: 10m, memory: 64Mi}", "Guaranteed"),
    ] {
        let container = format!("command: [sleep, '100000'], resources: {{{resources}}}");
        plays(&[
            &pod("p", "", &container),
            &format!("pods p status/qosClass = {class}"),
        ]);
    }
}
