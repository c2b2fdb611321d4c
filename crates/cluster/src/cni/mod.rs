//! The CNI: what gives pods their network.

pub mod flannel_rules;
