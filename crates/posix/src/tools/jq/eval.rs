//! Running a jq filter: each node gives any number of values, one after the other.

use super::json::{DEPTH_MAX as DEPTH_VALUE_MAX, Json};
use super::parser::{Definition, Filter, Node, Pattern};
use super::paths::{delete_none, get_path, index, set_path, slice};
use std::rc::Rc;

/// How many steps a filter may take.
const STEPS_MAX: u64 = 5_000_000;
/// How deep filters may call one another.
const DEPTH_MAX: usize = 256;

/// Why a filter stops.
pub(super) enum Stop {
    /// `error`, which `try` catches.
    Error(Json),
    /// `break $label`
    Break(u64),
    /// `halt`, and limits: nothing catches it.
    Over(i32, String),
}

pub(super) type Done = Result<(), Stop>;

/// A value, and where it came from while a path is wanted.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub value: Json,
    pub path: Option<Rc<Vec<Json>>>,
}

impl Item {
    pub fn of(value: Json) -> Item {
        Item { value, path: None }
    }

    /// A part of this value, its key known.
    pub fn at(&self, key: Json, value: Json) -> Item {
        let path = self.path.as_ref().map(|path| {
            let mut longer = path.to_vec();
            longer.push(key);
            Rc::new(longer)
        });
        Item { value, path }
    }
}

#[derive(Debug)]
pub(super) enum Binding {
    Variable(String, Json),
    Function(Rc<Definition>),
    Closure {
        name: String,
        filter: Filter,
        scope: Scope,
    },
    Label(String, u64),
}

/// Names in sight, the innermost first.
pub(super) type Scope = Option<Rc<Level>>;

#[derive(Debug)]
pub(super) struct Level {
    binding: Binding,
    outer: Scope,
}

pub(super) fn bind(scope: &Scope, binding: Binding) -> Scope {
    Some(Rc::new(Level {
        binding,
        outer: scope.clone(),
    }))
}

pub(super) fn error<T>(message: impl AsRef<str>) -> Result<T, Stop> {
    Err(Stop::Error(Json::string(message)))
}

/// The value, unless it is nested too deep to be walked.
fn bounded(value: Json) -> Result<Json, Stop> {
    match value.depth() > DEPTH_VALUE_MAX {
        true => error(format!("nested deeper than {DEPTH_VALUE_MAX} levels")),
        false => Ok(value),
    }
}

/// What a value is called in a message: its kind and, cut short, itself.
pub(super) fn named(value: &Json) -> String {
    let text = value.text();
    let short = match text.char_indices().nth(11) {
        Some((at, _)) if text.len() > 14 => format!("{}...", &text[..at]),
        _ => text,
    };
    format!("{} ({short})", value.kind())
}

pub(super) type Emit<'e> = &'e mut dyn FnMut(&mut Engine, Item) -> Done;

pub(super) struct Engine {
    pub steps: u64,
    depth: usize,
    labels: u64,
    /// Values that `input` takes.
    pub inputs: std::collections::VecDeque<Json>,
    pub now_ns: u64,
    pub env: Vec<(Rc<str>, Json)>,
    pub err: Vec<u8>,
}

impl Engine {
    pub fn new(inputs: std::collections::VecDeque<Json>) -> Engine {
        Engine {
            steps: 0,
            depth: 0,
            labels: 0,
            inputs,
            now_ns: 0,
            env: Vec::new(),
            err: Vec::new(),
        }
    }

    /// All values that a filter gives.
    pub fn all(&mut self, filter: &Filter, scope: &Scope, input: &Json) -> Result<Vec<Json>, Stop> {
        let mut out = Vec::new();
        self.run(filter, scope, Item::of(input.clone()), &mut |_, item| {
            out.push(item.value);
            Ok(())
        })?;
        Ok(out)
    }

