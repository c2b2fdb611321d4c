//! The command kubarium.

fn main() {}
