//! Simulated time: the clock, and the buttons that move it. It keeps no time itself; it shows what it is given.

use crate::{icons, text::t};
use leptos::prelude::*;

/// Simulated seconds in a second that can be chosen; from the last on, as fast as the simulator can.
const AS_FAST_AS_POSSIBLE: f64 = 1e6;
const SPEEDS: [f64; 4] = [1.0, 10.0, 60.0, AS_FAST_AS_POSSIBLE];

/// The clock of a simulation, and what can be done to it.
#[component]
pub fn Clock(
    /// Simulated time since the cluster started, in milliseconds.
    #[prop(into)]
    now: Signal<u64>,
    /// Whether time runs by itself.
    #[prop(into)]
    running: Signal<bool>,
    /// Simulated seconds in a second.
    #[prop(into)]
    speed: Signal<f64>,
    /// Whether there is something to go back to.
    #[prop(into)]
    can_go_back: Signal<bool>,
    /// Whether the line of time is open.
    line: RwSignal<bool>,
    /// Runs or pauses.
    on_run: Callback<bool>,
    /// Goes to the next event.
    on_step: Callback<()>,
    /// Goes back to the event before.
    on_back: Callback<()>,
    /// Sets the speed.
    on_speed: Callback<f64>,
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
            <select
                class="speed"
                aria-label=t("clock.speed")
                title=t("clock.speed")
                on:change=move |event| {
                    if let Ok(speed) = event_target_value(&event).parse() {
                        on_speed.run(speed);
                    }
                }
            >
                {SPEEDS
                    .map(|each| {
                        let name = if each < AS_FAST_AS_POSSIBLE { format!("{each}×") } else { t("clock.fast").to_owned() };
                        view! { <option value=each.to_string() selected=move || speed.get() == each>{name}</option> }
                    })
                    .collect_view()}
            </select>
            <button
                type="button"
                class="button plain icon line"
                aria-label=t("moment")
                title=t("moment")
                aria-pressed=move || line.get().to_string()
                on:click=move |_| line.update(|open| *open = !*open)
            >
                {icons::PAST.view()}
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
