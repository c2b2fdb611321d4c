//! `kubectl label` and `kubectl annotate`

use kubarium_objects::{Value, go, names};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{
    ALL, ALL_NAMESPACES, Command, DRY_RUN, FIELD_SELECTOR, FILES, PRINT, RECORD, SELECTOR,
};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, switch, text};
use crate::kubectl::request::{Patch, Subresource};
use crate::kubectl::resource::Info;

const FLAGS: &[Flag] = &[
    switch(
        "list",
        "If true, display the labels or annotations for a given resource.",
    ),
    switch(
        "local",
        "If true, label or annotation will NOT contact api-server but run locally.",
    ),
    switch(
        "overwrite",
        "If true, allow labels or annotations to be overwritten, otherwise reject updates that overwrite existing ones.",
    ),
    text(
        "resource-version",
        "If non-empty, the update will only succeed if this is the current resource-version for the object.",
    ),
];

pub(crate) const LABEL: Command = Command::new(
    "label",
    "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version] [options]",
    "Update the labels on a resource",
    |k| run(k, "label"),
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, FIELD_SELECTOR, ALL, ALL_NAMESPACES, FLAGS])
.changing();

pub(crate) const ANNOTATE: Command = Command::new(
    "annotate",
    "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version] [options]",
    "Update the annotations on a resource",
    |k| run(k, "annotation"),
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, FIELD_SELECTOR, ALL, ALL_NAMESPACES, FLAGS])
.changing();

/// What is to be set, and what removed.
#[derive(Default)]
struct Update {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

fn run(k: &mut Kubectl, what: &str) -> Result {
    let (resources, pairs) = split(&k.flags.args, what)?;
    let update = parse(&pairs, what)?;
    if k.flags.bool("all") && k.flags.changed("selector") {
        return plain("cannot set --all and --selector at the same time");
    }
    let no_file = k.flags.list("filename").is_empty();
    if k.is_local() {
        k.check_local()?;
        let example = if what == "label" { "pod" } else { "rsrc" };
        let files = format!("-f {example}.yaml or --filename={example}.json");
        if !resources.is_empty() {
            return plain(format!(
                "can only use local files by {files} when --local=true is set"
            ));
        }
        if no_file {
            return plain(format!("one or more files must be specified as {files}"));
        }
    }
    if resources.is_empty() && no_file {
        return plain(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        );
    }
    let list = k.flags.bool("list");
    if list && k.flags.changed("output") {
        return plain("--list and --output may not be specified together");
    }
    if update.set.is_empty() && update.remove.is_empty() && !list {
        return plain(format!("at least one {what} update is required"));
    }
    let format = k.format()?;
    k.flags.args = resources;
    let (infos, mut errors) = super::found(k)?;
    let one = infos.len() == 1;
    if !one && !k.flags.str("resource-version").is_empty() {
        return plain("--resource-version may only be used with a single resource");
    }
    for info in infos {
        let result = if list && update.set.is_empty() && update.remove.is_empty() {
            show(k, &info, what, one);
            Ok(())
        } else {
            change(k, info, &update, what, &format)
        };
        errors.extend(result.err());
    }
    Error::aggregate(errors)
}

/// `GetResourcesAndPairs`
fn split(args: &[String], what: &str) -> Result<(Vec<String>, Vec<String>)> {
    let (mut resources, mut pairs) = (Vec::new(), Vec::new());
    for arg in args {
        let pair =
            (arg.contains('=') && !arg.starts_with('=')) || (arg.ends_with('-') && arg != "-");
        if pair {
            pairs.push(arg.clone());
        } else if pairs.is_empty() {
            resources.push(arg.clone());
        } else {
            return plain(format!(
                "all resources must be specified before {what} changes: {arg}"
            ));
        }
    }
    Ok((resources, pairs))
}

fn parse(pairs: &[String], what: &str) -> Result<Update> {
    let mut update = Update::default();
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) => {
                if what == "label" {
                    if value.contains('=') {
                        return plain(format!("invalid label spec: {pair}"));
                    }
                    let complaints = names::label_value(value);
                    if !complaints.is_empty() {
                        return plain(format!(
                            "invalid label value: {}: {}",
                            go::quote(pair),
                            complaints.join(";")
                        ));
                    }
                }
                update.set.push((key.to_owned(), value.to_owned()));
            }
            None => update.remove.push(pair.trim_end_matches('-').to_owned()),
        }
    }
    let is_set = |key: &&String| update.set.iter().any(|(set, _)| set == *key);
    let mut both: Vec<&str> = update.remove.iter().filter(is_set).map(|k| &**k).collect();
    both.sort_unstable();
    if !both.is_empty() {
        return plain(match what {
            "label" => "can not both modify and remove a label in the same command".to_owned(),
            _ => format!(
                "can not both modify and remove the following annotation(s) in the same command: {}",
                both.join(", ")
            ),
        });
    }
    Ok(update)
}

