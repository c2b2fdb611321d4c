//! What an object wants beside what there is of it: what differs is plain at a glance, then what is missing, and who acts
//! on that next.

use kubarium_snapshot::inspect::Aim;
use kubarium_snapshot::rare::{Gap, Lack, Next};
use leptos::prelude::*;

use crate::{
    simulator::Simulator,
    text::{fill, t},
};

/// The most that is drawn one by one.
const PIPS_MAX: u64 = 12;

/// What is wanted and what there is, side by side; a sign for each that is there, and an empty one for each that is not.
pub(crate) fn aims(aims: &[Aim]) -> impl IntoView + use<> {
    let unmet = aims.iter().filter(|aim| aim.wanted != aim.is).count();
    let whole = match unmet {
        0 => t("aims.met").to_owned(),
        n => fill(
            "aims.unmet",
            &[("n", &n.to_string()), ("all", &aims.len().to_string())],
        ),
    };
    (!aims.is_empty()).then(|| {
        view! {
            <section class="aims" data-met=(unmet == 0).then_some("")>
                <p class="whole">{whole}</p>
                <ul>{aims.iter().map(aim).collect_view()}</ul>
            </section>
        }
    })
}

fn aim(aim: &Aim) -> impl IntoView + use<> {
    let numbers = aim
        .wanted
        .parse::<u64>()
        .ok()
        .zip(aim.is.parse::<u64>().ok());
    let differs = match numbers {
        _ if aim.wanted == aim.is => String::new(),
        Some((wanted, is)) if is < wanted => {
            fill("aims.fewer", &[("n", &(wanted - is).to_string())])
        }
        Some((wanted, is)) => fill("aims.more", &[("n", &(is - wanted).to_string())]),
        None => t("aims.other").to_owned(),
    };
    let both = [("wanted", aim.wanted.as_str()), ("is", &aim.is)];
    let of = match numbers {
        Some(_) => fill("aims.of", &both),
        None if differs.is_empty() => aim.wanted.clone(),
        None => fill("aims.instead", &both),
    };
    let pips = numbers.filter(|(wanted, is)| (1..=PIPS_MAX).contains(wanted.max(is)));
    let pips = pips.map(|(wanted, is)| {
        let kind = |at: u64| match at {
            at if at >= wanted => "surplus",
            at if at < is => "there",
            _ => "missing",
        };
        let pip = |at| view! { <i data-kind=kind(at)></i> };
        view! { <span class="pips" aria-hidden="true">{(0..wanted.max(is)).map(pip).collect_view()}</span> }
    });
    let met = differs.is_empty();
    view! {
        <li data-met=met.then_some("")>
            <span class="of">{aim.of.clone()}</span>
            {pips}
            <span class="n">{of}</span>
            <span class="differs">{differs}</span>
        </li>
    }
}

/// What is missing and why, and who acts next.
pub(crate) fn between(simulator: Simulator, gap: &Gap) -> impl IntoView + use<> {
    let link = move |id: &str, name: &str| {
        let target = id.to_owned();
        (!id.is_empty()).then(|| view! { <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(target.clone()))>{name.to_owned()}</button> })
    };
    let lack = move |lack: &Lack| view! { <li>{link(&lack.id, &lack.name)} <span class="unready">{lack.why.clone()}</span></li> };
    let next = move |next: &Next| {
        let at = next.at_ms;
        let when = move || {
            let left = at.saturating_sub(simulator.now_ms.get());
            fill(
                "aims.when",
                &[("s", &format!("{:.1}", left as f64 / 1000.0))],
            )
        };
        view! { <li><span class="when">{when}</span> <span class="who">{next.who.clone()}</span> {link(&next.id, &next.name)}</li> }
    };
    let more = (gap.more > 0).then(|| view! { <li class="note">{fill("aims.lacks.more", &[("n", &gap.more.to_string())])}</li> });
    let lacks = (!gap.lacks.is_empty()).then(|| {
        view! {
            <h3>{t("aims.lacks")}</h3>
            <ul class="lacks">{gap.lacks.iter().map(lack).collect_view()} {more}</ul>
        }
    });
    let next = (!gap.next.is_empty()).then(|| {
        view! {
            <h3>{t("aims.next")}</h3>
            <ol class="next">{gap.next.iter().map(next).collect_view()}</ol>
        }
    });
    view! { {lacks} {next} }
}
