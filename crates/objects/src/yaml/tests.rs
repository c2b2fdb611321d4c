use super::*;

#[track_caller]
fn reads(text: &str, json: &str) {
    let got = parse(text).map_or_else(
        |e| e.message,
        |d| {
            d.iter()
                .map(|d| d.value.to_json())
                .collect::<Vec<_>>()
                .join(" ")
        },
    );
    assert_eq!(got, json, "{text}");
}

#[test]
fn scalars_resolve_as_in_yaml_1_1() {
    reads(
        "[yes, No, on, off, y, N, true]",
        "[true,false,true,false,true,false,true]",
    );
    reads(
        "[0644, 0o17, 0x1f, 0b11, 1_000, 08, -5, +3, 00]",
        "[420,15,31,3,1000,8,-5,3,0]",
    );
    reads(
        "[1e3, 1.0, 1.5, .5, 1e400, 12e, 1.2.3]",
        "[1000,1,1.5,0.5,\"1e400\",\"12e\",\"1.2.3\"]",
    );
    reads(
        "[12:30, 2024-01-01, 1.20, ~, '', nullx]",
        "[\"12:30\",\"2024-01-01\",1.2,null,\"\",\"nullx\"]",
    );
    reads(
        "['yes', \"1\", !!str 5, !!int \"7\"]",
        "[\"yes\",\"1\",\"5\",7]",
    );
    reads("{yes: 1, 5: 2, 1.5: 3}", r#"{"1.5":3,"5":2,"true":1}"#);
    reads(
        "a: .inf",
        "error converting YAML to JSON: json: unsupported value: +Inf",
    );
}

#[test]
fn documents_are_split_as_by_kubectl() {
    reads(
        "---\na: 1\n---\n# only a comment\n---\nb: 2\n",
        r#"{"a":1} {"b":2}"#,
    );
    reads("", "");
    reads("\u{feff}a: 1\r\nb: 2\r\n", r#"{"a":1,"b":2}"#);
    reads("{\"a\": 1}\n{\"b\": 2}", r#"{"a":1} {"b":2}"#);
    reads("{a: 1}", r#"{"a":1}"#);
    let documents = parse("a: 1\n---\nb:\n  c: [x, y]\n").unwrap();
    assert_eq!(documents[1].positions.nearest("b.c[1]").value, (4, 10));
    assert_eq!(documents[1].positions.nearest("b.c").key, (4, 3));
    assert_eq!(documents[1].positions.nearest("b.d.e").key, (3, 1));
}

#[test]
fn anchors_and_merges() {
    reads(
        "a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, c: 3}",
        r#"{"a":{"b":1,"c":2},"d":{"b":1,"c":2},"e":{"b":1,"c":3}}"#,
    );
    reads(
        "a: *x",
        "error converting YAML to JSON: yaml: unknown anchor 'x' referenced",
    );
    reads(
        "a: &x\n  b: *x",
        "error converting YAML to JSON: yaml: anchor 'x' value contains itself",
    );
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_string(), |t, i| {
        let aliases = vec![format!("*a{}", i - 1); 9].join(",");
        format!("{t}a{i}: &a{i} [{aliases}]\n")
    });
    reads(
        &bomb,
        "error converting YAML to JSON: yaml: document contains excessive aliasing",
    );
    let deep = "[".repeat(5000);
    assert!(parse(&deep).is_err());
}

#[test]
fn duplicate_keys_are_reported_but_accepted() {
    let d = parse("a: 1\nb: 2\na: 3\n").unwrap();
    assert_eq!(d[0].value.to_json(), r#"{"a":3,"b":2}"#);
    assert_eq!((d[0].warnings.len(), d[0].warnings[0].line), (1, 3));
}

#[track_caller]
fn prints(json: &str, yaml: &str) {
    let value = Value::from_json(json).unwrap();
    assert_eq!(to_yaml(&value), yaml);
    let back = parse(yaml).unwrap();
    assert_eq!(back[0].value, value);
}

#[test]
fn values_print_as_by_kubectl() {
    prints(
        r#"{"a":{"b":[1,{"c":2,"d":[]},[3,4]],"e":{}}}"#,
        "a:\n  b:\n  - 1\n  - c: 2\n    d: []\n  - - 3\n    - 4\n  e: {}\n",
    );
    prints(
        r#"{"a":"","b":"yes","c":"1","d":"x: y","e":"a#b","f":"- x","g":"'q'","h":"12:30","i":"2024-01-01T00:00:00Z","j":"*","k":" x"}"#,
        "a: \"\"\nb: \"yes\"\nc: \"1\"\nd: 'x: y'\ne: a#b\nf: '- x'\ng: '''q'''\nh: \"12:30\"\ni: \"2024-01-01T00:00:00Z\"\nj: '*'\nk: ' x'\n",
    );
    prints(
        r#"{"a":"one\ntwo\n","b":"x\ny","c":"a\tb","d":"x\n\n","e":" lead\nx\n","f":"a \nb"}"#,
        "a: |\n  one\n  two\nb: |-\n  x\n  y\nc: \"a\\tb\"\nd: |+\n  x\n\ne: |2\n   lead\n  x\nf: \"a \\nb\"\n",
    );
    prints(
        r#"{"a10":1,"a2":2,"a-b":3,"ab":4,"B":5}"#,
        "B: 5\na-b: 3\na2: 2\na10: 1\nab: 4\n",
    );
    prints(
        r#"{"f":1.5,"g":1e21,"h":0.00001,"t":true,"y":"a"}"#,
        "f: 1.5\ng: 1e+21\nh: 1e-05\nt: true\n\"y\": a\n",
    );
    prints(r#""\n0""#, "|2-\n\n  0\n");
    prints(r#""a\n---\nb\n""#, "|\n  a\n  ---\n  b\n");
    let words = vec!["word"; 40].join(" ");
    let value = crate::object([("m", words.as_str().into())]);
    let text = to_yaml(&value);
    assert_eq!(text.lines().map(str::len).max(), Some(82));
    assert_eq!(parse(&text).unwrap()[0].value, value);
}
