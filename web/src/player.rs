//! What a followed packet is worked with: the form that sends it, and play, pause, step, scrub and speed.

use kubarium_snapshot::lane::{PhaseKind, Verdict};
use leptos::{ev, prelude::*};

use crate::{
    icons,
    lane::VerdictOf,
    layout::Layout,
    simulator::Simulator,
    text::{fill, t},
};

/// The form that sends a request: from where, and to what.
#[component]
pub(crate) fn RequestForm() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let from = RwSignal::new(String::new());
    let to = RwSignal::new(String::new());
    let clients = Memo::new(move |_| clients(simulator));
    let services = Memo::new(move |_| targets(simulator));
    Effect::new(move |_| {
        let clients = clients.get();
        if !clients.contains(&from.get_untracked()) {
            from.set(clients.first().cloned().unwrap_or_default());
        }
    });
    Effect::new(move |_| {
        if let Some(first) = services.read().first()
            && to.get_untracked().is_empty()
        {
            to.set(first.clone());
        }
    });
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let (from, to) = (from.get_untracked(), to.get_untracked().trim().to_owned());
        if !from.is_empty() && !to.is_empty() {
            simulator.send_packet(&from, &to);
        }
    };
    let has_client = move || {
        let map = simulator.map.read();
        map.pods().any(|p| p.id == "pod:default/curl")
    };
    view! {
        <form class="request" on:submit=submit>
            <label>
                <span>{t("lane.from")}</span>
                <select prop:value=move || from.get() on:change=move |e| from.set(event_target_value(&e))>
                    {move || {
                        clients
                            .get()
                            .into_iter()
                            .map(|c| {
                                let (value, shown) = (c.clone(), c.clone());
                                view! { <option value=value selected=move || from.get() == c>{shown}</option> }
                            })
                            .collect_view()
                    }}
                </select>
            </label>
            <label>
                <span>{t("lane.to")}</span>
                <input
                    type="text"
                    size="24"
                    list="lane-targets"
                    spellcheck="false"
                    autocapitalize="off"
                    placeholder="http://web"
                    prop:value=move || to.get()
                    on:input=move |e| to.set(event_target_value(&e))
                />
                <datalist id="lane-targets">
                    {move || services.get().into_iter().map(|s| view! { <option value=s></option> }).collect_view()}
                </datalist>
            </label>
            <button type="submit" class="button primary">
                {t("lane.send")}
            </button>
            <Show when=move || !has_client()>
                <button
                    type="button"
                    class="button"
                    title="kubectl run curl --image=curlimages/curl --command -- sleep infinity"
                    on:click=move |_| simulator.run("kubectl run curl --image=curlimages/curl --command -- sleep infinity")
                >
                    {t("lane.client")}
                </button>
            </Show>
            <span class="gap">
                <VerdictOf lane=simulator.lane />
            </span>
            <Show when=move || !layout.narrow.get()>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=t("lane.close")
                    title=t("lane.close")
                    on:click=move |_| {
                        simulator.lane.set(None);
                        simulator.beside.set(None);
                        layout.close_lane();
                    }
                >
                    {icons::CLOSE.view()}
                </button>
            </Show>
        </form>
    }
}

/// Who can ask: pods, nodes, and the host outside.
fn clients(simulator: Simulator) -> Vec<String> {
    let map = simulator.map.read();
    let mut pods: Vec<_> = map
        .pods()
        .filter(|p| p.namespace != "kube-system" && !p.address.is_empty())
        .collect();
    // Those that are there to ask come before those that are there to answer.
    let asks = |image: &str| {
        ["curl", "netshoot", "busybox", "alpine"]
            .iter()
            .any(|word| image.contains(word))
    };
    pods.sort_by_key(|p| (!asks(&p.image), p.namespace.clone(), p.name.clone()));
    let pods = pods.into_iter().map(|p| match p.namespace.as_str() {
        "default" => format!("pod/{}", p.name),
        namespace => format!("pod/{}.{namespace}", p.name),
    });
    let nodes = map.rooms.iter().map(|r| format!("node/{}", r.name));
    pods.chain(nodes).chain(["outside".to_owned()]).collect()
}

/// What can be asked: the Services that people made.
fn targets(simulator: Simulator) -> Vec<String> {
    let map = simulator.map.read();
    let own = map.services.iter().filter(|s| {
        s.namespace != "kube-system" && s.name != "kubernetes" && s.kind != "ExternalName"
    });
    let mut own: Vec<String> = own
        .map(|s| {
            let name = match s.namespace.as_str() {
                "default" => s.name.clone(),
                namespace => format!("{}.{namespace}", s.name),
            };
            match s.ports.split('/').next().unwrap_or("80") {
                "80" => format!("http://{name}"),
                port => format!("http://{name}:{port}"),
            }
        })
        .collect();
    own.sort();
    own
}

