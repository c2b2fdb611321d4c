//! The YAML editor: CodeMirror, which is a file of its own and is loaded after the first view; until then, and where it
//! cannot be loaded, a plain text area with the same behaviour.

use crate::{
    icons,
    notices::Notices,
    simulator::Simulator,
    text::{fill, t},
};
use kubarium_snapshot::inspect::{Diagnostic, Severity};
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::Question;
use kubarium_snapshot::{Reply, Request};
use leptos::{html, prelude::*};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/editor/load.js")]
extern "C" {
    #[wasm_bindgen(js_name = loadEditor, catch)]
    async fn load_editor() -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    /// The module `editor.js`.
    type EditorModule;
    #[wasm_bindgen(method, catch)]
    fn create(
        this: &EditorModule,
        parent: &web_sys::HtmlElement,
        doc: &str,
        on_change: &js_sys::Function,
        words: &JsValue,
        ask: &js_sys::Function,
    ) -> Result<EditorView, JsValue>;

    /// What `create` gives: an editor on the page.
    #[derive(Clone)]
    type EditorView;
    #[wasm_bindgen(method, catch)]
    fn show(this: &EditorView, file: u32, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = setDiagnostics)]
    fn set_diagnostics(this: &EditorView, list: &js_sys::Array) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = goTo)]
    fn go_to(this: &EditorView, line: u32, column: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn destroy(this: &EditorView) -> Result<(), JsValue>;
}

/// The word by which the editor and the styles know a severity, its name, and its mark.
fn severity(severity: Severity) -> (&'static str, &'static str, icons::Icon) {
    match severity {
        Severity::Error => ("error", t("editor.error"), icons::ERROR),
        Severity::Warning => ("warning", t("editor.warning"), icons::WARNING),
        Severity::Hint => ("hint", t("editor.hint"), icons::HINT),
    }
}

/// A plain JavaScript object of these fields.
fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = js_sys::Object::new();
    for (key, value) in fields {
        // A plain object takes every field.
        let _ = js_sys::Reflect::set(&object, &JsValue::from_str(key), value);
    }
    object.into()
}

fn to_js(diagnostics: &[Diagnostic]) -> js_sys::Array {
    let each = |d: &Diagnostic| {
        object(&[
            ("line", d.line.into()),
            ("column", d.column.into()),
            ("endLine", d.end_line.into()),
            ("endColumn", d.end_column.into()),
            ("severity", severity(d.severity).0.into()),
            ("message", d.message.as_str().into()),
            ("hint", d.hint.as_str().into()),
        ])
    };
    diagnostics.iter().map(each).collect()
}

/// What the editor gives back to be kept: the view, and the closure that it calls on every change.
struct Running {
    view: EditorView,
    _on_change: Closure<dyn FnMut(String)>,
    _ask: Closure<Ask>,
}

/// What the editor asks: the kind of question, the text, line and column from 1, and whom to tell the answer, JSON.
type Ask = dyn FnMut(String, String, usize, usize, js_sys::Function);

