//! The files of manifests: kept over a reload, shown as tabs, edited, compared and applied.

use kubarium_snapshot::inspect::Diagnostic;
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::Question;
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::prelude::*;

use crate::{
    editor::Editor,
    icons,
    layout::Layout,
    menu::Menu,
    notices::Notices,
    panels::Panel,
    parts::Loaded,
    simulator::{Entry, Simulator, word},
    storage,
    text::{fill, t},
};

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

/// The manifests that a first visit begins with, and their name.
const FIRST: (&str, &str) = ("web.yaml", include_str!("../examples/web.yaml"));
/// How long after the last change, in milliseconds, a text is remembered, how long after it is checked, and how long
/// after a change of the cluster.
const REMEMBER_AFTER: u64 = 400;
const LINT_AFTER: u64 = 150;
const LINT_AGAIN_AFTER: u64 = 1000;
/// The most files.
const FILES_MAX: usize = 50;

/// A file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its number, which stays.
    pub(crate) id: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its text, as it was when another file was shown; of the file that is shown see [`Files::text`].
    pub(crate) text: String,
}

/// The files, as a context.
#[derive(Clone, Copy)]
pub(crate) struct Files {
    list: RwSignal<Vec<File>>,
    /// The number of the one that is shown.
    shown: RwSignal<u32>,
    /// Its text.
    pub(crate) text: RwSignal<String>,
    /// One that was closed, with its place among the others.
    closed: RwSignal<Option<(usize, File)>>,
    /// The place that the editor is to go to: line and column.
    pub(crate) go_to: RwSignal<Option<(u32, u32)>>,
    /// Whether it is shown what applying would change.
    pub(crate) comparing: RwSignal<bool>,
    /// What the last Apply has run.
    pub(crate) applied: RwSignal<Option<Entry>>,
    /// What nobody has written here, as [`mark`] has it: the example of a first visit, a lesson's manifests.
    given: StoredValue<Vec<String>>,
    notices: Notices,
}

impl Files {
    /// The files that were remembered; on a first visit one.
    pub(crate) fn load(notices: Notices) -> Files {
        let (list, shown) = remembered();
        let text = list.iter().find(|file| file.id == shown);
        let text = text.map(|file| file.text.clone()).unwrap_or_default();
        let is_new = storage::get("files").is_none();
        let files = Files {
            list: RwSignal::new(list),
            shown: RwSignal::new(shown),
            text: RwSignal::new(text),
            closed: RwSignal::new(None),
            go_to: RwSignal::new(None),
            comparing: RwSignal::new(false),
            applied: RwSignal::new(None),
            given: StoredValue::new(match storage::get("given") {
                Some(marks) => marks.lines().map(str::to_owned).collect(),
                None => vec![mark(FIRST.0, FIRST.1)],
            }),
            notices,
        };
        if is_new {
            files.remember_text();
            files.remember();
            storage::remove("manifests");
        }
        after_pause(
            move || files.text.track(),
            REMEMBER_AFTER,
            move || files.remember_text(),
        );
        // A page that is left within the pause loses nothing.
        let left = window_event_listener(ev::pagehide, move |_| files.remember_text());
        on_cleanup(move || left.remove());
        files
    }

    /// All files as they are now.
    pub(crate) fn all(self) -> Vec<File> {
        let (mut list, shown) = (self.list.get(), self.shown.get());
        if let Some(file) = list.iter_mut().find(|file| file.id == shown) {
            file.text = self.text.get();
        }
        list
    }

    /// The files of the person's own: names and texts.
    pub(crate) fn written(self) -> Vec<(String, String)> {
        let given = self.given.get_value();
        let own = |file: &File| !given.contains(&mark(&file.name, &file.text));
        let files = self.all().into_iter().filter(own);
        files.map(|file| (file.name, file.text)).collect()
    }

    /// The file that is shown.
    pub(crate) fn current(self) -> Option<File> {
        let shown = self.shown.get();
        self.all().into_iter().find(|file| file.id == shown)
    }

    /// The texts of the other files.
    fn beside(self) -> Vec<String> {
        let shown = self.shown.get();
        let list = self.list.read();
        let others = list.iter().filter(|file| file.id != shown);
        others.map(|file| file.text.clone()).collect()
    }

    fn keep_text(self) {
        let (shown, text) = (self.shown.get_untracked(), self.text.get_untracked());
        self.list.update_untracked(|list| {
            if let Some(file) = list.iter_mut().find(|file| file.id == shown) {
                file.text = text;
            }
        });
    }

