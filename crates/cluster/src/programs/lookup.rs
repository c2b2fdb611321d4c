//! Tools that ask DNS servers: dig and nslookup (BIND 9.20), host, BusyBox's nslookup, getent.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::resolve::{Ask, Queried, Resolve, Resolved, Settings, query};
use super::{Io, Place, Program, Step};
use crate::dns::{self, Answer, Code, Record, Type, full};
use crate::images::Tools;
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Dig,
    Nslookup,
    BusyboxNslookup,
    Host,
    Getent,
}

/// One run of such a tool.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    tool: Tool,
    argv: Vec<String>,
    name: String,
    kind: Type,
    /// Whether `-type=` names the kind.
    kind_is_given: bool,
    /// Given on the command line: an address or a name.
    server: Option<String>,
    options: Options,
    /// Names that are still to be asked for.
    names: VecDeque<String>,
    asked: bool,
    attempt: u32,
    resolve: Option<Resolve>,
    pending: Option<Time>,
    /// What nslookup says before it shows the server.
    notes: String,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    short: bool,
    search: bool,
    tcp: bool,
    /// A zone's transfer, which CoreDNS refuses.
    transfer: bool,
    tries: u32,
    time: Duration,
    port: u16,
    sport: Option<u16>,
    comments: bool,
    question: bool,
    answer: bool,
    authority: bool,
    additional: bool,
    stats: bool,
    command: bool,
    ttl: bool,
}

impl Options {
    fn all(&mut self, on: bool) {
        for flag in [
            &mut self.comments,
            &mut self.question,
            &mut self.answer,
            &mut self.authority,
            &mut self.additional,
            &mut self.stats,
            &mut self.command,
        ] {
            *flag = on;
        }
    }
}

pub(super) fn start(name: &str, argv: &[String], place: &Place) -> Program {
    let tool = match name {
        "dig" => Tool::Dig,
        "host" => Tool::Host,
        "getent" => Tool::Getent,
        _ if place.tools.has(Tools::BIND) => Tool::Nslookup,
        _ => Tool::BusyboxNslookup,
    };
    let options = Options {
        short: false,
        search: false,
        tcp: false,
        transfer: false,
        tries: 3,
        time: Duration::from_secs(5),
        port: 53,
        sport: None,
        comments: true,
        question: true,
        answer: true,
        authority: true,
        additional: true,
        stats: true,
        command: true,
        ttl: true,
    };
    let mut lookup = Lookup {
        tool,
        argv: argv.to_vec(),
        name: String::new(),
        kind: Type::A,
        kind_is_given: false,
        server: None,
        options,
        names: VecDeque::new(),
        asked: false,
        attempt: 0,
        resolve: None,
        pending: None,
        notes: String::new(),
    };
    let words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let read = match tool {
        Tool::Dig => lookup.read_dig(&words),
        Tool::Getent => lookup.read_getent(&words),
        _ => lookup.read_nslookup(&words),
    };
    match read {
        Ok(()) => Program::Lookup(Box::new(lookup)),
        Err((status, err)) => Program::Say {
            out: String::new(),
            err,
            status,
        },
    }
}

/// `10.42.1.7` -> `7.1.42.10.in-addr.arpa.`
fn reverse(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
}

