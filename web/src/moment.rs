//! Where in time one is: the branches of history with what was done on them, to be scrubbed along; and what takes time,
//! with how far it is.

use kubarium_snapshot::time::{BranchLine, Cause, MarkKind, TimeMark, Times};
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, prelude::*, wasm_split::wasm_split};

use crate::{
    clock::hms,
    icons,
    parts::{Late, Loaded},
    simulator::Simulator,
    text::{fill, t},
};

/// The height of a branch's line, in pixels.
const ROW: f64 = 24.0;

/// Whether the line of time is open. A context of the clock and the map.
#[derive(Clone, Copy)]
pub(crate) struct TimeLine(pub(crate) RwSignal<bool>);

/// A long command's progress, and the line of time, where there is something to say.
#[component]
pub(crate) fn Moment() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let shown = is_shown(simulator, expect_context());
    view! {
        <Show when=move || simulator.work.read().is_some()>
            <Progress />
        </Show>
        <Late load=|| Box::pin(part()) wanted=shown.into() />
    }
}

/// Whether the line of time is to be seen: because it was opened, or because the past is looked at.
pub(crate) fn is_shown(simulator: Simulator, TimeLine(open): TimeLine) -> Memo<bool> {
    Memo::new(move |_| open.get() || simulator.past.read().is_some())
}

/// The part of the page's module with the line of time.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| {
        let shown = is_shown(expect_context(), expect_context());
        view! {
            <Show when=move || shown.get()>
                <Line />
            </Show>
        }
        .into_any()
    })
}

/// How far the command is that lets time run.
#[component]
fn Progress() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let share = Memo::new(move |_| simulator.work.read().as_ref().map_or(0, |work| work.share));
    view! {
        <div class="moment work" role="status">
            <span>{t("work")}</span>
            <progress max="1000" value=move || share.get().to_string() aria-label=t("work")></progress>
            <span class="mono">{move || hms(simulator.now_ms.get())}</span>
            <button type="button" class="button" on:click=move |_| simulator.stop_work()>{t("work.stop")}</button>
        </div>
    }
}

/// The branches, and the place on the present one.
#[component]
fn Line() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let TimeLine(open) = expect_context();
    let answer = simulator.watch(move || {
        simulator.events.track();
        simulator.past.track();
        Some(Request::Times)
    });
    let times = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Times(times)) => times.open(),
        _ => Times::default(),
    });
    // While the handle is held it stays where the hand is.
    let held = RwSignal::new(None::<u64>);
    let end = Memo::new(move |_| {
        let ends = times
            .read()
            .branches
            .iter()
            .map(|b| b.end_ms)
            .max()
            .unwrap_or(0);
        ends.max(simulator.now_ms.get()).max(1)
    });
    let row = Memo::new(move |_| {
        times
            .read()
            .branches
            .iter()
            .position(|branch| branch.current)
            .unwrap_or(0)
    });
    let at = move || held.get().unwrap_or_else(|| simulator.now_ms.get());
    let slide = move |event: ev::Event| {
        if let Ok(ms) = event_target_value(&event).parse::<f64>() {
            held.set(Some(ms as u64));
            simulator.go_to_moment(ms as u64);
        }
    };
    let said = move || {
        let causes = &times.read().causes;
        let last = causes.first().map(words);
        format!("{} {}", hms(at()), last.unwrap_or_default())
    };
    let place = move |ms: u64| format!("{:.3}%", ms as f64 / end.get() as f64 * 100.0);
    let rows = move || times.read().branches.len().max(1) as f64;
    view! {
        <section class="moment line" data-past=move || simulator.past.read().is_some().then_some("") aria-label=t("moment")>
            <p class="where" role="status">
                {move || match simulator.past.get() {
                    Some(past) => view! {
                        {icons::PAST.view()}
                        <strong>{t("moment.past")}</strong>
                        <span class="note" title=fill("moment.past.end", &[("end", &hms(past.end_ms))])>{t("moment.past.how")}</span>
                    }.into_any(),
                    None => view! { <strong>{t("moment.present")}</strong> }.into_any(),
                }}
            </p>
            <div class="branches" style=("height", move || format!("{}px", rows() * ROW))>
                {move || {
                    let times = times.read();
                    times.branches.iter().enumerate().map(|(row, b)| branch(simulator, &times, row, b, end.get())).collect_view()
                }}
                <span class="now" aria-hidden="true" style=("left", move || place(at()))></span>
                <input
                    type="range"
                    class="scrub"
                    aria-label=t("moment.scrub")
                    aria-valuetext=said
                    style=("top", move || format!("{}px", row.get() as f64 * ROW))
                    min="0"
                    max=move || end.get().to_string()
                    step="10"
                    prop:value=move || at().to_string()
                    on:input=slide
                    on:change=move |_| held.set(None)
                />
            </div>
            <Show
                when=move || simulator.past.read().is_some()
                fallback=move || view! {
                    <button type="button" class="button plain icon" aria-label=t("moment.close") title=t("moment.close") on:click=move |_| open.set(false)>
                        {icons::CLOSE.view()}
                    </button>
                }
            >
                <button type="button" class="button primary" on:click=move |_| {
                    held.set(None);
                    simulator.go_to_present();
                }>{t("moment.back")}</button>
            </Show>
            {move || causes(simulator, &times.read().causes)}
        </section>
    }
}

