//! Scenes and exercises, sharing, and the port to a page that embeds this one: a later part of the page.

mod browser;
mod embed;
mod gallery;
mod goal;
mod lesson;
mod progress;
mod prose;
mod share;
mod work;

use std::collections::VecDeque;

use kubarium_snapshot::lesson::{Ask, Opened, Said, View};
use kubarium_snapshot::{Reply, Request, message};
use leptos::{prelude::*, task::spawn_local, wasm_split::wasm_split};

use crate::{
    icons,
    learn::Learn,
    panels::Panel,
    parts::Loaded,
    storage,
    text::{fill, t},
};

/// The gallery, and all that is not to be seen.
#[wasm_split(lessons, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Lessons /> }.into_any())
}

/// The panel with the lesson.
#[wasm_split(lessons, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn panel() -> Loaded {
    Ok(|| view! { <lesson::LessonPanel /> }.into_any())
}

/// The longest file that is taken, in bytes.
const FILE_MAX: usize = 4 << 20;

#[component]
fn Lessons() -> impl IntoView {
    let learn = expect_context::<Learn>();
    learn.run_what_waits();
    share::share_when_asked(learn);
    share::take_what_is_dropped(learn);
    let changed =
        window_event_listener_untyped("hashchange", move |_| learn.go(browser::fragment()));
    on_cleanup(move || changed.remove());
    let fragment = browser::fragment();
    if storage::is_embedded() {
        embed::open(learn);
    } else {
        work::keep(learn);
    }
    if !fragment.is_empty() {
        learn.go(fragment);
    } else if !storage::is_embedded() && !work::restore(learn) {
        learn.gallery.set(storage::get("visited").is_none());
    }
    // Where nothing can be kept, the gallery comes again.
    let _ = storage::set("visited", "1");
    view! {
        <gallery::Gallery />
        <Show when=move || !learn.remark.read().is_empty() && !learn.gallery.get()>
            <section class="notices" role="status">
                <div class="notice remark">
                    {icons::WARNING.view()} <p>{move || learn.remark.get()}</p>
                    <button
                        type="button"
                        class="button plain icon"
                        aria-label=t("notice.dismiss")
                        title=t("notice.dismiss")
                        on:click=move |_| learn.remark.set(String::new())
                    >
                        {icons::CLOSE.view()}
                    </button>
                </div>
            </section>
        </Show>
    }
}

impl Learn {
    /// Asks the simulator, and calls `then` with what it says.
    fn ask(self, ask: Ask, then: impl FnOnce(Said) + 'static) {
        let request = Request::Lesson(message::encode(&ask));
        self.simulator.ask(request, move |reply| {
            if let Reply::Lesson(bytes) = reply
                && let Some(said) = message::decode(&bytes)
            {
                then(said);
            }
        });
    }

    /// Runs the command lines of a step, each when the one before has ended.
    fn run_what_waits(self) {
        Effect::new(move |_| {
            if !self.waiting.read().is_empty() && !self.simulator.is_busy("") {
                let next = self.waiting.try_update(VecDeque::pop_front).flatten();
                if let Some(line) = next {
                    self.simulator.run(&line);
                }
            }
        });
    }

    /// Opens what a fragment holds.
    fn go(self, fragment: String) {
        if !fragment.is_empty() {
            self.ask(Ask::Open(fragment), move |said| self.opened(said, None));
        }
    }

    /// Opens a file that somebody dropped or chose: a saved state, kept progress, or a lesson.
    fn take(self, text: String) {
        if text.len() > FILE_MAX {
            return self.remark.set(t("share.too-large").to_owned());
        }
        if let Some(read) = progress::import(&text) {
            return self
                .remark
                .set(fill("progress.read", &[("n", &read.to_string())]));
        }
        if text.trim_start().starts_with('{') {
            return self.ask(Ask::Open(text), move |said| self.opened(said, None));
        }
        self.begin(String::new(), text, String::new());
    }

    /// Something else was opened: its files come into the editor.
    fn opened(self, said: Said, lesson: Option<String>) {
        if let Said::Opened(opened) = &said
            && opened.done
        {
            self.files.give(&opened.files);
        }
        self.resumed(said, lesson);
    }

    /// Work goes on. Its files are in the editor already, further perhaps than they were applied.
    fn resumed(self, said: Said, lesson: Option<String>) {
        let Said::Opened(Opened {
            done,
            remark,
            fetch,
            view,
            ..
        }) = said
        else {
            return;
        };
        if let Some(path) = fetch {
            return self.fetch(path);
        }
        self.remark.set(remark);
        if !done {
            return;
        }
        if lesson.is_none() {
            // From now on the address would bring back what was, not what is.
            browser::set_fragment("");
        }
        self.waiting.set(VecDeque::new());
        self.simulator.forget();
        self.gallery.set(false);
        self.layout.lesson_shown.set(lesson.is_some());
        if lesson.is_some() {
            self.layout.show(Panel::Learn);
        }
        self.lesson.set(lesson);
        self.touched.update(|n| *n += 1);
        self.show(&view);
        if storage::is_embedded() {
            self.show(&embed::wanted_view());
        }
    }

    /// Fetches a lesson, and opens it: where it was left, if it is the one that was worked on.
    fn fetch(self, path: String) {
        spawn_local(async move {
            match browser::fetch_text(&path).await {
                Ok(text) => {
                    let state = work::kept(&path).unwrap_or_default();
                    self.begin(path, text, state);
                }
                Err(why) => {
                    let told = [("file", path.as_str()), ("why", why.as_str())];
                    self.remark.set(fill("learn.fetch", &told));
                }
            }
        });
    }

    fn begin(self, path: String, text: String, state: String) {
        let progress = progress::of(&path).unwrap_or_default();
        let goes_on = !state.is_empty();
        let ask = Ask::Begin {
            text,
            progress,
            state,
        };
        self.ask(ask, move |said| {
            if goes_on {
                self.resumed(said, Some(path));
            } else {
                self.opened(said, Some(path));
            }
        });
    }

    /// Begins the exercise again, as if nobody had ever worked on it.
    fn start_over(self) {
        let path = self.lesson.get_untracked().unwrap_or_default();
        progress::forget(&path);
        work::forget();
        if path.is_empty() {
            self.ask(Ask::Reset, move |said| self.opened(said, Some(path)));
        } else {
            self.fetch(path);
        }
    }

    fn close(self) {
        self.lesson.set(None);
        self.layout.lesson_shown.set(false);
        self.ask(Ask::Close, |_| {});
        browser::set_fragment("");
    }

    /// Shows what a lesson or a host looks at: a panel, and something that is selected.
    fn show(self, view: &View) {
        let panel = match view.show.as_str() {
            "packet" => Some(Panel::Lane),
            "rules" => Some(Panel::Rules),
            "control" | "timeline" => Some(Panel::Timeline),
            "objects" => Some(Panel::Objects),
            "editor" => Some(Panel::Files),
            "terminal" => Some(Panel::Terminal),
            _ => None,
        };
        if let Some(panel) = panel {
            self.layout.show(panel);
        }
        if !view.focus.is_empty() {
            self.simulator.selected.set(Some(view.focus.clone()));
        }
    }
}
