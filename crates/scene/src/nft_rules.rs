//! The rule book of a table of nftables: base chains in the order in which they are asked, each followed by what it
//! leads to, by its rules or by maps.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_linux::netfilter::nft::{Chain, Family, MapRef, Rule, Statement, Table, Verdict};
use kubarium_linux::netfilter::{ChainName, Netfilter};
use kubarium_snapshot::rules::{ChainView, RuleBook, RuleView};

use crate::rules::{CHAINS_MAX, Lit, RULES_MAX};

/// The names of a node's own tables (of family ip).
pub(crate) fn tables(netfilter: &Netfilter) -> impl Iterator<Item = String> {
    let tables = netfilter.nft().into_iter().flat_map(|nft| nft.tables());
    let own = tables.filter(|table| table.family == Family::Ip);
    own.map(|table| table.name.to_string())
}

/// Fills a book, if there is such a table.
pub(crate) fn fill(book: &mut RuleBook, netfilter: &Netfilter, lit: &Lit, find: &str) {
    let table = netfilter
        .nft()
        .and_then(|nft| nft.table(Family::Ip, &book.table));
    let Some(table) = table else {
        return;
    };
    if !find.is_empty() {
        for chain in table.chains() {
            let hit = |rule: &&Rule| rule.text().contains(find);
            if !chain.name.as_str().contains(find) && chain.rules.iter().all(|rule| !hit(&rule)) {
                continue;
            }
            if book.chains.len() == CHAINS_MAX {
                book.more += 1;
                continue;
            }
            let whole = chain.name.as_str().contains(find);
            book.chains.push(view(
                chain,
                usize::from(chain.base.is_none()),
                lit,
                |rule| whole || hit(&rule),
            ));
        }
        return;
    }
    // Base chains, and last what nothing leads to.
    let mut first: Vec<&Arc<Chain>> = table.chains();
    first.sort_by_key(|chain| {
        chain.base.map_or((true, None), |base| {
            (false, Some((base.hook, base.priority)))
        })
    });
    let mut shown = BTreeSet::new();
    for chain in first {
        follow(book, table, chain, 0, lit, &mut shown);
    }
    book.more = table.chains().len().saturating_sub(book.chains.len());
}

fn follow(
    book: &mut RuleBook,
    table: &Table,
    chain: &Chain,
    depth: usize,
    lit: &Lit,
    shown: &mut BTreeSet<String>,
) {
    if book.chains.len() >= CHAINS_MAX || !shown.insert(chain.name.to_string()) {
        return;
    }
    book.chains.push(view(chain, depth, lit, |_| true));
    let mut next: Vec<&ChainName> = chain.rules.iter().flat_map(Rule::leads_to).collect();
    for map in chain.rules.iter().flat_map(named_maps) {
        next.extend(table.set(map).into_iter().flat_map(|map| map.leads_to()));
    }
    // What the packet met comes first: a map can lead to thousands.
    next.sort_by_key(|name| !lit.contains_key(name.as_str()));
    for name in next.into_iter().take(CHAINS_MAX) {
        if let Some(chain) = table.chain(name) {
            follow(book, table, chain, depth + 1, lit, shown);
        }
    }
}

/// A chain with those of its rules that are wanted; not more than are shown.
fn view(chain: &Chain, depth: usize, lit: &Lit, wanted: impl Fn(&Rule) -> bool) -> ChainView {
    let met = lit.get(chain.name.as_str());
    let object = service_of(chain.name.as_str());
    let rule = |(at, rule): (usize, &Rule)| {
        let (target, jump) = target(rule);
        RuleView {
            number: at + 1,
            text: rule.text(),
            target,
            jump,
            packets: 0,
            lit: met.is_some_and(|met| met.contains(&(at + 1))),
            object: object.clone(),
        }
    };
    let shown = chain.rules.iter().enumerate();
    let shown = shown.filter(|(_, rule)| wanted(rule)).take(RULES_MAX);
    let rules: Vec<RuleView> = shown.map(rule).collect();
    ChainView {
        name: chain.name.to_string(),
        policy: chain.base.map(|base| base.policy.name().to_owned()),
        depth,
        lit: met.is_some(),
        more: chain.rules.len() - rules.len(),
        rules,
    }
}

fn named_maps(rule: &Rule) -> impl Iterator<Item = &ChainName> {
    rule.statements
        .iter()
        .filter_map(|statement| match statement {
            Statement::VerdictMap(_, MapRef::Named(name)) => Some(name),
            _ => None,
        })
}

/// What a rule does in the end, and whether that is a chain.
fn target(rule: &Rule) -> (String, bool) {
    match rule.statements.last() {
        Some(Statement::Verdict(verdict @ (Verdict::Jump(_) | Verdict::Goto(_)))) => (
            verdict
                .chain()
                .map_or_else(String::new, ToString::to_string),
            true,
        ),
        Some(Statement::Verdict(verdict)) => (verdict.text(), false),
        Some(Statement::VerdictMap(_, MapRef::Named(name))) => (format!("@{name}"), false),
        Some(Statement::VerdictMap(..)) => ("vmap".to_owned(), false),
        Some(Statement::Nat(nat)) => (format!("{:?}", nat.kind).to_lowercase(), false),
        Some(Statement::Reject(..)) => ("reject".to_owned(), false),
        Some(Statement::SetMark(_)) => ("mark".to_owned(), false),
        Some(Statement::Update { set, .. }) => (format!("@{set}"), false),
        _ => (String::new(), false),
    }
}

/// The Service that a chain of kube-proxy's is there for: `service-2QRHZV4L-default/kubernetes/tcp/https`.
fn service_of(chain: &str) -> Option<String> {
    let (namespace, rest) = chain.split_once('/')?;
    let namespace = namespace.splitn(3, '-').nth(2)?;
    let service = rest.split('/').next()?;
    Some(format!("service:{namespace}/{service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_name_their_service() {
        let of = |chain: &str| service_of(chain);
        assert_eq!(
            of("endpoint-GTK6MW7G-my-ns/svc5/tcp/p80__10.180.0.3/80").as_deref(),
            Some("service:my-ns/svc5")
        );
        assert_eq!(of("services"), None);
    }
}
