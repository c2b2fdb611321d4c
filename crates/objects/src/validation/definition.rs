//! What a CustomResourceDefinition says of its versions: schemas, subresources, columns
//! (apiextensions-apiserver v0.37, `pkg/apis/apiextensions/validation` and
//! `pkg/apiserver/schema/validation.go`).

use regex_lite::Regex;

use super::common::{Errors, items};
use crate::custom::{self, Type};
use crate::field_error::FieldError;
use crate::value::Value;

const PRINTABLE: &str = "must only contain printable UTF-8 characters";

/// Checks all versions. What is the same in all of them the server has moved to the top by then.
pub(super) fn versions(e: &mut Errors, spec: &Value) {
    let all = spec["versions"].items();
    let same = |field: &str| all.iter().all(|v| v[field] == all[0][field]);
    for (p, version) in items(&spec["versions"], "spec.versions") {
        deprecation(e, &p, version);
        if !same("schema") {
            schema(e, &format!("{p}.schema"), version, has_status(version));
        }
        if !same("subresources") {
            subresources(e, &format!("{p}.subresources"), &version["subresources"]);
        }
        if !same("additionalPrinterColumns") {
            columns(e, &p, version);
        }
    }
}

/// What all versions have in common.
pub(super) fn top(e: &mut Errors, spec: &Value) {
    let all = spec["versions"].items();
    let Some(first) = all.first() else { return };
    let same = |field: &str| all.iter().all(|v| v[field] == first[field]);
    if same("schema") {
        schema(e, "spec.validation", first, all.iter().any(has_status));
    }
    if same("subresources") {
        subresources(e, "spec.subresources", &first["subresources"]);
    }
    if same("additionalPrinterColumns") {
        columns(e, "spec", first);
    }
}

fn has_status(version: &Value) -> bool {
    !version["subresources"]["status"].is_null()
}

fn deprecation(e: &mut Errors, path: &str, version: &Value) {
    let Some(warning) = version.get("deprecationWarning") else {
        return;
    };
    let path = format!("{path}.deprecationWarning");
    let text = warning.str();
    if version["deprecated"].as_bool() != Some(true) {
        return e.invalid(path, warning, "can only be set for deprecated versions");
    }
    if text.len() > 256 {
        e.invalid(&*path, warning, "must be <= 256 characters long");
    }
    if text.is_empty() {
        e.invalid(&*path, warning, "must not be an empty string");
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        let why = format!("{PRINTABLE}; non-printable character found at index {at}");
        e.invalid(path, warning, why);
    }
}

fn columns(e: &mut Errors, path: &str, version: &Value) {
    const TYPES: &str = "must be one of boolean,date,integer,number,string";
    const FORMATS: &str = "must be one of byte,date,date-time,double,float,int32,int64,password";
    let at = format!("{path}.additionalPrinterColumns");
    for (p, column) in items(&version["additionalPrinterColumns"], &at) {
        let listed = |list: &str, what: &str| list[15..].split(',').any(|known| known == what);
        if column["name"].str().is_empty() {
            e.required(format!("{p}.name"), "");
        }
        let kind = &column["type"];
        if kind.str().is_empty() {
            e.required(format!("{p}.type"), TYPES);
        } else if !listed(TYPES, kind.str()) {
            e.invalid(format!("{p}.type"), kind, TYPES);
        }
        let format = &column["format"];
        if !format.str().is_empty() && !listed(FORMATS, format.str()) {
            e.invalid(format!("{p}.format"), format, FORMATS);
        }
        let path = &column["jsonPath"];
        if path.str().is_empty() {
            e.required(format!("{p}.JSONPath"), "");
        } else {
            simple_path(e, &format!("{p}.JSONPath"), path);
        }
    }
}

fn simple_path(e: &mut Errors, at: &str, path: &Value) -> bool {
    let right = path.str().starts_with('.');
    if !right {
        e.invalid(at, path, "must be a simple json path starting with .");
    }
    right
}

