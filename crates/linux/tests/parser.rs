//! No text makes the rule parsers panic, and what they accept prints in a form that they accept again.

use kubarium_linux::netfilter::restore::{Options, restore, save};
use kubarium_linux::netfilter::{Netfilter, Rule, iptables};
use proptest::prelude::*;

/// Words that rules are made of, and some that they are not.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "-A",
        "-D",
        "-I",
        "-X",
        "-N",
        "-j",
        "-g",
        "-m",
        "-p",
        "-s",
        "-d",
        "-i",
        "-o",
        "!",
        "-t",
        "-L",
        "-S",
        "-P",
        "-F",
        "nat",
        "filter",
        "KUBE-SERVICES",
        "INPUT",
        "ACCEPT",
        "DROP",
        "REJECT",
        "DNAT",
        "MASQUERADE",
        "MARK",
        "RETURN",
        "tcp",
        "udp",
        "icmp",
        "comment",
        "conntrack",
        "statistic",
        "recent",
        "set",
        "addrtype",
        "multiport",
        "physdev",
        "nfacct",
        "mark",
        "--comment",
        "--dport",
        "--sport",
        "--dports",
        "--ctstate",
        "NEW,ESTABLISHED",
        "--mode",
        "random",
        "nth",
        "--probability",
        "0.5",
        "--every",
        "--packet",
        "--set",
        "--rcheck",
        "--seconds",
        "--name",
        "--match-set",
        "--dst-type",
        "--src-type",
        "LOCAL",
        "--to-destination",
        "--reject-with",
        "--set-xmark",
        "--mark",
        "--icmp-type",
        "--tcp-flags",
        "--syn",
        "10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.1:80",
        "80",
        "0x4000/0x4000",
        "src,dst",
        "4294967296",
        "-1",
        "",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = restore(&mut Netfilter::default(), &text, Options::default());
        let _ = restore(&mut Netfilter::default(), &format!("*nat\n{text}\nCOMMIT\n"), Options::default());
    }

    #[test]
    fn what_is_accepted_is_printed_and_read_again(words in prop::collection::vec(word(), 0..14)) {
        let mut netfilter = Netfilter::default();
        let _ = iptables::run(&mut netfilter, &words);
        if let Ok(rule) = Rule::parse(&words) {
            let mut text = String::new();
            rule.save(&mut text);
            let line = format!("*filter\n:KUBE-SERVICES - [0:0]\n-A INPUT{text}\nCOMMIT\n");
            let mut first = Netfilter::default();
            if restore(&mut first, &line, Options::default()).is_ok() {
                let printed = save(&first, None, false, "");
                let mut again = Netfilter::default();
                prop_assert!(restore(&mut again, &printed, Options::default()).is_ok(), "{printed}");
                prop_assert_eq!(save(&again, None, false, ""), printed);
            }
        }
    }
}
