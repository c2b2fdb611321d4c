//! Texts with structure as elements. Text is text: nothing in it can become an element of its own.

use kubarium_snapshot::text::{Block, Inline};
use leptos::prelude::*;

/// A text.
#[component]
pub(crate) fn Prose(blocks: Vec<Block>) -> impl IntoView {
    view! { <div class="prose">{all(blocks)}</div> }
}

fn all(blocks: Vec<Block>) -> Vec<AnyView> {
    blocks.into_iter().map(block).collect()
}

fn block(block: Block) -> AnyView {
    match block {
        // The panel's own headings are above: a text's begin below them.
        Block::Heading { content, .. } => view! { <h5>{words(content)}</h5> }.into_any(),
        Block::Paragraph { content } => view! { <p>{words(content)}</p> }.into_any(),
        Block::List { start: None, items } => {
            view! { <ul>{items.into_iter().map(|i| view! { <li>{all(i)}</li> }).collect_view()}</ul> }.into_any()
        }
        Block::List {
            start: Some(start),
            items,
        } => {
            view! { <ol start=start.to_string()>{items.into_iter().map(|i| view! { <li>{all(i)}</li> }).collect_view()}</ol> }
                .into_any()
        }
        Block::Code { text, .. } => view! { <pre tabindex="0"><code>{text}</code></pre> }.into_any(),
        Block::Quote { content } => view! { <blockquote>{all(content)}</blockquote> }.into_any(),
        Block::Table { head, rows } => {
            let row = |row: Vec<Vec<Inline>>| {
                view! { <tr>{row.into_iter().map(|cell| view! { <td>{words(cell)}</td> }).collect_view()}</tr> }
            };
            view! {
                <table>
                    <thead><tr>{head.into_iter().map(|cell| view! { <th scope="col">{words(cell)}</th> }).collect_view()}</tr></thead>
                    <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
                </table>
            }
            .into_any()
        }
        Block::Rule => view! { <hr /> }.into_any(),
    }
}

fn words(inlines: Vec<Inline>) -> Vec<AnyView> {
    let one = |inline| match inline {
        Inline::Text { text } => text.into_any(),
        Inline::Code { text } => view! { <code>{text}</code> }.into_any(),
        Inline::Emphasis { content } => view! { <em>{words(content)}</em> }.into_any(),
        Inline::Strong { content } => view! { <strong>{words(content)}</strong> }.into_any(),
        Inline::Link { to, content } => {
            view! { <a href=to target="_blank" rel="noopener noreferrer">{words(content)}</a> }
                .into_any()
        }
        Inline::Break => view! { <br /> }.into_any(),
    };
    inlines.into_iter().map(one).collect()
}