    /// All paths that a filter names, with what is there.
    pub fn paths(
        &mut self,
        filter: &Filter,
        scope: &Scope,
        input: &Json,
    ) -> Result<Vec<Vec<Json>>, Stop> {
        let mut out = Vec::new();
        let start = Item {
            value: input.clone(),
            path: Some(Rc::default()),
        };
        self.run(filter, scope, start, &mut |_, item| match &item.path {
            Some(path) => {
                out.push(path.to_vec());
                Ok(())
            }
            None => error(format!(
                "Invalid path expression with result {}",
                item.value.text()
            )),
        })?;
        Ok(out)
    }

    pub fn spend(&mut self, steps: usize) -> Done {
        self.steps += steps as u64;
        if self.steps > STEPS_MAX {
            return Err(Stop::Over(5, "stopped: it went on for too long".to_owned()));
        }
        Ok(())
    }

    pub fn run(&mut self, filter: &Filter, scope: &Scope, item: Item, emit: Emit) -> Done {
        self.spend(1)?;
        if self.depth >= DEPTH_MAX {
            return Err(Stop::Over(
                5,
                format!("filters call one another more than {DEPTH_MAX} deep"),
            ));
        }
        self.depth += 1;
        let result = self.node(filter, scope, item, emit);
        self.depth -= 1;
        result
    }

    fn node(&mut self, filter: &Filter, scope: &Scope, item: Item, emit: Emit) -> Done {
        match &**filter {
            Node::Identity => emit(self, item),
            Node::RecurseDefault => self.recurse(item, emit),
            Node::Literal(value) => emit(self, Item::of(value.clone())),
            Node::Text(format, pieces) => self.text(
                format.as_deref(),
                pieces,
                scope,
                &item.value,
                String::new(),
                emit,
            ),
            Node::Format(name) => {
                let text = super::text::format(name, &item.value)?;
                emit(self, Item::of(Json::string(text)))
            }
            Node::Variable(name) => {
                let value = self.variable(name, scope)?;
                emit(self, Item::of(value))
            }
            Node::Index(of, key) => {
                let keys = self.all(key, scope, &item.value)?;
                self.run(of, scope, item, &mut |engine, found| {
                    for key in &keys {
                        let value = index(&found.value, key)?;
                        emit(engine, found.at(key.clone(), value))?;
                    }
                    Ok(())
                })
            }
            Node::Slice(of, from, to) => {
                let mut bound = |filter: &Option<Filter>| match filter {
                    Some(filter) => self.all(filter, scope, &item.value),
                    None => Ok(vec![Json::Null]),
                };
                let (froms, tos) = (bound(from)?, bound(to)?);
                self.run(of, scope, item, &mut |engine, found| {
                    for to in &tos {
                        for from in &froms {
                            let value = slice(&found.value, from, to)?;
                            let key =
                                vec![("start".into(), from.clone()), ("end".into(), to.clone())];
                            emit(engine, found.at(Json::object(key), value))?;
                        }
                    }
                    Ok(())
                })
            }
            Node::Iterate(of) => self.run(of, scope, item, &mut |engine, found| {
                engine.iterate(&found, emit)
            }),
            Node::Try(body, catch) => {
                // What comes after the `try` is not within it: its errors pass on.
                let mut after = None;
                let depth = self.depth;
                let result = self.run(body, scope, item, &mut |engine, found| {
                    emit(engine, found).map_err(|stop| match stop {
                        Stop::Error(value) => {
                            after = Some(value);
                            Stop::Break(0)
                        }
                        other => other,
                    })
                });
                self.depth = depth;
                match (result, after) {
                    (_, Some(value)) => Err(Stop::Error(value)),
                    (Err(Stop::Error(value)), None) => {
                        if value.get("__break__").is_some() {
                            return Ok(());
                        }
                        match catch {
                            Some(catch) => self.run(catch, scope, Item::of(value), emit),
                            None => Ok(()),
                        }
                    }
                    (result, None) => result,
                }
            }
            Node::Pipe(left, right) => self.run(left, scope, item, &mut |engine, found| {
                engine.run(right, scope, found, emit)
            }),
            Node::Comma(left, right) => {
                self.run(left, scope, item.clone(), emit)?;
                self.run(right, scope, item, emit)
            }
            _ => self.operator(filter, scope, item, emit),
        }
    }

