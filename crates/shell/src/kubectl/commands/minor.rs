//! `kubectl certificate`, `create token`, and commands that only say something.

use kubarium_objects::{Value, array, go, object};

use super::exec;
use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, FILES, PRINT};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::request::Subresource;
use crate::kubectl::resource::Info;

const CERTIFICATE: &[Flag] = &[switch(
    "force",
    "Update the CSR even if it is already approved.",
)];

pub(crate) const CERTIFICATE_COMMAND: Command = Command {
    run: None,
    ..Command::new(
        "certificate",
        "SUBCOMMAND [options]",
        "Modify certificate resources",
        |_| Ok(()),
    )
}
.commands(&[
    Command::new(
        "approve",
        "(-f FILENAME | NAME) [options]",
        "Approve a certificate signing request",
        |k| decide(k, "Approved", "Denied"),
    )
    .flags(&[FILES, PRINT, CERTIFICATE])
    .changing(),
    Command::new(
        "deny",
        "(-f FILENAME | NAME) [options]",
        "Deny a certificate signing request",
        |k| decide(k, "Denied", "Approved"),
    )
    .flags(&[FILES, PRINT, CERTIFICATE])
    .changing(),
])
.partly("the controller signs what is approved: the certificate has the real form, its signature is made up");

/// Sets a request's condition, unless it has it.
fn decide(k: &mut Kubectl, kind: &str, other: &str) -> Result {
    let format = k.format()?;
    let args = k.flags.args.clone();
    let mut infos = Vec::new();
    if !k.flags.list("filename").is_empty() {
        infos = super::infos(k)?;
    } else if args.is_empty() {
        return plain("one or more CSRs must be specified as <name> or -f <filename>");
    }
    for name in args {
        let target = match name.contains('/') {
            true => name,
            false => format!("certificatesigningrequests/{name}"),
        };
        infos.push(exec::object_of(k, &target)?);
    }
    for mut info in infos {
        let conditions = info.object["status"]["conditions"].items().to_vec();
        let has = |kind: &str| conditions.iter().any(|c| c["type"].str() == kind);
        if has(other) {
            return plain(format!(
                "certificate signing request {} is already {other}",
                go::quote(&info.name)
            ));
        }
        if !has(kind) || k.flags.bool("force") {
            let now = k.cluster().now.rfc3339();
            let word = if kind == "Approved" {
                "approve"
            } else {
                "deny"
            };
            let verb = if kind == "Approved" {
                "approved"
            } else {
                "denied"
            };
            let condition = object([
                ("lastTransitionTime", now.as_str().into()),
                ("lastUpdateTime", now.as_str().into()),
                (
                    "message",
                    format!("This CSR was {verb} by kubectl certificate {word}.").into(),
                ),
                (
                    "reason",
                    if kind == "Approved" {
                        "KubectlApprove"
                    } else {
                        "KubectlDeny"
                    }
                    .into(),
                ),
                ("status", "True".into()),
                ("type", kind.into()),
            ]);
            let mut all = conditions.clone();
            all.retain(|c| c["type"].str() != kind);
            all.push(condition);
            let mut object = info.object.clone();
            object.set(&["status", "conditions"], array(all));
            info.object = k.replace(&info, object, Subresource::Approval)?;
        }
        let done = if kind == "Approved" {
            "approved"
        } else {
            "denied"
        };
        k.report(&format, &info, done)?;
    }
    Ok(())
}

const TOKEN: &[Flag] = &[
    list(
        "audience",
        "Audience of the requested token. If unset, defaults to requesting a token for use with the Kubernetes API server. May be repeated to request a token valid for multiple audiences.",
    ),
    text(
        "bound-object-kind",
        "Kind of an object to bind the token to. Supported kinds are Node, Pod, Secret. If set, --bound-object-name must be provided.",
    ),
    text(
        "bound-object-name",
        "Name of an object to bind the token to. The token will expire when the object is deleted. Requires --bound-object-kind.",
    ),
    text(
        "bound-object-uid",
        "UID of an object to bind the token to. Requires --bound-object-kind and --bound-object-name. If unset, the UID of the existing object is used.",
    ),
    flag(
        "duration",
        Kind::Duration,
        "0s",
        "Requested lifetime of the issued token. If not set or if set to 0, the lifetime will be determined by the server automatically. The server may return a token with a longer or shorter lifetime.",
    ),
];

