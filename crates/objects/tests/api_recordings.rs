//! Manifests that a real cluster judged, through parsing, decoding, defaulting and validation.
//!
//! What only an API server with a store can know (namespaces, allocated addresses, admission, CRDs'
//! kinds) is left out of the comparison, as are kubectl's own checks.

use std::collections::BTreeMap;

use kubarium_objects::validation;
use kubarium_objects::{ObjectMeta, Resource, Schema, Status, Value, decode, defaults, yaml};

/// Cases that must come out right, at the least: verdict, message and object.
type Floor = (usize, usize, usize);

#[test]
fn manifests_are_judged_as_by_a_real_cluster() {
    judge_all("own.jsonl", (1129, 1128, 1127));
}

#[test]
fn manifests_of_public_repositories_are_judged_as_by_a_real_cluster() {
    judge_all("found.jsonl", (251, 250, 249));
}

/// More of the same kind, in the file that `RECORDINGS` names.
#[test]
fn other_manifests_are_judged_as_by_a_real_cluster() {
    if let Ok(file) = std::env::var("RECORDINGS") {
        judge_all(&file, (0, 0, 0));
    }
}

fn judge_all(file: &str, floor: Floor) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/oracle/api");
    let path = std::path::Path::new(folder).join(file);
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: there are no recordings of a real cluster beside this workspace");
        return;
    };
    let verbose = std::env::var_os("VERBOSE").is_some();
    let only = std::env::var("ONLY").unwrap_or_default();
    let (mut cases, mut verdicts, mut messages, mut objects) = (0, 0, 0, 0);
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in text.lines() {
        let case = Value::from_json(line).expect("a recorded case");
        if !is_comparable(&case) || !case["id"].str().contains(&only) {
            continue;
        }
        cases += 1;
        let got = judge(case["yaml"].str());
        let want = recorded(&case);
        let same_verdict = got.is_empty() == (case["exit"].as_i64() == Some(0));
        let same_message = got == want;
        verdicts += usize::from(same_verdict);
        messages += usize::from(same_message);
        let different = if got.is_empty() && want.is_empty() {
            differences(&case)
        } else {
            Vec::new()
        };
        objects += usize::from(different.is_empty() && same_message);
        if verbose && !different.is_empty() {
            println!("--- {}", case["id"].str());
            different.iter().for_each(|d| println!("    ~ {d}"));
        }
        let entry = kinds.entry(case["base"].str().to_string()).or_default();
        *entry = (entry.0 + 1, entry.1 + usize::from(same_message));
        if verbose && !same_message {
            println!("--- {}", case["id"].str());
            want.iter()
                .filter(|l| !got.contains(l))
                .for_each(|l| println!("    - {l}"));
            got.iter()
                .filter(|l| !want.contains(l))
                .for_each(|l| println!("    + {l}"));
        }
    }
    for (kind, (all, right)) in kinds {
        println!("{kind:32} {right:4} of {all:4}");
    }
    println!(
        "{cases} cases: {verdicts} same verdict, {messages} same message, {objects} same object"
    );
    if only.is_empty() {
        let got = (verdicts, messages, objects);
        let fine = got.0 >= floor.0 && got.1 >= floor.1 && got.2 >= floor.2;
        assert!(fine, "{got:?} are fewer than {floor:?}");
    }
}

/// Whether a case says nothing of what only a running server knows.
fn is_comparable(case: &Value) -> bool {
    let stderr = case["stderr"].str();
    let server_only = [
        "namespaces \"",
        "is forbidden:",
        "no objects passed",
        "error validating",
        "resource mapping not found",
        "no kind \"",
        "does not match the namespace",
        "failed to allocate",
        "valid range",
        "already allocated",
        "unable to decode",
        "could not find the requested resource",
        "is not configured on this cluster",
    ];
    case["command"].str() == "kubectl create --dry-run=server -o json -f -"
        && !server_only.iter().any(|s| stderr.contains(s))
}

/// The uid that new objects get; recordings have `<uid>` for theirs.
const UID: &str = "11111111-1111-1111-1111-111111111111";

/// The lines of the recorded errors, without kubectl's and the server's frames and without warnings.
fn recorded(case: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for line in case["stderr"].str().lines() {
        if line.starts_with("Warning:") {
            continue;
        }
        let line = line.strip_prefix("* ").unwrap_or(line);
        let line = match line.split_once(" is invalid: ") {
            Some((_, rest)) if line.starts_with("The ") => rest,
            _ => line,
        };
        let line = line
            .split_once("error when creating \"STDIN\": ")
            .map_or(line, |(_, rest)| rest);
        let line = line
            .strip_prefix("error: error parsing STDIN: ")
            .unwrap_or(line);
        if !line.trim().is_empty() {
            lines.push(line.trim().to_string());
        }
    }
    lines.sort();
    lines
}

