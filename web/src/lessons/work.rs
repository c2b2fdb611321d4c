//! What was done is kept in this browser, and is there again at the next visit.

use std::time::Duration;

use kubarium_snapshot::lesson::{Ask, Said, View};
use leptos::prelude::*;

use super::browser;
use crate::{learn::Learn, storage};

/// The state's text, and the file of the lesson that was open; empty where none was.
const STATE: &str = "work";
const LESSON: &str = "work-lesson";
/// How often it is looked whether there is anything new to keep.
const EVERY: Duration = Duration::from_secs(4);
/// The longest state that is kept, in bytes: a browser has some 5 MB for all.
const STATE_MAX: usize = 1 << 20;

/// Keeps the state from now on, shortly after each command.
pub(super) fn keep(learn: Learn) {
    let kept = StoredValue::new(storage::get(STATE).unwrap_or_default());
    let seen = StoredValue::new(0_u32);
    let look = move || {
        let now = learn.simulator.events.get_untracked();
        let has_begun = !learn.simulator.console.read_untracked().is_empty()
            || learn.lesson.read_untracked().is_some();
        if !has_begun || seen.get_value() == now {
            return;
        }
        seen.set_value(now);
        let view = View {
            show: String::new(),
            focus: learn.simulator.selected.get_untracked().unwrap_or_default(),
        };
        // The editor keeps its files itself.
        let files = Vec::new();
        learn.ask(Ask::Share { view, files }, move |said| {
            let Said::Shared(shared) = said else { return };
            let is_new = kept.with_value(|kept| *kept != shared.state);
            if !is_new || shared.state.is_empty() || shared.state.len() > STATE_MAX {
                return;
            }
            // A storage that is full loses what is kept, nothing else.
            let _ = storage::set(STATE, &shared.state);
            let lesson = learn.lesson.get_untracked().unwrap_or_default();
            let _ = storage::set(LESSON, &lesson);
            kept.set_value(shared.state);
        });
    };
    if let Ok(timer) = set_interval_with_handle(look, EVERY) {
        on_cleanup(move || timer.clear());
    }
}

/// The state in which a lesson was left, where it was the last thing that was worked on.
pub(super) fn kept(lesson: &str) -> Option<String> {
    storage::get(LESSON).filter(|kept| kept == lesson && !kept.is_empty())?;
    storage::get(STATE)
}

/// Brings back what was kept; whether there was anything.
pub(super) fn restore(learn: Learn) -> bool {
    let Some(state) = storage::get(STATE).filter(|state| !state.is_empty()) else {
        return false;
    };
    match storage::get(LESSON).filter(|lesson| !lesson.is_empty()) {
        Some(path) => {
            browser::set_fragment(&super::gallery::fragment_of(&path));
            learn.fetch(path);
        }
        None => learn.ask(Ask::Open(state), move |said| learn.resumed(said, None)),
    }
    true
}

/// Forgets it.
pub(super) fn forget() {
    // Where nothing can be set, nothing is kept.
    let _ = storage::set(STATE, "");
    let _ = storage::set(LESSON, "");
}
