//! Objects made, shown, applied and taken back.

use super::prints;

const CONFIG_MAP: &str = "kubectl apply -f - <<'EOF'\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\nEOF";

#[test]
fn apply_creates_and_changes() {
    prints(&[CONFIG_MAP], "configmap/c created\n", 0);
    prints(&[CONFIG_MAP, CONFIG_MAP], "configmap/c unchanged\n", 0);
    prints(
        &[CONFIG_MAP, &CONFIG_MAP.replace("a: b", "a: c")],
        "configmap/c configured\n",
        0,
    );
    prints(
        &[
            CONFIG_MAP,
            &CONFIG_MAP.replace("a: b", "x: z"),
            "kubectl get cm c -o jsonpath='{.data}'",
        ],
        "{\"x\":\"z\"}",
        0,
    );
    prints(
        &[
            "cat > f.yaml <<EOF\napiVersion: v1\nkind: Namespace\nmetadata: {name: new}\nEOF\n",
            "kubectl apply -f f.yaml",
        ],
        "namespace/new created\n",
        0,
    );
}

#[test]
fn what_was_done_can_be_undone() {
    prints(
        &[CONFIG_MAP, "sim undo", "kubectl get cm c"],
        "Error from server (NotFound): configmaps \"c\" not found\n",
        1,
    );
    prints(
        &[
            CONFIG_MAP,
            "sim undo",
            "sim redo",
            "kubectl get cm c -o name",
        ],
        "configmap/c\n",
        0,
    );
}

#[test]
fn objects_are_made_shown_and_changed() {
    let web = "kubectl create deployment web --image=nginx";
    let settle = "sim settle";
    prints(&[web], "deployment.apps/web created\n", 0);
    prints(
        &[web, web],
        "error: failed to create deployment: deployments.apps \"web\" already exists\n",
        1,
    );
    prints(
        &[
            web,
            settle,
            "kubectl get deploy web --no-headers | cut -d' ' -f1-4",
        ],
        "web   1/1\n",
        0,
    );
    prints(
        &[web, settle, "kubectl rollout status deploy/web"],
        "deployment \"web\" successfully rolled out\n",
        0,
    );
    prints(
        &[web, settle, "kubectl scale deploy web --replicas=3"],
        "deployment.apps/web scaled\n",
        0,
    );
    prints(
        &[
            web,
            settle,
            "kubectl scale deploy web --current-replicas=2 --replicas=3",
        ],
        "error: Expected replicas to be 2, was 1\n",
        1,
    );
    prints(
        &[web, settle, "kubectl set image deploy/web nginx=nginx:1.27"],
        "deployment.apps/web image updated\n",
        0,
    );
    prints(
        &[web, settle, "kubectl set image deploy/web x=nginx:1.27"],
        "error: unable to find container named \"x\"\n",
        1,
    );
    prints(
        &[web, settle, "kubectl expose deploy web --port=80"],
        "service/web exposed\n",
        0,
    );
    prints(
        &[web, "kubectl expose deploy web"],
        "error: couldn't find port via --port flag or introspection\n",
        1,
    );
    prints(
        &[
            web,
            settle,
            "kubectl wait --for=condition=Available deploy/web",
        ],
        "deployment.apps/web condition met\n",
        0,
    );
    prints(
        &[web, settle, "kubectl delete deploy web"],
        "deployment.apps \"web\" deleted from default namespace\n",
        0,
    );
    prints(
        &[web, "kubectl label deploy web a=b"],
        "deployment.apps/web labeled\n",
        0,
    );
    prints(
        &[web, "kubectl label deploy web app=x"],
        "error: 'app' already has a value (web), and --overwrite is false\n",
        1,
    );
    prints(
        &[web, "kubectl annotate deploy web note=x"],
        "deployment.apps/web annotated\n",
        0,
    );
    prints(
        &[
            web,
            "kubectl patch deploy web -p '{\"spec\":{\"replicas\":2}}'",
        ],
        "deployment.apps/web patched\n",
        0,
    );
    prints(
        &[
            web,
            "kubectl patch deploy web -p '{\"spec\":{\"replicas\":1}}'",
        ],
        "deployment.apps/web patched (no change)\n",
        0,
    );
    prints(
        &[
            web,
            settle,
            "kubectl rollout history deploy/web | tail -n +2",
        ],
        "REVISION  CHANGE-CAUSE\n1         <none>\n\n",
        0,
    );
    prints(
        &[web, settle, "kubectl describe deploy web | grep -c Scaled"],
        "1\n",
        0,
    );
    prints(&["kubectl cordon worker-1"], "node/worker-1 cordoned\n", 0);
    prints(
        &["kubectl cordon worker-1", "kubectl uncordon worker-1"],
        "node/worker-1 uncordoned\n",
        0,
    );
    prints(
        &["kubectl taint nodes worker-1 a=b:NoSchedule"],
        "node/worker-1 tainted\n",
        0,
    );
    prints(
        &["kubectl taint nodes worker-1 a-"],
        "error: taint \"a\" not found\n",
        1,
    );
    prints(
        &[
            "kubectl config set-context --current --namespace=kube-system",
            "kubectl get deploy -o name",
        ],
        "deployment.apps/coredns\n",
        0,
    );
    prints(
        &["kubectl get pods --as=eve"],
        "Error from server (Forbidden): pods is forbidden: User \"eve\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"\n",
        1,
    );
    prints(
        &["kubectl edit -n kube-system deploy coredns"],
        "error: kubectl edit is not simulated yet: it needs an editor in a terminal; kubectl get -o yaml > FILE, change the file, kubectl apply -f FILE does the same\n",
        1,
    );
}

