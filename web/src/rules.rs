//! The rules of a node: chains from hook to verdict with what the packet met lit, the text that the node's tool prints,
//! and what the last command changed in it.

use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{Question, RuleChanges, RuleText};
use kubarium_snapshot::rules::{ChainView, RuleBook, RuleView};
use kubarium_snapshot::{Reply, Request};
use leptos::{html, prelude::*, wasm_split::wasm_split};

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    parts::Loaded,
    pictures::SavePicture,
    simulator::Simulator,
    text::{fill, t},
};

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Rules /> }.into_any())
}

/// What is shown of a node's rules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Chains,
    Text,
    Changes,
}

impl Shown {
    const ALL: [Shown; 3] = [Shown::Chains, Shown::Text, Shown::Changes];

    fn name(self) -> &'static str {
        match self {
            Shown::Chains => t("rules.chains"),
            Shown::Text => t("rules.text"),
            Shown::Changes => t("rules.changes"),
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
struct Looked {
    simulator: Simulator,
    node: RwSignal<String>,
    table: RwSignal<String>,
    find: RwSignal<String>,
    shown: RwSignal<Shown>,
    only_met: RwSignal<bool>,
    /// The chains as they are drawn, to be saved.
    drawing: NodeRef<html::Div>,
}

/// A node's rules.
#[component]
fn Rules() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let looked = Looked {
        simulator,
        node: RwSignal::new(String::new()),
        table: RwSignal::new("nat".to_owned()),
        find: RwSignal::new(String::new()),
        shown: RwSignal::new(Shown::Chains),
        only_met: RwSignal::new(true),
        drawing: NodeRef::new(),
    };
    let Looked {
        node,
        table,
        find,
        shown,
        ..
    } = looked;
    let nodes = Memo::new(move |_| {
        let map = simulator.map.read();
        let names = map.rooms.iter().map(|room| room.name.clone());
        names.collect::<Vec<_>>()
    });
    Effect::new(move |_| {
        let nodes = nodes.get();
        if !nodes.contains(&node.get_untracked()) {
            node.set(nodes.get(1).or(nodes.first()).cloned().unwrap_or_default());
        }
    });
    // While a packet is followed, its rule is the one that is looked at.
    let met = move || {
        let step = simulator.step.get();
        let lane = simulator.lane.read();
        lane.as_ref()?.steps.get(step)?.rule.clone()
    };
    Effect::new(move |_| {
        if let Some(rule) = met().filter(|rule| nodes.get_untracked().contains(&rule.netns)) {
            node.set(rule.netns);
            table.set(rule.table);
            shown.set(Shown::Chains);
        }
    });
    let current = Memo::new(move |_| met().map(|rule| (rule.chain, rule.rule)));
    let is_seen = move || layout.is_shown(Panel::Rules) && !node.read().is_empty();
    let answer = simulator.watch(move || {
        simulator.events.track();
        let lane = simulator.lane.read().as_ref().map(|lane| lane.id);
        is_seen().then(|| Request::Rules {
            node: node.get(),
            table: table.get(),
            lane,
            find: find.get(),
        })
    });
    let book = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Rules(book)) => Some(Box::new(book.open())),
        _ => None,
    });
    // A cluster without this table has others.
    Effect::new(move |_| {
        let first = book.read().as_ref().and_then(|book| {
            let missing = !book.tables.contains(&book.table);
            let usual = book.tables.iter().find(|table| *table == "nat");
            usual.or(book.tables.first()).filter(|_| missing).cloned()
        });
        if let Some(first) = first {
            table.set(first);
        }
    });
    let asked = move |part: Shown, question: fn(String, String) -> Question| {
        simulator.watch(move || {
            simulator.events.track();
            let wanted = is_seen() && shown.get() == part;
            wanted.then(|| Request::Rare(encode(&question(node.get(), table.get()))))
        })
    };
    let text = asked(Shown::Text, |node, table| Question::RuleText {
        node,
        table,
    });
    let text = Memo::new(move |_| match text.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode::<RuleText>(bytes).unwrap_or_default(),
        _ => RuleText::default(),
    });
    let told = asked(Shown::Changes, |node, table| Question::RuleChanges {
        node,
        table,
    });
    let told = Memo::new(move |_| match told.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode::<RuleChanges>(bytes).unwrap_or_default(),
        _ => RuleChanges::default(),
    });
    view! {
        <div class="rules">
            {tools(looked, nodes, book)}
            {move || match shown.get() {
                Shown::Text => raw(simulator, &text.read(), &find.read()).into_any(),
                Shown::Changes => changes(&told.read()).into_any(),
                Shown::Chains => {
                    let followed = simulator.lane.read().is_some() && find.read().is_empty();
                    match book.get() {
                        Some(book) if !book.chains.is_empty() => {
                            let only_met = followed && looked.only_met.get();
                            chains(looked, &book, only_met, current).into_any()
                        }
                        Some(_) if !find.read().is_empty() => {
                            view! { <Empty icon=icons::RULES what=t("rules.unfound") how=t("rules.unfound.how") /> }.into_any()
                        }
                        _ => view! { <Empty icon=icons::RULES what=t("rules.empty") how=t("rules.empty.how") /> }.into_any(),
                    }
                }
            }}
        </div>
    }
}

