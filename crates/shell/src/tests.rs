//! Command lines on a default cluster, a line each.

use std::sync::LazyLock;

use std::time::Duration;

use kubarium_cluster::{Config, Simulation};
use kubarium_posix::{Complete, Dialect, Reader};

use crate::{Going, Session, Stream};

static CLUSTER: LazyLock<Session> =
    LazyLock::new(|| Session::new(Simulation::new(Config::default())));

/// A terminal on a default cluster at rest.
pub(crate) fn session() -> Session {
    CLUSTER.clone()
}

/// Runs the lines before the last, then checks what the last one prints and its exit status.
#[track_caller]
fn prints(lines: &[&str], want: &str, status: i32) {
    let mut session = session();
    let Some((last, before)) = lines.split_last() else {
        return;
    };
    for line in before {
        session.run(line);
    }
    let output = session.run(last);
    assert_eq!(
        (output.text().as_str(), output.status),
        (want, status),
        "{last}"
    );
}

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

const CONFIG_MAP: &str = "kubectl apply -f - <<'EOF'\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\nEOF";

#[test]
fn apply_creates_and_changes() {
    prints(&[CONFIG_MAP], "configmap/c created\n", 0);
    prints(&[CONFIG_MAP, CONFIG_MAP], "configmap/c unchanged\n", 0);
    prints(
        &[CONFIG_MAP, &CONFIG_MAP.replace("a: b", "a: c")],
        "configmap/c configured\n",
        0,
    );
    prints(
        &[
            CONFIG_MAP,
            &CONFIG_MAP.replace("a: b", "x: z"),
            "kubectl get cm c -o jsonpath='{.data}'",
        ],
        "{\"x\":\"z\"}",
        0,
    );
    prints(
        &[
            "cat > f.yaml <<EOF\napiVersion: v1\nkind: Namespace\nmetadata: {name: new}\nEOF\n",
            "kubectl apply -f f.yaml",
        ],
        "namespace/new created\n",
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

const POLICY: &str = "kubectl apply -f - <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  variables: [{name: most, expression: 'namespaceObject.metadata.name == \"default\" ? 3 : 9'}]
  validations: [{expression: 'object.spec.replicas <= variables.most'}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: all}
spec: {policyName: few, validationActions: [Deny]}
EOF";

#[test]
fn admission_policies_deny_and_warn() {
    prints(
        &[
            POLICY,
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "error: failed to create deployment: deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'all' denied request: failed expression: object.spec.replicas <= variables.most\n",
        1,
    );
    prints(
        &[
            POLICY,
            "kubectl create deployment web --image=nginx --replicas=2",
            "kubectl scale deployment web --replicas=4",
        ],
        "The deployments \"web\" is invalid: : ValidatingAdmissionPolicy 'few' with binding 'all' denied request: failed expression: object.spec.replicas <= variables.most\n",
        1,
    );
    prints(
        &[
            &POLICY.replace("[Deny]", "[Warn]"),
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "Warning: Validation failed for ValidatingAdmissionPolicy 'few' with binding 'all': failed expression: object.spec.replicas <= variables.most\ndeployment.apps/web created\n",
        0,
    );
    let other = POLICY.replace(
        "[Deny]",
        "[Deny], matchResources: {namespaceSelector: {matchLabels: {a: b}}}",
    );
    prints(
        &[
            &other,
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "deployment.apps/web created\n",
        0,
    );
}

const HOOK: &str = "kubectl apply -f - <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- name: check.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {name: s, namespace: ns}}
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
EOF";

#[test]
fn a_webhook_without_a_server_fails_as_its_policy_says() {
    prints(
        &[HOOK, "kubectl create secret generic x"],
        "error: failed to create secret Internal error occurred: failed calling webhook \"check.example.com\": failed to call webhook: Post \"https://s.ns.svc:443/?timeout=10s\": service \"s\" not found\n",
        1,
    );
    prints(
        &[
            &HOOK.replace("Fail", "Ignore"),
            "kubectl create secret generic x",
        ],
        "secret/x created\n",
        0,
    );
    prints(
        &[HOOK, "kubectl create configmap x"],
        "configmap/x created\n",
        0,
    );
}

#[test]
fn top_sorts_sums_and_shows_containers() {
    let mut session = Session::new(Simulation::new(Config {
        metrics: true,
        ..Config::default()
    }));
    for line in [
        "kubectl run a --image=nginx",
        "kubectl run b --image=nginx",
        "sim settle",
        "sim dial pod/b 70m",
    ] {
        session.run(line);
    }
    let mut says = |line: &str, want: &str| assert_eq!(session.run(line).text(), want, "{line}");
    says(
        "kubectl top pods --sort-by=cpu",
        "NAME   CPU(cores)   MEMORY(bytes)   \nb      70m          6Mi             \na      1m           6Mi             \n",
    );
    says(
        "kubectl top pod a --containers --no-headers",
        "a     a     1m    6Mi   \n",
    );
    says(
        "kubectl top pods --sum",
        "NAME   CPU(cores)   MEMORY(bytes)   \na      1m           6Mi             \nb      70m          6Mi             \n       ________     ________        \n       71m          12Mi            \n",
    );
    says(
        "kubectl top pod c",
        "Error from server (NotFound): podmetrics.metrics.k8s.io \"default/c\" not found\n",
    );
    says(
        "kubectl top node --sort-by=age",
        "error: --sort-by accepts only cpu or memory\n",
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

#[test]
fn what_was_done_can_be_undone() {
    prints(
        &[CONFIG_MAP, "sim undo", "kubectl get cm c"],
        "Error from server (NotFound): configmaps \"c\" not found\n",
        1,
    );
    prints(
        &[
            CONFIG_MAP,
            "sim undo",
            "sim redo",
            "kubectl get cm c -o name",
        ],
        "configmap/c\n",
        0,
    );
}

#[test]
fn objects_are_made_shown_and_changed() {
    let web = "kubectl create deployment web --image=nginx";
    let settle = "sim settle";
    prints(&[web], "deployment.apps/web created\n", 0);
    prints(
        &[web, web],
        "error: failed to create deployment: deployments.apps \"web\" already exists\n",
        1,
    );
    prints(
        &[
            web,
            settle,
            "kubectl get deploy web --no-headers | cut -d' ' -f1-4",
        ],
        "web   1/1\n",
        0,
    );
    prints(
        &[web, settle, "kubectl rollout status deploy/web"],
        "deployment \"web\" successfully rolled out\n",
        0,
    );
    prints(
        &[web, settle, "kubectl scale deploy web --replicas=3"],
        "deployment.apps/web scaled\n",
        0,
    );
    prints(
        &[
            web,
            settle,
            "kubectl scale deploy web --current-replicas=2 --replicas=3",
        ],
        "error: Expected replicas to be 2, was 1\n",
        1,
    );
    prints(
        &[web, settle, "kubectl set image deploy/web nginx=nginx:1.27"],
        "deployment.apps/web image updated\n",
        0,
    );
    prints(
        &[web, settle, "kubectl set image deploy/web x=nginx:1.27"],
        "error: unable to find container named \"x\"\n",
        1,
    );
    prints(
        &[web, settle, "kubectl expose deploy web --port=80"],
        "service/web exposed\n",
        0,
    );
    prints(
        &[web, "kubectl expose deploy web"],
        "error: couldn't find port via --port flag or introspection\n",
        1,
    );
    prints(
        &[
            web,
            settle,
            "kubectl wait --for=condition=Available deploy/web",
        ],
        "deployment.apps/web condition met\n",
        0,
    );
    prints(
        &[web, settle, "kubectl delete deploy web"],
        "deployment.apps \"web\" deleted from default namespace\n",
        0,
    );
    prints(
        &[web, "kubectl label deploy web a=b"],
        "deployment.apps/web labeled\n",
        0,
    );
    prints(
        &[web, "kubectl label deploy web app=x"],
        "error: 'app' already has a value (web), and --overwrite is false\n",
        1,
    );
    prints(
        &[web, "kubectl annotate deploy web note=x"],
        "deployment.apps/web annotated\n",
        0,
    );
    prints(
        &[
            web,
            "kubectl patch deploy web -p '{\"spec\":{\"replicas\":2}}'",
        ],
        "deployment.apps/web patched\n",
        0,
    );
    prints(
        &[
            web,
            "kubectl patch deploy web -p '{\"spec\":{\"replicas\":1}}'",
        ],
        "deployment.apps/web patched (no change)\n",
        0,
    );
    prints(
        &[
            web,
            settle,
            "kubectl rollout history deploy/web | tail -n +2",
        ],
        "REVISION  CHANGE-CAUSE\n1         <none>\n\n",
        0,
    );
    prints(
        &[web, settle, "kubectl describe deploy web | grep -c Scaled"],
        "1\n",
        0,
    );
    prints(&["kubectl cordon worker-1"], "node/worker-1 cordoned\n", 0);
    prints(
        &["kubectl cordon worker-1", "kubectl uncordon worker-1"],
        "node/worker-1 uncordoned\n",
        0,
    );
    prints(
        &["kubectl taint nodes worker-1 a=b:NoSchedule"],
        "node/worker-1 tainted\n",
        0,
    );
    prints(
        &["kubectl taint nodes worker-1 a-"],
        "error: taint \"a\" not found\n",
        1,
    );
    prints(
        &[
            "kubectl config set-context --current --namespace=kube-system",
            "kubectl get deploy -o name",
        ],
        "deployment.apps/coredns\n",
        0,
    );
    prints(
        &["kubectl get pods --as=eve"],
        "Error from server (Forbidden): pods is forbidden: User \"eve\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"\n",
        1,
    );
    prints(
        &["kubectl edit deploy web"],
        "error: kubectl edit is not simulated yet: it needs an editor in a terminal; kubectl get -o yaml > FILE, change the file, kubectl apply -f FILE does the same\n",
        1,
    );
}

#[test]
fn pods_run_commands_and_keep_logs() {
    let pod = "kubectl run p --image=busybox -- sh -c 'echo hello; sleep 1000'";
    prints(&[pod, "sim settle", "kubectl logs p"], "hello\n", 0);
    prints(&[pod, "sim settle", "kubectl exec p -- echo hi"], "hi\n", 0);
    prints(
        &[pod, "sim settle", "kubectl exec p -- sh -c 'exit 3'"],
        "command terminated with exit code 3\n",
        3,
    );
    prints(
        &[pod, "sim settle", "kubectl logs p -c x"],
        "error: container x is not valid for pod p out of: p\n",
        1,
    );
    prints(&[pod, "kubectl logs p"], "", 0);
    prints(&["ssh worker-1 hostname"], "worker-1\n", 0);
    prints(
        &["ssh nowhere hostname"],
        "ssh: Could not resolve hostname nowhere: Name or service not known\n",
        255,
    );
    prints(
        &["ssh control-plane etcdctl get --prefix --keys-only /registry/namespaces/def"],
        "/registry/namespaces/default\n\n",
        0,
    );
    prints(
        &["sim trace pod/nowhere http://x"],
        "sim: there is no pod \"nowhere\"\n",
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
fn watches_go_on_until_they_are_ended() {
    let mut session = session();
    let watched = session.run(
        "kubectl get cm -w -l k=v --no-headers & W=$!\nkubectl create cm a\nkubectl create cm b\nkubectl label cm a k=v\nkubectl label cm a more=1\nkubectl label cm a k-\nkubectl delete cm b\nsleep 1\nkill $W\nkubectl label cm a k=v\nsleep 1",
    );
    let lines: Vec<String> = watched
        .stdout()
        .lines()
        .filter(|l| l.starts_with("a "))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines, ["a 0 0s", "a 0 0s", "a 0 0s"], "{}", watched.text());
    prints(&["kubectl create cm a", "sleep 2"], "", 0);
    prints(&["timeout 3 kubectl get pods -w -n nosuch"], "", 124);
    prints(
        &[
            "kubectl create cm a",
            "timeout 3 kubectl get cm a -w -o name",
        ],
        "configmap/a\n",
        124,
    );
    prints(
        &["kubectl get cm,secrets -w"],
        "error: you may only specify a single resource type\n",
        1,
    );
    prints(
        &["kubectl get cm --output-watch-events"],
        "error: --output-watch-events option can only be used with --watch or --watch-only\nSee 'kubectl get -h' for help and examples\n",
        1,
    );
}

/// A command line in the foreground, piece by piece.
#[test]
fn a_foreground_command_writes_while_time_runs() {
    let command = |line: &str| -> Complete {
        match Reader::new(line, Dialect::Bash).next() {
            Some(Ok(command)) => command,
            other => panic!("{other:?}"),
        }
    };
    let mut session = session();
    assert_eq!(
        session.begin(&command("kubectl get pods -w -o name")),
        Going::Running
    );
    assert!(session.is_running() && session.take_written().is_empty());
    // Another command meanwhile, as an editor's button gives it.
    assert_eq!(session.run("kubectl run web --image=nginx").status, 0);
    let end = session.simulation.cluster.now + Duration::from_secs(30);
    assert_eq!(session.go_on(end), Going::Running);
    let written: String = session.take_written().into_iter().map(|(_, t)| t).collect();
    let lines: Vec<&str> = written.lines().collect();
    assert!(
        lines.len() >= 4 && lines.iter().all(|l| *l == "pod/web"),
        "{written}"
    );
    assert!(session.interrupt() && !session.is_running());
    assert_eq!(session.run("echo here").text(), "here\n");

    assert_eq!(
        session.begin(&command("echo $((1+2)); sleep 2; echo end")),
        Going::Running
    );
    let halfway = session.simulation.cluster.now + Duration::from_secs(1);
    assert_eq!(session.go_on(halfway), Going::Running);
    assert_eq!(session.take_written(), [(Stream::Out, "3\n".to_owned())]);
    let end = halfway + Duration::from_secs(5);
    assert_eq!(session.go_on(end), Going::Finished(0));
    assert_eq!(session.take_written(), [(Stream::Out, "end\n".to_owned())]);
    assert_eq!(session.go_on(end), Going::Finished(0));

    // What was begun, and how far it went, is part of a saved state.
    let line = "sleep 1; kubectl create cm late; sleep 9; kubectl create cm later";
    assert_eq!(session.begin(&command(line)), Going::Running);
    let end = end + Duration::from_secs(3);
    assert_eq!(session.go_on(end), Going::Running);
    session.interrupt();
    let state = session.state().unwrap().write();
    let (again, remark) = Session::from_state(crate::state::State::read(&state).unwrap());
    assert_eq!(remark, None);
    let log = |s: &Session| {
        s.simulation
            .cluster
            .log
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(log(&again), log(&session));
}

#[test]
fn logs_are_followed_while_the_container_runs() {
    prints(
        &[
            "kubectl run c --image=busybox --restart=Never -- sh -c 'for i in 1 2 3; do echo line $i; sleep 2; done'",
            "kubectl wait --for=jsonpath='{.status.phase}'=Running pod/c",
            "kubectl logs -f c",
        ],
        "line 1\nline 2\nline 3\n",
        0,
    );
    prints(
        &[
            "kubectl run c --image=busybox --restart=Never -- sh -c 'while true; do echo tick; sleep 2; done'",
            "kubectl wait --for=condition=Ready pod/c",
            "timeout 5 kubectl logs -f c --prefix --tail=1",
        ],
        "[pod/c/c] tick\n[pod/c/c] tick\n[pod/c/c] tick\n",
        124,
    );
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

#[test]
fn kustomizations_are_built() {
    let files = "mkdir -p base over\nprintf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: p}\\nspec: {containers: [{name: c, image: nginx, envFrom: [{configMapRef: {name: conf}}]}]}\\n' > base/p.yaml\nprintf 'resources: [p.yaml]\\nconfigMapGenerator: [{name: conf, literals: [a=b]}]\\n' > base/kustomization.yaml\nprintf 'resources: [../base]\\nnamePrefix: x-\\nimages: [{name: nginx, newTag: \"1.27\"}]\\nlabels: [{pairs: {env: prod}}]\\n' > over/kustomization.yaml";
    prints(
        &[files, "kubectl kustomize over"],
        "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  labels:\n    env: prod\n  name: x-conf-4h2mbtbbt6\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    env: prod\n  name: x-p\nspec:\n  containers:\n  - envFrom:\n    - configMapRef:\n        name: x-conf-4h2mbtbbt6\n    image: nginx:1.27\n    name: c\n",
        0,
    );
    prints(
        &[files, "kubectl apply -k over"],
        "configmap/x-conf-4h2mbtbbt6 created\npod/x-p created\n",
        0,
    );
    prints(
        &["kubectl kustomize nosuch"],
        "error: must build at directory: not a valid directory: evalsymlink failure on 'nosuch' : lstat /root/nosuch: no such file or directory\n",
        1,
    );
}

#[test]
fn a_token_says_who_asks() {
    prints(
        &[
            "kubectl create sa robot",
            "kubectl --token=$(kubectl create token robot) auth whoami | head -2 | tail -1",
        ],
        "Username    system:serviceaccount:default:robot\n",
        0,
    );
    prints(
        &["kubectl --token=nonsense get pods"],
        "error: You must be logged in to the server (Unauthorized)\n",
        1,
    );
    prints(
        &["kubectl create token nosuch"],
        "error: failed to create token: serviceaccounts \"nosuch\" not found\n",
        1,
    );
}

#[test]
fn requests_by_their_address() {
    prints(
        &["kubectl get --raw /apis/policy"],
        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"policy\",\"versions\":[{\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}}\n",
        0,
    );
    prints(&["kubectl get --raw /livez/ping"], "ok", 0);
    prints(
        &["kubectl get --raw /apis/nosuch/v1"],
        "Error from server (NotFound): the server could not find the requested resource\n",
        1,
    );
    prints(
        &[
            "echo '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"r\"},\"data\":{\"a\":\"b\"}}' | kubectl create --raw /api/v1/namespaces/default/configmaps -f - > made",
            "kubectl get cm r -o jsonpath='{.data.a}'",
        ],
        "b",
        0,
    );
    prints(
        &[
            "kubectl create cm r",
            "kubectl delete --raw /api/v1/namespaces/default/configmaps/r | cut -c1-68",
        ],
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\n",
        0,
    );
}