/// An editor of `text`.
#[component]
pub fn Editor(
    /// The text: the editor sets it as the person types, and shows what anyone else sets.
    text: RwSignal<String>,
    /// The number of the file whose text that is: each has an undo history and a cursor of its own.
    #[prop(into)]
    file: Signal<u32>,
    /// The texts of the other files, whose names can be written here.
    #[prop(into)]
    beside: Signal<Vec<String>>,
    /// A place that the editor is to go to: line and column.
    go_to: RwSignal<Option<(u32, u32)>>,
    /// What there is to say about the text as it is now.
    #[prop(into)]
    diagnostics: Signal<Vec<Diagnostic>>,
    /// Whether the editor is to be seen; it is loaded when this first becomes true.
    #[prop(into)]
    wanted: Signal<bool>,
) -> impl IntoView {
    let notices = expect_context::<Notices>();
    let simulator = expect_context::<Simulator>();
    let host = NodeRef::<html::Div>::new();
    let area = NodeRef::<html::Textarea>::new();
    let running = RwSignal::new_local(None::<Running>);
    let asked = StoredValue::new(false);

    Effect::new(move |_| {
        let Some(host) = host.get() else { return };
        if !wanted.get() || asked.get_value() {
            return;
        }
        asked.set_value(true);
        leptos::task::spawn_local(async move {
            match start(&host, text, beside, simulator).await {
                Ok(editor) => {
                    let had_focus = area.get_untracked().is_some_and(|area| {
                        document().active_element().as_ref()
                            == Some(area.unchecked_ref::<web_sys::Element>())
                    });
                    if had_focus {
                        // Where the focus was, it stays; the line is not worth keeping at such a moment.
                        let _ = editor.view.go_to(1, 1);
                    }
                    // The component may have gone while the editor was loading.
                    running.try_set(Some(editor));
                }
                Err(_) => notices.show(t("editor.plain")),
            }
        });
    });
    Effect::new(move |_| {
        let (file, text) = (file.get(), text.get());
        running.with(|running| {
            if let Some(running) = running {
                // An editor that fails to take the text has been removed from the page.
                let _ = running.view.show(file, &text);
            }
        });
    });
    Effect::new(move |_| {
        let list = to_js(&diagnostics.get());
        running.with(|running| {
            if let Some(running) = running {
                // As above.
                let _ = running.view.set_diagnostics(&list);
            }
        });
    });
    on_cleanup(move || {
        running.with_untracked(|running| {
            if let Some(running) = running {
                let _ = running.view.destroy();
            }
        });
    });

    let look_at = move |line: u32, column: u32| {
        running.with_untracked(|running| match running {
            Some(running) => {
                let _ = running.view.go_to(line, column);
            }
            None => select(area, &text.get_untracked(), line, column),
        });
    };
    Effect::new(move |_| {
        if let Some((line, column)) = go_to.get() {
            look_at(line, column);
        }
    });
    view! {
        <div class="editor">
            <div class="host">
                <div node_ref=host></div>
                <Show when=move || running.with(Option::is_none)>
                    <textarea
                        node_ref=area
                        aria-label=t("editor")
                        spellcheck="false"
                        autocapitalize="off"
                        autocomplete="off"
                        prop:value=move || text.get()
                        on:input=move |event| text.set(event_target_value(&event))
                    ></textarea>
                </Show>
            </div>
            <Show when=move || diagnostics.with(|list| !list.is_empty())>
                <ul class="problems" aria-label=t("editor.problems")>
                    {move || diagnostics.get().into_iter().map(|d| problem(d, look_at)).collect_view()}
                </ul>
            </Show>
        </div>
    }
}

/// One line of the list of problems: a button that goes to the place.
fn problem(d: Diagnostic, go_to: impl Fn(u32, u32) + 'static) -> impl IntoView {
    let place = fill(
        "editor.place",
        &[
            ("line", &d.line.to_string()),
            ("column", &d.column.to_string()),
        ],
    );
    let (name, label, icon) = severity(d.severity);
    let class = if d.severity == Severity::Hint {
        "hint-mark"
    } else {
        name
    };
    view! {
        <li class=class>
            <button type="button" on:click=move |_| go_to(d.line, d.column)>
                {icon.view()}
                <span>
                    <span class="unseen">{label} ": "</span>
                    {d.message}
                </span>
                <span class="place" aria-hidden="true">
                    {format!("{}:{}", d.line, d.column)}
                </span>
                <span class="unseen">{place}</span>
                {(!d.hint.is_empty()).then(|| view! { <span class="hint">{d.hint}</span> })}
            </button>
        </li>
    }
}