/// The choice of node, table, Service and what is shown.
fn tools(
    looked: Looked,
    nodes: Memo<Vec<String>>,
    book: Memo<Option<Box<RuleBook>>>,
) -> impl IntoView {
    let Looked {
        simulator,
        node,
        table,
        find,
        shown,
        only_met,
        drawing,
    } = looked;
    let tables = Memo::new(move |_| {
        let tables = book.read().as_ref().map(|book| book.tables.clone());
        tables.unwrap_or_default()
    });
    let services = Memo::new(move |_| {
        let services = book.read().as_ref().map(|book| book.services.clone());
        services.unwrap_or_default()
    });
    let options = move |names: Vec<String>, chosen: RwSignal<String>| {
        let option = move |name: String| {
            let (value, shown) = (name.clone(), name.clone());
            view! { <option value=value selected=move || *chosen.read() == name>{shown}</option> }
        };
        names.into_iter().map(option).collect_view()
    };
    let part = move |this: Shown| {
        view! {
            <button type="button" class="button plain" aria-pressed=move || (shown.get() == this).to_string() on:click=move |_| shown.set(this)>
                {this.name()}
            </button>
        }
    };
    view! {
        <div class="tools">
            <label>
                {t("rules.node")} " "
                <select prop:value=move || node.get() on:change=move |e| node.set(event_target_value(&e))>
                    {move || options(nodes.get(), node)}
                </select>
            </label>
            <label>
                {t("rules.table")} " "
                <select prop:value=move || table.get() on:change=move |e| table.set(event_target_value(&e))>
                    {move || options(tables.get(), table)}
                </select>
            </label>
            <label>
                {t("rules.find")} " "
                <input
                    type="search"
                    list="rule-services"
                    spellcheck="false"
                    placeholder=t("rules.find.hint")
                    prop:value=move || find.get()
                    on:input=move |e| find.set(event_target_value(&e).trim().to_owned())
                />
            </label>
            <datalist id="rule-services">{move || options(services.get(), find)}</datalist>
            <span class="choices" role="group" aria-label=t("rules.shown")>{Shown::ALL.map(part).collect_view()}</span>
            <Show when=move || simulator.lane.read().is_some() && shown.get() == Shown::Chains && find.read().is_empty()>
                <label class="check">
                    <input type="checkbox" prop:checked=move || only_met.get() on:change=move |e| only_met.set(event_target_checked(&e)) />
                    {t("rules.met")}
                </label>
            </Show>
            <Show when=move || shown.get() == Shown::Chains>
                <SavePicture of=move || drawing.get_untracked().map(Into::into) name="rules" />
            </Show>
        </div>
    }
}

type Current = Memo<Option<(String, usize)>>;

fn chains(
    looked: Looked,
    book: &RuleBook,
    only_met: bool,
    current: Current,
) -> impl IntoView + use<> {
    let Looked {
        simulator, drawing, ..
    } = looked;
    let met = book.chains.iter().any(|c| c.lit);
    let shown: Vec<&ChainView> = book
        .chains
        .iter()
        .filter(|c| !only_met || !met || c.lit)
        .collect();
    let left_out = book.chains.len() - shown.len();
    let note = (left_out > 0).then(|| view! { <p class="note">{fill("rules.more.chains", &[("n", &left_out.to_string())])}</p> });
    let too_many = (book.more > 0).then(
        || view! { <p class="note">{fill("rules.many", &[("n", &book.more.to_string())])}</p> },
    );
    let table = format!("rule:{}/{}", book.node, book.table);
    view! {
        {too_many}
        <div class="chains" node_ref=drawing data-met=met.then_some("")>{shown.into_iter().map(|c| chain(simulator, &table, c, current)).collect_view()}</div>
        {note}
    }
}

