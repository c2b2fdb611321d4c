//! What is selected: what it wants and what there is, its place in the API and in etcd, its family, its versions.

use kubarium_snapshot::inspect::{Card, Deed, Relative, Version};
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{Gap, Question};
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, prelude::*, wasm_split::wasm_split};

use crate::{
    aims::{aims, between},
    deeds::{kind, name, role},
    faults::of_thing,
    icons,
    inside::Tables,
    layout::Layout,
    panels::{Empty, Panel},
    parts::Loaded,
    simulator::Simulator,
    text::{fill, t},
};

/// What is shown of the thing that is selected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    About,
    Yaml,
    Describe,
    History,
    Inside,
}

impl Part {
    /// The parts that there are of a card.
    fn of(card: &Card, narrow: bool) -> Vec<Part> {
        let mut parts = vec![Part::About];
        if !card.yaml.is_empty() {
            parts.extend([Part::Yaml, Part::Describe, Part::History]);
        }
        // Where there is room, tables have a panel of their own.
        if card.has_inside && narrow {
            parts.push(Part::Inside);
        }
        parts
    }

    fn name(self) -> &'static str {
        match self {
            Part::About => t("inspector.about"),
            Part::Yaml => t("inspector.yaml"),
            Part::Describe => t("inspector.describe"),
            Part::History => t("inspector.history"),
            Part::Inside => t("inside"),
        }
    }
}

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Inspector /> }.into_any())
}

/// What is selected.
#[component]
fn Inspector() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let part = RwSignal::new(Part::About);
    let is_seen = move || layout.is_shown(Panel::Inspector) && !layout.is_rail(Panel::Inspector);
    let answer = simulator.watch(move || {
        simulator.events.track();
        let selected = simulator.selected.get().filter(|_| is_seen());
        selected.map(Request::Inspect)
    });
    // Until the answer is there what was selected before is shown: what would be empty for a frame would flicker.
    let card = Memo::new(move |before: Option<&Option<Card>>| {
        let id = simulator.selected.get()?;
        let card = match answer.read().as_deref() {
            Some(Reply::Card(card)) => card.open(),
            _ => None,
        };
        match card {
            Some(card) if card.id != id => before.cloned().flatten(),
            card => card,
        }
    });
    let describe = Memo::new(move |_| card.read().as_ref().map(|card| card.describe.clone()));
    let described = simulator.watch(move || {
        simulator.events.track();
        let wanted = is_seen() && part.get() == Part::Describe;
        let line = describe.get().filter(|line| wanted && !line.is_empty());
        line.map(Request::Look)
    });
    let versions = simulator.watch(move || {
        simulator.events.track();
        let wanted = is_seen() && part.get() == Part::History;
        let selected = simulator.selected.get().filter(|_| wanted);
        selected.map(Request::History)
    });
    let asked = simulator.watch(move || {
        simulator.events.track();
        let wanted = is_seen() && part.get() == Part::About;
        let selected = simulator.selected.get().filter(|_| wanted)?;
        Some(Request::Rare(encode(&Question::Gap(selected))))
    });
    let gap = Memo::new(move |_| match asked.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode::<Gap>(bytes).unwrap_or_default(),
        _ => Gap::default(),
    });
    let body = move |card: &Card| match part.get() {
        part if !Part::of(card, layout.narrow.get()).contains(&part) => {
            about(simulator, card, gap).into_any()
        }
        Part::About => about(simulator, card, gap).into_any(),
        Part::Yaml => view! { <pre class="yaml" tabindex="0">{card.yaml.clone()}</pre> }.into_any(),
        Part::Describe => match described.read().as_deref() {
            Some(Reply::Output(output)) if output.command == card.describe => {
                view! { <pre class="yaml" tabindex="0">{output.text.clone()}</pre> }.into_any()
            }
            _ => ().into_any(),
        },
        Part::History => match versions.read().as_deref() {
            Some(Reply::History(versions)) => history(simulator, &versions.open()).into_any(),
            _ => ().into_any(),
        },
        Part::Inside => {
            let of = Signal::derive(move || simulator.selected.get().filter(|_| is_seen()));
            view! { <Tables of /> }.into_any()
        }
    };
    view! {
        {move || match card.get() {
            Some(card) => view! {
                <article class="card">
                    <header>
                        <span class="chip">{kind(&card)}</span>
                        <h2>{card.title.clone()}</h2>
                    </header>
                    {
                        let all = Part::of(&card, layout.narrow.get());
                        (all.len() > 1).then(|| parts(all, part))
                    }
                    {move || body(&card)}
                </article>
            }.into_any(),
            None => view! { <Empty icon=icons::INSPECTOR what=t("inspector.empty") how=t("inspector.empty.how") /> }.into_any(),
        }}
    }
}

/// The choice of what is shown.
fn parts(all: Vec<Part>, part: RwSignal<Part>) -> impl IntoView {
    let order = all.clone();
    let choose = move |event: ev::KeyboardEvent| {
        let at = order
            .iter()
            .position(|p| *p == part.get_untracked())
            .unwrap_or(0);
        let to = match event.key().as_str() {
            "ArrowRight" => (at + 1) % order.len(),
            "ArrowLeft" => (at + order.len() - 1) % order.len(),
            _ => return,
        };
        event.prevent_default();
        part.set(order[to]);
    };
    let tab = move |this: Part| {
        view! {
            <button
                type="button"
                role="tab"
                class="part"
                aria-selected=move || (part.get() == this).to_string()
                tabindex=move || if part.get() == this { "0" } else { "-1" }
                on:click=move |_| part.set(this)
            >
                {this.name()}
            </button>
        }
    };
    view! { <div class="parts" role="tablist" aria-label=t("inspector.parts") on:keydown=choose>{all.into_iter().map(tab).collect_view()}</div> }
}

