//! `ssh NODE COMMAND…`: the tools of a node.

use crate::registry;
use crate::session::{Finished, Session};

pub(crate) fn run(_: &mut Session, argv: &[String], _: Vec<u8>) -> Finished {
    Finished::failed(1, registry::not_yet(&argv.join(" "), "") + "\n")
}
