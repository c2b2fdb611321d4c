//! jq's own functions.

use super::eval::{Done, Emit, Engine, Item, Scope, Stop, error, named};
use super::json::{Json, Reader};
use super::parser::Filter;
use super::paths::{delete_none, get_path};
use super::text::{number, split, string, to_text};
use std::rc::Rc;

/// What is defined in jq itself.
pub(super) const PRELUDE: &str = r#"
def map(f): [.[] | f];
def select(f): if f then . else empty end;
def recurse(f): def r: ., (f | r); r;
def recurse(f; cond): def r: ., (f | select(cond) | r); r;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type == "array" or type == "object");
def scalars: select(type != "array" and type != "object");
def map_values(f): .[] |= f;
def to_entries: [keys_unsorted[] as $k | {key: $k, value: .[$k]}];
def from_entries: reduce .[] as $x ({}; . + {($x | if type == "object" then (if has("key") then .key elif has("k") then .k elif has("name") then .name elif has("Name") then .Name elif has("Key") then .Key else null end) else . end | if type == "string" then . elif type == "null" then "null" else tojson end): ($x | if has("value") then .value elif has("v") then .v else .Value end)});
def with_entries(f): to_entries | map(f) | from_entries;
def add(f): reduce f as $x (null; . + $x);
def any(f): reduce (.[] | f) as $x (false; . or $x);
def any(g; f): isempty(first(g | f | if . then . else empty end)) | not;
def all(f): reduce (.[] | f) as $x (true; . and $x);
def all(g; f): isempty(first(g | f | if . then empty else . end));
def any: any(.);
def all: all(.);
def in(o): . as $x | o | has($x);
def inside(o): . as $x | o | contains($x);
def paths: path(..) | select(length > 0);
def paths(f): path(.. | select(f)) | select(length > 0);
def leaf_paths: paths(scalars);
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;
def IN(s): . as $x | any(s; . == $x);
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; f): last(limit($n + 1; f));
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdate: fromdateiso8601;
def date: todate;
def ascii: [.] | implode;
def finites: select(isinfinite or isnan | not);
def normals: select(isnormal);
def join($x): reduce .[] as $i (null; (if . == null then "" else . + $x end) + ($i | if . == null then "" elif type == "string" then . else tojson end)) // "";
def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w end;
def sub($re; s; $f): . as $in | (reduce ($in | match($re; $f)) as $m ({out: "", at: 0}; .out += $in[.at:$m.offset] + ($m | reduce (.captures[] | select(.name != null)) as $c ({}; . + {($c.name): $c.string}) | s) | .at = $m.offset + $m.length)) as $r | $r.out + $in[$r.at:];
def capture($re; $f): match($re; $f) | [.captures[] | select(.name != null) | {key: .name, value: .string}] | from_entries;
def gsub($re; s; $f): sub($re; s; $f + "g");
def scan($re; $f): match($re; "g" + $f) | if (.captures | length) > 0 then [.captures[].string] else .string end;
def splits($re; $f): split($re; $f) | .[];
def sub($re; s): sub($re; s; "");
def gsub($re; s): sub($re; s; "g");
def capture($re): capture($re; "");
def scan($re): scan($re; "");
def splits($re): splits($re; "");
def pick(f): . as $in | reduce path(f) as $p (null; setpath($p; $in | getpath($p)));
def debug(m): (m | debug | empty), .;
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def INDEX(f): reduce .[] as $r ({}; .[$r | f | tostring] = $r);
def abs: if type == "number" and . < 0 then -. else . end;
def toarray: if type == "array" then . else [.] end;
def have_literal_numbers: true;
"#;

