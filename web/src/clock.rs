//! Simulated time: the clock, and the buttons that move it. It keeps no time itself; it shows what it is given.

use crate::{icons, text::t};
use leptos::prelude::*;

/// The clock of a simulation, and what can be done to it.
#[component]
pub fn Clock(
    /// Simulated time since the cluster started, in milliseconds.
    #[prop(into)]
    now: Signal<u64>,
    /// Whether time runs by itself.
    #[prop(into)]
    running: Signal<bool>,
    /// Whether there is something to go back to.
    #[prop(into)]
    can_go_back: Signal<bool>,
    /// Runs or pauses.
    on_run: Callback<bool>,
    /// Goes to the next event.
    on_step: Callback<()>,
    /// Goes back to the event before.
    on_back: Callback<()>,
) -> impl IntoView {
    let run_label = move || {
        if running.get() {
            t("clock.pause")
        } else {
            t("clock.run")
        }
    };
    view! {
        <div class="clock" role="group" aria-label=t("clock")>
            <output aria-label=t("clock")>{move || hms(now.get())}</output>
            <button
                type="button"
                class="button plain icon"
                aria-label=t("clock.back")
                title=t("clock.back")
                prop:disabled=move || !can_go_back.get()
                on:click=move |_| on_back.run(())
            >
                {icons::BACK.view()}
            </button>
            <button
                type="button"
                class="button plain icon"
                aria-label=run_label
                title=run_label
                on:click=move |_| on_run.run(!running.get_untracked())
            >
                {move || if running.get() { icons::PAUSE.view() } else { icons::RUN.view() }}
            </button>
            <button
                type="button"
                class="button plain icon"
                aria-label=t("clock.step")
                title=t("clock.step")
                on:click=move |_| on_step.run(())
            >
                {icons::STEP.view()}
            </button>
        </div>
    }
}

/// Hours, minutes and seconds: `00:01:23`.
pub fn hms(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn time_is_hours_minutes_seconds() {
        assert_eq!(hms(83_999), "00:01:23");
        assert_eq!(hms(360_000_000), "100:00:00");
    }
}
