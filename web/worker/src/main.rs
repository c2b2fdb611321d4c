//! The simulator in the browser: an [`Engine`] in a thread of its own. `web/worker.js` loads it.
//!
//! It never works for longer than [`SLICE_MS`] at a stretch but for one request, so that what the page asks is soon
//! heard. Messages are `kubarium_snapshot::message`s in array buffers that change hands; a text is a last word before
//! the end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use kubarium_cluster::Config;
use kubarium_scene::Engine;
use kubarium_snapshot::message::{self, FromSimulator, Request, ToSimulator};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

/// How long it works at a stretch, in milliseconds.
const SLICE_MS: f64 = 8.0;
/// The shortest time between two looks at the clock while time runs: a frame of the screen.
const FRAME_MS: f64 = 16.0;
/// The longest, so that the clock that is shown goes on.
const REST_MS: f64 = 100.0;
/// More of a person's time than this never passes at once: a machine that slept has not simulated.
const LEAP_MS: f64 = 250.0;
/// After so many milliseconds without word that an update was drawn nobody looks, and time rests.
const UNSEEN_MS: f64 = 2000.0;

struct Simulator {
    engine: Engine,
    waiting: VecDeque<(u32, Request)>,
    /// Whether the page has drawn the last update.
    drawn: bool,
    /// When the last update was sent, and when time last went on.
    sent: f64,
    last: f64,
}

thread_local! {
    static SIMULATOR: RefCell<Option<Simulator>> = const { RefCell::new(None) };
    /// The timer that will call [`tick`] next.
    static TIMER: RefCell<Option<i32>> = const { RefCell::new(None) };
    static TICK: Closure<dyn FnMut()> = Closure::new(tick);
}

fn main() {
    std::panic::set_hook(Box::new(|info| {
        // Nobody is left to hear of a failure to say so.
        let _ = scope().post_message(&JsValue::from_str(&info.to_string()));
    }));
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        if let Ok(buffer) = event.data().dyn_into::<ArrayBuffer>() {
            hear(&Uint8Array::new(&buffer).to_vec());
        }
    });
    scope().set_onmessage(Some(hear.as_ref().unchecked_ref()));
    // It listens for as long as the thread lives.
    hear.forget();
    // Let the loader say that it is done before the cluster boots.
    wake_after(0.0);
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Milliseconds since the thread began.
fn now() -> f64 {
    scope().performance().map_or(0.0, |p| p.now())
}

fn boot() -> Simulator {
    Simulator {
        engine: Engine::new(Config::default()),
        waiting: VecDeque::new(),
        drawn: true,
        sent: 0.0,
        last: now(),
    }
}

fn hear(bytes: &[u8]) {
    let Some(message) = message::decode(bytes) else {
        return;
    };
    SIMULATOR.with_borrow_mut(|simulator| {
        let Some(simulator) = simulator else { return };
        match message {
            ToSimulator::Ask { id, request } => simulator.waiting.push_back((id, request)),
            ToSimulator::Cancel { id } => simulator.waiting.retain(|(other, _)| *other != id),
            ToSimulator::Drawn => simulator.drawn = true,
        }
    });
    wake_after(0.0);
}

/// Works for a slice, and sees to it that it is called again when there is more to do.
fn tick() {
    TIMER.with_borrow_mut(|timer| *timer = None);
    let again = SIMULATOR.with_borrow_mut(|simulator| simulator.get_or_insert_with(boot).work());
    if let Some(again) = again {
        wake_after(again);
    }
}

impl Simulator {
    /// Works for a slice; gives the milliseconds after which there is more to do.
    fn work(&mut self) -> Option<f64> {
        let began = now();
        let go_on = || now() - began < SLICE_MS;
        while let Some((id, request)) = self.waiting.pop_front() {
            let reply = self.engine.answer(request);
            send(&FromSimulator::Answer { id, reply });
            if !go_on() {
                break;
            }
        }
        let wall = (began - self.last).clamp(0.0, LEAP_MS);
        self.last = began;
        let seen = self.drawn || began - self.sent < UNSEEN_MS;
        let wall = Duration::from_secs_f64(wall / 1000.0);
        let in_time = !seen || self.engine.advance(wall, go_on);
        if self.drawn
            && let Some(update) = self.engine.update()
        {
            self.drawn = false;
            self.sent = began;
            send(&FromSimulator::Update(Box::new(update)));
        }
        if !self.waiting.is_empty() || !in_time {
            return Some(0.0);
        }
        let rest = self
            .engine
            .idle()
            .map_or(REST_MS, |idle| idle.as_secs_f64() * 1000.0);
        (self.engine.is_running() && seen).then(|| rest.clamp(FRAME_MS, REST_MS))
    }
}

fn send(message: &FromSimulator) {
    let bytes = Uint8Array::from(message::encode(message).as_slice()).buffer();
    // The buffer is a fresh one, which can always change hands.
    let _ = scope().post_message_with_transfer(&bytes, &Array::of1(&bytes));
}

/// Calls [`tick`] after so many milliseconds, and not at the time set before.
fn wake_after(ms: f64) {
    TIMER.with_borrow_mut(|timer| {
        if let Some(earlier) = timer.take() {
            scope().clear_timeout_with_handle(earlier);
        }
        let set = TICK.with(|tick| {
            let tick = tick.as_ref().unchecked_ref();
            scope().set_timeout_with_callback_and_timeout_and_arguments_0(tick, ms as i32)
        });
        *timer = set.ok();
    });
}
