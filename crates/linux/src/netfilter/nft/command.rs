//! The `nft` command, version 1.0.6.

use std::sync::Arc;

use super::block::{self, ChainBlock, SetBlock};
use super::edit::{Refused, Span, Transaction};
use super::lexer::{self, Place, Problem, Reader, Token};
use super::list::{Lister, Style};
use super::rules;
use super::{Base, Chain, Family, Key, Nftables, Rule, Table, statement};
use crate::netfilter::edit::Edit;
use crate::netfilter::{ChainName, Netfilter, Policy, TableKind};
use crate::time::Time;
use crate::tools::Output;

type Read<T> = Result<T, Problem>;

const VERSION: &str = "nftables v1.0.6 (Lester Gooch #5)\n";

const HELP: &str = "\
Usage: nft [ options ] [ cmds... ]

Options (general):
  -h, --help                      Show this help
  -v, --version                   Show version information

Options (ruleset input handling):
  -f, --file <filename>           Read input from <filename>
  -c, --check                     Check commands validity without actually applying the changes.

Options (ruleset list formatting):
  -a, --handle                    Output rule handle.
  -s, --stateless                 Omit stateful information of ruleset.
  -t, --terse                     Omit contents of sets.
  -n, --numeric                   Print fully numerical output.
";

/// A table, a chain, a set: by family and names, with their places in the input.
#[derive(Clone, Debug)]
struct Spot {
    family: Family,
    table: String,
    table_at: Place,
    name: ChainName,
    name_at: Place,
    /// The whole command.
    at: Place,
}

/// One command.
#[derive(Debug)]
enum Command {
    List(Listing),
    FlushRuleset(Option<Family>),
    AddTable(Spot, Option<Arc<str>>, bool),
    AddChain(Spot, ChainBlock, bool),
    AddRule(Spot, Position, Box<Rule>),
    ReplaceRule(Spot, u64, Box<Rule>),
    DeleteRule(Spot, u64),
    AddSet(Spot, Box<SetBlock>, bool),
    Elements(Spot, ElementVerb, Vec<Token>),
    Delete(Kind, Spot),
    Flush(Kind, Spot),
    Rename(Spot, ChainName),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum ElementVerb {
    Add,
    Create,
    Delete,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Table,
    Chain,
    Set,
    Map,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    End,
    Start,
    Before(u64),
    After(u64),
    Index(usize, bool),
}

#[derive(Debug)]
enum Listing {
    Ruleset(Option<Family>),
    Tables(Option<Family>),
    Chains(Option<Family>),
    Sets(Option<Family>, Kind),
    Table(Spot),
    Chain(Spot),
    Set(Spot, Kind),
    Nothing,
}

/// Runs `nft` with these words (without its own name). `input` is what `-f -` reads.
pub fn run(netfilter: &mut Netfilter, args: &[String], input: &str, now: Time) -> Output {
    let mut style = Style::default();
    let mut check = false;
    let mut file = None;
    let mut words: Vec<&str> = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !words.is_empty() || !arg.starts_with('-') || arg == "-" {
            words.push(arg);
            continue;
        }
        match arg.as_str() {
            "-a" | "--handle" => style.handles = true,
            "-s" | "--stateless" => style.stateless = true,
            "-t" | "--terse" => style.terse = true,
            "-c" | "--check" => check = true,
            "-n" | "--numeric" | "-nn" | "-nnn" | "-y" | "-p" | "-S" | "-N" | "-e" | "--echo"
            | "-i" => {}
            "-v" | "--version" => return Output::ok(VERSION),
            "-V" => {
                return Output::ok(format!(
                    "{VERSION}  cli:\t\teditline\n  json:\t\tyes\n  minigmp:\tno\n  libxtables:\tyes\n"
                ));
            }
            "-h" | "--help" => return Output::ok(HELP),
            "-j" | "--json" => return Output::unknown("nft -j"),
            "-f" | "--file" => match args.next() {
                Some(name) => file = Some(name.as_str()),
                None => return Output::failed(1, "nft: option requires an argument -- 'f'\n"),
            },
            _ => {
                let option = arg.trim_start_matches('-');
                return Output::failed(1, format!("nft: invalid option -- '{option}'\n"));
            }
        }
    }
    let text = words.join(" ");
    match file {
        Some("-" | "/dev/stdin") => {
            run_script(netfilter, input, Some("/dev/stdin"), style, check, now)
        }
        Some(name) => Output::failed(
            1,
            format!(
                "internal:0:0-0: Error: Could not open file \"{name}\": No such file or directory\n\n\n"
            ),
        ),
        None if text.is_empty() => Output::failed(1, HELP),
        None => run_script(netfilter, &text, None, style, check, now),
    }
}

