//! A node's rule book: chains from hook to verdict, with what a packet met in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::nft_rules;
use kubarium_cluster::Cluster;
use kubarium_linux::netfilter::{Chain, Netfilter, TableKind, Target};
use kubarium_snapshot::Lane;
use kubarium_snapshot::rules::{ChainView, RuleBook, RuleView};

/// The most rules of a chain that are shown; the others are counted.
pub(crate) const RULES_MAX: usize = 60;
/// The most chains that are shown.
pub(crate) const CHAINS_MAX: usize = 200;

/// The tables of a node that have rules.
pub fn tables(cluster: &Cluster, node: &str) -> Vec<String> {
    let Some(netfilter) = netfilter(cluster, node) else {
        return Vec::new();
    };
    let all = [
        TableKind::Raw,
        TableKind::Mangle,
        TableKind::Nat,
        TableKind::Filter,
    ];
    all.into_iter()
        .filter(|kind| netfilter.table(*kind).is_some())
        .map(|kind| kind.name().to_owned())
        .chain(nft_rules::tables(netfilter))
        .collect()
}

/// The command that prints a table on its node.
pub(crate) fn command(cluster: &Cluster, node: &str, table: &str) -> String {
    let is_nft = TableKind::parse(table).is_none()
        && netfilter(cluster, node).is_some_and(|n| nft_rules::tables(n).any(|t| t == table));
    if is_nft {
        format!("nft list table ip {table}")
    } else {
        format!("iptables-save -t {table}")
    }
}

/// The most Services that are listed.
const SERVICES_MAX: usize = 500;

/// The rule book of a node's table; with a lane, what its packet met is lit; with `find`, only chains with a rule in
/// whose text or Service that stands.
pub fn rule_book(
    cluster: &Cluster,
    node: &str,
    table: &str,
    lane: Option<&Lane>,
    find: &str,
) -> RuleBook {
    let mut book = RuleBook {
        node: node.to_owned(),
        table: table.to_owned(),
        tables: tables(cluster, node),
        ..RuleBook::default()
    };
    let services = cluster.etcd.list("services", None).take(SERVICES_MAX);
    book.services = services
        .map(|(key, _)| format!("{}/{}", key.namespace, key.name))
        .collect();
    let Some(netfilter) = netfilter(cluster, node) else {
        return book;
    };
    let lit = lit(node, table, lane);
    let Some(kind) = TableKind::parse(table) else {
        nft_rules::fill(&mut book, netfilter, &lit, find);
        return book;
    };
    let Some(found) = netfilter.table(kind) else {
        return book;
    };
    if !find.is_empty() {
        let built_in = found.chains().into_iter().filter(|c| c.policy.is_some());
        let mut waiting: Vec<(usize, &Chain)> = built_in.map(|chain| (0, &**chain)).collect();
        waiting.reverse();
        let mut seen = BTreeSet::new();
        while let Some((depth, chain)) = waiting.pop() {
            if !seen.insert(chain.name.as_str()) {
                continue;
            }
            let jumps = chain.rules.iter().rev();
            let jumps = jumps.filter_map(|rule| match &rule.target {
                Target::Jump(to) | Target::Goto(to) => netfilter.chain(kind, to.as_str()),
                _ => None,
            });
            waiting.extend(jumps.map(|chain| (depth + 1, &**chain)));
            let hit = |at: &usize| chain.rule_text(*at).contains(find);
            let rules: Vec<usize> = (0..chain.rules.len()).filter(hit).collect();
            if rules.is_empty() && !chain.name.as_str().contains(find) {
                continue;
            }
            if book.chains.len() == CHAINS_MAX {
                book.more += 1;
                continue;
            }
            // A chain of the Service's own is shown whole, of others what has to do with it.
            let whole = rules.len() == chain.rules.len() || rules.is_empty();
            let wanted = |at: &usize| whole || rules.contains(at);
            book.chains
                .push(view(netfilter, kind, chain, depth, &lit, wanted));
        }
        return book;
    }
    let mut shown = BTreeSet::new();
    // Built-in chains come first, and last what no rule leads to: by such chains kubelet and kube-proxy see that
    // somebody has flushed the rules.
    for chain in found.chains() {
        follow(&mut book, netfilter, kind, chain, 0, &lit, &mut shown);
    }
    book.more = found.chains().len().saturating_sub(book.chains.len());
    book
}

