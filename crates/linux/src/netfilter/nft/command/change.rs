//! What commands change: `nft add`, `insert`, `delete`, `flush` …

use std::sync::Arc;

use super::naming::{nothing_named, own_table, xtable};
use super::{Command, ElementVerb, Kind, Listing, Position, Read, Spot};
use crate::netfilter::edit::Edit;
use crate::netfilter::nft::block::{self, ChainBlock, SetBlock};
use crate::netfilter::nft::edit::{NewElement, Refused, Span, Transaction};
use crate::netfilter::nft::lexer::{Place, Problem, Token};
use crate::netfilter::nft::rules::ElementRead;
use crate::netfilter::nft::{Base, Chain, ChainType, Family, Rule, statement};
use crate::netfilter::{ChainName, Netfilter, Policy, TableKind};
use crate::time::Time;

fn refused(refused: Refused, at: Place) -> Problem {
    let text = match refused {
        Refused::Overlap => "conflicting intervals specified".to_owned(),
        other => format!("Could not process rule: {}", other.text()),
    };
    Problem::new(text, at)
}

/// Of what only the kernel notices that it is missing, nft says so as of any refusal, where it has no better idea.
fn not_found(problem: Problem) -> Problem {
    match problem.text == Refused::NotFound.text() {
        true => refused(Refused::NotFound, problem.at),
        false => problem,
    }
}

/// What of a command a refusal points at.
fn blamed(command: &Command, spot: &Spot) -> Place {
    match command {
        Command::AddTable(..)
        | Command::Delete(Kind::Table, _)
        | Command::Flush(Kind::Table, _) => spot.table_at,
        Command::AddChain(..) | Command::AddSet(..) | Command::Delete(..) | Command::Flush(..) => {
            spot.name_at
        }
        _ => spot.at,
    }
}

pub(super) fn carry_out(netfilter: &mut Netfilter, command: Command, now: Time) -> Read<()> {
    if let Command::FlushRuleset(family) = command {
        return flush_ruleset(netfilter, family, now);
    }
    let spot = spot_of(&command).clone();
    if let Some((_, kind)) = xtable(netfilter, &spot) {
        return change_xtable(netfilter, kind, command, &spot);
    }
    let makes = matches!(command, Command::AddTable(..));
    if !makes && let Err(problem) = own_table(netfilter, &spot) {
        return Err(match command {
            Command::Delete(Kind::Table, _) => not_found(problem),
            _ => problem,
        });
    }
    if let Some(problem) = missing(netfilter, &command, &spot) {
        return Err(match command {
            Command::Elements(..) | Command::DeleteRule(..) => problem,
            _ => not_found(problem),
        });
    }
    let blamed = blamed(&command, &spot);
    let (family, table, name) = (spot.family, spot.table.as_str(), &spot.name);
    let mut edit = Transaction::new(netfilter, now);
    let done = match command {
        Command::List(_) | Command::FlushRuleset(_) => Ok(()),
        Command::AddTable(_, comment, create) => {
            let made = edit.add_table(family, table, comment.as_deref());
            if create && !made {
                Err(Refused::Exists)
            } else {
                Ok(())
            }
        }
        Command::AddChain(_, block, create) => add_chain(&mut edit, &spot, block, create),
        Command::AddRule(_, position, rule) => add_at(&mut edit, &spot, position, *rule),
        Command::ReplaceRule(_, handle, rule) => edit
            .rule_with_handle(family, table, name, handle)
            .and_then(|at| {
                edit.delete_rule(family, table, name, at)?;
                edit.add_rule(family, table, name, Some(at), *rule)
            }),
        Command::DeleteRule(_, handle) => edit
            .rule_with_handle(family, table, name, handle)
            .and_then(|at| edit.delete_rule(family, table, name, at).map(drop)),
        Command::AddSet(_, block, create) => add_set(&mut edit, &spot, *block, create)?,
        Command::Elements(_, verb, tokens) => elements(&mut edit, &spot, verb, &tokens)?,
        Command::Delete(Kind::Table, _) => edit.delete_table(family, table),
        Command::Delete(Kind::Chain, _) => edit.delete_chain(family, table, name),
        Command::Delete(..) => edit.delete_set(family, table, name),
        Command::Flush(Kind::Table, _) => flush_table(&mut edit, family, table),
        Command::Flush(Kind::Chain, _) => edit.flush_chain(family, table, name),
        Command::Flush(..) => edit.flush_set(family, table, name),
        Command::Rename(_, to) => rename(&mut edit, &spot, &to),
    };
    done.and_then(|()| edit.commit())
        .map_err(|why| refused(why, blamed))
}

