//! What a command is: its name, its flags, what it does.

use super::Kubectl;
use super::error::Result;
use super::flags::{Flag, Kind, flag, list, switch, text};
use crate::registry::State;

/// A command of kubectl. All of them stand in [`super::tree::ROOT`].
pub(crate) struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What follows the name in its usage line.
    pub usage: &'static str,
    pub short: &'static str,
    /// Its flags, in tables that commands share.
    pub flags: &'static [&'static [Flag]],
    pub commands: &'static [Command],
    pub run: Option<fn(&mut Kubectl) -> Result>,
    /// Whether it can change anything: `sim undo` goes back to before such commands.
    pub changes: bool,
    pub state: State,
}

impl Command {
    /// A command that changes nothing and has no flags of its own.
    pub const fn new(
        name: &'static str,
        usage: &'static str,
        short: &'static str,
        run: fn(&mut Kubectl) -> Result,
    ) -> Command {
        Command {
            name,
            aliases: &[],
            usage,
            short,
            flags: &[],
            commands: &[],
            run: Some(run),
            changes: false,
            state: State::Works,
        }
    }

    /// A command that is not modelled.
    pub const fn not_yet(name: &'static str, short: &'static str, hint: &'static str) -> Command {
        Command {
            name,
            aliases: &[],
            usage: "",
            short,
            flags: &[],
            commands: &[],
            run: None,
            changes: false,
            state: State::NotYet(hint),
        }
    }

    /// A command that is not modelled but checks its arguments.
    pub const fn checking(self, usage: &'static str, run: fn(&mut Kubectl) -> Result) -> Command {
        Command {
            usage,
            run: Some(run),
            ..self
        }
    }

