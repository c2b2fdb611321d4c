//! The page inside another one: the port to its host (docs/EMBEDDING.md). The simulator reads the host's messages; here
//! they only pass through.

use kubarium_snapshot::lesson::{Ask, Said, View};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::browser;
use crate::{learn::Learn, simulator::now, text};

#[wasm_bindgen]
extern "C" {
    /// The first message of a host: `{kubarium: 1, connect: true, theme}`.
    type Hello;
    #[wasm_bindgen(method, getter)]
    fn kubarium(this: &Hello) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn connect(this: &Hello) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn theme(this: &Hello) -> JsValue;
}

/// The longest message that is passed on.
const LENGTH_MAX: u32 = 300_000;

fn parent() -> Option<web_sys::Window> {
    let parent = window().parent().ok()??;
    (parent != window()).then_some(parent)
}

/// What the host wants to be looked at first, whatever is opened.
pub(super) fn wanted_view() -> View {
    let first = |name| browser::parameter(name).unwrap_or_default();
    View {
        show: first("view"),
        focus: first("focus"),
    }
}

/// Waits for the host, and talks to it from then on.
pub(super) fn open(learn: Learn) {
    let Some(host) = parent() else { return };
    let simulator = learn.simulator;
    let readonly = browser::parameter("readonly").is_some();
    learn.layout.files_folded.set(true);
    learn.show(&wanted_view());
    let port = StoredValue::new_local(None::<web_sys::MessagePort>);
    let expected = host.clone();
    let hear =
        Closure::<dyn FnMut(web_sys::MessageEvent)>::new(move |event: web_sys::MessageEvent| {
            let from_host = event
                .source()
                .is_some_and(|source| js_sys::Object::is(&source, &expected));
            if !from_host || port.with_value(Option::is_some) || !event.data().is_object() {
                return;
            }
            let hello: Hello = event.data().unchecked_into();
            let ports = event.ports();
            if hello.kubarium().as_f64() != Some(1.0)
                || hello.connect().as_bool() != Some(true)
                || ports.length() != 1
            {
                return;
            }
            let line: web_sys::MessagePort = ports.get(0).unchecked_into();
            set_theme(&hello.theme().as_string().unwrap_or_default());
            listen(learn, &line, readonly);
            port.set_value(Some(line));
            simulator.told.update(|_| {});
        });
    // One listener for as long as the page is there.
    let _ = window().add_event_listener_with_callback("message", hear.as_ref().unchecked_ref());
    hear.forget();
    Effect::new(move |_| {
        simulator.told.track();
        port.with_value(|port| {
            if let Some(port) = port {
                for text in simulator.told.update_untracked(std::mem::take) {
                    let _ = port.post_message(&JsValue::from_str(&text));
                }
            }
        });
    });
    // As high as its picture wants it, at this width: it grows with the picture, and never shrinks under a reader's hand.
    let told = StoredValue::new((0, 0));
    Effect::new(move |_| {
        simulator.told.track();
        let (width, _) = learn.layout.window_size();
        let wanted = learn
            .layout
            .height_that_fits(simulator.picture.bounds.get());
        let (width, before) = (width as i32, told.get_value());
        if !simulator.started.get() || before.0 == width && before.1 >= wanted {
            return;
        }
        port.with_value(|port| {
            if let Some(port) = port {
                let text = format!("{{\"kubarium\":1,\"event\":\"height\",\"height\":{wanted}}}");
                let _ = port.post_message(&JsValue::from_str(&text));
                told.set_value((width, wanted));
            }
        });
    });
    let waiting = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&waiting, &"kubarium".into(), &1.into());
    let _ = js_sys::Reflect::set(&waiting, &"event".into(), &"waiting".into());
    // There is nothing secret in it, and who the host is is not known.
    let _ = host.post_message(&waiting, "*");
}

fn listen(learn: Learn, port: &web_sys::MessagePort, readonly: bool) {
    let back = port.clone();
    let hear =
        Closure::<dyn FnMut(web_sys::MessageEvent)>::new(move |event: web_sys::MessageEvent| {
            let data = event.data();
            let Some(text) = data
                .dyn_ref::<js_sys::JsString>()
                .filter(|text| text.length() <= LENGTH_MAX)
            else {
                return;
            };
            let back = back.clone();
            let ask = Ask::Host {
                text: String::from(text),
                at_ms: now(),
                readonly,
            };
            learn.ask(ask, move |said| {
                let Said::Host(host) = said else { return };
                if let Some(answer) = &host.answer {
                    let _ = back.post_message(&JsValue::from_str(answer));
                }
                if let Some(theme) = &host.theme {
                    set_theme(theme);
                }
                if let Some(lesson) = host.lesson {
                    learn.begin(String::new(), lesson, String::new());
                }
                if let Some(language) = &host.language {
                    text::speak(language);
                }
                if let Some(view) = host.view {
                    learn.show(&view);
                }
                if let Some(file) = host.file {
                    learn.files.give(&[file]);
                }
                if let Some(output) = host.output {
                    learn.simulator.show_output(*output);
                }
            });
        });
    port.set_onmessage(Some(hear.as_ref().unchecked_ref()));
    hear.forget();
}

fn set_theme(theme: &str) {
    if let Some(root) = document().document_element() {
        let _ = match theme {
            "light" | "dark" => root.set_attribute("data-theme", theme),
            _ => root.remove_attribute("data-theme"),
        };
    }
}
