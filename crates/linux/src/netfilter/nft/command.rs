//! The `nft` command, version 1.0.6.

mod change;
mod naming;
mod show;
mod show_json;

use std::sync::Arc;

use super::block::{self, ChainBlock, SetBlock};
use super::lexer::{self, Place, Problem, Reader, Token};
use super::list::{Lister, Style};
use super::{Family, Rule, json, rules};
use crate::netfilter::{ChainName, Netfilter};
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
  -j, --json                      Format output in JSON
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

impl Spot {
    /// A table of which only is known that it is there.
    fn table(family: Family, table: String) -> Spot {
        Spot {
            family,
            table,
            table_at: Place::default(),
            name: ChainName::from(""),
            name_at: Place::default(),
            at: Place::default(),
        }
    }
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

/// Runs `nft` with these words (without its own name) in a namespace with these devices. `input` is what `-f -` reads.
pub fn run(
    netfilter: &mut Netfilter,
    devices: &[Arc<str>],
    args: &[String],
    input: &str,
    now: Time,
) -> Output {
    let mut options = Options {
        style: Style::default(),
        check: false,
        json: false,
        now,
        devices,
    };
    let mut file = None;
    let mut words: Vec<&str> = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !words.is_empty() || !arg.starts_with('-') || arg == "-" {
            words.push(arg);
            continue;
        }
        // `-an` is `-a -n`.
        let letters = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let each = letters.map_or(vec![arg.clone()], |l| l.chars().map(String::from).collect());
        for option in &each {
            match option.as_str() {
                "f" | "--file" => match args.next() {
                    Some(name) => file = Some(name.as_str()),
                    None => return Output::failed(1, "nft: option requires an argument -- 'f'\n"),
                },
                option => {
                    if let Some(output) = options.set(option) {
                        return output;
                    }
                }
            }
        }
    }
    let text = words.join(" ");
    match file {
        Some("-" | "/dev/stdin") => run_script(netfilter, input, Some("/dev/stdin"), &options),
        Some(name) => Output::failed(
            1,
            format!(
                "internal:0:0-0: Error: Could not open file \"{name}\": No such file or directory\n\n\n"
            ),
        ),
        None if text.is_empty() => Output::failed(1, HELP),
        None => run_script(netfilter, &text, None, &options),
    }
}

/// How to run: what the options say, and where.
struct Options<'a> {
    style: Style,
    check: bool,
    json: bool,
    now: Time,
    devices: &'a [Arc<str>],
}

impl Options<'_> {
    /// Takes an option: a letter, or a long one. Some: it is answered at once.
    fn set(&mut self, option: &str) -> Option<Output> {
        match option {
            "a" | "--handle" => self.style.handles = true,
            "s" | "--stateless" => self.style.stateless = true,
            "t" | "--terse" => self.style.terse = true,
            "c" | "--check" => self.check = true,
            "n" | "--numeric" | "y" | "p" | "S" | "N" | "e" | "--echo" | "i" => {}
            "v" | "--version" => return Some(Output::ok(VERSION)),
            "V" => {
                return Some(Output::ok(format!(
                    "{VERSION}  cli:\t\teditline\n  json:\t\tyes\n  minigmp:\tno\n  libxtables:\tyes\n"
                )));
            }
            "h" | "--help" => return Some(Output::ok(HELP)),
            "j" | "--json" => self.json = true,
            _ => {
                let said = match option.strip_prefix("--") {
                    Some(_) => format!("nft: unrecognized option '{option}'\n"),
                    None => format!("nft: invalid option -- '{option}'\n"),
                };
                return Some(Output::failed(1, said));
            }
        }
        None
    }
}

/// `iif` and `oif` take the number that a device has now, so it must be there.
fn check_devices(tokens: &[Token], devices: &[Arc<str>]) -> Read<()> {
    for pair in tokens.windows(2) {
        let names = !pair[0].quoted && matches!(&*pair[0].text, "iif" | "oif");
        let name = &*pair[1].text;
        let word = pair[1].quoted
            || name
                .chars()
                .all(|c| c.is_alphanumeric() || "._-".contains(c));
        if names && word && !matches!(name, "." | "vmap") && !devices.iter().any(|d| **d == *name) {
            return Err(Problem::new("Interface does not exist", pair[1].at));
        }
    }
    Ok(())
}

/// Runs a script: all of it, or, if something is wrong, nothing of it.
fn run_script(
    netfilter: &mut Netfilter,
    input: &str,
    file: Option<&str>,
    options: &Options,
) -> Output {
    let mut scratch = netfilter.clone();
    match script(&mut scratch, input, options) {
        Ok(output) => {
            if !options.check {
                *netfilter = scratch;
            }
            output
        }
        Err(problem) => Output::failed(1, problem.print(input, file)),
    }
}

fn script(netfilter: &mut Netfilter, input: &str, options: &Options) -> Read<Output> {
    let tokens = lexer::cut(input)?;
    check_devices(&tokens, options.devices)?;
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
    let mut out = Output::default();
    let mut lines = None;
    for command in commands {
        if let Command::List(listing) = command {
            let lister = Lister {
                netfilter,
                now: options.now,
                style: options.style,
            };
            if options.json {
                let lines = lines.get_or_insert_default();
                show_json::list(&lister, listing, lines)?;
            } else {
                show::list(&lister, listing, &mut out)?;
            }
        } else {
            change::carry_out(netfilter, command, options.now)?;
        }
    }
    Ok(lines.map_or(out, |lines| Output::ok(json::answer(lines))))
}

fn family(reader: &mut Reader) -> Read<Option<Family>> {
    let family = match reader.peek() {
        "ip" => Family::Ip,
        "ip6" => Family::Ip6,
        "inet" => Family::Inet,
        "arp" | "bridge" | "netdev" => {
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