/// Loads CodeMirror and puts it into `host`.
async fn start(
    host: &web_sys::HtmlElement,
    text: RwSignal<String>,
    beside: Signal<Vec<String>>,
    simulator: Simulator,
) -> Result<Running, JsValue> {
    let module: EditorModule = load_editor().await?.unchecked_into();
    let on_change = Closure::new(move |now: String| text.set(now));
    let ask = Closure::<Ask>::new(move |kind: String, text, line, column, then| {
        let beside = beside.get_untracked();
        ask(simulator, &kind, text, (line, column), beside, then);
    });
    let words = object(&[
        ("label", t("editor").into()),
        ("offers", t("editor.offers").into()),
        ("required", t("editor.required").into()),
        ("usual", t("editor.usual").into()),
        ("allowed", t("editor.allowed").into()),
    ]);
    let view = module.create(
        host,
        &text.get_untracked(),
        on_change.as_ref().unchecked_ref(),
        &words,
        ask.as_ref().unchecked_ref(),
    )?;
    Ok(Running {
        view,
        _on_change: on_change,
        _ask: ask,
    })
}

/// Asks the simulator what could stand, or stands, at a place of a text.
fn ask(
    simulator: Simulator,
    kind: &str,
    text: String,
    (line, column): (usize, usize),
    beside: Vec<String>,
    then: js_sys::Function,
) {
    let question = match kind {
        "offers" => Question::Offers {
            text,
            beside,
            line,
            column,
        },
        _ => Question::Told { text, line, column },
    };
    simulator.ask(Request::Rare(encode(&question)), move |reply| {
        if let Reply::Rare(bytes) = reply {
            let json = decode::<String>(&bytes).unwrap_or_default();
            // An editor that fails to show the answer has been removed from the page.
            let _ = then.call1(&JsValue::NULL, &JsValue::from_str(&json));
        }
    });
}

/// Puts the plain text area's cursor at a place.
fn select(area: NodeRef<html::Textarea>, text: &str, line: u32, column: u32) {
    let Some(area) = area.get_untracked() else {
        return;
    };
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1) as usize)
        .map(utf16)
        .sum();
    let inside = text
        .lines()
        .nth(line.saturating_sub(1) as usize)
        .unwrap_or_default();
    let inside: usize = inside
        .chars()
        .take(column.saturating_sub(1) as usize)
        .map(char::len_utf16)
        .sum();
    let at = u32::try_from(before + inside).unwrap_or(u32::MAX);
    // A place outside the text leaves the cursor where it is.
    let _ = area.focus();
    let _ = area.set_selection_range(at, at);
}

fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leptos::mount::mount_to;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// The problem list is there with or without CodeMirror, whose file a test has not at hand.
    #[wasm_bindgen_test]
    async fn a_problem_leads_to_its_place_in_the_plain_text() {
        let place = document().create_element("div").unwrap();
        document().body().unwrap().append_child(&place).unwrap();
        let text = RwSignal::new("kind: Pod\n# 😀\nspek: {}\n".to_owned());
        let problem = Diagnostic {
            line: 3,
            column: 1,
            end_line: 3,
            end_column: 5,
            severity: Severity::Error,
            message: "unknown field \"spek\"".into(),
            hint: "Did you mean spec?".into(),
        };
        let handle = mount_to(place.clone().unchecked_into(), move || {
            provide_context(Notices::new());
            provide_context(Simulator::start());
            let problem = problem.clone();
            view! {
                <Editor
                    text
                    file=Signal::derive(|| 1)
                    beside=Signal::derive(Vec::new)
                    go_to=RwSignal::new(None)
                    diagnostics=Signal::derive(move || vec![problem.clone()])
                    wanted=Signal::derive(|| false)
                />
            }
        });
        leptos::task::tick().await;
        let button: web_sys::HtmlElement = place
            .query_selector(".problems button")
            .unwrap()
            .unwrap()
            .unchecked_into();
        let said = button.text_content().unwrap();
        assert!(
            said.contains("Error: unknown field \"spek\"") && said.contains("line 3, column 1"),
            "{said}"
        );
        assert!(said.contains("Did you mean spec?"), "{said}");
        button.click();
        let area: web_sys::HtmlTextAreaElement = place
            .query_selector("textarea")
            .unwrap()
            .unwrap()
            .unchecked_into();
        // "kind: Pod\n" is 10 UTF-16 units, "# 😀\n" 5.
        assert_eq!(area.selection_start().unwrap(), Some(15));
        drop(handle);
        place.remove();
    }
}