/// A branch's line with its marks; one that is not looked at is a way there.
fn branch(
    simulator: Simulator,
    times: &Times,
    row: usize,
    b: &BranchLine,
    end: u64,
) -> impl IntoView + use<> {
    let share = |ms: u64| ms as f64 / end as f64 * 100.0;
    let percent = |ms: u64| format!("{:.3}%", share(ms));
    let mark = |mark: &TimeMark| {
        let kind = match mark.kind {
            MarkKind::Boot => "boot",
            MarkKind::Command => "command",
            MarkKind::Fault => "fault",
        };
        let title = format!(
            "{} {}",
            hms(mark.at_ms),
            mark.text.lines().next().unwrap_or_default()
        );
        view! { <span class="tick" data-kind=kind style=("left", percent(mark.at_ms)) title=title></span> }
    };
    // Where it leaves the other: a line from that one's row.
    let parent = b
        .left
        .and_then(|left| times.branches.iter().position(|b| b.number == left));
    let fork = parent.map(|parent| {
        let rows = row as f64 - parent as f64;
        let top = if rows > 0.0 { ROW / 2.0 - rows * ROW } else { ROW / 2.0 };
        view! {
            <span class="fork" style=("left", percent(b.from_ms)) style=("top", format!("{top}px")) style=("height", format!("{}px", rows.abs() * ROW))></span>
        }
    });
    let name = fill("moment.branch", &[("n", &b.number.to_string())]);
    let inside = view! {
        <span class="rail" style=("left", percent(b.from_ms)) style=("width", format!("{:.3}%", share(b.end_ms.saturating_sub(b.from_ms))))></span>
        {fork}
        {b.marks.iter().map(mark).collect_view()}
        {(times.branches.len() > 1).then(|| view! { <span class="branch-name">{name.clone()}</span> })}
    };
    let top = format!("{}px", row as f64 * ROW);
    if b.current {
        return view! { <div class="branch" data-current="" style=("top", top)>{inside}</div> }
            .into_any();
    }
    let line = b.switch.clone();
    view! {
        <button type="button" class="branch" aria-label=format!("{name}: {line}") title=line.clone() style=("top", top) on:click=move |_| simulator.run(&line)>
            {inside}
        </button>
    }
    .into_any()
}

/// Who did what. What a person gave has nobody before it.
fn words(cause: &Cause) -> String {
    match cause.who.as_str() {
        "" => cause.what.clone(),
        who => format!("{who} {}", cause.what),
    }
}

/// How the latest event came about: the command that set it off, what caused it, and itself; each a way there.
fn causes(simulator: Simulator, causes: &[Cause]) -> impl IntoView + use<> {
    let link = |cause: &Cause| {
        let event = cause.event;
        let words = words(cause);
        view! {
            <li>
                <button type="button" class="link" title=words.clone() on:click=move |_| simulator.go_to(event)>
                    {words.clone()}
                </button>
            </li>
        }
    };
    let (last, before, first) = match causes {
        [] => return None,
        [last] => (last, None, None),
        [last, first] => (last, None, Some(first)),
        [last, before, .., first] => (last, Some(before), Some(first)),
    };
    let between = causes.len().saturating_sub(3);
    let between = (between > 0).then(|| {
        view! { <li class="between">{fill("moment.between", &[("n", &between.to_string())])}</li> }
    });
    Some(view! {
        <ol class="causes" aria-label=t("moment.causes")>
            {first.map(link)}
            {between}
            {before.map(link)}
            {link(last)}
        </ol>
    })
}
