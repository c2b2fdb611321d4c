//! How long the API server's reading of a manifest takes: YAML, decoding, defaults, validation.
//! `cargo bench -p kubarium-objects --bench pods`

use divan::{Bencher, black_box};
use kubarium_objects::{Schema, Value, decode, defaults, validation, yaml};

fn main() {
    divan::main();
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web, tier: front}}
spec:
  containers:
  - name: nginx
    image: nginx:1.27
    ports: [{containerPort: 80, name: http}]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
    env: [{name: A, value: b}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    readinessProbe: {httpGet: {path: /, port: http}}
    volumeMounts: [{name: config, mountPath: /etc/nginx}]
  volumes:
  - {name: config, configMap: {name: web}}
  tolerations: [{key: a, operator: Exists}]
";

fn parsed() -> Value {
    yaml::parse(POD)
        .expect("the benchmark's own manifest")
        .remove(0)
        .value
}

#[divan::bench]
fn parse(bencher: Bencher) {
    bencher.bench(|| yaml::parse(black_box(POD)));
}

#[divan::bench]
fn decode_default_validate(bencher: Bencher) {
    let given = parsed();
    let schema = Schema::builtin();
    let resource = schema.by_kind("v1", "Pod").expect("a pod is built in");
    bencher.bench(|| {
        let mut object = decode::decode(schema, resource.type_id, black_box(&given))
            .expect("the benchmark's own manifest");
        defaults::apply(resource, &mut object);
        assert!(validation::create(resource, &object).is_empty());
        object
    });
}
