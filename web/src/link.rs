//! The line to the simulator, which runs in a thread of its own: loading it, and sending and hearing messages.

use kubarium_snapshot::message::{self, FromSimulator, ToSimulator};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// The simulator's thread. When this is dropped, the thread ends.
pub(crate) struct Link {
    worker: web_sys::Worker,
    _hear: Closure<dyn FnMut(web_sys::MessageEvent)>,
    _fail: Closure<dyn FnMut(web_sys::ErrorEvent)>,
}

/// What comes over the line.
pub(crate) enum Heard {
    /// So many bytes of the module are there, of so many; of 0 where nobody knows.
    Loading(u32, u32),
    /// The module is there, and begins.
    Begun,
    /// It could not be loaded, or a trap has ended it.
    Failed(String),
    /// It panicked.
    Panicked(String),
    /// It says something.
    Said(FromSimulator),
}

#[wasm_bindgen]
extern "C" {
    /// What `worker.js` says while it loads: one of these fields at a time.
    type Progress;
    #[wasm_bindgen(method, getter)]
    fn loaded(this: &Progress) -> Option<u32>;
    #[wasm_bindgen(method, getter)]
    fn total(this: &Progress) -> Option<u32>;
    #[wasm_bindgen(method, getter)]
    fn failed(this: &Progress) -> Option<String>;
}

#[wasm_bindgen(module = "/thread.js")]
extern "C" {
    /// Starts a thread with that script.
    #[wasm_bindgen(catch, js_name = startThread)]
    fn start_thread(script: &str) -> Result<web_sys::Worker, JsValue>;
}

impl Link {
    /// Starts the thread, and calls `heard` with all that it says.
    ///
    /// # Errors
    /// What the browser says where it starts no threads.
    pub(crate) fn open(heard: impl Fn(Heard) + Clone + 'static) -> Result<Link, String> {
        let told = |error: JsValue| {
            let message = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
            message.map_or_else(|| format!("{error:?}"), String::from)
        };
        let worker = start_thread(&script()).map_err(told)?;
        let failed = heard.clone();
        let hear = Closure::new(move |event: web_sys::MessageEvent| {
            if let Some(what) = read(event.data()) {
                heard(what);
            }
        });
        let fail = Closure::new(move |event: web_sys::ErrorEvent| {
            // A file that is not there is told without words, or by an event that has none.
            let message = js_sys::Reflect::get(&event, &"message".into());
            let message = message.ok().and_then(|m| m.as_string()).unwrap_or_default();
            let message = if message.is_empty() {
                script()
            } else {
                message
            };
            failed(Heard::Failed(message));
        });
        worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
        Ok(Link {
            worker,
            _hear: hear,
            _fail: fail,
        })
    }

    /// Sends a message. To a thread that has ended nothing comes.
    pub(crate) fn send(&self, message: &ToSimulator) {
        let bytes = js_sys::Uint8Array::from(message::encode(message).as_slice()).buffer();
        // The buffer is a fresh one, which can always change hands.
        let _ = self
            .worker
            .post_message_with_transfer(&bytes, &js_sys::Array::of1(&bytes));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// The thread's script, as the page names it.
fn script() -> String {
    let named = document()
        .query_selector("script[data-worker]")
        .ok()
        .flatten()
        .and_then(|script| script.get_attribute("data-worker"));
    named.unwrap_or_else(|| "./worker.js".to_owned())
}

fn read(data: JsValue) -> Option<Heard> {
    if let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() {
        let bytes = js_sys::Uint8Array::new(buffer).to_vec();
        // A page and a simulator that were not built together do not understand each other.
        let said = message::decode(&bytes).map(Heard::Said);
        return said.or(Some(Heard::Failed(
            "a message that this page does not know".to_owned(),
        )));
    }
    if let Some(text) = data.as_string() {
        return Some(Heard::Panicked(text));
    }
    let progress: Progress = data.unchecked_into();
    if let Some(message) = progress.failed() {
        return Some(Heard::Failed(message));
    }
    Some(match progress.loaded() {
        Some(loaded) => Heard::Loading(loaded, progress.total().unwrap_or(0)),
        None => Heard::Begun,
    })
}
