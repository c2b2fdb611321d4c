//! What of the browser the page uses beside its own elements: its address, files beside it, the clipboard, downloads.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// What stands behind `#` in the page's address.
pub(crate) fn fragment() -> String {
    let hash = window().location().hash().unwrap_or_default();
    hash.trim_start_matches('#').to_owned()
}

/// Puts something behind `#`, without going anywhere.
pub(crate) fn set_fragment(text: &str) {
    let address = format!("#{text}");
    if let Ok(history) = window().history() {
        // An address that is too long for the browser stays as it was.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&address));
    }
}

/// A parameter of the page's address.
pub(crate) fn parameter(name: &str) -> Option<String> {
    let search = window().location().search().ok()?;
    web_sys::UrlSearchParams::new_with_str(&search)
        .ok()?
        .get(name)
}

/// A file beside the page.
///
/// # Errors
/// What the server or the network says.
pub(crate) async fn fetch_text(path: &str) -> Result<String, String> {
    let told = |error: JsValue| {
        let message = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
        message.map_or_else(|| format!("{error:?}"), String::from)
    };
    let response = JsFuture::from(window().fetch_with_str(path))
        .await
        .map_err(told)?;
    let response: web_sys::Response = response.unchecked_into();
    if !response.ok() {
        return Err(format!("{} {}", response.status(), response.status_text()));
    }
    let text = JsFuture::from(response.text().map_err(told)?)
        .await
        .map_err(told)?;
    text.as_string().ok_or_else(|| "it is no text".to_owned())
}

/// A file's text; none where it cannot be read.
pub(crate) async fn text_of(blob: &web_sys::Blob) -> Option<String> {
    JsFuture::from(blob.text()).await.ok()?.as_string()
}

/// A file that was built with the page's module.
///
/// # Errors
/// What the server or the network says.
pub(crate) async fn fetch_built(name: &str) -> Result<String, String> {
    let script = document()
        .query_selector("script[data-page]")
        .ok()
        .flatten();
    let folder = script.and_then(|script| script.get_attribute("data-page"));
    fetch_text(&format!("{}{name}", folder.unwrap_or_default())).await
}

/// Copies a text; whether the browser lets the page.
pub(crate) async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // An insecure or sandboxed page has none.
    !clipboard.is_undefined() && JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// Offers a text as a file.
pub(crate) fn download(name: &str, text: &str, kind: &str) {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(kind);
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let url = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)
        .and_then(|blob| web_sys::Url::create_object_url_with_blob(&blob));
    let link = document()
        .create_element("a")
        .map(|a| a.unchecked_into::<web_sys::HtmlAnchorElement>());
    if let (Ok(url), Ok(link)) = (url, link) {
        link.set_href(&url);
        link.set_download(name);
        link.click();
        // It is loaded by now, or the browser keeps it for as long as the page.
        let _ = web_sys::Url::revoke_object_url(&url);
    }
}