impl Lookup {
    fn read_dig(&mut self, words: &[&str]) -> Result<(), (i32, String)> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(server) = word.strip_prefix('@') {
                self.server = Some(server.to_owned());
            } else if let Some(option) = word.strip_prefix('+') {
                self.dig_option(option);
            } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
                let (letter, tail) = letters.split_at(1);
                let mut value = || {
                    if tail.is_empty() {
                        words.next().map_or("", |w| w)
                    } else {
                        tail
                    }
                };
                match letter {
                    "p" => self.options.port = value().parse().unwrap_or(53),
                    "t" => self.kind = Type::parse(value()).unwrap_or(Type::A),
                    "q" => self.name = value().to_owned(),
                    "c" => drop(value()),
                    "b" => {
                        self.options.sport = value()
                            .split_once('#')
                            .and_then(|(_, port)| port.parse().ok())
                    }
                    "x" => {
                        let text = value();
                        let address = text
                            .parse()
                            .map_err(|_| (1, format!("Invalid IP address {text}\n")))?;
                        (self.name, self.kind) = (reverse(address), Type::Ptr);
                    }
                    _ => {}
                }
            } else if let Some(kind) = Type::parse(word) {
                self.kind = kind;
            } else if word.eq_ignore_ascii_case("AXFR") {
                (self.options.transfer, self.options.tcp) = (true, true);
            } else if !word.eq_ignore_ascii_case("IN") {
                self.name = (*word).to_owned();
            }
        }
        if self.name.is_empty() {
            (self.name, self.kind) = (".".to_owned(), Type::Ns);
        }
        Ok(())
    }

    fn dig_option(&mut self, option: &str) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (on, name) = match name.strip_prefix("no") {
            Some(rest) => (false, rest),
            None => (true, name),
        };
        let o = &mut self.options;
        match name {
            "short" => o.short = on,
            "search" => o.search = on,
            "tcp" | "vc" => o.tcp = on,
            "tries" => o.tries = value.parse().unwrap_or(3).max(1),
            "retry" => o.tries = value.parse::<u32>().unwrap_or(2).saturating_add(1),
            "time" | "timeout" => o.time = Duration::from_secs(value.parse().unwrap_or(5).max(1)),
            "all" => o.all(on),
            "comments" => o.comments = on,
            "question" => o.question = on,
            "answer" => o.answer = on,
            "authority" => o.authority = on,
            "additional" => o.additional = on,
            "stats" => o.stats = on,
            "cmd" => o.command = on,
            "ttlid" => o.ttl = on,
            _ => {}
        }
    }

    fn read_getent(&mut self, words: &[&str]) -> Result<(), (i32, String)> {
        match words {
            ["hosts" | "ahosts" | "ahostsv4", name] => {
                self.name = (*name).to_owned();
                self.resolve = Some(Resolve::new(name));
                Ok(())
            }
            ["hosts" | "ahosts" | "ahostsv4", ..] => Err((
                3,
                "Usage: getent [OPTION...] database [key ...]\n".to_owned(),
            )),
            [database, ..] => Err((1, format!("Unknown database: {database}\n"))),
            [] => Err((
                1,
                "Usage: getent [OPTION...] database [key ...]\n".to_owned(),
            )),
        }
    }

    fn read_nslookup(&mut self, words: &[&str]) -> Result<(), (i32, String)> {
        for word in words {
            if let Some(option) = word.strip_prefix('-') {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                match name {
                    "type" | "querytype" | "query" | "q" => {
                        self.kind_is_given = true;
                        self.kind = Type::parse(value).unwrap_or(Type::A)
                    }
                    "port" => self.options.port = value.parse().unwrap_or(53),
                    "timeout" => {
                        self.options.time = Duration::from_secs(value.parse().unwrap_or(5))
                    }
                    _ => {}
                }
            } else if self.name.is_empty() {
                self.name = (*word).to_owned();
            } else {
                self.server = Some((*word).to_owned());
            }
        }
        if self.name.is_empty() {
            return Err((
                1,
                format!(
                    "Usage: {} [HOST] [DNS_SERVER]\n",
                    self.argv.first().map_or("nslookup", String::as_str)
                ),
            ));
        }
        if let Ok(address) = self.name.parse() {
            (self.name, self.kind) = (reverse(address), Type::Ptr);
        }
        Ok(())
    }

    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        if self.tool == Tool::Getent {
            return self.getent(io);
        }
        if let Some(at) = self.pending {
            if io.now < at {
                return Step::Wait(Some(at));
            }
            self.pending = None;
        }
        let settings = Settings::read(io.files);
        let server = match self.server_address(io, &settings) {
            Ok(server) => server,
            Err(step) => return step,
        };
        if !self.asked {
            self.asked = true;
            self.names = match self.tool {
                Tool::Dig if !self.options.search => [self.name.clone()].into(),
                Tool::BusyboxNslookup if self.name.contains('.') => [self.name.clone()].into(),
                Tool::BusyboxNslookup => settings
                    .searches
                    .iter()
                    .map(|s| format!("{}.{s}", self.name))
                    .collect(),
                _ => settings.candidates(&self.name),
            };
            if self.names.is_empty() {
                self.names.push_back(self.name.clone());
            }
        }
        let address = SocketAddrV4::new(server, self.options.port);
        match self.tool {
            Tool::Dig => self.dig(io, address),
            Tool::BusyboxNslookup => self.busybox(io, address),
            _ => self.nslookup(io, address),
        }
    }

    fn server_address(&mut self, io: &mut Io<'_>, settings: &Settings) -> Result<Ipv4Addr, Step> {
        let Some(given) = self.server.clone() else {
            return Ok(settings
                .servers
                .first()
                .copied()
                .unwrap_or(Ipv4Addr::LOCALHOST));
        };
        let mut resolve = self.resolve.take().unwrap_or_else(|| Resolve::new(&given));
        match resolve.step(io) {
            Resolved::Addresses(found) => {
                let address = found.first().copied().unwrap_or(Ipv4Addr::LOCALHOST);
                self.server = Some(address.to_string());
                Ok(address)
            }
            Resolved::Later(at) => {
                self.resolve = Some(resolve);
                Err(Step::Wait(Some(at)))
            }
            Resolved::Failed => {
                io.err(format!(
                    "{}: couldn't get address for '{given}': not found\n",
                    self.argv.first().map_or("dig", String::as_str)
                ));
                Err(Step::Exit(if self.tool == Tool::Dig { 10 } else { 1 }))
            }
        }
    }

    fn ask(&self, io: &mut Io<'_>, server: SocketAddrV4, name: &str, kind: Type) -> Queried {
        let ask = Ask {
            server,
            sport: self.options.sport,
            tcp: self.options.tcp,
            edns: self.tool == Tool::Dig,
            timeout: self.options.time,
        };
        query(io, ask, name, kind)
    }

    fn getent(&mut self, io: &mut Io<'_>) -> Step {
        let Some(resolve) = &mut self.resolve else {
            return Step::Exit(2);
        };
        match resolve.step(io) {
            Resolved::Addresses(found) => {
                for address in found {
                    io.out(format!("{:<15} {}\n", address.to_string(), self.name));
                }
                Step::Exit(0)
            }
            Resolved::Failed => Step::Exit(2),
            Resolved::Later(at) => Step::Wait(Some(at)),
        }
    }

    fn dig(&mut self, io: &mut Io<'_>, server: SocketAddrV4) -> Step {
        while let Some(name) = self.names.front().cloned() {
            let shown = format!("{}#{}", server.ip(), server.port());
            let why = match self.ask(io, server, &name, self.kind) {
                Queried::Answer(answer) => {
                    self.names.pop_front();
                    let found = answer.code == Code::NoError && !answer.answers.is_empty();
                    if self.options.search && !found && !self.names.is_empty() {
                        continue;
                    }
                    if self.options.transfer {
                        // CoreDNS' Corefile has no `transfer`: whoever asks for a whole zone is refused.
                        let words = self.argv.get(1..).unwrap_or_default().join(" ");
                        let found = self.found();
                        io.out(format!(
                            "\n; <<>> DiG 9.20.15 <<>> {words}\n{found};; global options: +cmd\n; Transfer failed.\n"
                        ));
                        return Step::Exit(0);
                    }
                    let text = self.dig_text(io, &name, server, &answer);
                    io.out(text);
                    return Step::Exit(0);
                }
                Queried::Refused => "connection refused",
                Queried::Unreachable => "host unreachable",
                Queried::Timeout(took) => {
                    self.attempt += 1;
                    self.pending = Some(io.now + took);
                    self.dig_trouble(io, &name, &shown, server, "timed out");
                    if self.attempt >= self.options.tries {
                        self.names.clear();
                    }
                    return Step::Wait(Some(io.now + took));
                }
            };
            self.attempt += 1;
            self.dig_trouble(io, &name, &shown, server, why);
            if self.attempt >= self.options.tries {
                self.names.clear();
            }
        }
        if !self.options.short && self.options.command {
            io.out(format!(
                "\n; <<>> DiG 9.20.15 <<>> {}\n{};; global options: +cmd\n",
                self.argv.get(1..).unwrap_or_default().join(" "),
                self.found()
            ));
        }
        io.out(";; no servers could be reached\n");
        Step::Exit(9)
    }

    /// What dig says where the command line names the server.
    fn found(&self) -> &'static str {
        match self.server {
            Some(_) => "; (1 server found)\n",
            None => "",
        }
    }

    fn dig_trouble(
        &self,
        io: &mut Io<'_>,
        name: &str,
        shown: &str,
        server: SocketAddrV4,
        why: &str,
    ) {
        if self.options.tcp {
            io.out(format!(
                ";; Connection to {shown}({}) for {name} failed: {why}.\n",
                server.ip()
            ));
        } else {
            io.out(format!(";; communications error to {shown}: {why}\n"));
        }
    }

    fn dig_text(
        &self,
        io: &mut Io<'_>,
        name: &str,
        server: SocketAddrV4,
        answer: &Answer,
    ) -> String {
        let o = &self.options;
        if o.short {
            return answer
                .answers
                .iter()
                .map(|r| format!("{}\n", r.value()))
                .collect();
        }
        let name = full(name);
        let mut text = String::new();
        if o.command {
            text.push_str(&format!(
                "\n; <<>> DiG 9.20.15 <<>> {}\n{};; global options: +cmd\n",
                self.argv.get(1..).unwrap_or_default().join(" "),
                self.found()
            ));
        }
        if o.comments {
            text.push_str(";; Got answer:\n");
            if name.ends_with(".local.") {
                text.push_str(";; WARNING: .local is reserved for Multicast DNS\n;; You are currently testing what happens when an mDNS query is leaked to DNS\n");
            }
            let id = dns::wire::id(&name, self.kind, io.now);
            let flags = if answer.is_authoritative {
                "qr aa rd"
            } else {
                "qr rd"
            };
            text.push_str(&format!(
                ";; ->>HEADER<<- opcode: QUERY, status: {}, id: {id}\n;; flags: {flags}; QUERY: 1, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n;; WARNING: recursion requested but not available\n\n;; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 1232\n",
                answer.code.name(),
                answer.answers.len(),
                answer.authority.len(),
                answer.additional.len() + 1
            ));
        }
        if o.question {
            text.push_str(&format!(
                ";; QUESTION SECTION:\n;{}IN\t{}\n\n",
                column(&name, 31),
                self.kind.name()
            ));
        }
        for (shown, title, records) in [
            (o.answer, "ANSWER", &answer.answers),
            (o.authority, "AUTHORITY", &answer.authority),
            (o.additional, "ADDITIONAL", &answer.additional),
        ] {
            if !shown || records.is_empty() {
                continue;
            }
            if o.comments {
                text.push_str(&format!(";; {title} SECTION:\n"));
            }
            for record in records {
                text.push_str(&line(record, o.ttl));
            }
            if o.comments {
                text.push('\n');
            }
        }
        if o.stats {
            text.push_str(&format!(
                ";; Query time: 0 msec\n;; SERVER: {0}#{1}({0}) ({2})\n;; WHEN: {3}\n;; MSG SIZE  rcvd: {4}\n\n",
                server.ip(),
                server.port(),
                if o.tcp { "TCP" } else { "UDP" },
                io.now.ctime(),
                answer.length(&name)
            ));
        }
        text
    }

    /// Busybox asks for both kinds of addresses of every name at once, and prints each answer (`nslookup.c` 1.35).
    fn busybox(&mut self, io: &mut Io<'_>, server: SocketAddrV4) -> Step {
        let kinds: &[Type] = match self.kind_is_given || self.kind != Type::A {
            true => &[self.kind],
            false => &[Type::A, Type::Aaaa],
        };
        let names = std::mem::take(&mut self.names);
        let mut status = 0;
        let mut text = format!("Server:\t\t{}\nAddress:\t{server}\n\n", server.ip());
        for (kind, name) in kinds
            .iter()
            .flat_map(|kind| names.iter().map(move |name| (*kind, name)))
        {
            match self.ask(io, server, name, kind) {
                Queried::Answer(answer) if answer.code == Code::NoError => {
                    answer
                        .answers
                        .iter()
                        .for_each(|record| text += &busybox_line(record));
                    text.push('\n');
                }
                Queried::Answer(answer) => {
                    status = 1;
                    text.push_str(&format!(
                        "** server can't find {name}: {}\n\n",
                        answer.code.name()
                    ));
                }
                _ => {
                    io.out(";; connection timed out; no servers could be reached\n\n");
                    return Step::Exit(1);
                }
            }
        }
        io.out(text);
        Step::Exit(status)
    }

    fn nslookup(&mut self, io: &mut Io<'_>, server: SocketAddrV4) -> Step {
        let shown = server.ip();
        let mut last = self.name.clone();
        while let Some(name) = self.names.pop_front() {
            last.clone_from(&name);
            match self.ask(io, server, &name, self.kind) {
                Queried::Answer(answer) => {
                    let recursion = format!(";; Got recursion not available from {shown}\n");
                    if matches!(answer.code, Code::ServFail | Code::Refused) {
                        self.notes.push_str(&format!(
                            ";; Got {} reply from {shown}\n",
                            answer.code.name()
                        ));
                        return self.nslookup_failed(io, server, answer.code);
                    }
                    self.notes.push_str(&recursion);
                    if answer.code == Code::NxDomain {
                        continue;
                    }
                    return self.nslookup_found(io, server, &name, &answer);
                }
                Queried::Refused | Queried::Unreachable => {
                    // Three tries, one at once after the other.
                    let refused = format!(
                        ";; communications error to {shown}#{}: connection refused\n",
                        server.port()
                    );
                    io.out(refused.repeat(3) + ";; no servers could be reached\n\n");
                    return Step::Exit(1);
                }
                Queried::Timeout(took) => {
                    self.attempt += 1;
                    io.out(format!(
                        ";; communications error to {shown}#{}: timed out\n",
                        server.port()
                    ));
                    if self.attempt < 3 {
                        self.names.push_front(name);
                    } else {
                        io.out(";; no servers could be reached\n\n");
                        // The last try is waited for; then there is nothing more to ask.
                        self.tool = Tool::Getent;
                        self.resolve = None;
                        return Step::Exit(1);
                    }
                    self.pending = Some(io.now + took);
                    return Step::Wait(Some(io.now + took));
                }
            }
        }
        let _ = last;
        self.nslookup_failed(io, server, Code::NxDomain)
    }

    /// Which server was asked: BIND's nslookup does not say it of an address' name that it looks up
    /// by itself (`printmessage`).
    fn asked(&self, server: SocketAddrV4) -> String {
        if self.kind == Type::Ptr && !self.kind_is_given {
            return String::new();
        }
        let (address, port) = (server.ip(), server.port());
        format!("Server:\t\t{address}\nAddress:\t{address}#{port}\n\n")
    }

    fn nslookup_failed(&self, io: &mut Io<'_>, server: SocketAddrV4, code: Code) -> Step {
        let name = self.name.trim_end_matches('.');
        if self.tool == Tool::Host {
            io.out(format!("Host {name} not found: {}({})\n", 3, code.name()));
            return Step::Exit(1);
        }
        io.out(format!(
            "{}{}** server can't find {name}: {}\n\n",
            self.notes,
            self.asked(server),
            code.name()
        ));
        Step::Exit(1)
    }

    fn nslookup_found(
        &self,
        io: &mut Io<'_>,
        server: SocketAddrV4,
        name: &str,
        answer: &Answer,
    ) -> Step {
        let strip = |text: &str| text.trim_end_matches('.').to_owned();
        if self.tool == Tool::Host {
            for record in &answer.answers {
                let text = match record.kind() {
                    Type::A => format!("{} has address {}\n", strip(&record.name), record.value()),
                    Type::Cname => format!(
                        "{} is an alias for {}\n",
                        strip(&record.name),
                        record.value()
                    ),
                    Type::Ptr => format!(
                        "{} domain name pointer {}\n",
                        strip(&record.name),
                        record.value()
                    ),
                    _ => format!(
                        "{} has {} record {}\n",
                        strip(&record.name),
                        record.kind().name(),
                        record.value()
                    ),
                };
                io.out(text);
            }
            return Step::Exit(0);
        }
        let mut text = format!("{}{}", self.notes, self.asked(server));
        if answer.answers.is_empty() {
            text.push_str(&format!("*** Can't find {}: No answer\n\n", strip(name)));
            io.out(text);
            return Step::Exit(1);
        }
        for record in &answer.answers {
            match record.kind() {
                Type::A => text.push_str(&format!(
                    "Name:\t{}\nAddress: {}\n",
                    strip(&record.name),
                    record.value()
                )),
                Type::Cname => text.push_str(&format!(
                    "{}\tcanonical name = {}\n",
                    strip(&record.name),
                    record.value()
                )),
                Type::Ptr => text.push_str(&format!(
                    "{}\tname = {}\n",
                    strip(&record.name),
                    record.value()
                )),
                Type::Srv => text.push_str(&format!(
                    "{}\tservice = {}\n",
                    strip(&record.name),
                    record.value()
                )),
                _ => text.push_str(&format!("{}\t{}\n", strip(&record.name), record.value())),
            }
        }
        if self.kind == Type::A {
            // The AAAA question that follows is answered without recursion too.
            text.push_str(&format!(
                ";; Got recursion not available from {}\n",
                server.ip()
            ));
        }
        text.push('\n');
        io.out(text);
        Step::Exit(0)
    }
}

