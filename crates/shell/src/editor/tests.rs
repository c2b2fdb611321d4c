//! What an editor is told, a line each.

use kubarium_objects::Severity;

use super::*;
use crate::tests::session;

#[track_caller]
fn says(text: &str, want: &[&str]) {
    let found: Vec<String> = session()
        .diagnose(text, &[])
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, want);
}

#[test]
fn messages_stand_where_the_mistake_is() {
    says(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
        &[],
    );
    says(
        "kind: Pod\n",
        &["line 1, column 1: apiVersion not set (an object begins with apiVersion and kind)"],
    );
    says(
        "apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n",
        &[
            "line 2, column 7: no matches for kind \"Deployment\" in version \"v1\" (Deployment is served as apiVersion: apps/v1)",
        ],
    );
    says(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  container: []\n",
        &["line 5, column 3: unknown field \"spec.container\" (did you mean \"containers\"?)"],
    );
    says(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: A_b\nspec:\n  containers:\n  - name: c\n    image: x\n",
        &[
            "line 4, column 9: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    says(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: kube-system}\nspec:\n  externalName: x.y\n  selector: {k8s-app: kube-dns}\n  ports: [{port: 53}]\n",
        &["line 5, column 17: spec.externalName is ignored when spec.type is not \"ExternalName\""],
    );
    says(
        "a: b: c\n",
        &[
            "line 1, column 5: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ],
    );
}

/// A cluster with a Deployment and what it needs, at rest.
fn shop() -> Session {
    let mut session = session();
    for line in [
        "kubectl create deployment web --image=nginx --port=80",
        "kubectl create configmap settings --from-literal=colour=red",
        "kubectl create secret generic key --from-literal=password=x",
        "sim settle",
    ] {
        session.run(line);
    }
    session
}

/// The text without the cursor's mark `^`, and its line and column.
fn cursor(text: &str) -> (String, usize, usize) {
    let line = text.lines().position(|l| l.contains('^')).unwrap_or(0);
    let here = text.lines().nth(line).unwrap_or("");
    let column = here.chars().position(|c| c == '^').unwrap_or(0);
    (text.replace('^', ""), line + 1, column + 1)
}

fn offered(session: &Session, text: &str) -> Vec<String> {
    let (text, line, column) = cursor(text);
    let offers = session.offers(&text, &[], line, column).offers;
    offers.into_iter().map(|offer| offer.insert).collect()
}

/// The first offers at the cursor are these.
#[track_caller]
fn offers_first(session: &Session, text: &str, want: &[&str]) {
    let found = offered(session, text);
    let first: Vec<&str> = found.iter().take(want.len()).map(String::as_str).collect();
    assert_eq!(first, want, "{text}\nof {found:?}");
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n";

#[test]
fn keys_come_from_the_schema_what_must_be_there_first() {
    let session = session();
    offers_first(
        &session,
        "^",
        &["apiVersion: ", "kind: ", "metadata:\n  name: "],
    );
    offers_first(&session, "kind: Deployment\napiVersion: ^", &["apps/v1"]);
    offers_first(
        &session,
        "apiVersion: apps/v1\nkind: ^",
        &["ControllerRevision", "DaemonSet", "Deployment"],
    );
    offers_first(&session, "kind: Depl^", &["Deployment"]);
    offers_first(&session, &format!("{POD}  ^"), &["containers:\n    - "]);
    offers_first(&session, &format!("{POD}  containers:\n  - ^"), &["name: "]);
    offers_first(
        &session,
        &format!("{POD}  containers:\n  - name: a\n    imagePull^"),
        &["imagePullPolicy: "],
    );
    offers_first(
        &session,
        &format!("{POD}  nodeSel^: {{}}"),
        &["nodeSelector"],
    );
    let below = offered(
        &session,
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - ^\n    name: x\n",
    );
    assert!(
        below.contains(&"port: ".to_owned()) && !below.contains(&"name: ".to_owned()),
        "{below:?}"
    );
    let metadata = offered(&session, "apiVersion: v1\nkind: Pod\nmetadata:\n  ^");
    assert!(!metadata.contains(&"uid: ".to_owned()), "{metadata:?}");
}

#[test]
fn values_are_those_that_validation_allows() {
    let session = session();
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  type: ^",
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  type:^",
        &[" ClusterIP"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  ports:\n  - protocol: ^",
        &["TCP", "SCTP", "UDP"],
    );
    offers_first(
        &session,
        &format!("{POD}  restartPolicy: ^"),
        &["Always", "OnFailure", "Never"],
    );
    offers_first(
        &session,
        &format!("{POD}  dnsPolicy: C^"),
        &["ClusterFirst", "ClusterFirstWithHostNet"],
    );
    offers_first(
        &session,
        &format!("{POD}  hostNetwork: ^"),
        &["true", "false"],
    );
    offers_first(
        &session,
        &format!("{POD}  containers:\n  - imagePullPolicy: ^"),
        &["IfNotPresent", "Always", "Never"],
    );
    offers_first(
        &session,
        "apiVersion: apps/v1\nkind: Deployment\nspec:\n  strategy:\n    type: ^",
        &["RollingUpdate", "Recreate"],
    );
    offers_first(
        &session,
        "apiVersion: batch/v1\nkind: CronJob\nspec:\n  concurrencyPolicy: ^",
        &["Allow", "Forbid", "Replace"],
    );
    offers_first(
        &session,
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec:\n  rules:\n  - http:\n      paths:\n      - pathType: ^",
        &["Exact", "ImplementationSpecific", "Prefix"],
    );
    offers_first(
        &session,
        &format!("{POD}  tolerations:\n  - effect: ^"),
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
    );
    offers_first(
        &session,
        &format!("{POD}  containers:\n  - image: ngi^"),
        &["nginx:1.29"],
    );
}

#[test]
fn names_are_those_of_the_cluster_and_of_the_text() {
    let session = shop();
    offers_first(
        &session,
        &format!("{POD}  serviceAccountName: ^"),
        &["default"],
    );
    offers_first(
        &session,
        &format!("{POD}  volumes:\n  - name: v\n    configMap:\n      name: s^"),
        &["settings"],
    );
    offers_first(
        &session,
        &format!(
            "{POD}  containers:\n  - env:\n    - name: C\n      valueFrom:\n        configMapKeyRef:\n          name: settings\n          key: ^"
        ),
        &["colour"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  selector:\n    ^",
        &["app: "],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  selector:\n    app: ^",
        &["web"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  selector:\n    app: web\n  ports:\n  - targetPort: ^",
        &["80"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: Service\nspec:\n  selector: {app: ^",
        &["web"],
    );
    offers_first(
        &session,
        &format!(
            "{POD}  volumes:\n  - name: files\n    emptyDir: {{}}\n  containers:\n  - name: a\n    volumeMounts:\n    - name: ^"
        ),
        &["files"],
    );
    offers_first(
        &session,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n---\napiVersion: v1\nkind: Pod\nspec:\n  volumes:\n  - configMap:\n      name: m^",
        &["mine"],
    );
    offers_first(
        &session,
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec:\n  scaleTargetRef:\n    kind: Deployment\n    name: ^",
        &["web"],
    );
    offers_first(
        &session,
        &format!("{POD}  nodeName: ^"),
        &["control-plane", "worker-1"],
    );
}

#[test]
fn a_field_is_told_with_its_type_and_its_default() {
    let told = |text: &str| {
        let (text, line, column) = cursor(text);
        session().told(&text, line, column).unwrap_or_default()
    };
    let policy = told(&format!("{POD}  restart^Policy: Never"));
    assert_eq!(
        (
            policy.path.as_str(),
            policy.type_name.as_str(),
            policy.default.as_str()
        ),
        ("spec.restartPolicy", "string", "Always")
    );
    assert_eq!(policy.allowed, ["Always", "OnFailure", "Never"]);
    assert_eq!((policy.from, policy.to), (3, 16));
    assert!(!policy.words.is_empty());
    let containers = told(&format!("{POD}  cont^ainers: []"));
    assert!(containers.required && containers.type_name == "[]Container");
    assert_eq!(
        told("apiVersion: apps/v1\nkind: Deploy^ment").type_name,
        "deployments of apps/v1"
    );
    assert_eq!(
        told("apiVersion: apps/v1\nkind: Deployment\nspec:\n  rep^licas: 3").default,
        "1"
    );
    assert_eq!(told("a: b^"), Told::default());
}

/// The severities and beginnings of what is remarked, on a cluster at work.
#[track_caller]
fn remarks(text: &str, want: &[(Severity, usize, &str)]) {
    let found = shop().diagnose(text, &[]);
    let ok = found.len() == want.len()
        && found.iter().zip(want).all(|(d, (severity, line, start))| {
            d.severity == *severity && d.line == *line && d.message.starts_with(start)
        });
    assert!(ok, "{text}\n{found:#?}");
}

fn service(selector: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  selector: {{{selector}}}\n  ports:\n{ports}"
    )
}

#[test]
fn what_selects_nothing_is_remarked() {
    use Severity::{Hint, Warning};
    remarks(&service("app: web", "  - port: 80\n"), &[]);
    remarks(
        &service("app: wep", "  - port: 80\n"),
        &[(Warning, 5, "this selector selects nothing")],
    );
    remarks(
        &service("app: web", "  - port: 80\n    targetPort: http\n"),
        &[(
            Warning,
            8,
            "no container of the selected pods has a port named http",
        )],
    );
    remarks(
        &service("app: web", "  - port: 80\n    targetPort: 8080\n"),
        &[(Hint, 8, "no container of the selected pods names port 8080")],
    );
    remarks(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: [{port: 80}]\n",
        &[(Hint, 4, "this Service has no selector")],
    );
    remarks(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p}\nspec:\n  minAvailable: 1\n  selector:\n    matchLabels: {app: none}\n",
        &[(Hint, 6, "this selector selects nothing")],
    );
}

#[test]
fn names_of_what_is_not_there_are_remarked() {
    use Severity::Warning;
    let pod = |rest: &str| format!("{POD}  containers:\n  - name: c\n    image: nginx\n{rest}");
    remarks(&pod(""), &[]);
    remarks(
        &pod("    envFrom:\n    - configMapRef: {name: settings}\n"),
        &[],
    );
    remarks(
        &pod("    envFrom:\n    - configMapRef: {name: none}\n"),
        &[(Warning, 10, "there is no ConfigMap none")],
    );
    remarks(
        &pod("    envFrom:\n    - configMapRef: {name: none, optional: true}\n"),
        &[],
    );
    remarks(
        &pod("  nodeSelector: {disk: ssd}\n"),
        &[(Warning, 9, "no node has disk=ssd")],
    );
    remarks(
        &pod("").replace("nginx", "nginx:99"),
        &[(Warning, 8, "no registry has the image nginx:99")],
    );
    remarks(
        &pod("    livenessProbe: {httpGet: {port: web}}\n"),
        &[(Warning, 9, "this container has no port named web")],
    );
    remarks(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec:\n  maxReplicas: 3\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  metrics:\n  - type: Resource\n    resource:\n      name: cpu\n      target: {type: Utilization, averageUtilization: 50}\n",
        &[(
            Warning,
            10,
            "container nginx of Deployment web requests no cpu",
        )],
    );
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    remarks(
        &format!("{twice}---\n{twice}"),
        &[(Warning, 7, "ConfigMap c is in these manifests twice")],
    );
}

#[test]
fn what_cannot_change_is_refused_before_it_is_applied() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector:\n    matchLabels: {app: other}\n  template:\n    metadata: {labels: {app: other}}\n    spec:\n      containers: [{name: c, image: nginx}]\n";
    let found = shop().diagnose(deployment, &[]);
    assert!(
        found
            .iter()
            .any(|d| d.severity == Severity::Error && d.message.ends_with("field is immutable")),
        "{found:#?}"
    );
}

#[test]
fn a_preview_says_what_applying_would_do() {
    let mut session = shop();
    let file = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\ndata: {a: b}\n";
    session.write_file("web.yaml", file.as_bytes()).unwrap();
    session.run("kubectl apply -f web.yaml");
    let effects = |text: &str| -> Vec<(usize, String, Effect)> {
        let preview = session.preview("web.yaml", text);
        preview
            .changes
            .into_iter()
            .map(|c| (c.line, c.name, c.effect))
            .collect()
    };
    assert_eq!(effects(file), [(1, "mine".to_owned(), Effect::Unchanged)]);
    assert_eq!(
        effects(&file.replace("a: b", "a: c")),
        [(1, "mine".to_owned(), Effect::Changed)]
    );
    let new = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n# It lives there.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n";
    assert_eq!(
        effects(new),
        [
            (1, "shop".to_owned(), Effect::Created),
            (6, "shop/c".to_owned(), Effect::Created),
            (0, "mine".to_owned(), Effect::Left),
        ]
    );
    assert_eq!(
        effects("kind: Pod\n").first().map(|c| c.2),
        Some(Effect::Refused)
    );
    let changed = session.preview("web.yaml", &file.replace("a: b", "a: c"));
    let diff = &changed.changes[0].diff;
    assert!(
        diff.contains("-  a: b\n+  a: c\n") && diff.starts_with("@@"),
        "{diff}"
    );
}

#[test]
fn whatever_is_written_is_answered() {
    let session = session();
    for text in [
        "",
        "---",
        "a",
        "- a",
        "kind:",
        "{",
        "a: [",
        "kind: Pod\napiVersion: v1\nspec: 3\n",
        "%",
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - - -\n",
        "kind: List\nitems: [3]\n",
        "apiVersion: v1\nkind: Service\nspec: [1]\n",
    ] {
        session.diagnose(text, &[text.to_owned()]);
        session.preview("x.yaml", text);
        for line in 0..7 {
            for column in 0..9 {
                session.offers(text, &[], line, column);
                session.told(text, line, column);
            }
        }
    }
}
