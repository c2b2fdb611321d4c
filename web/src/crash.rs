//! A panic leaves a readable panel instead of a dead page. The panel is part of `index.html`, and its buttons are wired
//! by `boot.js`, so that both work when this module no longer does.

use leptos::web_sys;

/// From now on a panic shows the panel.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| show(&info.to_string())));
}

/// Shows the panel with what failed, for a report. Nothing here may panic: a missing element is passed over.
pub(crate) fn show(detail: &str) {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else {
        return;
    };
    // No result below can be reported anywhere better than where it was meant to be seen.
    if let Some(app) = document.get_element_by_id("app") {
        let _ = app.set_attribute("inert", "");
    }
    if let Some(boot) = document.get_element_by_id("boot") {
        boot.remove();
    }
    if let Some(pre) = document.get_element_by_id("crash-detail") {
        let version = env!("CARGO_PKG_VERSION");
        pre.set_text_content(Some(&format!("Kubarium {version}\n{detail}")));
    }
    if let Some(panel) = document.get_element_by_id("crash") {
        let _ = panel.remove_attribute("hidden");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn the_panel_appears_with_what_failed_and_the_page_behind_it_is_inert() {
        let document = web_sys::window().unwrap().document().unwrap();
        let place = document.create_element("div").unwrap();
        place.set_inner_html(
            r#"<div id="app"></div><div id="crash" hidden><pre id="crash-detail"></pre></div>"#,
        );
        document.body().unwrap().append_child(&place).unwrap();
        show("index out of bounds");
        let panel = document.get_element_by_id("crash").unwrap();
        assert!(!panel.has_attribute("hidden"));
        assert!(
            panel
                .text_content()
                .unwrap()
                .contains("index out of bounds")
        );
        assert!(
            document
                .get_element_by_id("app")
                .unwrap()
                .has_attribute("inert")
        );
        place.remove();
    }
}
