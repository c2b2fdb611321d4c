//! `kubectl wait`

use std::time::Duration;

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Text, Value, go};

use crate::kubectl::command::{
    ALL, ALL_NAMESPACES, Command, FIELD_SELECTOR, FILES, PRINT, SELECTOR,
};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::resource::{Info, NOTHING_NAMED, targets};
use crate::kubectl::{Kubectl, jsonpath};

const FLAGS: &[Flag] = &[
    text(
        "for",
        "The condition to wait on: [create|delete|condition=condition-name[=condition-value]|jsonpath='{JSONPath expression}'=[JSONPath value]].",
    ),
    switch(
        "local",
        "If true, annotation will NOT contact api-server but run locally.",
    )
    .not_yet(),
    flag(
        "timeout",
        Kind::Text,
        "30s",
        "The length of time to wait before giving up.  Zero means check once and don't wait, negative means wait for a week.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "wait",
    "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]] [options]",
    "Wait for a specific condition on one or many resources",
    run,
)
.flags(&[FILES, PRINT, SELECTOR, FIELD_SELECTOR, ALL, ALL_NAMESPACES, FLAGS])
.changing();

/// What is waited for.
enum Condition {
    Create,
    Delete,
    Is {
        name: String,
        value: String,
    },
    Path {
        path: jsonpath::Template,
        value: Option<String>,
    },
}

fn parse(text: &str) -> Result<Condition> {
    let lower = text.to_lowercase();
    if lower == "delete" {
        return Ok(Condition::Delete);
    }
    if lower == "create" {
        return Ok(Condition::Create);
    }
    if let Some(rest) = text.strip_prefix("condition=") {
        let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
        return Ok(Condition::Is {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    if let Some(rest) = text.strip_prefix("jsonpath=") {
        let (path, value) = split_path(rest);
        if path.is_empty() {
            return plain("jsonpath expression cannot be empty");
        }
        let path = jsonpath::relaxed(path.trim_matches(['\'', '"'])).map_err(Error::Plain)?;
        return Ok(Condition::Path {
            path,
            value: value.map(|v| v.trim_matches(['\'', '"']).to_owned()),
        });
    }
    plain(format!(
        "unrecognized condition: {}",
        if text.is_empty() {
            "[]".to_owned()
        } else {
            go::quote(text)
        }
    ))
}

/// `{.a}=b` at the equals sign that stands outside of the braces.
fn split_path(text: &str) -> (&str, Option<&str>) {
    let from = text.rfind('}').unwrap_or(0);
    match text[from..].find('=') {
        Some(at) => (&text[..from + at], Some(&text[from + at + 1..])),
        None => (text, None),
    }
}

fn run(k: &mut Kubectl) -> Result {
    let condition = parse(k.flags.str("for"))?;
    let limit = limit(k.flags.str("timeout"))?;
    let format = k.format()?;
    let args = k.flags.args.clone();
    let end = k.cluster().now + limit;
    if args.is_empty() && k.flags.list("filename").is_empty() {
        return plain(NOTHING_NAMED);
    }
    if matches!(condition, Condition::Create) {
        return create(k, &args, limit, &format);
    }
    let selection = if k.flags.list("filename").is_empty() {
        let query = super::query(k);
        let mut found = k.select(&query)?;
        if matches!(condition, Condition::Delete) {
            found.errors.retain(|e| !e.is_not_found());
            if found.errors.is_empty() && found.groups.iter().all(|g| g.infos.is_empty()) {
                return Ok(());
            }
        }
        Error::aggregate(std::mem::take(&mut found.errors))?;
        found.infos().collect()
    } else {
        super::infos(k)?
    };
    if selection.is_empty() {
        return plain("no matching resources found");
    }
    let mut errors = Vec::new();
    for mut info in selection {
        let rest = end.since(k.cluster().now);
        let (key, uid) = (info.key(), info.object["metadata"]["uid"].text());
        let met = k.wait(rest, |cluster| is_met(cluster, &key, &uid, &condition));
        if !met {
            errors.push(Error::Plain(format!(
                "timed out waiting for the condition on {}",
                info.plural()
            )));
            continue;
        }
        if let Some(object) = k.current(&key) {
            info.object = object;
        }
        k.report(&format, &info, "condition met")?;
    }
    Error::aggregate(errors)
}

fn limit(text: &str) -> Result<Duration> {
    if text.starts_with('-') {
        return Ok(Duration::from_secs(7 * 24 * 3600).min(crate::kubectl::PATIENCE * 6));
    }
    crate::kubectl::flags::go_duration(text).or_else(|why| {
        plain(format!(
            "invalid argument {} for \"--timeout\" flag: {why}",
            go::quote(text)
        ))
    })
}

/// `--for=create`: until the objects are there.
fn create(
    k: &mut Kubectl,
    args: &[String],
    limit: Duration,
    format: &crate::kubectl::output::Format,
) -> Result {
    let targets = targets(args)?;
    let mut wanted: Vec<(std::sync::Arc<kubarium_objects::Resource>, Option<String>)> = Vec::new();
    for (kind, name) in &targets.tuples {
        wanted.push((k.mapping(kind)?, Some(name.clone())));
    }
    for kind in &targets.types {
        let resource = k.mapping(kind)?;
        if targets.names.is_empty() {
            wanted.push((resource, None));
        } else {
            wanted.extend(
                targets
                    .names
                    .iter()
                    .map(|n| (resource.clone(), Some(n.clone()))),
            );
        }
    }
    let namespace = k.namespace();
    let selector = kubarium_objects::Selector::parse(k.flags.str("selector"))
        .map_err(|e| Error::Plain(e.to_string()))?;
    let found = |cluster: &Cluster| -> Vec<Option<Vec<Value>>> {
        let one =
            |(resource, name): &(std::sync::Arc<kubarium_objects::Resource>, Option<String>)| {
                let within = resource.namespaced.then(|| namespace.clone());
                let objects: Vec<Value> = match name {
                    Some(name) => cluster
                        .find(&resource.id(), within.as_deref().unwrap_or(""), name)
                        .cloned()
                        .into_iter()
                        .collect(),
                    None => cluster
                        .etcd
                        .list(&resource.id(), within.as_deref())
                        .map(|(_, o)| o.clone())
                        .filter(|o| selector.matches(&o["metadata"]["labels"]))
                        .collect(),
                };
                (!objects.is_empty()).then_some(objects)
            };
        wanted.iter().map(one).collect()
    };
    if !k.wait(limit, |cluster| found(cluster).iter().all(Option::is_some)) {
        return plain("timed out waiting for the condition");
    }
    let objects = found(k.cluster());
    for ((resource, _), objects) in wanted.iter().zip(objects) {
        for object in objects.into_iter().flatten() {
            let info = Info {
                resource: resource.clone(),
                namespace: object["metadata"]["namespace"].text(),
                name: object["metadata"]["name"].text(),
                object,
                source: String::new(),
            };
            k.report(format, &info, "condition met")?;
        }
    }
    Ok(())
}

fn is_met(cluster: &Cluster, key: &ObjectKey, uid: &Text, condition: &Condition) -> bool {
    let object = cluster.etcd.get(key);
    match condition {
        Condition::Delete => object.is_none_or(|o| o["metadata"]["uid"].str() != &**uid),
        Condition::Create => object.is_some(),
        Condition::Is { name, value } => object.is_some_and(|o| has_condition(o, name, value)),
        Condition::Path { path, value } => object.is_some_and(|o| {
            let found = path.find(o).unwrap_or_default();
            match (&found[..], value) {
                ([_, ..], None) => true,
                ([one], Some(wanted)) => jsonpath::go_print(one) == *wanted,
                _ => false,
            }
        }),
    }
}

fn has_condition(object: &Value, name: &str, value: &str) -> bool {
    let conditions = object["status"]["conditions"].items();
    let Some(found) = conditions
        .iter()
        .find(|c| c["type"].str().eq_ignore_ascii_case(name))
    else {
        return false;
    };
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let observed = found["observedGeneration"]
        .as_i64()
        .or(object["status"]["observedGeneration"].as_i64());
    if observed.is_some_and(|o| o < generation) && generation != 0 {
        return false;
    }
    found["status"].str().eq_ignore_ascii_case(value)
}
