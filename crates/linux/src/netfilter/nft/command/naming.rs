//! Tables, chains and sets by the names that a command gives, and what was perhaps meant where there is none.

use std::sync::Arc;

use super::{Read, Spot};
use crate::netfilter::nft::lexer::Problem;
use crate::netfilter::nft::{Family, Nftables, Table};
use crate::netfilter::{Netfilter, TableKind};

/// The table of iptables that a name means.
pub(super) fn xtable(netfilter: &Netfilter, spot: &Spot) -> Option<(u32, TableKind)> {
    let tables = netfilter.xtables();
    let mut tables = tables.iter();
    tables
        .find(|(_, family, kind, _)| *family == spot.family && kind.name() == spot.table)
        .map(|(made, _, kind, _)| (*made, *kind))
}

/// The names of all tables, in the order in which they were made.
pub(super) fn all_tables(netfilter: &Netfilter) -> Vec<(u64, Family, String)> {
    let mut all: Vec<(u64, Family, String)> = netfilter
        .xtables()
        .into_iter()
        .map(|(made, family, kind, _)| (u64::from(made), family, kind.name().to_owned()))
        .collect();
    let own = netfilter.nft().into_iter().flat_map(|n| n.tables());
    all.extend(own.map(|t| (t.made, t.family, t.name.to_string())));
    all.sort_by_key(|t| t.0);
    all
}

/// "No such file or directory", with what was perhaps meant.
pub(super) fn no_table(netfilter: &Netfilter, spot: &Spot) -> Problem {
    let tables = all_tables(netfilter);
    let mut best: Option<(usize, &(u64, Family, String))> = None;
    for table in &tables {
        if table.2 == spot.table {
            best = Some((0, table));
            break;
        }
        if let Some(distance) = misspelt(&table.2, &spot.table)
            && best.is_none_or(|b| distance < b.0)
        {
            best = Some((distance, table));
        }
    }
    let text = match best {
        Some((_, (_, family, name))) => format!(
            "No such file or directory; did you mean table ‘{name}’ in family {}?",
            family.name()
        ),
        None => "No such file or directory".to_owned(),
    };
    Problem::new(text, spot.table_at)
}

/// The same for a chain, a set or a map of a table that is there.
pub(super) fn nothing_named<'a>(
    spot: &Spot,
    kind: &str,
    names: impl Iterator<Item = &'a str>,
) -> Problem {
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        if let Some(distance) = misspelt(name, spot.name.as_str())
            && best.is_none_or(|b| distance < b.0)
        {
            best = Some((distance, name));
        }
    }
    let text = match best {
        Some((_, name)) => format!(
            "No such file or directory; did you mean {kind} ‘{name}’ in table {} ‘{}’?",
            spot.family.name(),
            spot.table
        ),
        None => "No such file or directory".to_owned(),
    };
    Problem::new(text, spot.name_at)
}

/// How far two names are from each other, if near enough to be meant (`string_misspell_update`).
pub(super) fn misspelt(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (longest, shortest) = (a.len().max(b.len()), a.len().min(b.len()));
    if longest <= 1 {
        return None;
    }
    let threshold = if longest - shortest > 1 {
        (longest - shortest).max(longest) / 3
    } else {
        longest.div_ceil(3)
    }
    .max(1);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last()
        .copied()
        .filter(|distance| *distance <= threshold)
}

pub(super) fn own_table<'a>(netfilter: &'a Netfilter, spot: &Spot) -> Read<&'a Arc<Table>> {
    netfilter
        .nft()
        .and_then(|n: &Arc<Nftables>| n.table(spot.family, &spot.table))
        .ok_or_else(|| no_table(netfilter, spot))
}
