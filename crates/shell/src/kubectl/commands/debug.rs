//! `kubectl debug`: ephemeral containers, copies of pods, pods on nodes
//! (kubectl v1.37, `pkg/cmd/debug`). The change of objects is real; nobody can be attached to what runs.

use kubarium_objects::{ObjectMeta, Text, Value, array, go, names, object};

use super::exec;
use super::run::bad_reference;
use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::request::{DeleteOptions, Patch, Subresource};
use crate::kubectl::resource::Info;

const FLAGS: &[Flag] = &[
    switch(
        "arguments-only",
        "If specified, everything after -- will be passed to the new container as Args instead of Command.",
    ),
    switch(
        "attach",
        "If true, wait for the container to start running, and then attach as if 'kubectl attach ...' were called.  Default false, unless '-i/--stdin' is set, in which case the default is true.",
    ),
    text("container", "Container name to use for debug container.").short('c'),
    text("copy-to", "Create a copy of the target Pod with this name."),
    text(
        "custom",
        "Path to a JSON or YAML file containing a partial container spec to customize built-in debug profiles.",
    ),
    flag(
        "env",
        Kind::Pairs,
        "",
        "Environment variables to set in the container.",
    ),
    list("filename", "identifying the resource to debug").short('f'),
    text("image", "Container image to use for debug container."),
    text(
        "image-pull-policy",
        "The image pull policy for the container. If left empty, this value will not be specified by the client and defaulted by the server.",
    ),
    switch(
        "keep-annotations",
        "If true, keep the original pod annotations.(This flag only works when used with '--copy-to')",
    ),
    switch(
        "keep-labels",
        "If true, keep the original pod labels.(This flag only works when used with '--copy-to')",
    ),
    flag(
        "profile",
        Kind::Text,
        "general",
        "Options are \"legacy\", \"general\", \"baseline\", \"netadmin\", \"restricted\" or \"sysadmin\".",
    ),
    switch("quiet", "If true, suppress informational messages.").short('q'),
    switch(
        "replace",
        "When used with '--copy-to', delete the original Pod.",
    ),
    switch(
        "same-node",
        "When used with '--copy-to', schedule the copy of target Pod on the same node.",
    ),
    flag(
        "set-image",
        Kind::Pairs,
        "",
        "When used with '--copy-to', a list of name=image pairs for changing container images, similar to how 'kubectl set image' works.",
    ),
    flag(
        "share-processes",
        Kind::Bool,
        "true",
        "When used with '--copy-to', enable process namespace sharing in the copy.",
    ),
    switch(
        "stdin",
        "Keep stdin open on the container(s) in the pod, even if nothing is attached.",
    )
    .short('i'),
    text(
        "target",
        "When using an ephemeral container, target processes in this container name.",
    ),
    switch("tty", "Allocate a TTY for the debugging container.").short('t'),
];

pub(crate) const COMMAND: Command = Command::new(
    "debug",
    "(POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ] [options]",
    "Create debugging sessions for troubleshooting workloads and nodes",
    debug,
)
.flags(&[FLAGS])
.changing()
.partly("the containers and pods are real, but no terminal is attached to them");

fn debug(k: &mut Kubectl) -> Result {
    let dash = k.flags.dash.unwrap_or(k.flags.args.len());
    let targets: Vec<String> = k.flags.args.iter().take(dash).cloned().collect();
    let words: Vec<String> = k.flags.args.iter().skip(dash).cloned().collect();
    check(k, &words)?;
    if targets.is_empty() {
        return plain("NAME or filename is required for debug");
    }
    for target in targets {
        let info = exec::object_of(k, &target)?;
        match &*info.resource.kind {
            "Node" => node(k, &info, &words)?,
            "Pod" if !k.flags.str("copy-to").is_empty() => copy(k, &info, &words)?,
            "Pod" => ephemeral(k, &info, &words)?,
            kind => {
                return plain(format!(
                    "{} not supported by debug",
                    go::quote(&format!("{}, Kind={kind}", info.resource.api_version()))
                ));
            }
        }
    }
    Ok(())
}

