//! `nft list …`

use super::naming::{all_tables, nothing_named, own_table, xtable};
use super::{Kind, Listing, Read, Spot};
use crate::netfilter::nft::list::Lister;
use crate::netfilter::nft::xtables::warning;
use crate::netfilter::nft::{Family, Set, Table};
use crate::netfilter::{Netfilter, TableKind};
use crate::tools::Output;

pub(super) fn list(lister: &Lister, listing: Listing, output: &mut Output) -> Read<()> {
    let netfilter = lister.netfilter;
    let out = &mut output.stdout;
    let wanted = |family: Option<Family>| {
        let tables = all_tables(netfilter);
        tables
            .into_iter()
            .filter(move |t| family.is_none_or(|f| f == t.1))
    };
    match listing {
        Listing::Nothing => {}
        Listing::Tables(family) => {
            for (made, family, name) in wanted(family) {
                out.push_str(&format!("table {} {name}", family.name()));
                if lister.style.handles {
                    out.push_str(&format!(" # handle {made}"));
                }
                out.push('\n');
            }
        }
        Listing::Ruleset(family) => {
            for (_, family, name) in wanted(family) {
                list_table(lister, &Spot::table(family, name), output)?;
            }
        }
        Listing::Table(spot) => list_table(lister, &spot, output)?,
        Listing::Chains(family) => {
            for (_, family, name) in wanted(family) {
                list_chain_heads(lister, &Spot::table(family, name), out);
            }
        }
        Listing::Sets(family, kind) => {
            for (_, family, name) in wanted(family) {
                let spot = Spot::table(family, name);
                if let Some((made, kind)) = xtable(netfilter, &spot) {
                    lister.xtables_head(family, kind, made, out);
                } else if let Ok(table) = own_table(netfilter, &spot) {
                    lister.head(table, out);
                    for (handle, name, set) in table.sets.listed() {
                        if set.data.is_some() == (kind == Kind::Map) {
                            lister.set(table, name, handle, set, out);
                        }
                    }
                }
                out.push_str("}\n");
            }
        }
        Listing::Chain(spot) => list_chain(lister, &spot, out)?,
        Listing::Set(spot, kind) => {
            let (table, set) = kept_set(netfilter, &spot, kind)?;
            lister.head(table, out);
            let handle = table.sets.handle(&spot.name).unwrap_or(0);
            lister.set(table, &spot.name, handle, set, out);
            out.push_str("}\n");
        }
    }
    Ok(())
}

fn list_table(lister: &Lister, spot: &Spot, output: &mut Output) -> Read<()> {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        if let Some(table) = xtable_of(netfilter, spot.family, kind) {
            output.stderr += &warning(spot.family, kind, table);
            lister.xtables(spot.family, kind, made, table, &mut output.stdout);
        }
        return Ok(());
    }
    lister.table(own_table(netfilter, spot)?, &mut output.stdout);
    Ok(())
}

/// The set or map that a command names.
pub(super) fn kept_set<'a>(
    netfilter: &'a Netfilter,
    spot: &Spot,
    kind: Kind,
) -> Read<(&'a Table, &'a Set)> {
    let table = own_table(netfilter, spot)?;
    let found = table
        .set(&spot.name)
        .filter(|set| set.data.is_some() == (kind == Kind::Map));
    if let Some(set) = found {
        return Ok((&**table, &**set));
    }
    let word = if kind == Kind::Map { "map" } else { "set" };
    let names = table.sets().into_iter();
    let alike = names.filter(|(_, set)| set.word() == word);
    Err(nothing_named(
        spot,
        word,
        alike.map(|(name, _)| name.as_str()),
    ))
}

pub(super) fn xtable_of(
    netfilter: &Netfilter,
    family: Family,
    kind: TableKind,
) -> Option<&crate::netfilter::Table> {
    match family {
        Family::Ip => netfilter.table(kind),
        Family::Ip6 => netfilter.table6(kind),
        // iptables has none.
        Family::Inet => None,
    }
}

fn list_chain_heads(lister: &Lister, spot: &Spot, out: &mut String) {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        lister.xtables_head(spot.family, kind, made, out);
        let table = xtable_of(netfilter, spot.family, kind);
        for chain in table.into_iter().flat_map(|t| t.made()) {
            lister.xtables_chain_head(kind, chain, out);
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    } else if let Ok(table) = own_table(netfilter, spot) {
        lister.head(table, out);
        for (handle, _, chain) in table.chains.listed() {
            lister.chain_head(handle, chain, out);
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    }
}

fn list_chain(lister: &Lister, spot: &Spot, out: &mut String) -> Read<()> {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        let chains = xtable_of(netfilter, spot.family, kind).map(|t| t.made());
        let chains = chains.unwrap_or_default();
        let Some(chain) = chains.iter().find(|c| c.name == spot.name) else {
            let names = chains.iter().map(|c| c.name.as_str());
            return Err(nothing_named(spot, "chain", names));
        };
        lister.xtables_head(spot.family, kind, made, out);
        lister.xtables_chain(kind, chain, out);
        out.push_str("}\n");
        return Ok(());
    }
    let table = own_table(netfilter, spot)?;
    let Some(chain) = table.chain(&spot.name) else {
        let chains = table.chains();
        let names = chains.iter().map(|c| c.name.as_str());
        return Err(nothing_named(spot, "chain", names));
    };
    lister.head(table, out);
    let handle = table.chains.handle(&spot.name).unwrap_or(0);
    lister.chain(table, handle, chain, out);
    out.push_str("}\n");
    Ok(())
}
