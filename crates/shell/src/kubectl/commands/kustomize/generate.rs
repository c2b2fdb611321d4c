//! Generators of ConfigMaps and Secrets, and the hashes that end their names.

use kubarium_objects::{Value, base64, object};
use sha2::{Digest, Sha256};

use super::{Item, join};
use crate::kubectl::Kubectl;
use crate::kubectl::error::{Error, Result, plain};

pub(super) fn generate(
    k: &mut Kubectl,
    path: &str,
    kind: &str,
    generator: &Value,
    all: &Value,
    items: &mut Vec<Item>,
) -> Result {
    let name = generator["name"].str();
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    let file = |name: &str| -> Result<Vec<u8>> {
        let at = join(path, name);
        k.session.read_file(&at).ok_or_else(|| {
            Error::Plain(format!(
                "loading KV pairs: file sources: [{name}]: evalsymlink failure on '{at}' : lstat {at}: no such file or directory"
            ))
        })
    };
    let env = generator["env"].str();
    let envs = generator["envs"].items().iter().map(Value::str);
    for source in envs.chain((!env.is_empty()).then_some(env)) {
        for line in String::from_utf8_lossy(&file(source)?).lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    for literal in generator["literals"].items() {
        let Some((key, value)) = literal.str().split_once('=') else {
            return plain(format!(
                "loading KV pairs: literal sources {}: invalid literal source {}, expected key=value",
                literal.str(),
                literal.str()
            ));
        };
        let quotes: [&[char]; 2] = [&['"'], &['\'']];
        let unquoted = quotes
            .iter()
            .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))
            .unwrap_or(value);
        pairs.push((key.to_owned(), unquoted.as_bytes().to_vec()));
    }
    for source in generator["files"].items() {
        let (key, name) = match source.str().split_once('=') {
            Some((key, name)) => (key.to_owned(), name),
            None => {
                let name = source.str();
                (name.rsplit('/').next().unwrap_or(name).to_owned(), name)
            }
        };
        pairs.push((key, file(name)?));
    }
    let mut data = Value::new_object();
    let mut binary = Value::new_object();
    for (key, bytes) in pairs {
        if kind == "Secret" {
            data[key.as_str()] = base64::encode(&bytes).into();
            continue;
        }
        match String::from_utf8(bytes) {
            Ok(text) => data[key.as_str()] = text.into(),
            Err(e) => binary[key.as_str()] = base64::encode(e.as_bytes()).into(),
        }
    }
    let behavior = generator["behavior"].str();
    let known = items
        .iter_mut()
        .find(|i| i.kind() == kind && i.names.iter().any(|n| n == name));
    let own = &generator["options"];
    let option = |field: &str| -> Value {
        let mut both = all[field].clone();
        for (key, value) in own[field].entries() {
            both[&**key] = value.clone();
        }
        both
    };
    let fixed = [own, all]
        .iter()
        .any(|o| o["disableNameSuffixHash"].as_bool() == Some(true));
    let (labels, annotations) = (option("labels"), option("annotations"));
    match (behavior, known) {
        ("merge" | "replace", Some(item)) => {
            if behavior == "replace" {
                item.object.remove(&["data"]);
                item.object.remove(&["binaryData"]);
            }
            for (field, map) in [("data", &data), ("binaryData", &binary)] {
                for (key, value) in map.entries() {
                    item.object[field][&**key] = value.clone();
                }
            }
            for (field, map) in [("labels", &labels), ("annotations", &annotations)] {
                for (key, value) in map.entries() {
                    item.object["metadata"][field][&**key] = value.clone();
                }
            }
            Ok(())
        }
        ("merge" | "replace", None) => plain(format!(
            "merging from generator {}: id resid.ResId{{Gvk:resid.Gvk{{Version:\"v1\", Kind:\"{kind}\"}}, Name:\"{name}\"}} does not exist; cannot merge or replace",
            "&{0x0}"
        )),
        (_, Some(_)) => plain(format!(
            "merging from generator {}: id resid.ResId{{Gvk:resid.Gvk{{Version:\"v1\", Kind:\"{kind}\"}}, Name:\"{name}\"}} exists; behavior must be merge or replace",
            "&{0x0}"
        )),
        (_, None) => {
            let mut metadata = object([("name", name.into())]);
            if !generator["namespace"].is_empty() {
                metadata["namespace"] = generator["namespace"].clone();
            }
            for (field, map) in [("labels", labels), ("annotations", annotations)] {
                if !map.is_empty() {
                    metadata[field] = map;
                }
            }
            let mut made = object([
                ("apiVersion", "v1".into()),
                ("kind", kind.into()),
                ("metadata", metadata),
            ]);
            for (field, map) in [("data", data), ("binaryData", binary)] {
                if !map.is_empty() {
                    made[field] = map;
                }
            }
            if kind == "Secret" {
                made["type"] = match generator["type"].str() {
                    "" => "Opaque".into(),
                    given => given.into(),
                };
            }
            if [own, all]
                .iter()
                .any(|o| o["immutable"].as_bool() == Some(true))
            {
                made["immutable"] = true.into();
            }
            items.push(Item {
                object: made,
                names: vec![name.to_owned()],
                hashed: !fixed,
            });
            Ok(())
        }
    }
}

/// The hash that a generated object's name ends in (`kustomize/api/hasher`): of its content, not of its
/// name.
pub(super) fn content_hash(o: &Value) -> String {
    let mut content = object([
        ("data", o["data"].clone()),
        ("kind", o["kind"].clone()),
        ("name", "".into()),
    ]);
    if content["data"].is_null() {
        content["data"] = "".into();
    }
    if o["kind"].str() == "Secret" {
        content["type"] = o["type"].clone();
    } else if !o["binaryData"].is_null() {
        content["binaryData"] = o["binaryData"].clone();
    }
    let sum = Sha256::digest(kubarium_objects::go::json(&content));
    short_hash(&sum)
}

/// Ten letters of a checksum that make no words.
pub(crate) fn short_hash(sum: &[u8]) -> String {
    let digits: String = sum.iter().take(5).map(|b| format!("{b:02x}")).collect();
    digits
        .chars()
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            c => c,
        })
        .collect()
}

// --- Patches ----------------------------------------------------------------------------------