    fn operator(&mut self, filter: &Filter, scope: &Scope, item: Item, emit: Emit) -> Done {
        match &**filter {
            Node::Negate(of) => self.run(of, scope, item, &mut |engine, found| match found.value {
                Json::Number(n) => emit(engine, Item::of(Json::Number(-n))),
                other => error(format!("{} cannot be negated", named(&other))),
            }),
            Node::Arithmetic(operator, left, right) => {
                let rights = self.all(right, scope, &item.value)?;
                let lefts = self.all(left, scope, &item.value)?;
                for right in &rights {
                    for left in &lefts {
                        self.spend(1)?;
                        let value = super::builtins::arithmetic(operator, left, right)?;
                        emit(self, Item::of(value))?;
                    }
                }
                Ok(())
            }
            Node::Compare(operator, left, right) => {
                let rights = self.all(right, scope, &item.value)?;
                let lefts = self.all(left, scope, &item.value)?;
                for right in &rights {
                    for left in &lefts {
                        let order = left.order(right);
                        let holds = match *operator {
                            "==" => order.is_eq(),
                            "!=" => order.is_ne(),
                            "<" => order.is_lt(),
                            "<=" => order.is_le(),
                            ">" => order.is_gt(),
                            _ => order.is_ge(),
                        };
                        emit(self, Item::of(Json::Bool(holds)))?;
                    }
                }
                Ok(())
            }
            Node::And(left, right) | Node::Or(left, right) => {
                let or = matches!(&**filter, Node::Or(..));
                for left in self.all(left, scope, &item.value)? {
                    if left.is_true() == or {
                        emit(self, Item::of(Json::Bool(or)))?;
                        continue;
                    }
                    for right in self.all(right, scope, &item.value)? {
                        emit(self, Item::of(Json::Bool(right.is_true())))?;
                    }
                }
                Ok(())
            }
            Node::Alternative(left, right) => {
                let mut found = false;
                let mut broken = None;
                let result = self.run(left, scope, item.clone(), &mut |engine, value| {
                    if value.value.is_true() {
                        found = true;
                        emit(engine, value).map_err(|stop| match stop {
                            Stop::Error(value) => {
                                broken = Some(value);
                                Stop::Break(0)
                            }
                            other => other,
                        })?;
                    }
                    Ok(())
                });
                match (result, broken) {
                    (_, Some(value)) => Err(Stop::Error(value)),
                    (Ok(()) | Err(Stop::Error(_)), None) if found => Ok(()),
                    (Ok(()) | Err(Stop::Error(_)), None) => self.run(right, scope, item, emit),
                    (other, None) => other,
                }
            }
            Node::Assign(operator, left, right) => {
                self.assign(operator, left, right, scope, &item.value, emit)
            }
            Node::Array(None) => emit(self, Item::of(Json::array(Vec::new()))),
            Node::Array(Some(of)) => {
                let items = self.all(of, scope, &item.value)?;
                emit(self, Item::of(bounded(Json::array(items))?))
            }
            Node::Object(fields) => self.object(fields, scope, &item.value, Vec::new(), emit),
            Node::If(arms, otherwise) => {
                self.condition(arms, otherwise.as_ref(), scope, item, emit)
            }
            Node::Reduce(source, pattern, first, update) => {
                for start in self.all(first, scope, &item.value)? {
                    let mut state = start;
                    let input = item.value.clone();
                    self.run(source, scope, Item::of(input), &mut |engine, found| {
                        engine.destructure(pattern, &found.value, scope, &mut |engine, scope| {
                            let now = std::mem::take(&mut state);
                            state = engine.all(update, scope, &now)?.pop().unwrap_or_default();
                            Ok(())
                        })
                    })?;
                    emit(self, Item::of(state))?;
                }
                Ok(())
            }
            Node::Foreach(source, pattern, first, update, extract) => {
                for start in self.all(first, scope, &item.value)? {
                    let mut state = start;
                    let input = item.value.clone();
                    self.run(source, scope, Item::of(input), &mut |engine, found| {
                        engine.destructure(pattern, &found.value, scope, &mut |engine, scope| {
                            for next in engine.all(update, scope, &state)? {
                                state = next.clone();
                                match extract {
                                    Some(extract) => {
                                        engine.run(extract, scope, Item::of(next), emit)?
                                    }
                                    None => emit(engine, Item::of(next))?,
                                }
                            }
                            Ok(())
                        })
                    })?;
                }
                Ok(())
            }
            Node::Bind(source, pattern, body) => {
                for value in self.all(source, scope, &item.value)? {
                    let item = item.clone();
                    self.destructure(pattern, &value, scope, &mut |engine, scope| {
                        engine.run(body, scope, item.clone(), emit)
                    })?;
                }
                Ok(())
            }
            Node::Define(definition, rest) => {
                let scope = bind(scope, Binding::Function(definition.clone()));
                self.run(rest, &scope, item, emit)
            }
            Node::Call(name, arguments) => self.call(name, arguments, scope, item, emit),
            Node::Label(name, body) => {
                self.labels += 1;
                let label = self.labels;
                let scope = bind(scope, Binding::Label(name.clone(), label));
                match self.run(body, &scope, item, emit) {
                    Err(Stop::Break(found)) if found == label => Ok(()),
                    other => other,
                }
            }
            Node::Break(name) => {
                let mut level = scope.as_ref();
                while let Some(here) = level {
                    match &here.binding {
                        Binding::Label(found, label) if found == name => {
                            return Err(Stop::Break(*label));
                        }
                        _ => level = here.outer.as_ref(),
                    }
                }
                Err(Stop::Over(3, format!("$*label-{name} is not defined")))
            }
            _ => Ok(()),
        }
    }

