//! Kubeconfig files of a person's own.

use super::prints;

#[test]
fn a_file_of_ones_own_is_used_and_changed() {
    let file = "--kubeconfig /tmp/own";
    let make = "kubectl config view --raw > /tmp/own";
    let kept = "kubectl config --kubeconfig /tmp/own set-context --current --namespace=blue";
    prints(
        &[make, kept, "kubectl get pods --kubeconfig=/tmp/own"],
        "No resources found in blue namespace.\n",
        0,
    );
    // The usual one stays as it is.
    prints(
        &[make, kept, "kubectl get pods"],
        "No resources found in default namespace.\n",
        0,
    );
    prints(
        &[make, kept, "grep namespace /tmp/own"],
        "    namespace: blue\n",
        0,
    );
    prints(
        &[make, kept, "export KUBECONFIG=/tmp/own", "kubectl get pods"],
        "No resources found in blue namespace.\n",
        0,
    );
    prints(
        &[
            "cd /tmp",
            "kubectl config --kubeconfig=new set-cluster far --server=https://1.2.3.4",
            "kubectl config --kubeconfig=new get-clusters",
        ],
        "NAME\nfar\n",
        0,
    );
    prints(
        &[make, &format!("kubectl config delete-user ada {file}")],
        "error: cannot delete user ada, not in /tmp/own\n",
        1,
    );
    prints(
        &["kubectl get pods --kubeconfig=nosuch"],
        "error: stat nosuch: no such file or directory\n",
        1,
    );
    prints(
        &["KUBECONFIG=/tmp/nosuch kubectl get pods"],
        "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n",
        1,
    );
    prints(
        &[
            "echo 'a: [' > /tmp/bad",
            "kubectl get pods --kubeconfig=/tmp/bad 2>&1 | cut -c1-45",
        ],
        "error: error loading config file \"/tmp/bad\": \n",
        0,
    );
}

#[test]
fn several_files_are_read_as_one() {
    let files = [
        "kubectl config --kubeconfig=/tmp/a set-context one --cluster=kubernetes --namespace=x",
        "kubectl config --kubeconfig=/tmp/b set-context two --cluster=kubernetes --namespace=y",
        "kubectl config --kubeconfig=/tmp/b use-context two",
        "export KUBECONFIG=/tmp/a:/tmp/b:$HOME/.kube/config",
    ];
    let then = |last| [&files[..], &[last]].concat();
    prints(
        &then("kubectl config get-contexts -o name"),
        "kubernetes-admin@kubernetes\none\ntwo\n",
        0,
    );
    prints(&then("kubectl config current-context"), "two\n", 0);
    prints(
        &then("kubectl config use-context one"),
        "Switched to context \"one\".\nerror: changing several kubeconfig files at once is not simulated yet: name the one with --kubeconfig\n",
        1,
    );
}

#[test]
fn preferences_are_kept() {
    let set = "kubectl config set preferences.colors true";
    let shown = "kubectl config view -o jsonpath='{.preferences}'";
    prints(&[set, shown], "{\"colors\":true}", 0);
    prints(
        &[set, "kubectl config unset preferences.colors", shown],
        "",
        0,
    );
    prints(
        &["kubectl config set preferences.colors maybe"],
        "error: strconv.ParseBool: parsing \"maybe\": invalid syntax\n",
        1,
    );
}
