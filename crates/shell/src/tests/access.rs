//! What is asked before a request is carried out, and requests by their address.

use super::prints;

const POLICY: &str = "kubectl apply -f - <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  variables: [{name: most, expression: 'namespaceObject.metadata.name == \"default\" ? 3 : 9'}]
  validations: [{expression: 'object.spec.replicas <= variables.most'}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: all}
spec: {policyName: few, validationActions: [Deny]}
EOF";

#[test]
fn admission_policies_deny_and_warn() {
    prints(
        &[
            POLICY,
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "error: failed to create deployment: deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'all' denied request: failed expression: object.spec.replicas <= variables.most\n",
        1,
    );
    prints(
        &[
            POLICY,
            "kubectl create deployment web --image=nginx --replicas=2",
            "kubectl scale deployment web --replicas=4",
        ],
        "The deployments \"web\" is invalid: : ValidatingAdmissionPolicy 'few' with binding 'all' denied request: failed expression: object.spec.replicas <= variables.most\n",
        1,
    );
    prints(
        &[
            &POLICY.replace("[Deny]", "[Warn]"),
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "Warning: Validation failed for ValidatingAdmissionPolicy 'few' with binding 'all': failed expression: object.spec.replicas <= variables.most\ndeployment.apps/web created\n",
        0,
    );
    let other = POLICY.replace(
        "[Deny]",
        "[Deny], matchResources: {namespaceSelector: {matchLabels: {a: b}}}",
    );
    prints(
        &[
            &other,
            "kubectl create deployment web --image=nginx --replicas=5",
        ],
        "deployment.apps/web created\n",
        0,
    );
}

const HOOK: &str = "kubectl apply -f - <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- name: check.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {name: s, namespace: ns}}
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
EOF";

#[test]
fn a_webhook_without_a_server_fails_as_its_policy_says() {
    prints(
        &[HOOK, "kubectl create secret generic x"],
        "error: failed to create secret Internal error occurred: failed calling webhook \"check.example.com\": failed to call webhook: Post \"https://s.ns.svc:443/?timeout=10s\": service \"s\" not found\n",
        1,
    );
    prints(
        &[
            &HOOK.replace("Fail", "Ignore"),
            "kubectl create secret generic x",
        ],
        "secret/x created\n",
        0,
    );
    prints(
        &[HOOK, "kubectl create configmap x"],
        "configmap/x created\n",
        0,
    );
}

#[test]
fn a_token_says_who_asks() {
    prints(
        &[
            "kubectl create sa robot",
            "kubectl --token=$(kubectl create token robot) auth whoami | head -2 | tail -1",
        ],
        "Username    system:serviceaccount:default:robot\n",
        0,
    );
    prints(
        &["kubectl --token=nonsense get pods"],
        "error: You must be logged in to the server (Unauthorized)\n",
        1,
    );
    prints(
        &["kubectl create token nosuch"],
        "error: failed to create token: serviceaccounts \"nosuch\" not found\n",
        1,
    );
}

#[test]
fn requests_by_their_address() {
    prints(
        &["kubectl get --raw /apis/policy"],
        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"policy\",\"versions\":[{\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}}\n",
        0,
    );
    prints(&["kubectl get --raw /livez/ping"], "ok", 0);
    prints(
        &["kubectl get --raw /apis/nosuch/v1"],
        "Error from server (NotFound): the server could not find the requested resource\n",
        1,
    );
    prints(
        &[
            "echo '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"r\"},\"data\":{\"a\":\"b\"}}' | kubectl create --raw /api/v1/namespaces/default/configmaps -f - > made",
            "kubectl get cm r -o jsonpath='{.data.a}'",
        ],
        "b",
        0,
    );
    prints(
        &[
            "kubectl create cm r",
            "kubectl delete --raw /api/v1/namespaces/default/configmaps/r | cut -c1-68",
        ],
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\n",
        0,
    );
}