fn subresources(e: &mut Errors, path: &str, subresources: &Value) {
    let Some(scale) = subresources.get("scale").filter(|s| !s.is_null()) else {
        return;
    };
    for (field, under) in [
        ("specReplicasPath", "spec"),
        ("statusReplicasPath", "status"),
    ] {
        let (at, value) = (format!("{path}.scale.{field}"), &scale[field]);
        if value.str().is_empty() {
            e.required(at, "");
        } else if simple_path(e, &at, value) && !value.str().starts_with(&format!(".{under}.")) {
            e.invalid(at, value, format!("should be a json path under .{under}"));
        }
    }
    let (at, value) = (
        format!("{path}.scale.labelSelectorPath"),
        &scale["labelSelectorPath"],
    );
    let text = value.str();
    if !text.is_empty()
        && simple_path(e, &at, value)
        && !text.starts_with(".spec.")
        && !text.starts_with(".status.")
    {
        e.invalid(
            at,
            value,
            "should be a json path under either .spec or .status",
        );
    }
}

fn schema(e: &mut Errors, path: &str, version: &Value, status: bool) {
    let schema = &version["schema"]["openAPIV3Schema"];
    if schema.is_null() {
        return;
    }
    let path = format!("{path}.openAPIV3Schema");
    if status && !schema["type"].str().is_empty() && schema["type"].str() != "object" {
        let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        e.invalid(format!("{path}.type"), &schema["type"], why);
    }
    if is(schema, "nullable") {
        e.forbidden(
            format!("{path}.nullable"),
            "nullable cannot be true at the root",
        );
    }
    let mut structure = Errors::default();
    structural(&mut structure, &path, schema, Level::Root);
    complete(&mut structure, &path, schema, schema);
    let mut structure = structure.into_list();
    if structure.is_empty() {
        let mut wrong = Errors::default();
        defaults(&mut wrong, &path, schema);
        structure = wrong.into_list();
    } else {
        structure.sort_by_cached_key(ToString::to_string);
    }
    for error in structure {
        e.push(error);
    }
    properties(e, &path, schema, true, None);
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

fn is(schema: &Value, field: &str) -> bool {
    schema[field].as_bool() == Some(true)
}

const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const LIST_TYPE: &str = "x-kubernetes-list-type";
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";
const RULES: &str = "x-kubernetes-validations";

fn is_int_or_string(any_of: &Value) -> bool {
    let one = |at: usize, kind: &str| {
        let fields = any_of.items()[at].entries();
        fields.len() == 1 && any_of.items()[at]["type"].str() == kind
    };
    any_of.items().len() == 2 && one(0, "integer") && one(1, "string")
}

/// Every value has a type, and what is said under `allOf` and the like is said outside, too.
fn structural(e: &mut Errors, path: &str, s: &Value, level: Level) {
    let kind = &s["type"];
    if kind.str() == "array" && s["items"].is_null() {
        e.required(format!("{path}.items"), "must be specified");
    }
    if s["items"].as_object().is_some() {
        structural(e, &format!("{path}.items"), &s["items"], Level::Item);
    }
    for (name, inner) in s["properties"].entries() {
        structural(
            e,
            &format!("{path}.properties[{name}]"),
            inner,
            Level::Field,
        );
    }
    let additional = &s["additionalProperties"];
    let at = format!("{path}.additionalProperties");
    if !additional.is_null() {
        if level == Level::Root {
            e.forbidden(&*at, "must not be used at the root");
        }
        if additional.as_object().is_some() {
            structural(e, &at, additional, Level::Field);
        }
    }
    for field in [PRESERVE, EMBEDDED] {
        if is(s, INT_OR_STRING) && is(s, field) {
            let why = format!("must be false if {INT_OR_STRING} is true");
            e.invalid(format!("{path}.{field}"), true, why);
        }
    }
    let skip_first = is_int_or_string(&s["allOf"].items().first().unwrap_or(&Value::Null)["anyOf"]);
    checks(e, path, s, level, is_int_or_string(&s["anyOf"]), skip_first);
    let metadata = level == Level::Root || is(s, EMBEDDED);
    if is(s, EMBEDDED) && kind.str() != "object" {
        let why = format!("must be object if {EMBEDDED} is true");
        if kind.str().is_empty() {
            e.required(format!("{path}.type"), why);
        } else {
            e.invalid(format!("{path}.type"), kind, why);
        }
    } else if kind.str().is_empty() && !is(s, INT_OR_STRING) && !is(s, PRESERVE) {
        let whose = match level {
            Level::Root => "at the root",
            Level::Item => "for specified array items",
            Level::Field => "for specified object fields",
        };
        e.required(format!("{path}.type"), format!("must not be empty {whose}"));
    }
    if is(s, EMBEDDED) && !additional.is_null() {
        e.forbidden(at, format!("must not be used if {EMBEDDED} is set"));
    }
    if level == Level::Root && !kind.str().is_empty() && kind.str() != "object" {
        e.invalid(format!("{path}.type"), kind, "must be object at the root");
    }
    let inner = &s["properties"];
    for name in ["kind", "apiVersion"] {
        if let Some(field) = inner.get(name).filter(|_| metadata)
            && field["type"].str() != "string"
        {
            let at = format!("{path}.properties[{name}].type");
            e.invalid(at, field["type"].str(), "must be string");
        }
    }
    if let Some(field) = inner.get("metadata") {
        let at = format!("{path}.properties[metadata]");
        if metadata && field["type"].str() != "object" {
            e.invalid(format!("{at}.type"), field["type"].str(), "must be object");
        }
        let known = ["name", "generateName"];
        let names = |m: &Value| m.entries().iter().all(|(name, _)| known.contains(&&**name));
        let empty = |f: &str, v: &Value| match f {
            "type" | "default" => true,
            "properties" => names(v),
            _ => v.is_empty() || v.is_null() || v.as_bool() == Some(false),
        };
        if level == Level::Root && !field.entries().iter().all(|(f, v)| empty(f, v)) {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            e.forbidden(at, why);
        }
    }
    if is(s, EMBEDDED) && !is(s, PRESERVE) && inner.entries().is_empty() {
        let why = format!("must not be empty if {EMBEDDED} is true without {PRESERVE}");
        e.required(format!("{path}.properties"), why);
    }
}

/// What is said of values, without saying what they are.
fn checks(e: &mut Errors, path: &str, s: &Value, level: Level, skip_any: bool, skip_first: bool) {
    for list in ["anyOf", "allOf", "oneOf"] {
        if list == "anyOf" && skip_any {
            continue;
        }
        for (at, (p, inner)) in items(&s[list], &format!("{path}.{list}")).enumerate() {
            nested(
                e,
                &p,
                inner,
                level,
                list == "allOf" && skip_first && at == 0,
            );
        }
    }
    if s["not"].as_object().is_some() {
        nested(e, &format!("{path}.not"), &s["not"], level, false);
    }
    let pattern = s["pattern"].str();
    if !pattern.is_empty()
        && let Some(why) = wrong_pattern(pattern)
    {
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        e.invalid(format!("{path}.pattern"), pattern, why);
    }
}

/// What Go says of a regular expression that is none.
fn wrong_pattern(pattern: &str) -> Option<String> {
    Regex::new(pattern).err()?;
    // What regex-lite does not know, Go may.
    let bytes = pattern.as_bytes();
    let (mut open, mut at) = (0_usize, 0);
    let mut repeats = true;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if at + 1 == bytes.len() => {
                return Some("trailing backslash at end of expression: ``".into());
            }
            b'\\' => at += 1,
            b'[' => {
                let mut end = at + 1;
                if bytes.get(end) == Some(&b'^') {
                    end += 1;
                }
                if bytes.get(end) == Some(&b']') {
                    end += 1;
                }
                while end < bytes.len() && bytes[end] != b']' {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                if end >= bytes.len() {
                    return Some(format!("missing closing ]: `{}`", &pattern[at..]));
                }
                at = end;
            }
            b'(' => {
                open += 1;
                let look = ["?=", "?!", "?<=", "?<!"];
                if let Some(what) = look.iter().find(|l| pattern[at + 1..].starts_with(**l)) {
                    let shown = if what.len() == 3 {
                        "(?<"
                    } else {
                        &pattern[at..at + 3]
                    };
                    return Some(format!("invalid or unsupported Perl syntax: `{shown}`"));
                }
                repeats = true;
                at += 1;
                continue;
            }
            b')' if open == 0 => return Some(format!("unexpected ): `{pattern}`")),
            b')' => open -= 1,
            b'*' | b'+' | b'?' if repeats => {
                let what = &pattern[at..=at];
                return Some(format!("missing argument to repetition operator: `{what}`"));
            }
            _ => {}
        }
        repeats = bytes[at] == b'|';
        at += 1;
    }
    (open > 0).then(|| format!("missing closing ): `{pattern}`"))
}

