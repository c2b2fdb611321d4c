//! Pictures that leave the page: a drawing as SVG or PNG.

use leptos::{prelude::*, web_sys};
use wasm_bindgen::prelude::*;

use crate::{icons, notices::Notices, text::t};

#[wasm_bindgen(module = "/picture-load.js")]
extern "C" {
    #[wasm_bindgen(js_name = savePicture, catch)]
    async fn save_picture(
        drawing: &web_sys::Element,
        kind: &str,
        name: &str,
    ) -> Result<JsValue, JsValue>;
}

/// A button that saves a drawing: as SVG, with the Shift key as PNG; and the two as a choice for who has no mouse.
#[component]
pub(crate) fn SavePicture(
    /// The drawing.
    of: impl Fn() -> Option<web_sys::Element> + Copy + Send + Sync + 'static,
    /// The file's name, without its ending.
    name: &'static str,
) -> impl IntoView {
    let notices = expect_context::<Notices>();
    let save = move |kind: String| {
        let Some(drawing) = of() else { return };
        leptos::task::spawn_local(async move {
            if save_picture(&drawing, &kind, name).await.is_err() {
                notices.show(t("picture.failed"));
            }
        });
    };
    view! {
        <label class="button plain icon pick" title=t("picture.save")>
            {icons::SAVE.view()}
            <select
                aria-label=t("picture.save")
                on:change=move |event| {
                    let kind = event_target_value(&event);
                    event_target::<web_sys::HtmlSelectElement>(&event).set_value("");
                    if !kind.is_empty() {
                        save(kind);
                    }
                }
            >
                <option value="">{t("picture.save")}</option>
                <option value="svg">"SVG"</option>
                <option value="png">"PNG"</option>
            </select>
        </label>
    }
}