    fn remember_text(self) {
        let shown = self.shown.get_untracked();
        if !self
            .list
            .read_untracked()
            .iter()
            .any(|file| file.id == shown)
        {
            return;
        }
        let key = key(shown);
        self.notices
            .note_storage(storage::set(&key, &self.text.get_untracked()));
    }

    /// Remembers which files there are.
    fn remember(self) {
        let list = self.list.read_untracked();
        let mut index = format!("shown={}\n", self.shown.get_untracked());
        for file in list.iter() {
            index += &format!("{}={}\n", file.id, file.name);
        }
        self.notices.note_storage(storage::set("files", &index));
    }

    /// Shows a file.
    fn show(self, id: u32) {
        if self.shown.get_untracked() == id {
            return;
        }
        self.keep_text();
        self.remember_text();
        self.bring(id);
    }

    /// Shows a file, whatever was shown before.
    fn bring(self, id: u32) {
        let list = self.list.read_untracked();
        if let Some(file) = list.iter().find(|file| file.id == id) {
            self.shown.set(id);
            self.text.set(file.text.clone());
        }
        drop(list);
        self.remember();
    }

    /// Opens a new file with this text, under this name or one like it.
    pub(crate) fn open(self, name: &str, text: String) {
        if self.list.read_untracked().len() >= FILES_MAX {
            return;
        }
        let (id, name) = {
            let list = self.list.read_untracked();
            let known = list.iter().map(|file| file.id);
            let id = known.max().unwrap_or(0).max(self.shown.get_untracked()) + 1;
            (id, free_name(&list, name, None))
        };
        self.notices.note_storage(storage::set(&key(id), &text));
        self.list.update(|list| list.push(File { id, name, text }));
        self.show(id);
    }

    /// Opens what comes with a lesson, a link or a host page, in place of what came before and was not touched. What a
    /// person has written stays.
    pub(crate) fn give(self, files: &[(String, String)]) {
        self.keep_text();
        let before = self.given.get_value();
        let now: Vec<String> = files.iter().map(|(name, text)| mark(name, text)).collect();
        let mut there = Vec::new();
        self.list.update(|list| {
            list.retain(|file| {
                let mark = mark(&file.name, &file.text);
                let stays = now.contains(&mark) || !before.contains(&mark);
                if !stays {
                    storage::remove(&key(file.id));
                }
                there.push(mark);
                stays
            });
        });
        for ((name, text), mark) in files.iter().zip(&now) {
            if !there.contains(mark) {
                self.open(name, text.clone());
            }
        }
        self.note_given(now);
        let shown = self.shown.get_untracked();
        let list = self.list.read_untracked();
        if list.iter().any(|file| file.id == shown) {
            drop(list);
            return self.remember();
        }
        let first = list.first().map(|file| file.id);
        drop(list);
        match first {
            Some(id) => self.bring(id),
            None => {
                self.open(FIRST.0, FIRST.1.to_owned());
                self.note_given(vec![mark(FIRST.0, FIRST.1)]);
            }
        }
    }

    fn note_given(self, marks: Vec<String>) {
        self.notices
            .note_storage(storage::set("given", &marks.join("\n")));
        self.given.set_value(marks);
    }

    fn close(self) {
        self.keep_text();
        let shown = self.shown.get_untracked();
        let mut closed = None;
        self.list.update(|list| {
            if let Some(at) = list.iter().position(|file| file.id == shown) {
                closed = Some((at, list.remove(at)));
            }
        });
        let Some((at, file)) = closed else { return };
        storage::remove(&key(shown));
        self.closed.set(Some((at, file)));
        let next = {
            let list = self.list.read_untracked();
            let beside = list.get(at).or(list.last());
            beside.map(|file| (file.id, file.text.clone()))
        };
        match next {
            Some((id, text)) => {
                self.shown.set(id);
                self.text.set(text);
            }
            None => self.open(t("files.new.name"), String::new()),
        }
        self.remember();
    }

    /// Brings back what was closed last.
    fn reopen(self) {
        let Some((at, file)) = self.closed.try_update(Option::take).flatten() else {
            return;
        };
        let id = file.id;
        self.notices
            .note_storage(storage::set(&key(id), &file.text));
        self.list
            .update(|list| list.insert(at.min(list.len()), file));
        self.show(id);
    }

    fn rename(self, name: &str) {
        let shown = self.shown.get_untracked();
        self.list.update(|list| {
            let name = free_name(list, name, Some(shown));
            if let Some(file) = list.iter_mut().find(|file| file.id == shown) {
                file.name = name;
            }
        });
        self.remember();
    }

