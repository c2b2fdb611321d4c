//! The goal of an exercise: the map as it is when all tasks are done, worked out by doing them in another cluster.

use kubarium_snapshot::lesson::{Ask, Said};
use leptos::prelude::*;

use crate::{
    drawing::Drawing, filter::Filter, learn::Learn, map::Depth, simulator::Simulator, text::t,
};

/// The goal's map, worked out when it is first opened.
#[component]
pub(super) fn Goal() -> impl IntoView {
    let learn = expect_context::<Learn>();
    let goal = RwSignal::new(None::<Result<Simulator, String>>);
    let asked = StoredValue::new(false);
    let open = move |_| {
        if asked.get_value() {
            return;
        }
        asked.set_value(true);
        learn.ask(Ask::Goal, move |said| {
            if let Said::Goal(map) = said {
                let shown = map.map(|map| learn.simulator.still(&map));
                // The lesson may have been closed since.
                let _ = goal.try_set(Some(shown));
            }
        });
    };
    view! {
        <details class="goal" on:toggle=open>
            <summary>{t("learn.goal")}</summary>
            {move || match goal.get() {
                None => view! { <p class="note" role="status">{t("part.loading")}</p> }.into_any(),
                Some(Err(why)) => view! { <p class="note">{why}</p> }.into_any(),
                Some(Ok(still)) => untrack(|| picture(still)),
            }}
        </details>
    }
}

/// The drawing; it looks at its own picture instead of the page's.
fn picture(still: Simulator) -> AnyView {
    provide_context(still);
    provide_context(Filter::new(still));
    provide_context(Memo::new(|_| Depth::Node));
    let size = still.picture.bounds.get_untracked();
    let shown = format!("{} {} {} {}", size.x, size.y, size.width, size.height);
    view! {
        <svg class="drawing" role="img" aria-label=t("learn.goal") viewBox=shown>
            <Drawing />
        </svg>
    }
    .into_any()
}
