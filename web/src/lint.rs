//! What the core says about the manifests being written, as the editor shows it.

use crate::editor::{Diagnostic, Severity};
use crate::text::{fill, t};
use kubarium_objects::{decode, diagnostic, schema::Schema, yaml};

/// What is wrong with a text of manifests: as YAML, and against the types that the API server decodes them as.
pub(crate) fn diagnose(text: &str) -> Vec<Diagnostic> {
    let schema = Schema::builtin();
    let (documents, error) = yaml::parse_until_error(text);
    let mut found = Vec::new();
    for document in &documents {
        found.extend(document.warnings.iter().map(|warning| place(text, warning)));
        found.extend(
            check(schema, document)
                .iter()
                .map(|error| place(text, error)),
        );
    }
    found.extend(error.iter().map(|error| place(text, error)));
    found
}

/// What the API server's decoder says about one document.
fn check(schema: &Schema, document: &yaml::Document) -> Vec<diagnostic::Diagnostic> {
    let word = |key: &str| {
        document
            .value
            .get(key)
            .and_then(|value| value.as_str())
            .filter(|word| !word.is_empty())
    };
    let at = |path: &str| {
        let (line, column) = document.positions.nearest(path).value;
        (line as usize, column as usize)
    };
    let (Some(version), Some(kind)) = (word("apiVersion"), word("kind")) else {
        let (line, column) = at("");
        let error = diagnostic::Diagnostic::error(line, column, t("editor.kindless"));
        return vec![error];
    };
    let Some(type_id) = schema.type_of_kind(version, kind) else {
        let (line, column) = at("kind");
        let message = fill(
            "editor.unknown-kind",
            &[("kind", kind), ("version", version)],
        );
        return vec![diagnostic::Diagnostic::warning(line, column, message)];
    };
    match decode::decode(schema, type_id, &document.value) {
        Ok(_) => Vec::new(),
        Err(error) => decode::diagnose(schema, type_id, &error, &document.positions),
    }
}

/// A diagnostic of the core with an end: that of the word where it begins.
fn place(text: &str, given: &diagnostic::Diagnostic) -> Diagnostic {
    // A place that is not known is the text's beginning.
    let (line, column) = (given.line.max(1), given.column.max(1));
    let rest = text.lines().nth(line - 1).unwrap_or_default();
    let word = rest
        .chars()
        .skip(column - 1)
        .take_while(|c| !c.is_whitespace() && *c != ':')
        .count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Diagnostic {
        line: number(line),
        column: number(column),
        end_line: number(line),
        end_column: number(column.saturating_add(word.max(1))),
        severity: match given.severity {
            diagnostic::Severity::Error => Severity::Error,
            diagnostic::Severity::Warning => Severity::Warning,
        },
        message: given.message.clone(),
        hint: Some(given.hint.clone()).filter(|hint| !hint.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Line, column, column of the end and message of each diagnostic.
    fn said(text: &str) -> Vec<(u32, u32, u32, String)> {
        let each = |d: Diagnostic| (d.line, d.column, d.end_column, d.message);
        diagnose(text).into_iter().map(each).collect()
    }

    #[wasm_bindgen_test]
    fn the_first_manifests_are_without_fault() {
        assert_eq!(said(include_str!("../examples/web.yaml")), []);
    }

    #[wasm_bindgen_test]
    fn a_wrong_field_is_marked_where_it_stands() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspek: {}\n";
        assert_eq!(said(text), [(5, 1, 5, "unknown field \"spek\"".into())]);
    }

    #[wasm_bindgen_test]
    fn no_text_is_too_odd() {
        for text in [
            "",
            "---",
            "a",
            "- a",
            "kind:",
            "\u{feff}",
            "{",
            "a: [",
            "kind: Pod\napiVersion: 3",
            "%",
        ] {
            diagnose(text);
        }
    }
}
