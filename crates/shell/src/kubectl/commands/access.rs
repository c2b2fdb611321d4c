//! `kubectl top` and other commands that say little

use crate::kubectl::command::{ALL_NAMESPACES, Command};
use crate::kubectl::error::plain;
use crate::kubectl::flags::{Flag, switch, text};

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
        super::top::nodes,
    )
    .aliases(&["nodes", "no"])
    .flags(&[
        TOP_FLAGS,
        &[switch(
            "show-capacity",
            "Print node resources based on Capacity instead of Allocatable(default) of the nodes.",
        )],
    ]),
    Command::new(
        "pod",
        "[NAME | -l label] [options]",
        "Display resource (CPU/memory) usage of pods",
        super::top::pods,
    )
    .aliases(&["pods", "po"])
    .flags(&[
        ALL_NAMESPACES,
        TOP_FLAGS,
        &[
            switch(
                "containers",
                "If present, print usage of containers within a pod.",
            ),
            switch("sum", "Print the sum of the resource usage"),
        ],
    ]),
])
.partly("a cluster file's `metrics: true` installs the metrics server");

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
