//! The `nft` command: what it takes, what it prints, and that packets walk what it made.

use std::path::Path;

use crate::lab::Lab;
use kubarium_linux::netfilter::restore::{Options, restore};
use kubarium_linux::netfilter::{Netfilter, nft};
use kubarium_linux::tools::Output;
use kubarium_linux::{Protocol, SeededDice, Time, Trace};

fn run(tables: &mut Netfilter, line: &str) -> Output {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    nft::run(tables, &["lo".into()], &words, "", Time::ZERO)
}

fn script(tables: &mut Netfilter, text: &str) -> Output {
    let words = ["-f", "-"].map(str::to_owned);
    nft::run(tables, &["lo".into()], &words, text, Time::ZERO)
}

fn loaded(text: &str) -> Netfilter {
    let mut tables = Netfilter::default();
    let output = script(&mut tables, text);
    assert_eq!(output.stderr, "", "{text}");
    tables
}

const TABLE: &str = "\
table ip t {
	set s {
		type ipv4_addr
		elements = { 10.0.0.1, 10.0.0.2 }
	}

	map m {
		type ipv4_addr . inet_proto . inet_service : verdict
		comment \"what is where\"
		elements = { 10.0.0.2 . udp . 53 comment \"dns\" : drop,
			     10.0.0.1 . tcp . 80 : goto d }
	}

	chain c {
		comment \"a chain\"
	}

	chain d {
	}

	chain f {
		type filter hook forward priority filter + 5; policy drop;
	}
}
";

/// A rule as it is printed; empty: as it was written.
fn rule(written: &str, printed: &str) {
    rule_of("ip", written, printed);
}

/// The same in a table of a family.
fn rule_of(family: &str, written: &str, printed: &str) {
    let mut tables = loaded(&TABLE.replace("table ip", &format!("table {family}")));
    let output = run(&mut tables, &format!("add rule {family} t c {written}"));
    assert_eq!(output.stderr, "", "{written}");
    let listed = run(&mut tables, &format!("list chain {family} t c")).stdout;
    let line = listed.lines().nth(3).unwrap_or_default().trim();
    let want = if printed.is_empty() { written } else { printed };
    assert_eq!(line, want);
}

#[test]
fn rules_are_printed_as_nft_prints_them() {
    rule("ip saddr 10.0.0.0/8 accept", "");
    rule(
        "ip saddr != { 10.0.0.0/8, 10.1.0.0/16 } drop",
        "ip saddr != 10.0.0.0/8 drop",
    );
    rule(
        "ip daddr { 10.0.0.2, 10.0.0.1 } accept",
        "ip daddr { 10.0.0.1, 10.0.0.2 } accept",
    );
    rule("ip daddr @s return", "");
    rule("tcp dport { 80, 443 } accept", "");
    rule("tcp dport 1-1024 reject with tcp reset", "");
    rule("udp dport http drop", "udp dport 80 drop");
    rule("ct state established,related accept", "");
    rule(
        "ct state related,established accept",
        "ct state established,related accept",
    );
    rule(
        "mark and 0x4000 != 0 mark set mark xor 0x4000",
        "meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000",
    );
    rule(
        "meta mark 1 counter",
        "meta mark 0x00000001 counter packets 0 bytes 0",
    );
    rule(
        "iifname \"eth*\" oifname lo accept",
        "iifname \"eth*\" oifname \"lo\" accept",
    );
    rule("fib daddr type local reject", "");
    rule(
        "reject with icmp type host-prohibited",
        "reject with icmp host-prohibited",
    );
    rule("ip daddr . meta l4proto . th dport vmap @m", "");
    rule("numgen random mod 2 vmap { 0 : return, 1 : drop }", "");
    rule(
        "log prefix \"no: \" counter drop comment \"why\"",
        "log prefix \"no: \" counter packets 0 bytes 0 drop comment \"why\"",
    );
}

