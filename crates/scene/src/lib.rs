//! Pictures of a simulated cluster as plain data: what there is to draw, where it stands and how it is connected; and
//! the [`Engine`] that runs a simulation for whoever looks at it, and answers their requests.

pub mod commands;
pub mod conversation;
mod drawn;
pub mod engine;
pub mod faults;
pub mod find;
mod gap;
pub mod inside;
pub mod inspect;
pub mod kinship;
pub mod lane;
pub mod layout;
mod lessons;
pub mod map;
mod nft_rules;
mod rare;
mod rule_text;
pub mod rules;
mod score;
mod services;
pub mod svg;
pub mod times;
pub mod versions;
pub mod wiring;

pub use engine::Engine;
pub use layout::Layout;
pub use wiring::Wiring;
