//! The page's words, apart from its code: one file per language in `web/locales/`.
//!
//! A file holds lines `key = text` and comments that begin with `#`. English is whole; a key that another language lacks
//! is taken from it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

type Texts = BTreeMap<&'static str, &'static str>;

/// The languages: tag (BCP 47), texts. The first is the one that others fall back on.
static LANGUAGES: LazyLock<[(&'static str, Texts); 1]> =
    LazyLock::new(|| [("en", parse(include_str!("../locales/en.txt")))]);

thread_local! {
    static CHOSEN: Cell<usize> = const { Cell::new(0) };
}

fn parse(file: &'static str) -> Texts {
    file.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .collect()
}

/// Takes the language that the person chose before, else the first that the browser asks for and that is here.
pub(crate) fn choose() {
    let asked =
        crate::storage::get("language").or_else(|| web_sys::window()?.navigator().language());
    let asked = asked.unwrap_or_default();
    let tag = asked.split('-').next().unwrap_or_default();
    let index = LANGUAGES
        .iter()
        .position(|(have, _)| *have == tag)
        .unwrap_or(0);
    CHOSEN.set(index);
    let root = web_sys::window().and_then(|w| w.document()?.document_element());
    if let (Some(root), Some((tag, _))) = (root, LANGUAGES.get(index)) {
        // The language of the document is a help for assistive technology; without it the page works.
        let _ = root.set_attribute("lang", tag);
    }
}

/// The text of `key` in the chosen language; the key itself where no language has it, which a test forbids.
pub(crate) fn t(key: &'static str) -> &'static str {
    let chosen = LANGUAGES
        .get(CHOSEN.get())
        .and_then(|(_, texts)| texts.get(key));
    chosen
        .or_else(|| LANGUAGES.first().and_then(|(_, texts)| texts.get(key)))
        .copied()
        .unwrap_or(key)
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
        include_str!("app.rs"),
        include_str!("bar.rs"),
        include_str!("clock.rs"),
        include_str!("drawing.rs"),
        include_str!("editor.rs"),
        include_str!("files.rs"),
        include_str!("inspector.rs"),
        include_str!("lane.rs"),
        include_str!("layout.rs"),
        include_str!("link.rs"),
        include_str!("map.rs"),
        include_str!("menu.rs"),
        include_str!("notices.rs"),
        include_str!("objects.rs"),
        include_str!("packet.rs"),
        include_str!("palette.rs"),
        include_str!("panels.rs"),
        include_str!("parts.rs"),
        include_str!("picture.rs"),
        include_str!("pictures.rs"),
        include_str!("player.rs"),
        include_str!("preview.rs"),
        include_str!("rules.rs"),
        include_str!("scheduling.rs"),
        include_str!("sequence.rs"),
        include_str!("simulator.rs"),
        include_str!("splitter.rs"),
        include_str!("tabs.rs"),
        include_str!("terminal.rs"),
        include_str!("theme.rs"),
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
        let (_, english) = &LANGUAGES[0];
        let used = literals();
        for key in english.keys().filter(|key| **key != "language.name") {
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
