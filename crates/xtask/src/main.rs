//! Builds, serves, tests and measures Kubarium.

fn main() {}
