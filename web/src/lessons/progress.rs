//! A learner's progress: kept in this browser, saved to a file and read from one.

use js_sys::{JSON, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::browser;
use crate::storage;

/// The field by which such a file is known, and the one with the exercises.
const MARK: &str = "kubariumProgress";
const EXERCISES: &str = "exercises";
/// The longest name of an exercise, and the longest progress of one, in bytes.
const NAME_MAX: usize = 100;
const PROGRESS_MAX: usize = 100_000;

/// The name of a lesson in its path: `exercises/first.yaml` is `first`.
pub(super) fn name_of(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or("");
    file.trim_end_matches(".yaml")
}

/// What is kept of an exercise, by its path or name.
pub(super) fn of(path: &str) -> Option<String> {
    storage::get(&format!("progress/{}", name_of(path))).filter(|text| !text.is_empty())
}

/// Keeps it.
pub(super) fn keep(name: &str, progress: &str, all_done: bool) {
    // A storage that is full loses the progress, nothing else.
    let _ = storage::set(&format!("progress/{name}"), progress);
    if all_done {
        let _ = storage::set(&format!("done/{name}"), "1");
    }
}

/// Whether all of an exercise was once done.
pub(super) fn is_done(name: &str) -> bool {
    storage::get(&format!("done/{name}")).is_some()
}

/// Forgets what is kept of an exercise, but not that it was done.
pub(super) fn forget(path: &str) {
    let _ = storage::set(&format!("progress/{}", name_of(path)), "");
}

/// Saves the progress of these exercises to a file.
pub(super) fn export(names: &[String]) {
    let exercises = Object::new();
    for name in names {
        if let Some(progress) = of(name).and_then(|text| JSON::parse(&text).ok()) {
            set(&exercises, name, &progress);
        }
    }
    let file = Object::new();
    set(&file, MARK, &1.into());
    set(&file, EXERCISES, &exercises);
    let text = JSON::stringify(&file)
        .ok()
        .and_then(|text| text.as_string());
    if let Some(text) = text {
        browser::download("kubarium-progress.json", &text, "application/json");
    }
}

/// Reads such a file: how many exercises were in it; none where it is no such file.
pub(super) fn import(text: &str) -> Option<usize> {
    if !text.contains(MARK) {
        return None;
    }
    let file = JSON::parse(text).ok().filter(JsValue::is_object)?;
    Reflect::get(&file, &MARK.into()).ok()?.as_f64()?;
    let exercises: Object = Reflect::get(&file, &EXERCISES.into())
        .ok()?
        .dyn_into()
        .ok()?;
    let mut read = 0;
    for entry in Object::entries(&exercises) {
        let entry: js_sys::Array = entry.unchecked_into();
        let name = entry.get(0).as_string().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_name) {
            continue;
        }
        let progress = JSON::stringify(&entry.get(1))
            .ok()
            .and_then(|text| text.as_string());
        if let Some(progress) = progress.filter(|text| text.len() <= PROGRESS_MAX) {
            keep(&name, &progress, false);
            read += 1;
        }
    }
    Some(read)
}

fn set(object: &Object, key: &str, value: &JsValue) {
    // A plain object takes every key.
    let _ = Reflect::set(object, &key.into(), value);
}
