//! `kubectl set image|env|resources|selector|serviceaccount`

use kubarium_objects::decode::{decode_lenient, with_nulls};
use kubarium_objects::selector::{Operator, Requirement};
use kubarium_objects::{Quantity, Schema, Value, array, go, object, patch};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{ALL, Command, DRY_RUN, FILES, PRINT, RECORD, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::output::Format;
use crate::kubectl::request::{Patch, Subresource};
use crate::kubectl::resource::{Info, not_registered, targets};

const CONTAINERS: &[Flag] = &[flag("containers", Kind::Text, "*", "The names of containers in the selected pod templates to change, all containers are selected by default - may use wildcards").short('c')];
const LOCAL: &[Flag] = &[switch(
    "local",
    "If true, set will NOT contact api-server but run locally.",
)];
const SUBJECTS: &[Flag] = &[
    list("group", "Groups to bind to the role"),
    list("serviceaccount", "Service accounts to bind to the role"),
    list("user", "Usernames to bind to the role"),
];
const ENV_FLAGS: &[Flag] = &[
    list(
        "env",
        "Specify a key-value pair for an environment variable to set into each container.",
    )
    .short('e'),
    text(
        "from",
        "The name of a resource from which to inject environment variables",
    ),
    list(
        "keys",
        "Comma-separated list of keys to import from specified resource",
    ),
    switch(
        "list",
        "If true, display the environment and any changes in the standard format.",
    ),
    flag(
        "overwrite",
        Kind::Bool,
        "true",
        "If true, allow environment to be overwritten, otherwise reject updates that overwrite existing environment.",
    ),
    text("prefix", "Prefix to append to variable names"),
    switch(
        "resolve",
        "If true, show secret or configmap references when listing variables",
    ),
];

pub(crate) const COMMAND: Command = Command {
    run: None,
    ..Command::new("set", "SUBCOMMAND [options]", "Set specific features on objects", |_| Ok(()))
}
.commands(&[
    Command::new("env", "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N [options]", "Update environment variables on a pod template", env)
        .flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, ALL, LOCAL, CONTAINERS, ENV_FLAGS])
        .changing(),
    Command::new("image", "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N [options]", "Update the image of a pod template", image)
        .flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, ALL, LOCAL])
        .changing(),
    Command::new("resources", "(-f FILENAME | TYPE NAME)  ([--limits=LIMITS & --requests=REQUESTS] [options]", "Update resource requests/limits on objects with pod templates", resources)
        .flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, ALL, LOCAL, CONTAINERS, &[text("limits", "The resource requirement limits for this container."), text("requests", "The resource requirement requests for this container.")]])
        .changing(),
    Command::new("selector", "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version] [options]", "Set the selector on a resource", selector)
        .flags(&[FILES, PRINT, DRY_RUN, RECORD, ALL, LOCAL, &[text("resource-version", "If non-empty, the selectors update will only succeed if this is the current resource-version for the object.")]])
        .changing(),
    Command::new("serviceaccount", "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT [options]", "Update the service account of a resource", service_account)
        .flags(&[FILES, PRINT, DRY_RUN, RECORD, ALL, LOCAL])
        .aliases(&["sa"])
        .changing(),
    Command::new("subject", "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none] [options]", "Update the user, group, or service account in a role binding or cluster role binding", subject)
        .flags(&[FILES, PRINT, DRY_RUN, SELECTOR, ALL, LOCAL, SUBJECTS])
        .changing(),
]);

/// The path to an object's pod spec; `None` for kinds without one.
fn pod_spec_path(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "Deployment"
        | "ReplicaSet"
        | "ReplicationController"
        | "DaemonSet"
        | "StatefulSet"
        | "Job" => Some(&["spec", "template", "spec"]),
        _ => None,
    }
}

/// Splits arguments into those that name objects and those that say what to set.
fn split(args: &[String], is_pair: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
    args.iter().cloned().partition(|a| !is_pair(a))
}

fn infos(k: &mut Kubectl, resources: Vec<String>) -> Result<Vec<Info>> {
    k.flags.args = resources;
    if k.is_local() {
        return typed(super::infos(k)?);
    }
    let found = targets(&k.flags.args)?;
    let query = super::query(k);
    let only_type = found.tuples.is_empty()
        && found.names.is_empty()
        && !found.types.is_empty()
        && query.selector.is_none()
        && !query.all;
    if only_type && k.flags.list("filename").is_empty() {
        return plain("resource(s) were provided, but no name was specified");
    }
    super::infos(k)
}

