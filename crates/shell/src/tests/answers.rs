//! What kubectl answers when all is well, and its own refusals.

use super::{prints, session};

#[test]
fn kubectl_answers_as_the_real_one() {
    prints(
        &["kubectl create configmap c --from-literal=a=b"],
        "configmap/c created\n",
        0,
    );
    prints(
        &[
            "kubectl create configmap c --from-literal=a=b",
            "kubectl get cm c -o jsonpath='{.data.a}'",
        ],
        "b",
        0,
    );
    prints(
        &["kubectl get pods"],
        "No resources found in default namespace.\n",
        0,
    );
    prints(
        &["kubectl get pod x"],
        "Error from server (NotFound): pods \"x\" not found\n",
        1,
    );
    prints(
        &["kubectl create configmap c", "kubectl delete cm c"],
        "configmap \"c\" deleted from default namespace\n",
        0,
    );
}

#[test]
fn a_short_name_of_two_resources_is_told() {
    prints(
        &["kubectl get ev -n kube-node-lease"],
        "Warning: short name \"ev\" could also match lower priority resource events.events.k8s.io\n\
         No resources found in kube-node-lease namespace.\n",
        0,
    );
}

#[test]
fn a_time_zone_is_of_an_area_that_there_is() {
    let job = "kubectl create cronjob t --image=busybox --schedule='0 1 * * *'";
    let zone = |name: &str| {
        let patch = format!(r#"{{"spec":{{"timeZone":"{name}"}}}}"#);
        format!("kubectl patch cronjob t -p '{patch}'")
    };
    prints(
        &[job, &zone("Europe/Berlin")],
        "cronjob.batch/t patched\n",
        0,
    );
    prints(&[job, &zone("Japan")], "cronjob.batch/t patched\n", 0);
    prints(
        &[job, &zone("Mars/Base")],
        "The CronJob \"t\" is invalid: spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base\n",
        1,
    );
}

#[test]
fn a_job_made_by_hand_from_a_cron_job_is_unexpected() {
    prints(
        &[
            "kubectl create cronjob t --image=busybox --schedule='0 1 * * *' -- sleep 100",
            "kubectl create job mine --from=cronjob/t",
            "sim settle",
            "kubectl get events --field-selector reason=UnexpectedJob -o jsonpath='{.items[*].message}'",
        ],
        "Saw a job that the controller did not create or forgot: mine",
        0,
    );
}

#[test]
fn node_ports_stay_when_no_more_are_allocated() {
    prints(
        &[
            "kubectl create service loadbalancer l --tcp=80",
            "kubectl patch svc l -p '{\"spec\":{\"ports\":[{\"port\":80,\"nodePort\":30081}]}}'",
            "kubectl patch svc l -p '{\"spec\":{\"allocateLoadBalancerNodePorts\":false}}'",
            "kubectl get svc l -o jsonpath='{.spec.ports[0].nodePort}'",
        ],
        "30081",
        0,
    );
}

#[test]
fn only_containers_that_ask_for_it_may_change_their_network() {
    let run = |context: &str| {
        format!(
            "kubectl run p --image=nicolaka/netshoot --overrides='{{\"spec\":{{\"containers\":[{{\"name\":\"p\",\
             \"image\":\"nicolaka/netshoot\",\"command\":[\"sleep\",\"1000\"]{context}}}]}}}}'"
        )
    };
    let del = "kubectl exec p -- ip route del default";
    prints(
        &[&run(""), "sim settle", del],
        "RTNETLINK answers: Operation not permitted\ncommand terminated with exit code 2\n",
        2,
    );
    let admin = ",\"securityContext\":{\"capabilities\":{\"add\":[\"NET_ADMIN\"]}}";
    prints(&[&run(admin), "sim settle", del], "", 0);
    let write = "kubectl exec p -- sysctl -w net.ipv4.ip_forward=0";
    prints(
        &[&run(admin), "sim settle", write],
        "sysctl: permission denied on key \"net.ipv4.ip_forward\"\ncommand terminated with exit code 1\n",
        1,
    );
    let privileged = ",\"securityContext\":{\"privileged\":true}";
    prints(
        &[&run(privileged), "sim settle", write],
        "net.ipv4.ip_forward = 0\n",
        0,
    );
}

#[test]
fn addresses_of_one_family_are_without_the_hardwares() {
    prints(
        &["ssh worker-1 ip -4 addr show lo"],
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000\n    \
         inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n",
        0,
    );
}

#[test]
fn usage_errors_are_kubectls() {
    prints(
        &["kubectl get pods --nosuchflag"],
        "error: unknown flag: --nosuchflag\nSee 'kubectl get --help' for usage.\n",
        1,
    );
    prints(
        &["kubectl frobnicate"],
        "error: unknown command \"frobnicate\" for \"kubectl\"\n",
        1,
    );
    prints(
        &["kubectl get pods,"],
        "error: the server doesn't have a resource type \"\"\n",
        1,
    );
    prints(
        &["kubectl get pods/"],
        "error: arguments in resource/name form must have a single resource and name\n",
        1,
    );
    prints(
        &["kubectl scale deploy queue"],
        "error: required flag(s) \"replicas\" not set\n",
        1,
    );
    prints(
        &["kubectl apply -f nosuch.yaml"],
        "error: the path \"nosuch.yaml\" does not exist\n",
        1,
    );
}

#[test]
fn rarer_commands_change_objects_too() {
    prints(
        &[
            "kubectl create deployment web --image=nginx",
            "kubectl set image deploy/web nginx=nginx:1.27 --record",
            "kubectl get deploy web -o jsonpath='{.metadata.annotations}'",
        ],
        r#"{"kubernetes.io/change-cause":"kubectl set image deploy/web nginx=nginx:1.27 --record=true"}"#,
        0,
    );
    prints(
        &[
            "kubectl create clusterrolebinding b --clusterrole=admin --user=bob",
            "kubectl set subject clusterrolebinding b --user=eve --serviceaccount=default:x",
            "kubectl get clusterrolebinding b -o jsonpath='{.subjects[*].name}'",
        ],
        "bob eve x",
        0,
    );
    prints(
        &["kubectl set subject clusterrolebinding b --serviceaccount=x"],
        "Error from server (NotFound): clusterrolebindings.rbac.authorization.k8s.io \"b\" not found\n",
        1,
    );
    prints(
        &[
            "kubectl run a --image=nginx",
            "kubectl debug a -c d --image=busybox --target=a -q",
            "kubectl get pod a -o jsonpath='{.spec.ephemeralContainers[*].name} {.metadata.generation}'",
        ],
        "d 2",
        0,
    );
    prints(
        &[
            "kubectl run a --image=nginx",
            "kubectl debug a --copy-to=b --set-image=*=httpd",
            "kubectl get pod b -o jsonpath='{.spec.containers[*].image} {.spec.shareProcessNamespace}'",
        ],
        "httpd true",
        0,
    );
    prints(
        &["kubectl debug a --same-node --image=x"],
        "error: --same-node may only be used with --copy-to.\n",
        1,
    );
}

/// Words that have been trouble elsewhere: whatever is made of them, nothing may panic.
const WORDS: &[&str] = &[
    "kubectl",
    "get",
    "pods",
    "pod/x",
    "-o",
    "jsonpath={.a[",
    "-o=custom-columns=A:.x[*]",
    "-o",
    "go-template={{range}}",
    "{{.é}}{{\"ü",
    "-f",
    "-",
    "--",
    "-l",
    "a in (",
    "describe",
    "node",
    "ns",
    "default",
    "delete",
    "--all",
    "-n",
    "ä",
    "apply",
    "create",
    "cm",
    "x",
    "--from-literal=ß=ö",
    "logs",
    "exec",
    "rollout",
    "undo",
    "set",
    "image",
    "*=y",
    "label",
    "a-",
    "=",
    "/",
    "patch",
    "-p",
    "{",
    "--type=json",
    "[{}]",
    "wait",
    "--for=jsonpath={",
    "--timeout=0s",
    "sim",
    "events",
    "--since",
    "goto",
    "#1",
    "trace",
    "ssh",
    "worker-1",
    "top",
    "explain",
    "deploy.spec.template",
    "--raw",
    "/api/v1/pods",
    "-w=",
    "--sort-by=.é[",
    "-it",
    "--replicas=99999999999999999999",
    "-A",
    "--dry-run",
    "taint",
    "k=v:",
    "run",
    "--image",
    "a/b@c:d",
    "auth",
    "can-i",
    "expose",
    "--port=0",
];

#[test]
fn no_command_line_panics() {
    let mut session = session();
    // A small generator of its own: the same lines each time.
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    for _ in 0..1500 {
        let mut words = vec!["kubectl".to_owned()];
        words.extend((0..1 + next(6)).map(|_| WORDS[next(WORDS.len())].to_owned()));
        let quoted: Vec<String> = words.iter().map(|w| kubarium_posix::quote(w)).collect();
        let output = session.run(&format!(
            "{} <<'EOF'\na: [é\n---\nkind: Pod\nEOF",
            quoted.join(" ")
        ));
        assert!((0..=255).contains(&output.status), "{words:?}");
    }
}

#[test]
fn a_flag_of_a_commands_own_is_not_the_global_one() {
    prints(
        &["kubectl create rolebinding rb --role=r --user=u"],
        "rolebinding.rbac.authorization.k8s.io/rb created\n",
        0,
    );
    prints(
        &[
            "kubectl config set-context other --cluster=nosuch --user=u",
            "kubectl --context=other get pods",
        ],
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n",
        1,
    );
}