fn spot_of(command: &Command) -> &Spot {
    match command {
        Command::AddTable(spot, ..)
        | Command::AddChain(spot, ..)
        | Command::AddRule(spot, ..)
        | Command::ReplaceRule(spot, ..)
        | Command::DeleteRule(spot, ..)
        | Command::AddSet(spot, ..)
        | Command::Elements(spot, ..)
        | Command::Delete(_, spot)
        | Command::Flush(_, spot)
        | Command::Rename(spot, _)
        | Command::List(Listing::Table(spot) | Listing::Chain(spot) | Listing::Set(spot, _)) => {
            spot
        }
        Command::List(_) | Command::FlushRuleset(_) => {
            const NOWHERE: Place = Place {
                line: 0,
                from: 0,
                to: 0,
            };
            static EMPTY: std::sync::OnceLock<Spot> = std::sync::OnceLock::new();
            EMPTY.get_or_init(|| Spot {
                family: Family::Ip,
                table: String::new(),
                table_at: NOWHERE,
                name: ChainName::from(""),
                name_at: NOWHERE,
                at: NOWHERE,
            })
        }
    }
}

/// The chain or set that a command names and that is not there.
fn missing(netfilter: &Netfilter, command: &Command, spot: &Spot) -> Option<Problem> {
    let table = own_table(netfilter, spot).ok()?;
    let chain_missing = || {
        let chains = table.chains();
        let names = chains.iter().map(|c| c.name.as_str());
        table
            .chain(&spot.name)
            .is_none()
            .then(|| nothing_named(spot, "chain", names))
    };
    let set_missing = |word: &str| {
        let names = table.sets().into_iter().map(|(name, _)| name.as_str());
        table
            .set(&spot.name)
            .is_none()
            .then(|| nothing_named(spot, word, names))
    };
    match command {
        Command::AddRule(..)
        | Command::ReplaceRule(..)
        | Command::DeleteRule(..)
        | Command::Delete(Kind::Chain, _)
        | Command::Flush(Kind::Chain, _)
        | Command::Rename(..) => chain_missing(),
        Command::Elements(..) | Command::Delete(Kind::Set, _) | Command::Flush(Kind::Set, _) => {
            set_missing("set")
        }
        Command::Delete(Kind::Map, _) | Command::Flush(Kind::Map, _) => set_missing("map"),
        _ => None,
    }
}

fn flush_ruleset(netfilter: &mut Netfilter, family: Option<Family>, now: Time) -> Read<()> {
    let wanted = |f: Family| family.is_none_or(|family| family == f);
    let tables: Vec<(Family, TableKind)> = netfilter
        .xtables()
        .into_iter()
        .map(|(_, family, kind, _)| (family, kind))
        .collect();
    for (family, kind) in tables.into_iter().filter(|t| wanted(t.0)) {
        netfilter.remove_table(family, kind);
    }
    let own: Vec<(Family, Arc<str>)> = netfilter
        .nft()
        .into_iter()
        .flat_map(|n| n.tables())
        .map(|t| (t.family, t.name.clone()))
        .collect();
    if own.is_empty() {
        return Ok(());
    }
    let mut edit = Transaction::new(netfilter, now);
    for (family, name) in own.into_iter().filter(|t| wanted(t.0)) {
        // It is there: it was listed just now.
        let _ = edit.delete_table(family, &name);
    }
    edit.commit().map_err(|why| refused(why, Place::default()))
}

