//! kubectl, node tools and the simulator's own commands: what people type and what they read.
//!
//! A [`Session`] is a terminal on a simulated cluster. [`registry::entries`] says what is there and
//! what is not.

mod cause;
pub mod complete;
pub mod editor;
mod etcdctl;
mod fault;
mod kubeconfig;
mod kubectl;
pub mod registry;
mod session;
mod sim;
mod ssh;
pub mod state;
mod visit;

pub use kubarium_objects::printers::table;
pub use kubarium_posix::Complete;
pub use session::{Going, Output, Place, Session, Stream};

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