#[test]
fn kustomizations_are_built() {
    let files = "mkdir -p base over\nprintf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: p}\\nspec: {containers: [{name: c, image: nginx, envFrom: [{configMapRef: {name: conf}}]}]}\\n' > base/p.yaml\nprintf 'resources: [p.yaml]\\nconfigMapGenerator: [{name: conf, literals: [a=b]}]\\n' > base/kustomization.yaml\nprintf 'resources: [../base]\\nnamePrefix: x-\\nimages: [{name: nginx, newTag: \"1.27\"}]\\nlabels: [{pairs: {env: prod}}]\\n' > over/kustomization.yaml";
    prints(
        &[files, "kubectl kustomize over"],
        "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  labels:\n    env: prod\n  name: x-conf-4h2mbtbbt6\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    env: prod\n  name: x-p\nspec:\n  containers:\n  - envFrom:\n    - configMapRef:\n        name: x-conf-4h2mbtbbt6\n    image: nginx:1.27\n    name: c\n",
        0,
    );
    prints(
        &[files, "kubectl apply -k over"],
        "configmap/x-conf-4h2mbtbbt6 created\npod/x-p created\n",
        0,
    );
    prints(
        &["cd /tmp", "kubectl kustomize nosuch"],
        "error: must build at directory: not a valid directory: evalsymlink failure on 'nosuch' : lstat /tmp/nosuch: no such file or directory\n",
        1,
    );
}

#[test]
fn apply_force_makes_anew_what_cannot_be_changed() {
    let service = |address: &str| {
        format!(
            "kubectl apply --force -f - <<'EOF'\napiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {{clusterIP: {address}, ports: [{{port: 80}}]}}\nEOF"
        )
    };
    let (first, second) = (service("10.43.7.1"), service("10.43.7.2"));
    prints(&[&first, &second], "service/s configured\n", 0);
    let shown = "kubectl get svc s -o jsonpath='{.spec.clusterIP}'";
    prints(&[&first, &second, shown], "10.43.7.2", 0);
    // What was there comes back where the new one is refused.
    let odd = service("1.2.3.4.5");
    prints(&[&first, &odd, shown], "10.43.7.1", 0);
}

#[test]
fn diff_looks_at_server_side_apply_and_at_what_would_be_pruned() {
    let map = |name: &str, verb: &str, data: &str| {
        format!(
            "kubectl {verb} -f - <<'EOF'\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{l: x}}}}\ndata: {{a: {data}}}\nEOF"
        )
    };
    let mut session = super::session();
    session.run(&map("old", "apply", "b"));
    let mut differs = |line: &str, want: &str| {
        let output = session.run(line);
        assert!(output.text().contains(want), "{}", output.text());
        assert_eq!(output.status, 1, "{line}");
    };
    let changed = map("old", "diff --server-side", "c");
    differs(&changed, "\n-  a: b\n+  a: c\n");
    let pruned = map("new", "diff --prune -l l=x", "b");
    differs(&pruned, "\n-  name: old\n");
}