/// Runs a script: all of it, or, if something is wrong, nothing of it.
fn run_script(
    netfilter: &mut Netfilter,
    input: &str,
    file: Option<&str>,
    style: Style,
    check: bool,
    now: Time,
) -> Output {
    let mut scratch = netfilter.clone();
    match script(&mut scratch, input, style, now) {
        Ok(stdout) => {
            if !check {
                *netfilter = scratch;
            }
            Output::ok(stdout)
        }
        Err(problem) => Output::failed(1, problem.print(input, file)),
    }
}

fn script(netfilter: &mut Netfilter, input: &str, style: Style, now: Time) -> Read<String> {
    let tokens = lexer::cut(input)?;
    let mut reader = Reader::new(&tokens);
    let mut commands = Vec::new();
    loop {
        reader.skip_ends();
        if reader.is_done() {
            break;
        }
        parse(&mut reader, &mut commands)?;
        if !reader.at_end() || reader.peek() == "}" {
            return Err(reader.unexpected());
        }
    }
    let mut out = String::new();
    for command in commands {
        if let Command::List(listing) = command {
            let lister = Lister {
                netfilter,
                now,
                style,
            };
            list(&lister, listing, &mut out)?;
        } else {
            carry_out(netfilter, command, now)?;
        }
    }
    Ok(out)
}

fn family(reader: &mut Reader) -> Read<Option<Family>> {
    let family = match reader.peek() {
        "ip" => Family::Ip,
        "ip6" => Family::Ip6,
        "inet" | "arp" | "bridge" | "netdev" => {
            let text = format!("tables of family {}: not simulated yet", reader.peek());
            return Err(Problem::new(text, reader.place()));
        }
        _ => return Ok(None),
    };
    reader.next();
    Ok(Some(family))
}

/// `[FAMILY] TABLE`, and with `named` the name of something in it.
fn spot(reader: &mut Reader, begin: Place, named: bool) -> Read<Spot> {
    let family = family(reader)?.unwrap_or(Family::Ip);
    let table = reader.word()?;
    let (name, name_at) = if named {
        let token = reader.word()?;
        (ChainName::from(&*token.text), token.at)
    } else {
        (ChainName::from(""), table.at)
    };
    Ok(Spot {
        family,
        table: table.text.clone(),
        table_at: table.at,
        name,
        name_at,
        at: begin.until(reader.last_place()),
    })
}

