//! A menu below a button: it closes when something is chosen, by Escape, and when the focus leaves it.

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;

use crate::icons::Icon;

/// A button with a menu below it. What stands in it are buttons and lists of them.
#[component]
pub(crate) fn Menu(name: &'static str, icon: Icon, children: Children) -> impl IntoView {
    let menu = NodeRef::<html::Details>::new();
    let close = move |focus: bool| {
        let Some(menu) = menu.get_untracked() else {
            return;
        };
        menu.set_open(false);
        if focus && let Ok(Some(button)) = menu.query_selector("summary") {
            // What cannot take the focus leaves it where it was.
            let _ = button
                .dyn_into::<web_sys::HtmlElement>()
                .map(|button| button.focus());
        }
    };
    let left = move |event: ev::FocusEvent| {
        let to = event
            .related_target()
            .and_then(|to| to.dyn_into::<web_sys::Node>().ok());
        let within = menu
            .get_untracked()
            .is_some_and(|menu| menu.contains(to.as_ref()));
        if to.is_some() && !within {
            close(false);
        }
    };
    view! {
        <details
            class="menu"
            node_ref=menu
            on:focusout=left
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    close(true);
                }
            }
        >
            <summary class="button plain icon" role="button" aria-label=name title=name>
                {icon.view()}
            </summary>
            <div class="menu-body" on:click=move |_| close(true)>
                {children()}
            </div>
        </details>
    }
}
