//! The page's words, apart from its code: one file per language in `web/locales/`.
//!
//! A file holds lines `key = text` and comments that begin with `#`. English comes with the page, another language's file
//! when it is chosen. What a language lacks is taken from English; a test forbids that something lacks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

type Texts = BTreeMap<&'static str, &'static str>;

/// The languages: tag (BCP 47), and what it calls itself. The first is the one that others fall back on; the file of
/// another is fetched when it is chosen.
pub(crate) const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("de", "Deutsch")];

static ENGLISH: LazyLock<Texts> = LazyLock::new(|| parse(include_str!("../locales/en.txt")));

thread_local! {
    static CHOSEN: RefCell<(&'static str, Texts)> = const { RefCell::new(("en", BTreeMap::new())) };
    /// Counts the changes of language: whoever shows words reads it. It belongs to nobody who may go, as what shows the words
    /// does with each change.
    static SPOKEN: ArcRwSignal<u32> = ArcRwSignal::new(0);
}

fn parse(file: &'static str) -> Texts {
    file.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .collect()
}

/// The language that is spoken now.
pub(crate) fn tag() -> &'static str {
    CHOSEN.with_borrow(|(tag, _)| *tag)
}

/// Runs whoever asks again when another language is spoken.
pub(crate) fn track() {
    SPOKEN.with(|spoken| spoken.track());
}

/// The language that the person chose before, else the one that the page around this one has (`boot.js` notes it), else the
/// one that the browser asks for, as far as it is here.
fn asked() -> &'static str {
    let host = || root()?.get_attribute("data-lang");
    let asked = crate::storage::get("language").or_else(host);
    asked.and_then(|tag| known(&tag)).unwrap_or_else(of_browser)
}

/// The language that the browser asks for, as far as it is here.
fn of_browser() -> &'static str {
    let asked = web_sys::window().and_then(|window| window.navigator().language());
    asked.and_then(|tag| known(&tag)).unwrap_or("en")
}

/// The language of a tag such as `de-CH`, if it is here.
fn known(tag: &str) -> Option<&'static str> {
    let wanted = tag.split('-').next().unwrap_or_default();
    let found = LANGUAGES.iter().find(|(tag, _)| *tag == wanted)?;
    Some(found.0)
}

fn root() -> Option<web_sys::Element> {
    web_sys::window()?.document()?.document_element()
}

/// Takes the language that the person chose before, else the one that the browser asks for; then calls `then`.
pub(crate) fn choose(then: impl FnOnce() + 'static) {
    match asked() {
        "en" => {
            take("en", BTreeMap::new());
            then();
        }
        // The page's own executor is not there before the page is.
        tag => wasm_bindgen_futures::spawn_local(async move {
            // Without its file the page speaks English.
            match fetch(tag).await {
                Ok(texts) => take(tag, texts),
                Err(_) => take("en", BTreeMap::new()),
            }
            then();
        }),
    }
}

/// Speaks another language from now on, for an empty tag the browser's; where its words cannot be had, all stays as it is.
pub(crate) fn speak(wanted: &str) {
    let tag = match wanted {
        "" => Some(of_browser()),
        tag => known(tag),
    };
    let Some(tag) = tag else {
        return;
    };
    wasm_bindgen_futures::spawn_local(async move {
        let texts = match tag {
            "en" => Ok(BTreeMap::new()),
            tag => fetch(tag).await,
        };
        if let Ok(texts) = texts {
            take(tag, texts);
            SPOKEN.with(|spoken| spoken.update(|times| *times += 1));
        }
    });
}

fn take(tag: &'static str, texts: Texts) {
    CHOSEN.set((tag, texts));
    if let Some(root) = root() {
        // The language of the document is a help for assistive technology; without it the page works.
        let _ = root.set_attribute("lang", tag);
    }
}

