//! Patches of objects.

use kubarium_objects::{Schema, Selector, Value, patch, yaml};

use super::{Item, join};
use crate::kubectl::Kubectl;
use crate::kubectl::error::{Error, Result, plain};

pub(super) fn patches(k: &Kubectl, path: &str, spec: &Value, items: &mut Vec<Item>) -> Result {
    let text_of = |entry: &Value| -> Result<String> {
        if !entry["patch"].is_empty() {
            return Ok(entry["patch"].str().to_owned());
        }
        from_file(k, path, entry["path"].str())
    };
    for entry in spec["patchesStrategicMerge"].items() {
        let at = join(path, entry.str());
        let text = match k.session.read_file(&at) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => entry.str().to_owned(),
        };
        apply(k, &text, &Value::Null, items)?;
    }
    for entry in spec["patches"].items() {
        apply(k, &text_of(entry)?, &entry["target"], items)?;
    }
    for entry in spec["patchesJson6902"].items() {
        apply(k, &text_of(entry)?, &entry["target"], items)?;
    }
    Ok(())
}

pub(super) fn from_file(k: &Kubectl, path: &str, name: &str) -> Result<String> {
    let at = join(path, name);
    match k.session.read_file(&at) {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => plain(format!(
            "failed to get patch file from path({name}): evalsymlink failure on '{at}' : lstat {at}: no such file or directory"
        )),
    }
}

pub(super) fn apply(k: &Kubectl, text: &str, target: &Value, items: &mut Vec<Item>) -> Result {
    let (documents, broken) = yaml::parse_until_error(text);
    if let Some(broken) = broken {
        return plain(format!(
            "unable to parse SM or JSON patch from [patch: {text:?}]: {}",
            broken.message
        ));
    }
    for document in documents {
        let change = document.value;
        let mut matched = false;
        let mut gone = Vec::new();
        for (at, item) in items.iter_mut().enumerate() {
            let fits = if target.is_null() {
                item.object["apiVersion"] == change["apiVersion"]
                    && item.kind() == change["kind"].str()
                    && item
                        .names
                        .iter()
                        .any(|n| n == change["metadata"]["name"].str())
            } else {
                selects(target, item)?
            };
            if !fits {
                continue;
            }
            matched = true;
            if matches!(change, Value::Array(_)) {
                item.object = patch::json_patch(&item.object, &change)
                    .map_err(|e| Error::Plain(e.to_string()))?;
                continue;
            }
            if change["$patch"].str() == "delete" {
                gone.push(at);
                continue;
            }
            let (object, mut change) = (item.object.clone(), change.clone());
            // A patch with a target changes what it selects, whatever it is called.
            let name = object["metadata"]["name"].clone();
            change.remove(&["metadata", "name"]);
            let resource = k
                .cluster()
                .resource_by_kind(object["apiVersion"].str(), object["kind"].str());
            item.object = match resource {
                Some(r) => patch::strategic_merge(Schema::builtin(), r.type_id, &object, &change)
                    .map_err(|e| Error::Plain(e.to_string()))?,
                None => patch::merge(&object, &change),
            };
            item.object["metadata"]["name"] = name;
        }
        for at in gone.into_iter().rev() {
            items.remove(at);
        }
        if !matched && target.is_null() {
            let (kind, name) = (change["kind"].str(), change["metadata"]["name"].str());
            return plain(format!(
                "no matches for Id {kind}.{}/{name}.[noNs]; failed to find unique target for patch {kind}.{}/{name}.[noNs]",
                versions(&change),
                versions(&change)
            ));
        }
    }
    Ok(())
}

/// `v1.apps`, `v1.[noGrp]`
pub(super) fn versions(o: &Value) -> String {
    match o["apiVersion"].str().split_once('/') {
        Some((group, version)) => format!("{version}.{group}"),
        None => format!("{}.[noGrp]", o["apiVersion"].str()),
    }
}

pub(super) fn selects(target: &Value, item: &Item) -> Result<bool> {
    let o = &item.object;
    let (group, version) = match o["apiVersion"].str().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", o["apiVersion"].str()),
    };
    let fits = |field: &str, value: &str| -> bool {
        let wanted = target[field].str();
        wanted.is_empty()
            || wanted == value
            || regex_lite::Regex::new(&format!("^(?:{wanted})$")).is_ok_and(|r| r.is_match(value))
    };
    let labels = |field: &str, map: &Value| -> Result<bool> {
        let selector =
            Selector::parse(target[field].str()).map_err(|e| Error::Plain(e.to_string()))?;
        Ok(selector.matches(map))
    };
    Ok(fits("group", group)
        && fits("version", version)
        && fits("kind", item.kind())
        && item.names.iter().any(|name| fits("name", name))
        && fits("namespace", o["metadata"]["namespace"].str())
        && labels("labelSelector", &o["metadata"]["labels"])?
        && labels("annotationSelector", &o["metadata"]["annotations"])?)
}

// --- Transformers -----------------------------------------------------------------------------
