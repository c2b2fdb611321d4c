//! A node's rule book: chains from hook to verdict, with what a packet met in them.

use serde::{Deserialize, Serialize};

/// A table's chains, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleBook {
    /// The node.
    pub node: String,
    /// The table.
    pub table: String,
    /// The tables of the node that have rules.
    pub tables: Vec<String>,
    /// The Services that rules of this table are there for: `service:default/web`; as many as are listed.
    pub services: Vec<String>,
    /// The chains, built-in ones first, each followed by what it leads to.
    pub chains: Vec<ChainView>,
    /// How many chains are left out.
    pub more: usize,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainView {
    /// Its name.
    pub name: String,
    /// For a built-in chain: what becomes of a packet that nothing decided on.
    pub policy: Option<String>,
    /// How many jumps it is away from its hook.
    pub depth: usize,
    /// Whether the packet came through.
    pub lit: bool,
    /// Its rules.
    pub rules: Vec<RuleView>,
    /// How many rules are left out.
    pub more: usize,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleView {
    /// Its number in its chain, from 1.
    pub number: usize,
    /// As `iptables-save` prints it, without `-A CHAIN`.
    pub text: String,
    /// The target's name.
    pub target: String,
    /// Whether the target is a chain.
    pub jump: bool,
    /// How many packets matched.
    pub packets: u64,
    /// Whether the traced packet matched it.
    pub lit: bool,
    /// The Service that it is there for: `service:default/web`.
    pub object: Option<String>,
}
