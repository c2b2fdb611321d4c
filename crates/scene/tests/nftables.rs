//! The rule book of a cluster whose kube-proxy writes nftables.

use kubarium_cluster::Config;
use kubarium_cluster::config::ProxyMode;
use kubarium_scene::Engine;
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{Question, RuleChanges, RuleText};
use kubarium_snapshot::rules::RuleBook;
use kubarium_snapshot::{Reply, Request};

fn book(engine: &mut Engine, find: &str) -> RuleBook {
    let asked = engine.answer(Request::Rules {
        node: "worker-1".to_owned(),
        table: "kube-proxy".to_owned(),
        lane: None,
        find: find.to_owned(),
    });
    match asked {
        Reply::Rules(book) => book.open(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_table_is_offered_searched_and_told_as_nft_prints_it() {
    let mut config = Config::default();
    config.kube_proxy.mode = ProxyMode::Nftables;
    let mut engine = Engine::new(config);
    let all = book(&mut engine, "");
    assert!(
        all.tables.contains(&"kube-proxy".to_owned()),
        "{:?}",
        all.tables
    );
    assert!(all.chains.iter().any(|chain| chain.policy.is_some()));
    assert!(all.services.contains(&"kube-system/kube-dns".to_owned()));
    let dns = book(&mut engine, "kube-system/kube-dns");
    assert!(!dns.chains.is_empty() && dns.chains.len() < all.chains.len() + all.more);
    let question = Question::RuleText {
        node: "worker-1".to_owned(),
        table: "kube-proxy".to_owned(),
    };
    let Reply::Rare(bytes) = engine.answer(Request::Rare(encode(&question))) else {
        panic!("no text")
    };
    let told: RuleText = decode(&bytes).expect("an answer");
    assert_eq!(told.command, "ssh worker-1 nft list table ip kube-proxy");
    assert!(
        told.text.starts_with("table ip kube-proxy {"),
        "{}",
        told.text
    );
    let create = "kubectl create service clusterip web --tcp=80; sim settle";
    engine.answer(Request::Command(create.to_owned()));
    let question = Question::RuleChanges {
        node: "worker-1".to_owned(),
        table: "kube-proxy".to_owned(),
    };
    let Reply::Rare(bytes) = engine.answer(Request::Rare(encode(&question))) else {
        panic!("no changes")
    };
    let told: RuleChanges = decode(&bytes).expect("an answer");
    assert!(told.since.contains("create service"), "{}", told.since);
    assert!(
        told.added.iter().any(|line| line.contains("default/web")),
        "{:?}",
        told.added
    );
}
