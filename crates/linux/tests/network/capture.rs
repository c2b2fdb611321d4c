//! Captures: what tcpdump says of packets is what their bytes say, and capture files are what other programs read.

use crate::lab::Lab;
use kubarium_linux::capture::{LinkType, Place, pcap, pcapng};
use kubarium_linux::tools::tcpdump::Tcpdump;
use kubarium_linux::{Connect, Payload, Protocol};

/// Two nodes with a pod each, and a web server in one.
fn network() -> Lab {
    let mut lab = Lab::new();
    for (name, address, n) in [("one", "172.18.0.3", 1), ("two", "172.18.0.4", 2)] {
        lab.node(name, address, n, 1450);
    }
    lab.peer("one", 2, "172.18.0.4");
    lab.peer("two", 1, "172.18.0.3");
    lab.pod("a", "one", "10.42.1.2", 1450, true);
    let b = lab.pod("b", "two", "10.42.2.2", 1450, true);
    lab.serve(b, "b", 80);
    lab.net
        .listen(b, Protocol::UDP, std::net::Ipv4Addr::UNSPECIFIED, 53, 0)
        .expect("a socket");
    lab
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// A question for `a.b`, type A.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01b\x00\x00\x01\x00\x01";
const ANSWER: &[u8] = b"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x01b\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x0a\x00\x00\x01";

/// A request and its answer, a question of DNS, an echo, two refusals.
fn talk(lab: &mut Lab) {
    let a = lab.id("a");
    let web = Connect {
        waits: true,
        ..lab.request("a", "10.42.2.2:80", Protocol::TCP)
    };
    let page = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2109\r\n\r\n".as_slice(),
        "<p>Some words.</p>\n".repeat(111).as_bytes(),
    ]
    .concat();
    for (connect, asked, said) in [
        (web, b"GET /x HTTP/1.1\r\nHost: b\r\n\r\n".to_vec(), page),
        (
            Connect {
                waits: true,
                request: QUESTION.len() as u32,
                data: Some(QUESTION.into()),
                ..lab.request("a", "10.42.2.2:53", Protocol::UDP)
            },
            QUESTION.to_vec(),
            ANSWER.to_vec(),
        ),
    ] {
        let opened = lab.net.connect(&connect, lab.now, &mut lab.dice, None);
        let conversation = *opened.conversation.expect("it waits");
        let (asked, said) = (Payload::from(asked), Payload::from(said));
        let ended = lab
            .net
            .go_on(conversation, Some(asked), said, &mut lab.dice, None);
        assert_eq!(format!("{:?}", ended.verdict), "Connected");
        lab.now = lab.now + ended.elapsed + kubarium_linux::Time::from_millis(10);
    }
    let echo = Connect::ping(a, crate::lab::ip("10.42.2.2"));
    lab.connect(&echo);
    let refused = lab.request("a", "10.42.2.2:81", Protocol::TCP);
    lab.connect(&refused);
    let refused = lab.request("a", "10.42.2.2:81", Protocol::UDP);
    lab.connect(&refused);
}

/// What a tcpdump prints of the talk, started in a place.
fn dumped(place: &str, arguments: &str) -> String {
    let mut lab = network();
    let id = lab.id(place);
    let mut tcpdump = Tcpdump::start(&mut lab.net, id, &words(arguments), 0).expect("it starts");
    talk(&mut lab);
    tcpdump.stop(&mut lab.net).stdout
}

/// The program itself, where the machine has it, reads the file as ours prints it.
#[test]
fn the_real_tcpdump_agrees() {
    let has = std::process::Command::new("tcpdump")
        .arg("--version")
        .output();
    if has.is_err() {
        println!("skipped: this machine has no tcpdump");
        return;
    }
    let mut lab = network();
    for (place, device, options) in [
        ("a", "eth0", "-nn"),
        ("a", "eth0", "-nn -e"),
        ("a", "eth0", "-nnv"),
        ("a", "eth0", "-nnvv"),
        ("a", "eth0", "-nn -q"),
        ("a", "eth0", "-nn -S -X"),
        ("a", "eth0", "-nn -A"),
        ("one", "eth0", "-nn"),
        ("one", "eth0", "-nne"),
        ("one", "eth0", "-nnv"),
        ("one", "cbr0", "-nn"),
        ("one", "flannel.1", "-nn -tttt"),
        ("one", "any", "-nn"),
        ("one", "any", "-nne"),
    ] {
        let ours = dumped(place, &format!("-i {device} {options}"));
        let id = lab.id(place);
        let (at, kind) = match device {
            "any" => (Place::Namespace(id), LinkType::Cooked),
            _ => {
                let link = lab.net.find_link(id, device).expect("a device");
                (Place::Device(link), LinkType::Ethernet)
            }
        };
        let mut fresh = network();
        let socket = fresh.net.capture(at);
        talk(&mut fresh);
        let packets = fresh.net.captured(socket).0;
        let file = std::env::temp_dir().join(format!("kubarium-{}.pcap", std::process::id()));
        std::fs::write(&file, pcap(&fresh.net, &packets, kind, 0)).expect("a file");
        let theirs = std::process::Command::new("tcpdump")
            .args(words(options))
            .arg("-r")
            .arg(&file)
            .env("TZ", "UTC")
            .output()
            .expect("it runs");
        let _ = std::fs::remove_file(&file);
        let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
        // In a file a device is a number.
        let named = |text: &str| {
            let words: Vec<_> = (text.lines())
                .map(|l| match (device, l.split_once(' ')) {
                    ("any", Some((time, rest))) => {
                        let rest = rest.trim_start();
                        let rest = rest.split_once(char::is_whitespace).map_or(rest, |r| r.1);
                        format!("{time} {}", rest.trim_start())
                    }
                    _ => l.to_owned(),
                })
                .collect();
            words.join("\n")
        };
        let (ours, theirs) = (named(&ours), named(&theirs));
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs, "{place} {device} {options}");
        }
        assert_eq!(ours.len(), theirs.len(), "{place} {device} {options}");
    }
    lab.now = kubarium_linux::Time::ZERO;
}