    /// Ends as soon as `emit` says so with this.
    pub fn label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    fn variable(&self, name: &str, scope: &Scope) -> Result<Json, Stop> {
        let mut level = scope.as_ref();
        while let Some(here) = level {
            match &here.binding {
                Binding::Variable(found, value) if found == name => return Ok(value.clone()),
                _ => level = here.outer.as_ref(),
            }
        }
        match name {
            "ENV" => Ok(Json::object(self.env.clone())),
            "__loc__" => Ok(Json::object(vec![
                ("file".into(), Json::string("<top-level>")),
                ("line".into(), Json::Number(1.0)),
            ])),
            _ => Err(Stop::Over(3, format!("${name} is not defined"))),
        }
    }

    pub fn iterate(&mut self, item: &Item, emit: Emit) -> Done {
        match &item.value {
            Json::Array(items) => {
                for (i, value) in items.iter().enumerate() {
                    self.spend(1)?;
                    emit(self, item.at(Json::Number(i as f64), value.clone()))?;
                }
                Ok(())
            }
            Json::Object(fields) => {
                for (key, value) in fields.iter() {
                    self.spend(1)?;
                    emit(self, item.at(Json::String(key.clone()), value.clone()))?;
                }
                Ok(())
            }
            Json::Null if item.path.is_some() => Ok(()),
            other => error(format!(
                "Cannot iterate over {}",
                match other {
                    Json::Null => "null".to_owned(),
                    other => named(other),
                }
            )),
        }
    }

