//! The shell's layout: which panels are open, how large they are, and which tab is chosen. All of it is remembered.
//!
//! Wide: manifests left, map and packet lane in the middle, inspector right, the other panels as tabs below.
//! Narrow (a phone): the map on top, and every other panel in one sheet below it; beside it where the window is low (a phone
//! held across, a frame in another page).

use crate::{map::FIT_MAX, notices::Notices, panels::Panel, storage};
use kubarium_snapshot::geometry::Rect;
use leptos::prelude::*;

/// Up to this width, in pixels, the page is laid out for a phone.
const NARROW: i32 = 760;
/// The same in a frame of another page, which is low.
const NARROW_FRAME: i32 = 1040;
/// From this width on machines stand side by side on the map, and where the window is low, the sheet beside the map.
const BESIDE: i32 = 560;
/// Up to this height a frame in another page is low; from this width on its sheet stands beside the map in any case.
const LOW_FRAME: i32 = 560;
const WIDE_FRAME: i32 = 880;
/// Up to this height the packet lane and the panels below the map do not both have room.
const LOW: i32 = 1000;
/// Below this height the panels below the map are folded at first.
const FLAT: i32 = 560;
/// The width of a side panel's rail.
const RAIL: i32 = 40;
/// What the map keeps, whatever the panels want.
const MAP_WIDTH: i32 = 320;
const MAP_HEIGHT: i32 = 120;
/// The bars that are always there: the top bar and the tabs.
const BARS: i32 = 48 + 40;
const NARROW_BARS: i32 = 48 + 56;
/// The bar over the map.
const TOOLS: i32 = 44;
/// The least and the most height that a frame in another page is given.
const HEIGHTS: (i32, i32) = (440, 720);

/// The sizes that the panels begin with, in pixels; the sheet's is a share of the height.
pub(crate) mod usual {
    pub(crate) const FILES: i32 = 360;
    pub(crate) const INSPECTOR: i32 = 304;
    pub(crate) const LANE: i32 = 368;
    pub(crate) const DOCK: i32 = 224;
    pub(crate) const SHEET: i32 = 360;
}

/// The layout, as a context: signals that the shell reads and any view may set.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// The window's width and height, in pixels.
    window: RwSignal<(i32, i32)>,
    /// Whether the page is laid out for a phone.
    pub(crate) narrow: Memo<bool>,
    /// Whether the phone's sheet stands beside the map.
    pub(crate) beside: Memo<bool>,
    /// Whether machines stand one below the other on the map.
    pub(crate) column: Memo<bool>,
    /// Whether the page stands in a frame of another page, and whether it is there only to be looked at.
    frame: Option<Frame>,
    /// Sizes in pixels.
    pub(crate) files: RwSignal<i32>,
    pub(crate) inspector: RwSignal<i32>,
    pub(crate) lane: RwSignal<i32>,
    pub(crate) dock: RwSignal<i32>,
    pub(crate) sheet: RwSignal<i32>,
    /// Which panels are folded away.
    pub(crate) files_folded: RwSignal<bool>,
    pub(crate) inspector_folded: RwSignal<bool>,
    pub(crate) dock_folded: RwSignal<bool>,
    /// Whether there is a packet to show in the lane. Not remembered: it follows from what is simulated.
    pub(crate) lane_shown: RwSignal<bool>,
    /// Whether a lesson is open; it shares the place of the manifests. Not remembered here.
    pub(crate) lesson_shown: RwSignal<bool>,
    /// Which of the two is seen there.
    side: RwSignal<Panel>,
    /// Whether the panels below have made room for it. Not remembered either.
    made_room: RwSignal<bool>,
    /// The tab chosen among the panels below, and on the phone among all.
    dock_tab: RwSignal<Panel>,
    sheet_tab: RwSignal<Panel>,
}

/// A frame in another page (docs/EMBEDDING.md).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    readonly: bool,
}