#[test]
fn filters_choose() {
    for (filter, want) in [
        ("", 20),
        ("icmp", 3),
        ("tcp port 80", 9),
        ("port 80 or 53", 11),
        ("port 80 or port 53", 11),
        ("udp and not port 53", 1),
        ("host 10.42.2.2 and icmp[icmptype] == icmp-echo", 1),
        ("tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", 2),
        ("src net 10.42.2.0/24 and greater 1000", 1),
        ("dst port 80 and len > 80", 1),
        ("arp", 3),
        ("src host 10.42.2.2 or dst host 10.42.2.2", 17),
        ("not ( host 10.42.2.2 )", 3),
        ("ether broadcast", 2),
    ] {
        let text = dumped("a", &format!("-i eth0 -nn {filter}"));
        assert_eq!(text.lines().count(), want, "{filter}\n{text}");
    }
    let mut lab = network();
    let id = lab.id("a");
    for (arguments, want) in [
        (
            "-i nosuch",
            "tcpdump: nosuch: No such device exists\n(No such device exists)\n",
        ),
        (
            "port",
            "tcpdump: can't parse filter expression: syntax error\n",
        ),
        (
            "( tcp",
            "tcpdump: can't parse filter expression: syntax error\n",
        ),
        ("-c x", "tcpdump: invalid packet count x\n"),
    ] {
        let error = Tcpdump::start(&mut lab.net, id, &words(arguments), 0).expect_err(arguments);
        assert_eq!(error.stderr, want, "{arguments}");
    }
}

#[test]
fn files_hold_whole_packets() {
    let mut lab = network();
    let socket = lab.net.capture(Place::Everywhere);
    talk(&mut lab);
    let packets = lab.net.captured(socket).0;
    let file = pcapng(&lab.net, &packets, 0);
    // Every block says its length before and after.
    let number = |at: usize| {
        let bytes = file.get(at..at + 4).expect("four bytes");
        u32::from_le_bytes(bytes.try_into().expect("four")) as usize
    };
    let (mut at, mut blocks) = (0, 0);
    while at < file.len() {
        let length = number(at + 4);
        assert_eq!(length, number(at + length - 4));
        (at, blocks) = (at + length, blocks + 1);
    }
    assert!(blocks > packets.len(), "{blocks}");
    // The checksum of an IP header with its checksum is zero.
    for packet in packets.iter().filter(|p| p.bytes[12..14] == [8, 0]) {
        let sum: u32 = packet.bytes[14..34]
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}

/// Each end announces what fits through the device by which it reaches the other.
#[test]
fn segments_are_as_large_as_the_way_to_the_other_end() {
    for (from, to, wanted) in [
        ("worker-1", "10.42.1.10:8080", [1410, 1410]),
        ("worker-1", "172.18.0.1:5000", [1460, 1460]),
        ("box-1", "172.18.0.1:5000", [1410, 1460]),
        ("worker-1", "127.0.0.1:8090", [65495, 65495]),
    ] {
        let mut lab = super::connections::cluster(true);
        let socket = lab.net.capture(Place::Everywhere);
        let request = lab.request(from, to, Protocol::TCP);
        lab.connect(&request);
        let (packets, _) = lab.net.captured(socket);
        // Ethernet, IP and TCP headers, and there the first option.
        let announced = packets
            .iter()
            .filter_map(|packet| match packet.bytes.get(54..58)? {
                [2, 4, high, low] => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            });
        let mut announced: Vec<u16> = announced.collect();
        announced.dedup();
        let first = announced.first().copied();
        assert_eq!([first, announced.last().copied()], wanted.map(Some), "{to}");
    }
}
