//! The shell and its tools, by one helper.

mod common;
mod differential;
mod language;
mod machine;
mod tools;
