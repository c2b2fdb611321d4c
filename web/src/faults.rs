//! What is broken on purpose: its marks on the map, and the list in which it is mended.

use kubarium_snapshot::time::Broken;
use leptos::prelude::*;

use crate::{
    clock::hms,
    icons,
    simulator::Simulator,
    text::{fill, t},
};

/// The marks on the map, each with the number that the list has too.
#[component]
pub(crate) fn Marks() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let mark = move |broken: &Broken| {
        let (number, text) = (broken.number, broken.text.clone());
        let marks = broken.marks.iter().map(|(id, at)| {
            view! {
                <g class="fault" role="img" aria-label=text.clone() data-thing=id.clone() transform=format!("translate({} {})", at.x, at.y)>
                    <g class="sized">
                        <path class="bolt" d="M-9-7.5 9-7.5 13 0 9 7.5-9 7.5-13 0z" />
                        <path class="crack" d="M-5.5-4.5-8 .4h3.2l-1.4 4" />
                        <text x="3.5" y="4.2">{number}</text>
                    </g>
                    <title>{text.clone()}</title>
                </g>
            }
        });
        marks.collect_view()
    };
    view! { <g class="faults">{move || simulator.broken.read().iter().map(mark).collect_view()}</g> }
}

/// How much is broken, and what, with a button that mends each.
#[component]
pub(crate) fn FaultList() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let count = move || match simulator.broken.read().len() {
        1 => t("faults.one").to_owned(),
        n => fill("faults.count", &[("n", &n.to_string())]),
    };
    let line = move |broken: &Broken| {
        let mend = broken.mend.clone();
        let event = broken.event;
        view! {
            <li>
                <span class="number">{broken.number}</span>
                <span class="what">
                    {broken.text.clone()} " "
                    <button type="button" class="link" title=t("timeline.goto") on:click=move |_| simulator.go_to(event)>
                        {fill("faults.since", &[("time", &hms(broken.since_ms))])}
                    </button>
                </span>
                <button type="button" class="button" title=broken.mend.clone() on:click=move |_| simulator.run(&mend)>
                    {t("faults.mend")}
                </button>
                <code>{broken.mend.clone()}</code>
            </li>
        }
    };
    let all = move || {
        (simulator.broken.read().len() > 1).then(|| {
            view! {
                <p class="all">
                    <code>"sim fault mend"</code>
                    <button type="button" class="button" on:click=move |_| simulator.run("sim fault mend")>{t("faults.mend.all")}</button>
                </p>
            }
        })
    };
    view! {
        <Show when=move || !simulator.broken.read().is_empty()>
            <details class="fault-list">
                <summary class="button">{icons::BROKEN.view()} <span role="status">{count}</span></summary>
                <div class="popup" role="group" aria-label=t("faults")>
                    <ul>{move || simulator.broken.read().iter().map(line).collect_view()}</ul>
                    {all}
                </div>
            </details>
        </Show>
    }
}

/// What is broken of one thing, for its card.
pub(crate) fn of_thing(simulator: Simulator, id: &str) -> impl IntoView + use<> {
    let id = id.to_owned();
    let line = move |broken: &Broken| {
        let mend = broken.mend.clone();
        view! {
            <li>
                <span class="number">{broken.number}</span>
                <span class="what">{broken.text.clone()}</span>
                <button type="button" class="deed" on:click=move |_| simulator.run(&mend)>
                    <span class="name">{t("faults.mend")}</span>
                    <code>{broken.mend.clone()}</code>
                </button>
            </li>
        }
    };
    move || {
        let broken = simulator.broken.read();
        let own: Vec<_> = broken
            .iter()
            .filter(|b| b.marks.iter().any(|(of, _)| *of == id))
            .map(line)
            .collect();
        (!own.is_empty()).then(|| {
            view! {
                <h3>{t("faults.here")}</h3>
                <ul class="own-faults">{own}</ul>
            }
        })
    }
}
