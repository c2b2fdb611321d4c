//! Whatever is typed: nothing panics, nothing hangs. `KUBARIUM_FUZZ=100` tries a hundred times as much.

use proptest::prelude::*;

use kubarium_objects::Value;

use super::{gotemplate, jsonpath};
use crate::tests::session;

fn cases(quick: u32) -> ProptestConfig {
    let factor = std::env::var("KUBARIUM_FUZZ").ok();
    let factor: u32 = factor.and_then(|f| f.parse().ok()).unwrap_or(1);
    ProptestConfig {
        cases: quick.saturating_mul(factor),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Words of a language, put together at random, with anything else between them now and then.
fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
        1 => "[-0-9]{1,20}",
    ];
    proptest::collection::vec(word, 0..14).prop_map(|words| words.concat())
}

const JSONPATH: &[&str] = &[
    "{",
    "}",
    ".",
    "..",
    "[",
    "]",
    "[*]",
    "[?(",
    ")]",
    "@",
    "$",
    ".items",
    ".name",
    ".n",
    ".l",
    "*",
    "range ",
    "end",
    "\"",
    "'",
    "\\",
    "\"\\n\"",
    "==",
    "!=",
    "<",
    ">=",
    ":",
    ",",
    "[0]",
    "[-1]",
    "[1:]",
    "[::2]",
    "(",
    ")",
    " ",
    "true",
    "1.5",
    "{range .items[*]}",
    "{end}",
    "{.items[?(@.n>1)].name}",
];

const TEMPLATE: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    ".",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "range ",
    "end",
    "if ",
    "else",
    "with ",
    "index ",
    "len ",
    "printf ",
    "\"%s %d %v\"",
    "eq ",
    "and ",
    "or ",
    "not ",
    ".items",
    ".name",
    "(",
    ")",
    "\"",
    "`",
    "'a'",
    "1",
    "1.5",
    "nil",
    "true",
    "/*",
    "*/",
    " ",
    ",",
    "define ",
    "template ",
    "block ",
    "{{range .items}}",
    "{{end}}",
    "{{.items}}",
    "break",
    "continue",
    "html ",
    "slice ",
    "base64decode ",
];

const LINE: &[&str] = &[
    "kubectl ",
    "get ",
    "describe ",
    "pods ",
    "nodes ",
    "deploy/x ",
    "-o ",
    "yaml ",
    "-n ",
    "kube-system ",
    "--all",
    "-A ",
    "-l ",
    "a=b",
    "--",
    "-",
    "=",
    "create ",
    "delete ",
    "config ",
    "set-context ",
    "rollout ",
    "status ",
    "logs ",
    "-f ",
    "wait ",
    "--for=",
    "jsonpath=",
    "kustomize ",
    "apply ",
    "-k ",
    "auth ",
    "can-i ",
    "explain ",
    "pod.spec ",
    "top ",
    "certificate ",
    "token ",
    "port-forward ",
    "80:",
    "8080 ",
    "--raw ",
    "/api/v1/",
    "?limit=1",
    "patch ",
    "-p ",
    "'{}' ",
    "timeout 1 ",
    "-w ",
    "; ",
    "| ",
    "cat ",
    "& ",
    "--dry-run=client ",
    "cm ",
    "x ",
    "--from-literal=",
    "--sort-by=",
    "--timeout=1s ",
    "events ",
    "debug ",
];

fn object() -> Value {
    Value::from_json(
        r#"{"items":[{"name":"a","n":1,"l":{"x":"v"}},{"name":"b","n":2,"l":[1,2,3]}],"name":"x","n":null,"t":true,"f":1.5}"#,
    )
    .unwrap_or_default()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_jsonpath_ends(source in text(JSONPATH)) {
        if let Ok(template) = jsonpath::parse(&source) {
            let _ = template.print(&object(), true);
            let _ = template.print(&object(), false);
        }
        let _ = jsonpath::relaxed(&source).map(|t| t.find(&object()));
    }

    #[test]
    fn any_template_ends(source in text(TEMPLATE)) {
        if let Ok(template) = gotemplate::parse(&source) {
            let _ = template.print(&object());
        }
    }

    #[test]
    fn any_line_can_be_completed(line in text(LINE), cursor in 0usize..200) {
        session().complete(&line, cursor);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn any_line_ends(line in text(LINE)) {
        session().run(&line);
    }

    #[test]
    fn any_patch_is_answered(patch in text(&["{", "}", "[", "]", "\"", ":", ",", "spec", "metadata", "labels", "op", "path", "/spec", "add", "remove", "null", "1", "$patch", "delete", "- ", "\n", " "]), kind in 0usize..3) {
        let mut session = session();
        session.run("kubectl create deploy x --image=nginx");
        let kind = ["strategic", "merge", "json"][kind];
        let patch = patch.replace('\'', "");
        session.run(&format!("kubectl patch deploy x --type={kind} -p '{patch}'"));
    }

    #[test]
    fn any_kustomization_is_answered(body in text(&["resources: ", "[", "]", "{", "}", "a.yaml", "..", "\n", "- ", "namePrefix: ", "patches:\n", "images:\n", "  ", ": ", "name", "configMapGenerator:\n", "literals: ", "a=b", "labels: ", "pairs", "target", "path", "patch", "x"])) {
        let mut session = session();
        let _ = session.write_file("/root/kustomization.yaml", body.as_bytes());
        let _ = session.write_file("/root/a.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n");
        session.run("kubectl kustomize .");
    }
}