/// Files' objects by their types: kubectl prints them as Go does, with the fields that are always
/// there.
fn typed(mut infos: Vec<Info>) -> Result<Vec<Info>> {
    let schema = Schema::builtin();
    for info in &mut infos {
        let unable = |why: String| {
            let source = go::quote(&info.source);
            Error::Plain(format!("unable to decode {source}: {why}"))
        };
        let (kind, version) = (&info.resource.kind, info.resource.api_version());
        let Some(known) = schema.by_kind(&version, kind) else {
            let kind = go::quote(kind);
            return Err(unable(format!(
                "no kind {kind} is registered for version {} in scheme \"k8s.io/kubectl/pkg/scheme/scheme.go:28\"",
                go::quote(&version)
            )));
        };
        let decoded = decode_lenient(schema, known.type_id, &info.object);
        info.object = decoded.map_err(|why| unable(why.to_string()))?;
    }
    Ok(infos)
}

/// `resource.LocalResourceError`: without a server arguments name nothing.
fn no_local_arguments(k: &Kubectl, resources: &[String]) -> Result {
    if k.is_local() && !resources.is_empty() {
        return plain(
            "error: you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'",
        );
    }
    Ok(())
}

/// Changes each object's pod spec, and says so where anything changed.
fn change(
    k: &mut Kubectl,
    infos: Vec<Info>,
    what: &str,
    said: &str,
    mut edit: impl FnMut(&Info, &mut Value) -> Result,
) -> Result {
    let format = k.format()?;
    let mut errors = Vec::new();
    for mut info in infos {
        if k.is_custom(&info.resource) {
            errors.push(not_registered(&info.resource));
            continue;
        }
        let Some(path) = pod_spec_path(&info.resource.kind) else {
            errors.push(Error::Plain(format!(
                "error: {} the object is not a pod or does not have a pod template: *{}.{}",
                info.plural(),
                info.resource.version,
                info.resource.kind
            )));
            continue;
        };
        let mut wanted = info.object.clone();
        let target = path.iter().fold(&mut wanted, |v, key| &mut v[*key]);
        if let Err(error) = edit(&info, target) {
            let text = format!("error: {} {}", info.plural(), error.text());
            errors.push(Error::Plain(text));
            continue;
        }
        if wanted.same(&info.object) {
            continue;
        }
        if let Err(error) = send(k, &mut info, wanted, &format, said) {
            errors.push(match error {
                error if what.is_empty() => error,
                error => {
                    // `set resources` alone leaves the colon out.
                    let colon = if what == "resources" { "" } else { ":" };
                    Error::Plain(format!(
                        "failed to patch {what} update to pod template{colon} {}",
                        error.text()
                    ))
                }
            });
        }
    }
    Error::aggregate(errors)
}

fn send(k: &mut Kubectl, info: &mut Info, wanted: Value, format: &Format, said: &str) -> Result {
    let change = patch::two_way_strategic(
        Schema::builtin(),
        info.resource.type_id,
        &info.object,
        &wanted,
    );
    info.object = if k.is_local() {
        with_nulls(Schema::builtin(), info.resource.type_id, wanted)
    } else if k.only_prints()? {
        wanted
    } else {
        k.patch(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
            &Patch::Strategic(change),
            Subresource::None,
        )?
    };
    k.report(format, info, said)
}

fn image(k: &mut Kubectl) -> Result {
    let is_pair = |a: &str| a.contains('=') && !a.starts_with('=');
    let (resources, pairs) = split(&k.flags.args, is_pair);
    no_local_arguments(k, &resources)?;
    let infos = infos(k, resources)?;
    k.check_local()?;
    if pairs.is_empty() {
        return plain("at least one image update is required");
    }
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .filter_map(|p| p.split_once('='))
        .map(|(n, i)| (n.to_owned(), i.to_owned()))
        .collect();
    if pairs.len() > 1 && pairs.iter().any(|(name, _)| name == "*") {
        return plain(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        );
    }
    // A name that no container has is an error, but the others are changed.
    let mut errors = Vec::new();
    let changed = change(k, infos, "image", "image updated", |_, spec| {
        for (name, image) in &pairs {
            let mut found = false;
            for list in ["initContainers", "containers"] {
                for at in 0..spec[list].items().len() {
                    if name == "*" || spec[list][at]["name"].str() == name {
                        spec[list][at]["image"] = image.as_str().into();
                        found = true;
                    }
                }
            }
            if !found {
                errors.push(Error::Plain(format!(
                    "error: unable to find container named {}",
                    go::quote(name)
                )));
            }
        }
        Ok(())
    });
    errors.extend(changed.err());
    Error::aggregate(errors)
}

