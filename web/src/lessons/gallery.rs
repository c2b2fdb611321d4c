//! The gallery: everything that there is to begin with, each with a sentence about it.

use leptos::{html, prelude::*, task::spawn_local};

use kubarium_snapshot::lesson::Ask;

use super::{browser, progress, share, work};
use crate::{
    icons,
    learn::Learn,
    text::{fill, t},
};

/// What the build makes of the lists of lessons: a line each, its fields between tabs.
const LISTS: &str = "lessons.txt";

/// A list of lessons.
#[derive(Clone)]
struct List {
    title: String,
    text: String,
    entries: Vec<Entry>,
}

/// A lesson in a list.
#[derive(Clone)]
struct Entry {
    /// `scene` or `exercise`.
    kind: String,
    name: String,
    part: String,
    title: String,
    summary: String,
    requires: Vec<String>,
}

/// The fragment that opens the lesson of a file: `exercises/first.yaml` is `exercise=first`.
pub(super) fn fragment_of(path: &str) -> String {
    let kind = path.split('/').next().unwrap_or("").trim_end_matches('s');
    format!("{kind}={}", progress::name_of(path))
}

fn read(text: &str) -> Vec<List> {
    let mut lists: Vec<List> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut field = || fields.next().unwrap_or_default();
        let kind = field();
        if kind == "list" {
            lists.push(List {
                title: field(),
                text: field(),
                entries: Vec::new(),
            });
        } else if let Some(list) = lists.last_mut() {
            list.entries.push(Entry {
                kind,
                name: field(),
                part: field(),
                title: field(),
                summary: field(),
                requires: field().split(' ').map(str::to_owned).collect(),
            });
        }
    }
    lists
}

/// The gallery, as a dialog.
#[component]
pub(super) fn Gallery() -> impl IntoView {
    let learn = expect_context::<Learn>();
    let dialog = NodeRef::<html::Dialog>::new();
    let lists = RwSignal::new(Vec::<List>::new());
    let failed = RwSignal::new(String::new());
    Effect::new(move |_| {
        let open = learn.gallery.get();
        let Some(dialog) = dialog.get() else { return };
        if open && !dialog.open() {
            // A dialog that is in the document and closed can be shown.
            let _ = dialog.show_modal();
        } else if !open && dialog.open() {
            dialog.close();
        }
        if open && lists.read_untracked().is_empty() {
            spawn_local(async move {
                match browser::fetch_built(LISTS).await {
                    Ok(text) => lists.set(read(&text)),
                    Err(why) => failed.set(fill("learn.fetch", &[("file", LISTS), ("why", &why)])),
                }
            });
        }
    });
    let fresh = move |_| {
        work::forget();
        browser::set_fragment("");
        learn.simulator.clear();
        learn.ask(Ask::Fresh, move |said| learn.opened(said, None));
        learn.gallery.set(false);
    };
    let names = move || {
        let lists = lists.read_untracked();
        let entries = lists.iter().flat_map(|list| &list.entries);
        let exercises = entries.filter(|entry| entry.kind == "exercise");
        exercises
            .map(|entry| entry.name.clone())
            .collect::<Vec<_>>()
    };
    let chosen = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            share::take_file(learn, file);
        }
        input.set_value("");
    };
    view! {
        <dialog class="gallery" node_ref=dialog aria-labelledby="gallery-title" on:close=move |_| learn.gallery.set(false)>
            <header>
                <div>
                    <h2 id="gallery-title">{t("gallery")}</h2>
                    <p>{t("gallery.about")}</p>
                </div>
                <button type="button" class="button plain icon" aria-label=t("gallery.close") title=t("gallery.close") on:click=move |_| learn.gallery.set(false)>
                    {icons::CLOSE.view()}
                </button>
            </header>
            <div class="begin">
                <button type="button" class="button primary" on:click=move |_| learn.gallery.set(false)>{t("gallery.plain")}</button>
                <Show when=move || !learn.simulator.console.read().is_empty() || learn.lesson.read().is_some()>
                    <button type="button" class="button" on:click=fresh>{t("gallery.fresh")}</button>
                </Show>
                <label class="button">
                    {t("gallery.file")}
                    <input type="file" class="hidden-input" accept=".json,.yaml,.yml" on:change=chosen />
                </label>
                <button type="button" class="button" on:click=move |_| progress::export(&names())>{t("progress.save")}</button>
            </div>
            <p class="remark" role="status">{move || learn.remark.get()}</p>
            <p class="remark">{move || failed.get()}</p>
            {move || {
                // What is done may have changed since it was open.
                learn.gallery.track();
                lists.get().into_iter().map(list_view).collect_view()
            }}
        </dialog>
    }
}

fn list_view(list: List) -> impl IntoView {
    let mut parts: Vec<(String, Vec<Entry>)> = Vec::new();
    for entry in list.entries {
        match parts.last_mut().filter(|(part, _)| *part == entry.part) {
            Some((_, entries)) => entries.push(entry),
            None => parts.push((entry.part.clone(), vec![entry])),
        }
    }
    let parts = parts.into_iter().map(|(part, entries)| {
        view! {
            <h4>{part}</h4>
            <ul class="cards">{entries.into_iter().map(card).collect_view()}</ul>
        }
    });
    let parts = parts.collect_view();
    view! {
        <section>
            <h3>{list.title}</h3>
            <p class="about">{list.text}</p>
            {parts}
        </section>
    }
}

fn card(entry: Entry) -> impl IntoView {
    let learn = expect_context::<Learn>();
    let is_exercise = entry.kind == "exercise";
    let state = if !is_exercise {
        None
    } else if progress::is_done(&entry.name) {
        Some(t("gallery.done"))
    } else {
        progress::of(&entry.name).map(|_| t("gallery.begun"))
    };
    let before: Vec<String> = entry
        .requires
        .into_iter()
        .filter(|name| !name.is_empty() && !progress::is_done(name))
        .collect();
    let before =
        (!before.is_empty()).then(|| fill("gallery.before", &[("names", &before.join(", "))]));
    let fragment = format!("{}={}", entry.kind, entry.name);
    let address = format!("./#{fragment}");
    // The same lesson once more is no other address.
    let go = move |_| {
        learn.gallery.set(false);
        if browser::fragment() == fragment {
            learn.go(fragment.clone());
        }
    };
    view! {
        <li>
            <a class="card-link" href=address on:click=go>
                <strong>{entry.title}</strong>
                <span>{entry.summary}</span>
                {before.map(|text| view! { <span class="note">{text}</span> })}
                {state.map(|text| view! { <span class="state">{text}</span> })}
            </a>
        </li>
    }
}
