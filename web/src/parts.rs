//! Parts of the page's module that come after the first view. The build cuts the module at the functions marked
//! `#[wasm_split]`: what only such a function needs is in a file of its own. All parts are fetched shortly after the cluster is
//! up, so that opening a view is instant; a view that is wanted earlier fetches its part itself.

use std::pin::Pin;
use std::time::Duration;

use leptos::{prelude::*, task::spawn_local, wasm_split::SplitLoaderError};

use crate::{icons, simulator::Simulator, text::t};

/// How long after the cluster is up what nobody has asked for yet is fetched: the first command goes before it.
const QUIET: Duration = Duration::from_millis(400);

/// What a part gives: the function that makes its view, or that it could not be loaded.
pub(crate) type Loaded = Result<fn() -> AnyView, SplitLoaderError>;
/// A part on its way.
pub(crate) type Loading = Pin<Box<dyn Future<Output = Loaded>>>;

/// A view of a part: made when it is first wanted, and kept.
#[component]
pub(crate) fn Late(
    /// Fetches the part; a second time, where it could not be loaded.
    load: fn() -> Loading,
    /// Whether the view is to be seen.
    wanted: Signal<bool>,
) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let part = RwSignal::new(None::<fn() -> AnyView>);
    let (loading, failed) = (StoredValue::new(false), RwSignal::new(false));
    let fetch = move || {
        // The view may have gone since.
        if loading.try_get_value() != Some(false) || part.read_untracked().is_some() {
            return;
        }
        loading.set_value(true);
        failed.set(false);
        spawn_local(async move {
            let loaded = load().await;
            loading.try_set_value(false);
            match loaded {
                Ok(view) => part.try_set(Some(view)).map_or((), drop),
                Err(_) => failed.try_set(true).map_or((), drop),
            }
        });
    };
    Effect::new(move |_| {
        if wanted.get() {
            fetch();
        } else if simulator.started.get() {
            set_timeout(fetch, QUIET);
        }
    });
    let made = Memo::new(move |made| made == Some(&true) || wanted.get());
    move || {
        match part.get() {
        _ if !made.get() => ().into_any(),
        Some(view) => untrack(view),
        None if failed.get() => view! {
            <div class="empty" role="alert">
                {icons::WARNING.view()}
                <p class="what">{t("part.failed")}</p>
                <p class="how">{t("part.failed.how")}</p>
                <button type="button" class="button" on:click=move |_| fetch()>{t("part.retry")}</button>
            </div>
        }
        .into_any(),
        None => view! { <p class="note" role="status">{t("part.loading")}</p> }.into_any(),
    }
    }
}
