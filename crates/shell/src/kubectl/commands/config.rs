//! `kubectl config`

use kubarium_objects::{Value, go, yaml};

use super::config_entries as entries;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, parse_bool, switch, text};
use crate::kubectl::{Kubectl, table};

const OUTPUT: &[Flag] = &[
    switch(
        "no-headers",
        "When using the default or custom-column output format, don't print headers (default print headers).",
    ),
    text("output", "Output format. One of: (name).").short('o'),
];

const VIEW: &[Flag] = &[
    switch(
        "flatten",
        "Flatten the resulting kubeconfig file into self-contained output (useful for creating portable kubeconfig files)",
    ),
    flag(
        "merge",
        Kind::Bool,
        "true",
        "Merge the full hierarchy of kubeconfig files",
    ),
    switch(
        "minify",
        "Remove all information not used by current-context from the output",
    ),
    text("output", "Output format.").short('o'),
    switch("raw", "Display raw byte data and sensitive data"),
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

pub(crate) const COMMAND: Command = Command {
    run: None,
    ..Command::new(
        "config",
        "SUBCOMMAND [options]",
        "Modify kubeconfig files",
        |_| Ok(()),
    )
}
.commands(&[
    Command::new("current-context", "[options]", "Display the current-context", current_context),
    Command::new("delete-cluster", "NAME [options]", "Delete the specified cluster from the kubeconfig", delete_cluster),
    Command::new("delete-context", "NAME [options]", "Delete the specified context from the kubeconfig", delete_context),
    Command::new("delete-user", "NAME [options]", "Delete the specified user from the kubeconfig", delete_user),
    Command::new("get-clusters", "[options]", "Display clusters defined in the kubeconfig", |k| {
        let names = k.session.kubeconfig.clusters.keys().cloned().collect();
        names_of(k, names)
    }),
    Command::new("get-contexts", "[(-o|--output=)name)] [options]", "Describe one or many contexts", get_contexts).flags(&[OUTPUT]),
    Command::new("get-users", "[options]", "Display users defined in the kubeconfig", |k| {
        let names = k.session.kubeconfig.users.keys().cloned().collect();
        names_of(k, names)
    }),
    Command::new("rename-context", "CONTEXT_NAME NEW_NAME [options]", "Rename a context from the kubeconfig file", rename_context),
    Command::new("set", "PROPERTY_NAME PROPERTY_VALUE [options]", "Set an individual value in a kubeconfig file", set)
        .flags(&[&[flag("set-raw-bytes", Kind::Bool, "false", "When writing a []byte PROPERTY_VALUE, write the given string directly without base64 decoding.")]]),
    Command::new("set-cluster", "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] [--tls-server-name=example.com] [options]", "Set a cluster entry in kubeconfig", entries::set_cluster)
        .flags(&[entries::CLUSTER]),
    Command::new("set-context", "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace] [options]", "Set a context entry in kubeconfig", entries::set_context)
        .flags(&[&[switch("current", "Modify the current context")]]),
    Command::new("set-credentials", "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--username=basic_user] [--password=basic_password] [--auth-provider=provider_name] [--auth-provider-arg=key=value] [--exec-command=exec_command] [--exec-api-version=exec_api_version] [--exec-arg=arg] [--exec-env=key=value] [options]", "Set a user entry in kubeconfig", entries::set_credentials)
        .flags(&[entries::CREDENTIALS]),
    Command::new("unset", "PROPERTY_NAME [options]", "Unset an individual value in a kubeconfig file", unset),
    Command::new("use-context", "CONTEXT_NAME [options]", "Set the current-context in a kubeconfig file", use_context).aliases(&["use"]),
    Command::new("view", "[flags] [options]", "Display merged kubeconfig settings or a specified kubeconfig file", view).flags(&[VIEW]),
]);

/// A command's help, and why it did not run (`helpErrorf`).
pub(super) fn with_help(k: &mut Kubectl, why: String) -> Error {
    let text = crate::kubectl::help::command(k.command, &k.path);
    k.out(text);
    Error::Plain(why)
}

pub(super) fn unexpected(k: &mut Kubectl) -> Error {
    let why = format!("Unexpected args: [{}]", k.flags.args.join(" "));
    with_help(k, why)
}

fn current_context(k: &mut Kubectl) -> Result {
    let current = k.session.kubeconfig.current.clone();
    if current.is_empty() {
        return plain("current-context is not set");
    }
    k.out(current + "\n");
    Ok(())
}

fn names_of(k: &mut Kubectl, names: Vec<String>) -> Result {
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    k.out(format!("NAME\n{lines}"));
    Ok(())
}

fn get_contexts(k: &mut Kubectl) -> Result {
    let output = k.flags.str("output").to_owned();
    if !matches!(output.as_str(), "" | "name") {
        return plain(format!(
            "--output {output} is not available in kubectl config get-contexts; resetting to default output format"
        ));
    }
    let config = &k.session.kubeconfig;
    let (mut errors, mut shown) = (Vec::new(), Vec::new());
    if k.flags.args.is_empty() {
        shown.extend(config.contexts.keys());
    }
    for name in &k.flags.args {
        match config.contexts.get_key_value(name) {
            Some((name, _)) => shown.push(name),
            None => errors.push(Error::Plain(format!("context {name} not found"))),
        }
    }
    shown.sort();
    let mut lines = String::new();
    if output != "name" && !k.flags.bool("no-headers") {
        lines.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    for name in shown {
        if output == "name" {
            lines.push_str(&format!("{name}\n"));
            continue;
        }
        let context = &config.contexts[name];
        let mark = if *name == config.current { "*" } else { "" };
        lines.push_str(&format!(
            "{mark}\t{name}\t{}\t{}\t{}\n",
            context.cluster, context.user, context.namespace
        ));
    }
    k.out(table::align(&lines, 6, 3));
    Error::aggregate(errors)
}

fn use_context(k: &mut Kubectl) -> Result {
    let [name] = &k.flags.args[..] else {
        return Err(unexpected(k));
    };
    let name = name.clone();
    if name.is_empty() {
        return plain("empty context names are not allowed");
    }
    if !k.session.kubeconfig.contexts.contains_key(&name) {
        return plain(format!(
            "no context exists with the name: {}",
            go::quote(&name)
        ));
    }
    k.session.kubeconfig.current = name.clone();
    k.out(format!("Switched to context {}.\n", go::quote(&name)));
    Ok(())
}

/// The name that a deletion wants; without one it prints its help.
fn one_name(k: &mut Kubectl) -> Option<String> {
    if let [name] = &k.flags.args[..] {
        return Some(name.clone());
    }
    let text = crate::kubectl::help::command(k.command, &k.path);
    k.out(text);
    None
}

fn delete_cluster(k: &mut Kubectl) -> Result {
    let file = k.session.kubeconfig.file.clone();
    let Some(name) = one_name(k) else {
        return Ok(());
    };
    if k.session.kubeconfig.clusters.remove(&name).is_none() {
        return plain(format!("cannot delete cluster {name}, not in {file}"));
    }
    k.out(format!("deleted cluster {name} from {file}\n"));
    Ok(())
}

fn delete_user(k: &mut Kubectl) -> Result {
    let file = k.session.kubeconfig.file.clone();
    let [name] = &k.flags.args[..] else {
        return Err(k.usage("user to delete is required"));
    };
    let name = name.clone();
    if k.session.kubeconfig.users.remove(&name).is_none() {
        return plain(format!("cannot delete user {name}, not in {file}"));
    }
    k.out(format!("deleted user {name} from {file}\n"));
    Ok(())
}

fn delete_context(k: &mut Kubectl) -> Result {
    let file = k.session.kubeconfig.file.clone();
    let Some(name) = one_name(k) else {
        return Ok(());
    };
    if k.session.kubeconfig.contexts.remove(&name).is_none() {
        return plain(format!("cannot delete context {name}, not in {file}"));
    }
    if k.session.kubeconfig.current == name {
        k.err("warning: this removed your active context, use \"kubectl config use-context\" to select a different one\n");
    }
    k.out(format!("deleted context {name} from {file}\n"));
    Ok(())
}

fn rename_context(k: &mut Kubectl) -> Result {
    let file = k.session.kubeconfig.file.clone();
    let [old, new] = &k.flags.args[..] else {
        return Err(unexpected(k));
    };
    let (old, new) = (old.clone(), new.clone());
    if new.is_empty() {
        return plain("You must specify a new non-empty context name");
    }
    let config = &mut k.session.kubeconfig;
    if !config.contexts.contains_key(&old) {
        return plain(format!(
            "cannot rename the context {}, it's not in {file}",
            go::quote(&old)
        ));
    }
    if config.contexts.contains_key(&new) {
        return plain(format!(
            "cannot rename the context {}, the context {} already exists in {file}",
            go::quote(&old),
            go::quote(&new)
        ));
    }
    if let Some(context) = config.contexts.remove(&old) {
        config.contexts.insert(new.clone(), context);
    }
    if config.current == old {
        config.current.clone_from(&new);
    }
    k.out(format!(
        "Context {} renamed to {}.\n",
        go::quote(&old),
        go::quote(&new)
    ));
    Ok(())
}

fn view(k: &mut Kubectl) -> Result {
    k.no_arguments()?;
    let merge = !k.flags.changed("merge") || k.flags.bool("merge");
    if !merge && k.flags.str("kubeconfig").is_empty() {
        return plain("if merge==false a precise file must be specified");
    }
    let context = k.flags.str("context").to_owned();
    let mut config = k.session.kubeconfig.clone();
    if k.flags.bool("minify") {
        config = config.minified(&context).map_err(Error::Plain)?;
    }
    let view = config.view(k.flags.bool("raw") || k.flags.bool("flatten"));
    match k.flags.str("output") {
        "" | "yaml" => k.out(yaml::to_yaml(&view)),
        // A configuration has no name of its own.
        "name" => k.out("config/<unknown>\n"),
        _ => {
            let format = k.format()?;
            k.print_object(&format, &view)?;
        }
    }
    Ok(())
}

// --- Single properties --------------------------------------------------------------------------

/// Fields of the entries: names with dots in them end where one of these begins.
const FIELDS: &[&str] = &[
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
    "username",
    "password",
    "as",
    "as-uid",
    "as-groups",
    "as-user-extra",
    "auth-provider",
    "exec",
    "cluster",
    "user",
    "namespace",
    "extensions",
];

/// Fields that are no strings: one value says nothing for them.
const STRUCTURES: &[&str] = &[
    "as-groups",
    "as-user-extra",
    "auth-provider",
    "exec",
    "extensions",
];

/// `users.NAME.token` taken apart.
fn property(path: &str) -> Result<(String, String, String)> {
    let parts: Vec<&str> = path.split('.').collect();
    let head = parts[0];
    if head == "current-context" || parts.len() == 1 {
        return Ok((head.to_owned(), String::new(), String::new()));
    }
    let rest = &parts[1..];
    let field = rest.iter().skip(1).position(|p| FIELDS.contains(p));
    let (name, field) = match field {
        Some(at) => (rest[..=at].join("."), rest[at + 1..].join(".")),
        None => (rest.join("."), String::new()),
    };
    Ok((head.to_owned(), name, field))
}

fn set(k: &mut Kubectl) -> Result {
    let [path, value] = &k.flags.args[..] else {
        return Err(unexpected(k));
    };
    let (path, value) = (path.clone(), value.clone());
    if value.is_empty() {
        return plain("you cannot use set to unset a property");
    }
    let (head, name, field) = property(&path)?;
    let raw = k.flags.bool("set-raw-bytes");
    let config = &mut k.session.kubeconfig;
    let entry = match head.as_str() {
        // The file says itself what it is.
        "kind" | "apiVersion" if name.is_empty() => {
            k.out(format!("Property {} set.\n", go::quote(&path)));
            return Ok(());
        }
        "current-context" => {
            config.current = value;
            k.out(format!("Property {} set.\n", go::quote(&path)));
            return Ok(());
        }
        _ if STRUCTURES.contains(&field.split('.').next().unwrap_or("")) => {
            return plain(format!(
                "unable to parse one or more field values of {path}"
            ));
        }
        "contexts" if !field.is_empty() => {
            let context = config.contexts.entry(name).or_default();
            match field.as_str() {
                "cluster" => context.cluster = value,
                "user" => context.user = value,
                _ => context.namespace = value,
            }
            k.out(format!("Property {} set.\n", go::quote(&path)));
            return Ok(());
        }
        "clusters" if !field.is_empty() => config
            .clusters
            .entry(name)
            .or_insert_with(|| kubarium_objects::object([("server", "".into())])),
        "users" if !field.is_empty() => config.users.entry(name).or_insert_with(Value::new_object),
        "preferences" if name == "colors" && field.is_empty() => {
            match boolean(&value)? {
                true => config.preferences["colors"] = true.into(),
                false => drop(config.preferences.remove(&["colors"])),
            }
            k.out(format!("Property {} set.\n", go::quote(&path)));
            return Ok(());
        }
        "clusters" | "users" | "contexts" => {
            return plain("can't set a map to a value: map[]");
        }
        _ => {
            return plain(format!("unable to parse {path} after [] at api.Config"));
        }
    };
    if field.ends_with("-data") && !raw {
        if kubarium_objects::base64::decode(&value).is_err() {
            return plain("error decoding input value: illegal base64 data at input byte 0");
        }
        entry[field.as_str()] = value.into();
    } else if field.ends_with("-data") {
        entry[field.as_str()] = kubarium_objects::base64::encode(value.as_bytes()).into();
    } else if matches!(
        field.as_str(),
        "insecure-skip-tls-verify" | "disable-compression"
    ) {
        entry[field.as_str()] = boolean(&value)?.into();
    } else {
        entry[field.as_str()] = value.into();
    }
    k.out(format!("Property {} set.\n", go::quote(&path)));
    Ok(())
}

fn boolean(value: &str) -> Result<bool> {
    let why = || {
        format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            go::quote(value)
        )
    };
    parse_bool(value).ok_or_else(|| Error::Plain(why()))
}

fn unset(k: &mut Kubectl) -> Result {
    let [path] = &k.flags.args[..] else {
        return Err(unexpected(k));
    };
    let path = path.clone();
    let (head, name, field) = property(&path)?;
    let config = &mut k.session.kubeconfig;
    let missing = || plain(format!("current map key `{name}` is invalid"));
    match (head.as_str(), name.is_empty(), field.as_str()) {
        ("current-context", ..) => config.current.clear(),
        ("preferences", true, _) => config.preferences = Value::new_object(),
        ("preferences", ..) if name == "colors" => drop(config.preferences.remove(&["colors"])),
        ("contexts", true, _) => config.contexts.clear(),
        ("clusters", true, _) => config.clusters.clear(),
        ("users", true, _) => config.users.clear(),
        ("contexts", _, "") => drop(config.contexts.remove(&name)),
        ("clusters", _, "") => drop(config.clusters.remove(&name)),
        ("users", _, "") => drop(config.users.remove(&name)),
        ("contexts", _, field) => {
            let Some(context) = config.contexts.get_mut(&name) else {
                return missing();
            };
            match field {
                "cluster" => context.cluster.clear(),
                "user" => context.user.clear(),
                _ => context.namespace.clear(),
            }
        }
        ("clusters" | "users", _, field) => {
            let entries = if head == "users" {
                &mut config.users
            } else {
                &mut config.clusters
            };
            let Some(entry) = entries.get_mut(&name) else {
                return missing();
            };
            entry.remove(&[field]);
        }
        _ => {
            return plain(format!("unable to parse {path} after [] at api.Config"));
        }
    }
    k.out(format!("Property {} unset.\n", go::quote(&path)));
    Ok(())
}