#[test]
fn the_api_server_makes_objects_of_its_own() {
    let column =
        |what: &str| format!("kubectl get {what} --no-headers | tr -s ' ' | cut -d' ' -f1-3");
    prints(
        &[&(column("apiservices") + " | head -n 3")],
        "v1. Local True\nv1.admissionregistration.k8s.io Local True\nv1.apiextensions.k8s.io Local True\n",
        0,
    );
    prints(
        &[&(column("flowschemas") + " | head -n 3")],
        "catch-all catch-all 10000\nexempt exempt 1\nglobal-default global-default 9900\n",
        0,
    );
    prints(
        &[
            "kubectl get flowschemas -o jsonpath='{.items[*].status.conditions[*].status}' | tr -d ' '",
        ],
        "FalseFalseFalseFalseFalseFalseFalseFalseFalseFalseFalse",
        0,
    );
    prints(
        &[
            "kubectl get servicecidr kubernetes -o jsonpath='{.spec.cidrs} {.status.conditions[*].message}'",
        ],
        "[\"10.43.0.0/16\"] Kubernetes Service CIDR is ready",
        0,
    );
    prints(
        &["kubectl get prioritylevelconfigurations --no-headers | wc -l"],
        "8\n",
        0,
    );
}

#[test]
fn a_flow_schema_tells_whether_its_level_is_there() {
    let make = "kubectl apply -f - <<'E'
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: mine}
spec: {matchingPrecedence: 50, priorityLevelConfiguration: {name: own}}
E";
    let level = "kubectl get prioritylevelconfiguration system -o yaml | sed 's/name: system/name: own/; /uid:/d; /resourceVersion:/d' | kubectl create -f -";
    let shown = "kubectl get flowschema mine -o jsonpath='{.status.conditions[0].reason}'";
    prints(&[make, shown], "NotFound", 0);
    prints(&[make, level, shown], "Found", 0);
    let gone = "kubectl delete prioritylevelconfiguration own";
    prints(&[make, level, gone, shown], "NotFound", 0);
}

#[test]
fn what_a_definition_serves_has_an_apiservice() {
    let definition = |versions: &str| {
        format!(
            "kubectl apply -f - <<'E'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: crons.x.io}}
spec:
  group: x.io
  scope: Namespaced
  names: {{kind: Cron, plural: crons}}
  versions:
{versions}
E"
        )
    };
    let version = |name: &str, stored: bool| {
        format!(
            "  - {{name: {name}, served: true, storage: {stored}, schema: {{openAPIV3Schema: {{type: object}}}}}}\n"
        )
    };
    let one = definition(&version("v1", true));
    let two = definition(&(version("v1", true) + &version("v2", false)));
    let moved = definition(&(version("v1", false) + &version("v2", true)));
    let last = definition(&version("v2", true));
    let list = "kubectl get apiservices -o name | grep x.io | cut -d/ -f2";
    prints(&[&one, list], "v1.x.io\n", 0);
    prints(&[&two, list], "v1.x.io\nv2.x.io\n", 0);
    prints(&[&two, &one, list], "v1.x.io\n", 0);
    prints(&[&two, "kubectl delete crd crons.x.io", list], "", 0);
    // A version in which objects may be stored does not go.
    prints(
        &[
            &two,
            &moved,
            "kubectl get crd crons.x.io -o jsonpath='{.status.storedVersions}'",
        ],
        "[\"v1\",\"v2\"]",
        0,
    );
    prints(
        &[&two, &moved, &last],
        "The CustomResourceDefinition \"crons.x.io\" is invalid: status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions\n",
        1,
    );
}

