//! The panel of manifests: the files as tabs, what is done with them, and the editor: a later part of the page.

use kubarium_snapshot::inspect::Diagnostic;
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::Question;
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::prelude::*;

use crate::{
    editor::Editor,
    files::{File, Files, after_pause},
    icons,
    layout::Layout,
    menu::Menu,
    panels::Panel,
    parts::Loaded,
    simulator::{Simulator, word},
    text::{fill, t},
};

/// How long after the last change, in milliseconds, a text is checked, and how long after a change of the cluster.
const LINT_AFTER: u64 = 150;
const LINT_AGAIN_AFTER: u64 = 1000;

#[wasm_bindgen(module = "/files.js")]
extern "C" {
    #[wasm_bindgen(js_name = pickFiles)]
    fn pick_files(then: &JsValue);
    #[wasm_bindgen(js_name = takeDropped)]
    fn take_dropped(event: &web_sys::Event, then: &JsValue);
    #[wasm_bindgen(js_name = saveFile)]
    fn save_file(name: &str, text: &str);
    #[wasm_bindgen(js_name = fetchText, catch)]
    async fn fetch_text(path: &str) -> Result<JsValue, JsValue>;
}

/// The part of the page's module with the panel: its editor comes late as well.
#[wasm_split(files, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Manifests /> }.into_any())
}

/// The files: tabs, what is done with them, and the editor.
#[component]
fn Manifests() -> impl IntoView {
    let files = expect_context::<Files>();
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let diagnostics = diagnose(simulator, files);
    let over = RwSignal::new(false);
    let shown = move || layout.is_shown(Panel::Files) && !layout.is_rail(Panel::Files);
    view! {
        <div
            class="files-area"
            data-over=move || over.get().then_some("")
            on:dragover=move |event| {
                if has_files(&event) {
                    event.prevent_default();
                    over.set(true);
                }
            }
            on:dragleave=move |_| over.set(false)
            on:drop=move |event| {
                if has_files(&event) {
                    event.prevent_default();
                    // Dropped elsewhere on the page, a file is taken for a lesson.
                    event.stop_propagation();
                    over.set(false);
                    take_dropped(&event, &files.taker());
                }
            }
        >
            <FileTabs />
            <Tools />
            <Show when=move || files.closed.read().is_some()>
                <p class="closed">
                    <span>{move || files.closed.get().map(|(_, file)| fill("files.closed", &[("file", &file.name)]))}</span>
                    <button type="button" class="link" on:click=move |_| files.reopen()>{t("files.undo")}</button>
                </p>
            </Show>
            <Editor
                text=files.text
                file=files.shown
                beside=Signal::derive(move || files.beside())
                go_to=files.go_to
                diagnostics
                wanted=shown
            />
        </div>
    }
}

/// Whether files are dragged, and not a text or a tab.
fn has_files(event: &ev::DragEvent) -> bool {
    let data = event.data_transfer();
    data.is_some_and(|data| data.types().includes(&"Files".into(), 0))
}