    pub const fn flags(self, flags: &'static [&'static [Flag]]) -> Command {
        Command { flags, ..self }
    }

    pub const fn changing(self) -> Command {
        Command {
            changes: true,
            ..self
        }
    }

    pub const fn aliases(self, aliases: &'static [&'static str]) -> Command {
        Command { aliases, ..self }
    }

    pub const fn commands(self, commands: &'static [Command]) -> Command {
        Command { commands, ..self }
    }

    pub const fn partly(self, what: &'static str) -> Command {
        Command {
            state: State::Partly(what),
            ..self
        }
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// Flags that every command has (`kubectl options`).
pub(crate) const GLOBAL: &[Flag] = &[
    text("as", "Username to impersonate for the operation. User could be a regular user or a service account in a namespace."),
    list("as-group", "Group to impersonate for the operation, this flag can be repeated to specify multiple groups."),
    text("as-uid", "UID to impersonate for the operation."),
    list("as-user-extra", "User extras to impersonate for the operation, this flag can be repeated to specify multiple values for the same key.").not_yet(),
    text("cache-dir", "Default cache directory"),
    text("certificate-authority", "Path to a cert file for the certificate authority"),
    text("client-certificate", "Path to a client certificate file for TLS"),
    text("client-key", "Path to a client key file for TLS"),
    text("cluster", "The name of the kubeconfig cluster to use"),
    text("context", "The name of the kubeconfig context to use"),
    switch("disable-compression", "If true, opt-out of response compression for all requests to the server"),
    switch("insecure-skip-tls-verify", "If true, the server's certificate will not be checked for validity. This will make your HTTPS connections insecure"),
    text("kubeconfig", "Path to the kubeconfig file to use for CLI requests."),
    text("kuberc", "Path to the kuberc file to use for preferences. This can be disabled by exporting KUBECTL_KUBERC=false feature gate or turning off the feature KUBERC=off.").not_yet(),
    flag("log-flush-frequency", Kind::Text, "5s", "Maximum number of seconds between log flushes"),
    switch("match-server-version", "Require server version to match client version"),
    text("namespace", "If present, the namespace scope for this CLI request").short('n'),
    text("password", "Password for basic authentication to the API server"),
    flag("profile", Kind::Text, "none", "Name of profile to capture. One of (none|cpu|heap|goroutine|threadcreate|block|mutex|trace)").not_yet(),
    flag("profile-output", Kind::Text, "profile.pprof", "Name of the file to write the profile to"),
    text("proxy-url", "Proxy URL to use for requests to the API server").not_yet(),
    flag("request-timeout", Kind::Text, "0", "The length of time to wait before giving up on a single server request. Non-zero values should contain a corresponding time unit (e.g. 1s, 2m, 3h). A value of zero means don't timeout requests."),
    text("server", "The address and port of the Kubernetes API server").short('s'),
    text("tls-server-name", "Server name to use for server certificate validation. If it is not provided, the hostname used to contact the server is used"),
    text("token", "Bearer token for authentication to the API server"),
    text("user", "The name of the kubeconfig user to use"),
    text("username", "Username for basic authentication to the API server"),
    flag("v", Kind::Int, "0", "number for the log level verbosity").short('v'),
    flag("vmodule", Kind::Text, "", "comma-separated list of pattern=N settings for file-filtered logging (only works for the default text log format)").not_yet(),
    switch("warnings-as-errors", "Treat warnings received from the server as errors and exit with a non-zero exit code"),
];

/// `-f`, `-k`, `-R`
pub(crate) const FILES: &[Flag] = &[
    list("filename", "The files that contain the objects.").short('f'),
    text(
        "kustomize",
        "Process the kustomization directory. This flag can't be used together with -f or -R.",
    )
    .short('k'),
    switch(
        "recursive",
        "Process the directory used in -f, --filename recursively.",
    )
    .short('R'),
];

/// `-o` and what belongs to it.
pub(crate) const PRINT: &[Flag] = &[
    text("output", "Output format.").short('o'),
    text(
        "template",
        "Template string or path to template file to use when -o=go-template, -o=go-template-file.",
    ),
    flag(
        "allow-missing-template-keys",
        Kind::Bool,
        "true",
        "If true, ignore any errors in templates when a field or map key is missing in the template.",
    ),
    switch(
        "show-managed-fields",
        "If true, keep the managedFields when printing objects in JSON or YAML format.",
    ),
];

/// `--dry-run`
pub(crate) const DRY_RUN: &[Flag] = &[
    flag(
        "dry-run",
        Kind::Optional("unchanged"),
        "none",
        "Must be \"none\", \"server\", or \"client\".",
    ),
    text(
        "field-manager",
        "Name of the manager used to track field ownership.",
    ),
];

/// `--record`
pub(crate) const RECORD: &[Flag] = &[switch(
    "record",
    "Record current kubectl command in the resource annotation. If set to false, do not record the command. If set to true, record the command. If not set, default to updating the existing annotation value only if one already exists.",
)
.deprecated("--record will be removed in the future")];

/// `--field-manager` alone
pub(crate) const FIELD_MANAGER: &[Flag] = &[text(
    "field-manager",
    "Name of the manager used to track field ownership.",
)];

/// `-l`
pub(crate) const SELECTOR: &[Flag] =
    &[text("selector", "Selector (label query) to filter on.").short('l')];

/// `--field-selector`
pub(crate) const FIELD_SELECTOR: &[Flag] = &[text(
    "field-selector",
    "Selector (field query) to filter on.",
)];

/// `-A`
pub(crate) const ALL_NAMESPACES: &[Flag] = &[switch(
    "all-namespaces",
    "If present, list the requested object(s) across all namespaces.",
)
.short('A')];

/// `--all`
pub(crate) const ALL: &[Flag] = &[switch(
    "all",
    "Select all resources in the namespace of the specified resource types.",
)];

/// `--save-config`
pub(crate) const SAVE_CONFIG: &[Flag] = &[switch(
    "save-config",
    "If true, the configuration of current object will be saved in its annotation.",
)];

/// `--validate`
pub(crate) const VALIDATE: &[Flag] = &[flag(
    "validate",
    Kind::Optional("strict"),
    "strict",
    "Must be one of: strict (or true), warn, ignore (or false).",
)];
