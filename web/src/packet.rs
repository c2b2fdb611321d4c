//! The packet on the map: a dot that runs along the cables to the place of its step.

use kubarium_snapshot::geometry::Point;
use leptos::prelude::*;

use crate::simulator::{Simulator, now};

/// How long a hop takes to be seen, in milliseconds, at the usual pace.
const HOP_MS: f64 = 320.0;

/// The packet on the map.
#[component]
pub(crate) fn Packet() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let way = Memo::new(move |_| simulator.way());
    let at = RwSignal::new(None::<Point>);
    let run = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let way = way.get();
        let this = run.get_value() + 1;
        run.set_value(this);
        let Some(&end) = way.last() else {
            at.set(None);
            return;
        };
        if way.len() < 2 || still() {
            at.set(Some(end));
            return;
        }
        let length = HOP_MS / simulator.pace.get_untracked().max(0.05);
        travel(way, at, run, this, now(), length);
    });
    view! {
        {move || {
            at.get()
                .map(|p| {
                    view! {
                        <g class="packet" data-wrapped=move || simulator.is_wrapped().then_some("") transform=format!("translate({:.1} {:.1})", p.x, p.y)>
                            <rect class="around" x="-15" y="-11" width="30" height="22" rx="7" />
                            <rect class="body" x="-10" y="-7" width="20" height="14" rx="3" />
                            <path d="M-10-4.5 0 1.5 10-4.5" />
                        </g>
                    }
                })
        }}
    }
}

/// Moves the dot along its way until it is there or has somewhere else to be.
fn travel(
    way: Vec<Point>,
    at: RwSignal<Option<Point>>,
    run: StoredValue<u32>,
    this: u32,
    began: f64,
    length: f64,
) {
    request_animation_frame(move || {
        if run.try_get_value() != Some(this) {
            return;
        }
        let done = ((now() - began) / length).clamp(0.0, 1.0);
        let eased = 1.0 - (1.0 - done) * (1.0 - done);
        at.set(Some(along(&way, eased)));
        if done < 1.0 {
            travel(way, at, run, this, began, length);
        }
    });
}

/// The point at that share of a way's length.
fn along(way: &[Point], share: f64) -> Point {
    let length = |a: &Point, b: &Point| (b.x - a.x).hypot(b.y - a.y);
    let whole: f64 = way.windows(2).map(|p| length(&p[0], &p[1])).sum();
    let mut rest = whole * share;
    for pair in way.windows(2) {
        let part = length(&pair[0], &pair[1]);
        if rest <= part && part > 0.0 {
            let t = rest / part;
            return Point::new(
                pair[0].x + (pair[1].x - pair[0].x) * t,
                pair[0].y + (pair[1].y - pair[0].y) * t,
            );
        }
        rest -= part;
    }
    way.last().copied().unwrap_or_default()
}

/// Whether the person asked for reduced motion.
fn still() -> bool {
    let query = web_sys::window().and_then(|w| {
        w.match_media("(prefers-reduced-motion: reduce)")
            .ok()
            .flatten()
    });
    query.is_some_and(|q| q.matches())
}
