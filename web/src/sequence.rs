//! The control loop as a sequence diagram: who told whom, from top to bottom, with the components as columns.

use kubarium_snapshot::conversation::{Conversation, Message};
use leptos::{html, prelude::*};

use crate::{
    icons,
    layout::Layout,
    panels::Panel,
    pictures::SavePicture,
    simulator::Simulator,
    text::{fill, t},
};

/// The width of a column and of the times before them, and the height of a message, in pixels.
const COLUMN: f64 = 148.0;
const TIMES: f64 = 72.0;
const ROW: f64 = 28.0;
/// The most messages that are drawn.
const DRAWN_MAX: usize = 400;
/// The most characters of a message's words, for each column that it crosses.
const WORDS: usize = 22;

/// The component at whose counter everything meets.
const COUNTER: &str = "kube-apiserver";

/// Where a component stands: the person who asks, the control plane, the nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plane {
    Person,
    Control,
    Data,
}

impl Plane {
    /// The plane of a column: a node's components carry its name.
    fn of(column: &str, first: bool) -> Plane {
        if column.contains(' ') {
            Plane::Data
        } else if first && column != COUNTER {
            Plane::Person
        } else {
            Plane::Control
        }
    }

    fn name(self) -> &'static str {
        match self {
            Plane::Person => "",
            Plane::Control => t("sequence.control"),
            Plane::Data => t("sequence.data"),
        }
    }
}

/// The event that is looked at, as a context of the diagram.
type Chosen = RwSignal<Option<u32>>;

/// The messages as a diagram. With `told` only those that one component sends another. A message that is chosen is
/// shown with what caused it.
#[component]
pub(crate) fn Sequence(
    /// The messages.
    #[prop(into)]
    talk: Signal<Conversation>,
    /// Whether only what one tells another is shown.
    #[prop(into)]
    told: Signal<bool>,
    /// Only messages with this in their object or verb.
    #[prop(into)]
    find: Signal<String>,
) -> impl IntoView {
    let chosen: Chosen = RwSignal::new(None);
    let drawing = NodeRef::<html::Div>::new();
    // The chain of causes, the oldest first.
    let causes = Memo::new(move |_| {
        chosen
            .get()
            .map_or_else(Vec::new, |event| chain(&talk.read(), event))
    });
    view! {
        <div class="loop">
            <div class="scored">
                <div class="told-all" node_ref=drawing tabindex="0" role="region" aria-label=t("sequence")>
                    {move || diagram(&talk.read(), told.get(), &find.read().to_lowercase(), chosen, causes)}
                </div>
                <div class="score-save">
                    <SavePicture of=move || drawing.get_untracked().map(Into::into) name="timeline" />
                </div>
            </div>
            {move || (!causes.read().is_empty()).then(|| why(causes.get(), chosen))}
        </div>
    }
}

/// An event and what caused it, the oldest first.
fn chain(talk: &Conversation, event: u32) -> Vec<Message> {
    let mut chain: Vec<Message> = Vec::new();
    let mut at = Some(event);
    while let Some(event) = at {
        let found = talk.messages.binary_search_by_key(&event, |m| m.event);
        let Some(message) = found.ok().and_then(|at| talk.messages.get(at)) else {
            break;
        };
        at = message.cause.filter(|cause| *cause < event);
        chain.push(message.clone());
    }
    chain.reverse();
    chain
}

/// What is said of a message in a line.
fn words_of(message: &Message) -> String {
    if message.object.is_empty() {
        format!("{} {}", message.verb, message.text)
    } else {
        format!("{} {}", message.verb, message.object)
    }
}

