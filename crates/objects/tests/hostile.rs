//! What must hold for every input: nothing panics, and the laws of merging hold. Quick as part of the
//! suite; `KUBARIUM_CASES=1000000` runs for longer.

use kubarium_objects::managed::{
    ManagedFields, Manager, Operation, Set, Shape, Write, compare, empty_object, merge, to_set,
    validate,
};
use kubarium_objects::{
    Schema, Value, custom, decode, defaults, patch, validation, warnings, yaml,
};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let count = std::env::var("KUBARIUM_CASES").ok();
    ProptestConfig {
        cases: count.and_then(|c| c.parse().ok()).unwrap_or(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Words that mean something to the API, among others that do not.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "status",
        "template",
        "containers",
        "initContainers",
        "image",
        "ports",
        "containerPort",
        "protocol",
        "selector",
        "matchLabels",
        "replicas",
        "data",
        "type",
        "clusterIP",
        "volumes",
        "env",
        "value",
        "resources",
        "requests",
        "limits",
        "cpu",
        "memory",
        "tolerations",
        "key",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "finalizers",
        "rules",
        "verbs",
        "maxSurge",
        "accessModes",
        "openAPIV3Schema",
        "properties",
        "items",
        "additionalProperties",
        "x-kubernetes-validations",
        "rule",
        "default",
        "pattern",
    ];
    prop_oneof![
        4 => proptest::sample::select(KNOWN).prop_map(str::to_owned),
        1 => "[a-z~/$.\\-]{0,8}",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5..100_000_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        word().prop_map(Value::from),
        proptest::sample::select(
            &[
                "",
                "1",
                "500m",
                "1Gi",
                "-1",
                "TCP",
                "80%",
                "nginx:1.27",
                "10.0.0.1",
                "fd00::1",
                "replace",
                "delete",
                "merge",
                "self.all(x, x > 0)",
                "[",
                "2026-01-05T09:00:00Z",
                "1e9999",
                "a/b",
                "é"
            ][..]
        )
        .prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..5).prop_map(|fields| {
                let mut out = Value::new_object();
                for (name, value) in fields {
                    out[name.as_str()] = value;
                }
                out
            }),
        ]
    })
}

/// An object of some kind with anything in it.
fn object() -> impl Strategy<Value = Value> {
    let kinds: Vec<(String, String)> = Schema::builtin()
        .resources()
        .iter()
        .map(|r| (r.api_version(), r.kind.to_string()))
        .collect();
    (proptest::sample::select(kinds), value(), value(), value()).prop_map(
        |((api_version, kind), metadata, spec, rest)| {
            let mut out = Value::new_object();
            if rest.as_object().is_some() {
                out = rest;
            }
            out["metadata"] = metadata;
            out["spec"] = spec;
            out["apiVersion"] = api_version.into();
            out["kind"] = kind.into();
            out
        },
    )
}

/// Takes an object all the way that a request goes.
fn judge(raw: &Value) -> Option<Value> {
    let schema = Schema::builtin();
    let resource = schema.by_kind(raw["apiVersion"].str(), raw["kind"].str())?;
    // Strictly as well, for the messages.
    let _ = decode::decode(schema, resource.type_id, raw);
    let mut object = decode::decode_lenient(schema, resource.type_id, raw).ok()?;
    defaults::apply(resource, &mut object);
    let once = object.clone();
    defaults::apply(resource, &mut object);
    assert_eq!(once, object, "defaults are not filled in twice");
    validation::prepare_for_create(resource, &mut object);
    let _ = validation::create(resource, &object);
    let _ = validation::update(resource, &object, &once);
    let _ = warnings::of(resource, &object);
    Some(object)
}

fn config_map(data: &[(String, String)]) -> Value {
    let mut out =
        kubarium_objects::object([("apiVersion", "v1".into()), ("kind", "ConfigMap".into())]);
    for (key, value) in data {
        out["data"][key.as_str()] = value.as_str().into();
    }
    out
}