/// Whether a container's name matches `--containers`: `*`, a name, a name with `*` in it.
fn selected(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}

fn chosen(spec: &Value, pattern: &str) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    for list in ["containers", "initContainers"] {
        for (at, container) in spec[list].items().iter().enumerate() {
            if selected(pattern, container["name"].str()) {
                found.push((list, at));
            }
        }
    }
    found
}

fn quantities(text: &str) -> Result<Value> {
    let mut all = Value::new_object();
    for pair in text.split(',').filter(|p| !p.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return plain(format!(
                "invalid argument syntax {pair}, expected <resource>=<value>"
            ));
        };
        if value.parse::<Quantity>().is_err() {
            return plain(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            );
        }
        all[name] = value.into();
    }
    Ok(all)
}

fn resources(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    no_local_arguments(k, &args)?;
    let infos = infos(k, args)?;
    k.check_local()?;
    let (limits, requests) = (
        k.flags.str("limits").to_owned(),
        k.flags.str("requests").to_owned(),
    );
    if limits.is_empty() && requests.is_empty() {
        return plain(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        );
    }
    let (limits, requests) = (quantities(&limits)?, quantities(&requests)?);
    let pattern = k.flags.str("containers").to_owned();
    // A name that no container has is an error, but the others are changed.
    let mut errors = Vec::new();
    let changed = change(
        k,
        infos,
        "resources",
        "resource requirements updated",
        |_, spec| {
            let chosen: Vec<_> = chosen(spec, &pattern)
                .into_iter()
                .filter(|(list, _)| *list == "containers" || pattern != "*")
                .collect();
            if chosen.is_empty() {
                errors.push(Error::Plain(format!(
                    "error: unable to find container named {pattern}"
                )));
            }
            for (list, at) in chosen {
                for (field, wanted) in [("limits", &limits), ("requests", &requests)] {
                    for (name, value) in wanted.entries() {
                        spec[list][at]["resources"][field][&**name] = value.clone();
                    }
                }
            }
            Ok(())
        },
    );
    errors.extend(changed.err());
    Error::aggregate(errors)
}

fn env(k: &mut Kubectl) -> Result {
    let is_pair = |a: &str| (a.contains('=') && !a.starts_with('=')) || a.ends_with('-');
    let (resources, mut pairs) = split(&k.flags.args, is_pair);
    if k.flags
        .args
        .iter()
        .skip(resources.len())
        .any(|a| !is_pair(a))
    {
        return plain(format!(
            "all resources must be specified before environment changes: {}",
            k.flags.args.join(" ")
        ));
    }
    pairs.extend(k.flags.list("env").to_vec());
    let from = k.flags.str("from").to_owned();
    k.check_local()?;
    if resources.is_empty() && k.flags.list("filename").is_empty() {
        return plain(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        );
    }
    let listing = k.flags.bool("list");
    if listing && k.flags.changed("output") {
        return plain("--list and --output may not be specified together");
    }
    if !k.flags.list("keys").is_empty() && from.is_empty() {
        return plain("when specifying --keys, a configmap or secret must be provided with --from");
    }
    let (mut wanted, removed) = variables(&pairs)?;
    if !from.is_empty() {
        if k.is_local() {
            return plain(crate::registry::not_yet(
                "kubectl set env --from with --local",
                "leave out --local, with --dry-run=client",
            ));
        }
        wanted.extend(from_resource(k, &from)?);
    }
    let infos = infos(k, resources)?;
    let pattern = k.flags.str("containers").to_owned();
    if listing {
        for info in &infos {
            listed(k, info, &pattern, (&wanted[..], &removed[..]))?;
        }
        return Ok(());
    }
    let overwrite = k.flags.bool("overwrite");
    let mut without = Vec::new();
    let changed = change(k, infos, "env", "env updated", |info, spec| {
        let chosen = chosen(spec, &pattern);
        if chosen.is_empty() {
            without.push(format!("{}/{}", info.resource.kind, info.name));
        }
        for (list, at) in chosen {
            if !overwrite && let Some(taken) = taken(&spec[list][at]["env"], &wanted) {
                return plain(format!(
                    "'{}' already has a value ({}), and --overwrite is false",
                    taken["name"].str(),
                    taken["value"].str()
                ));
            }
            let env = updated(&spec[list][at]["env"], &wanted, &removed);
            if env.is_empty() {
                spec[list][at].remove(&["env"]);
            } else {
                spec[list][at]["env"] = array(env);
            }
        }
        Ok(())
    });
    for object in without {
        let pattern = go::quote(&pattern);
        k.warn(&format!(
            "{object} does not have any containers matching {pattern}"
        ));
    }
    changed
}