#[test]
fn patches_that_do_not_fit_are_refused_as_the_api_server_does() {
    let make = "kubectl create deployment web --image=nginx";
    let patched = |change: &str| format!("kubectl patch deploy web -p '{change}'");
    prints(
        &[make, &patched(r#"{"spec":{"replicas":"three"}}"#)],
        "The request is invalid: patch: Invalid value: \"map[spec:map[replicas:three]]\": unrecognized type: int32\n",
        1,
    );
    prints(
        &[make, &patched(r#"{"spec":{"template":"x"}}"#)],
        "The request is invalid: patch: Invalid value: \"map[spec:map[template:x]]\": cannot restore struct from: string\n",
        1,
    );
    prints(
        &[make, &patched(r#"{"metadata":{"labels":{"a":1}}}"#)],
        "The request is invalid: patch: Invalid value: \"map[metadata:map[labels:map[a:1]]]\": cannot convert int64 to string\n",
        1,
    );
    prints(
        &[
            "kubectl create cm c",
            "kubectl patch cm c --type=merge -p '{\"data\":{\"x\":1}}' 2>&1 | grep -o 'json: .*'",
        ],
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string\n",
        0,
    );
}

const CAR: &str = "kubectl apply -f - <<'E'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cars.x.io}
spec:
  group: x.io
  scope: Namespaced
  names: {kind: Car, plural: cars}
  versions:
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {wheels: {type: integer}}}}}}
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {wheels: {type: integer}}}}}}
---
apiVersion: x.io/v1
kind: Car
metadata: {name: herbie}
spec: {wheels: 4}
E";

#[test]
fn custom_objects_are_patched_explained_and_warned_about() {
    prints(
        &[
            CAR,
            CAR,
            "kubectl patch car herbie --type=json -p '[{\"op\":\"add\",\"path\":\"/spec/color\",\"value\":\"red\"}]'",
        ],
        "Warning: unknown field \"spec.color\"\ncar.x.io/herbie patched (no change)\n",
        0,
    );
    prints(
        &[CAR, CAR, "kubectl get cars.v1beta1.x.io 2>&1 | head -n 1"],
        "Warning: x.io/v1beta1 Car is deprecated; use x.io/v1 Car\n",
        0,
    );
    prints(
        &[
            CAR,
            "kubectl explain car --recursive | grep -A 1 fieldsType",
        ],
        "      fieldsType\t<string>\n      fieldsV1\t<FieldsV1>\n",
        0,
    );
    prints(
        &[
            CAR,
            "kubectl explain car.metadata.name | grep -E 'GROUP|KIND|FIELD'",
        ],
        "GROUP:      x.io\nKIND:       Car\nFIELD: name <string>\n",
        0,
    );
}

#[test]
fn scaling_is_managed_apart() {
    prints(
        &[
            "kubectl create deployment web --image=nginx",
            "kubectl scale deploy web --replicas=2",
            "kubectl get deploy web --show-managed-fields -o jsonpath='{.metadata.managedFields[?(@.subresource==\"scale\")].manager}'",
        ],
        "kubectl",
        0,
    );
}

