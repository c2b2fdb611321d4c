//! The indexes of an indexed Job and of its pods (kubernetes v1.37, `pkg/controller/job/indexed_job_utils.go`).

use std::collections::{BTreeMap, BTreeSet};

use kubarium_objects::{ObjectMeta, Text, Value, object};

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Reads `0-2,5`.
pub(super) fn read_ranges(text: &str) -> BTreeSet<i64> {
    let mut indexes = BTreeSet::new();
    for range in text.split(',').filter(|r| !r.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
            indexes.extend(first..=last.min(first.saturating_add(100_000)));
        }
    }
    indexes
}

pub(super) fn index_of(pod: &Value) -> Option<i64> {
    pod.annotation(INDEX)?.parse().ok()
}

/// An indexed Job's pod knows its index by annotation, label, name and environment.
pub(super) fn give_index(pod: &mut Value, job: &str, index: i64) {
    let index: Text = index.to_string().into();
    pod["metadata"]["annotations"][INDEX] = (&index).into();
    pod["metadata"]["labels"][INDEX] = (&index).into();
    pod["metadata"]["generateName"] = format!("{job}-{index}-").into();
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    for list in ["initContainers", "containers"] {
        for at in 0..pod["spec"][list].items().len() {
            let path = format!("metadata.labels['{INDEX}']");
            let field = object([("apiVersion", "v1".into()), ("fieldPath", path.into())]);
            let source = object([("fieldRef", field)]);
            pod["spec"][list][at]["env"].push(object([
                ("name", "JOB_COMPLETION_INDEX".into()),
                ("valueFrom", source),
            ]));
        }
    }
}

/// `0-2,5`
pub(super) fn ranges(indexes: &BTreeSet<i64>) -> String {
    let mut ranges: BTreeMap<i64, i64> = BTreeMap::new();
    for index in indexes {
        match ranges.last_entry() {
            Some(mut range) if *range.get() + 1 == *index => *range.get_mut() = *index,
            _ => drop(ranges.insert(*index, *index)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}