fn nested(e: &mut Errors, path: &str, s: &Value, level: Level, skip_any: bool) {
    checks(e, path, s, level, skip_any, false);
    if s["items"].as_object().is_some() {
        nested(e, &format!("{path}.items"), &s["items"], level, false);
    }
    for (name, inner) in s["properties"].entries() {
        nested(
            e,
            &format!("{path}.properties[{name}]"),
            inner,
            Level::Field,
            false,
        );
    }
    let mut forbid = |field: &str, why: &str| {
        let value = &s[field];
        let unset = value.is_null() || value.as_bool() == Some(false);
        if !(unset || value.as_str() == Some("") || field == LIST_KEYS && value.is_empty()) {
            e.forbidden(format!("{path}.{field}"), why);
        }
    };
    forbid("type", "must be empty to be structural");
    forbid("additionalProperties", "must be undefined to be structural");
    forbid("default", "must be undefined to be structural");
    forbid("title", "must be empty to be structural");
    forbid("description", "must be empty to be structural");
    forbid("nullable", "must be false to be structural");
    for field in [PRESERVE, EMBEDDED, INT_OR_STRING] {
        forbid(field, "must be false to be structural");
    }
    forbid(LIST_KEYS, "must be empty to be structural");
    forbid(LIST_TYPE, "must be undefined to be structural");
    forbid(MAP_TYPE, "must be undefined to be structural");
    if !s[RULES].items().is_empty() {
        e.forbidden(format!("{path}.{RULES}"), "must be empty to be structural");
    }
    if s["properties"].get("metadata").is_some() {
        let at = format!("{path}.properties[metadata]");
        e.forbidden(at, "must not be specified in a nested context");
    }
}