pub(super) fn arithmetic(operator: &str, left: &Json, right: &Json) -> Result<Json, Stop> {
    use Json::{Array, Null, Number, Object, String as Text};
    let value = match (operator, left, right) {
        ("+", Null, other) | ("+", other, Null) => other.clone(),
        ("+", Number(a), Number(b)) => Number(a + b),
        ("+", Text(a), Text(b)) => Json::string(format!("{a}{b}")),
        ("+", Array(a), Array(b)) => Json::array([a.as_slice(), b.as_slice()].concat()),
        ("+", Object(a), Object(b)) => {
            let mut fields = a.to_vec();
            for (key, value) in b.iter() {
                match fields.iter_mut().find(|(k, _)| k == key) {
                    Some((_, old)) => *old = value.clone(),
                    None => fields.push((key.clone(), value.clone())),
                }
            }
            Json::object(fields)
        }
        ("-", Number(a), Number(b)) => Number(a - b),
        ("-", Array(a), Array(b)) => {
            Json::array(a.iter().filter(|x| !b.contains(x)).cloned().collect())
        }
        ("*", Number(a), Number(b)) => Number(a * b),
        ("*", Text(text), Number(n)) | ("*", Number(n), Text(text)) => match *n {
            n if n <= 0.0 => Null,
            n if n * text.len() as f64 > 1e7 => return error("Repeat string result too long"),
            n => Json::string(text.repeat((n as usize).max(1))),
        },
        ("*", Object(_), Object(_)) => merge(left, right),
        ("/", Number(_), Number(b)) if *b == 0.0 => {
            return error(format!(
                "{} and {} cannot be divided because the divisor is zero",
                named(left),
                named(right)
            ));
        }
        ("/", Number(a), Number(b)) => Number(a / b),
        ("/", Text(a), Text(b)) => split(a, b),
        ("%", Number(a), Number(b)) => {
            let (a, b) = (a.trunc() as i64, b.trunc() as i64);
            match a.checked_rem(b.wrapping_abs()) {
                Some(rest) => Number(rest as f64),
                None => {
                    return error(format!(
                        "{} and {} cannot be divided (remainder) because the divisor is zero",
                        named(left),
                        named(right)
                    ));
                }
            }
        }
        _ => {
            let verb = match operator {
                "+" => "added",
                "-" => "subtracted",
                "*" => "multiplied",
                "/" => "divided",
                _ => "divided (remainder)",
            };
            return error(format!(
                "{} and {} cannot be {verb}",
                named(left),
                named(right)
            ));
        }
    };
    Ok(value)
}

fn merge(left: &Json, right: &Json) -> Json {
    let (Json::Object(a), Json::Object(b)) = (left, right) else {
        return right.clone();
    };
    let mut fields = a.to_vec();
    for (key, value) in b.iter() {
        match fields.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = merge(old, value),
            None => fields.push((key.clone(), value.clone())),
        }
    }
    Json::object(fields)
}

