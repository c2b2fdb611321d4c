//! Plain-data pictures of a simulation, and the messages between it and whoever looks at it.
//!
//! This crate knows no cluster: a page that is built on it shows and asks, and a simulator beside it (`kubarium-scene`)
//! makes the pictures and answers. Both sides speak [`message`]s in a compact binary form.

pub mod change;
pub mod conversation;
pub mod geometry;
pub mod inside;
pub mod inspect;
pub mod lane;
pub mod lesson;
pub mod map;
pub mod message;
pub mod rare;
pub mod rules;
pub mod text;
pub mod time;

pub use change::MapChange;
pub use lane::Lane;
pub use map::Map;
pub use message::{FromSimulator, Reply, Request, ToSimulator, Update};
