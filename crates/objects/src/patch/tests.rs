use super::*;
use crate::schema::{Schema, TypeId};

fn v(text: &str) -> Value {
    crate::yaml::parse(text).unwrap().remove(0).value
}

fn deployment() -> (&'static Schema, TypeId) {
    let schema = Schema::builtin();
    (
        schema,
        schema.by_kind("apps/v1", "Deployment").unwrap().type_id,
    )
}

#[test]
fn json_patches() {
    let cases = [
        (
            "{a: {b: 1}}",
            "[{op: add, path: /a/c, value: 2}]",
            r#"{"a":{"b":1,"c":2}}"#,
        ),
        (
            "{a: [1, 3]}",
            "[{op: add, path: /a/1, value: 2}, {op: add, path: /a/-, value: 4}]",
            r#"{"a":[1,2,3,4]}"#,
        ),
        (
            "{a: 1, b/c: 2}",
            "[{op: remove, path: /b~1c}, {op: replace, path: /a, value: x}]",
            r#"{"a":"x"}"#,
        ),
        (
            "{a: 1}",
            "[{op: move, from: /a, path: /b}, {op: copy, from: /b, path: /c}, {op: test, path: /c, value: 1}]",
            r#"{"b":1,"c":1}"#,
        ),
        (
            "{a: 1}",
            "[{op: remove, path: /b}]",
            "remove operation does not apply: doc is missing path: \"/b\": missing value",
        ),
        (
            "{a: 1}",
            "[{op: test, path: /a, value: 2}]",
            "testing value /a failed: test failed",
        ),
    ];
    for (document, patch, want) in cases {
        let got =
            json_patch(&v(document), &v(patch)).map_or_else(|e| e.to_string(), |v| v.to_json());
        assert_eq!(got, want, "{patch}");
    }
}

#[test]
fn merge_patches() {
    let merged = merge(
        &v("{a: {b: 1, c: 2}, d: [1]}"),
        &v("{a: {b: null, e: 3}, d: [2]}"),
    );
    assert_eq!(merged.to_json(), r#"{"a":{"c":2,"e":3},"d":[2]}"#);
    let (a, b) = (v("{a: {b: 1, c: 2}, d: 1}"), v("{a: {b: 1, c: 3}}"));
    assert_eq!(diff_merge(&a, &b).to_json(), r#"{"a":{"c":3},"d":null}"#);
    let patch = three_way_merge(
        &v("{a: 1, b: 2}"),
        &v("{a: 1, c: 3}"),
        &v("{a: 5, b: 2, x: 9}"),
    );
    assert_eq!(patch.to_json(), r#"{"a":1,"b":null,"c":3}"#);
}

#[track_caller]
fn strategic(original: &str, patch: &str, want: &str) {
    let (schema, id) = deployment();
    let got = strategic_merge(schema, id, &v(original), &v(patch))
        .map_or_else(|e| e.to_string(), |v| v.to_json());
    assert_eq!(got, want);
}

#[test]
fn strategic_merge_patches() {
    let two =
        "{spec: {template: {spec: {containers: [{name: a, image: x}, {name: b, image: w}]}}}}";
    let list =
        |items: &str| format!(r#"{{"spec":{{"template":{{"spec":{{"containers":{items}}}}}}}}}"#);
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{name: b, image: z}]}}}}",
        &list(r#"[{"image":"x","name":"a"},{"image":"z","name":"b"}]"#),
    );
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{name: a, $patch: delete}]}}}}",
        &list(r#"[{"image":"w","name":"b"}]"#),
    );
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{$patch: replace}, {name: c}]}}}}",
        &list(r#"[{"name":"c"}]"#),
    );
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{name: c}], $setElementOrder/containers: [{name: c}, {name: a}, {name: b}]}}}}",
        &list(r#"[{"name":"c"},{"image":"x","name":"a"},{"image":"w","name":"b"}]"#),
    );
    strategic(
        "{spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}}",
        "{spec: {strategy: {$retainKeys: [type], type: Recreate}}}",
        r#"{"spec":{"strategy":{"type":"Recreate"}}}"#,
    );
    strategic(
        "{metadata: {finalizers: [a, b]}}",
        "{metadata: {$deleteFromPrimitiveList/finalizers: [a], finalizers: [c]}}",
        r#"{"metadata":{"finalizers":["c","b"]}}"#,
    );
    // What the patch brings stands before the rest, as in the API server.
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{name: c}]}}}}",
        &list(r#"[{"name":"c"},{"image":"x","name":"a"},{"image":"w","name":"b"}]"#),
    );
    strategic(
        two,
        "{spec: {template: {spec: {containers: [{image: z}]}}}}",
        "map: map[image:z] does not contain declared merge key: name",
    );
}

#[test]
fn what_kubectl_apply_sends() {
    let (schema, id) = deployment();
    let last = v(
        "{spec: {replicas: 1, strategy: {type: RollingUpdate}, template: {spec: {containers: [{name: a, image: x, env: [{name: E, value: '1'}]}, {name: b}]}}}}",
    );
    let new = v(
        "{spec: {strategy: {type: Recreate}, template: {spec: {containers: [{name: a, image: w}]}}}}",
    );
    let live = v(
        "{spec: {replicas: 5, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}, template: {spec: {containers: [{name: a, image: x, env: [{name: E, value: '1'}], terminationMessagePath: t}, {name: b}, {name: injected}]}}}}",
    );
    let patch = three_way_strategic(schema, id, &last, &new, &live).unwrap();
    assert_eq!(
        patch.to_json(),
        r#"{"spec":{"replicas":null,"strategy":{"$retainKeys":["type"],"type":"Recreate"},"template":{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"env":null,"image":"w","name":"a"},{"$patch":"delete","name":"b"}]}}}}"#
    );
    let applied = strategic_merge(schema, id, &live, &patch).unwrap();
    assert_eq!(
        applied.to_json(),
        r#"{"spec":{"strategy":{"type":"Recreate"},"template":{"spec":{"containers":[{"image":"w","name":"a","terminationMessagePath":"t"},{"name":"injected"}]}}}}"#
    );
    let again = three_way_strategic(schema, id, &new, &new, &new).unwrap();
    assert!(again.is_empty(), "{again}");
    let two_way = two_way_strategic(schema, id, &last, &new);
    assert_eq!(strategic_merge(schema, id, &last, &two_way).unwrap(), new);
}