/// Fields that are only spoken of under `allOf` and the like are specified outside, too.
fn complete(e: &mut Errors, path: &str, s: &Value, checks: &Value) {
    let whole = |list: &str| format!("{path}.{list}");
    for list in ["anyOf", "allOf", "oneOf"] {
        for (p, inner) in items(&checks[list], &whole(list)) {
            covered(e, path, &p, s, inner);
        }
    }
    if checks["not"].as_object().is_some() {
        covered(e, path, &whole("not"), s, &checks["not"]);
    }
}

fn covered(e: &mut Errors, path: &str, inner_path: &str, s: &Value, inner: &Value) {
    for list in ["anyOf", "allOf", "oneOf"] {
        for (p, more) in items(&inner[list], &format!("{inner_path}.{list}")) {
            covered(e, path, &p, s, more);
        }
    }
    if inner["not"].as_object().is_some() {
        covered(e, path, &format!("{inner_path}.not"), s, &inner["not"]);
    }
    let mut go = |name: &str, within: &Value| {
        let (p, q) = (format!("{path}.{name}"), format!("{inner_path}.{name}"));
        let outer = match name {
            "items" => s.get("items"),
            _ => s["properties"].get(&name[11..name.len() - 1]),
        };
        match outer {
            Some(outer) => covered(e, &p, &q, outer, within),
            None => e.required(p, format!("because it is defined in {q}")),
        }
    };
    if inner["items"].as_object().is_some() {
        go("items", &inner["items"]);
    }
    for (name, within) in inner["properties"].entries() {
        go(&format!("properties[{name}]"), within);
    }
}

fn defaults(e: &mut Errors, path: &str, s: &Value) {
    if let Some(value) = s.get("default").filter(|v| !v.is_null()) {
        let at = format!("{path}.default");
        let mut pruned = value.clone();
        custom::prune(s, &mut pruned);
        if pruned != *value {
            e.invalid(&*at, value, "must not have unknown fields");
        }
        for mut error in custom::create(s, value) {
            error.field = match &*error.field {
                "" | "<nil>" => at.clone(),
                field if field.starts_with('[') => format!("{at}{field}"),
                field => format!("{at}.{field}"),
            };
            e.push(error);
        }
    }
    if s["items"].as_object().is_some() {
        defaults(e, &format!("{path}.items"), &s["items"]);
    }
    for (name, inner) in s["properties"].entries() {
        defaults(e, &format!("{path}.properties[{name}]"), inner);
    }
}