fn change_xtable(
    netfilter: &mut Netfilter,
    kind: TableKind,
    command: Command,
    spot: &Spot,
) -> Read<()> {
    let mine = |what: &str| {
        Err(Problem::new(
            format!("{what} a table of iptables by nft: not simulated yet"),
            spot.at,
        ))
    };
    match command {
        Command::AddTable(_, _, false) => Ok(()),
        Command::AddTable(..) => Err(refused(Refused::Exists, spot.table_at)),
        Command::Delete(Kind::Table, _) => {
            netfilter.remove_table(spot.family, kind);
            Ok(())
        }
        _ if spot.family != Family::Ip => mine("changes in"),
        Command::Flush(Kind::Table, _) => {
            let table = netfilter.table(kind).cloned();
            let chains = table.as_ref().map(|t| t.made()).unwrap_or_default();
            let mut edit = Edit::new(netfilter, kind);
            for chain in chains {
                // It is there: it was listed just now.
                let _ = edit.flush(&chain.name);
            }
            edit.commit()
                .map_err(|_| refused(Refused::Invalid, spot.at))
        }
        Command::Flush(Kind::Chain, _) | Command::Delete(Kind::Chain, _) => {
            let delete = matches!(command, Command::Delete(..));
            let mut edit = Edit::new(netfilter, kind);
            let done = if delete {
                edit.flush(&spot.name)
                    .and_then(|()| edit.remove(&spot.name))
            } else {
                edit.flush(&spot.name)
            };
            match done.and_then(|()| edit.commit()) {
                Ok(()) => Ok(()),
                Err(crate::netfilter::edit::Refusal::NoChain) => {
                    Err(nothing_named(spot, "chain", std::iter::empty()))
                }
                Err(_) => Err(refused(Refused::Busy, spot.name_at)),
            }
        }
        _ => mine("changes in"),
    }
}

fn add_chain(
    edit: &mut Transaction,
    spot: &Spot,
    block: ChainBlock,
    create: bool,
) -> Result<(), Refused> {
    let (family, table) = (spot.family, spot.table.as_str());
    let old = edit.table(family, table).and_then(|t| t.chain(&spot.name));
    let mut chain = match old {
        Some(_) if create => return Err(Refused::Exists),
        Some(old) => {
            // Only the policy can be changed.
            let moved = |base: Base, old: Option<Base>| {
                old.is_none_or(|o| {
                    (o.kind, o.hook, o.priority) != (base.kind, base.hook, base.priority)
                })
            };
            if block.base.is_some_and(|base| moved(base, old.base)) {
                return Err(if old.base.is_none() {
                    Refused::Exists
                } else {
                    Refused::Busy
                });
            }
            (**old).clone()
        }
        None => Chain {
            name: spot.name.clone(),
            base: block.base,
            comment: block.comment,
            rules: Vec::new(),
        },
    };
    if let (Some(policy), Some(base)) = (block.policy, &mut chain.base) {
        if base.kind == ChainType::Nat && policy == Policy::Drop {
            return Err(Refused::Invalid);
        }
        base.policy = policy;
    }
    edit.put_chain(family, table, chain)?;
    for rule in block.rules {
        edit.add_rule(family, table, &spot.name, None, rule)?;
    }
    Ok(())
}

fn add_at(
    edit: &mut Transaction,
    spot: &Spot,
    position: Position,
    rule: Rule,
) -> Result<(), Refused> {
    let (family, table, name) = (spot.family, spot.table.as_str(), &spot.name);
    let count = edit
        .table(family, table)
        .and_then(|t| t.chain(name))
        .map_or(0, |c| c.rules.len());
    let at = match position {
        Position::End => None,
        Position::Start => Some(0),
        Position::Before(handle) => Some(edit.rule_with_handle(family, table, name, handle)?),
        Position::After(handle) => Some(edit.rule_with_handle(family, table, name, handle)? + 1),
        Position::Index(at, _) if at >= count => return Err(Refused::NotFound),
        Position::Index(at, true) => Some(at),
        Position::Index(at, false) => Some(at + 1),
    };
    edit.add_rule(family, table, name, at, rule)
}

