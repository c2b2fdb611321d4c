//! Reads the compact text that `cargo xtask schema` writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Field, PatchStrategy, Resource, Schema, Struct, Subresource, Type, TypeId, qualified};
use crate::value::Text;

/// Lines that make no sense are left out: the text is our own, and the tests know what must be there.
pub(super) fn read(text: &str) -> Schema {
    let mut reader = Reader::default();
    let structs = text
        .lines()
        .filter(|l| l.starts_with('#') && !l.starts_with("# "))
        .count();
    reader.schema.types = vec![Type::RawJson; structs];
    for line in text.lines() {
        reader.line(line);
    }
    reader.end_struct();
    reader.schema.index();
    reader.schema
}

#[derive(Default)]
struct Reader {
    schema: Schema,
    current: Option<Struct>,
    next_struct: usize,
    /// What the names of the structs that follow begin with.
    origin: Text,
    resource: Option<Resource>,
    codes: BTreeMap<String, TypeId>,
    texts: BTreeMap<String, Text>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let mut words = line.split(' ');
        let Some(first) = words.next() else { return };
        match first.as_bytes().first() {
            Some(b'#') => self.start_struct(first.trim_start_matches('#'), words.collect()),
            Some(b'%') => self.origin = self.text(first.trim_start_matches('%')),
            Some(b'@') => self.start_resource(first.trim_start_matches('@'), words.collect()),
            Some(b'/') => self.subresource(first.trim_start_matches('/'), words.collect()),
            _ => self.field(first, words.collect()),
        }
    }

    fn start_struct(&mut self, name: &str, words: Vec<&str>) {
        self.end_struct();
        if name.is_empty() {
            return;
        }
        let package = words.first().copied().unwrap_or("");
        if let [_, api_version, kind, ..] = words[..] {
            let id = TypeId(self.next_struct as u32);
            let key = (self.text(api_version), self.text(kind));
            self.schema.kinds.insert(key, id);
        }
        let (name, package) = (self.text(name), self.text(package));
        self.current = Some(Struct {
            name,
            package,
            origin: self.origin.clone(),
            fields: Vec::new(),
        });
    }

    fn end_struct(&mut self) {
        if let Some(done) = self.current.take() {
            self.schema.types[self.next_struct] = Type::Struct(done);
            self.next_struct += 1;
        }
        if let Some(r) = self.resource.take() {
            self.schema.resources.push(Arc::new(r));
        }
    }

    fn field(&mut self, name: &str, words: Vec<&str>) {
        let Some((code, flags)) = words.split_first() else {
            return;
        };
        let mut field = Field {
            name: self.text(name),
            type_id: self.type_id(code),
            required: false,
            pointer: false,
            by_value: false,
            printed: false,
            patch_strategy: PatchStrategy::default(),
            patch_merge_key: None,
            list_type: None,
            list_map_keys: Vec::new(),
            embedded: None,
        };
        for flag in flags {
            match flag.split_once('=') {
                None if *flag == "z" => field.pointer = true,
                None if *flag == "n" => field.printed = true,
                None if *flag == "a" => field.by_value = true,
                None => field.required = true,
                Some(("p", v)) => {
                    field.patch_strategy = PatchStrategy {
                        merge: v.split(',').any(|s| s == "merge"),
                        retain_keys: v.split(',').any(|s| s == "retainKeys"),
                    }
                }
                Some(("k", v)) => field.patch_merge_key = Some(self.text(v)),
                Some(("t", v)) => field.list_type = Some(self.text(v)),
                Some(("m", v)) => field.list_map_keys = self.texts(v),
                Some(("i", v)) => field.embedded = Some(self.text(v)),
                Some(_) => {}
            }
        }
        if let Some(s) = &mut self.current {
            s.fields.push(field);
        }
    }

    fn start_resource(&mut self, plural: &str, words: Vec<&str>) {
        self.end_struct();
        let [singular, group_version, kind, scope, verbs, ref flags @ ..] = words[..] else {
            return;
        };
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        let flag = |letter: &str| {
            flags
                .iter()
                .find_map(|f| f.strip_prefix(letter))
                .unwrap_or("")
        };
        let Some(type_id) = self
            .schema
            .kinds
            .get(&(group_version.into(), kind.into()))
            .copied()
        else {
            return;
        };
        self.resource = Some(Resource {
            group: self.text(group),
            version: self.text(version),
            kind: self.text(kind),
            plural: self.text(plural),
            singular: self.text(singular),
            short_names: self.texts(flag("s=")),
            categories: self.texts(flag("c=")),
            namespaced: scope == "n",
            verbs: self.texts(verbs),
            subresources: Vec::new(),
            type_id,
            id: qualified(plural, group),
        });
    }

    fn subresource(&mut self, name: &str, words: Vec<&str>) {
        let [api_version, kind, verbs] = words[..] else {
            return;
        };
        let (name, api_version, kind) = (self.text(name), self.text(api_version), self.text(kind));
        let verbs = self.texts(verbs);
        if let Some(r) = &mut self.resource {
            r.subresources.push(Subresource {
                name,
                api_version,
                kind,
                verbs,
            });
        }
    }

    fn type_id(&mut self, code: &str) -> TypeId {
        if let Ok(number) = code.parse() {
            return TypeId(number);
        }
        if let Some(id) = self.codes.get(code) {
            return *id;
        }
        let (base, name) = code.split_once('=').unwrap_or((code, ""));
        let new = match base.as_bytes().first() {
            Some(b'[') => Type::List(self.type_id(&code[1..])),
            Some(b'{') => Type::Map(
                self.type_id(&base[1..]),
                (!name.is_empty()).then(|| Text::from(name)),
            ),
            Some(b's') => Type::String(if name.is_empty() {
                "string".into()
            } else {
                name.into()
            }),
            Some(b'b') => Type::Bool,
            Some(b'i') => Type::Int32,
            Some(b'l') => Type::Int64,
            Some(b'f') => Type::Float,
            Some(b'o') => Type::IntOrString,
            Some(b'q') => Type::Quantity,
            Some(b't') => Type::Time,
            Some(b'u') => Type::MicroTime,
            Some(b'd') => Type::Duration,
            Some(b'y') => Type::Bytes,
            _ => Type::RawJson,
        };
        let id = self.schema.add_type(new);
        self.codes.insert(code.to_string(), id);
        id
    }

    /// One shared string for all that are equal.
    fn text(&mut self, s: &str) -> Text {
        self.texts
            .entry(s.to_string())
            .or_insert_with(|| s.into())
            .clone()
    }

    fn texts(&mut self, list: &str) -> Vec<Text> {
        list.split(',')
            .filter(|s| !s.is_empty())
            .map(|s| self.text(s))
            .collect()
    }
}