fn parse(reader: &mut Reader, commands: &mut Vec<Command>) -> Read<()> {
    let begin = reader.place();
    let verb = match reader.peek() {
        // Without a verb, a table is added.
        "table" => "add",
        "list" | "add" | "create" | "insert" | "replace" | "delete" | "destroy" | "flush"
        | "rename" => {
            let verb = reader.peek();
            reader.next();
            verb
        }
        "chain" | "rule" | "set" | "map" | "element" => "add",
        "get" | "reset" | "monitor" | "describe" | "export" | "import" | "include" | "define"
        | "redefine" | "undefine" => {
            let text = format!("{}: not simulated yet", reader.peek());
            return Err(Problem::new(text, begin));
        }
        _ => return Err(reader.unexpected()),
    };
    let create = verb == "create";
    let kind = reader.peek();
    let wrong = |reader: &Reader| Err(reader.unexpected());
    match (verb, kind) {
        ("list", _) => {
            let listing = listing(reader, begin)?;
            commands.push(Command::List(listing));
        }
        ("flush", "ruleset") => {
            reader.next();
            commands.push(Command::FlushRuleset(family(reader)?));
        }
        ("flush" | "delete" | "destroy", "table" | "chain" | "set" | "map") => {
            reader.next();
            let what = match kind {
                "table" => Kind::Table,
                "chain" => Kind::Chain,
                "set" => Kind::Set,
                _ => Kind::Map,
            };
            let spot = spot(reader, begin, what != Kind::Table)?;
            commands.push(if verb == "flush" {
                Command::Flush(what, spot)
            } else {
                Command::Delete(what, spot)
            });
        }
        ("add" | "create", "table") => {
            reader.next();
            table(reader, begin, create, commands)?;
        }
        ("add" | "create", "chain") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            let block = if reader.peek() == "{" {
                block::chain(reader, spot.family)?
            } else {
                ChainBlock::default()
            };
            commands.push(Command::AddChain(spot, block, create));
        }
        ("add" | "create", "set" | "map") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            let block = block::set(reader, kind == "map")?;
            commands.push(Command::AddSet(spot, Box::new(block), create));
        }
        ("add" | "create" | "delete" | "destroy", "element") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            let tokens = reader.block()?.to_vec();
            let verb = match verb {
                "add" => ElementVerb::Add,
                "create" => ElementVerb::Create,
                _ => ElementVerb::Delete,
            };
            commands.push(Command::Elements(spot, verb, tokens));
        }
        ("delete" | "destroy", "rule") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            reader.expect("handle")?;
            commands.push(Command::DeleteRule(spot, reader.number()?));
        }
        ("replace", "rule") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            reader.expect("handle")?;
            let handle = reader.number()?;
            let rule = rules::rule(reader, spot.family)?;
            commands.push(Command::ReplaceRule(spot, handle, Box::new(rule)));
        }
        ("rename", "chain") => {
            reader.next();
            let spot = spot(reader, begin, true)?;
            let to = ChainName::from(&*reader.word()?.text);
            commands.push(Command::Rename(spot, to));
        }
        ("add" | "insert" | "create", _) => {
            if !reader.eat("rule") && verb != "add" && verb != "insert" {
                return wrong(reader);
            }
            add_rule(reader, begin, verb == "insert", commands)?;
        }
        _ => return wrong(reader),
    }
    Ok(())
}

fn add_rule(
    reader: &mut Reader,
    begin: Place,
    insert: bool,
    commands: &mut Vec<Command>,
) -> Read<()> {
    let mut spot = spot(reader, begin, true)?;
    let mut position = if insert {
        Position::Start
    } else {
        Position::End
    };
    match reader.peek() {
        "handle" | "position" => {
            reader.next();
            let handle = reader.number()?;
            position = if insert {
                Position::Before(handle)
            } else {
                Position::After(handle)
            };
        }
        "index" => {
            reader.next();
            position = Position::Index(reader.number()?, insert);
        }
        _ => {}
    }
    let rule = rules::rule(reader, spot.family)?;
    spot.at = begin.until(reader.last_place());
    commands.push(Command::AddRule(spot, position, Box::new(rule)));
    Ok(())
}

