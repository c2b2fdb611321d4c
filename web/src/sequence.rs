//! The control loop as a sequence diagram: who told whom, from top to bottom, with the components as columns.

use kubarium_snapshot::conversation::{Conversation, Message};
use leptos::prelude::*;

use crate::{
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

/// The messages as a diagram. With `told` only those that one component sends another.
pub(crate) fn sequence(simulator: Simulator, talk: &Conversation, told: bool) -> impl IntoView {
    let all = talk.messages.iter();
    let messages: Vec<&Message> = all.filter(|m| !told || m.from != m.to).collect();
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
            arrow(
                simulator,
                m,
                ROW * (row as f64 + 0.75),
                place(m.from),
                place(m.to),
            )
        })
        .collect_view();
    let lifelines = columns.iter().map(|(column, _)| {
        let x = place(*column);
        view! { <line class="life" x1=x x2=x y1="0" y2=height /> }
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
        <div class="sequence" role="group" aria-label=t("sequence")>
            <div class="heads" style=("width", format!("{width}px"))>
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
}

/// The columns that have something to say, with their names: whoever asked first, then the counter, then the others in
/// the order in which they first speak.
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
    order
        .into_iter()
        .map(|column| (column, name(column)))
        .collect()
}

/// A message: an arrow from the sender's line to the receiver's, or a mark on the line of whoever does something alone.
fn arrow(
    simulator: Simulator,
    message: &Message,
    y: f64,
    from: f64,
    to: f64,
) -> impl IntoView + use<> {
    let event = message.event;
    let words = if message.object.is_empty() {
        format!("{} {}", message.verb, message.text)
    } else {
        format!("{} {}", message.verb, message.object)
    };
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
    let go = move || simulator.go_to(event);
    view! {
        <g
            class="message"
            data-verb=message.verb.clone()
            tabindex="0"
            role="button"
            aria-label=described
            on:click=move |_| go()
            on:keydown=move |e| {
                if e.key() == "Enter" {
                    go();
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
