//! `nft -j list …`

use super::naming::{all_tables, nothing_named, own_table, xtable};
use super::show::{kept_set, xtable_of};
use super::{Kind, Listing, Read, Spot};
use crate::netfilter::nft::json;
use crate::netfilter::nft::list::Lister;
use crate::netfilter::nft::{Family, Table};
use crate::tools::json::Json;

pub(super) fn list(lister: &Lister, listing: Listing, out: &mut Vec<Json>) -> Read<()> {
    let netfilter = lister.netfilter;
    let wanted = |family: Option<Family>| {
        let tables = all_tables(netfilter).into_iter();
        tables.filter(move |t| family.is_none_or(|f| f == t.1))
    };
    match listing {
        Listing::Nothing => {}
        Listing::Tables(family) => {
            out.extend(wanted(family).map(|(made, family, name)| json::table(family, &name, made)));
        }
        Listing::Ruleset(family) => {
            for (_, family, name) in wanted(family) {
                table(lister, &Spot::table(family, name), out)?;
            }
        }
        Listing::Table(spot) => table(lister, &spot, out)?,
        Listing::Chains(family) => {
            for (_, family, name) in wanted(family) {
                let mut lines = Vec::new();
                table(lister, &Spot::table(family, name), &mut lines)?;
                out.extend(lines.into_iter().filter(|line| line.is_of("chain")));
            }
        }
        Listing::Sets(family, kind) => {
            let own = netfilter.nft().into_iter().flat_map(|n| n.tables());
            for table in own.filter(|t| family.is_none_or(|f| f == t.family)) {
                let sets = table.sets.listed().into_iter();
                let alike = sets.filter(|s| s.2.data.is_some() == (kind == Kind::Map));
                out.extend(
                    alike.map(|(handle, name, set)| lister.set_json(table, name, handle, set)),
                );
            }
        }
        Listing::Chain(spot) => chain(lister, &spot, out)?,
        Listing::Set(spot, kind) => {
            let (table, set) = kept_set(netfilter, &spot, kind)?;
            let handle = table.sets.handle(&spot.name).unwrap_or(0);
            out.push(lister.set_json(table, &spot.name, handle, set));
        }
    }
    Ok(())
}

fn table(lister: &Lister, spot: &Spot, out: &mut Vec<Json>) -> Read<()> {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        if let Some(table) = xtable_of(netfilter, spot.family, kind) {
            lister.xtables_json(spot.family, kind, made, table, None, out);
        }
        return Ok(());
    }
    lister.table_json(own_table(netfilter, spot)?, out);
    Ok(())
}

fn chain(lister: &Lister, spot: &Spot, out: &mut Vec<Json>) -> Read<()> {
    let netfilter = lister.netfilter;
    let name = spot.name.as_str();
    if let Some((made, kind)) = xtable(netfilter, spot) {
        let table = xtable_of(netfilter, spot.family, kind);
        let before = out.len();
        if let Some(table) = table {
            lister.xtables_json(spot.family, kind, made, table, Some(name), out);
        }
        if out.len() == before {
            let chains = table.map(|t| t.made()).unwrap_or_default();
            let names = chains.iter().map(|c| c.name.as_str());
            return Err(nothing_named(spot, "chain", names));
        }
        return Ok(());
    }
    let table: &Table = own_table(netfilter, spot)?;
    let Some(chain) = table.chain(&spot.name) else {
        let chains = table.chains();
        let names = chains.iter().map(|c| c.name.as_str());
        return Err(nothing_named(spot, "chain", names));
    };
    let handle = table.chains.handle(&spot.name).unwrap_or(0);
    out.push(json::chain(table.family, &table.name, handle, chain));
    lister.rules_json(table, handle, chain, out);
    Ok(())
}
