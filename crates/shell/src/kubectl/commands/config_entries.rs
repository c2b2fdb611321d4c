//! `kubectl config set-cluster`, `set-credentials`, `set-context`: whole entries of a kubeconfig file
//! (`kubectl/pkg/cmd/config`, v1.37).

use kubarium_objects::{Value, array, base64, go, object};

use super::config::{unexpected, with_help};
use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, list, switch, text};

pub(super) const CLUSTER: &[Flag] = &[
    switch(
        "embed-certs",
        "embed-certs for the cluster entry in kubeconfig",
    ),
    text("proxy-url", "proxy-url for the cluster entry in kubeconfig"),
];

pub(super) const CREDENTIALS: &[Flag] = &[
    list(
        "auth-provider-arg",
        "'key=value' arguments for the auth provider",
    ),
    text(
        "auth-provider",
        "Auth provider for the user entry in kubeconfig",
    ),
    switch(
        "embed-certs",
        "Embed client cert/key for the user entry in kubeconfig",
    ),
    text(
        "exec-api-version",
        "API version of the exec credential plugin for the user entry in kubeconfig",
    ),
    list(
        "exec-arg",
        "New arguments for the exec credential plugin command for the user entry in kubeconfig",
    ),
    text(
        "exec-command",
        "Command for the exec credential plugin for the user entry in kubeconfig",
    ),
    list(
        "exec-env",
        "'key=value' environment values for the exec credential plugin",
    ),
    text(
        "exec-interactive-mode",
        "InteractiveMode of the exec credentials plugin for the user entry in kubeconfig",
    ),
    switch(
        "exec-provide-cluster-info",
        "ProvideClusterInfo of the exec credentials plugin for the user entry in kubeconfig",
    ),
    text("password", "password for the user entry in kubeconfig"),
    text("username", "username for the user entry in kubeconfig"),
];

/// The flags of the command line that were given, as an entry's fields.
fn given(k: &Kubectl, entry: &mut Value, fields: &[&str]) {
    for field in fields.iter().filter(|field| k.flags.changed(field)) {
        match k.flags.str(field) {
            "" => drop(entry.remove(&[field])),
            value => entry[*field] = value.into(),
        }
    }
}

/// What stands in a file that is embedded, in base64.
fn embedded(k: &Kubectl, field: &str, path: &str) -> Result<Value> {
    match k.session.read_file(path) {
        Some(bytes) => Ok(base64::encode(&bytes).into()),
        None => plain(format!(
            "could not stat {field} file {path}: stat {path}: no such file or directory"
        )),
    }
}

/// A file's path, or with `--embed-certs` its content, as an entry's field.
fn file(k: &Kubectl, entry: &mut Value, field: &str) -> Result {
    if !k.flags.changed(field) {
        return Ok(());
    }
    let path = k.session.absolute(&k.cwd, k.flags.str(field));
    let data = format!("{field}-data");
    if k.flags.bool("embed-certs") {
        entry[data.as_str()] = embedded(k, field, &path)?;
        entry.remove(&[field]);
    } else {
        entry[field] = path.into();
        entry.remove(&[&data]);
    }
    Ok(())
}

pub(super) fn set_cluster(k: &mut Kubectl) -> Result {
    let [name] = &k.flags.args[..] else {
        return Err(unexpected(k));
    };
    let name = name.clone();
    if name.is_empty() {
        return plain("you must specify a non-empty cluster name");
    }
    let insecure = k.flags.bool("insecure-skip-tls-verify");
    let authority = !k.flags.str("certificate-authority").is_empty();
    if insecure && authority {
        return plain(
            "you cannot specify a certificate authority and insecure mode at the same time",
        );
    }
    if k.flags.bool("embed-certs") && !authority {
        return plain("you must specify a --certificate-authority to embed");
    }
    let mut entry = match k.session.kubeconfig.clusters.get(&name) {
        Some(entry) => entry.clone(),
        None => object([("server", "".into())]),
    };
    if k.flags.changed("server") {
        entry["server"] = k.flags.str("server").into();
        entry.remove(&["tls-server-name"]);
    }
    given(k, &mut entry, &["tls-server-name", "proxy-url"]);
    if k.flags.changed("insecure-skip-tls-verify") {
        entry.remove(&["insecure-skip-tls-verify"]);
        if insecure {
            entry["insecure-skip-tls-verify"] = true.into();
            entry.remove(&["certificate-authority"]);
            entry.remove(&["certificate-authority-data"]);
        }
    }
    file(k, &mut entry, "certificate-authority")?;
    if k.flags.changed("certificate-authority") {
        entry.remove(&["insecure-skip-tls-verify"]);
    }
    k.session.kubeconfig.clusters.insert(name.clone(), entry);
    k.out(format!("Cluster {} set.\n", go::quote(&name)));
    Ok(())
}

