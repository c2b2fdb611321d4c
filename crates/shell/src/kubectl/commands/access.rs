//! `kubectl auth`, `kubectl top` and other commands that say little

use kubarium_objects::go;

use crate::kubectl::command::{ALL_NAMESPACES, Command};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, switch, text};
use crate::kubectl::{Kubectl, table};

const CAN_I: &[Flag] = &[
    switch("list", "If true, prints all allowed actions.").not_yet(),
    switch(
        "no-headers",
        "If true, prints allowed actions without headers",
    ),
    switch(
        "quiet",
        "If true, suppress output and just return the exit code.",
    )
    .short('q'),
    text(
        "subresource",
        "SubResource such as pod/log or deployment/scale",
    ),
];

pub(crate) const AUTH: Command = Command {
    run: None,
    ..Command::new("auth", "[flags]", "Inspect authorization", |_| Ok(()))
}
.commands(&[
    Command::new("can-i", "VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [options]", "Check whether an action is allowed", can_i)
        .flags(&[ALL_NAMESPACES, CAN_I])
        .partly("for the administrator only, who may do everything"),
    Command::not_yet("reconcile", "Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects", ""),
    Command::new("whoami", "[options]", "Experimental: Check self subject attributes", who_am_i),
]);

const VERBS: &[&str] = &[
    "*",
    "approve",
    "attest",
    "bind",
    "create",
    "delete",
    "deletecollection",
    "escalate",
    "get",
    "impersonate",
    "list",
    "patch",
    "proxy",
    "sign",
    "update",
    "use",
    "watch",
    "arbitrary-node",
    "associated-node",
    "impersonate-on",
];

fn can_i(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    let (verb, kind) = match &args[..] {
        [verb] if verb.is_empty() => {
            return plain(
                "you must specify two arguments: verb resource or verb resource/resourceName.",
            );
        }
        [verb, kind] => (verb.clone(), kind.clone()),
        _ => {
            let text = "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.";
            return Err(Error::Plain(text.to_owned()));
        }
    };
    let mut warning = String::new();
    if !kind.starts_with('/') && kind != "*" {
        let word = kind.split('/').next().unwrap_or("").to_owned();
        match k.mapping(&word) {
            Ok(resource) if !resource.namespaced && !k.flags.bool("all-namespaces") => {
                warning = format!("resource '{}' is not namespace scoped", resource.id())
            }
            Ok(_) => {}
            Err(_) => {
                warning = format!(
                    "the server doesn't have a resource type {}",
                    go::quote(&word).replace('"', "'")
                )
            }
        }
    }
    if !VERBS.contains(&verb.as_str()) {
        k.err(format!("Warning: verb '{verb}' is not a known verb\n\n"));
    } else if !warning.is_empty() {
        k.err(format!("Warning: {warning}\n\n"));
    }
    if !k.flags.bool("quiet") {
        k.out("yes\n");
    }
    Ok(())
}

fn who_am_i(k: &mut Kubectl) -> Result {
    let lines = "ATTRIBUTE\tVALUE\nUsername\tkubernetes-admin\nUID\tadmin\nGroups\t[system:masters system:authenticated]\n";
    k.out(table::align(lines, 6, 3));
    Ok(())
}

const NO_METRICS: &str = "Metrics API not available";

pub(crate) const TOP: Command = Command {
    run: None,
    ..Command::new(
        "top",
        "[flags] [options]",
        "Display resource (CPU/memory) usage",
        |_| Ok(()),
    )
}
.commands(&[
    Command::new(
        "node",
        "[NAME | -l label] [options]",
        "Display resource (CPU/memory) usage of nodes",
        |_| plain(NO_METRICS),
    )
    .aliases(&["nodes", "no"])
    .flags(&[TOP_FLAGS]),
    Command::new(
        "pod",
        "[NAME | -l label] [options]",
        "Display resource (CPU/memory) usage of pods",
        |_| plain(NO_METRICS),
    )
    .aliases(&["pods", "po"])
    .flags(&[
        ALL_NAMESPACES,
        TOP_FLAGS,
        &[switch(
            "containers",
            "If present, print usage of containers within a pod.",
        )],
    ]),
])
.partly("there is no metrics server");

const TOP_FLAGS: &[Flag] = &[
    switch("no-headers", "If present, print output without headers"),
    text("selector", "Selector (label query) to filter on").short('l'),
    text("sort-by", "If non-empty, sort list using specified field."),
    text("field-selector", "Selector (field query) to filter on"),
];

pub(crate) const COPY: Command = Command::new("cp", "<file-spec-src> <file-spec-dest> [options]", "Copy files and directories to and from containers", |k| {
    if k.flags.args.len() != 2 {
        return plain("source and destination are required");
    }
    plain(crate::registry::not_yet("kubectl cp", "kubectl exec POD -- cat FILE shows a file"))
})
.flags(&[&[text("container", "Container name.").short('c'), switch("no-preserve", "The copied file/directory's ownership and permissions will not be preserved in the container")]])
.partly("it copies nothing yet");
