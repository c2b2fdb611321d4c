//! What rules of nftables did, in words.

use std::sync::Arc;

use super::{Words, before, say};
use crate::netfilter::nft::{Chain, MapRef, NatKind, Statement, Verdict, print_key};
use crate::trace::{Event, Layer};

/// The words of an event of nftables.
pub(super) fn words(event: &Event) -> Words {
    match event {
        Event::NftRule {
            table,
            chain,
            index,
            passed,
            said,
        } => {
            let at = *index as usize;
            let said = said.as_deref();
            let verdict = said.and_then(|said| said.verdict.as_ref());
            let found = said
                .and_then(|said| said.element.as_ref())
                .and_then(|key| found(chain, at, key));
            Words {
                table: Some(table.to_string().into()),
                chain: Some(chain.name.text()),
                rule: Some(at),
                rule_text: chain.rules.get(at).map(|rule| rule.text()),
                passed: *passed,
                ..rule(chain, at, *passed, verdict, found)
            }
        }
        Event::NftChainEnd {
            table,
            chain,
            passed,
        } => Words {
            table: Some(table.to_string().into()),
            chain: Some(chain.name.text()),
            passed: *passed,
            ..say(
                Layer::Netfilter,
                "return",
                format!(
                    "No further rule of {} decides: back to the chain that jumped here.",
                    chain.name
                ),
            )
        },
        Event::NftPolicy {
            table,
            chain,
            policy,
        } => {
            let name = policy.name().to_ascii_lowercase();
            Words {
                table: Some(table.to_string().into()),
                chain: Some(chain.name.text()),
                ..say(
                    Layer::Netfilter,
                    format!("policy {name}"),
                    format!("No rule of {} decides: its policy is {name}.", chain.name),
                )
            }
        }
        _ => say(Layer::Netfilter, "", ""),
    }
}

/// The element of a map that a rule found, and the map's name.
fn found(chain: &Arc<Chain>, index: usize, key: &crate::netfilter::nft::Key) -> Option<String> {
    let rule = chain.rules.get(index)?;
    let mut statements = rule.statements.iter();
    let (selectors, map) = statements.find_map(|statement| match statement {
        Statement::VerdictMap(selectors, map) => Some((selectors, map)),
        Statement::Nat(nat) => match &nat.to {
            crate::netfilter::nft::NatTo::Map(selectors, map) => Some((selectors, map)),
            _ => None,
        },
        _ => None,
    })?;
    let kinds: Vec<_> = selectors.iter().map(|s| s.kind()).collect();
    let mut text = String::new();
    print_key(&kinds, key, &mut text);
    Some(match map {
        MapRef::Named(name) => format!("the map {name} has the element {text}"),
        MapRef::Own(_) => format!("the draw, or the packet, gives {text}"),
    })
}

fn rule(
    chain: &Arc<Chain>,
    index: usize,
    passed: u32,
    verdict: Option<&Verdict>,
    found: Option<String>,
) -> Words {
    let before = before(passed);
    let rule = chain.rules.get(index);
    let (action, done) = match verdict {
        Some(Verdict::Accept) => (
            "accept".to_owned(),
            "this chain lets the packet pass".to_owned(),
        ),
        Some(Verdict::Drop) => (
            "drop".to_owned(),
            "the packet is dropped without a word".to_owned(),
        ),
        Some(Verdict::Return) => (
            "return".to_owned(),
            "back to the chain that jumped here".to_owned(),
        ),
        Some(Verdict::Jump(to)) => (format!("jump {to}"), format!("on in chain {to}")),
        Some(Verdict::Goto(to)) => (
            format!("goto {to}"),
            format!("on in chain {to}, without coming back here"),
        ),
        Some(Verdict::Continue) | None => {
            let statements = rule.map_or(&[][..], |rule| &rule.statements);
            let (action, done) = last_deed(statements);
            (action.to_owned(), done)
        }
    };
    let found = found.map_or_else(String::new, |found| format!("{found}: "));
    let comment = rule
        .and_then(|rule| rule.comment.as_ref())
        .map_or_else(String::new, |c| format!(" “{c}”"));
    say(
        Layer::Netfilter,
        action,
        format!(
            "Rule {}{comment} of {} matches{before}: {found}{done}.",
            index + 1,
            chain.name
        ),
    )
}

/// Is the packet's way over at a rule without a verdict?
pub(crate) fn refuses(chain: &Chain, index: u32) -> bool {
    let rule = chain.rules.get(index as usize);
    rule.is_some_and(|rule| last_deed(&rule.statements).0 == "reject")
}

/// What a rule without a verdict did.
fn last_deed(statements: &[Statement]) -> (&'static str, String) {
    for statement in statements.iter().rev() {
        return match statement {
            Statement::Nat(nat) => match nat.kind {
                NatKind::Dnat | NatKind::Redirect => (
                    "dnat",
                    "it gives the connection a new destination".to_owned(),
                ),
                NatKind::Snat => ("snat", "it gives the connection a new source".to_owned()),
                NatKind::Masquerade => (
                    "masquerade",
                    "the connection's source becomes the outgoing device's address".to_owned(),
                ),
            },
            Statement::Reject(with, _) => (
                "reject",
                format!("the packet is refused with {}", with.name()),
            ),
            Statement::SetMark(_) => ("mark", "it changes the packet's mark".to_owned()),
            Statement::Update { set, .. } => (
                "update",
                format!("it remembers the packet in the set {set}"),
            ),
            Statement::Notrack => ("notrack", "the packet is not tracked".to_owned()),
            Statement::Log(_) => ("log", "it writes to the kernel's log".to_owned()),
            Statement::Counter => (
                "count",
                "it counts the packet and does nothing else".to_owned(),
            ),
            Statement::Match { .. }
            | Statement::Limit(_)
            | Statement::VerdictMap(..)
            | Statement::Verdict(_) => continue,
        };
    }
    ("match", "it does nothing".to_owned())
}
