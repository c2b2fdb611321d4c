//! Command lines on a default cluster, a line each.

use std::sync::LazyLock;

use kubarium_cluster::{Config, Simulation};

use crate::Session;

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
