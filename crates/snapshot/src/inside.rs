//! What is inside a network namespace: its devices, routes, neighbours, sockets and what else the kernel keeps, as
//! tables whose cells know which object they are about.

use serde::{Deserialize, Serialize};

/// A network namespace from inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// Whose it is: `node:worker-1`, `pod:default/web-1`.
    pub id: String,
    /// Its tables, those without rows left out.
    pub tables: Vec<Table>,
}

/// What a table lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TableKind {
    /// Network devices with their addresses.
    Links,
    /// The main routing table, and those that people made.
    Routes,
    /// Which Ethernet address an address has.
    Neighbours,
    /// Which Ethernet address is behind which port, or which host of the overlay.
    Fdb,
    /// What accepts connections.
    Sockets,
    /// What runs.
    Processes,
    /// The connections that are tracked.
    Conntrack,
    /// Built-in chains with their policies, and how many rules hang on them.
    Chains,
    /// Sets of addresses.
    IpSets,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it lists.
    pub kind: TableKind,
    /// The names of its columns, as the tools call them.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// How many rows are left out.
    pub more: usize,
    /// The command line that prints it.
    pub command: String,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is known by while its cells change.
    pub key: String,
    /// A cell for each column.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What stands there.
    pub text: String,
    /// The id of the object that it is about; empty where it is about none.
    pub to: String,
}