fn data() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("[a-d]", "[x-z]"), 0..4)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_hurts_the_front_end(text in "[ \\n\\t:{}\\[\\]\\-#'\"&*!|>%a-c0-9.,éﾟ]{0,80}") {
        if let Ok(documents) = yaml::parse(&text) {
            for document in documents {
                let printed = yaml::to_yaml(&document.value);
                let again = yaml::parse(&printed).map(|mut d| d.pop().map(|d| d.value));
                prop_assert!(again.is_ok(), "{printed:?}");
            }
        }
    }

    #[test]
    fn what_is_printed_reads_the_same(value in value()) {
        let printed = yaml::to_yaml(&value);
        let read = yaml::parse(&printed).map(|mut d| d.pop().map_or(Value::Null, |d| d.value));
        prop_assert_eq!(read.map_err(|e| e.to_string()), Ok(value), "{}", printed);
    }

    #[test]
    fn no_object_hurts_the_judges(object in object()) {
        judge(&object);
    }

    #[test]
    fn no_patch_hurts_an_object(object in object(), change in value()) {
        let Some(live) = judge(&object) else { return Ok(()) };
        let schema = Schema::builtin();
        let Some(resource) = schema.by_kind(object["apiVersion"].str(), object["kind"].str()) else {
            return Ok(());
        };
        let merged = patch::merge(&live, &change);
        let _ = judge(&merged);
        let _ = patch::json_patch(&live, &change);
        if let Ok(patched) = patch::strategic_merge(schema, resource.type_id, &live, &change) {
            let _ = judge(&patched);
        }
        let _ = patch::three_way_strategic(schema, resource.type_id, &change, &merged, &live);
        prop_assert_eq!(patch::merge(&live, &patch::diff_merge(&live, &live)), live);
    }

    #[test]
    fn no_schema_hurts_custom_resources(schema in value(), object in value()) {
        let mut pruned = object.clone();
        custom::prune(&schema, &mut pruned);
        custom::default(&schema, &mut pruned);
        let _ = custom::create(&schema, &pruned);
        let _ = custom::update(&schema, &pruned, &object);
        let _ = custom::unsupported_rules(&schema);
    }

    #[test]
    fn applying_merges_by_the_laws(object in object(), other in value()) {
        let Some(live) = judge(&object) else { return Ok(()) };
        let schema = Schema::builtin();
        let Some(resource) = schema.by_kind(object["apiVersion"].str(), object["kind"].str()) else {
            return Ok(());
        };
        let shape = Shape::builtin(resource.type_id);
        let _ = validate(shape, &other);
        let _ = merge(shape, &live, &other);
        let change = compare(shape, &live, &live);
        prop_assert!(change.added.is_empty() && change.modified.is_empty() && change.removed.is_empty());
        let set = to_set(shape, &live);
        prop_assert_eq!(Set::from_value(&set.to_value()), set.clone());
        prop_assert!(set.difference(&set).is_empty());
        prop_assert_eq!(set.union(&set), set.clone());
        let empty = empty_object(schema, resource.type_id);
        let by = Manager {
            name: "a".into(),
            operation: Operation::Apply,
            subresource: "".into(),
            api_version: object["apiVersion"].text(),
        };
        let none = Set::default();
        let write = Write { shape, by: &by, time: "t", ignored: &none };
        let mut managers = ManagedFields::default();
        if let Ok(applied) = managers.apply(&empty, &other, &write, false) {
            // Applying the same again changes nothing.
            let again = managers.apply(&applied, &other, &write, false);
            prop_assert_eq!(again.map_err(|s| s.message), Ok(applied));
        }
    }

    #[test]
    fn an_applier_gets_what_it_applies(first in data(), second in data(), third in data()) {
        let schema = Schema::builtin();
        let Some(resource) = schema.by_kind("v1", "ConfigMap") else { return Ok(()) };
        let shape = Shape::builtin(resource.type_id);
        let none = Set::default();
        let manager = |name: &str| Manager {
            name: name.into(),
            operation: Operation::Apply,
            subresource: "".into(),
            api_version: "v1".into(),
        };
        let (a, b) = (manager("a"), manager("b"));
        let mut managers = ManagedFields::default();
        let mut live = empty_object(schema, resource.type_id);
        for (by, data) in [(&a, &first), (&b, &second), (&a, &third)] {
            let config = config_map(data);
            let write = Write { shape, by, time: "t", ignored: &none };
            let applied = managers.apply(&live, &config, &write, true);
            live = applied.map_err(|s| TestCaseError::fail(s.message))?;
            for (key, value) in config["data"].entries() {
                prop_assert_eq!(live["data"].get(key), Some(value));
            }
        }
        // Nothing is there that nobody applies any more.
        let wanted = |key: &str| [&second, &third].iter().any(|d| d.iter().any(|(k, _)| k == key));
        for (key, _) in live["data"].entries() {
            prop_assert!(wanted(key), "{key} of {live}");
        }
    }
}