fn field(what: &str) -> &'static str {
    if what == "label" {
        "labels"
    } else {
        "annotations"
    }
}

fn show(k: &mut Kubectl, info: &Info, what: &str, one: bool) {
    let plural = field(what);
    if !one {
        let kind = &info.resource.kind;
        let group = &info.resource.group;
        k.out(format!(
            "Listing {plural} for {kind}.{group}/{}:\n",
            info.name
        ));
    }
    let indent = if one { "" } else { " " };
    let lines: String = info.object["metadata"][plural]
        .entries()
        .iter()
        .map(|(key, v)| format!("{indent}{key}={}\n", v.str()))
        .collect();
    k.out(lines);
}

fn change(
    k: &mut Kubectl,
    mut info: Info,
    update: &Update,
    what: &str,
    format: &crate::kubectl::output::Format,
) -> Result {
    let plural = field(what);
    let current = info.object["metadata"][plural].clone();
    let overwrite = k.flags.bool("overwrite");
    if what == "label" && !k.only_prints()? {
        for key in update
            .remove
            .iter()
            .filter(|key| current.get(key).is_none())
        {
            k.out(format!("label {} not found.\n", go::quote(key)));
        }
    }
    if !overwrite {
        let taken = update.set.iter().filter_map(|(key, value)| {
            let has = current.get(key)?.str();
            (has != value).then(|| format!("'{key}' already has a value ({has})"))
        });
        let taken: Vec<String> = taken.collect();
        if !taken.is_empty() && what == "label" {
            return Error::aggregate(
                taken
                    .into_iter()
                    .map(|t| Error::Plain(format!("{t}, and --overwrite is false")))
                    .collect(),
            );
        }
        if !taken.is_empty() {
            return plain(format!(
                "--overwrite is false but found the following declared annotation(s): {}",
                taken.join("; ")
            ));
        }
    }
    let mut wanted = Value::new_object();
    update
        .set
        .iter()
        .for_each(|(key, value)| wanted[key.as_str()] = value.as_str().into());
    update
        .remove
        .iter()
        .for_each(|key| wanted[key.as_str()] = Value::Null);
    let mut patch = Value::new_object();
    patch.set(&["metadata", plural], wanted);
    let version = k.flags.str("resource-version").to_owned();
    if !version.is_empty() {
        patch.set(&["metadata", "resourceVersion"], version);
    }
    let mut after = kubarium_objects::patch::merge(&info.object, &patch);
    if !k.only_prints()? {
        after = k.patch(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
            &Patch::Merge(patch),
            Subresource::None,
        )?;
    }
    let (old, new) = (&current, &after["metadata"][plural]);
    let message = match what {
        "label" => {
            let lacks = |of: &Value, others: &Value| {
                let mut pairs = others.entries().iter();
                pairs.any(|(key, value)| of.get(key) != Some(value))
            };
            let removed = update.remove.iter().any(|key| old.get(key).is_some());
            match (lacks(old, new), removed) {
                (true, true) => "modified",
                (true, false) => "labeled",
                (false, true) => "unlabeled",
                (false, false) => "not labeled",
            }
        }
        _ => "annotated",
    };
    info.object = after;
    k.report(format, &info, message)
}
