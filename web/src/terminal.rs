//! The terminal: the command lines that people type, and what they print.

use leptos::{ev, html, prelude::*};

use crate::{simulator::Simulator, storage, text::t};

/// How many command lines are remembered.
const HISTORY_MAX: usize = 100;

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
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let command = line.get_untracked().trim().to_owned();
        line.set(String::new());
        back.set(0);
        if command.is_empty() {
            return;
        }
        past.update(|past| {
            past.retain(|old| *old != command);
            past.push(command.clone());
            let surplus = past.len().saturating_sub(HISTORY_MAX);
            past.drain(..surplus);
        });
        // A storage that is full forgets the history, nothing else.
        let _ = storage::set("history", &past.get_untracked().join("\n"));
        match command.as_str() {
            "clear" => simulator.clear(),
            command => simulator.run(command),
        }
    };
    let recall = move |to: usize| {
        let past = past.get_untracked();
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
            "l" if event.ctrl_key() => simulator.clear(),
            // What is selected is copied; with nothing selected it ends what runs, or gives the line up.
            "c" if event.ctrl_key() && !is_selecting() => {
                if simulator.is_busy() {
                    simulator.interrupt();
                } else {
                    line.set(String::new());
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    let hints = [
        "kubectl get pods -o wide",
        "kubectl get all",
        "ssh worker-1 iptables-save -t nat",
        "sim events --since 10s",
    ];
    view! {
        <div class="terminal" on:click=move |_| {
            if let Some(prompt) = prompt.get_untracked().filter(|_| !is_selecting()) {
                // A prompt that cannot take the focus can still be clicked.
                let _ = prompt.focus();
            }
        }>
            <div class="screen" node_ref=screen role="log" aria-label=t("terminal.log") tabindex="0">
                <Show when=move || simulator.console.read().is_empty()>
                    <p class="welcome">{t("terminal.welcome")}</p>
                    <ul class="hints">
                        {hints
                            .into_iter()
                            .map(|hint| view! { <li><button type="button" class="hint-line" on:click=move |_| simulator.run(hint)>{hint}</button></li> })
                            .collect_view()}
                    </ul>
                </Show>
                <For each=move || simulator.console.get() key=|entry| entry.id let:entry>
                    {
                        let (failed, running) = (entry.status.clone(), entry.status);
                        let failed = move || failed.get().is_some_and(|status| status != 0);
                        let running = move || {
                            running.get().is_none().then(|| {
                                view! {
                                    <p class="running">
                                        {t("terminal.running")} " "
                                        <button type="button" class="link" on:click=move |_| simulator.interrupt()>{t("terminal.interrupt")}</button>
                                    </p>
                                }
                            })
                        };
                        view! {
                            <div class="entry" data-failed=move || failed().then_some("")>
                                <p class="typed"><span class="sign" aria-hidden="true">"$ "</span>{entry.command}</p>
                                <pre>{move || entry.printed.get()}</pre>
                                {running}
                            </div>
                        }
                    }
                </For>
            </div>
            <form class="prompt" on:submit=submit>
                <span class="sign" aria-hidden="true">"$"</span>
                <input
                    aria-label=t("terminal.prompt")
                    node_ref=prompt
                    type="text"
                    spellcheck="false"
                    autocapitalize="off"
                    autocomplete="off"
                    placeholder=t("terminal.placeholder")
                    prop:value=move || line.get()
                    on:input=move |e| line.set(event_target_value(&e))
                    on:keydown=key
                />
            </form>
        </div>
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