/// `table FAMILY NAME { … }`
fn table(reader: &mut Reader, begin: Place, create: bool, commands: &mut Vec<Command>) -> Read<()> {
    let place = spot(reader, begin, false)?;
    if reader.peek() != "{" {
        commands.push(Command::AddTable(place, None, create));
        return Ok(());
    }
    let mut inner = Reader::new(reader.block()?);
    let mut comment = None;
    let mut parts = Vec::new();
    let mut chains = Vec::new();
    loop {
        inner.skip_ends();
        if inner.is_done() {
            break;
        }
        let at = inner.place();
        let kind = inner.peek();
        inner.next();
        if kind == "comment" {
            comment = Some(rules::comment(&mut inner)?);
            continue;
        }
        let name = match kind {
            "chain" | "set" | "map" => inner.word()?,
            "flags" | "counter" | "quota" | "limit" | "ct" | "flowtable" | "secmark" => {
                return Err(Problem::new(format!("{kind}: not simulated yet"), at));
            }
            _ => {
                return Err(Problem::new("syntax error, unexpected string", at));
            }
        };
        let spot = Spot {
            name: ChainName::from(&*name.text),
            name_at: name.at,
            at,
            ..place.clone()
        };
        if kind == "chain" {
            chains.push((spot, block::chain(&mut inner, place.family)?));
        } else {
            let block = block::set(&mut inner, kind == "map")?;
            parts.push((spot, block));
        }
    }
    commands.push(Command::AddTable(place, comment, create));
    // Chains first, empty, so that all can name each other; then sets; then elements and rules.
    let mut rules = Vec::new();
    for (spot, mut block) in chains {
        rules.push((spot.clone(), std::mem::take(&mut block.rules)));
        commands.push(Command::AddChain(spot, block, false));
    }
    for (spot, block) in parts {
        commands.push(Command::AddSet(spot, Box::new(block), false));
    }
    for (spot, list) in rules {
        for rule in list {
            let rule = Box::new(rule);
            commands.push(Command::AddRule(spot.clone(), Position::End, rule));
        }
    }
    Ok(())
}

fn listing(reader: &mut Reader, begin: Place) -> Read<Listing> {
    let kind = reader.peek();
    let unexpected = reader.unexpected();
    reader.next();
    Ok(match kind {
        "ruleset" => Listing::Ruleset(family(reader)?),
        "tables" => Listing::Tables(family(reader)?),
        "chains" => Listing::Chains(family(reader)?),
        "sets" => Listing::Sets(family(reader)?, Kind::Set),
        "maps" => Listing::Sets(family(reader)?, Kind::Map),
        "table" => Listing::Table(spot(reader, begin, false)?),
        "chain" => Listing::Chain(spot(reader, begin, true)?),
        "set" => Listing::Set(spot(reader, begin, true)?, Kind::Set),
        "map" => Listing::Set(spot(reader, begin, true)?, Kind::Map),
        "counters" | "quotas" | "limits" | "flowtables" | "meters" => {
            family(reader)?;
            Listing::Nothing
        }
        _ => return Err(unexpected),
    })
}

// ---------------------------------------------------------------------------------------------------------------

/// The table of iptables that a name means.
fn xtable(netfilter: &Netfilter, spot: &Spot) -> Option<(u32, TableKind)> {
    let tables = netfilter.xtables();
    let mut tables = tables.iter();
    tables
        .find(|(_, family, kind, _)| *family == spot.family && kind.name() == spot.table)
        .map(|(made, _, kind, _)| (*made, *kind))
}

/// The names of all tables, in the order in which they were made.
fn all_tables(netfilter: &Netfilter) -> Vec<(u64, Family, String)> {
    let mut all: Vec<(u64, Family, String)> = netfilter
        .xtables()
        .into_iter()
        .map(|(made, family, kind, _)| (u64::from(made), family, kind.name().to_owned()))
        .collect();
    let own = netfilter.nft().into_iter().flat_map(|n| n.tables());
    all.extend(own.map(|t| (t.made, t.family, t.name.to_string())));
    all.sort_by_key(|t| t.0);
    all
}

/// "No such file or directory", with what was perhaps meant.
fn no_table(netfilter: &Netfilter, spot: &Spot) -> Problem {
    let tables = all_tables(netfilter);
    let mut best: Option<(usize, &(u64, Family, String))> = None;
    for table in &tables {
        if table.2 == spot.table {
            best = Some((0, table));
            break;
        }
        if let Some(distance) = misspelt(&table.2, &spot.table)
            && best.is_none_or(|b| distance < b.0)
        {
            best = Some((distance, table));
        }
    }
    let text = match best {
        Some((_, (_, family, name))) => format!(
            "No such file or directory; did you mean table ‘{name}’ in family {}?",
            family.name()
        ),
        None => "No such file or directory".to_owned(),
    };
    Problem::new(text, spot.table_at)
}