/// The files as tabs, and the menus of what can be done.
#[component]
fn FileTabs() -> impl IntoView {
    let files = expect_context::<Files>();
    let renaming = RwSignal::new(false);
    // The tab that is dragged, and the one that it is over.
    let (dragged, over) = (RwSignal::new(None::<u32>), RwSignal::new(None::<u32>));
    let key = move |event: ev::KeyboardEvent| {
        let ids: Vec<u32> = files.list.read_untracked().iter().map(|f| f.id).collect();
        let at = ids.iter().position(|id| *id == files.shown.get_untracked());
        let Some(at) = at.filter(|_| !renaming.get_untracked()) else {
            return;
        };
        let to = match (event.key().as_str(), event.alt_key()) {
            ("ArrowRight" | "ArrowLeft", true) => {
                files.shift(event.key() == "ArrowRight");
                at
            }
            ("ArrowRight", _) => (at + 1) % ids.len(),
            ("ArrowLeft", _) => (at + ids.len() - 1) % ids.len(),
            ("Home", _) => 0,
            ("End", _) => ids.len() - 1,
            ("F2", _) => {
                renaming.set(true);
                return event.prevent_default();
            }
            ("Delete", _) => {
                files.close();
                return focus_tab(files.shown.get_untracked());
            }
            _ => return,
        };
        event.prevent_default();
        if let Some(id) = ids.get(to) {
            files.show(*id);
            focus_tab(*id);
        }
    };
    let tab = move |file: File| {
        let (id, name) = (file.id, file.name.clone());
        view! {
            <button
                type="button"
                role="tab"
                id=format!("file-{id}")
                aria-selected=move || (files.shown.get() == id).to_string()
                tabindex=move || if files.shown.get() == id { "0" } else { "-1" }
                title=t("files.tab")
                draggable="true"
                data-over=move || (over.get() == Some(id)).then_some("")
                on:dragstart=move |event| {
                    dragged.set(Some(id));
                    if let Some(data) = event.data_transfer() {
                        // Some browsers drag nothing that carries nothing.
                        let _ = data.set_data("text/plain", &name);
                    }
                }
                on:dragover=move |event| {
                    if dragged.get_untracked().is_some_and(|dragged| dragged != id) {
                        event.prevent_default();
                        over.set(Some(id));
                    }
                }
                on:dragleave=move |_| over.set(None)
                on:drop=move |event| {
                    if let Some(dragged) = dragged.get_untracked() {
                        event.prevent_default();
                        files.put(dragged, id);
                    }
                }
                on:dragend=move |_| {
                    dragged.set(None);
                    over.set(None);
                }
                on:click=move |_| files.show(id)
                on:dblclick=move |_| renaming.set(true)
            >
                {file.name}
            </button>
        }
    };
    view! {
        <div class="file-bar">
            <Show
                when=move || renaming.get()
                fallback=move || {
                    view! {
                        <div role="tablist" class="file-tabs" aria-label=t("files") on:keydown=key>
                            <For each=move || files.list.get() key=|file| (file.id, file.name.clone()) let:file>
                                {tab(file)}
                            </For>
                        </div>
                    }
                }
            >
                <Rename renaming />
            </Show>
            <Menu name=t("files.add") icon=icons::PLUS>
                <button type="button" on:click=move |_| files.open(t("files.new.name"), String::new())>{t("files.new")}</button>
                <button type="button" on:click=move |_| pick_files(&files.taker())>{t("files.open")}</button>
                <Examples />
            </Menu>
            <Menu name=t("files.more") icon=icons::MORE>
                <button type="button" on:click=move |_| renaming.set(true)>{t("files.rename")} <kbd>"F2"</kbd></button>
                <button type="button" on:click=move |_| files.shift(false)>{t("files.left")} <kbd>"Alt ←"</kbd></button>
                <button type="button" on:click=move |_| files.shift(true)>{t("files.right")} <kbd>"Alt →"</kbd></button>
                <button
                    type="button"
                    on:click=move |_| {
                        if let Some(file) = untrack(|| files.current()) {
                            save_file(&file.name, &file.text);
                        }
                    }
                >
                    {t("files.save")}
                </button>
                <button type="button" on:click=move |_| files.close()>{t("files.close")} <kbd>"Del"</kbd></button>
            </Menu>
        </div>
    }
}

fn focus_tab(id: u32) {
    request_animation_frame(move || {
        let tab = document().get_element_by_id(&format!("file-{id}"));
        if let Some(tab) = tab.and_then(|tab| tab.dyn_into::<web_sys::HtmlElement>().ok()) {
            // What cannot take the focus leaves it where it was.
            let _ = tab.focus();
        }
    });
}

/// The name, to be written anew: Enter takes it, Escape leaves it.
#[component]
fn Rename(renaming: RwSignal<bool>) -> impl IntoView {
    let files = expect_context::<Files>();
    let field = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        if let Some(field) = field.get() {
            let _ = field.focus();
            field.select();
        }
    });
    let done = move |take: bool| {
        if !renaming.get_untracked() {
            return;
        }
        if let Some(field) = field.get_untracked().filter(|_| take) {
            files.rename(&field.value());
        }
        renaming.set(false);
        focus_tab(files.shown.get_untracked());
    };
    let name = untrack(|| files.current()).map(|file| file.name);
    view! {
        <input
            type="text"
            class="rename"
            node_ref=field
            aria-label=t("files.rename")
            value=name
            spellcheck="false"
            on:blur=move |_| done(true)
            on:keydown=move |event| match event.key().as_str() {
                "Enter" => done(true),
                "Escape" => done(false),
                _ => {}
            }
        />
    }
}

