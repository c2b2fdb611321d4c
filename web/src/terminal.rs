//! The terminal: the command lines that people type, and what they print.

use kubarium_snapshot::message::Completion;
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, html, prelude::*};

use crate::{
    icons,
    paint::paint,
    places,
    simulator::Simulator,
    storage,
    text::{fill, t},
};

/// How many command lines are remembered.
const HISTORY_MAX: usize = 100;
/// The most words that are offered at once.
const OFFERED_MAX: usize = 12;

/// The command lines that people type, and what they print.
#[component]
pub(crate) fn Terminal() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let line = RwSignal::new(String::new());
    let past = RwSignal::new(remembered());
    // The place in the past, counted from its end; 0 is the line being typed.
    let back = RwSignal::new(0_usize);
    let screen = NodeRef::<html::Div>::new();
    let prompt = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        simulator.console.track();
        request_animation_frame(move || {
            if let Some(screen) = screen.get_untracked() {
                screen.set_scroll_top(screen.scroll_height());
            }
        });
    });
    // Whatever was run is remembered, typed here or set off by a click elsewhere: each click teaches its command.
    Effect::new(move |seen: Option<Option<u32>>| {
        let last = simulator.console.with(|console| {
            // A shell elsewhere has a past of its own.
            let last = console.iter().rfind(|entry| entry.sign.is_empty());
            last.map(|entry| (entry.id, entry.command.clone()))
        });
        let id = last.as_ref().map(|(id, _)| *id);
        if let Some((_, command)) = last.filter(|_| seen != Some(id)) {
            past.update(|past| {
                past.retain(|old| *old != command);
                past.push(command);
                let surplus = past.len().saturating_sub(HISTORY_MAX);
                past.drain(..surplus);
            });
            // A storage that is full forgets the history, nothing else.
            let _ = storage::set("history", &past.get_untracked().join("\n"));
        }
        id
    });
    let offered = RwSignal::new(Completion::default());
    let complete = move || {
        let typed = line.get_untracked();
        let asked = Request::Complete {
            place: simulator.place.get_untracked(),
            line: typed.clone(),
        };
        simulator.ask(asked, move |reply| {
            // What was typed since is not written over.
            if let Reply::Completion(found) = reply
                && line.try_get_untracked().as_ref() == Some(&typed)
            {
                line.set(completed(&typed, &found));
                offered.set(if found.words.len() > 1 {
                    found
                } else {
                    Completion::default()
                });
            }
        });
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let command = line.get_untracked().trim().to_owned();
        line.set(String::new());
        back.set(0);
        offered.set(Completion::default());
        match command.as_str() {
            "" => {}
            "clear" => simulator.clear(),
            command => simulator.run_there(command),
        }
    };
    let recall = move |to: usize| {
        let place = simulator.place.get_untracked();
        let past = if simulator.prompt(&place).is_empty() {
            past.get_untracked()
        } else {
            typed_at(simulator, &place)
        };
        let to = to.min(past.len());
        back.set(to);
        line.set(if to == 0 {
            String::new()
        } else {
            past[past.len() - to].clone()
        });
    };
    let key = move |event: ev::KeyboardEvent| {
        match event.key().as_str() {
            "ArrowUp" => recall(back.get_untracked() + 1),
            "ArrowDown" => recall(back.get_untracked().saturating_sub(1)),
            // At an empty prompt Tab goes on through the page.
            "Tab" if !event.shift_key() && !line.read_untracked().is_empty() => complete(),
            "Escape" if !offered.read_untracked().words.is_empty() => {
                offered.set(Completion::default());
            }
            "l" if event.ctrl_key() => simulator.clear(),
            // What is selected is copied; with nothing selected it ends what runs, or gives the line up.
            "c" if event.ctrl_key() && !is_selecting() => {
                let place = simulator.place.get_untracked();
                if simulator.is_busy(&place) {
                    simulator.interrupt(&place);
                } else {
                    line.set(String::new());
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    let here = move || {
        let place = simulator.place.get();
        let console = simulator.console.read();
        console
            .iter()
            .filter(|entry| entry.place == place)
            .cloned()
            .collect::<Vec<_>>()
    };
    let hints = [
        "kubectl get pods -o wide",
        "kubectl get all",
        "ssh worker-1 iptables-save -t nat",
        "sim events --since 10s",
    ];
    view! {
        <places::Places />
        <div class="terminal" on:click=move |_| {
            if let Some(prompt) = prompt.get_untracked().filter(|_| !is_selecting()) {
                // A prompt that cannot take the focus can still be clicked.
                let _ = prompt.focus();
            }
        }>
            <div class="screen" node_ref=screen role="log" aria-label=t("terminal.log") tabindex="0">
                <Show when=move || simulator.console.read().is_empty() && simulator.place.read().is_empty()>
                    <p class="welcome">{t("terminal.welcome")}</p>
                    <ul class="hints">
                        {hints
                            .into_iter()
                            .map(|hint| view! { <li><button type="button" class="hint-line" on:click=move |_| simulator.run(hint)>{hint}</button></li> })
                            .collect_view()}
                    </ul>
                </Show>
                <For each=here key=|entry| entry.id let:entry>
                    {
                        let (failed, running) = (entry.status.clone(), entry.status);
                        let place = entry.place;
                        let failed = move || failed.get().is_some_and(|status| status != 0);
                        let running = move || {
                            running.get().is_none().then(|| {
                                let place = place.clone();
                                view! {
                                    <p class="running">
                                        {t("terminal.running")} " "
                                        <button type="button" class="link" on:click=move |_| simulator.interrupt(&place)>{t("terminal.interrupt")}</button>
                                    </p>
                                }
                            })
                        };
                        view! {
                            <div class="entry" data-failed=move || failed().then_some("")>
                                <p class="typed">
                                    <span class="sign" aria-hidden="true">{places::sign(&entry.sign)}</span>
                                    {entry.command.clone()}
                                    {copy_button(entry.command, entry.printed.clone())}
                                </p>
                                <pre>{move || paint(&entry.printed.read())}</pre>
                                {running}
                            </div>
                        }
                    }
                </For>
            </div>
            {move || offer(line, offered, prompt)}
            <form class="prompt" novalidate=true on:submit=submit>
                <span class="sign">
                    <span class="unseen">{move || places::name(&simulator.place.read())} " "</span>
                    {move || places::sign(&simulator.prompt(&simulator.place.read()))}
                </span>
                <input
                    aria-label=t("terminal.prompt")
                    node_ref=prompt
                    type="text"
                    spellcheck="false"
                    autocapitalize="off"
                    autocomplete="off"
                    placeholder=t("terminal.placeholder")
                    prop:value=move || line.get()
                    on:input=move |e| {
                        line.set(event_target_value(&e));
                        offered.set(Completion::default());
                    }
                    on:keydown=key
                />
            </form>
        </div>
    }
}

/// What was typed in a terminal, each line once.
fn typed_at(simulator: Simulator, place: &str) -> Vec<String> {
    let mut past: Vec<String> = Vec::new();
    for entry in simulator.console.read_untracked().iter() {
        if entry.place == place && !entry.sign.is_empty() {
            past.retain(|old| *old != entry.command);
            past.push(entry.command.clone());
        }
    }
    past
}

/// Copies a command with what it has printed.
fn copy_button(command: String, printed: ArcRwSignal<String>) -> impl IntoView {
    let done = RwSignal::new(false);
    let copy = move |event: ev::MouseEvent| {
        event.stop_propagation();
        let text = format!("$ {command}\n{}", printed.read_untracked());
        leptos::task::spawn_local(async move {
            let Some(window) = web_sys::window() else {
                return;
            };
            let writing = window.navigator().clipboard().write_text(&text);
            let written = wasm_bindgen_futures::JsFuture::from(writing).await;
            done.try_set(written.is_ok());
        });
    };
    view! {
        <button
            type="button"
            class="button plain icon copy"
            aria-label=t("terminal.copy")
            title=t("terminal.copy")
            data-done=move || done.get().then_some("")
            on:click=copy
        >
            {icons::COPY.view()}
        </button>
    }
}

/// The words that could stand at the end of the line.
fn offer(
    line: RwSignal<String>,
    offered: RwSignal<Completion>,
    prompt: NodeRef<html::Input>,
) -> Option<impl IntoView> {
    let found = offered.get();
    if found.words.is_empty() {
        return None;
    }
    let start = found.start;
    let more = found.words.len().saturating_sub(OFFERED_MAX);
    let word = move |(text, help): (String, String)| {
        let shown = text.clone();
        let take = move |_| {
            line.update(|line| {
                line.truncate(line.floor_char_boundary(start));
                line.push_str(&text);
                line.push(' ');
            });
            offered.set(Completion::default());
            if let Some(prompt) = prompt.get_untracked() {
                // A prompt that cannot take the focus can still be clicked.
                let _ = prompt.focus();
            }
        };
        view! {
            <li>
                <button type="button" class="word" on:click=take>
                    <span>{shown}</span>
                    <span class="note">{help}</span>
                </button>
            </li>
        }
    };
    Some(view! {
        <ul class="offered" aria-label=t("terminal.offered")>
            {found.words.into_iter().take(OFFERED_MAX).map(word).collect_view()}
            {(more > 0).then(|| view! { <li class="note">{fill("terminal.more", &[("n", &more.to_string())])}</li> })}
        </ul>
    })
}

/// The line with as much of its last word as all candidates share; a word that is sure is followed by a space.
fn completed(line: &str, found: &Completion) -> String {
    let Some((first, _)) = found.words.first() else {
        return line.to_owned();
    };
    let Some(head) = line.get(..found.start) else {
        return line.to_owned();
    };
    if found.words.len() == 1 {
        return format!("{head}{first} ");
    }
    let mut shared = first.as_str();
    for (word, _) in &found.words {
        let alike = shared.char_indices().zip(word.chars());
        let alike = alike.take_while(|((_, a), b)| a == b).last();
        shared = &shared[..alike.map_or(0, |((at, c), _)| at + c.len_utf8())];
    }
    let typed = &line[found.start..];
    if shared.len() > typed.len() {
        format!("{head}{shared}")
    } else {
        line.to_owned()
    }
}

/// Whether a text is selected on the page.
fn is_selecting() -> bool {
    let selection = web_sys::window().and_then(|w| w.get_selection().ok().flatten());
    selection.is_some_and(|selection| !selection.is_collapsed())
}

fn remembered() -> Vec<String> {
    storage::get("history")
        .map(|text| text.lines().map(str::to_owned).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_line_is_completed_as_far_as_is_sure() {
        let done = |line: &str, start: usize, words: &[&str]| {
            let words = words.iter().map(|w| ((*w).to_owned(), String::new()));
            let words = words.collect();
            completed(line, &Completion { start, words })
        };
        assert_eq!(done("kubectl ge", 8, &["get"]), "kubectl get ");
        assert_eq!(
            done("kubectl get po", 12, &["pods", "podtemplates"]),
            "kubectl get pod"
        );
        assert_eq!(
            done("kubectl get pod", 12, &["pods", "podtemplates"]),
            "kubectl get pod"
        );
        assert_eq!(done("größe", 99, &["x"]), "größe");
        assert_eq!(done("x", 0, &[]), "x");
    }
}