pub(crate) const CREATE_TOKEN: Command = Command::new(
    "token",
    "SERVICE_ACCOUNT_NAME [options]",
    "Request a service account token",
    create_token,
)
.flags(&[PRINT, TOKEN])
.changing();

fn create_token(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let (kind, bound) = (
        k.flags.str("bound-object-kind").to_owned(),
        k.flags.str("bound-object-name").to_owned(),
    );
    let seconds = k.flags.duration("duration").as_secs();
    if k.flags.str("duration").starts_with('-') {
        return plain("--duration must be greater than or equal to 0");
    }
    if k.flags.duration("duration").subsec_nanos() > 0 {
        return plain("--duration cannot be expressed in units less than seconds");
    }
    if kind.is_empty() && !bound.is_empty() {
        return plain("--bound-object-name can only be set if --bound-object-kind is provided");
    }
    if kind.is_empty() && k.flags.changed("bound-object-uid") {
        return plain("--bound-object-uid can only be set if --bound-object-kind is provided");
    }
    if k.flags.changed("audience") && k.flags.list("audience").is_empty() {
        return plain("--audience must not be an empty string");
    }
    if !kind.is_empty() {
        if !matches!(kind.as_str(), "Pod" | "Secret" | "Node") {
            return plain("supported --bound-object-kind values are Node, Pod, Secret");
        }
        if bound.is_empty() {
            return plain("--bound-object-name is required if --bound-object-kind is provided");
        }
    }
    let format = k.format()?;
    let accounts = k.mapping("serviceaccounts")?;
    let namespace = k.namespace();
    k.authorize("create", &accounts, "token", &namespace, &name)?;
    let mut spec = Value::new_object();
    if seconds > 0 {
        spec["expirationSeconds"] = i64::try_from(seconds).unwrap_or(i64::MAX).into();
    }
    spec["audiences"] = array(k.flags.list("audience").iter().map(String::as_str));
    if !kind.is_empty() {
        spec["boundObjectRef"] = object([
            ("apiVersion", "v1".into()),
            ("kind", kind.into()),
            ("name", bound.into()),
            ("uid", k.flags.str("bound-object-uid").into()),
        ]);
    }
    let request = match k.cluster().token_request(&namespace, &name, &spec) {
        Ok(request) => request,
        Err(status) => return plain(format!("failed to create token: {}", status.message)),
    };
    if matches!(format, crate::kubectl::output::Format::Default) {
        k.out(format!("{}\n", request["status"]["token"].str()));
        return Ok(());
    }
    let info = Info {
        resource: accounts,
        namespace,
        name: name.into(),
        object: request,
        source: String::new(),
    };
    k.report(&format, &info, "created")
}

pub(crate) const ALPHA: Command =
    Command::new("alpha", "", "Commands for features in alpha", |k| {
        k.out("No alpha commands are available in this version of kubectl\n");
        Ok(())
    });

pub(crate) const PLUGIN: Command = Command {
    run: None,
    ..Command::new(
        "plugin",
        "[flags] [options]",
        "Provides utilities for interacting with plugins",
        |_| Ok(()),
    )
}
.commands(&[Command::new(
    "list",
    "[flags] [options]",
    "List all visible plugin executables on a user's PATH",
    |_| plain("error: unable to find any kubectl plugins in your PATH\n"),
)
.flags(&[&[switch(
    "name-only",
    "If true, display only the binary name of each plugin, rather than its full path",
)]])]);

pub(crate) const COMPLETION: Command = Command::new(
    "completion",
    "SHELL [options]",
    "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
    |k| match &k.flags.args[..] {
        [] => Err(k.usage("Shell not specified.")),
        [shell] if !matches!(shell.as_str(), "bash" | "zsh" | "fish" | "powershell") => {
            Err(k.usage(format!("Unsupported shell type {}.", go::quote(shell))))
        }
        [_] => {
            k.out("# This terminal completes kubectl's commands by itself: press the Tab key.\n");
            Ok(())
        }
        _ => Err(k.usage("Too many arguments. Expected only the shell type.")),
    },
)
.partly("this terminal completes by itself, so the code is a remark");

pub(crate) const OPTIONS: Command = Command::new(
    "options",
    "[flags] [options]",
    "Print the list of flags inherited by all commands",
    |k| {
        let text = crate::kubectl::help::options();
        k.out(text);
        Ok(())
    },
);
