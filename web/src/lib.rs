//! Kubarium in the browser: views that read plain data and send commands. No simulation logic lives here.
//!
//! The shell ([`layout`]) gives every panel its place; each panel is a file of its own.

mod aims;
mod app;
mod bar;
pub mod clock;
mod crash;
mod deeds;
mod depths;
mod drawing;
pub mod editor;
mod faults;
mod files;
mod filter;
mod icons;
mod inside;
mod inspector;
mod lane;
mod layout;
mod learn;
mod lessons;
mod link;
mod manifests;
mod map;
mod menu;
mod moment;
mod notices;
mod objects;
mod outline;
mod packet;
mod paint;
mod palette;
mod panels;
mod parts;
mod picture;
mod pictures;
mod places;
mod player;
mod preview;
mod rules;
mod scheduling;
mod sequence;
mod settings;
mod shortcuts;
mod simulator;
mod splitter;
mod storage;
mod tabs;
mod terminal;
mod text;
mod theme;
mod thing_menu;
mod timeline;

/// Shows the page in the element `#app`, and from then on shows a readable panel should anything panic.
pub fn start() {
    crash::install();
    text::choose(app::mount);
}

#[cfg(test)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
