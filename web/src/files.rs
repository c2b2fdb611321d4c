//! The files of manifests, kept over a reload. What is seen of them is in [`crate::manifests`].

use leptos::{ev, prelude::*};
use wasm_bindgen::prelude::*;

use crate::{notices::Notices, simulator::Entry, storage, text::t};

/// The manifests that a first visit begins with, and their name.
const FIRST: (&str, &str) = ("web.yaml", include_str!("../examples/web.yaml"));
/// How long after the last change, in milliseconds, a text is remembered.
const REMEMBER_AFTER: u64 = 400;
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
    pub(crate) list: RwSignal<Vec<File>>,
    /// The number of the one that is shown.
    pub(crate) shown: RwSignal<u32>,
    /// Its text.
    pub(crate) text: RwSignal<String>,
    /// One that was closed, with its place among the others.
    pub(crate) closed: RwSignal<Option<(usize, File)>>,
    /// The place that the editor is to go to: line and column.
    pub(crate) go_to: RwSignal<Option<(u32, u32)>>,
    /// Whether it is shown what applying would change.
    pub(crate) comparing: RwSignal<bool>,
    /// What the last Apply has run.
    pub(crate) applied: RwSignal<Option<Entry>>,
    /// What nobody has written here, as [`mark`] has it: the example of a first visit, a lesson's manifests.
    given: StoredValue<Vec<String>>,
    pub(crate) notices: Notices,
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
    pub(crate) fn beside(self) -> Vec<String> {
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
    pub(crate) fn show(self, id: u32) {
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

    pub(crate) fn close(self) {
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
    pub(crate) fn reopen(self) {
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

    pub(crate) fn rename(self, name: &str) {
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
    pub(crate) fn shift(self, right: bool) {
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
    pub(crate) fn put(self, id: u32, place_of: u32) {
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
    pub(crate) fn taker(self) -> JsValue {
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

/// Calls `then` when what is tracked has changed and then been left alone for so many milliseconds.
pub(crate) fn after_pause(
    track: impl Fn() + 'static,
    milliseconds: u64,
    then: impl Fn() + Copy + 'static,
) {
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