/// Play, pause, step both ways, scrub, speed; and what became of the packet.
#[component]
pub(crate) fn Player() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let stop = Memo::new(move |_| simulator.stop());
    let last = move || simulator.stops().saturating_sub(1);
    let to = move |stop: usize| {
        simulator.playing.set(false);
        simulator.seek(stop);
    };
    let toggle = move || {
        let play = !simulator.playing.get_untracked();
        if play && untrack(move || stop.get() == last()) {
            simulator.seek(0);
        }
        simulator.playing.set(play);
    };
    let play_label = move || match simulator.playing.get() {
        true => t("player.pause"),
        false => t("player.play"),
    };
    let place = move || {
        let (n, all) = ((stop.get() + 1).to_string(), simulator.stops().to_string());
        fill("player.of", &[("n", &n), ("all", &all)])
    };
    view! {
        <div class="player" role="group" aria-label=t("player")>
            <Parts />
            <span class="group">
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=t("player.back")
                    title=t("player.back")
                    prop:disabled=move || stop.get() == 0
                    on:click=move |_| to(stop.get_untracked().saturating_sub(1))
                >
                    {icons::BACK.view()}
                </button>
                <button type="button" class="button plain icon" aria-label=play_label title=play_label on:click=move |_| toggle()>
                    {move || if simulator.playing.get() { icons::PAUSE.view() } else { icons::RUN.view() }}
                </button>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=t("player.forward")
                    title=t("player.forward")
                    prop:disabled=move || stop.get() == last()
                    on:click=move |_| to(stop.get_untracked() + 1)
                >
                    {icons::STEP.view()}
                </button>
            </span>
            <input
                type="range"
                class="scrub"
                min="0"
                max=last
                aria-label=t("player.scrub")
                aria-valuetext=place
                prop:value=move || stop.get().to_string()
                on:input=move |e| to(event_target_value(&e).parse().unwrap_or(0))
            />
            <span class="count">{place}</span>
            <label class="pace">
                <span class="unseen">{t("player.speed")}</span>
                <select on:change=move |e| simulator.pace.set(event_target_value(&e).parse().unwrap_or(1.0))>
                    <option value="0.25">"¼×"</option>
                    <option value="0.5">"½×"</option>
                    <option value="1" selected>
                        "1×"
                    </option>
                    <option value="2">"2×"</option>
                    <option value="4">"4×"</option>
                </select>
            </label>
            <span class="gap"></span>
            <Keep />
        </div>
    }
}

/// The exchanges of the connection: each a button that goes to its beginning.
#[component]
fn Parts() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let parts = Memo::new(move |_| {
        let lane = simulator.lane.read();
        let parts = lane
            .as_ref()
            .map(|lane| lane.parts.iter().map(|part| (part.phase, part.first)));
        parts.into_iter().flatten().collect::<Vec<_>>()
    });
    let now = Memo::new(move |_| {
        let stop = simulator.stop();
        simulator
            .lane
            .read()
            .as_ref()
            .map_or(0, |lane| lane.part_of(stop))
    });
    view! {
        <span class="group parts" role="group" aria-label=t("player.parts")>
            {move || {
                parts
                    .get()
                    .into_iter()
                    .enumerate()
                    .map(|(nth, (phase, first))| {
                        view! {
                            <button
                                type="button"
                                class="button plain"
                                aria-pressed=move || (now.get() == nth).to_string()
                                on:click=move |_| {
                                    simulator.playing.set(false);
                                    simulator.seek(first);
                                }
                            >
                                {phase_name(phase)}
                            </button>
                        }
                    })
                    .collect_view()
            }}
        </span>
    }
}

fn phase_name(phase: PhaseKind) -> &'static str {
    match phase {
        PhaseKind::Dns => t("phase.dns"),
        PhaseKind::Request => t("phase.request"),
        PhaseKind::Reply => t("phase.reply"),
    }
}

/// What is done with a packet that was followed: it is kept beside the next, or told as text.
#[component]
fn Keep() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let copied = RwSignal::new(false);
    Effect::new(move |_| {
        simulator.lane.track();
        copied.set(false);
    });
    let copy = move || {
        let text = simulator
            .lane
            .read_untracked()
            .as_ref()
            .map(|lane| lane.to_markdown());
        if let (Some(text), Some(window)) = (text, web_sys::window()) {
            // A browser that does not give its clipboard leaves the button as it was.
            let written = window.navigator().clipboard().write_text(&text);
            leptos::task::spawn_local(async move {
                if wasm_bindgen_futures::JsFuture::from(written).await.is_ok() {
                    copied.set(true);
                }
            });
        }
    };
    let is_kept = move || simulator.beside.read().is_some();
    view! {
        <button
            type="button"
            class="button plain"
            aria-pressed=move || is_kept().to_string()
            title=t("lane.beside.how")
            on:click=move |_| {
                let kept = simulator.beside.read_untracked().is_some();
                simulator.beside.set(if kept { None } else { simulator.lane.get_untracked() });
            }
        >
            {icons::BESIDE.view()}
            <span>{t("lane.beside")}</span>
        </button>
        <button
            type="button"
            class="button plain icon"
            data-done=move || copied.get().then_some("")
            aria-label=t("lane.copy")
            title=t("lane.copy")
            on:click=move |_| copy()
        >
            {icons::COPY.view()}
        </button>
    }
}

/// What became of a packet, in words.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => t("verdict.delivered"),
        Verdict::Refused => t("verdict.refused"),
        Verdict::Dropped => t("verdict.dropped"),
        Verdict::Unreachable => t("verdict.unreachable"),
        Verdict::Timeout => t("verdict.timeout"),
        Verdict::Unresolved => t("verdict.unresolved"),
    }
}