fn add_set(
    edit: &mut Transaction,
    spot: &Spot,
    block: SetBlock,
    create: bool,
) -> Read<Result<(), Refused>> {
    let (family, table) = (spot.family, spot.table.as_str());
    let known = edit.table(family, table).and_then(|t| t.set(&spot.name));
    if create && known.is_some() {
        return Ok(Err(Refused::Exists));
    }
    if let Err(why) = edit.add_set(family, table, &spot.name, block.set) {
        return Ok(Err(why));
    }
    for read in block.elements {
        let at = read.at;
        let added = edit.add_element(family, table, &spot.name, new_element(read), false);
        if let Err(why) = added {
            return Err(refused(why, at));
        }
    }
    Ok(Ok(()))
}

fn new_element(read: ElementRead) -> NewElement {
    NewElement {
        from: read.from,
        to: read.to,
        element: read.element,
        span: Span(read.timeout),
    }
}

fn elements(
    edit: &mut Transaction,
    spot: &Spot,
    verb: ElementVerb,
    tokens: &[Token],
) -> Read<Result<(), Refused>> {
    let (family, table) = (spot.family, spot.table.as_str());
    let Some(set) = edit.table(family, table).and_then(|t| t.set(&spot.name)) else {
        return Ok(Err(Refused::NotFound));
    };
    let mut kind = (**set).clone();
    kind.elements.clear();
    kind.intervals.clear();
    if verb == ElementVerb::Delete && !tokens.iter().any(|t| t.text == ":" && !t.quoted) {
        // What an element leads to need not be said to delete it.
        kind.data = None;
    }
    for read in block::elements(tokens, &mut kind)? {
        let at = read.at;
        let done = match verb {
            ElementVerb::Delete => {
                edit.delete_element(family, table, &spot.name, (read.from, read.to))
            }
            _ => {
                let create = verb == ElementVerb::Create;
                edit.add_element(family, table, &spot.name, new_element(read), create)
            }
        };
        if let Err(why) = done {
            return Err(refused(why, at));
        }
    }
    Ok(Ok(()))
}

fn flush_table(edit: &mut Transaction, family: Family, table: &str) -> Result<(), Refused> {
    let names: Vec<ChainName> = edit
        .table(family, table)
        .ok_or(Refused::NotFound)?
        .chain_names()
        .cloned()
        .collect();
    for name in names {
        edit.flush_chain(family, table, &name)?;
    }
    Ok(())
}

fn rename(edit: &mut Transaction, spot: &Spot, to: &ChainName) -> Result<(), Refused> {
    let (family, table) = (spot.family, spot.table.as_str());
    let known = edit.table(family, table).ok_or(Refused::NotFound)?;
    if known.chain(to).is_some() {
        return Err(Refused::Exists);
    }
    let old = known.chain(&spot.name).ok_or(Refused::NotFound)?;
    let new = Chain {
        name: to.clone(),
        ..(**old).clone()
    };
    let from = spot.name.clone();
    let chains: Vec<Arc<Chain>> = known.chains().into_iter().cloned().collect();
    edit.put_chain(family, table, new)?;
    for chain in chains {
        let mut changed = (*chain).clone();
        for rule in &mut changed.rules {
            for part in &mut rule.statements {
                if let statement::Statement::Verdict(
                    statement::Verdict::Jump(name) | statement::Verdict::Goto(name),
                ) = part
                    && *name == from
                {
                    *name = to.clone();
                }
            }
        }
        if changed != *chain && chain.name != from {
            edit.put_chain(family, table, changed)?;
        }
    }
    edit.delete_chain(family, table, &from)
}