/// A column of dig's output: tabs up to the place where the next begins.
fn column(text: &str, width: usize) -> String {
    if text.len() >= width {
        return format!("{text} ");
    }
    let tabs = (width - text.len()).div_ceil(8).max(1);
    format!("{text}{}", "\t".repeat(tabs))
}

/// One record as dig prints it: in columns, which a long name pushes on (`indent` of BIND's `masterdump.c`).
fn line(record: &Record, ttl: bool) -> String {
    let (class, kind, data) = if ttl { (32, 40, 48) } else { (24, 32, 40) };
    let mut text = record.name.clone();
    let mut column = text.len();
    let mut field = |to: usize, field: &str| {
        let to = to.max(column + 1);
        let tabs = to / 8 - column / 8;
        if tabs > 0 {
            text.push_str(&"\t".repeat(tabs));
            column = to / 8 * 8;
        }
        text.push_str(&" ".repeat(to - column));
        text.push_str(field);
        column = to + field.len();
    };
    if ttl {
        field(24, &record.ttl.to_string());
    }
    field(class, "IN");
    field(kind, record.kind().name());
    field(data, &record.value());
    text.push('\n');
    text
}

/// A record as busybox prints it.
fn busybox_line(record: &Record) -> String {
    let name = record.name.trim_end_matches('.');
    let value = record.value();
    let target = value.trim_end_matches('.');
    match record.kind() {
        Type::A => format!("Name:\t{name}\nAddress: {value}\n"),
        Type::Cname => format!("{name}\tcanonical name = {target}\n"),
        Type::Ptr => format!("{name}\tname = {target}\n"),
        Type::Srv => format!("{name}\tservice = {target}\n"),
        _ => format!("{}\t{value}\n", record.name),
    }
}