    /// `..`
    pub fn recurse(&mut self, item: Item, emit: Emit) -> Done {
        let mut todo = vec![item];
        while let Some(item) = todo.pop() {
            self.spend(1)?;
            let mut below = Vec::new();
            if matches!(item.value, Json::Array(_) | Json::Object(_)) {
                self.iterate(&item, &mut |_, inner| {
                    below.push(inner);
                    Ok(())
                })?;
            }
            todo.extend(below.into_iter().rev());
            emit(self, item)?;
        }
        Ok(())
    }

    fn text(
        &mut self,
        format: Option<&str>,
        pieces: &[(String, Option<Filter>)],
        scope: &Scope,
        input: &Json,
        so_far: String,
        emit: Emit,
    ) -> Done {
        let Some(((text, filter), rest)) = pieces.split_first() else {
            return emit(self, Item::of(Json::string(so_far)));
        };
        let so_far = so_far + text;
        let Some(filter) = filter else {
            return self.text(format, rest, scope, input, so_far, emit);
        };
        for value in self.all(filter, scope, input)? {
            self.spend(1 + so_far.len() / 64)?;
            let written = super::text::format(format.unwrap_or("text"), &value)?;
            self.text(
                format,
                rest,
                scope,
                input,
                format!("{so_far}{written}"),
                emit,
            )?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        fields: &[(Filter, Filter)],
        scope: &Scope,
        input: &Json,
        so_far: Vec<(Rc<str>, Json)>,
        emit: Emit,
    ) -> Done {
        let Some(((key, value), rest)) = fields.split_first() else {
            return emit(self, Item::of(bounded(Json::object(so_far))?));
        };
        for key in self.all(key, scope, input)? {
            let Json::String(key) = key else {
                return error(format!("Object keys must be strings, not {}", named(&key)));
            };
            for value in self.all(value, scope, input)? {
                self.spend(1 + so_far.len())?;
                let mut next = so_far.clone();
                next.retain(|(k, _)| *k != key);
                next.push((key.clone(), value));
                self.object(rest, scope, input, next, emit)?;
            }
        }
        Ok(())
    }

    fn condition(
        &mut self,
        arms: &[(Filter, Filter)],
        otherwise: Option<&Filter>,
        scope: &Scope,
        item: Item,
        emit: Emit,
    ) -> Done {
        let Some(((condition, then), rest)) = arms.split_first() else {
            return match otherwise {
                Some(filter) => self.run(filter, scope, item, emit),
                None => emit(self, item),
            };
        };
        for value in self.all(condition, scope, &item.value)? {
            if value.is_true() {
                self.run(then, scope, item.clone(), emit)?;
            } else {
                self.condition(rest, otherwise, scope, item.clone(), emit)?;
            }
        }
        Ok(())
    }

    fn destructure(
        &mut self,
        pattern: &Pattern,
        value: &Json,
        scope: &Scope,
        body: &mut dyn FnMut(&mut Engine, &Scope) -> Done,
    ) -> Done {
        match pattern {
            Pattern::Variable(name) => body(
                self,
                &bind(scope, Binding::Variable(name.clone(), value.clone())),
            ),
            Pattern::Array(items) => {
                let mut scope = scope.clone();
                for (i, inner) in items.iter().enumerate() {
                    let part = index(value, &Json::Number(i as f64))?;
                    let mut found = None;
                    self.destructure(inner, &part, &scope, &mut |_, scope| {
                        found = Some(scope.clone());
                        Ok(())
                    })?;
                    scope = found.unwrap_or(scope);
                }
                body(self, &scope)
            }
            Pattern::Object(items) => {
                let mut scope = scope.clone();
                for (key, variable, inner) in items {
                    let key = self.all(key, &scope, value)?.pop().unwrap_or_default();
                    let part = index(value, &key)?;
                    if let Some(name) = variable {
                        scope = bind(&scope, Binding::Variable(name.clone(), part.clone()));
                    }
                    if let Some(inner) = inner {
                        let mut found = None;
                        self.destructure(inner, &part, &scope, &mut |_, scope| {
                            found = Some(scope.clone());
                            Ok(())
                        })?;
                        scope = found.unwrap_or(scope);
                    }
                }
                body(self, &scope)
            }
        }
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Filter],
        scope: &Scope,
        item: Item,
        emit: Emit,
    ) -> Done {
        let mut level = scope.clone();
        while let Some(here) = level {
            match &here.binding {
                Binding::Closure {
                    name: found,
                    filter,
                    scope,
                } if found == name && arguments.is_empty() => {
                    return self.run(filter, scope, item, emit);
                }
                Binding::Function(definition)
                    if definition.name == name
                        && definition.parameters.len() == arguments.len() =>
                {
                    let inner = Some(here.clone());
                    return self.apply(definition, arguments, scope, inner, item, emit);
                }
                _ => {}
            }
            level = here.outer.clone();
        }
        self.builtin(name, arguments, scope, item, emit)
    }