pub(super) fn set_credentials(k: &mut Kubectl) -> Result {
    let [name] = &k.flags.args[..] else {
        let why = format!("unexpected args: [{}]", k.flags.args.join(" "));
        return Err(with_help(k, why));
    };
    let name = name.clone();
    let provider_arguments = pairs(k, "auth-provider-arg")?;
    let environment = pairs(k, "exec-env")?;
    if name.is_empty() {
        return plain("you must specify a non-empty user name");
    }
    let has = |flag: &str| !k.flags.str(flag).is_empty();
    if has("token") && (has("username") || has("password")) {
        return plain(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        );
    }
    if k.flags.bool("embed-certs") && !has("client-certificate") && !has("client-key") {
        return plain("you must specify a --client-certificate or --client-key to embed");
    }
    let mode = k.flags.str("exec-interactive-mode");
    if !matches!(mode, "" | "IfAvailable" | "Never" | "Always") {
        return plain("invalid interactive mode type, can be only IfAvailable, Never, Always");
    }
    let known = k.session.kubeconfig.users.get(&name).cloned();
    let mut entry = known.unwrap_or_else(Value::new_object);
    // A token and a name with a password exclude one another.
    if k.flags.changed("token") {
        entry.remove(&["username"]);
        entry.remove(&["password"]);
    }
    if k.flags.changed("username") || k.flags.changed("password") {
        entry.remove(&["token"]);
    }
    given(k, &mut entry, &["token", "username", "password"]);
    for field in ["client-certificate", "client-key"] {
        file(k, &mut entry, field)?;
    }
    if k.flags.changed("auth-provider") {
        let provider = &mut entry["auth-provider"];
        provider["name"] = k.flags.str("auth-provider").into();
        if provider["config"].is_null() {
            provider["config"] = Value::new_object();
        }
    }
    if entry.get("auth-provider").is_some() {
        let config = &mut entry["auth-provider"]["config"];
        for (key, value) in provider_arguments {
            match value {
                Some(value) => config[key.as_str()] = value.into(),
                None => drop(config.remove(&[&key])),
            }
        }
    }
    if k.flags.changed("exec-command") && entry.get("exec").is_none() {
        entry["exec"] = object([("args", Value::Null), ("provideClusterInfo", false.into())]);
    }
    if entry.get("exec").is_some() {
        set_plugin(k, &mut entry["exec"], environment);
    }
    k.session.kubeconfig.users.insert(name.clone(), entry);
    k.out(format!("User {} set.\n", go::quote(&name)));
    Ok(())
}

/// `KEY=VALUE`, or `KEY-` for what is to be removed.
type Pair = (String, Option<String>);

fn pairs(k: &mut Kubectl, flag: &'static str) -> Result<Vec<Pair>> {
    let read = |given: &String| match given.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), Some(value.to_owned()))),
        None => match given.strip_suffix('-') {
            Some(key) => Ok((key.to_owned(), None)),
            None => Err(format!("invalid {flag} format: {given}")),
        },
    };
    let all: std::result::Result<_, String> = k.flags.list(flag).iter().map(read).collect();
    all.map_err(|why| with_help(k, why))
}

/// The program that fetches credentials.
fn set_plugin(k: &Kubectl, plugin: &mut Value, environment: Vec<Pair>) {
    for (flag, field) in [
        ("exec-command", "command"),
        ("exec-api-version", "apiVersion"),
        ("exec-interactive-mode", "interactiveMode"),
    ] {
        if k.flags.changed(flag) {
            plugin[field] = k.flags.str(flag).into();
        }
    }
    if k.flags.changed("exec-provide-cluster-info") {
        plugin["provideClusterInfo"] = k.flags.bool("exec-provide-cluster-info").into();
    }
    if k.flags.changed("exec-arg") {
        plugin["args"] = array(k.flags.list("exec-arg").iter().map(String::as_str));
    }
    if environment.is_empty() {
        return;
    }
    let mut variables = plugin["env"].items().to_vec();
    for (name, value) in environment {
        let at = variables.iter().position(|v| v["name"].str() == name);
        match (at, value) {
            (Some(at), Some(value)) => variables[at]["value"] = value.into(),
            (Some(at), None) => drop(variables.remove(at)),
            (None, Some(value)) => {
                variables.push(object([("name", name.into()), ("value", value.into())]));
            }
            (None, None) => {}
        }
    }
    plugin["env"] = array(variables);
}

pub(super) fn set_context(k: &mut Kubectl) -> Result {
    let current = k.session.kubeconfig.current.clone();
    let name = match (&k.flags.args[..], k.flags.bool("current")) {
        ([], true) if current.is_empty() => return plain("no current context is set"),
        ([], true) => current,
        ([name], false) if !name.is_empty() => name.clone(),
        ([_], true) => {
            return plain("you cannot specify both a context name and --current");
        }
        ([] | [_], false) => {
            return plain("you must specify a non-empty context name or --current");
        }
        _ => return Err(unexpected(k)),
    };
    let known = k.session.kubeconfig.contexts.contains_key(&name);
    let value = |flag: &str| k.flags.changed(flag).then(|| k.flags.str(flag).to_owned());
    let (cluster, user, namespace) = (value("cluster"), value("user"), value("namespace"));
    let contexts = &mut k.session.kubeconfig.contexts;
    let context = contexts.entry(name.clone()).or_default();
    for (field, given) in [
        (&mut context.cluster, cluster),
        (&mut context.user, user),
        (&mut context.namespace, namespace),
    ] {
        if let Some(given) = given {
            *field = given;
        }
    }
    k.out(format!(
        "Context {} {}.\n",
        go::quote(&name),
        if known { "modified" } else { "created" }
    ));
    Ok(())
}