/// What `NAME=VALUE` and `NAME-` set and remove (`parseIntoEnvVar`).
fn variables(pairs: &[String]) -> Result<(Vec<Value>, Vec<String>)> {
    let (mut wanted, mut removed) = (Vec::new(), Vec::new());
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=') else {
            let Some(name) = pair.strip_suffix('-') else {
                return plain(format!("unknown environment variable: {pair}"));
            };
            removed.push(name.to_owned());
            continue;
        };
        let complaints = kubarium_objects::names::env_var_name(name);
        if !complaints.is_empty() {
            return plain(format!(
                "{} is not a valid key name: {}",
                go::quote(name),
                complaints.join(";")
            ));
        }
        wanted.push(object([("name", name.into()), ("value", value.into())]));
    }
    let both = |w: &Value| removed.iter().any(|r| w["name"].str() == r);
    if wanted.iter().any(both) {
        return plain(
            "can not both modify and remove the same environment variable in the same command",
        );
    }
    Ok((wanted, removed))
}

fn taken<'a>(env: &'a Value, wanted: &[Value]) -> Option<&'a Value> {
    env.items().iter().find(|e| {
        wanted
            .iter()
            .any(|w| w["name"] == e["name"] && w["value"] != e["value"])
    })
}

fn updated(env: &Value, wanted: &[Value], removed: &[String]) -> Vec<Value> {
    let mut out: Vec<Value> = env.items().to_vec();
    for new in wanted {
        match out.iter_mut().find(|e| e["name"] == new["name"]) {
            Some(old) => *old = new.clone(),
            None => out.push(new.clone()),
        }
    }
    out.retain(|e| !removed.iter().any(|r| e["name"].str() == r));
    out
}

fn from_resource(k: &mut Kubectl, from: &str) -> Result<Vec<Value>> {
    let Some((kind, name)) = from.split_once('/') else {
        return plain("the resource must be specified as <resource>/<name>");
    };
    if name.contains('/') {
        return plain("arguments in resource/name form may not have more than one slash");
    }
    let resource = k.mapping(kind)?;
    let (field, reference) = match &*resource.kind {
        "ConfigMap" => ("configMapKeyRef", name),
        "Secret" => ("secretKeyRef", name),
        _ => return plain("unsupported resource specified in --from"),
    };
    let namespace = k.namespace();
    let object_from = k.read(&resource, &namespace, name)?;
    let (prefix, keys) = (
        k.flags.str("prefix").to_owned(),
        k.flags.list("keys").to_vec(),
    );
    let mut made = Vec::new();
    for (key, _) in object_from["data"]
        .entries()
        .iter()
        .filter(|(key, _)| keys.is_empty() || keys.iter().any(|k| **k == **key))
    {
        let upper: String = key
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        if upper != **key {
            k.err(format!("Warning: key {key} transferred to {upper}\n"));
        }
        let source = object([("key", key.into()), ("name", reference.into())]);
        made.push(object([
            ("name", format!("{prefix}{upper}").into()),
            ("valueFrom", object([(field, source)])),
        ]));
    }
    Ok(made)
}

