use super::*;
use crate::yaml;

fn parse(text: &str) -> Value {
    yaml::parse(text).unwrap().remove(0).value
}

const SCHEMA: &str = r#"
type: object
properties:
  spec:
    type: object
    required: [cron]
    x-kubernetes-validations:
    - {rule: 'self.min <= self.max', message: min must not be above max}
    - {rule: '!has(self.zone) || self.zone.startsWith("eu-")'}
    properties:
      cron: {type: string, pattern: '^\d+ \d+$'}
      replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
      min: {type: integer, default: 0}
      max: {type: integer, default: 5}
      mode: {type: string, enum: [a, b]}
      zone: {type: string}
      ports: {type: array, maxItems: 2, items: {x-kubernetes-int-or-string: true}}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true}
      name: {type: string, maxLength: 3, x-kubernetes-validations: [{rule: self == oldSelf, message: is immutable}]}
"#;

fn complaints(spec: &str, old: Option<&str>) -> String {
    let schema = parse(SCHEMA);
    let object = |spec: &str| {
        let mut object = parse(&format!("{{spec: {spec}}}"));
        default(&schema, &mut object);
        object
    };
    let errors = match old {
        Some(old) => update(&schema, &object(spec), &object(old)),
        None => create(&schema, &object(spec)),
    };
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    all.join("\n")
}

#[test]
fn values_are_pruned_and_filled_in() {
    let schema = parse(SCHEMA);
    let mut value = parse(
        "{apiVersion: v1, metadata: {x: y}, spec: {cron: '1 2', colour: red, free: {any: thing}}, more: 1}",
    );
    assert_eq!(prune(&schema, &mut value), ["more", "spec.colour"]);
    default(&schema, &mut value);
    assert_eq!(
        value["spec"].to_json(),
        r#"{"cron":"1 2","free":{"any":"thing"},"max":5,"min":0,"replicas":1}"#
    );
    assert!(unsupported_rules(&schema).is_empty());
    let strange = parse("{type: object, x-kubernetes-validations: [{rule: 'self.nosuch() == 1'}]}");
    assert_eq!(unsupported_rules(&strange).len(), 1);
}

#[test]
fn errors_are_worded_as_by_the_api_server() {
    let cases = [
        ("{cron: '1 2'}", ""),
        (
            "{cron: '1 2', replicas: 20}",
            "spec.replicas: Invalid value: 20: spec.replicas in body should be less than or equal to 10",
        ),
        (
            "{cron: x}",
            r#"spec.cron: Invalid value: "x": spec.cron in body should match '^\d+ \d+$'"#,
        ),
        (
            "{cron: '1 2', min: 9}",
            "spec: Invalid value: min must not be above max",
        ),
        (
            "{cron: '1 2', zone: us-1}",
            r#"spec: Invalid value: failed rule: !has(self.zone) || self.zone.startsWith("eu-")"#,
        ),
        (
            "{cron: '1 2', replicas: many}",
            "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"\n<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ),
        (
            "{cron: '1 2', ports: [80, http, 1]}",
            "spec.ports: Too many: 3: must have at most 2 items\n<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ),
    ];
    for (spec, want) in cases {
        assert_eq!(complaints(spec, None), want, "{spec}");
    }
    let missing = complaints("{mode: c}", None);
    assert!(missing.starts_with("spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"\nspec.cron: Required value"), "{missing}");
}

#[test]
fn rules_about_changes_see_what_was() {
    let with = |name: &str| format!("{{cron: '1 2', name: {name}}}");
    assert_eq!(complaints(&with("a"), Some(&with("a"))), "");
    assert_eq!(
        complaints(&with("b"), Some(&with("a"))),
        "spec.name: Invalid value: \"b\": is immutable"
    );
    // What was wrong before may stay.
    let bad = "{cron: '1 2', replicas: 99}";
    assert_eq!(complaints(bad, Some(bad)), "");
}

#[test]
fn expressions_are_computed() {
    let schema = |rule: &str| {
        let mut schema = parse(
            "{type: object, properties: {l: {type: array, items: {type: integer}}, m: {type: object, additionalProperties: {type: string}}, s: {type: string}}}",
        );
        schema["x-kubernetes-validations"] = crate::array([crate::object([("rule", rule.into())])]);
        schema
    };
    let object = parse("{l: [1, 2, 3], m: {a: x, b: x}, s: 'a-b-c'}");
    for (rule, holds) in [
        ("self.l.all(x, x > 0)", true),
        ("self.l.exists(x, x == 3) && !self.l.exists(x, x > 3)", true),
        ("self.l.exists_one(x, x % 2 == 0)", true),
        ("size(self.l) == 3 && self.m.size() == 2", true),
        ("self.l.filter(x, x > 1).map(x, x * 2) == [4, 6]", true),
        ("self.s.split('-').join('+') == 'a+b+c'", true),
        ("'a' in self.m && self.m['a'] == \"x\"", true),
        ("self.m.all(k, self.m[k].matches('^[xw]$'))", true),
        ("self.l[0] + self.l[1] == self.l[2] ? true : false", true),
        (
            "self.l.sum() == 6 && self.l.isSorted() && self.l.max() == 3",
            true,
        ),
        ("1.5 < 2 && -1 < 0 && {'a': 1}['a'] == 1", true),
        ("false || self.l[9] == 1", false),
        ("has(self.nothing)", false),
        ("1 / 0 == 1", false),
    ] {
        let schema = schema(rule);
        assert!(unsupported_rules(&schema).is_empty(), "{rule}");
        assert_eq!(create(&schema, &object).is_empty(), holds, "{rule}");
    }
}
