//! What a followed packet is worked with: the form that sends it, and play, pause, step, scrub and speed.

use kubarium_snapshot::lane::{PhaseKind, Verdict};
use kubarium_snapshot::map::PodBox;
use leptos::{ev, prelude::*};

use crate::{
    icons,
    lane::VerdictOf,
    layout::Layout,
    simulator::Simulator,
    text::{fill, t},
};

/// The host beyond the cluster's network, as `sim trace` takes it.
const OUTSIDE: &str = "outside";

/// The form that sends a request: from where, and to what.
#[component]
pub(crate) fn RequestForm() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let picture = simulator.picture;
    // Who asks is the one that was chosen, for as long as it is there.
    let chosen = RwSignal::new(String::new());
    let from = Memo::new(move |_| {
        picture.senders.track();
        picture.rooms.track();
        let chosen = chosen.get();
        match is_there(simulator, &chosen) {
            true => chosen,
            false => usual_client(simulator),
        }
    });
    let to = RwSignal::new(String::new());
    Effect::new(move |_| {
        picture.services.track();
        if to.get_untracked().is_empty()
            && let Some(first) = targets(simulator).into_iter().next()
        {
            to.set(first);
        }
    });
    // What there is to choose from is listed when somebody is about to choose.
    let (all_clients, all_targets) = (RwSignal::new(Vec::new()), RwSignal::new(Vec::new()));
    let list = move || all_clients.set(clients(simulator));
    let options = move || {
        let (from, mut all) = (from.get(), all_clients.get());
        if !all.contains(&from) {
            all.insert(0, from.clone());
        }
        let option = move |name: String| {
            let selected = name == from;
            let value = name.clone();
            view! { <option value=value selected=selected>{name}</option> }
        };
        all.into_iter().map(option).collect_view()
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let (from, to) = (from.get_untracked(), to.get_untracked().trim().to_owned());
        if !from.is_empty() && !to.is_empty() {
            simulator.send_packet(&from, &to);
        }
    };
    let has_client = Memo::new(move |_| {
        picture.senders.track();
        picture.pod("pod:default/curl").is_some()
    });
    view! {
        <form class="request" on:submit=submit>
            <label>
                <span>{t("lane.from")}</span>
                <select
                    prop:value=move || from.get()
                    on:pointerenter=move |_| list()
                    on:focus=move |_| list()
                    on:change=move |e| chosen.set(event_target_value(&e))
                >
                    {options}
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
                    on:focus=move |_| all_targets.set(targets(simulator))
                    on:input=move |e| to.set(event_target_value(&e))
                />
                <datalist id="lane-targets">
                    {move || all_targets.get().into_iter().map(|s| view! { <option value=s></option> }).collect_view()}
                </datalist>
            </label>
            <button type="submit" class="button primary">
                {t("lane.send")}
            </button>
            <Show when=move || !has_client.get()>
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

/// A pod, node or host as `sim trace` takes it.
fn client(pod: &PodBox) -> String {
    match pod.namespace.as_str() {
        "default" => format!("pod/{}", pod.name),
        namespace => format!("pod/{}.{namespace}", pod.name),
    }
}

/// Whether a pod can ask. Those of the system are there for others.
fn can_ask(pod: &&PodBox) -> bool {
    pod.namespace != "kube-system" && !pod.address.is_empty()
}

/// By which those that are there to ask come before those that are there to answer, each kind by their names.
fn rank(pod: &PodBox) -> (bool, &str, &str) {
    const TOOLS: [&str; 4] = ["curl", "netshoot", "busybox", "alpine"];
    let asks = TOOLS.iter().any(|tool| pod.image.contains(tool));
    (!asks, &pod.namespace, &pod.name)
}

/// Whether somebody who was chosen to ask is there still.
fn is_there(simulator: Simulator, client: &str) -> bool {
    let picture = simulator.picture;
    match client.split_once('/') {
        Some(("pod", name)) => {
            let (name, namespace) = name.split_once('.').unwrap_or((name, "default"));
            picture.pod(&format!("pod:{namespace}/{name}")).is_some()
        }
        Some(("node", name)) => picture.room(&format!("node:{name}")).is_some(),
        _ => client == OUTSIDE,
    }
}

/// Who asks where nobody was chosen.
fn usual_client(simulator: Simulator) -> String {
    let map = simulator.map.read_untracked();
    let first = map.pods().filter(can_ask).min_by_key(|pod| rank(pod));
    let node = || Some(format!("node/{}", map.rooms.first()?.name));
    first
        .map(client)
        .or_else(node)
        .unwrap_or_else(|| OUTSIDE.to_owned())
}

/// Who can ask: pods, nodes, and the host outside.
fn clients(simulator: Simulator) -> Vec<String> {
    let map = simulator.map.read_untracked();
    let mut pods: Vec<&PodBox> = map.pods().filter(can_ask).collect();
    pods.sort_by_key(|pod| rank(pod));
    let pods = pods.into_iter().map(client);
    let nodes = map.rooms.iter().map(|room| format!("node/{}", room.name));
    pods.chain(nodes).chain([OUTSIDE.to_owned()]).collect()
}

/// What can be asked: the Services that people made.
fn targets(simulator: Simulator) -> Vec<String> {
    let map = simulator.map.read_untracked();
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
