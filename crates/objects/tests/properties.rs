//! What must hold for any input at all.

use kubarium_objects::{Quantity, Selector, Value, go, patch, yaml};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "[a-z0-9:# \\n\\t'\"-]{0,16}",
        Just("yes".to_string()),
        Just("0644".to_string())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6_f64)
            .prop_map(|f| Value::Float(f + 0.5))
            .prop_filter("a fraction", |v| v.as_i64().is_none()),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z0-9./ -]{1,8}", inner, 1..4)
                .prop_map(|m| m.into_iter().collect::<kubarium_objects::Map>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z:\\-\\[\\]{}&*!|>'\"#%@, \\t\\n]{0,60}") {
        let _ = yaml::parse(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in any::<String>()) {
        let _ = yaml::parse(&text);
        let _ = Selector::parse(&text);
        let _ = text.parse::<Quantity>();
        let _ = go::quote(&text);
    }

    #[test]
    fn what_is_printed_reads_back(value in value()) {
        let value = kubarium_objects::object([("a", value)]);
        let text = yaml::to_yaml(&value);
        let back = yaml::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        prop_assert_eq!(&back[0].value, &value, "{}", text);
    }

    #[test]
    fn canonical_quantities_read_back(n in any::<i64>(), suffix in prop_oneof!["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]) {
        let q: Quantity = format!("{n}{suffix}").parse().unwrap();
        let canonical = q.to_string();
        let back: Quantity = canonical.parse().unwrap();
        prop_assert_eq!(back, q, "{}", &canonical);
        prop_assert_eq!(back.to_string(), canonical);
    }

    #[test]
    fn a_merge_patch_makes_the_one_of_the_other(a in value(), b in value()) {
        let patch = patch::diff_merge(&a, &b);
        // A null in the result cannot be written by a merge patch: only absent and present differ.
        prop_assume!(!b.to_json().contains("null"));
        prop_assert_eq!(patch::merge(&a, &patch), b);
    }
}