    /// Calls a defined function: `$name` parameters are bound to each of their values in turn.
    fn apply(
        &mut self,
        definition: &Rc<Definition>,
        arguments: &[Filter],
        scope: &Scope,
        mut inner: Scope,
        item: Item,
        emit: Emit,
    ) -> Done {
        let values = definition
            .parameters
            .iter()
            .zip(arguments)
            .position(|(p, _)| p.starts_with('$'));
        for (parameter, filter) in definition.parameters.iter().zip(arguments) {
            if !parameter.starts_with('$') {
                let binding = Binding::Closure {
                    name: parameter.clone(),
                    filter: filter.clone(),
                    scope: scope.clone(),
                };
                inner = bind(&inner, binding);
            }
        }
        if values.is_none() {
            return self.run(&definition.body, &inner, item, emit);
        }
        let mut scopes = vec![inner];
        for (parameter, filter) in definition.parameters.iter().zip(arguments) {
            let Some(name) = parameter.strip_prefix('$') else {
                continue;
            };
            let mut next = Vec::new();
            for value in self.all(filter, scope, &item.value)? {
                for inner in &scopes {
                    self.spend(1)?;
                    let bound = bind(inner, Binding::Variable(name.to_owned(), value.clone()));
                    let filter = Rc::new(Node::Literal(value.clone()));
                    next.push(bind(
                        &bound,
                        Binding::Closure {
                            name: name.to_owned(),
                            filter,
                            scope: None,
                        },
                    ));
                }
            }
            scopes = next;
        }
        for inner in scopes {
            self.run(&definition.body, &inner, item.clone(), emit)?;
        }
        Ok(())
    }

    fn assign(
        &mut self,
        operator: &str,
        left: &Filter,
        right: &Filter,
        scope: &Scope,
        input: &Json,
        emit: Emit,
    ) -> Done {
        let paths = self.paths(left, scope, input)?;
        if operator == "|=" {
            let mut value = input.clone();
            let mut gone = Vec::new();
            for path in paths {
                self.spend(path.len() + 1)?;
                let old = get_path(&value, &path)?;
                match self.all(right, scope, &old)?.into_iter().next() {
                    Some(new) => value = set_path(&value, &path, new)?,
                    None => gone.push(path),
                }
            }
            return emit(self, Item::of(delete_none(&value, gone)?));
        }
        for right in self.all(right, scope, input)? {
            let mut value = input.clone();
            for path in &paths {
                self.spend(path.len() + 1)?;
                let new = match operator.strip_suffix('=') {
                    Some("") | None => right.clone(),
                    Some(operator) => {
                        let old = get_path(&value, path)?;
                        match operator {
                            "//" => {
                                if old.is_true() {
                                    old
                                } else {
                                    right.clone()
                                }
                            }
                            operator => super::builtins::arithmetic(operator, &old, &right)?,
                        }
                    }
                };
                value = set_path(&value, path, new)?;
            }
            emit(self, Item::of(value))?;
        }
        Ok(())
    }
}
