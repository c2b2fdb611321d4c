//! The command palette: everything that the page can do and everything that is there, found by a few letters.

use leptos::{ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::JsCast;

use crate::{
    layout::Layout,
    learn::Learn,
    notices::Notices,
    outline::Outline,
    panels::Panel,
    parts::{Late, Loaded},
    shortcuts::Shortcuts,
    simulator::Simulator,
    storage,
    text::{self, fill, t},
    theme::{THEMES, Theme},
};

/// The most choices that are shown.
const SHOWN_MAX: usize = 12;

/// What a choice does.
#[derive(Clone, PartialEq)]
enum Deed {
    Show(Panel),
    Select(String),
    Run(String),
    /// A terminal at a place.
    Terminal(String),
    Lessons,
    Share,
    Speak(&'static str),
    Dress(Theme),
    /// The list of keys.
    Keys,
    /// The map as a drawing or as a tree.
    Outline(bool),
    Time(bool),
    Step,
    Back,
}

#[derive(Clone, PartialEq)]
struct Choice {
    /// What a person reads.
    name: String,
    /// What kind of thing it is, or its keys.
    note: String,
    deed: Deed,
}

/// Whether the palette is open.
#[derive(Clone, Copy)]
struct Open(RwSignal<bool>);

/// The button that opens the palette, as Ctrl K does.
#[component]
pub(crate) fn PaletteButton() -> impl IntoView {
    let open = RwSignal::new(false);
    provide_context(Open(open));
    let key = window_event_listener(ev::keydown, move |event| {
        if (event.ctrl_key() || event.meta_key()) && event.key().eq_ignore_ascii_case("k") {
            event.prevent_default();
            open.set(true);
        }
    });
    on_cleanup(move || key.remove());
    view! {
        <button type="button" class="button find" on:click=move |_| open.set(true)>
            {crate::icons::INSPECTOR.view()}
            <span>{t("palette.open")}</span>
            <kbd>"Ctrl K"</kbd>
        </button>
        <Late load=|| Box::pin(part()) wanted=open.into() />
    }
}

/// The part of the page's module with the palette itself.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| view! { <Palette /> }.into_any())
}

/// The palette.
#[component]
fn Palette() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let learn = expect_context::<Learn>();
    let notices = expect_context::<Notices>();
    let Open(open) = expect_context();
    let Shortcuts(keys) = expect_context();
    let Outline(in_words) = expect_context();
    let find = RwSignal::new(String::new());
    let at = RwSignal::new(0_usize);
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if !open.get() {
            return;
        }
        find.set(String::new());
        at.set(0);
        if let Some(dialog) = dialog.get().filter(|dialog| !dialog.open()) {
            // A dialog that is in the document and closed can be shown.
            let _ = dialog.show_modal();
        }
    });
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let found = Memo::new(move |_| {
        if open.get() {
            matching(choices(simulator, in_words.get()), &find.read())
        } else {
            Vec::new()
        }
    });
    let choose = move |choice: &Choice| {
        close();
        match choice.deed.clone() {
            Deed::Show(Panel::Learn) if !layout.lesson_shown.get_untracked() => {
                learn.gallery.set(true);
            }
            Deed::Show(panel) => {
                layout.show(panel);
                enter(panel);
            }
            Deed::Select(id) => simulator.selected.set(Some(id)),
            Deed::Run(line) => {
                layout.show(Panel::Terminal);
                simulator.run(&line);
                enter(Panel::Terminal);
            }
            Deed::Terminal(place) => {
                layout.show(Panel::Terminal);
                simulator.open_terminal(&place);
                enter(Panel::Terminal);
            }
            Deed::Lessons => learn.gallery.set(true),
            Deed::Share => learn.share.update(|n| *n += 1),
            Deed::Speak(tag) => {
                // Where it cannot be kept, it is spoken until the page is closed.
                let _ = storage::set("language", tag);
                text::speak(tag);
            }
            Deed::Dress(theme) => theme.choose(notices),
            Deed::Keys => keys.set(true),
            Deed::Outline(on) => in_words.set(on),
            Deed::Time(run) => simulator.run_time(run),
            Deed::Step => simulator.step_time(),
            Deed::Back => simulator.step_back(),
        }
    };
    let press = move |event: ev::KeyboardEvent| {
        let last = found.read_untracked().len().saturating_sub(1);
        match event.key().as_str() {
            "ArrowDown" => at.update(|at| *at = (*at + 1).min(last)),
            "ArrowUp" => at.update(|at| *at = at.saturating_sub(1)),
            "Enter" => {
                let choice = found.read_untracked().get(at.get_untracked()).cloned();
                if let Some(choice) = choice {
                    choose(&choice);
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    let option = move |(number, choice): (usize, Choice)| {
        let (name, note) = (choice.name.clone(), choice.note.clone());
        view! {
            <li
                id=format!("choice-{number}")
                role="option"
                aria-selected=move || (at.get() == number).to_string()
                on:click=move |_| choose(&choice)
            >
                <span class="name">{name}</span>
                <span class="note">{note}</span>
            </li>
        }
    };
    view! {
        <dialog class="palette" node_ref=dialog aria-label=t("palette") on:close=move |_| open.set(false)>
            <input
                type="search"
                role="combobox"
                aria-expanded="true"
                aria-controls="choices"
                aria-activedescendant=move || format!("choice-{}", at.get())
                aria-label=t("palette")
                placeholder=t("palette.hint")
                spellcheck="false"
                autocomplete="off"
                prop:value=move || find.get()
                on:input=move |e| {
                    find.set(event_target_value(&e));
                    at.set(0);
                }
                on:keydown=press
            />
            <ul id="choices" role="listbox" aria-label=t("palette")>
                {move || found.get().into_iter().enumerate().map(option).collect_view()}
            </ul>
            <p class="keys note">{t("palette.keys")}</p>
        </dialog>
    }
}

/// Puts the focus into a panel that has just been shown: into the terminal's line, or onto what can be worked first; onto
/// the panel itself while there is nothing in it yet.
fn enter(panel: Panel) {
    request_animation_frame(move || {
        let find = |what: &str| {
            let inside = format!("#panel-{} {what}", panel.id());
            let found = document().query_selector(&inside).ok().flatten();
            found.and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok())
        };
        let first = ":is(input, select, button, a[href], [tabindex='0'], [contenteditable])";
        let itself = || {
            let panel = find("")?;
            panel.set_tab_index(-1);
            Some(panel)
        };
        let found = find(".prompt input").or_else(|| find(first));
        if let Some(found) = found.or_else(itself) {
            // What cannot take the focus leaves it where it was.
            let _ = found.focus();
        }
    });
}

/// Everything that can be chosen now.
fn choices(simulator: Simulator, in_words: bool) -> Vec<Choice> {
    let mut all = Vec::new();
    let mut add = |name: String, note: &str, deed: Deed| {
        all.push(Choice {
            name,
            note: note.to_owned(),
            deed,
        });
    };
    for panel in Panel::SHEET {
        let name = fill("palette.panel", &[("panel", panel.name())]);
        add(name, t("palette.view"), Deed::Show(panel));
    }
    let running = simulator.running.get();
    let time = if running {
        t("clock.pause")
    } else {
        t("clock.run")
    };
    add(time.to_owned(), t("clock"), Deed::Time(!running));
    add(t("clock.step").to_owned(), t("clock"), Deed::Step);
    add(t("clock.back").to_owned(), t("clock"), Deed::Back);
    add(t("learn").to_owned(), t("palette.view"), Deed::Lessons);
    add(t("shortcuts").to_owned(), "?", Deed::Keys);
    let other = if in_words {
        t("map.label")
    } else {
        t("outline")
    };
    add(
        other.to_owned(),
        t("palette.view"),
        Deed::Outline(!in_words),
    );
    add(t("share").to_owned(), "", Deed::Share);
    for (tag, name) in text::LANGUAGES {
        add(name.to_owned(), t("language"), Deed::Speak(tag));
    }
    for theme in THEMES.into_iter().filter(|theme| *theme != Theme::now()) {
        let name = fill("palette.theme", &[("theme", theme.label())]);
        add(name, t("theme"), Deed::Dress(theme));
    }
    let map = simulator.map.read();
    for room in &map.rooms {
        add(
            room.name.clone(),
            t("palette.node"),
            Deed::Select(room.id.clone()),
        );
        let name = fill("palette.terminal", &[("place", &room.name)]);
        add(name, t("palette.view"), Deed::Terminal(room.id.clone()));
        for pod in &room.pods {
            add(
                pod.name.clone(),
                t("palette.pod"),
                Deed::Select(pod.id.clone()),
            );
            let name = fill("palette.terminal", &[("place", &pod.name)]);
            add(name, t("palette.view"), Deed::Terminal(pod.id.clone()));
        }
    }
    for service in &map.services {
        add(
            service.name.clone(),
            t("palette.service"),
            Deed::Select(service.id.clone()),
        );
    }
    for line in [
        "kubectl get pods -o wide",
        "kubectl get all",
        "kubectl get events --sort-by=.lastTimestamp",
        "kubectl get nodes -o wide",
        "sim settle",
        "sim undo",
        "sim redo",
    ] {
        add(
            line.to_owned(),
            t("palette.command"),
            Deed::Run(line.to_owned()),
        );
    }
    all
}

/// The choices that have all the letters in their order, the closest first. What is itself a command line can be run.
fn matching(all: Vec<Choice>, find: &str) -> Vec<Choice> {
    let find = find.trim();
    let wanted = find.to_lowercase();
    let mut ranked: Vec<(usize, Choice)> = all
        .into_iter()
        .filter_map(|choice| Some((distance(&choice.name.to_lowercase(), &wanted)?, choice)))
        .collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    let mut found: Vec<Choice> = ranked.into_iter().map(|(_, choice)| choice).collect();
    found.truncate(SHOWN_MAX);
    let tools = ["kubectl", "sim", "ssh", "etcdctl"];
    if find
        .split_once(' ')
        .is_some_and(|(tool, _)| tools.contains(&tool))
    {
        found.insert(
            0,
            Choice {
                name: find.to_owned(),
                note: t("palette.run").to_owned(),
                deed: Deed::Run(find.to_owned()),
            },
        );
    }
    found
}

/// How far apart the letters stand in a name, nowhere nearer than as a word of it; none where one is missing.
fn distance(name: &str, letters: &str) -> Option<usize> {
    if name.split(' ').any(|word| word == letters) {
        return Some(0);
    }
    if let Some(at) = name.find(letters) {
        return Some(at);
    }
    let mut rest = name.char_indices();
    let mut far = 100;
    for letter in letters.chars().filter(|c| !c.is_whitespace()) {
        let before = rest.offset();
        let (at, _) = rest.by_ref().find(|(_, c)| *c == letter)?;
        far += at - before;
    }
    Some(far)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn the_closest_comes_first() {
        let choice = |name: &str| Choice {
            name: name.to_owned(),
            note: String::new(),
            deed: Deed::Step,
        };
        let names = ["control-plane", "coredns-abc", "curl"]
            .map(choice)
            .to_vec();
        let found = |find: &str| {
            let found = matching(names.clone(), find);
            found.into_iter().map(|c| c.name).collect::<Vec<_>>()
        };
        assert_eq!(found("cu"), ["curl"]);
        assert_eq!(found("core"), ["coredns-abc", "control-plane"]);
        assert_eq!(found("cp"), ["control-plane"]);
        let names = ["show curl", "curl on worker-1"].map(choice).to_vec();
        assert_eq!(matching(names, "curl")[0].name, "show curl");
        assert_eq!(found("ssh worker-1 ip route"), ["ssh worker-1 ip route"]);
    }
}
