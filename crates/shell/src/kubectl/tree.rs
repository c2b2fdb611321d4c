//! All commands of kubectl, in the order in which its help lists them.

use super::command::Command;
use super::commands;

/// The commands behind `kubectl`.
pub(crate) const ROOT: &[Command] = &[
    commands::create::COMMAND,
    commands::get::COMMAND,
    commands::delete::COMMAND,
    commands::scale::COMMAND,
    commands::apply::COMMAND,
];