/// What flags do not go together.
fn check(k: &Kubectl, words: &[String]) -> Result {
    let given = |name: &str| !k.flags.str(name).is_empty();
    let profiles = [
        "legacy",
        "general",
        "baseline",
        "netadmin",
        "restricted",
        "sysadmin",
    ];
    let profile = k.flags.str("profile");
    if !profiles.contains(&profile) {
        return plain(format!("unknown profile: {profile}"));
    }
    let why = if given("copy-to") {
        if !given("image") && k.flags.list("set-image").is_empty() && words.is_empty() {
            "you must specify --image, --set-image or command arguments."
        } else if !words.is_empty() && !given("container") && !given("image") {
            "you must specify an existing container or a new image when specifying args."
        } else {
            ""
        }
    } else if k.flags.bool("replace") {
        "--replace may only be used with --copy-to."
    } else if k.flags.bool("same-node") {
        "--same-node may only be used with --copy-to."
    } else if !k.flags.list("set-image").is_empty() {
        "--set-image may only be used with --copy-to."
    } else if !given("image") {
        "you must specify --image when not using --copy-to."
    } else {
        ""
    };
    if !why.is_empty() {
        return plain(why);
    }
    let image = k.flags.str("image");
    if given("image")
        && let Some(why) = bad_reference(image)
    {
        return plain(format!("invalid image name {}: {why}", go::quote(image)));
    }
    let policy = k.flags.str("image-pull-policy");
    if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
        return plain(format!("invalid image pull policy: {policy}"));
    }
    if given("target") && given("copy-to") {
        return plain("--target is incompatible with --copy-to. Use --share-processes instead.");
    }
    if k.flags.bool("tty") && !k.flags.bool("stdin") {
        return plain("-i/--stdin is required for containers with -t/--tty=true");
    }
    Ok(())
}

/// The debug container, without a name where none is given.
fn container(k: &Kubectl, words: &[String]) -> Value {
    let mut c = object([
        ("image", k.flags.str("image").into()),
        ("name", k.flags.str("container").into()),
        ("resources", Value::new_object()),
        ("terminationMessagePolicy", "File".into()),
    ]);
    if !k.flags.str("image-pull-policy").is_empty() {
        c["imagePullPolicy"] = k.flags.str("image-pull-policy").into();
    }
    for field in ["stdin", "tty"] {
        if k.flags.bool(field) {
            c[field] = true.into();
        }
    }
    if !words.is_empty() {
        let field = if k.flags.bool("arguments-only") {
            "args"
        } else {
            "command"
        };
        c[field] = array(words.iter().map(String::as_str));
    }
    for pair in k.flags.list("env") {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        c["env"].push(object([("name", name.into()), ("value", value.into())]));
    }
    c
}

/// What a profile lets the container do (`pkg/cmd/debug/profiles.go`).
fn apply_profile(k: &Kubectl, c: &mut Value, on_node: bool) {
    let add = |c: &mut Value, names: &[&str]| {
        c.set(
            &["securityContext", "capabilities", "add"],
            array(names.iter().copied()),
        );
    };
    match k.flags.str("profile") {
        "general" if !on_node => add(c, &["SYS_PTRACE"]),
        "netadmin" => add(c, &["NET_ADMIN", "NET_RAW"]),
        "sysadmin" => c.set(&["securityContext", "privileged"], true),
        "restricted" => {
            c.set(&["securityContext", "runAsNonRoot"], true);
            c.set(&["securityContext", "allowPrivilegeEscalation"], false);
            c.set(&["securityContext", "capabilities", "drop"], array(["ALL"]));
            c.set(
                &["securityContext", "seccompProfile", "type"],
                "RuntimeDefault",
            );
        }
        _ => {}
    }
}

fn suffix(k: &mut Kubectl) -> String {
    k.change(|cluster| names::random_suffix(|n| cluster.rng.below(u64::from(n)) as u32))
}

/// Names the container where nobody has.
fn name(k: &mut Kubectl, c: &mut Value) {
    if !c["name"].is_empty() {
        return;
    }
    let name = format!("debugger-{}", suffix(k));
    if !k.flags.bool("quiet") {
        k.err(format!("Defaulting debug container name to {name}.\n"));
    }
    c["name"] = name.into();
}

/// Says what a person would be attached to.
fn attached(k: &mut Kubectl, pod: &str, container: &str) {
    if k.flags.bool("stdin") || k.flags.bool("attach") {
        k.err(format!(
            "(no terminal is attached in the simulation: kubectl exec {pod} -c {container} -- COMMAND runs commands in the container)\n"
        ));
    }
}

/// An ephemeral container in a running pod.
fn ephemeral(k: &mut Kubectl, info: &Info, words: &[String]) -> Result {
    let mut c = container(k, words);
    let target = k.flags.str("target").to_owned();
    if !target.is_empty() {
        if !k.flags.bool("quiet") {
            k.out(format!("Targeting container {}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.\n", go::quote(&target)));
        }
        c["targetContainerName"] = target.as_str().into();
    }
    apply_profile(k, &mut c, false);
    name(k, &mut c);
    let name = c["name"].text();
    // After those that are there, as a two-way patch says it.
    let named = |c: &Value| object([("name", c["name"].clone())]);
    let before = info.object["spec"]["ephemeralContainers"].items().iter();
    let order: Vec<Value> = before.chain([&c]).map(named).collect();
    let change = object([(
        "spec",
        object([
            ("$setElementOrder/ephemeralContainers", array(order)),
            ("ephemeralContainers", array([c])),
        ]),
    )]);
    k.patch(
        &info.resource,
        &info.namespace,
        &info.name,
        &Patch::Strategic(change),
        Subresource::EphemeralContainers,
    )?;
    attached(k, &info.name, &name);
    Ok(())
}

