//! What the API server says of CustomResourceDefinitions.

use kubarium_objects::{Schema, Value, decode, defaults, validation, yaml};

fn complaints(version: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: boats.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{plural: boats, singular: boat, kind: Boat, listKind: BoatList}}
  versions:
  - name: v1
    served: true
    storage: true
{version}"
    );
    let given = yaml::parse(&text).unwrap().remove(0).value;
    let schema = Schema::builtin();
    let resource = schema
        .by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        .unwrap();
    let mut object = decode::decode(schema, resource.type_id, &given).unwrap();
    defaults::apply(resource, &mut object);
    object["status"]["storedVersions"] = Value::from(vec![Value::from("v1")]);
    validation::create(resource, &object)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn of_schema(schema: &str) -> Vec<String> {
    complaints(&format!(
        "    schema: {{openAPIV3Schema: {{type: object, {schema}}}}}"
    ))
}

#[test]
fn a_whole_definition_is_right() {
    let list: &[String] = &[];
    assert_eq!(
        complaints(
            "    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns: [{name: Age, type: date, jsonPath: .metadata.creationTimestamp}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          metadata: {type: object}
          spec:
            type: object
            required: [port]
            properties:
              port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
              crew:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string, pattern: '^[a-z]+$'}}}
              size: {type: integer, default: 3, minimum: 1}
"
        ),
        list
    );
}

#[test]
fn schemas_are_structural() {
    let at = "spec.validation.openAPIV3Schema";
    assert_eq!(
        of_schema("properties: {a: {items: {type: string}}}"),
        [format!(
            "{at}.properties[a].type: Required value: must not be empty for specified object fields"
        )]
    );
    assert_eq!(
        of_schema("properties: {a: {type: array}, b: {type: string, pattern: '['}}"),
        [
            format!("{at}.properties[a].items: Required value: must be specified"),
            format!(
                "{at}.properties[b].pattern: Invalid value: \"[\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ]: `[`"
            ),
        ]
    );
    assert_eq!(
        of_schema("additionalProperties: true"),
        [format!(
            "{at}.additionalProperties: Forbidden: must not be used at the root"
        )]
    );
    assert_eq!(
        of_schema("anyOf: [{properties: {a: {type: string}}}]"),
        [
            format!("{at}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural"),
            format!(
                "{at}.properties[a]: Required value: because it is defined in {at}.anyOf[0].properties[a]"
            ),
        ]
    );
    assert_eq!(
        of_schema("properties: {metadata: {type: object, properties: {labels: {type: object}}}}"),
        [format!(
            "{at}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        )]
    );
}

#[test]
fn defaults_are_what_their_schema_wants() {
    let at = "spec.validation.openAPIV3Schema.properties[a]";
    assert_eq!(
        of_schema("properties: {a: {type: integer, default: x}}"),
        [format!(
            "{at}.default: Invalid value: \"string\":  in body must be of type integer: \"string\""
        )]
    );
    assert_eq!(
        of_schema("properties: {a: {type: object, default: {b: 1}}}"),
        [format!(
            "{at}.default: Invalid value: {{\"b\":1}}: must not have unknown fields"
        )]
    );
}

#[test]
fn lists_of_maps_have_keys() {
    let at = "spec.validation.openAPIV3Schema.properties[a]";
    assert_eq!(
        of_schema(
            "properties: {a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, properties: {name: {type: string}}}}}"
        ),
        [format!(
            "{at}.items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
        )]
    );
    assert_eq!(
        of_schema("properties: {a: {type: string, x-kubernetes-list-type: bag}}"),
        [
            format!(
                "{at}.type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"
            ),
            format!(
                "{at}.x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\""
            ),
        ]
    );
}

#[test]
fn columns_and_subresources_are_paths() {
    assert_eq!(
        complaints(
            "    additionalPrinterColumns: [{name: A, type: text, jsonPath: spec.a}]
    subresources: {scale: {specReplicasPath: .status.a, statusReplicasPath: ''}}
    schema: {openAPIV3Schema: {type: object}}"
        ),
        [
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.a\": should be a json path under .spec",
            "spec.subresources.scale.statusReplicasPath: Required value",
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
            "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"spec.a\": must be a simple json path starting with .",
        ]
    );
}