/// The same for a chain, a set or a map of a table that is there.
fn nothing_named<'a>(spot: &Spot, kind: &str, names: impl Iterator<Item = &'a str>) -> Problem {
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        if let Some(distance) = misspelt(name, spot.name.as_str())
            && best.is_none_or(|b| distance < b.0)
        {
            best = Some((distance, name));
        }
    }
    let text = match best {
        Some((_, name)) => format!(
            "No such file or directory; did you mean {kind} ‘{name}’ in table {} ‘{}’?",
            spot.family.name(),
            spot.table
        ),
        None => "No such file or directory".to_owned(),
    };
    Problem::new(text, spot.name_at)
}

/// How far two names are from each other, if near enough to be meant (`string_misspell_update`).
fn misspelt(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (longest, shortest) = (a.len().max(b.len()), a.len().min(b.len()));
    if longest <= 1 {
        return None;
    }
    let threshold = if longest - shortest > 1 {
        (longest - shortest).max(longest) / 3
    } else {
        longest.div_ceil(3)
    }
    .max(1);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last()
        .copied()
        .filter(|distance| *distance <= threshold)
}

fn own_table<'a>(netfilter: &'a Netfilter, spot: &Spot) -> Read<&'a Arc<Table>> {
    netfilter
        .nft()
        .and_then(|n: &Arc<Nftables>| n.table(spot.family, &spot.table))
        .ok_or_else(|| no_table(netfilter, spot))
}

fn list(lister: &Lister, listing: Listing, out: &mut String) -> Read<()> {
    let netfilter = lister.netfilter;
    let wanted = |family: Option<Family>| {
        let tables = all_tables(netfilter);
        tables
            .into_iter()
            .filter(move |t| family.is_none_or(|f| f == t.1))
    };
    let as_spot = |family: Family, table: String| Spot {
        family,
        table,
        table_at: Place::default(),
        name: ChainName::from(""),
        name_at: Place::default(),
        at: Place::default(),
    };
    match listing {
        Listing::Nothing => {}
        Listing::Tables(family) => {
            for (made, family, name) in wanted(family) {
                out.push_str(&format!("table {} {name}", family.name()));
                if lister.style.handles {
                    out.push_str(&format!(" # handle {made}"));
                }
                out.push('\n');
            }
        }
        Listing::Ruleset(family) => {
            for (_, family, name) in wanted(family) {
                list_table(lister, &as_spot(family, name), out)?;
            }
        }
        Listing::Table(spot) => list_table(lister, &spot, out)?,
        Listing::Chains(family) => {
            for (_, family, name) in wanted(family) {
                list_chain_heads(lister, &as_spot(family, name), out);
            }
        }
        Listing::Sets(family, kind) => {
            for table in netfilter.nft().into_iter().flat_map(|n| n.tables()) {
                if family.is_some_and(|f| f != table.family) {
                    continue;
                }
                lister.head(table, out);
                for (handle, name, set) in table.sets.listed() {
                    if set.data.is_some() == (kind == Kind::Map) {
                        lister.declaration(name, handle, set, out);
                    }
                }
                out.push_str("}\n");
            }
        }
        Listing::Chain(spot) => list_chain(lister, &spot, out)?,
        Listing::Set(spot, kind) => {
            let table = own_table(netfilter, &spot)?;
            let found = table
                .set(&spot.name)
                .filter(|set| set.data.is_some() == (kind == Kind::Map));
            let Some(set) = found else {
                let word = if kind == Kind::Map { "map" } else { "set" };
                let names = table.sets().into_iter();
                let alike = names.filter(|(_, set)| set.word() == word);
                return Err(nothing_named(
                    &spot,
                    word,
                    alike.map(|(name, _)| name.as_str()),
                ));
            };
            lister.head(table, out);
            let handle = table.sets.handle(&spot.name).unwrap_or(0);
            lister.set(table, &spot.name, handle, set, out);
            out.push_str("}\n");
        }
    }
    Ok(())
}

fn list_table(lister: &Lister, spot: &Spot, out: &mut String) -> Read<()> {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        if let Some(table) = xtable_of(netfilter, spot.family, kind) {
            lister.xtables(spot.family, kind, made, table, out);
        }
        return Ok(());
    }
    lister.table(own_table(netfilter, spot)?, out);
    Ok(())
}