/// A language's words, from their file beside the page.
async fn fetch(tag: &str) -> Result<Texts, JsValue> {
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let answer = JsFuture::from(window.fetch_with_str(&format!("./{tag}.txt"))).await?;
    let answer: web_sys::Response = answer.dyn_into()?;
    if !answer.ok() {
        return Err(JsValue::NULL);
    }
    let text = JsFuture::from(answer.text()?).await?;
    let text = text.as_string().unwrap_or_default();
    // There are few languages, each is kept for good.
    Ok(parse(Box::leak(text.into_boxed_str())))
}

/// The text of `key` in the chosen language; the key itself where no language has it, which a test forbids.
pub(crate) fn t(key: &'static str) -> &'static str {
    let chosen = CHOSEN.with_borrow(|(_, texts)| texts.get(key).copied());
    chosen.or_else(|| ENGLISH.get(key).copied()).unwrap_or(key)
}

/// The text of `key` with each `{name}` filled in.
pub(crate) fn fill(key: &'static str, values: &[(&str, &str)]) -> String {
    let mut rest = t(key);
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(
            values
                .iter()
                .find(|(have, _)| *have == name)
                .map_or("", |(_, value)| value),
        );
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Every text that the sources ask for, found as the string literals that look like one of the file's keys' groups.
    const SOURCES: &[&str] = &[
        include_str!("aims.rs"),
        include_str!("app.rs"),
        include_str!("bar.rs"),
        include_str!("clock.rs"),
        include_str!("deeds.rs"),
        include_str!("depths.rs"),
        include_str!("drawing.rs"),
        include_str!("editor.rs"),
        include_str!("faults.rs"),
        include_str!("files.rs"),
        include_str!("filter.rs"),
        include_str!("inside.rs"),
        include_str!("inspector.rs"),
        include_str!("lane.rs"),
        include_str!("layout.rs"),
        include_str!("link.rs"),
        include_str!("learn.rs"),
        include_str!("lessons/gallery.rs"),
        include_str!("lessons/goal.rs"),
        include_str!("lessons/lesson.rs"),
        include_str!("lessons/mod.rs"),
        include_str!("lessons/share.rs"),
        include_str!("manifests.rs"),
        include_str!("map.rs"),
        include_str!("menu.rs"),
        include_str!("moment.rs"),
        include_str!("notices.rs"),
        include_str!("objects.rs"),
        include_str!("outline.rs"),
        include_str!("packet.rs"),
        include_str!("paint.rs"),
        include_str!("palette.rs"),
        include_str!("panels.rs"),
        include_str!("parts.rs"),
        include_str!("picture.rs"),
        include_str!("pictures.rs"),
        include_str!("places.rs"),
        include_str!("player.rs"),
        include_str!("preview.rs"),
        include_str!("rules.rs"),
        include_str!("scheduling.rs"),
        include_str!("sequence.rs"),
        include_str!("settings.rs"),
        include_str!("shortcuts.rs"),
        include_str!("simulator.rs"),
        include_str!("splitter.rs"),
        include_str!("tabs.rs"),
        include_str!("terminal.rs"),
        include_str!("theme.rs"),
        include_str!("thing_menu.rs"),
        include_str!("timeline.rs"),
    ];

    fn literals() -> BTreeSet<&'static str> {
        SOURCES
            .iter()
            .flat_map(|s| s.split('"').skip(1).step_by(2))
            .collect()
    }

    #[wasm_bindgen_test]
    fn every_text_is_used_and_every_used_text_is_there() {
        let english = &*ENGLISH;
        let used = literals();
        for key in english.keys() {
            assert!(used.contains(key), "the text {key} is used nowhere");
        }
        let groups: BTreeSet<_> = english
            .keys()
            .filter_map(|k| k.split_once('.'))
            .map(|(g, _)| g)
            .collect();
        for literal in used {
            let is_key = literal.split_once('.').is_some_and(|(group, rest)| {
                groups.contains(group) && !rest.is_empty() && !literal.contains([' ', '/', '{'])
            });
            assert!(
                !is_key || english.contains_key(literal),
                "there is no text {literal}"
            );
        }
    }

    #[wasm_bindgen_test]
    fn names_are_filled_in() {
        assert_eq!(
            fill("editor.place", &[("line", "3"), ("column", "7")]),
            "line 3, column 7"
        );
    }
}