/// As nft 1.0.6 printed them.
#[test]
fn rules_of_both_families_are_printed_as_nft_prints_them() {
    for (written, printed) in [
        ("iif lo accept", "iif \"lo\" accept"),
        ("meta oif lo drop", "oif \"lo\" drop"),
        ("ip saddr 10.0.0.0/8 tcp dport 22 accept", ""),
        ("ip6 saddr fe80::/10 accept", ""),
        ("meta nfproto ipv4 accept", ""),
        ("ip6 nexthdr icmpv6 accept", "ip6 nexthdr ipv6-icmp accept"),
        (
            "icmpv6 type { echo-request, nd-neighbor-solicit } accept",
            "",
        ),
        ("icmp type echo-request limit rate 5/second accept", ""),
        ("limit rate over 5/minute burst 10 packets drop", ""),
        ("tcp dport 80 reject", ""),
        ("reject with icmp port-unreachable", ""),
        ("reject with icmpx admin-prohibited", ""),
        ("reject with icmpx no-route", ""),
        ("reject with icmpx port-unreachable", "reject"),
        ("reject with tcp reset", ""),
        ("tcp flags syn drop", ""),
        (
            "tcp flags & (fin|syn|rst|ack) == syn drop",
            "tcp flags syn / fin,syn,rst,ack drop",
        ),
        ("tcp flags syn / fin,syn,rst,ack drop", ""),
        ("tcp dport 80 dnat ip to 10.0.0.1:8080", ""),
        ("tcp dport 80 redirect to :8080", ""),
        (
            "ct state vmap { established : accept, invalid : drop }",
            "ct state vmap { invalid : drop, established : accept }",
        ),
    ] {
        rule_of("inet", written, printed);
    }
}

fn refused(line: &str, want: &str) {
    let output = run(&mut loaded(TABLE), line);
    assert_eq!(output.status, 1, "{line}");
    let text = output.stderr.replace('\n', "/");
    assert!(text.contains(want), "{line}: {text}");
}

#[test]
fn what_is_wrong_is_underlined() {
    refused(
        "list table ip tt",
        "Error: No such file or directory; did you mean table ‘t’ in family ip?/list table ip tt/              ^^/",
    );
    refused("list table ip6 t", "did you mean table ‘t’ in family ip?");
    refused(
        "list chain ip t nothing-like-it",
        "Error: No such file or directory/list chain ip t nothing-like-it/                ^^^^^^^^^^^^^^^/",
    );
    refused("list map ip t s", "No such file or directory");
    refused("delete chain ip t d", "Device or resource busy");
    refused("add rule ip t c jump nowhere", "No such file or directory");
    refused("add rule ip t c jump c", "Too many links");
    refused(
        "add rule ip t c ip saddr @nothing drop",
        "No such file or directory",
    );
    refused(
        "add rule ip t c dnat to 10.0.0.1; add rule ip t f dnat to 10.0.0.1",
        "Invalid argument",
    );
    refused(
        "add element ip t s { 10.0.0 }",
        "Could not resolve hostname",
    );
    refused(
        "add element ip t m { 10.0.0.1 . tcp . 80 : drop }",
        "File exists",
    );
    refused(
        "delete element ip t s { 10.0.0.9 }",
        "No such file or directory",
    );
    refused("delete set ip t nothing", "No such file or directory");
    refused("create table ip t", "File exists");
    refused("frobnicate", "syntax error, unexpected string");
    refused(
        "add rule ip t c ip saddr",
        "syntax error, unexpected end of file",
    );
    refused(
        "add rule ip t c limit rate 1 mbytes/second",
        "not simulated yet",
    );
    refused(
        "add rule ip t c iif nosuch accept",
        "Error: Interface does not exist/add rule ip t c iif nosuch accept/                    ^^^^^^/",
    );
    refused("add rule ip t c ip6 saddr ::1", "conflicting protocols");
    refused("-f nowhere.nft", "Could not open file");
}

#[test]
fn a_script_is_carried_out_whole_or_not_at_all() {
    let mut tables = loaded(TABLE);
    let output = script(
        &mut tables,
        "add rule ip t c drop\nadd rule ip t nope drop\n",
    );
    assert!(
        output.stderr.starts_with("/dev/stdin:2:15-18: Error:"),
        "{}",
        output.stderr
    );
    assert_eq!(run(&mut tables, "list table ip t").stdout, TABLE);
}