fn netfilter<'a>(cluster: &'a Cluster, node: &str) -> Option<&'a Netfilter> {
    let machine = cluster.machines.get(node)?;
    Some(&cluster.net.namespace(machine.netns)?.netfilter)
}

pub(crate) type Lit = BTreeMap<String, BTreeSet<usize>>;

/// The rules that the lane's packet met on this node, by chain.
fn lit(node: &str, table: &str, lane: Option<&Lane>) -> Lit {
    let mut lit = Lit::new();
    let rules = lane
        .into_iter()
        .flat_map(|lane| &lane.steps)
        .filter_map(|step| step.rule.as_ref());
    for rule in rules.filter(|rule| rule.netns == node && rule.table == table) {
        lit.entry(rule.chain.clone()).or_default().insert(rule.rule);
    }
    lit
}

/// A chain, and then the chains that it leads to; each once.
fn follow(
    book: &mut RuleBook,
    netfilter: &Netfilter,
    kind: TableKind,
    chain: &Chain,
    depth: usize,
    lit: &Lit,
    shown: &mut BTreeSet<String>,
) {
    if book.chains.len() >= CHAINS_MAX || !shown.insert(chain.name.to_string()) {
        return;
    }
    // What the packet met is shown wherever it stands in a long chain.
    let met = lit.get(chain.name.as_str());
    let wanted = |at: &usize| *at < RULES_MAX || met.is_some_and(|met| met.contains(&(at + 1)));
    book.chains
        .push(view(netfilter, kind, chain, depth, lit, wanted));
    for rule in &chain.rules {
        if let Target::Jump(to) | Target::Goto(to) = &rule.target
            && let Some(next) = netfilter.chain(kind, to.as_str())
        {
            follow(book, netfilter, kind, next, depth + 1, lit, shown);
        }
    }
}

/// A chain with those of its rules that are wanted; not more than are shown.
fn view(
    netfilter: &Netfilter,
    kind: TableKind,
    chain: &Chain,
    depth: usize,
    lit: &Lit,
    wanted: impl Fn(&usize) -> bool,
) -> ChainView {
    let met = lit.get(chain.name.as_str());
    let rule = |at: usize| {
        let rule = &chain.rules[at];
        let (target, jump) = match &rule.target {
            Target::Jump(to) | Target::Goto(to) => (to.to_string(), true),
            other => (other.name().to_owned(), false),
        };
        let text = chain.rule_text(at);
        let prefix = format!("-A {} ", chain.name);
        RuleView {
            number: at + 1,
            object: responsible(&text),
            text: text.strip_prefix(&prefix).unwrap_or(&text).to_owned(),
            target,
            jump,
            packets: netfilter
                .rule_counter(kind, chain.name.as_str(), at)
                .packets,
            lit: met.is_some_and(|met| met.contains(&(at + 1))),
        }
    };
    let shown = (0..chain.rules.len()).filter(wanted);
    let rules: Vec<RuleView> = shown.take(2 * RULES_MAX).map(rule).collect();
    ChainView {
        name: chain.name.to_string(),
        policy: chain.policy.map(|p| p.name().to_owned()),
        depth,
        lit: met.is_some(),
        more: chain.rules.len() - rules.len(),
        rules,
    }
}

/// The Service that kube-proxy names in a rule's comment: `"default/web:http cluster IP"`.
fn responsible(text: &str) -> Option<String> {
    let comment = text.split_once("--comment ")?.1;
    let comment = comment.strip_prefix('"').unwrap_or(comment);
    let words = comment.split(['"', ' ']);
    let name = words.into_iter().find(|word| word.contains('/'))?;
    let name = name.split(':').next()?;
    let (namespace, service) = name.split_once('/')?;
    let plain = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    (plain(namespace) && plain(service)).then(|| format!("service:{namespace}/{service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_the_service() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(responsible(text).as_deref(), expect, "{text}")
        };
        check(
            r#"-A X -m comment --comment "default/web cluster IP" -j Y"#,
            Some("service:default/web"),
        );
        check(
            r#"-A X -m comment --comment "kube-system/kube-dns:dns -> 10.42.1.2:53" -j Y"#,
            Some("service:kube-system/kube-dns"),
        );
        check(
            r#"-A X -m comment --comment "masquerade traffic for ns/svc:p external destinations" -j Y"#,
            Some("service:ns/svc"),
        );
        check(
            r#"-A X -m comment --comment "kubernetes service portals" -j Y"#,
            None,
        );
        check("-A X -j Y", None);
    }
}
