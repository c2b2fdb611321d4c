use super::*;
use crate::yaml;

fn parse(text: &str) -> Value {
    yaml::parse(text).unwrap().remove(0).value
}

fn shape_of(object: &Value) -> (Shape<'static>, Value) {
    let schema = Schema::builtin();
    let resource = schema
        .by_kind(object["apiVersion"].str(), object["kind"].str())
        .unwrap();
    let empty = empty_object(schema, resource.type_id);
    (Shape::builtin(resource.type_id), empty)
}

fn who(name: &str, operation: Operation, object: &Value) -> Manager {
    Manager {
        name: name.into(),
        operation,
        subresource: "".into(),
        api_version: object["apiVersion"].text(),
    }
}

static NOTHING: LazyLock<Set> = LazyLock::new(Set::default);

fn write<'a>(shape: Shape<'a>, by: &'a Manager, time: &'a str) -> Write<'a> {
    Write {
        shape,
        by,
        time,
        ignored: &NOTHING,
    }
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
";

#[test]
fn a_new_object_belongs_to_its_maker() {
    let object = parse(DEPLOYMENT);
    let (shape, empty) = shape_of(&object);
    let mut managed = ManagedFields::default();
    let by = who("kubectl-create", Operation::Update, &object);
    managed.update(&empty, &object, &write(shape, &by, "t"));
    let fields = managed.0[0].fields.to_value().to_json();
    assert_eq!(
        fields,
        concat!(
            r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"#,
            r#""f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":"#,
            r#"{".":{},"f:image":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#
        )
    );
    assert_eq!(
        Set::from_value(&managed.0[0].fields.to_value()),
        managed.0[0].fields
    );
}

#[test]
fn a_later_write_takes_what_it_changes() {
    let object = parse(DEPLOYMENT);
    let (shape, empty) = shape_of(&object);
    let mut managed = ManagedFields::default();
    let (first, second) = (
        who("a", Operation::Update, &object),
        who("b", Operation::Update, &object),
    );
    managed.update(&empty, &object, &write(shape, &first, "1"));
    let mut changed = object.clone();
    changed["spec"]["replicas"] = 5.into();
    changed.remove(&["metadata", "labels"]);
    managed.update(&object, &changed, &write(shape, &second, "2"));
    let entries = managed.to_value();
    assert_eq!(
        entries[1]["fieldsV1"].to_json(),
        r#"{"f:spec":{"f:replicas":{}}}"#
    );
    assert_eq!(entries[0]["time"].str(), "1");
    assert!(entries[0]["fieldsV1"].get("f:metadata").is_none());
}

/// A manager, what it applies, and whether by force.
type Step<'a> = (&'a str, &'a str, bool);

/// Applies as one manager after the other; gives the data and the last error.
fn applied(steps: &[Step]) -> (String, String) {
    let (mut live, mut managed) = (Value::Null, ManagedFields::default());
    let mut error = String::new();
    for (name, data, force) in steps {
        let config = parse(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n{data}"
        ));
        let (shape, empty) = shape_of(&config);
        let old = if live.is_null() { empty } else { live.clone() };
        let by = who(name, Operation::Apply, &config);
        match managed.apply(&old, &config, &write(shape, &by, "t"), *force) {
            Ok(object) => live = object,
            Err(status) => error = status.message,
        }
    }
    (live["data"].to_json(), error)
}

#[test]
fn appliers_own_what_they_apply() {
    let a = ("a", "data: {x: '1', w: '2'}", false);
    let cases: &[(&[Step], &str, &str)] = &[
        (
            &[a, ("b", "data: {z: '3'}", false)],
            r#"{"w":"2","x":"1","z":"3"}"#,
            "",
        ),
        (&[a, ("a", "data: {w: '2'}", false)], r#"{"w":"2"}"#, ""),
        (
            &[a, ("b", "data: {x: '9'}", false)],
            r#"{"w":"2","x":"1"}"#,
            "Apply failed with 1 conflict: conflict with \"a\": .data.x",
        ),
        (
            &[a, ("b", "data: {x: '9'}", true)],
            r#"{"w":"2","x":"9"}"#,
            "",
        ),
        // What two apply stays until both let go.
        (
            &[
                a,
                ("b", "data: {x: '1'}", false),
                ("a", "data: {w: '2'}", false),
            ],
            r#"{"w":"2","x":"1"}"#,
            "",
        ),
        (
            &[
                a,
                ("b", "data: {x: '1'}", false),
                ("a", "data: {w: '2'}", false),
                ("b", "data: {}", false),
            ],
            r#"{"w":"2"}"#,
            "",
        ),
    ];
    for (steps, data, error) in cases {
        assert_eq!(
            applied(steps),
            ((*data).to_owned(), (*error).to_owned()),
            "{steps:?}"
        );
    }
}

#[test]
fn items_of_keyed_lists_are_merged_in_the_appliers_order() {
    let pod = |containers: &str| {
        parse(&format!(
            "{{apiVersion: v1, kind: Pod, spec: {{containers: [{containers}]}}}}"
        ))
    };
    let live = pod("{name: a, image: x}, {name: b, image: w}, {name: c, image: z}");
    let config = pod("{name: c, image: new}, {name: d, image: v}");
    let merged = merge(shape_of(&live).0, &live, &config);
    let shown: Vec<String> = merged["spec"]["containers"]
        .items()
        .iter()
        .map(|c| format!("{}={}", c["name"].str(), c["image"].str()))
        .collect();
    assert_eq!(shown, ["a=x", "b=w", "c=new", "d=v"]);
}

#[test]
fn what_does_not_fit_is_said() {
    let cases = [
        ("dato: {a: b}", ".dato: field not declared in schema"),
        (
            "data: {a: 1}",
            ".data.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            "immutable: 'yes'",
            ".immutable: expected boolean, got &{yes}",
        ),
        ("data: []", ".data: expected map, got &{[]}"),
    ];
    for (field, want) in cases {
        let config = parse(&format!("apiVersion: v1\nkind: ConfigMap\n{field}"));
        assert_eq!(validate(shape_of(&config).0, &config), [want]);
    }
}

#[test]
fn many_updaters_become_one() {
    let mut object = parse("{apiVersion: v1, kind: ConfigMap, data: {}}");
    let (shape, mut old) = shape_of(&object);
    let mut managed = ManagedFields::default();
    for at in 0..15 {
        object["data"][format!("k{at}").as_str()] = "v".into();
        let by = who(&format!("m{at:02}"), Operation::Update, &object);
        managed.update(&old, &object, &write(shape, &by, &format!("{at:02}")));
        old = object.clone();
    }
    assert_eq!(managed.0.len(), UPDATERS_MAX);
    assert!(
        managed
            .0
            .iter()
            .any(|e| &*e.manager.name == "ancient-changes")
    );
}