/// Prints the variables of an object's containers; with `--resolve` what they refer to.
fn listed(
    k: &mut Kubectl,
    info: &Info,
    pattern: &str,
    (wanted, removed): (&[Value], &[String]),
) -> Result {
    let Some(path) = pod_spec_path(&info.resource.kind) else {
        return Ok(());
    };
    let spec = info.object.at(path);
    let resolve = k.flags.bool("resolve");
    let mut unresolved: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for (list, at) in chosen(spec, pattern) {
        let container = &spec[list][at];
        k.out(format!(
            "# {} {}, container {}\n",
            &info.resource.kind,
            info.name,
            container["name"].str()
        ));
        for env in updated(&container["env"], wanted, removed) {
            let (name, source) = (env["name"].str(), &env["valueFrom"]);
            let value = match source.is_null() {
                true => Ok(env["value"].str().to_owned()),
                false if resolve => resolved(k, info, source),
                false => Err(String::new()),
            };
            match value {
                Ok(value) => k.out(format!("{name}={value}\n")),
                Err(why) => {
                    k.out(format!("# {name} from {}\n", reference(source)));
                    unresolved.entry(why).or_default().push(name.to_owned());
                }
            }
        }
    }
    unresolved.remove("");
    if unresolved.is_empty() {
        return Ok(());
    }
    for (why, names) in unresolved {
        let names = names.join(", ");
        k.err(format!("error retrieving reference for {names}: {why}\n"));
    }
    plain("failed to retrieve valueFrom references")
}

/// What a variable's source is, in words (`GetEnvVarRefString`).
fn reference(source: &Value) -> String {
    let key = |s: &Value| format!("{}, key {}", s["name"].str(), s["key"].str());
    match () {
        _ if !source["configMapKeyRef"].is_null() => {
            format!("configmap {}", key(&source["configMapKeyRef"]))
        }
        _ if !source["secretKeyRef"].is_null() => {
            format!("secret {}", key(&source["secretKeyRef"]))
        }
        _ if !source["fieldRef"].is_null() => {
            format!("field path {}", source["fieldRef"]["fieldPath"].str())
        }
        _ => {
            let source = &source["resourceFieldRef"];
            let container = match source["containerName"].str() {
                "" => String::new(),
                name => format!("{name}/"),
            };
            format!("resource field {container}{}", source["resource"].str())
        }
    }
}