/// A chain of a table: `rule:worker-1/nat`.
fn chain(
    simulator: Simulator,
    table: &str,
    c: &ChainView,
    current: Current,
) -> impl IntoView + use<> {
    let policy = match &c.policy {
        Some(policy) => fill("rules.policy", &[("policy", policy)]),
        None if c.depth == 0 => t("rules.unreached").to_owned(),
        None => String::new(),
    };
    let policy = view! { <span class="policy">{policy}</span> };
    let rules = c
        .rules
        .iter()
        .map(|r| rule(simulator, table, &c.name, r, current))
        .collect_view();
    let more = (c.more > 0).then(
        || view! { <li class="note">{fill("rules.more", &[("n", &c.more.to_string())])}</li> },
    );
    let empty = (c.rules.is_empty() && c.more == 0)
        .then(|| view! { <li class="note">{t("rules.none")}</li> });
    view! {
        <section class="chain" data-lit=c.lit.then_some("") data-depth=c.depth.min(4).to_string()>
            <h2 id=format!("chain-{}", c.name) tabindex="-1"><span class="name">{c.name.clone()}</span> {policy}</h2>
            <ol>{rules} {more} {empty}</ol>
        </section>
    }
}

fn rule(
    simulator: Simulator,
    table: &str,
    chain: &str,
    r: &RuleView,
    current: Current,
) -> impl IntoView + use<> {
    let thing = format!("{table}/{chain}/{}", r.number);
    let (chain, number) = (chain.to_owned(), r.number);
    let menu = fill("rules.menu", &[("n", &number.to_string())]);
    let asked = thing.clone();
    let here = move || {
        current
            .get()
            .is_some_and(|(c, n)| c == chain && n == number)
    };
    let object = r.object.clone().map(|id| {
        let name = id.strip_prefix("service:").unwrap_or(&id).to_owned();
        view! {
            <button type="button" class="link" title=t("rules.object") on:click=move |_| simulator.selected.set(Some(id.clone()))>{name}</button>
        }
    });
    let jump = r.jump.then(|| {
        view! { <a href=format!("#chain-{}", r.target) aria-label=fill("rules.jump", &[("chain", &r.target)]) title=fill("rules.jump", &[("chain", &r.target)])>"→"</a> }
    });
    view! {
        <li class="rule" data-thing=thing data-lit=r.lit.then_some("") data-current=move || here().then_some("") value=r.number.to_string()>
            <span class="n">{r.number}</span>
            <span class="packets" title=t("rules.packets")>{r.packets}</span>
            <code>{r.text.clone()} " " {jump}</code>
            <span class="for">{object}</span>
            <button
                type="button"
                class="menu-of"
                aria-haspopup="menu"
                aria-label=menu.clone()
                title=menu
                on:click=move |event| {
                    let at = event_target::<web_sys::Element>(&event).get_bounding_client_rect();
                    simulator.menu.set(Some((asked.clone(), at.left(), at.bottom())));
                }
            >
                "⋯"
            </button>
        </li>
    }
}

/// What the node's tool prints; with `find`, the lines that have it.
fn raw(simulator: Simulator, told: &RuleText, find: &str) -> impl IntoView + use<> {
    let (command, shown) = (told.command.clone(), told.command.clone());
    let lines = told.text.lines().filter(|line| line.contains(find));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let more = (told.more > 0).then(|| view! { <p class="note">{fill("rules.more.lines", &[("n", &told.more.to_string())])}</p> });
    view! {
        <p class="note">
            <button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{shown}</button>
        </p>
        <pre class="raw" tabindex="0">{text}</pre>
        {more}
    }
}

/// What the last command added to the rules and took away from them.
fn changes(told: &RuleChanges) -> impl IntoView + use<> {
    let Some(first) = told.since.lines().next() else {
        return view! { <Empty icon=icons::RULES what=t("rules.since.none") how=t("rules.since.none.how") /> }.into_any();
    };
    let first = first.to_owned();
    let quiet = told.added.is_empty() && told.removed.is_empty();
    let line = |kind: &'static str, sign: &str, line: &String| {
        view! { <span data-line=kind>{format!("{sign} {line}\n")}</span> }
    };
    let removed = told.removed.iter().map(|l| line("old", "-", l));
    let added = told.added.iter().map(|l| line("new", "+", l));
    let lines: Vec<_> = removed.chain(added).collect();
    view! {
        <p class="note">
            {if quiet { t("rules.since.same") } else { t("rules.since") }} " " <code>{first}</code>
        </p>
        {(!quiet).then(|| view! { <pre class="diff" tabindex="0" aria-label=t("rules.changes")>{lines}</pre> })}
    }
    .into_any()
}