#[test]
fn a_list_of_one_kind_need_not_name_it_again() {
    prints(
        &["kubectl apply -f - <<'E'
apiVersion: v1
kind: ConfigMapList
items:
- metadata: {name: three}
E"],
        "configmap/three created\n",
        0,
    );
}

#[test]
fn ranges_of_services_are_described() {
    prints(
        &["kubectl describe servicecidr kubernetes | grep -vE 'Ready|Events'"],
        "Name:         kubernetes\nLabels:       <none>\nAnnotations:  <none>\nCIDRs:        10.43.0.0/16\nStatus:\nConditions:\n  Type   Status  LastTransitionTime               Reason  Message\n  ----   ------  ------------------               ------  -------\n",
        0,
    );
    prints(
        &["kubectl describe flowschema exempt | grep -c 'Non Resource URLs'"],
        "1\n",
        0,
    );
}

#[test]
fn namespaces_of_the_cluster_itself_stay() {
    prints(
        &["kubectl delete ns default"],
        "Error from server (Forbidden): namespaces \"default\" is forbidden: this namespace may not be deleted\n",
        1,
    );
}

#[test]
fn diff_leaves_what_was_applied_last() {
    let diff = CONFIG_MAP
        .replace("apply -f - <<'EOF'", "diff -f - <<'EOF' | grep -E '^[-+] '")
        .replace("a: b", "a: c");
    prints(&[CONFIG_MAP, &diff], "-  a: b\n+  a: c\n", 0);
}

#[test]
fn explain_says_what_it_cannot_find() {
    prints(
        &["kubectl explain pod.spec.nosuch"],
        "KIND:       Pod\nVERSION:    v1\n\nerror: field \"nosuch\" does not exist\n",
        1,
    );
    prints(
        &["kubectl explain nosuch"],
        "the server doesn't have a resource type \"nosuch\"\n",
        1,
    );
    prints(
        &["kubectl explain cronjob --api-version=batch/v9"],
        "error: couldn't find resource for \"batch/v9, Resource=cronjobs\"\n",
        1,
    );
}

#[test]
fn custom_columns_keep_line_breaks() {
    prints(
        &[
            "kubectl create cm c --from-literal=a=$'one\\ntwo'",
            "kubectl get cm c -o custom-columns=A:.data.a",
        ],
        "A\none\ntwo\n",
        0,
    );
}

#[test]
fn pods_have_the_pull_secrets_of_their_account() {
    prints(
        &[
            "kubectl patch sa default -p '{\"imagePullSecrets\": [{\"name\": \"key\"}]}'",
            "kubectl run p --image=nginx",
            "kubectl get pod p -o jsonpath='{.spec.imagePullSecrets[0].name}'",
        ],
        "key",
        0,
    );
}

#[test]
fn a_quota_refuses_after_the_warnings() {
    prints(
        &[
            "kubectl create ns q",
            "kubectl label ns q pod-security.kubernetes.io/warn=restricted",
            "kubectl create quota caps -n q --hard=pods=0",
            "kubectl run p -n q --image=nginx 2>&1 | cut -c1-34",
        ],
        "Warning: would violate PodSecurity\nError from server (Forbidden): pod\n",
        0,
    );
}

#[test]
fn a_running_pod_tells_what_it_is_given() {
    prints(
        &[
            "kubectl run p --image=nginx",
            "kubectl wait --for=condition=Ready pod/p",
            "kubectl get pod p -o jsonpath='{.status.resources}{.status.allocatedResources}'",
        ],
        "{}",
        0,
    );
    prints(
        &[
            "kubectl create deployment w --image=nginx",
            "kubectl set resources deploy w --requests=cpu=100m --limits=memory=1Gi",
            "kubectl rollout status deploy w",
            "kubectl get pod -l app=w -o jsonpath='{.items[0].status.resources}'",
        ],
        r#"{"limits":{"memory":"1Gi"},"requests":{"cpu":"100m","memory":"1Gi"}}"#,
        0,
    );
}

#[test]
fn addresses_of_services_are_objects() {
    let make = "kubectl create service clusterip web --tcp=80";
    let ip = "IP=$(kubectl get svc web -o jsonpath={.spec.clusterIP})";
    let shown = "kubectl get ipaddress $IP -o jsonpath='{.spec.parentRef.namespace}/{.spec.parentRef.name}'";
    prints(&[make, ip, shown], "default/web", 0);
    prints(
        &[
            make,
            ip,
            "kubectl delete svc web",
            "kubectl get ipaddress $IP 2>&1 | cut -c1-30",
        ],
        "Error from server (NotFound): \n",
        0,
    );
    prints(
        &["kubectl get ipaddresses --no-headers | tr -s ' ' | grep '^10.43.0.1 ' | cut -d' ' -f2"],
        "services/default/kubernetes\n",
        0,
    );
}

#[test]
fn another_range_gives_addresses_too() {
    let range = "kubectl apply -f - <<'E'
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.99.0.0/24]}
E";
    let service = "kubectl create service clusterip far --tcp=80 --clusterip=10.99.0.7 2>&1";
    let ready = "kubectl get servicecidr more -o jsonpath='{.metadata.finalizers} {.status.conditions[0].status} {.status.conditions[0].reason}'";
    prints(&[range, service], "service/far created\n", 0);
    prints(
        &[range, ready],
        "[\"networking.k8s.io/service-cidr-finalizer\"] True ",
        0,
    );
    let gone = "kubectl delete servicecidr more --wait=false";
    prints(
        &[range, service, gone, ready],
        "[\"networking.k8s.io/service-cidr-finalizer\"] False Terminating",
        0,
    );
    prints(
        &[
            range,
            service,
            gone,
            "kubectl delete svc far",
            "kubectl get servicecidr more",
        ],
        "Error from server (NotFound): servicecidrs.networking.k8s.io \"more\" not found\n",
        1,
    );
    prints(
        &[range, gone, "kubectl get servicecidrs -o name"],
        "servicecidr.networking.k8s.io/kubernetes\n",
        0,
    );
}