/// A copy of a pod, changed so that it can be looked at.
fn copy(k: &mut Kubectl, info: &Info, words: &[String]) -> Result {
    let mut pod = object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        (
            "metadata",
            object([
                ("name", k.flags.str("copy-to").into()),
                ("namespace", (&info.namespace).into()),
            ]),
        ),
        ("spec", info.object["spec"].clone()),
    ]);
    for (field, flag) in [
        ("labels", "keep-labels"),
        ("annotations", "keep-annotations"),
    ] {
        if k.flags.bool(flag) && !info.object["metadata"][field].is_null() {
            pod["metadata"][field] = info.object["metadata"][field].clone();
        }
    }
    pod.remove(&["spec", "ephemeralContainers"]);
    if !k.flags.bool("same-node") {
        pod.remove(&["spec", "nodeName"]);
    }
    pod["spec"]["shareProcessNamespace"] = k.flags.bool("share-processes").into();
    set_images(k, &mut pod)?;
    let wanted = k.flags.str("container").to_owned();
    let containers = pod["spec"]["containers"].items();
    let at = containers.iter().position(|c| c["name"].str() == wanted);
    let name = match at.filter(|_| !wanted.is_empty()) {
        Some(at) => {
            let c = &mut pod["spec"]["containers"][at];
            let given = container(k, words);
            for field in [
                "image",
                "imagePullPolicy",
                "command",
                "args",
                "env",
                "stdin",
                "tty",
            ] {
                if !given[field].is_empty() {
                    c[field] = given[field].clone();
                }
            }
            if !words.is_empty() && !k.flags.bool("arguments-only") {
                c.remove(&["args"]);
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                c.remove(&[probe]);
            }
            wanted.as_str().into()
        }
        None if k.flags.str("image").is_empty() => Text::from(""),
        None => {
            let mut c = container(k, words);
            apply_profile(k, &mut c, false);
            self::name(k, &mut c);
            let name = c["name"].text();
            pod["spec"]["containers"].push(c);
            name
        }
    };
    k.create(&info.resource, &info.namespace, pod, None)?;
    if k.flags.bool("replace") {
        k.delete(&info.key(), &DeleteOptions::default())?;
    }
    let copy = k.flags.str("copy-to").to_owned();
    attached(k, &copy, &name);
    Ok(())
}

fn set_images(k: &Kubectl, pod: &mut Value) -> Result {
    for pair in k.flags.list("set-image") {
        let Some((name, image)) = pair
            .split_once('=')
            .filter(|(n, i)| !n.is_empty() && !i.is_empty())
        else {
            return plain(format!(
                "invalid value {} for --set-image: expected name=image",
                go::quote(pair)
            ));
        };
        for list in ["containers", "initContainers"] {
            for at in 0..pod["spec"][list].items().len() {
                let c = &mut pod["spec"][list][at];
                if name == "*" || c["name"].str() == name {
                    c["image"] = image.into();
                }
            }
        }
    }
    Ok(())
}

/// A pod in the namespaces of a node, with its file system at `/host`.
fn node(k: &mut Kubectl, info: &Info, words: &[String]) -> Result {
    let pods = k.mapping("pods")?;
    let namespace = k.namespace();
    let node = info.object.name().to_owned();
    let pod_name = format!("node-debugger-{node}-{}", suffix(k));
    let mut c = container(k, words);
    if c["name"].is_empty() {
        c["name"] = "debugger".into();
    }
    apply_profile(k, &mut c, true);
    let profile = k.flags.str("profile").to_owned();
    let on_host = !matches!(profile.as_str(), "baseline" | "restricted");
    let mut spec = object([
        ("nodeName", node.as_str().into()),
        ("restartPolicy", "Never".into()),
        (
            "tolerations",
            array([object([("operator", "Exists".into())])]),
        ),
    ]);
    if on_host {
        c["volumeMounts"] = array([object([
            ("mountPath", "/host".into()),
            ("name", "host-root".into()),
        ])]);
        let root = object([("path", "/".into())]);
        spec["volumes"] = array([object([("hostPath", root), ("name", "host-root".into())])]);
        for field in ["hostIPC", "hostNetwork", "hostPID"] {
            if field != "hostIPC" || profile != "netadmin" {
                spec[field] = true.into();
            }
        }
    }
    let container = c["name"].text();
    spec["containers"] = array([c]);
    let pod = object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        (
            "metadata",
            object([
                (
                    "labels",
                    object([("app.kubernetes.io/managed-by", "kubectl-debug".into())]),
                ),
                ("name", pod_name.as_str().into()),
            ]),
        ),
        ("spec", spec),
    ]);
    if !k.flags.bool("quiet") {
        k.err(format!(
            "Creating debugging pod {pod_name} with container {container} on node {node}.\n"
        ));
    }
    k.create(&pods, &namespace, pod, None)?;
    attached(k, &pod_name, &container);
    Ok(())
}