/// The value that a variable's source has now (`GetEnvVarRefValue`), or why there is none.
fn resolved(k: &mut Kubectl, info: &Info, source: &Value) -> std::result::Result<String, String> {
    let namespace = k.namespace();
    for (field, kind, word) in [
        ("secretKeyRef", "secrets", "secret"),
        ("configMapKeyRef", "configmaps", "config map"),
    ] {
        let (from, name) = (&source[field], source[field]["name"].str());
        if from.is_null() {
            continue;
        }
        let of_kind = k.mapping(kind).map_err(|e| e.text())?;
        let object = k.read(&of_kind, &namespace, name).map_err(|e| e.text())?;
        let key = from["key"].str();
        let Some(value) = object["data"].get(key) else {
            return Err(format!("key {key} not found in {word} {name}"));
        };
        return Ok(match field {
            "secretKeyRef" => {
                let bytes = kubarium_objects::base64::decode(value.str()).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => value.str().to_owned(),
        });
    }
    let path = source["fieldRef"]["fieldPath"].str();
    let steps: Vec<&str> = path.split('.').collect();
    match steps[..] {
        ["metadata", "name" | "namespace" | "uid"] => Ok(info.object.at(&steps).str().to_owned()),
        ["metadata", "labels" | "annotations"] => Ok(info
            .object
            .at(&steps)
            .entries()
            .iter()
            .map(|(key, value)| format!("{key}={}", go::quote(value.str())))
            .collect::<Vec<_>>()
            .join("\n")),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

/// A requirement that is no `key=value`, as Go prints the API's form of it.
fn expression(requirement: &Requirement) -> Option<String> {
    let operator = match requirement.operator {
        Operator::Equals | Operator::DoubleEquals => return None,
        Operator::In => "In",
        Operator::NotIn | Operator::NotEquals => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
        Operator::GreaterThan => "Gt",
        Operator::LessThan => "Lt",
    };
    let values: Vec<&str> = requirement.values.iter().map(|v| &**v).collect();
    Some(format!(
        "{{{} {operator} [{}]}}",
        requirement.key,
        values.join(" ")
    ))
}

fn selector(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    // The last argument is the selector.
    let Some((text, resources)) = args.split_last() else {
        return plain("one selector is required");
    };
    let parsed =
        kubarium_objects::Selector::parse(text).map_err(|e| Error::Plain(e.to_string()))?;
    let expressions: Vec<String> = parsed
        .requirements()
        .iter()
        .filter_map(expression)
        .collect();
    let mut wanted = Value::new_object();
    parsed
        .exact()
        .for_each(|(key, value)| wanted[&**key] = value.into());
    no_local_arguments(k, resources)?;
    let infos = infos(k, resources.to_vec())?;
    let format = k.format()?;
    let mut errors = Vec::new();
    for mut info in infos {
        if &*info.resource.kind != "Service" {
            errors.push(Error::Plain(
                "setting a selector is only supported for Services".to_owned(),
            ));
            continue;
        }
        if !expressions.is_empty() {
            errors.push(Error::Plain(format!(
                "match expression [{}] not supported on this object",
                expressions.join(" ")
            )));
            continue;
        }
        let mut changed = info.object.clone();
        changed.set(&["spec", "selector"], wanted.clone());
        errors.extend(send(k, &mut info, changed, &format, "selector updated").err());
    }
    Error::aggregate(errors)
}

fn service_account(k: &mut Kubectl) -> Result {
    k.check_local()?;
    let mut args = k.flags.args.clone();
    let Some(account) = args.pop() else {
        return plain("serviceaccount is required");
    };
    let infos = infos(k, args)?;
    let sent = !k.only_prints()?;
    change(k, infos, "", "serviceaccount updated", |_, spec| {
        spec["serviceAccountName"] = account.as_str().into();
        // The API server keeps the field's old name the same.
        if sent {
            spec["serviceAccount"] = account.as_str().into();
        }
        Ok(())
    })
}

/// Whom a binding gives its rights to, beside those that it has already.
fn subject(k: &mut Kubectl) -> Result {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let args = k.flags.args.clone();
    no_local_arguments(k, &args)?;
    let infos = infos(k, args)?;
    k.check_local()?;
    let given = |name: &str| k.flags.list(name).to_vec();
    let (users, groups, accounts) = (given("user"), given("group"), given("serviceaccount"));
    if users.is_empty() && groups.is_empty() && accounts.is_empty() {
        return plain("you must specify at least one value of user, group or serviceaccount");
    }
    let mut wanted = Vec::new();
    for (kind, names) in [("User", users), ("Group", groups)] {
        wanted.extend(names.iter().map(|name| {
            object([
                ("apiGroup", GROUP.into()),
                ("kind", kind.into()),
                ("name", name.as_str().into()),
            ])
        }));
    }
    let own = k.namespace();
    for account in &accounts {
        let parts: Vec<&str> = account.split(':').collect();
        let [namespace, name] = parts[..] else {
            return plain("serviceaccount must be <namespace>:<name>");
        };
        if name.is_empty() {
            return plain("serviceaccount must be <namespace>:<name>");
        }
        if namespace.is_empty() && infos.iter().any(|i| !i.resource.namespaced) {
            return plain("serviceaccount must be <namespace>:<name>, namespace must be specified");
        }
        let namespace = if namespace.is_empty() {
            &*own
        } else {
            namespace
        };
        wanted.push(object([
            ("kind", "ServiceAccount".into()),
            ("name", name.into()),
            ("namespace", namespace.into()),
        ]));
    }
    let format = k.format()?;
    let mut errors = Vec::new();
    for mut info in infos {
        if !matches!(&*info.resource.kind, "RoleBinding" | "ClusterRoleBinding") {
            errors.push(Error::Plain(
                "setting subjects is only supported for RoleBinding/ClusterRoleBinding".to_owned(),
            ));
            continue;
        }
        let mut changed = info.object.clone();
        for subject in &wanted {
            if !changed["subjects"].items().contains(subject) {
                changed["subjects"].push(subject.clone());
            }
        }
        if !changed.same(&info.object) {
            errors.extend(send(k, &mut info, changed, &format, "subjects updated").err());
        }
    }
    Error::aggregate(errors)
}
