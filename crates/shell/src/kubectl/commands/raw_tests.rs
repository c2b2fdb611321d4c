//! Requests by their address, and what goes on behind an answer.

use crate::tests::session;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// A request of `CN = ada, O = dev`, made with openssl.
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHYk1FOENBUUF3SERFTU1Bb0dBMVVFQ2d3RFpHVjJNUXd3Q2dZRFZRUUREQU5oWkdFd0tqQUZCZ01yWlhBRApJUURCOU9rNlNpUDBKRUV1TjNNTXdFSGJOM3lMZmZSTmNOaHAxNmdDT3NNK21hQUFNQVVHQXl0bGNBTkJBRHFNCk8wZXZLWnFBZ0lKdUgrOUY1SG1VRWVqZWFkaTZaMDBXbDlBbndHeldITGVsalNWVUNHN0xybDRaVHRJTS9uTHEKLzZnZ1NIbjNaV1hFQ3lZek5RND0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

/// Runs the lines; the last prints something that has `want` in it.
#[track_caller]
fn says(lines: &[&str], want: &str) {
    let mut session = session();
    let mut last = String::new();
    for line in lines {
        last = session.run(line).text().to_owned();
    }
    assert!(last.contains(want), "{lines:?}\n{last}");
}

#[test]
fn watches_go_on() {
    let watch = |query: &str| format!("kubectl get --raw '{MAPS}?watch=1&timeoutSeconds=1{query}'");
    let make = "kubectl create cm a --from-literal=k=v";
    says(
        &[make, &watch("&fieldSelector=metadata.name%3Da")],
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{",
    );
    let since = watch("&resourceVersion=$RV").replace('\'', "\"");
    says(
        &[
            make,
            "RV=$(kubectl get cm a -o jsonpath={.metadata.resourceVersion})",
            "kubectl label cm a x=y",
            "kubectl delete cm a",
            &format!("{since} | cut -c1-18"),
        ],
        "{\"type\":\"MODIFIED\"\n{\"type\":\"DELETED\",\n",
    );
    // Who goes back finds a history that is compacted.
    says(
        &[make, "sim undo", &watch("&resourceVersion=1")],
        "\"reason\":\"Expired\",\"code\":410}}\n",
    );
    says(
        &[&watch("&sendInitialEvents=true")],
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
    says(
        &[&watch(
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        )],
        "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}",
    );
    says(
        &[
            "kubectl get --raw '/api/v1/watch/namespaces/default/configmaps?timeoutSeconds=70&resourceVersion=0&allowWatchBookmarks=1'",
        ],
        "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"ConfigMap\"",
    );
}

#[test]
fn lists_come_in_pieces() {
    says(
        &["kubectl get --raw '/api/v1/namespaces?limit=1'"],
        "\"remainingItemCount\":",
    );
    says(
        &["kubectl get --raw '/api/v1/namespaces?limit=x'"],
        "strconv.ParseInt: parsing \"x\": invalid syntax",
    );
    says(
        &["kubectl get --raw '/api/v1/namespaces?continue=x'"],
        "continue key is not valid",
    );
    says(
        &[
            "NEXT=$(kubectl get --raw '/api/v1/namespaces?limit=1' | grep -o '\"continue\":\"[^\"]*' | cut -d'\"' -f4)",
            "kubectl get --raw \"/api/v1/namespaces?limit=1&continue=$NEXT\" | grep -o '\"name\":\"[a-z-]*'",
        ],
        "\"name\":\"kube-node-lease\n",
    );
    says(
        &["kubectl get --raw '/api/v1/namespaces?resourceVersion=99999999'"],
        "Too large resource version: 99999999, current: ",
    );
}

#[test]
fn the_server_says_how_it_is() {
    says(
        &["kubectl get --raw '/readyz?verbose'"],
        "[+]etcd ok\n[+]etcd-readiness ok\n",
    );
    says(
        &["kubectl get --raw '/livez?verbose&exclude=etcd&exclude=x'"],
        "warn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n",
    );
    says(
        &["kubectl get --raw /metrics"],
        "apiserver_resource_objects{group=\"apps\",resource=\"deployments\"} 1\n",
    );
    says(&["kubectl get --raw /version"], "  \"minor\": \"37\",\n");
    says(&["kubectl get --raw /statusz"], "is not simulated yet");
}

#[test]
fn parts_of_objects() {
    let create = |object: &str, path: &str| {
        format!("echo '{object}' | kubectl create --raw '/api/v1/namespaces/default/{path}' -f -")
    };
    says(
        &[&create(
            "{\"spec\":{\"expirationSeconds\":600}}",
            "serviceaccounts/default/token",
        )],
        "\"status\":{\"expirationTimestamp\":",
    );
    let pod = create(
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"schedulerName\":\"mine\",\"containers\":[{\"name\":\"c\",\"image\":\"nginx\"}]}}",
        "pods",
    );
    let bind = create(
        "{\"metadata\":{\"name\":\"p\"},\"target\":{\"kind\":\"Node\",\"name\":\"worker-1\"}}",
        "pods/p/binding",
    );
    says(&[&pod, &bind], "\"status\":\"Success\",\"code\":201}\n");
    says(
        &[
            &pod,
            &bind,
            "kubectl get pod p -o jsonpath={.spec.nodeName}",
        ],
        "worker-1",
    );
    says(
        &[&pod, &bind, &bind],
        "pod p is already assigned to node \"worker-1\"",
    );
    says(
        &[
            &pod,
            "kubectl get --raw /api/v1/namespaces/default/pods/p/exec",
        ],
        "Error from server (BadRequest): Upgrade request required\n",
    );
    says(
        &[
            "kubectl run l --image=busybox -- sh -c 'echo a; echo b; sleep 99'",
            "kubectl wait --for=condition=Ready pod/l",
            "kubectl get --raw '/api/v1/namespaces/default/pods/l/log?tailLines=1'",
        ],
        "b\n",
    );
    says(
        &[
            &create("{\"metadata\":{\"name\":\"m\"}}", "configmaps?dryRun=All"),
            "kubectl get cm m",
        ],
        "not found",
    );
    says(
        &[&create(
            "{\"kind\":\"Secret\",\"apiVersion\":\"v1\"}",
            "configmaps",
        )],
        "Secret in version \"v1\" cannot be handled as a ConfigMap",
    );
}

#[test]
fn the_api_server_stands_between() {
    let web = "kubectl create deployment web --image=nginx && kubectl expose deployment web --port=8080 --target-port=80 && kubectl wait --for=condition=Available deployment/web";
    let proxy = |path: &str| format!("kubectl get --raw /api/v1/namespaces/default/{path}");
    says(
        &[web, &proxy("services/web:8080/proxy/")],
        "Welcome to nginx!",
    );
    says(
        &[
            web,
            "POD=$(kubectl get pods -o jsonpath={.items[0].metadata.name})",
            "kubectl get --raw /api/v1/namespaces/default/pods/$POD:80/proxy/",
        ],
        "Welcome to nginx!",
    );
    says(
        &[web, &proxy("services/web:8080/proxy/nowhere")],
        "Error from server (NotFound): the server could not find the requested resource\n",
    );
    says(
        &[web, &proxy("services/web:99/proxy/")],
        "Error from server (ServiceUnavailable): no service port 99 found for service \"web\"\n",
    );
    says(
        &[
            web,
            "kubectl scale deployment web --replicas=0",
            "sleep 5",
            &proxy("services/web:8080/proxy/"),
        ],
        "no endpoints available for service \"web\"\n",
    );
    says(
        &[
            web,
            "POD=$(kubectl get pods -o jsonpath={.items[0].metadata.name})",
            "kubectl get --raw /api/v1/namespaces/default/pods/$POD:81/proxy/",
        ],
        ":81: connect: connection refused\n",
    );
}

#[test]
fn a_log_goes_on() {
    says(
        &[
            "kubectl run l --image=busybox --restart=Never -- sh -c 'echo a; sleep 3; echo b'",
            "kubectl wait --for=condition=Ready pod/l",
            "kubectl get --raw '/api/v1/namespaces/default/pods/l/log?follow=true'",
        ],
        "a\nb\n",
    );
}

#[test]
fn a_scale_is_where_the_definition_says() {
    let definition = "kubectl create -f - <<E\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: fleets.x.io}, spec: {group: x.io, scope: Namespaced, names: {plural: fleets, kind: Fleet}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}, subresources: {scale: {specReplicasPath: .spec.ships, statusReplicasPath: .status.ships, labelSelectorPath: .status.selector}}}]}}\nE";
    let fleet = "echo '{apiVersion: x.io/v1, kind: Fleet, metadata: {name: f}, spec: {ships: 2}, status: {ships: 1, selector: a=b}}' | kubectl create -f -";
    let scale = "kubectl get --raw /apis/x.io/v1/namespaces/default/fleets/f/scale";
    says(
        &[definition, "sleep 2", fleet, scale],
        "\"spec\":{\"replicas\":2},\"status\":{\"replicas\":1,\"selector\":\"a=b\"}",
    );
    says(
        &[
            definition,
            "sleep 2",
            fleet,
            "kubectl scale fleets/f --replicas=5",
            "kubectl get fleets f -o jsonpath={.spec.ships}",
        ],
        "5",
    );
}

#[test]
fn approving_has_a_permission_of_its_own() {
    let make = format!(
        "kubectl create -f - <<E\n{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: ada}}, spec: {{signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: {REQUEST}}}}}\nE"
    );
    let may = |verb: &str, part: &str| {
        format!(
            "kubectl create clusterrole {verb} --verb=get,{verb} --resource={part} && kubectl create clusterrolebinding {verb} --clusterrole={verb} --user=eve"
        )
    };
    let read = may("list", "certificatesigningrequests");
    let approve = "kubectl certificate approve ada --as=eve";
    // Signers are no kind of object, so that `create clusterrole` does not know them.
    let signer = "kubectl create -f - <<E\n{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: sign}, rules: [{apiGroups: [certificates.k8s.io], resources: [signers], resourceNames: [kubernetes.io/kube-apiserver-client], verbs: [approve]}]}\nE\nkubectl create clusterrolebinding sign --clusterrole=sign --user=eve";
    says(
        &[
            &make,
            &read,
            &may("patch", "certificatesigningrequests/status"),
            approve,
        ],
        "User \"eve\" cannot update resource \"certificatesigningrequests/approval\" in API group \"certificates.k8s.io\"",
    );
    says(
        &[
            &make,
            &read,
            &may("update", "certificatesigningrequests/approval"),
            approve,
        ],
        "is forbidden: user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\"",
    );
    says(
        &[
            &make,
            &read,
            &may("update", "certificatesigningrequests/approval"),
            signer,
            approve,
        ],
        "certificatesigningrequest.certificates.k8s.io/ada approved",
    );
}

#[test]
fn certificates_are_signed_once_they_are_approved() {
    let make = |usage: &str| {
        format!(
            "kubectl create -f - <<E\n{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: ada}}, spec: {{signerName: kubernetes.io/kube-apiserver-client, usages: [{usage}], request: {REQUEST}}}}}\nE"
        )
    };
    let (client, server) = (make("client auth"), make("server auth"));
    let (approve, list) = (
        "kubectl certificate approve ada",
        "kubectl get csr --no-headers",
    );
    says(&[&client, list], "kubernetes-admin   <none>   Pending");
    says(&[&client, approve, "sleep 2", list], "Approved,Issued");
    says(&[&server, approve, "sleep 2", list], "Approved,Failed");
    says(
        &[&client, "kubectl certificate deny ada", "sleep 2", list],
        "Denied",
    );
    says(
        &[&client, "kubectl describe csr ada"],
        "Common Name:    ada",
    );
    says(
        &[
            &client,
            approve,
            "sleep 2",
            "kubectl get csr ada -o jsonpath={.status.certificate} | base64 -d",
        ],
        "-----BEGIN CERTIFICATE-----\nMI",
    );
    says(
        &[&make("fly")],
        "spec.usages[0]: Unsupported value: \"fly\": supported values: \"any\"",
    );
}

#[test]
fn programs_in_pods_ask_as_well() {
    let ask = |options: &str, path: &str| {
        format!(
            "kubectl exec p -- sh -c 'curl -skN -m 9 {options} -H \"Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)\" \"https://kubernetes/{path}\"'"
        )
    };
    let asks = |options: &str, path: &str, want: &str| {
        says(
            &[
                "kubectl create clusterrolebinding all --clusterrole=cluster-admin --serviceaccount=default:default",
                "kubectl run p --image=curlimages/curl -- sleep 1000",
                "kubectl wait --for=condition=Ready pod/p",
                &ask(options, path),
            ],
            want,
        );
    };
    let maps = "api/v1/namespaces/default/configmaps";
    asks(
        "",
        &format!("{maps}?watch=1&timeoutSeconds=1"),
        "{\"type\":\"ADDED\",",
    );
    let only = "-H \"Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1\"";
    asks(only, maps, "\"kind\": \"PartialObjectMetadataList\"");
    let table = "-H \"Accept: application/json;as=Table;g=meta.k8s.io;v=v1\"";
    asks(table, maps, "\"kind\": \"Table\"");
    asks(
        table,
        maps,
        "\"cells\": [\n        \"kube-root-ca.crt\",\n        1,",
    );
    asks(
        table,
        &format!("{maps}?includeObject=None"),
        "\"object\": null",
    );
    asks(
        table,
        &format!("{maps}?includeObject=All"),
        "Unable to convert to Table as requested: includeObject: Unsupported value: \\\"All\\\"",
    );
    asks(
        table,
        &format!("{maps}?watch=1&timeoutSeconds=1"),
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\",",
    );
    let all = "-H \"Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList\"";
    asks(all, "apis", "\"kind\": \"APIGroupDiscoveryList\"");
}

#[test]
fn a_policy_says_what_the_types_say_of_its_expressions() {
    let policy = |expression: &str| {
        format!(
            "kubectl create -f - <<E\n{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {{name: few}}, spec: {{matchConstraints: {{resourceRules: [{{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}}]}}, validations: [{{expression: '{expression}'}}]}}}}\nE"
        )
    };
    let (right, wrong) = (
        policy("object.spec.replicas <= 5"),
        policy("object.spec.replica <= 5"),
    );
    let status = "kubectl get validatingadmissionpolicy few -o jsonpath={.status}";
    says(
        &[&right, "sim settle", status],
        "{\"observedGeneration\":1,\"typeChecking\":{}}",
    );
    let warning = "kubectl get validatingadmissionpolicy few -o jsonpath='{.status.typeChecking.expressionWarnings[0].fieldRef} {.status.typeChecking.expressionWarnings[0].warning}'";
    says(
        &[&wrong, "sim settle", warning],
        "spec.validations[0].expression apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'",
    );
}

#[test]
fn types_and_paths_are_told() {
    let ask =
        |path: &str, what: &str| format!("kubectl get --raw /openapi/{path} | jq -c '{what}'");
    says(
        &[&ask("v3", ".paths | keys | .[0:3]")],
        r#"["api/v1","apis/admissionregistration.k8s.io/v1","apis/apiextensions.k8s.io/v1"]"#,
    );
    let apps = |what: &str| ask("v3/apis/apps/v1", what);
    says(
        &[&apps(
            ".components.schemas[\"io.k8s.api.apps.v1.DeploymentSpec\"].required",
        )],
        r#"["selector","template"]"#,
    );
    says(
        &[&apps(
            ".paths[\"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale\"].get.operationId",
        )],
        "readAppsV1NamespacedDeploymentScale",
    );
    says(
        &[&ask(
            "v2",
            ".definitions[\"io.k8s.api.core.v1.PodSpec\"].properties.containers",
        )],
        r##"{"type":"array","items":{"$ref":"#/definitions/io.k8s.api.core.v1.Container"},"x-kubernetes-list-map-keys":["name"],"x-kubernetes-list-type":"map","x-kubernetes-patch-merge-key":"name","x-kubernetes-patch-strategy":"merge"}"##,
    );
    says(
        &[&ask(
            "v2",
            ".paths[\"/api/v1/namespaces/{namespace}/pods/{name}/exec\"].get.operationId",
        )],
        "connectCoreV1GetNamespacedPodExec",
    );
    says(
        &["kubectl get --raw /openapi/v3/apis/nosuch/v1"],
        "the server could not find the requested resource",
    );
}

#[test]
fn kubelets_answer_the_api_server() {
    says(
        &["kubectl get --raw /api/v1/nodes/worker-1/proxy/healthz"],
        "ok",
    );
    says(
        &[
            "kubectl get --raw /api/v1/nodes/worker-1/proxy/pods | jq -c '[.kind, (.items | map(.spec.nodeName) | unique)]'",
        ],
        "[\"PodList\",",
    );
    says(
        &["kubectl get --raw /api/v1/nodes/worker-1/proxy/metrics"],
        "not simulated yet",
    );
    says(
        &["kubectl get --raw /api/v1/nodes/nosuch/proxy/healthz"],
        "nodes \"nosuch\" not found",
    );
}