    /// Moves the file that is shown among the tabs.
    fn shift(self, right: bool) {
        let shown = self.shown.get_untracked();
        self.list.update(|list| {
            let at = list.iter().position(|file| file.id == shown);
            let to = at.and_then(|at| {
                if right {
                    Some(at + 1)
                } else {
                    at.checked_sub(1)
                }
            });
            if let (Some(at), Some(to)) = (at, to)
                && to < list.len()
            {
                list.swap(at, to);
            }
        });
        self.remember();
    }

    /// Puts a file at another's place among the tabs; that one and those between make room.
    fn put(self, id: u32, place_of: u32) {
        self.list.update(|list| {
            let at = |id| list.iter().position(|file| file.id == id);
            if let (Some(from), Some(to)) = (at(id), at(place_of)) {
                let file = list.remove(from);
                list.insert(to, file);
            }
        });
        self.remember();
    }

    /// Takes files of the person's own, each of which is told with its text, or without where it is none.
    fn taker(self) -> JsValue {
        let take = move |name: String, text: Option<String>| match text {
            Some(text) => self.open(&name, text),
            None => self.notices.show(t("files.unreadable")),
        };
        Closure::<dyn FnMut(String, Option<String>)>::new(take).into_js_value()
    }
}

fn key(id: u32) -> String {
    format!("file/{id}")
}

/// What tells whether a file is as it was given: a digest of its text, and its name.
fn mark(name: &str, text: &str) -> String {
    let digest = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{digest:016x} {name}")
}

/// What was remembered: the files, and which was shown. What an earlier version remembered under one key is moved.
fn remembered() -> (Vec<File>, u32) {
    let index = storage::get("files").unwrap_or_default();
    let mut shown = 0;
    let mut list: Vec<File> = Vec::new();
    for (id, name) in index.lines().filter_map(|line| line.split_once('=')) {
        if id == "shown" {
            shown = name.parse().unwrap_or(0);
        } else if let Ok(id) = id.parse() {
            let text = storage::get(&key(id)).unwrap_or_default();
            list.push(File {
                id,
                name: name.to_owned(),
                text,
            });
        }
    }
    if list.is_empty() {
        let earlier = storage::get("manifests");
        list.push(File {
            id: 1,
            name: FIRST.0.to_owned(),
            text: earlier.unwrap_or_else(|| FIRST.1.to_owned()),
        });
    }
    if list.iter().all(|file| file.id != shown) {
        shown = list.first().map_or(0, |file| file.id);
    }
    (list, shown)
}

/// A name for a file that no other of them has, and that kubectl takes for a manifest's.
fn free_name(list: &[File], wanted: &str, own: Option<u32>) -> String {
    let fine = |c: &char| !c.is_control() && !"/\\'\u{22}".contains(*c);
    let kept: String = wanted.chars().filter(fine).take(80).collect();
    let kept = kept.trim();
    let (stem, end) = match kept.rsplit_once('.') {
        Some((stem, end @ ("yaml" | "yml" | "json"))) if !stem.is_empty() => (stem, end),
        _ => (kept, "yaml"),
    };
    let stem = if stem.is_empty() { "manifest" } else { stem };
    let taken = |name: &str| {
        let mut others = list.iter().filter(|file| Some(file.id) != own);
        others.any(|file| file.name == name)
    };
    let mut name = format!("{stem}.{end}");
    let mut number = 2;
    while taken(&name) {
        name = format!("{stem}-{number}.{end}");
        number += 1;
    }
    name
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

/// Calls `then` when what is tracked has changed and then been left alone for so many milliseconds.
fn after_pause(track: impl Fn() + 'static, milliseconds: u64, then: impl Fn() + Copy + 'static) {
    let pending = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |before: Option<()>| {
        track();
        if before.is_none() {
            return;
        }
        if let Some(timer) = pending.get_value() {
            timer.clear();
        }
        let later = std::time::Duration::from_millis(milliseconds);
        pending.set_value(set_timeout_with_handle(then, later).ok());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_name_is_free_and_a_manifests() {
        let file = |id: u32, name: &str| File {
            id,
            name: name.to_owned(),
            text: String::new(),
        };
        let list = [file(1, "web.yaml"), file(2, "web-2.yaml")];
        let check = |wanted: &str, own: Option<u32>, expect: &str| {
            assert_eq!(free_name(&list, wanted, own), expect, "{wanted}");
        };
        check("db.yml", None, "db.yml");
        check("web.yaml", None, "web-3.yaml");
        check("web.yaml", Some(1), "web.yaml");
        check("../a/b", None, "..ab.yaml");
        check(" ", None, "manifest.yaml");
    }
}
