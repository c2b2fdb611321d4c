//! Kubarium in the browser.

fn main() {}
