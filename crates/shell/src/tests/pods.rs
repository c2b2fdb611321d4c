//! Commands in pods, logs and use of resources.

use kubarium_cluster::{Config, Simulation};

use super::prints;
use crate::Session;

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
fn a_volume_of_a_config_map_is_laid_out_as_the_kubelet_does_it() {
    let lines = [
        "kubectl create configmap c --from-literal=a=b",
        "kubectl run p --image=busybox --overrides='{\"spec\":{\"containers\":[{\"name\":\"p\",\"image\":\"busybox\",\"command\":[\"sleep\",\"1000\"],\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"},{\"name\":\"v\",\"mountPath\":\"/f\",\"subPath\":\"a\"}]}],\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"c\",\"defaultMode\":256}}]}}'",
        "sim settle",
    ];
    let says = |line: &str, want: &str| {
        let all: Vec<&str> = lines.iter().copied().chain([line]).collect();
        prints(&all, want, 0);
    };
    says("kubectl exec p -- readlink /v/a", "..data/a\n");
    says("kubectl exec p -- cat /v/a", "b");
    says("kubectl exec p -- sh -c 'ls -A /v | grep -c 20'", "1\n");
    says("kubectl exec p -- stat -L -c %a /v/a", "400\n");
    says("kubectl exec p -- stat -c %F /f", "regular file\n");
}

#[test]
fn cp_needs_the_tar_that_the_image_has() {
    let copies = |image: &str, want: &str, status: i32| {
        prints(
            &[
                &format!("kubectl run p --image={image}"),
                "sim settle",
                "kubectl cp p:/etc/hostname /tmp/x",
            ],
            want,
            status,
        );
    };
    copies("nginx", "tar: Removing leading `/' from member names\n", 0);
    copies(
        "busybox -- sleep 1000",
        "tar: removing leading '/' from member names\n",
        0,
    );
    let mut session = super::session();
    session.run("kubectl run p --image=traefik/whoami");
    session.run("sim settle");
    let output = session.run("kubectl cp p:/x /tmp/x");
    let why = "exec: \"tar\": executable file not found in $PATH\n";
    assert!(output.text().ends_with(why), "{}", output.text());
}

#[test]
fn a_job_whose_pods_restart_gives_up_at_its_backoff_limit() {
    let job = "kubectl create -f - <<'EOF'\napiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {backoffLimit: 2, template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: busybox, command: ['false']}]}}}\nEOF";
    let shown = "kubectl get job j -o jsonpath='{.status.conditions[1].reason}'";
    prints(&[job, "sim advance 60s", shown], "BackoffLimitExceeded", 0);
}

#[test]
fn a_node_that_is_closed_to_pods_says_so_when_the_kubelet_looks() {
    let shown = "kubectl get events --field-selector reason=NodeNotSchedulable -o jsonpath='{.items[*].message}'";
    let told = "Node worker-1 status is now: NodeNotSchedulable";
    prints(
        &["kubectl cordon worker-1", "sim advance 11s", shown],
        told,
        0,
    );
}

#[test]
fn a_machine_finds_its_pods_namespaces() {
    let lines = [
        "kubectl run p --image=nginx",
        "kubectl wait --for=condition=Ready pod/p",
        "NODE=$(kubectl get pod p -o jsonpath={.spec.nodeName})",
        "IP=$(kubectl get pod p -o jsonpath={.status.podIP})",
    ];
    let then = |last| [&lines[..], &[last]].concat();
    prints(
        &then(
            "ssh $NODE 'for n in $(ip netns | cut -d\" \" -f1); do ip -n $n -br -4 addr show eth0; done' | grep -c \" $IP/\"",
        ),
        "1\n",
        0,
    );
    prints(
        &then("ssh $NODE 'ip netns | grep -vcE \"^cni-[0-9a-f-]{36} .id: [0-9]+.$\"'"),
        "0\n",
        1,
    );
    prints(
        &then(
            "ssh $NODE 'for n in $(ip netns | cut -d\" \" -f1); do ip netns exec $n ss -tln; done' | grep -c ':80 '",
        ),
        "1\n",
        0,
    );
    prints(
        &["ssh worker-1 ip netns exec nosuch ss"],
        "Cannot open network namespace \"nosuch\": No such file or directory\n",
        255,
    );
    prints(
        &["ssh worker-1 ip netns exec"],
        "No netns name specified\n",
        255,
    );
    prints(
        &["ssh worker-1 ip netns foo"],
        "Command \"foo\" is unknown, try \"ip netns help\".\n",
        255,
    );
}

#[test]
fn mtr_reports_each_hop() {
    let lines = [
        "kubectl run p --image=nginx",
        "kubectl wait --for=condition=Ready pod/p",
        "NODE=$(kubectl get pod p -o jsonpath={.spec.nodeName})",
        "IP=$(kubectl get pod p -o jsonpath={.status.podIP})",
        "OTHER=$(kubectl get nodes -o name | grep -v $NODE | grep worker | cut -d/ -f2)",
    ];
    let then = |last| [&lines[..], &[last]].concat();
    prints(
        &then("ssh $OTHER mtr -r -c 3 $IP | grep -v HOST | sed 1d | awk '{print $1, $3, $4}'"),
        "1.|-- 0.0% 3\n2.|-- 0.0% 3\n",
        0,
    );
    prints(
        &then(
            "ssh $NODE mtr --report --report-cycles=1 $IP | grep -c \"  1.|-- $IP  *0.0%     1  \"",
        ),
        "1\n",
        0,
    );
    prints(
        &["ssh worker-1 mtr -rn -c 1 127.0.0.1 | grep HOST"],
        "HOST: worker-1                    Loss%   Snt   Last   Avg  Best  Wrst StDev\n",
        0,
    );
    prints(
        &["ssh worker-1 mtr -w -n -c 1 127.0.0.1 | sed 1d | cut -c 1-24"],
        "HOST: worker-1  Loss%   \n  1.|-- 127.0.0.1  0.0% \n",
        0,
    );
    prints(
        &["ssh worker-1 mtr -r -c 1 nowhere.invalid"],
        "mtr: Failed to resolve host: nowhere.invalid: Name or service not known\n",
        0,
    );
    prints(
        &["ssh worker-1 mtr 127.0.0.1"],
        "mtr's screen is not simulated yet: mtr --report prints the same\n",
        1,
    );
}
