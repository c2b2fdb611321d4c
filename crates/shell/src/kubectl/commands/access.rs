//! `kubectl top`: what it takes

use crate::kubectl::command::{ALL_NAMESPACES, Command};
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
