//! Reading what stands in braces: definitions of tables, chains, sets and maps.

use std::sync::Arc;

use super::lexer::{Problem, Reader, Token};
use super::rules::{ElementRead, comment, element, rule};
use super::set::{DataKind, Set};
use super::value::{DataType, duration};
use super::{Base, ChainType, Family, PRIORITIES, Rule};
use crate::netfilter::{Hook, Policy};

type Read<T> = Result<T, Problem>;

/// A chain as it was defined.
#[derive(Debug, Default)]
pub(crate) struct ChainBlock {
    pub base: Option<Base>,
    pub policy: Option<Policy>,
    pub comment: Option<Arc<str>>,
    pub rules: Vec<Rule>,
}

/// A set or map as it was defined.
#[derive(Debug)]
pub(crate) struct SetBlock {
    pub set: Set,
    pub elements: Vec<ElementRead>,
}

/// What stands in a chain's braces.
pub(crate) fn chain(reader: &mut Reader, family: Family) -> Read<ChainBlock> {
    let mut inner = Reader::new(reader.block()?);
    let mut block = ChainBlock::default();
    loop {
        inner.skip_ends();
        if inner.is_done() {
            break;
        }
        match inner.peek() {
            "type" if inner.peek_at(2) == "hook" => block.base = Some(base(&mut inner)?),
            "policy" => {
                inner.next();
                block.policy = Some(policy(&mut inner)?);
            }
            "comment" if block.rules.is_empty() => {
                inner.next();
                block.comment = Some(comment(&mut inner)?);
            }
            _ => block.rules.push(rule(&mut inner, family)?),
        }
        if !inner.at_end() {
            return Err(inner.unexpected());
        }
    }
    if let (Some(base), Some(policy)) = (&mut block.base, block.policy) {
        base.policy = policy;
    }
    Ok(block)
}

fn policy(reader: &mut Reader) -> Read<Policy> {
    match reader.peek() {
        "accept" => {
            reader.next();
            Ok(Policy::Accept)
        }
        "drop" => {
            reader.next();
            Ok(Policy::Drop)
        }
        _ => Err(reader.unexpected()),
    }
}

/// `type T hook H priority P`
fn base(reader: &mut Reader) -> Read<Base> {
    reader.expect("type")?;
    let at = reader.place();
    let kind = match reader.word()?.text.as_str() {
        "filter" => ChainType::Filter,
        "nat" => ChainType::Nat,
        "route" => ChainType::Route,
        _ => return Err(Problem::new("unknown chain type", at)),
    };
    reader.expect("hook")?;
    let at = reader.place();
    let hook = match reader.word()?.text.as_str() {
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        _ => return Err(Problem::new("unknown chain hook", at)),
    };
    let impossible = match kind {
        ChainType::Nat => hook == Hook::Forward,
        ChainType::Route => hook != Hook::Output,
        ChainType::Filter => false,
    };
    if impossible {
        return Err(Problem::new(
            "Could not process rule: Operation not supported",
            at,
        ));
    }
    reader.expect("priority")?;
    Ok(Base {
        kind,
        hook,
        priority: priority(reader)?,
        policy: Policy::Accept,
    })
}

fn priority(reader: &mut Reader) -> Read<i32> {
    let at = reader.place();
    let text = reader.word()?.text.as_str();
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let named = PRIORITIES.iter().find(|p| p.0 == text).map(|p| p.1);
    let Some(named) = named else {
        return Err(Problem::new(format!("'{text}' is invalid priority."), at));
    };
    let sign = match reader.peek() {
        "+" => 1,
        "-" => -1,
        _ => return Ok(named),
    };
    reader.next();
    let more: i32 = reader.number()?;
    Ok(named.saturating_add(more.saturating_mul(sign)))
}

/// What stands in a set's or map's braces.
pub(crate) fn set(reader: &mut Reader, is_map: bool) -> Read<SetBlock> {
    let at = reader.place();
    let mut inner = Reader::new(reader.block()?);
    let mut set = Set::new(Vec::new());
    let mut contents: Option<&[Token]> = None;
    loop {
        inner.skip_ends();
        if inner.is_done() {
            break;
        }
        let option = inner.word()?.text.as_str();
        match option {
            "type" => {
                set.key = types(&mut inner)?;
                if is_map {
                    inner.expect(":")?;
                    set.data = Some(if inner.eat("verdict") {
                        DataKind::Verdict
                    } else {
                        DataKind::Values(types(&mut inner)?)
                    });
                }
            }
            "flags" => loop {
                match inner.peek() {
                    "constant" => set.flags.constant = true,
                    "dynamic" => set.flags.dynamic = true,
                    "interval" => set.flags.interval = true,
                    "timeout" => set.flags.timeout = true,
                    _ => return Err(inner.unexpected()),
                }
                inner.next();
                if !inner.eat(",") {
                    break;
                }
            },
            "timeout" | "gc-interval" => {
                let at = inner.place();
                let span = duration(&inner.word()?.text)
                    .ok_or_else(|| Problem::new("syntax error, unexpected string", at))?;
                if option == "timeout" {
                    set.timeout = Some(span);
                    set.flags.timeout = true;
                }
            }
            "size" => set.size = Some(inner.number()?),
            "policy" => drop(inner.word()?),
            "auto-merge" => set.auto_merge = true,
            "comment" => set.comment = Some(comment(&mut inner)?),
            "elements" => {
                inner.expect("=")?;
                contents = Some(inner.block()?);
            }
            other => {
                return Err(Problem::new(
                    format!("{other}: not simulated yet"),
                    inner.last_place(),
                ));
            }
        }
        if !inner.at_end() {
            return Err(inner.unexpected());
        }
    }
    if set.key.is_empty() {
        let what = if is_map { "map" } else { "set" };
        return Err(Problem::new(
            format!("{what} definition does not specify key"),
            at,
        ));
    }
    // A set that packets fill has an end (`set_evaluate`).
    if set.flags.dynamic && set.size.is_none() {
        set.size = Some(65535);
    }
    let mut block = SetBlock {
        set,
        elements: Vec::new(),
    };
    if let Some(contents) = contents {
        block.elements = elements(contents, &mut block.set)?;
    }
    Ok(block)
}

fn types(reader: &mut Reader) -> Read<Vec<DataType>> {
    let mut all = Vec::new();
    loop {
        let at = reader.place();
        let name = reader.word()?.text.as_str();
        let kind = DataType::parse(name)
            .ok_or_else(|| Problem::new(format!("unknown datatype {name}"), at))?;
        all.push(kind);
        if !reader.eat(".") {
            break;
        }
    }
    let length: usize = all.iter().map(|kind| kind.length()).sum();
    if length > super::value::LONGEST {
        return Err(Problem::new(
            "so long a concatenation: not simulated yet",
            reader.last_place(),
        ));
    }
    Ok(all)
}

/// The elements between a set's braces.
pub(crate) fn elements(tokens: &[Token], set: &mut Set) -> Read<Vec<ElementRead>> {
    let mut reader = Reader::new(tokens);
    let mut all = Vec::new();
    loop {
        reader.skip_lines();
        if reader.is_done() {
            return Ok(all);
        }
        all.push(element(&mut reader, set)?);
        reader.skip_lines();
        if !reader.eat(",") && !reader.is_done() {
            return Err(reader.unexpected());
        }
    }
}
