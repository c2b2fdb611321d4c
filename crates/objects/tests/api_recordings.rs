//! Manifests that a real cluster judged, through parsing, decoding, defaulting and validation.
//!
//! What only an API server with a store can know (namespaces, allocated addresses, admission, CRDs'
//! kinds) is left out of the comparison, as are kubectl's own checks.

use std::collections::BTreeMap;

use kubarium_objects::validation;
use kubarium_objects::{ObjectMeta, Resource, Schema, Status, Value, decode, defaults, yaml};

/// Cases that must come out right, at the least: verdict and message of those that are compared.
const FLOOR: (usize, usize) = (1122, 1101);

#[test]
fn manifests_are_judged_as_by_a_real_cluster() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/oracle/api/own.jsonl"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: there are no recordings of a real cluster beside this workspace");
        return;
    };
    let verbose = std::env::var_os("VERBOSE").is_some();
    let only = std::env::var("ONLY").unwrap_or_default();
    let (mut cases, mut verdicts, mut messages) = (0, 0, 0);
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
    println!("{cases} cases: {verdicts} same verdict, {messages} same message");
    if only.is_empty() {
        assert!(
            verdicts >= FLOOR.0 && messages >= FLOOR.1,
            "{verdicts} and {messages} are fewer than {FLOOR:?}"
        );
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
    ];
    case["command"]
        .str()
        .starts_with("kubectl create --dry-run=server -o json")
        && !server_only.iter().any(|s| stderr.contains(s))
}

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
    lines.sort();
    lines
}

fn create(object: &Value) -> Vec<String> {
    let Some(resource) = Schema::builtin().by_kind(object.api_version(), object.kind()) else {
        return vec!["no such kind".into()];
    };
    match admit(resource, object) {
        Ok(()) => Vec::new(),
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

fn admit(resource: &Resource, object: &Value) -> Result<(), Status> {
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
    defaults::apply(resource, &mut object);
    validation::prepare_for_create(resource, &mut object);
    let errors = validation::create(resource, &object);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(kind, object.name(), &errors))
    }
}