fn xtable_of(
    netfilter: &Netfilter,
    family: Family,
    kind: TableKind,
) -> Option<&crate::netfilter::Table> {
    match family {
        Family::Ip => netfilter.table(kind),
        Family::Ip6 => netfilter.table6(kind),
    }
}

fn list_chain_heads(lister: &Lister, spot: &Spot, out: &mut String) {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        lister.xtables_head(spot.family, kind, made, out);
        let table = xtable_of(netfilter, spot.family, kind);
        for chain in table.into_iter().flat_map(|t| t.made()) {
            lister.xtables_chain_head(kind, chain, out);
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    } else if let Ok(table) = own_table(netfilter, spot) {
        lister.head(table, out);
        for (handle, _, chain) in table.chains.listed() {
            lister.chain_head(handle, chain, out);
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    }
}

fn list_chain(lister: &Lister, spot: &Spot, out: &mut String) -> Read<()> {
    let netfilter = lister.netfilter;
    if let Some((made, kind)) = xtable(netfilter, spot) {
        let chains = xtable_of(netfilter, spot.family, kind).map(|t| t.made());
        let chains = chains.unwrap_or_default();
        let Some(chain) = chains.iter().find(|c| c.name == spot.name) else {
            let names = chains.iter().map(|c| c.name.as_str());
            return Err(nothing_named(spot, "chain", names));
        };
        lister.xtables_head(spot.family, kind, made, out);
        lister.xtables_chain(kind, chain, out);
        out.push_str("}\n");
        return Ok(());
    }
    let table = own_table(netfilter, spot)?;
    let Some(chain) = table.chain(&spot.name) else {
        let chains = table.chains();
        let names = chains.iter().map(|c| c.name.as_str());
        return Err(nothing_named(spot, "chain", names));
    };
    lister.head(table, out);
    let handle = table.chains.handle(&spot.name).unwrap_or(0);
    lister.chain(table, handle, chain, out);
    out.push_str("}\n");
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------

fn refused(refused: Refused, at: Place) -> Problem {
    let text = match refused {
        Refused::Overlap => "conflicting intervals specified".to_owned(),
        other => format!("Could not process rule: {}", other.text()),
    };
    Problem::new(text, at)
}

fn carry_out(netfilter: &mut Netfilter, command: Command, now: Time) -> Read<()> {
    if let Command::FlushRuleset(family) = command {
        return flush_ruleset(netfilter, family, now);
    }
    let spot = spot_of(&command).clone();
    if let Some((_, kind)) = xtable(netfilter, &spot) {
        return change_xtable(netfilter, kind, command, &spot);
    }
    let makes = matches!(command, Command::AddTable(..));
    if !makes && let Err(problem) = own_table(netfilter, &spot) {
        return Err(problem);
    }
    if let Some(problem) = missing(netfilter, &command, &spot) {
        return Err(problem);
    }
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
        .map_err(|why| refused(why, spot.at))
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
        Command::AddTable(..) => Err(refused(Refused::Exists, spot.at)),
        Command::Delete(Kind::Table, _) => {
            netfilter.remove_table(spot.family, kind);
            Ok(())
        }
        _ if spot.family == Family::Ip6 => mine("changes in"),
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
                Err(_) => Err(refused(Refused::Busy, spot.at)),
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
        if base.kind == super::ChainType::Nat && policy == Policy::Drop {
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
        let key = (read.from, read.to);
        let span = Span(read.timeout);
        let added = edit.add_element(family, table, &spot.name, key, read.element, span, false);
        if let Err(why) = added {
            return Err(refused(why, read.at));
        }
    }
    Ok(Ok(()))
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
        let key: (Key, Option<Key>) = (read.from, read.to);
        let done = match verb {
            ElementVerb::Delete => edit.delete_element(family, table, &spot.name, key),
            _ => {
                let (span, create) = (Span(read.timeout), verb == ElementVerb::Create);
                edit.add_element(family, table, &spot.name, key, read.element, span, create)
            }
        };
        if let Err(why) = done {
            return Err(refused(why, read.at));
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