/// What we find wrong with a manifest, sorted.
fn judge(text: &str) -> Vec<String> {
    let (documents, error) = yaml::parse_until_error(text);
    let mut lines: Vec<String> = error.into_iter().map(|e| e.message).collect();
    for document in documents {
        let items = if document.value.kind() == "List" {
            document.value["items"].items().to_vec()
        } else {
            vec![document.value]
        };
        for item in items {
            lines.extend(create(&item));
        }
    }
    lines = lines.into_iter().map(|l| l.replace(UID, "<uid>")).collect();
    lines.sort();
    lines
}

fn create(object: &Value) -> Vec<String> {
    let Some(resource) = Schema::builtin().by_kind(object.api_version(), object.kind()) else {
        return vec!["no such kind".into()];
    };
    match admit(resource, object) {
        Ok(_) => Vec::new(),
        Err(status) if status.is("Invalid") => {
            let mut lines: Vec<String> = status
                .details
                .causes
                .iter()
                .map(|c| format!("{}: {}", c.field, c.message))
                .collect();
            lines.dedup();
            // A message may go over several lines.
            lines
                .iter()
                .flat_map(|l| l.lines())
                .map(|l| l.trim().to_string())
                .filter(|l| !l.is_empty())
                .collect()
        }
        Err(status) => vec![status.message],
    }
}

fn admit(resource: &Resource, object: &Value) -> Result<Value, Status> {
    let kind = &resource.kind;
    let mut object = decode::decode(Schema::builtin(), resource.type_id, object).map_err(|e| {
        Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: {e}",
            resource.version
        ))
    })?;
    if resource.namespaced && object.namespace().is_empty() {
        object.set(&["metadata", "namespace"], "default");
    }
    object.set(&["metadata", "uid"], UID);
    defaults::apply(resource, &mut object);
    validation::prepare_for_create(resource, &mut object);
    let errors = validation::create(resource, &object);
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(Status::invalid(kind, object.name(), &errors))
    }
}

/// Where our defaulted object differs from the recorded one, without what a running server allocates.
fn differences(case: &Value) -> Vec<String> {
    let Ok(documents) = yaml::parse(case["yaml"].str()) else {
        return Vec::new();
    };
    let ([document], want @ Value::Object(_)) = (&documents[..], &case["stdout_object"]) else {
        return Vec::new();
    };
    let Some(resource) =
        Schema::builtin().by_kind(document.value.api_version(), document.value.kind())
    else {
        return Vec::new();
    };
    let (mut got, mut want) = (
        admit(resource, &document.value).unwrap_or_default(),
        want.clone(),
    );
    got = Value::from_json(&got.to_json().replace(UID, "<uid>")).unwrap_or_default();
    for v in [&mut got, &mut want] {
        strip(v);
    }
    let mut out = Vec::new();
    compare("", &want, &got, &mut out);
    out
}

fn strip(v: &mut Value) {
    for field in [
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "managedFields",
        "name",
        "finalizers",
    ] {
        v.remove(&["metadata", field]);
    }
    match v.kind() {
        "Pod" => {
            for field in [
                "serviceAccount",
                "serviceAccountName",
                "tolerations",
                "priority",
                "preemptionPolicy",
            ] {
                v.remove(&["spec", field]);
            }
            let token = |m: &Value| m["name"].str().starts_with("kube-api-access-");
            for list in ["containers", "initContainers"] {
                let count = v["spec"][list].items().len();
                for i in 0..count {
                    let container = &mut v["spec"][list][i];
                    let kept: Vec<Value> = container["volumeMounts"]
                        .items()
                        .iter()
                        .filter(|m| !token(m))
                        .cloned()
                        .collect();
                    container["volumeMounts"] = kept.into();
                }
            }
            let kept: Vec<Value> = v["spec"]["volumes"]
                .items()
                .iter()
                .filter(|m| !token(m))
                .cloned()
                .collect();
            v["spec"]["volumes"] = kept.into();
        }
        "Service" => {
            for field in [
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "healthCheckNodePort",
            ] {
                v.remove(&["spec", field]);
            }
            let count = v["spec"]["ports"].items().len();
            for i in 0..count {
                v["spec"]["ports"][i].remove(&["nodePort"]);
            }
        }
        "Node" => {
            let not_ready = |t: &&Value| t["key"].str() != "node.kubernetes.io/not-ready";
            let kept: Vec<Value> = v["spec"]["taints"]
                .items()
                .iter()
                .filter(not_ready)
                .cloned()
                .collect();
            v["spec"]["taints"] = kept.into();
        }
        "PersistentVolume" => _ = v.remove(&["status", "lastPhaseTransitionTime"]),
        _ => {}
    }
}

fn compare(path: &str, want: &Value, got: &Value, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> =
                a.iter().chain(b.iter()).map(|(k, _)| k.clone()).collect();
            for key in keys {
                compare(&format!("{path}.{key}"), &want[&*key], &got[&*key], out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter()
                .zip(b.iter())
                .enumerate()
                .for_each(|(i, (w, g))| compare(&format!("{path}[{i}]"), w, g, out));
        }
        _ if want == got => {}
        _ => out.push(format!("{path}: want {want} got {got}")),
    }
}