#[test]
fn what_is_listed_can_be_read_again() {
    assert_eq!(run(&mut loaded(TABLE), "list ruleset").stdout, TABLE);
    let dumps = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/oracle/kube-proxy-random/dumps");
    let Ok(dumps) = std::fs::read_dir(&dumps) else {
        println!("skipped: no recordings at {}", dumps.display());
        return;
    };
    let mut paths: Vec<_> = dumps.flatten().map(|d| d.path().join("nft.txt")).collect();
    // The largest ones show nothing new.
    paths.retain(|p| std::fs::metadata(p).is_ok_and(|m| m.len() < 30_000));
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a dump");
        // Chains that others name come first where nft reads them.
        let listed = run(&mut loaded(&text), "list ruleset").stdout;
        assert_eq!(listed, text, "{}", path.display());
    }
}

#[test]
fn handles_name_rules() {
    let mut tables = loaded(TABLE);
    for line in [
        "add rule ip t c accept",
        "add rule ip t c drop",
        "insert rule ip t c return",
    ] {
        assert_eq!(run(&mut tables, line).stderr, "");
    }
    let listed = run(&mut tables, "-a list chain ip t c").stdout;
    let handle = |text: &str| {
        let line = listed
            .lines()
            .find(|l| l.trim().starts_with(text))
            .unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let drop = handle("drop");
    assert_eq!(
        run(&mut tables, &format!("delete rule ip t c handle {drop}")).stderr,
        ""
    );
    let add = format!("add rule ip t c handle {} counter", handle("return"));
    assert_eq!(run(&mut tables, &add).stderr, "");
    let left = run(&mut tables, "list chain ip t c").stdout;
    let rules: Vec<&str> = left.lines().skip(3).map(str::trim).take(3).collect();
    assert_eq!(rules, ["return", "counter packets 0 bytes 0", "accept"]);
}

/// Two hosts on one segment, `a` with these tables: what a connection from `b` to port 80 of `a` meets.
fn meets(text: &str, want: &str) {
    let mut lab = Lab::new();
    lab.host("a", "172.18.0.3", None);
    lab.host("b", "172.18.0.4", None);
    let a = lab.id("a");
    lab.serve(a, "server", 80);
    lab.serve(a, "other", 8080);
    let tables = &mut lab.net.namespace_mut(a).expect("a").netfilter;
    assert_eq!(script(tables, text).stderr, "", "{text}");
    let mut trace = Trace::new();
    let request = lab.request("b", "172.18.0.3:80", Protocol::TCP);
    let connection = lab
        .net
        .connect(&request, lab.now, &mut SeededDice(1), Some(&mut trace));
    let mut met: Vec<String> = trace
        .hops(&lab.net)
        .into_iter()
        .filter(|hop| hop.rule_text.is_some())
        .map(|hop| format!("{}: {}", hop.chain.unwrap_or_default(), hop.action))
        .collect();
    // Retransmissions meet the same.
    met.dedup();
    met.push(
        lab.outcome(&connection)
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
    );
    assert_eq!(met.join(", "), want, "{text}");
}

fn at(hook: &str, more: &str) -> String {
    format!("table ip t {{ {more} chain base {{ type filter hook {hook}; policy accept;")
}

#[test]
fn packets_walk_the_chains() {
    let input = |rules: &str| format!("{} {rules} }} }}\n", at("input priority 0", ""));
    meets(&input("tcp dport 81 drop"), "connected");
    meets(&input("tcp dport 80 drop"), "base: drop, timeout");
    meets(
        &input("tcp dport { 1-100 } reject"),
        "base: reject, refused",
    );
    meets(
        &input("ip saddr 172.18.0.4 accept; drop"),
        "base: accept, connected",
    );
    meets(
        &input("ct state new counter; meta mark set 5; meta mark 6 drop"),
        "base: count, base: mark, connected",
    );
    let jump = "chain c { return; drop; }";
    meets(
        &format!(
            "{} jump c; goto c; drop; }} }}\n",
            at("input priority 0", jump)
        ),
        "base: jump c, c: return, base: goto c, c: return, connected",
    );
    // The lower priority is asked first.
    let two = "table ip t { chain late { type filter hook input priority 10; drop; }\n chain early { type filter hook input priority -10; reject; } }";
    meets(two, "early: reject, refused");
    let nat = "table ip t { map m { type inet_service : ipv4_addr . inet_service; elements = { 80 : 172.18.0.3 . 8080 }; }\n chain n { type nat hook prerouting priority dstnat; meta l4proto tcp dnat ip to tcp dport map @m; } }";
    meets(nat, "n: dnat, connected");
    let inet = |rules: &str| input(rules).replace("table ip", "table inet");
    meets(&inet("tcp dport 80 reject"), "base: reject, refused");
    meets(
        &inet("ip6 nexthdr tcp drop; icmpv6 type echo-request drop; iif lo drop"),
        "connected",
    );
    meets(
        &inet("tcp flags syn / fin,syn,rst,ack limit rate 1/hour burst 1 packets counter; drop"),
        "base: count, base: drop, timeout",
    );
    meets(
        &inet("limit rate over 1/hour burst 1 packets reject; accept"),
        "base: accept, stalled",
    );
    let sets = "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1m; }";
    meets(
        &format!(
            "{} ip saddr @seen drop; update @seen {{ ip saddr }}; ip saddr @seen reject; }} }}\n",
            at("input priority 0", sets)
        ),
        "base: update, base: reject, refused",
    );
}

/// What nft 1.0.6 said of a ruleset with `-j`, a line for each object. Handles are left out, for the kernel numbers
/// anonymous sets too.
#[test]
fn a_ruleset_is_listed_as_json() {
    let ruleset = include_str!("nft_json/ruleset.nft");
    let mut tables = loaded(ruleset);
    let answer = run(&mut tables, "-j list ruleset").stdout;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let bare = |line: &serde_json::Value| {
        let mut line = line.clone();
        for of in line.as_object_mut().unwrap().values_mut() {
            of.as_object_mut().unwrap().remove("handle");
        }
        // A moment had passed when it was asked.
        line.to_string()
            .replace("\"expires\":599", "\"expires\":600")
    };
    let given = answer["nftables"].as_array().unwrap().iter().map(bare);
    let wanted = include_str!("nft_json/ruleset.json").lines();
    let wanted = wanted.map(|line| bare(&serde_json::from_str(line).unwrap()));
    let (given, wanted): (Vec<String>, Vec<String>) = (given.collect(), wanted.collect());
    let other = |(a, b): &(&String, &String)| a != b;
    let differing: Vec<_> = given.iter().zip(&wanted).filter(other).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(given.len(), wanted.len());
    // As jansson lays it out.
    let tables = run(&mut tables, "-j list tables").stdout;
    let head = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "ip", "name": "t", "handle": "#;
    assert!(tables.starts_with(head), "{tables}");
}

/// What nft 1.0.6 said of the rules of iptables 1.8.9: its words, and its JSON without the counter.
#[test]
fn rules_of_iptables_are_translated() {
    for (written, words, json) in [
        (
            "-p tcp -j ACCEPT",
            "meta l4proto tcp",
            r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}"#,
        ),
        ("! -p udp -j ACCEPT", "meta l4proto != udp", ""),
        (
            "-i cali+ ! -s 10.0.0.0/8 -m recent --name x --set -j ACCEPT",
            "iifname \"cali*\" ip saddr != 10.0.0.0/8 xt match recent",
            r#"{"xt": {"type": "match", "name": "recent"}}"#,
        ),
        (
            "-s 10.0.0.0/8 -d 10.0.0.0/8 -i eth0 -o cni0 -p tcp -j ACCEPT",
            "iifname \"eth0\" oifname \"cni0\" meta l4proto tcp ip saddr 10.0.0.0/8 ip daddr 10.0.0.0/8",
            "",
        ),
        (
            "-d 10.96.0.1/32 -p tcp -m comment --comment x -m tcp --dport 443 -j ACCEPT",
            "meta l4proto tcp ip daddr 10.96.0.1  tcp dport 443",
            "",
        ),
        (
            "-s 10.0.0.0/8 -p udp -m udp --sport 53 --dport 53:60 -j ACCEPT",
            "ip saddr 10.0.0.0/8 udp sport 53 udp dport 53-60",
            r#"{"range": [53, 60]}"#,
        ),
        (
            "-p tcp -m tcp --tcp-flags SYN,RST SYN -j ACCEPT",
            "tcp flags syn / syn,rst",
            "",
        ),
        (
            "-p tcp -m multiport --dports 80,81:90 -j ACCEPT",
            "meta l4proto tcp tcp dport { 80, 81-90 }",
            r#"{"xt": {"type": "match", "name": "multiport"}}"#,
        ),
        (
            "-p udp -m multiport ! --dports 80 -j ACCEPT",
            "meta l4proto udp udp dport != 80",
            "",
        ),
        (
            "-p icmp -m icmp --icmp-type 3/4 -j ACCEPT",
            "meta l4proto icmp xt match icmp",
            "",
        ),
        (
            "-p icmp -m icmp --icmp-type 8 -j ACCEPT",
            "meta l4proto icmp icmp type echo-request",
            "",
        ),
        (
            "-m statistic --mode random --probability 0.5 -j ACCEPT",
            "meta random & 2147483647 < 1073741824",
            r#"{"xt": {"type": "match", "name": "statistic"}}"#,
        ),
        (
            "-m statistic --mode nth --every 3 --packet 1 -j ACCEPT",
            "numgen inc mod 3 1",
            "",
        ),
        (
            "-m comment --comment x -j ACCEPT",
            "",
            r#"{"xt": {"type": "match", "name": "comment"}}"#,
        ),
        (
            "-m limit --limit 5/sec --limit-burst 10 -j ACCEPT",
            "limit rate 5/second burst 10 packets",
            r#"{"limit": {"rate": 5, "burst": 10, "per": "second"}}"#,
        ),
        (
            "-m mark ! --mark 0x10/0x10 -j ACCEPT",
            "meta mark & 0x00000010 != 0x00000010",
            "",
        ),
        (
            "-m conntrack --ctstate INVALID,UNTRACKED -j ACCEPT",
            "ct state invalid,untracked",
            r#"{"xt": {"type": "match", "name": "conntrack"}}"#,
        ),
        (
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT",
            "ct status dnat",
            "",
        ),
        (
            "-m conntrack ! --ctstate NEW,INVALID -j ACCEPT",
            "ct state ! invalid,new",
            "",
        ),
        (
            "-m addrtype ! --dst-type LOCAL -j ACCEPT",
            "fib daddr type != local",
            "",
        ),
        (
            "-j REJECT --reject-with icmp-host-prohibited",
            "reject with icmp type host-prohibited",
            r#"{"xt": {"type": "target", "name": "REJECT"}}"#,
        ),
        (
            "-p tcp -j REJECT --reject-with tcp-reset",
            "reject with tcp reset",
            "",
        ),
        (
            "-j MARK --set-xmark 0x20/0x30",
            "meta mark set mark and 0xffffffcf xor 0x20",
            r#"{"xt": {"type": "target", "name": "MARK"}}"#,
        ),
        ("-j LOG --log-level 3", "log level err", ""),
        (
            "-j NFLOG --nflog-group 3",
            "log group 3",
            r#"{"log": {"group": 3}}"#,
        ),
    ] {
        let mut tables = Netfilter::default();
        let text = format!("*filter\n-A FORWARD {written}\nCOMMIT\n");
        restore(&mut tables, &text, Options::default()).unwrap();
        let listed = run(&mut tables, "list chain ip filter FORWARD").stdout;
        assert!(listed.contains(words), "{written}: {listed}");
        let listed = run(&mut tables, "-j list chain ip filter FORWARD").stdout;
        assert!(listed.contains(json), "{written}: {listed}");
    }
}
