//! What the parts of a cluster do, in worlds of a few lines.

mod attach;
mod common;
mod controllers;
mod devices;
mod features;
mod kubelet;
mod lifecycle;
mod promises;
mod taints;