impl Layout {
    /// The layout as it was left, or the usual one.
    pub(crate) fn load() -> Layout {
        let stored = Stored::load();
        let window = RwSignal::new(window_size());
        let frame = storage::embedded().map(|how| Frame {
            readonly: how == "readonly",
        });
        let narrow = if frame.is_some() {
            NARROW_FRAME
        } else {
            NARROW
        };
        // In a low window the map has what room there is, and the panels are a tap away.
        let (width, height) = window.get_untracked();
        let flat = width > narrow && height < FLAT;
        let dock = if flat { height * 3 / 10 } else { usual::DOCK };
        let layout = Layout {
            window,
            narrow: Memo::new(move |_| window.get().0 <= narrow),
            beside: Memo::new(move |_| {
                let (width, height) = window.get();
                let low = match frame {
                    Some(_) => width >= WIDE_FRAME || height < LOW_FRAME,
                    None => height < width * 3 / 4,
                };
                (BESIDE..=narrow).contains(&width) && low
            }),
            column: Memo::new(move |_| window.get().0 < BESIDE),
            frame,
            files: RwSignal::new(stored.number("files", usual::FILES)),
            inspector: RwSignal::new(stored.number("inspector", usual::INSPECTOR)),
            lane: RwSignal::new(stored.number("lane", usual::LANE)),
            dock: RwSignal::new(stored.number("dock", dock)),
            sheet: RwSignal::new(stored.number("sheet", usual::SHEET.min(height * 9 / 20))),
            files_folded: RwSignal::new(stored.flag("files-folded", false)),
            inspector_folded: RwSignal::new(stored.flag("inspector-folded", true)),
            dock_folded: RwSignal::new(stored.flag("dock-folded", flat)),
            lane_shown: RwSignal::new(false),
            lesson_shown: RwSignal::new(false),
            side: RwSignal::new(Panel::Files),
            made_room: RwSignal::new(false),
            dock_tab: RwSignal::new(stored.panel("dock-tab", &Panel::DOCK, Panel::Terminal)),
            sheet_tab: RwSignal::new(stored.panel("sheet-tab", &Panel::SHEET, Panel::Files)),
        };
        let resized = window_event_listener(leptos::ev::resize, move |_| window.set(window_size()));
        on_cleanup(move || resized.remove());
        layout
    }

    /// Remembers the layout from now on, whenever it changes.
    pub(crate) fn remember(self, notices: Notices) {
        Effect::new(move |before: Option<String>| {
            let now = self.stored();
            if before.is_some_and(|before| before != now) {
                notices.note_storage(storage::set("layout", &now));
            }
            now
        });
    }

    fn stored(self) -> String {
        let sizes = [
            ("files", self.files),
            ("inspector", self.inspector),
            ("lane", self.lane),
            ("dock", self.dock),
            ("sheet", self.sheet),
        ];
        let flags = [
            ("files-folded", self.files_folded),
            ("inspector-folded", self.inspector_folded),
            ("dock-folded", self.dock_folded),
        ];
        let tabs = [("dock-tab", self.dock_tab), ("sheet-tab", self.sheet_tab)];
        let mut lines = Vec::new();
        lines.extend(sizes.map(|(key, size)| format!("{key}={}", size.get())));
        lines.extend(flags.map(|(key, flag)| format!("{key}={}", flag.get())));
        lines.extend(tabs.map(|(key, tab)| format!("{key}={}", tab.get().id())));
        lines.join("\n")
    }

    /// The window's width and height, in pixels.
    pub(crate) fn window_size(self) -> (f64, f64) {
        let (width, height) = self.window.get_untracked();
        (width.into(), height.into())
    }

    /// The tabs that there are now.
    pub(crate) fn tabs(self) -> Vec<Panel> {
        let all: &[Panel] = if self.narrow.get() {
            &Panel::SHEET
        } else {
            &Panel::DOCK
        };
        let there = all.iter().copied();
        there.filter(|panel| self.is_there(*panel)).collect()
    }

    /// The tab that is chosen now.
    pub(crate) fn active(self) -> Panel {
        let chosen = if self.narrow.get() {
            self.sheet_tab
        } else {
            self.dock_tab
        };
        let tab = chosen.get();
        if self.is_there(tab) {
            return tab;
        }
        self.tabs().first().copied().unwrap_or(tab)
    }

    /// Whether there is anything in the panel.
    fn is_there(self, panel: Panel) -> bool {
        match panel {
            Panel::Lane => self.lane_shown.get(),
            Panel::Learn => self.lesson_shown.get(),
            Panel::Files | Panel::Terminal => !self.frame.is_some_and(|frame| frame.readonly),
            _ => true,
        }
    }