/// What every part of a schema may say at all. `no_default` says where defaults may not be.
fn properties(e: &mut Errors, path: &str, s: &Value, root: bool, no_default: Option<&str>) {
    let at = |field: &str| format!("{path}.{field}");
    let kind = &s["type"];
    let types = ["array", "boolean", "integer", "number", "object", "string"];
    if !kind.str().is_empty() && !types.contains(&kind.str()) {
        e.one_of(at("type"), kind, &types);
    }
    if let (Some(place), false) = (no_default, s["default"].is_null()) {
        e.forbidden(at("default"), format!("must not be set {place}"));
    }
    let set = |field: &str| !s[field].is_null() && s[field].as_str() != Some("");
    for (field, name) in [
        ("id", "id"),
        ("additionalItems", "additionalItems"),
        ("patternProperties", "patternProperties"),
        ("definitions", "definitions"),
        ("dependencies", "dependencies"),
        ("$ref", "$ref"),
    ] {
        if set(field) {
            e.forbidden(at(field), format!("{name} is not supported"));
        }
    }
    if kind.str() == "null" {
        let why = "type cannot be set to null, use nullable as an alternative";
        e.forbidden(at("type"), why);
    }
    if !s["items"].items().is_empty() {
        let why = "items must be a schema object and not an array";
        e.forbidden(at("items"), why);
    }
    if is(s, "uniqueItems") {
        let why =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        e.forbidden(at("uniqueItems"), why);
    }
    let additional = &s["additionalProperties"];
    if !additional.is_null() {
        let restricts = additional.as_bool() != Some(true);
        if !s["properties"].entries().is_empty() && restricts {
            let why = "additionalProperties and properties are mutual exclusive";
            e.forbidden(at("additionalProperties"), why);
        }
        properties(
            e,
            &at("additionalProperties"),
            additional,
            false,
            no_default,
        );
    }
    for (name, inner) in s["properties"].entries() {
        let meta = root && ["metadata", "kind", "apiVersion"].contains(&&**name);
        let place = format!("in top-level {name}");
        let no_default = if meta { Some(&*place) } else { no_default };
        properties(
            e,
            &at(&format!("properties[{name}]")),
            inner,
            false,
            no_default,
        );
    }
    if s["not"].as_object().is_some() {
        properties(e, &at("not"), &s["not"], false, no_default);
    }
    for list in ["allOf", "oneOf", "anyOf"] {
        for (p, inner) in items(&s[list], &at(list)) {
            properties(e, &p, inner, false, no_default);
        }
    }
    let inner = &s["items"];
    if inner.as_object().is_some() {
        properties(e, &at("items"), inner, false, no_default);
    }
    if s[PRESERVE].as_bool() == Some(false) {
        e.invalid(at(PRESERVE), false, "must be true or undefined");
    }
    for (field, of) in [(MAP_TYPE, "object"), (LIST_TYPE, "array")] {
        if s[field].is_null() || kind.str() == of {
            continue;
        }
        let why = format!("must be {of} if {field} is specified");
        if kind.str().is_empty() {
            e.required(at("type"), why);
        } else {
            e.invalid(at("type"), kind, why);
        }
    }
    if !s[MAP_TYPE].is_null() {
        e.one_of(at(MAP_TYPE), &s[MAP_TYPE], &["atomic", "granular"]);
    }
    lists(e, path, s);
    rules(e, path, s);
}

fn lists(e: &mut Errors, path: &str, s: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    let (list, keys, inner) = (&s[LIST_TYPE], &s[LIST_KEYS], &s["items"]);
    if list.str() == "set" && s["type"].str() == "array" {
        let why = format!("must be atomic as item of a list with {LIST_TYPE}=set");
        let one = &inner[LIST_TYPE];
        match inner["type"].str() {
            "array" if !one.is_null() && one.str() != "atomic" => {
                e.invalid(at(&format!("items.{LIST_TYPE}")), one, why);
            }
            "object" if inner[MAP_TYPE].str() != "atomic" => {
                e.invalid(at(&format!("items.{MAP_TYPE}")), one, why);
            }
            _ => {}
        }
    }
    if !list.is_null() {
        e.one_of(at(LIST_TYPE), list, &["atomic", "set", "map"]);
    }
    if !keys.items().is_empty() && list.str() != "map" {
        let why = format!("must be map if {LIST_KEYS} is non-empty");
        if list.is_null() {
            e.required(at(LIST_TYPE), why);
        } else {
            e.invalid(at(LIST_TYPE), list, why);
        }
    }
    if list.str() == "map" {
        if keys.items().is_empty() {
            let why = format!("must not be empty if {LIST_TYPE} is map");
            e.required(at(LIST_KEYS), why);
        }
        if inner.is_null() {
            e.required(
                at("items"),
                format!("must have a schema if {LIST_TYPE} is map"),
            );
        } else if inner["type"].str() != "object" {
            let why = format!("must be object if parent array's {LIST_TYPE} is map");
            e.invalid(at("items.type"), inner["type"].str(), why);
        } else {
            for (i, key) in keys.items().iter().enumerate() {
                match inner["properties"].get(key.str()) {
                    Some(field) if matches!(field["type"].str(), "array" | "object") => {
                        let why =
                            format!("must be a scalar type if parent array's {LIST_TYPE} is map");
                        let at = at(&format!("items.properties[{}].type", key.str()));
                        e.invalid(at, "object", why);
                    }
                    Some(_) => {}
                    None => e.invalid(
                        at(LIST_KEYS),
                        keys,
                        "entries must all be names of item properties",
                    ),
                }
                if keys.items()[..i].contains(key) {
                    e.invalid(at(LIST_KEYS), keys, "must not contain duplicate entries");
                }
            }
        }
    }
    if !matches!(list.str(), "set" | "map") || inner.is_null() {
        return;
    }
    if is(inner, "nullable") {
        let why = format!("cannot be nullable when {LIST_TYPE} is {}", list.str());
        e.forbidden(at("items.nullable"), why);
    }
    if list.str() != "map" {
        return;
    }
    for key in keys.items() {
        let Some(field) = inner["properties"].get(key.str()) else {
            continue;
        };
        let at = at(&format!("items.properties[{}]", key.str()));
        if !inner["required"].items().contains(key) && field["default"].is_null() {
            let why = format!(
                "this property is in {LIST_KEYS}, so it must have a default or be a required property"
            );
            e.required(format!("{at}.default"), why);
        }
        if is(field, "nullable") {
            let why = format!("this property is in {LIST_KEYS}, so it cannot be nullable");
            e.forbidden(format!("{at}.nullable"), why);
        }
    }
}