/// The examples to begin with, which lie beside the page.
#[component]
fn Examples() -> impl IntoView {
    let files = expect_context::<Files>();
    let index = RwSignal::new(String::new());
    leptos::task::spawn_local(async move {
        if let Some(text) = fetch_example("index.txt").await {
            index.try_set(text);
        }
    });
    let open = move |file: String| {
        leptos::task::spawn_local(async move {
            match fetch_example(&file).await {
                Some(text) => files.open(&file, text),
                None => files.notices.show(t("files.unreachable")),
            }
        });
    };
    let entry = move |line: &str| {
        let mut parts = line.split(" = ");
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (file, title, about) = (next(), next(), next());
        view! {
            <li>
                <button type="button" on:click=move |_| open(file.clone())>
                    {title}
                    <span>{about}</span>
                </button>
            </li>
        }
    };
    view! {
        <h2>{t("files.examples")}</h2>
        <ul>
            {move || {
                let index = index.read();
                index.lines().filter(|line| !line.starts_with('#')).map(entry).collect_view()
            }}
        </ul>
    }
}

async fn fetch_example(file: &str) -> Option<String> {
    let text = fetch_text(&format!("examples/{file}")).await;
    text.ok()?.as_string()
}

/// What is done with the file: it is compared with the cluster, and applied.
#[component]
fn Tools() -> impl IntoView {
    let files = expect_context::<Files>();
    let comparing = files.comparing;
    let simulator = expect_context::<Simulator>();
    let command = move || {
        let name = files.current().map(|file| file.name).unwrap_or_default();
        format!("kubectl apply -f {name}")
    };
    let several = Memo::new(move |_| files.list.read().len() > 1);
    view! {
        <div class="file-tools">
            <code title=command>{command}</code>
            <button
                type="button"
                class="button"
                aria-pressed=move || comparing.get().to_string()
                on:click=move |_| comparing.update(|on| *on = !*on)
            >
                {t("files.compare")}
            </button>
            <button type="button" class="button primary" on:click=move |_| apply(simulator, files, false)>
                {t("files.apply")}
            </button>
            <Show when=move || several.get()>
                <button type="button" class="button" on:click=move |_| apply(simulator, files, true)>
                    {t("files.apply.all")}
                </button>
            </Show>
        </div>
    }
}

/// Applies the file that is shown, or all of them.
fn apply(simulator: Simulator, files: Files, all: bool) {
    let wanted = untrack(|| {
        if all {
            files.all()
        } else {
            files.current().into_iter().collect()
        }
    });
    let mut line = "kubectl apply".to_owned();
    for file in &wanted {
        line += &format!(" -f {}", word(&file.name));
    }
    let texts: Vec<(String, String)> = (wanted.into_iter())
        .map(|file| (file.name, file.text))
        .collect();
    // The simulator takes both in turn, if need be when it is there: the files are written when the command reads them.
    simulator.ask(Request::Rare(encode(&Question::Write(texts))), |_| {});
    files.applied.set(Some(simulator.run_followed(&line)));
}

/// What the simulator says about the file that is shown, shortly after each change of it, and of the cluster.
fn diagnose(simulator: Simulator, files: Files) -> Signal<Vec<Diagnostic>> {
    let settled = RwSignal::new(());
    let text = move || {
        files.text.track();
        files.shown.track();
    };
    after_pause(text, LINT_AFTER, move || settled.set(()));
    let changes = move || simulator.events.track();
    let waits = StoredValue::new(false);
    Effect::new(move |_| {
        changes();
        // While much happens it is not put off for ever.
        if !waits.get_value() {
            waits.set_value(true);
            let again = move || {
                waits.try_set_value(false);
                settled.try_set(());
            };
            set_timeout(again, std::time::Duration::from_millis(LINT_AGAIN_AFTER));
        }
    });
    let answer = simulator.watch(move || {
        settled.track();
        let question = untrack(|| Question::Diagnose {
            text: files.text.get(),
            beside: files.beside(),
        });
        Some(Request::Rare(encode(&question)))
    });
    Signal::derive(move || match answer.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode(bytes).unwrap_or_default(),
        _ => Vec::new(),
    })
}
