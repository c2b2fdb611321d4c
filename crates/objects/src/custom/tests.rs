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

/// What the compiler says of an expression about `object`, as a policy names it.
#[track_caller]
fn says(text: &str, want: &str) {
    let scope = [("object", Type::Dyn), ("request", request_type())];
    let said = match compile(text, &scope) {
        Ok(of) => of.to_string(),
        Err(why) => {
            let firsts = why.lines().filter(|l| l.starts_with("ERROR"));
            firsts.collect::<Vec<_>>().join("; ")
        }
    };
    let short = said
        .replace("ERROR: <input>:", "")
        .replace("Syntax error", "S");
    assert_eq!(short, want, "{text}");
}

/// All of these were asked of a real API server.
#[test]
fn the_compiler_says_what_cel_go_says() {
    const OPERANDS: &str = "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
    let operands = |before: &str| format!("{before} {OPERANDS}");
    let undeclared =
        |at: &str, name: &str| format!("{at}: undeclared reference to '{name}' (in container '')");
    let overload = |at: &str, name: &str, of: &str| {
        format!("{at}: found no matching overload for '{name}' applied to '{of}'")
    };
    says("a.b == 1", &undeclared("1:1", "a"));
    says("foo(object)", &undeclared("1:4", "foo"));
    says("object.a.foo(1)", &undeclared("1:13", "foo"));
    says("object.all(x, y)", &undeclared("1:15", "y"));
    says(
        "a && b",
        &format!("{}; {}", undeclared("1:1", "a"), undeclared("1:6", "b")),
    );
    says("object.x +", &operands("1:11: S: mismatched input '<EOF>'"));
    says(
        "object\n.x +",
        &operands("2:5: S: mismatched input '<EOF>'"),
    );
    says("*.example", &operands("1:1: S: extraneous input '*'"));
    says("&& true", &operands("1:1: S: extraneous input '&&'"));
    says("1Gi", "1:2: S: extraneous input 'Gi' expecting <EOF>");
    says("A B", "1:3: S: extraneous input 'B' expecting <EOF>");
    says(
        "1 == 1 and true",
        "1:8: S: mismatched input 'and' expecting <EOF>",
    );
    says("(object.x == 1", "1:15: S: missing ')' at '<EOF>'");
    says("object[\"a\"", "1:11: S: missing ']' at '<EOF>'");
    says(
        "[1,2",
        "1:5: S: mismatched input '<EOF>' expecting {']', ','}",
    );
    says(
        "{1:2",
        "1:5: S: mismatched input '<EOF>' expecting {'}', ','}",
    );
    says("[1 2]", "1:4: S: extraneous input '2' expecting {']', ','}");
    says("[1,,2]", "1:4: S: mismatched input ',' expecting ']'");
    says("{1 2}", "1:4: S: missing ':' at '2'");
    says("size(1 2)", "1:8: S: extraneous input '2' expecting ')'");
    says(
        "object ? 1",
        "1:11: S: mismatched input '<EOF>' expecting ':'",
    );
    says("object..x", "1:8: S: no viable alternative at input '..'");
    says("object.", "1:8: S: no viable alternative at input '.'");
    says(
        "object.x == 1 &",
        "1:15: S: token recognition error at: '&'",
    );
    says(
        "object.x = 1",
        "1:10: S: token recognition error at: '= '; 1:12: S: extraneous input '1' expecting <EOF>",
    );
    says(
        "if true",
        "1:1: reserved identifier: if; 1:4: S: extraneous input 'true' expecting <EOF>",
    );
    says(
        "object.all(1, true)",
        "1:12: argument must be a simple name",
    );
    says("has(object)", "1:5: invalid argument to has() macro");
    says("request.foo", "1:8: undefined field 'foo'");
    says("1.foo", "1:2: type 'int' does not support field selection");
    says("true && 1", "1:9: expected type 'bool' but found 'int'");
    says("1 + \"a\" == 1", &overload("1:3", "_+_", "(int, string)"));
    says("\"a\" > 1", &overload("1:5", "_>_", "(string, int)"));
    says("!1", &overload("1:1", "!_", "(int)"));
    says("-\"a\"", &overload("1:1", "-_", "(string)"));
    says("size(1) == 1", &overload("1:5", "size", "(int)"));
    says("size(1,2)", &overload("1:5", "size", "(int, int)"));
    says("'a' in 'b'", &overload("1:5", "@in", "(string, string)"));
    says(
        "1 in [\"b\"]",
        &overload("1:3", "@in", "(int, list(string))"),
    );
    says("1.5 == 1", &overload("1:5", "_==_", "(double, int)"));
    says("1u == 1", &overload("1:4", "_==_", "(uint, int)"));
    says(
        "b\"a\" == \"a\"",
        &overload("1:6", "_==_", "(bytes, string)"),
    );
    says("null == 1", &overload("1:6", "_==_", "(null, int)"));
    says(
        "[1,\"a\"] == 1",
        &overload("1:9", "_==_", "(list(dyn), int)"),
    );
    says(
        "{\"a\":1} == 1",
        &overload("1:9", "_==_", "(map(string, int), int)"),
    );
    says(
        "[1][\"a\"] == 1",
        &overload("1:4", "_[_]", "(list(int), string)"),
    );
    says(
        "1 == 1 ? true : 2",
        &overload("1:8", "_?_:_", "(bool, bool, int)"),
    );
    says(
        "[1,2].all(x, x > \"a\")",
        &overload("1:16", "_>_", "(int, string)"),
    );
    says(
        "1.startsWith(\"a\")",
        &overload("1:13", "startsWith", "int.(string)"),
    );
    says(
        "object.x.startsWith(1)",
        &overload("1:20", "startsWith", "dyn.(int)"),
    );
    says(
        "duration(\"1h\") > 1",
        &overload("1:16", "_>_", "(duration, int)"),
    );
    says(
        "quantity(\"1\") == 1",
        &overload("1:15", "_==_", "(kubernetes.Quantity, int)"),
    );
    says(
        "object.?x == 1",
        &overload("1:11", "_==_", "(optional_type(dyn), int)"),
    );
    for (right, of) in [
        ("object.x.map(x, x.y + 1)", "list(int)"),
        ("object.x.filter(i, i)", "list(dyn)"),
        ("object.spec.replicas", "dyn"),
        ("object ? 1 : 2", "int"),
        ("1 < 1.5", "bool"),
        ("dyn(1) + \"a\" == \"\"", "bool"),
        ("size([1]) == 1 && type(1) == int", "bool"),
        ("request.userInfo.groups.exists(g, g == 'a')", "bool"),
    ] {
        says(right, of);
    }
}

#[test]
fn rules_have_a_budget() {
    let list: Vec<i64> = (0..1200).collect();
    let all: Value = crate::object([("l", crate::array(list))]);
    let cheap = "self.l.all(a, a >= 0)";
    let dear = "self.l.all(a, self.l.all(b, a + b >= 0))";
    let schema = |rule: &str| {
        parse(&format!(
            "{{type: object, x-kubernetes-validations: [{{rule: '{rule}'}}], properties: {{l: {{type: array, items: {{type: integer}}}}}}}}"
        ))
    };
    let said = |rule: &str| {
        let mut errors = Vec::new();
        super::cel::check(&schema(rule), &all, None, "", &mut errors);
        errors.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(said(cheap), "");
    assert!(said(dear).contains("no further validation rules will be run due to call cost exceeds limit for rule: self.l"), "{}", said(dear));
}