/// A rule must be an expression that is true or false.
fn compiled(e: &mut Errors, path: &str, rule: &Value, s: &Value) {
    let of = custom::type_of(s);
    let old = match rule["optionalOldSelf"].as_bool() {
        Some(true) => Type::Optional(of.clone().into()),
        _ => of.clone(),
    };
    let why = match custom::compile(rule["rule"].str(), &[("self", of), ("oldSelf", old)]) {
        Err(why) => format!("compilation failed: {why}"),
        Ok(Type::Bool | Type::Any | Type::Dyn) => return,
        Ok(_) => "cel expression must evaluate to a bool".to_owned(),
    };
    let field = |name: &str| match &rule[name] {
        Value::Null => "null".to_owned(),
        given => crate::go::json(given),
    };
    let text = |name: &str| crate::go::json(&rule[name].text().into());
    let shown = format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        text("rule"),
        text("message"),
        text("messageExpression"),
        field("reason"),
        text("fieldPath"),
        field("optionalOldSelf")
    );
    e.push(FieldError::invalid_shown(path, shown, why));
}

fn rules(e: &mut Errors, path: &str, s: &Value) {
    for (p, rule) in items(&s[RULES], &format!("{path}.{RULES}")) {
        let broken = |text: &str| text.contains(['\n', '\r']);
        let (text, message) = (rule["rule"].str().trim(), rule["message"].str());
        let said = message.trim();
        if text.is_empty() {
            e.required(format!("{p}.rule"), "rule is not specified");
        } else if !message.is_empty() && said.is_empty() {
            e.invalid(
                format!("{p}.message"),
                message,
                "must be non-empty if specified",
            );
        } else if broken(said) {
            e.invalid(
                format!("{p}.message"),
                message,
                "must not contain line breaks",
            );
        } else if broken(text) && said.is_empty() {
            let why = "message must be specified if rule contains line breaks";
            e.required(format!("{p}.message"), why);
        }
        if !text.is_empty() {
            compiled(e, &format!("{p}.rule"), rule, s);
        }
        let expression = rule["messageExpression"].str();
        if !expression.is_empty() && expression.trim().is_empty() {
            let why = "messageExpression must be non-empty if specified";
            e.required(format!("{p}.messageExpression"), why);
        }
        if !rule["reason"].is_null() {
            let reasons = [
                "FieldValueDuplicate",
                "FieldValueForbidden",
                "FieldValueInvalid",
                "FieldValueRequired",
            ];
            e.one_of(format!("{p}.reason"), &rule["reason"], &reasons);
        }
        let field = rule["fieldPath"].str();
        if !field.is_empty() && field.trim().is_empty() {
            e.invalid(
                format!("{p}.fieldPath"),
                field,
                "must be non-empty if specified",
            );
        }
        if broken(field) {
            e.invalid(
                format!("{p}.fieldPath"),
                field,
                "must not contain line breaks",
            );
        }
    }
}