/// The chosen event with its causes: why it happened, and what can be done about it.
fn why(causes: Vec<Message>, chosen: Chosen) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let last = causes.last().cloned();
    let step = |message: &Message| {
        let event = message.event;
        view! {
            <li>
                <button type="button" class="link" on:click=move |_| chosen.set(Some(event))>
                    {format!("{:.3} s {}", message.at_seconds, words_of(message))}
                </button>
            </li>
        }
    };
    let steps = causes.iter().map(step).collect_view();
    let acts = last.map(|message| {
        let event = message.event;
        let object = object_id(&message.object);
        let decided = object
            .clone()
            .filter(|_| message.text.starts_with("bound to ") || message.text.contains("FailedScheduling"));
        view! {
            <p class="text">{message.text}</p>
            <p class="acts">
                <button type="button" class="button" on:click=move |_| simulator.go_to(event)>{t("timeline.goto")}</button>
                {object.map(|id| view! { <button type="button" class="button" on:click=move |_| simulator.selected.set(Some(id.clone()))>{t("sequence.object")}</button> })}
                {decided.map(|id| view! {
                    <button
                        type="button"
                        class="button"
                        on:click=move |_| {
                            simulator.selected.set(Some(id.clone()));
                            layout.show(Panel::Scheduling);
                        }
                    >
                        {t("sequence.decision")}
                    </button>
                })}
            </p>
        }
    });
    view! {
        <section class="why" aria-label=t("sequence.why")>
            <header>
                <h2>{t("sequence.why")}</h2>
                <button type="button" class="button plain icon" aria-label=t("sequence.close") title=t("sequence.close") on:click=move |_| chosen.set(None)>
                    {icons::CLOSE.view()}
                </button>
            </header>
            <ol>{steps}</ol>
            {acts}
        </section>
    }
}

/// The id of an object as messages name it: `pods default/web-1`.
fn object_id(object: &str) -> Option<String> {
    let (resource, name) = object.split_once(' ')?;
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    Some(match resource {
        "pods" => format!("pod:{namespace}/{name}"),
        _ => format!("object:{resource}/{namespace}/{name}"),
    })
}

fn diagram(
    talk: &Conversation,
    told: bool,
    find: &str,
    chosen: Chosen,
    causes: Memo<Vec<Message>>,
) -> impl IntoView + use<> {
    let all = talk.messages.iter();
    let wanted = |m: &&Message| {
        (!told || m.from != m.to)
            && (find.is_empty() || m.object.contains(find) || m.verb.contains(find))
    };
    let messages: Vec<&Message> = all.filter(wanted).collect();
    if messages.is_empty() {
        return view! { <p class="note">{t("sequence.none")}</p> }.into_any();
    }
    let columns = columns(talk, &messages);
    let place = |column: usize| {
        let at = columns.iter().position(|(c, _)| *c == column).unwrap_or(0);
        TIMES + COLUMN * (at as f64 + 0.5)
    };
    let width = TIMES + COLUMN * columns.len() as f64;
    let more = messages.len().saturating_sub(DRAWN_MAX);
    let drawn = messages.iter().take(DRAWN_MAX);
    let height = ROW * (drawn.len() as f64 + 0.5);
    let rows = drawn
        .enumerate()
        .map(|(row, m)| {
            let y = ROW * (row as f64 + 0.75);
            arrow(m, y, place(m.from), place(m.to), chosen, causes)
        })
        .collect_view();
    let lifelines = columns.iter().map(|(column, _)| {
        let x = place(*column);
        view! { <line class="life" x1=x x2=x y1="0" y2=height /> }
    });
    // What stands side by side in one plane stands under its name.
    let mut planes: Vec<(Plane, usize)> = Vec::new();
    for (at, (_, name)) in columns.iter().enumerate() {
        let plane = Plane::of(name, at == 0);
        match planes.last_mut() {
            Some((last, count)) if *last == plane => *count += 1,
            _ => planes.push((plane, 1)),
        }
    }
    let bands = planes.iter().map(|(plane, count)| {
        let width = format!("{}px", COLUMN * *count as f64);
        let class = if *plane == Plane::Data { "data" } else { "control" };
        view! { <span class="plane" data-plane=(*plane != Plane::Person).then_some(class) style=("width", width)>{plane.name()}</span> }
    });
    let heads = columns.iter().map(|(_, name)| {
        let (component, node) = name.split_once(' ').unwrap_or((name, ""));
        view! {
            <span class="head" title=name.clone()>
                <strong>{component.to_owned()}</strong>
                <span>{node.to_owned()}</span>
            </span>
        }
    });
    view! {
        <div class="sequence">
            <div class="heads" style=("width", format!("{width}px"))>
                <div class="planes"><span class="times"></span>{bands.collect_view()}</div>
                <span class="times">{t("timeline.at")}</span>
                {heads.collect_view()}
            </div>
            <svg width=width height=height viewBox=format!("0 0 {width} {height}")>
                {lifelines.collect_view()}
                {rows}
            </svg>
            {(more > 0).then(|| view! { <p class="note">{fill("sequence.more", &[("n", &more.to_string())])}</p> })}
        </div>
    }
    .into_any()
}