    /// The height, in pixels, at which a frame of this width shows a map of such a size whole, and has room for a panel.
    pub(crate) fn height_that_fits(self, map: Rect) -> i32 {
        let (width, _) = self.window.get();
        let (beside, below) = match self.narrow.get() {
            true if width >= WIDE_FRAME => (clamp(self.files.get(), self.files_range()), 0),
            true => (0, self.sheet.get()),
            false if self.is_dock_folded() => (2 * RAIL, 0),
            false => (2 * RAIL, usual::DOCK),
        };
        let room = f64::from((width - beside).max(MAP_WIDTH));
        let zoom = (room / map.width.max(1.0)).min(FIT_MAX);
        // Rooms that stand one below the other are looked at one by one.
        let high = (map.height * zoom).min(room * 0.8) as i32;
        let bars = if self.narrow.get() { NARROW_BARS } else { BARS };
        clamp(bars + TOOLS + high + below, HEIGHTS)
    }

    /// The word, in links and lessons, for the panel that is looked at; empty for the map alone.
    pub(crate) fn looked_at(self) -> &'static str {
        untrack(|| match self.active() {
            _ if self.lane_shown.get() && !self.narrow.get() => "packet",
            _ if self.is_dock_folded() && !self.narrow.get() => "",
            panel => panel.word(),
        })
    }

    /// Whether the panels below the map are folded away now.
    pub(crate) fn is_dock_folded(self) -> bool {
        self.dock_folded.get() || self.made_room.get()
    }

    /// Folds the panels below the map away, or opens them again.
    pub(crate) fn fold_dock(self, folded: bool) {
        self.made_room.set(false);
        self.dock_folded.set(folded);
    }

    /// Shows the packet lane; where the window is low, the panels below make room for it.
    pub(crate) fn open_lane(self) {
        let was_shown = self.lane_shown.get_untracked();
        self.lane_shown.set(true);
        if !was_shown && self.window.get_untracked().1 < LOW {
            self.made_room.set(true);
        }
    }

    /// Puts the packet lane away.
    pub(crate) fn close_lane(self) {
        self.lane_shown.set(false);
        self.made_room.set(false);
    }

    /// Whether the panel is to be seen now, folded or not.
    pub(crate) fn is_shown(self, panel: Panel) -> bool {
        if self.narrow.get() {
            return self.active() == panel;
        }
        match panel {
            Panel::Files => !self.lesson_shown.get() || self.side.get() == panel,
            Panel::Learn => self.lesson_shown.get() && self.side.get() == panel,
            Panel::Inspector => true,
            Panel::Lane => self.lane_shown.get(),
            _ => self.active() == panel && !self.is_dock_folded(),
        }
    }

    /// Brings a panel into view: unfolds it, or chooses its tab.
    pub(crate) fn show(self, panel: Panel) {
        // On the phone the tables are a part of what is selected.
        self.sheet_tab.set(match panel {
            Panel::Tables => Panel::Inspector,
            panel => panel,
        });
        match panel {
            Panel::Files | Panel::Learn => {
                self.side.set(panel);
                self.fold(panel, false);
            }
            Panel::Inspector => self.fold(panel, false),
            Panel::Lane => self.open_lane(),
            _ => {
                self.dock_tab.set(panel);
                self.fold_dock(false);
            }
        }
    }

    /// Folds a side panel away, or opens it again.
    pub(crate) fn fold(self, panel: Panel, folded: bool) {
        match panel {
            Panel::Files | Panel::Learn => self.files_folded.set(folded),
            Panel::Inspector => self.inspector_folded.set(folded),
            _ => {}
        }
    }

    /// Whether a side panel is only a rail now. On the phone none is.
    pub(crate) fn is_rail(self, panel: Panel) -> bool {
        !self.narrow.get()
            && match panel {
                Panel::Files | Panel::Learn => self.files_folded.get(),
                Panel::Inspector => self.inspector_folded.get(),
                _ => false,
            }
    }

    /// The width that a side panel takes, and the height of the others, as a CSS length.
    pub(crate) fn length(self, panel: Panel) -> String {
        let size = match panel {
            Panel::Files | Panel::Learn | Panel::Inspector if self.is_rail(panel) => RAIL,
            Panel::Files | Panel::Learn => clamp(self.files.get(), self.files_range()),
            Panel::Inspector => clamp(self.inspector.get(), self.inspector_range()),
            Panel::Lane if !self.lane_shown.get() => 0,
            Panel::Lane => clamp(self.lane.get(), self.lane_range()),
            _ if self.is_dock_folded() => 0,
            _ => clamp(self.dock.get(), self.dock_range()),
        };
        format!("{size}px")
    }

    /// The height of the phone's sheet, as a CSS length.
    pub(crate) fn sheet_length(self) -> String {
        format!("{}px", clamp(self.sheet.get(), self.sheet_range()))
    }

    /// The sizes that each panel may have in this window: from least to most.
    pub(crate) fn files_range(self) -> (i32, i32) {
        let beside = if self.narrow.get() {
            0
        } else if self.inspector_folded.get() {
            RAIL
        } else {
            self.inspector.get().min(240)
        };
        range(240, 720, self.window.get().0 - MAP_WIDTH - beside)
    }

    pub(crate) fn inspector_range(self) -> (i32, i32) {
        let beside = if self.files_folded.get() {
            RAIL
        } else {
            clamp(self.files.get(), self.files_range())
        };
        range(240, 560, self.window.get().0 - MAP_WIDTH - beside)
    }

    pub(crate) fn dock_range(self) -> (i32, i32) {
        range(96, 960, self.window.get().1 - BARS - MAP_HEIGHT)
    }

    pub(crate) fn lane_range(self) -> (i32, i32) {
        let dock = if self.is_dock_folded() {
            0
        } else {
            clamp(self.dock.get(), self.dock_range())
        };
        range(96, 640, self.window.get().1 - BARS - MAP_HEIGHT - dock)
    }

    pub(crate) fn sheet_range(self) -> (i32, i32) {
        range(96, 960, self.window.get().1 - NARROW_BARS - 40)
    }
}

