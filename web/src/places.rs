//! Terminals at several places: the workstation, a node, a pod. One at another place than the workstation begins with `ssh`
//! or `kubectl exec -it` there.

use leptos::prelude::*;

use crate::{
    icons,
    simulator::Simulator,
    text::{fill, t},
};

/// What a terminal is called.
pub(crate) fn name(place: &str) -> String {
    let (place, number) = place.split_once('#').unwrap_or((place, ""));
    let name = match place.split_once(':') {
        Some((_, name)) => name.rsplit('/').next().unwrap_or(name),
        None => t("terminal.workstation"),
    };
    format!("{name} {number}").trim_end().to_owned()
}

/// What stands before a line: what a shell elsewhere says, or the workstation's sign.
pub(crate) fn sign(prompt: &str) -> String {
    if prompt.is_empty() { "$ " } else { prompt }.to_owned()
}

/// The terminals that are open, and a choice of more.
#[component]
pub(crate) fn Places() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let all = move || {
        let mut all = vec![String::new()];
        all.extend(simulator.places.get());
        all
    };
    // Listed when somebody is about to choose.
    let more = RwSignal::new(Vec::new());
    let list = move || {
        let map = simulator.map.read_untracked();
        let rooms = map
            .rooms
            .iter()
            .map(|room| (room.id.clone(), room.name.clone()));
        let hosts = map
            .hosts
            .iter()
            .map(|host| (host.id.clone(), host.name.clone()));
        let pods = map.pods().map(|pod| (pod.id.clone(), pod.name.clone()));
        more.set(rooms.chain(hosts).chain(pods).collect());
    };
    let tab = move |place: String| {
        let (here, chosen, closed) = (place.clone(), place.clone(), place.clone());
        let close = (!place.is_empty()).then(|| {
            let label = fill("terminal.close", &[("place", &name(&place))]);
            view! {
                <button type="button" class="button plain icon" aria-label=label.clone() title=label on:click=move |_| simulator.close_terminal(&closed)>
                    {icons::CLOSE.view()}
                </button>
            }
        });
        view! {
            <span class="place">
                <button
                    type="button"
                    class="place-name"
                    aria-pressed=move || (*simulator.place.read() == here).to_string()
                    on:click=move |_| simulator.place.set(chosen.clone())
                >
                    {name(&place)}
                </button>
                {close}
            </span>
        }
    };
    view! {
        <div class="places" role="group" aria-label=t("terminal.places")>
            <For each=all key=Clone::clone let:place>{tab(place)}</For>
            <label class="button plain icon pick" title=t("terminal.open")>
                {icons::PLUS.view()}
                <select
                    aria-label=t("terminal.open")
                    on:pointerenter=move |_| list()
                    on:focus=move |_| list()
                    on:change=move |event| {
                        let place = event_target_value(&event);
                        event_target::<web_sys::HtmlSelectElement>(&event).set_value("");
                        if let Some(place) = place.strip_prefix('@') {
                            simulator.open_another(place);
                        }
                    }
                >
                    <option value="">{t("terminal.open")}</option>
                    <option value="@">{t("terminal.workstation")}</option>
                    {move || more.get().into_iter().map(|(id, name)| view! { <option value=format!("@{id}")>{name}</option> }).collect_view()}
                </select>
            </label>
        </div>
    }
}