/// Whether `b` is within `a`, as `contains` has it.
fn contains(a: &Json, b: &Json) -> Result<bool, Stop> {
    match (a, b) {
        (Json::Object(_), Json::Object(wanted)) => {
            for (key, value) in wanted.iter() {
                match a.get(key) {
                    Some(found) if contains(found, value)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Json::Array(items), Json::Array(wanted)) => {
            for value in wanted.iter() {
                let mut found = false;
                for item in items.iter() {
                    found |= item.kind() == value.kind() && contains(item, value)?;
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Json::String(a), Json::String(b)) => Ok(a.contains(&**b)),
        (a, b) if a.kind() == b.kind() => Ok(a == b),
        (a, b) => error(format!(
            "{} and {} cannot have their containment checked",
            named(a),
            named(b)
        )),
    }
}

fn flatten(items: &[Json], depth: f64, out: &mut Vec<Json>) {
    for item in items {
        match item {
            Json::Array(inner) if depth > 0.0 => flatten(inner, depth - 1.0, out),
            other => out.push(other.clone()),
        }
    }
}

impl Engine {
    pub(super) fn builtin(
        &mut self,
        name: &str,
        arguments: &[Filter],
        scope: &Scope,
        item: Item,
        emit: Emit,
    ) -> Done {
        match (name, arguments) {
            ("empty", []) => Ok(()),
            ("error", []) => Err(Stop::Error(item.value)),
            ("error", [message]) => match self.all(message, scope, &item.value)?.into_iter().next()
            {
                Some(message) => Err(Stop::Error(message)),
                None => Ok(()),
            },
            ("not", []) => emit(self, Item::of(Json::Bool(!item.value.is_true()))),
            ("recurse", []) => self.recurse(item, emit),
            ("path", [of]) => {
                for path in self.paths(of, scope, &item.value)? {
                    emit(self, Item::of(Json::array(path)))?;
                }
                Ok(())
            }
            ("del", [of]) => {
                let paths = self.paths(of, scope, &item.value)?;
                let value = delete_none(&item.value, paths)?;
                emit(self, Item::of(value))
            }
            ("first", [of]) => self.limit(1, of, scope, item, emit),
            ("last", [of]) => {
                let mut last = None;
                self.run(of, scope, item, &mut |_, found| {
                    last = Some(found);
                    Ok(())
                })?;
                match last {
                    Some(found) => emit(self, found),
                    None => Ok(()),
                }
            }
            ("limit", [count, of]) => {
                for count in self.all(count, scope, &item.value)? {
                    let count = number(&count, "is no count")?;
                    self.limit(count.max(0.0) as usize, of, scope, item.clone(), emit)?;
                }
                Ok(())
            }
            ("isempty", [of]) => {
                let mut empty = true;
                self.limit(1, of, scope, item, &mut |_, _| {
                    empty = false;
                    Ok(())
                })?;
                emit(self, Item::of(Json::Bool(empty)))
            }
            ("until" | "while", [condition, update]) => {
                let mut value = item.value;
                loop {
                    self.spend(1)?;
                    let holds = self
                        .all(condition, scope, &value)?
                        .first()
                        .is_some_and(Json::is_true);
                    if holds == (name == "until") {
                        return if holds {
                            emit(self, Item::of(value))
                        } else {
                            Ok(())
                        };
                    }
                    if name == "while" {
                        emit(self, Item::of(value.clone()))?;
                    }
                    match self.all(update, scope, &value)?.into_iter().next() {
                        Some(next) => value = next,
                        None => return Ok(()),
                    }
                }
            }
            ("repeat", [update]) => {
                let mut value = item.value;
                loop {
                    self.spend(1)?;
                    emit(self, Item::of(value.clone()))?;
                    match self.all(update, scope, &value)?.into_iter().next() {
                        Some(next) => value = next,
                        None => return Ok(()),
                    }
                }
            }
            ("range", _) if (1..=3).contains(&arguments.len()) => {
                self.range(arguments, scope, &item.value, emit)
            }
            ("sort_by" | "group_by" | "unique_by" | "min_by" | "max_by", [by]) => {
                let value = self.by(name, by, scope, &item.value)?;
                emit(self, Item::of(value))
            }
            ("getpath", [path]) => {
                for path in self.all(path, scope, &item.value)? {
                    let Json::Array(keys) = &path else {
                        return error("Path must be specified as an array");
                    };
                    let value = get_path(&item.value, keys).unwrap_or_default();
                    let mut found = item.clone();
                    found.value = value;
                    if let Some(so_far) = &item.path {
                        found.path = Some(Rc::new([so_far.as_slice(), keys.as_slice()].concat()));
                    }
                    emit(self, found)?;
                }
                Ok(())
            }
            ("input", []) => match self.inputs.pop_front() {
                Some(value) => emit(self, Item::of(value)),
                None => error("No more inputs"),
            },
            ("inputs", []) => {
                while let Some(value) = self.inputs.pop_front() {
                    emit(self, Item::of(value))?;
                }
                Ok(())
            }
            ("debug" | "stderr", []) => {
                let text = match name {
                    "debug" => format!("[\"DEBUG:\",{}]\n", item.value.text()),
                    _ => item.value.text(),
                };
                self.err.extend(text.bytes());
                emit(self, item)
            }
            ("halt", []) => Err(Stop::Over(0, String::new())),
            ("halt_error", []) => Err(Stop::Over(5, to_text(&item.value))),
            ("env", []) => {
                let env = Json::object(self.env.clone());
                emit(self, Item::of(env))
            }
            ("now", []) => {
                let now = self.now_ns as f64 / 1e9;
                emit(self, Item::of(Json::Number(now)))
            }
            ("input_line_number", []) => emit(self, Item::of(Json::Number(0.0))),
            ("builtins", []) => emit(self, Item::of(Json::array(Vec::new()))),
            _ => self.with_values(name, arguments, scope, item, emit),
        }
    }

    fn limit(&mut self, count: usize, of: &Filter, scope: &Scope, item: Item, emit: Emit) -> Done {
        if count == 0 {
            return Ok(());
        }
        let label = self.label();
        let mut left = count;
        let result = self.run(of, scope, item, &mut |engine, found| {
            left -= 1;
            emit(engine, found)?;
            if left == 0 {
                Err(Stop::Break(label))
            } else {
                Ok(())
            }
        });
        match result {
            Err(Stop::Break(found)) if found == label => Ok(()),
            other => other,
        }
    }

    fn range(&mut self, arguments: &[Filter], scope: &Scope, input: &Json, emit: Emit) -> Done {
        let mut lists = Vec::new();
        for argument in arguments {
            let mut numbers = Vec::new();
            for value in self.all(argument, scope, input)? {
                numbers.push(match value {
                    Json::Number(n) => n,
                    _ => return error("Range bounds must be numeric"),
                });
            }
            lists.push(numbers);
        }
        let (froms, tos, steps) = match lists.as_slice() {
            [tos] => (vec![0.0], tos.clone(), vec![1.0]),
            [froms, tos] => (froms.clone(), tos.clone(), vec![1.0]),
            [froms, tos, steps] => (froms.clone(), tos.clone(), steps.clone()),
            _ => return Ok(()),
        };
        for from in &froms {
            for to in &tos {
                for step in &steps {
                    let mut n = *from;
                    while (*step > 0.0 && n < *to) || (*step < 0.0 && n > *to) {
                        self.spend(1)?;
                        emit(self, Item::of(Json::Number(n)))?;
                        n += step;
                    }
                }
            }
        }
        Ok(())
    }

    /// `sort_by` and its like.
    fn by(&mut self, name: &str, by: &Filter, scope: &Scope, input: &Json) -> Result<Json, Stop> {
        let Json::Array(items) = input else {
            return error(format!(
                "{} cannot be sorted, as it is not an array",
                named(input)
            ));
        };
        let mut keyed = Vec::new();
        for item in items.iter() {
            let key = Json::array(self.all(by, scope, item)?);
            keyed.push((key, item.clone()));
        }
        Ok(ordered(name, keyed))
    }

    /// Functions of the input and of their arguments' values.
    fn with_values(
        &mut self,
        name: &str,
        arguments: &[Filter],
        scope: &Scope,
        item: Item,
        emit: Emit,
    ) -> Done {
        let mut rows: Vec<Vec<Json>> = vec![Vec::new()];
        for argument in arguments {
            let values = self.all(argument, scope, &item.value)?;
            let longer = |row: &Vec<Json>| {
                let row = row.clone();
                values
                    .clone()
                    .into_iter()
                    .map(move |v| [row.clone(), vec![v]].concat())
            };
            rows = rows.iter().flat_map(longer).collect();
            self.spend(rows.len())?;
        }
        for row in rows {
            for value in self.function(name, &row, &item.value)? {
                self.spend(1)?;
                emit(self, Item::of(value))?;
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        name: &str,
        arguments: &[Json],
        input: &Json,
    ) -> Result<Vec<Json>, Stop> {
        let one = |value: Json| Ok(vec![value]);
        let text = |value: String| Ok(vec![Json::string(value)]);
        let truth = |value: bool| Ok(vec![Json::Bool(value)]);
        let math =
            |f: fn(f64) -> f64| number(input, "number required").map(|n| vec![Json::Number(f(n))]);
        match (name, arguments) {
            ("length", []) => one(match input {
                Json::Null => Json::Number(0.0),
                Json::Bool(_) => return error(format!("{} has no length", named(input))),
                Json::Number(n) => Json::Number(n.abs()),
                Json::String(text) => Json::Number(text.chars().count() as f64),
                Json::Array(items) => Json::Number(items.len() as f64),
                Json::Object(fields) => Json::Number(fields.len() as f64),
            }),
            ("utf8bytelength", []) => one(Json::Number(
                string(input, "only strings have UTF-8 byte length")?.len() as f64,
            )),
            ("keys" | "keys_unsorted", []) => match input {
                Json::Object(fields) => {
                    let keys = match name {
                        "keys" => Json::keys(fields),
                        _ => fields.iter().map(|(k, _)| k.clone()).collect(),
                    };
                    one(Json::array(keys.into_iter().map(Json::String).collect()))
                }
                Json::Array(items) => one(Json::array(
                    (0..items.len()).map(|i| Json::Number(i as f64)).collect(),
                )),
                other => error(format!("{} has no keys", named(other))),
            },
            ("has", [key]) => match (input, key) {
                (Json::Object(_), Json::String(key)) => truth(input.get(key).is_some()),
                (Json::Array(items), Json::Number(n)) => {
                    truth(*n >= 0.0 && (*n as usize) < items.len())
                }
                (value, key) => error(format!(
                    "Cannot check whether {} has a {} key",
                    value.kind(),
                    key.kind()
                )),
            },
            ("contains", [wanted]) => truth(contains(input, wanted)?),
            ("add", []) => {
                let parts: Vec<Json> = match input {
                    Json::Array(items) => items.to_vec(),
                    Json::Object(fields) => fields.iter().map(|(_, v)| v.clone()).collect(),
                    other => return error(format!("Cannot iterate over {}", named(other))),
                };
                // Texts and arrays are joined at once: one after the other would take squared time.
                if parts.iter().all(|p| matches!(p, Json::String(_))) && !parts.is_empty() {
                    return text(parts.iter().map(to_text).collect());
                }
                let mut sum = Json::Null;
                for part in &parts {
                    self.spend(1)?;
                    sum = arithmetic("+", &sum, part)?;
                }
                one(sum)
            }
            ("type", []) => text(input.kind().to_owned()),
            ("tostring", []) => text(to_text(input)),
            ("tojson", []) => text(input.text()),
            ("fromjson", []) => {
                let source = string(input, "only strings can be parsed")?;
                match Reader::new(source).next() {
                    Ok(Some(value)) => one(value),
                    Ok(None) => one(Json::Null),
                    Err(message) => error(format!("{message} (while parsing '{source}')")),
                }
            }
            ("tonumber", []) => match input {
                Json::Number(_) => one(input.clone()),
                Json::String(source) => match source.trim().parse() {
                    Ok(n) => one(Json::Number(n)),
                    Err(_) => error(format!("Cannot parse '{source}' as JSON")),
                },
                other => error(format!("{} cannot be parsed as a number", named(other))),
            },
            ("floor", []) => math(f64::floor),
            ("ceil", []) => math(f64::ceil),
            ("round", []) => math(f64::round),
            ("trunc", []) => math(f64::trunc),
            ("sqrt", []) => math(f64::sqrt),
            ("fabs", []) => math(f64::abs),
            ("exp", []) => math(f64::exp),
            ("log", []) => math(f64::ln),
            ("log2", []) => math(f64::log2),
            ("log10", []) => math(f64::log10),
            ("pow", [base, exponent]) => one(Json::Number(
                number(base, "number required")?.powf(number(exponent, "number required")?),
            )),
            ("infinite", []) => one(Json::Number(f64::INFINITY)),
            ("nan", []) => one(Json::Number(f64::NAN)),
            ("isinfinite", []) => truth(number(input, "number required")?.is_infinite()),
            ("isnan", []) => truth(number(input, "number required")?.is_nan()),
            ("isnormal", []) => truth(number(input, "number required")?.is_normal()),
            ("sort" | "group" | "unique" | "min" | "max", []) => match input {
                Json::Array(items) => {
                    let keyed = items.iter().map(|i| (i.clone(), i.clone())).collect();
                    one(ordered(&format!("{name}_by"), keyed))
                }
                other => error(format!(
                    "{} cannot be sorted, as it is not an array",
                    named(other)
                )),
            },
            ("reverse", []) => match input {
                Json::Array(items) => one(Json::array(items.iter().rev().cloned().collect())),
                Json::String(source) => text(source.chars().rev().collect()),
                Json::Null => one(Json::array(Vec::new())),
                other => error(format!("Cannot reverse {}", named(other))),
            },
            ("flatten", []) | ("flatten", [Json::Number(_)]) => {
                let depth = if let [Json::Number(n)] = arguments {
                    *n
                } else {
                    f64::INFINITY
                };
                let Json::Array(items) = input else {
                    return error(format!("Cannot iterate over {}", named(input)));
                };
                let mut out = Vec::new();
                flatten(items, depth, &mut out);
                one(Json::array(out))
            }
            ("transpose", []) => {
                let Json::Array(rows) = input else {
                    return error("Cannot transpose");
                };
                if let Some(other) = rows.iter().find(|r| !matches!(r, Json::Array(_))) {
                    return error(format!("Cannot index {} with number", other.kind()));
                }
                let row = |json: &Json| {
                    if let Json::Array(r) = json {
                        r.to_vec()
                    } else {
                        Vec::new()
                    }
                };
                let width = rows.iter().map(|r| row(r).len()).max().unwrap_or(0);
                let column = |i| {
                    Json::array(
                        rows.iter()
                            .map(|r| row(r).get(i).cloned().unwrap_or_default())
                            .collect(),
                    )
                };
                one(Json::array((0..width).map(column).collect()))
            }
            _ => self.text_function(name, arguments, input),
        }
    }
}

/// Sorted, grouped, and so on, by the keys.
fn ordered(name: &str, mut keyed: Vec<(Json, Json)>) -> Json {
    if matches!(name, "min_by" | "max_by") {
        let mut best: Option<(Json, Json)> = None;
        for (key, value) in keyed {
            let better = best.as_ref().is_none_or(|(b, _)| match name {
                "min_by" => key.order(b).is_lt(),
                _ => key.order(b).is_ge(),
            });
            if better {
                best = Some((key, value));
            }
        }
        return best.map(|(_, value)| value).unwrap_or_default();
    }
    keyed.sort_by(|a, b| a.0.order(&b.0));
    let mut groups: Vec<(Json, Vec<Json>)> = Vec::new();
    for (key, value) in keyed {
        match groups.last_mut() {
            Some((last, items)) if *last == key => items.push(value),
            _ => groups.push((key, vec![value])),
        }
    }
    match name {
        "sort_by" => Json::array(groups.into_iter().flat_map(|(_, items)| items).collect()),
        "unique_by" => Json::array(
            groups
                .into_iter()
                .filter_map(|(_, items)| items.into_iter().next())
                .collect(),
        ),
        _ => Json::array(
            groups
                .into_iter()
                .map(|(_, items)| Json::array(items))
                .collect(),
        ),
    }
}