/// A range whose upper end is what there is room for, though never below its lower end.
fn range(least: i32, most: i32, room: i32) -> (i32, i32) {
    (least, most.min(room).max(least))
}

fn clamp(size: i32, (least, most): (i32, i32)) -> i32 {
    size.min(most).max(least)
}

fn window_size() -> (i32, i32) {
    let number = |value: Result<wasm_bindgen::JsValue, _>| {
        value.ok().and_then(|v| v.as_f64()).map_or(0, |v| v as i32)
    };
    (
        number(window().inner_width()),
        number(window().inner_height()),
    )
}

/// What was remembered: lines `key=value`. What is missing or makes no sense is as usual.
struct Stored(String);

impl Stored {
    fn load() -> Stored {
        Stored(storage::get("layout").unwrap_or_default())
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(have, _)| *have == key)
            .map(|(_, value)| value)
    }

    fn number(&self, key: &str, usual: i32) -> i32 {
        let value = self.value(key).and_then(|value| value.parse().ok());
        value
            .filter(|number: &i32| (0..10_000).contains(number))
            .unwrap_or(usual)
    }

    fn flag(&self, key: &str, usual: bool) -> bool {
        self.value(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or(usual)
    }

    fn panel(&self, key: &str, among: &[Panel], usual: Panel) -> Panel {
        let id = self.value(key);
        among
            .iter()
            .copied()
            .find(|panel| id == Some(panel.id()))
            .unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn what_makes_no_sense_is_as_usual() {
        let stored =
            Stored("files=12px\ndock=500\nsheet=-1\ndock-tab=lane\nsheet-tab=lane\nbroken".into());
        assert_eq!(stored.number("files", 1), 1);
        assert_eq!(stored.number("dock", 1), 500);
        assert_eq!(stored.number("sheet", 1), 1);
        assert_eq!(
            stored.panel("dock-tab", &Panel::DOCK, Panel::Rules),
            Panel::Rules
        );
        assert_eq!(
            stored.panel("sheet-tab", &Panel::SHEET, Panel::Rules),
            Panel::Lane
        );
        assert!(stored.flag("broken", true));
    }

    #[wasm_bindgen_test]
    fn a_panel_never_shrinks_below_its_least() {
        assert_eq!(range(240, 720, 100), (240, 240));
        assert_eq!(clamp(900, range(240, 720, 500)), 500);
    }
}