/// The columns that have something to say, with their names: whoever asked first, then the counter, then the others of
/// the control plane and those of the nodes, each in the order in which they first speak.
fn columns(talk: &Conversation, messages: &[&Message]) -> Vec<(usize, String)> {
    let mut order: Vec<usize> = Vec::new();
    let mut add = |column: usize| {
        if !order.contains(&column) {
            order.push(column);
        }
    };
    if let Some(first) = messages.first() {
        add(first.from);
    }
    let counter = talk.columns.iter().position(|name| name == COUNTER);
    if let Some(counter) = counter.filter(|_| !messages.is_empty()) {
        add(counter);
    }
    for message in messages {
        add(message.from);
        add(message.to);
    }
    let name = |column: usize| talk.columns.get(column).cloned().unwrap_or_default();
    let mut columns: Vec<(usize, String)> = order
        .into_iter()
        .map(|column| (column, name(column)))
        .collect();
    if let Some((_, rest)) = columns.split_first_mut() {
        rest.sort_by_key(|(_, name)| Plane::of(name, false));
    }
    columns
}

/// A message: an arrow from the sender's line to the receiver's, or a mark on the line of whoever does something alone.
fn arrow(
    message: &Message,
    y: f64,
    from: f64,
    to: f64,
    chosen: Chosen,
    causes: Memo<Vec<Message>>,
) -> impl IntoView + use<> {
    let event = message.event;
    let words = words_of(message);
    let spanned = ((to - from).abs() / COLUMN).max(1.0) as usize;
    let shown = cut(&words, WORDS * spanned);
    let alone = from == to;
    let side = if to < from { -1.0 } else { 1.0 };
    let line = if alone {
        view! { <circle class="own" cx=from cy=y r="4" /> }.into_any()
    } else {
        let end = to - side * 2.0;
        let head = format!("M{} {}l{} -4v8z", end, y, -side * 8.0);
        view! {
            <line class="told" x1=from x2=end - side * 6.0 y1=y y2=y />
            <path class="tip" d=head />
        }
        .into_any()
    };
    let (x, anchor) = if alone {
        (from + 9.0, "start")
    } else {
        ((from + to) / 2.0, "middle")
    };
    let text_y = if alone { y + 4.0 } else { y - 5.0 };
    let described = format!("{:.3} s, {words}. {}", message.at_seconds, message.text);
    let title = described.clone();
    let is_cause = move || causes.read().iter().any(|cause| cause.event == event);
    let dimmed = move || !causes.read().is_empty() && !is_cause();
    view! {
        <g
            class="message"
            data-verb=message.verb.clone()
            tabindex="0"
            role="button"
            aria-label=described
            aria-pressed=move || (chosen.get() == Some(event)).to_string()
            data-cause=move || is_cause().then_some("")
            data-dim=move || dimmed().then_some("")
            on:click=move |_| chosen.set(Some(event))
            on:keydown=move |e| {
                if matches!(e.key().as_str(), "Enter" | " ") {
                    e.prevent_default();
                    chosen.set(Some(event));
                }
            }
        >
            <title>{title}</title>
            <rect class="band" x="0" y=y - ROW * 0.75 width="100%" height=ROW />
            <text class="at" x=TIMES - 12.0 y=y + 4.0>{format!("{:.3}", message.at_seconds)}</text>
            {line}
            <text class="words" x=x y=text_y text-anchor=anchor>{shown}</text>
        </g>
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