fn about(simulator: Simulator, card: &Card, gap: Memo<Gap>) -> impl IntoView + use<> {
    let facts = [
        (t("inspector.rest"), &card.rest),
        (t("inspector.etcd"), &card.etcd),
        (t("inspector.node"), &card.node),
    ];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let facts = facts
        .map(|(name, value)| view! { <dt>{name}</dt> <dd><code>{value.clone()}</code></dd> })
        .collect_view();
    let looks = |line: &String| {
        let (command, shown) = (line.clone(), line.clone());
        view! { <li><button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{shown}</button></li> }
    };
    let looks = (!card.looks.is_empty()).then(|| {
        view! {
            <h3>{t("inspector.looks")}</h3>
            <ul class="hints">{card.looks.iter().map(looks).collect_view()}</ul>
        }
    });
    view! {
        {role(card).map(|text| view! { <p class="role">{text}</p> })}
        {of_thing(simulator, &card.id)}
        {aims(&card.aims)}
        {move || between(simulator, &gap.read())}
        {(!card.family.is_empty()).then(|| family(simulator, &card.family, &card.id))}
        {(card.kind == "Pod").then(|| {
            let layout = expect_context::<Layout>();
            view! { <button type="button" class="button" on:click=move |_| layout.show(Panel::Scheduling)>{t("inspector.decision")}</button> }
        })}
        {looks}
        {deeds(simulator, t("inspector.changes"), &card.changes)}
        {deeds(simulator, t("inspector.breaks"), &card.faults)}
        <dl>{facts}</dl>
    }
}

/// What can be done: each with the command line that does it.
fn deeds(simulator: Simulator, title: &'static str, all: &[Deed]) -> impl IntoView + use<> {
    let line = |deed: &Deed| {
        let command = deed.command.clone();
        view! {
            <li>
                <button type="button" class="deed" on:click=move |_| simulator.run(&command)>
                    <span class="name">{name(deed)}</span>
                    <code>{deed.command.clone()}</code>
                </button>
            </li>
        }
    };
    (!all.is_empty()).then(|| {
        view! {
            <h3>{title}</h3>
            <ul class="deeds">{all.iter().map(line).collect_view()}</ul>
        }
    })
}

/// The tree of owners and dependents.
fn family(simulator: Simulator, family: &[Relative], id: &str) -> impl IntoView + use<> {
    let item = |relative: &Relative| match relative {
        Relative::Object {
            id: target,
            kind,
            name,
            depth,
        } => {
            let is_this = target == id;
            let target = target.clone();
            view! {
                <li style=("--depth", depth.to_string()) aria-current=is_this.then_some("true")>
                    <span class="kind">{kind.clone()}</span>
                    <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(target.clone()))>
                        {name.clone()}
                    </button>
                </li>
            }
            .into_any()
        }
        Relative::More {
            kind,
            count,
            command,
            depth,
        } => {
            let line = command.clone();
            view! {
                <li style=("--depth", depth.to_string())>
                    <span class="kind">{kind.clone()}</span>
                    <button type="button" class="link" title=command.clone() on:click=move |_| simulator.run(&line)>
                        {fill("inspector.family.more", &[("n", &count.to_string())])}
                    </button>
                </li>
            }
            .into_any()
        }
    };
    view! {
        <h3>{t("inspector.family")}</h3>
        <ul class="family">{family.iter().map(item).collect_view()}</ul>
    }
}

/// The versions of an object, newest first, each with what its write changed.
fn history(simulator: Simulator, versions: &[Version]) -> impl IntoView + use<> {
    if versions.is_empty() {
        return view! { <p class="note">{t("inspector.history.none")}</p> }.into_any();
    }
    let version = |version: &Version| {
        let event = version.event;
        let fields = version.fields.iter().map(|field| {
            let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            view! {
                <li>
                    <code>{field.path.clone()}</code>
                    {part(&field.before).map(|text| view! { <del>{text}</del> })}
                    {part(&field.after).map(|text| view! { <ins>{text}</ins> })}
                </li>
            }
        });
        let more = (version.more > 0).then(|| view! { <li class="note">{fill("inspector.more", &[("n", &version.more.to_string())])}</li> });
        view! {
            <li>
                <p class="version">
                    <span class="at">{format!("{:.3} s", version.at_seconds)}</span>
                    <span class="verb">{version.verb.clone()}</span>
                    <span class="who">{version.by.clone()}</span>
                    <button type="button" class="link" title=t("timeline.goto") on:click=move |_| simulator.go_to(event)>
                        {fill("inspector.revision", &[("n", &version.revision.to_string())])}
                    </button>
                </p>
                <ul class="fields">{fields.collect_view()}{more}</ul>
            </li>
        }
    };
    view! { <ol class="versions">{versions.iter().map(version).collect_view()}</ol> }.into_any()
}
