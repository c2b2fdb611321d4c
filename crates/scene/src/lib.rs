//! What there is to draw, where it stands and how it is connected: plain-data snapshots of a
//! cluster, without a DOM.

pub mod conversation;
pub mod geometry;
pub mod kinship;
pub mod lane;
pub mod layout;
pub mod map;
pub mod rules;
pub mod wiring;

pub use lane::Lane;
pub use layout::Layout;
pub use map::Map;
pub use wiring::Wiring;
