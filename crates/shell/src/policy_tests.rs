//! Policies that change what is sent.

use crate::tests::session;

const POLICY: &str = "kubectl apply -f - <<'E'
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: p}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
  mutations:
  - patchType: KIND
    FIELD: {expression: EXPRESSION}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: p}
E";

/// What a ConfigMap named `m` has in its labels and data, once a policy has seen it.
#[track_caller]
fn makes(kind: &str, field: &str, expression: &str, want: &str) {
    let mut session = session();
    let policy = POLICY
        .replace("KIND", kind)
        .replace("FIELD", field)
        .replace("EXPRESSION", &format!("\"{expression}\""));
    session.run(&policy);
    let made = session.run("kubectl create cm m --from-literal=a=b");
    let seen = session.run("kubectl get cm m -o jsonpath='{.metadata.labels}{.data}'");
    assert_eq!(format!("{}{}", made.text(), seen.text()), want);
}

#[test]
fn policies_change_objects() {
    makes(
        "ApplyConfiguration",
        "applyConfiguration",
        "Object{metadata: Object.metadata{labels: {'of': object.metadata.name}}}",
        "configmap/m created\n{\"of\":\"m\"}{\"a\":\"b\"}",
    );
    makes(
        "JSONPatch",
        "jsonPatch",
        "[JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('x.y'), value: 'z'}]",
        "configmap/m created\n{\"a\":\"b\",\"x.y\":\"z\"}",
    );
    makes(
        "JSONPatch",
        "jsonPatch",
        "[JSONPatch{op: 'add', path: '/data/c', value: object.data.c}]",
        "error: failed to create configmap: configmaps \"m\" is forbidden: policy 'p' with binding 'b' denied request: expression '[JSONPatch{op: 'add', path: '/data/c', value: object.data.c}]' resulted in error: no such key: c\nError from server (NotFound): configmaps \"m\" not found\n",
    );
}
