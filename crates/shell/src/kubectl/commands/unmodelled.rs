//! `kubectl attach` and `kubectl edit`: not modelled, but what they refuse is
//! (kubectl v1.37, `pkg/cmd/attach/attach.go`, `pkg/cmd/edit/edit.go`).

use super::exec;
use crate::kubectl::Kubectl;
use crate::kubectl::command::{DRY_RUN, FILES, PRINT, RECORD, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};

pub(crate) const ATTACH: &[&[Flag]] = &[&[
    text("container", "Container name.").short('c'),
    text(
        "detach-keys",
        "Override the key sequence for detaching a container",
    ),
    flag(
        "pod-running-timeout",
        Kind::Duration,
        "1m0s",
        "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running",
    ),
    switch("quiet", "Only print output from the remote session").short('q'),
    switch("stdin", "Pass stdin to the container").short('i'),
    switch("tty", "Stdin is a TTY").short('t'),
]];

pub(crate) fn attach(k: &mut Kubectl) -> Result {
    k.pod_running_timeout()?;
    let target = match &k.flags.args[..] {
        [] => return plain("at least 1 argument is required for attach"),
        [one] => one.clone(),
        [kind, name] => format!("{kind}/{name}"),
        many => {
            return plain(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]",
                many.len(),
                many.join(" ")
            ));
        }
    };
    let object = exec::object_of(k, &target)?;
    exec::pod_behind(k, &object)?;
    k.not_yet()
}

pub(crate) const EDIT: &[&[Flag]] = &[
    FILES,
    PRINT,
    DRY_RUN,
    RECORD,
    SAVE_CONFIG,
    VALIDATE,
    &[
        switch(
            "output-patch",
            "Output the patch if the resource is edited.",
        ),
        text(
            "subresource",
            "If specified, edit will operate on the subresource of the requested object.",
        ),
        switch(
            "windows-line-endings",
            "Defaults to the line ending native to your platform.",
        ),
    ],
];

pub(crate) fn edit(k: &mut Kubectl) -> Result {
    super::infos(k)?;
    k.not_yet()
}
