//! Sharing: the whole state as a link, or as a file where it is too long for one; and files that are dropped in.

use std::time::Duration;

use kubarium_snapshot::lesson::{Ask, Said, View};
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;

use super::browser;
use crate::{learn::Learn, text::t};

/// How long what has become of it is said.
const SAID: Duration = Duration::from_secs(8);

/// Shares the state whenever it is asked for.
pub(super) fn share_when_asked(learn: Learn) {
    Effect::new(move |before: Option<u32>| {
        let now = learn.share.get();
        if now > before.unwrap_or(0) {
            share(learn);
        }
        now
    });
}

fn share(learn: Learn) {
    let say = move |text: String| {
        learn.said.set(text);
        set_timeout(move || learn.said.set(String::new()), SAID);
    };
    let view = View {
        show: learn.layout.looked_at().to_owned(),
        focus: learn.simulator.selected.get_untracked().unwrap_or_default(),
    };
    let files = untrack(|| learn.files.written());
    learn.ask(Ask::Share { view, files }, move |said| {
        let Said::Shared(shared) = said else { return };
        match shared.link {
            Some(link) => {
                browser::set_fragment(&link);
                spawn_local(async move {
                    let address = window().location().href().unwrap_or_default();
                    let key = match browser::copy(&address).await {
                        true => "share.copied",
                        false => "share.address",
                    };
                    say(t(key).to_owned());
                });
            }
            None if !shared.state.is_empty() => {
                browser::download("kubarium.json", &shared.state, "application/json");
                say(t("share.file").to_owned());
            }
            None => say(shared.why),
        }
    });
}

/// Opens files that are dropped anywhere on the page.
pub(super) fn take_what_is_dropped(learn: Learn) {
    let has_file = |event: &web_sys::DragEvent| {
        let types = event.data_transfer().map(|data| data.types());
        types.is_some_and(|types| types.includes(&"Files".into(), 0))
    };
    let over = window_event_listener(leptos::ev::dragover, move |event| {
        if has_file(&event) {
            event.prevent_default();
        }
    });
    let drop = window_event_listener(leptos::ev::drop, move |event| {
        if !has_file(&event) {
            return;
        }
        event.prevent_default();
        let files = event.data_transfer().and_then(|data| data.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
            take_file(learn, file);
        }
    });
    on_cleanup(move || {
        over.remove();
        drop.remove();
    });
}

/// Opens a file.
pub(super) fn take_file(learn: Learn, file: web_sys::File) {
    if file.size() > super::FILE_MAX as f64 {
        return learn.remark.set(t("share.too-large").to_owned());
    }
    spawn_local(async move {
        let blob: &web_sys::Blob = file.unchecked_ref();
        match browser::text_of(blob).await {
            Some(text) => learn.take(text),
            None => learn.remark.set(t("share.unreadable").to_owned()),
        }
    });
}
