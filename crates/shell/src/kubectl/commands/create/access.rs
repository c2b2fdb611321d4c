//! `kubectl create role|clusterrole|rolebinding|clusterrolebinding|serviceaccount`

use kubarium_objects::{Value, array, go, object};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, DRY_RUN, PRINT, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, text};

const RULES: &[Flag] = &[
    list("resource", "Resource that the rule applies to"),
    flag(
        "resource-name",
        Kind::Texts,
        "",
        "Resource in the white list that the rule applies to, repeat this flag for multiple items",
    ),
    list(
        "verb",
        "Verb that applies to the resources contained in the rule",
    ),
];

pub(crate) const ROLE: Command = Command::new("role", "NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename] [options]", "Create a role with single rule", |k| role(k, false))
    .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, RULES])
    .changing();

pub(crate) const CLUSTER_ROLE: Command = Command::new(
    "clusterrole",
    "NAME --verb=verb --resource=resource.group [--resource-name=resourcename] [options]",
    "Create a cluster role",
    |k| role(k, true),
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    RULES,
    &[
        list(
            "aggregation-rule",
            "An aggregation label selector for combining ClusterRoles.",
        ),
        list(
            "non-resource-url",
            "A partial url that user should have access to.",
        ),
    ],
])
.changing();

const STANDARD_VERBS: &[&str] = &[
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];

fn rbac(kind: &str, name: &str) -> Value {
    object([
        ("apiVersion", "rbac.authorization.k8s.io/v1".into()),
        ("kind", kind.into()),
        ("metadata", object([("name", name.into())])),
    ])
}

fn role(k: &mut Kubectl, cluster: bool) -> Result {
    let name = k.name_argument()?;
    let mut made = rbac(if cluster { "ClusterRole" } else { "Role" }, &name);
    let aggregation = k.flags.list("aggregation-rule").to_vec();
    let urls = k.flags.list("non-resource-url").to_vec();
    let mut verbs: Vec<String> = Vec::new();
    for verb in k.flags.list("verb") {
        if verb == "*" {
            verbs = vec![verb.clone()];
            break;
        }
        if !verbs.contains(verb) {
            verbs.push(verb.clone());
        }
    }
    if !aggregation.is_empty() {
        let others = ["verb", "resource", "resource-name", "non-resource-url"];
        if others.iter().any(|flag| !k.flags.list(flag).is_empty()) {
            return plain(
                "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
            );
        }
        let mut labels = Value::new_object();
        for pair in &aggregation {
            let Some((key, value)) = pair.split_once('=') else {
                return plain(format!(
                    "invalid argument {} for \"--aggregation-rule\" flag: malformed pair, expect string=string\nSee '{} --help' for usage.",
                    go::quote(&aggregation.join(",")),
                    k.path
                ));
            };
            labels[key] = value.into();
        }
        made["aggregationRule"] = object([(
            "clusterRoleSelectors",
            array([object([("matchLabels", labels)])]),
        )]);
        made["rules"] = Value::Null;
        return k.generate(made, "", "created");
    }
    if verbs.is_empty() {
        return plain("at least one verb must be specified");
    }
    let resources = k.flags.list("resource").to_vec();
    let names = k.flags.list("resource-name").to_vec();
    for verb in verbs.iter().filter(|_| !cluster || !resources.is_empty()) {
        if !STANDARD_VERBS.contains(&verb.as_str()) {
            k.err(format!(
                "Warning: '{verb}' is not a standard resource verb\n"
            ));
        }
    }
    if resources.is_empty() && urls.is_empty() {
        return plain(if cluster {
            "one of resource or nonResourceURL must be specified"
        } else {
            "at least one resource must be specified"
        });
    }
    check_urls(&urls, &verbs)?;
    let mut rules = resource_rules(k, &resources, &verbs, &names)?;
    if !urls.is_empty() {
        rules.push(object([
            ("nonResourceURLs", array(urls)),
            ("verbs", array(verbs)),
        ]));
    }
    made["rules"] = array(rules);
    k.generate(made, "", "created")
}

/// Paths begin with a slash, end with `*` at the most, and have verbs of their own.
fn check_urls(urls: &[String], verbs: &[String]) -> Result {
    const VERBS: [&str; 8] = [
        "*", "get", "post", "put", "delete", "patch", "head", "options",
    ];
    for verb in verbs.iter().filter(|_| !urls.is_empty()) {
        if !VERBS.contains(&verb.as_str()) {
            return plain(format!("invalid verb: '{verb}' for nonResourceURL"));
        }
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return plain("nonResourceURL should start with /");
        }
        if url.trim_end_matches('*').contains('*') {
            return plain("nonResourceURL only supports wildcard matches when '*' is at the end");
        }
    }
    Ok(())
}

/// A rule for each API group.
fn resource_rules(
    k: &Kubectl,
    resources: &[String],
    verbs: &[String],
    names: &[String],
) -> Result<Vec<Value>> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for given in resources {
        let (word, part) = given
            .split_once('/')
            .map_or((given.as_str(), ""), |(w, p)| (w, p));
        if word.is_empty() {
            return plain("resource must be specified if apiGroup/subresource specified");
        }
        let (group, plural) = if word == "*" {
            ("*".to_owned(), "*".to_owned())
        } else {
            let resource = k.mapping(word).map_err(|e| Error::Verbatim(e.text()))?;
            (resource.group.to_string(), resource.plural.to_string())
        };
        let shown = if part.is_empty() {
            plural
        } else {
            format!("{plural}/{part}")
        };
        match groups.iter_mut().find(|(g, _)| *g == group) {
            Some((_, list)) => {
                if !list.contains(&shown) {
                    list.push(shown);
                }
            }
            None => groups.push((group, vec![shown])),
        }
    }
    groups.sort();
    let rule = |(group, list): (String, Vec<String>)| {
        let mut rule = object([
            ("apiGroups", array([group])),
            ("resources", array(list)),
            ("verbs", array(verbs.to_vec())),
        ]);
        if !names.is_empty() {
            rule["resourceNames"] = array(names.to_vec());
        }
        rule
    };
    Ok(groups.into_iter().map(rule).collect())
}

const SUBJECTS: &[Flag] = &[
    text("clusterrole", "ClusterRole this binding should reference"),
    flag("group", Kind::Texts, "", "Groups to bind to the role."),
    flag(
        "serviceaccount",
        Kind::Texts,
        "",
        "Service accounts to bind to the role, in the format <namespace>:<name>.",
    ),
    flag("user", Kind::Texts, "", "Usernames to bind to the role."),
];

pub(crate) const ROLE_BINDING: Command = Command::new("rolebinding", "NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [options]", "Create a role binding for a particular role or cluster role", |k| binding(k, false))
    .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, SUBJECTS, &[text("role", "Role this RoleBinding should reference")]])
    .changing();

pub(crate) const CLUSTER_ROLE_BINDING: Command = Command::new("clusterrolebinding", "NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [options]", "Create a cluster role binding for a particular cluster role", |k| binding(k, true))
    .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, SUBJECTS])
    .changing();

const GROUP: &str = "rbac.authorization.k8s.io";

fn binding(k: &mut Kubectl, cluster: bool) -> Result {
    let name = k.name_argument()?;
    let (role, cluster_role) = (
        k.flags.str("role").to_owned(),
        k.flags.str("clusterrole").to_owned(),
    );
    if cluster && cluster_role.is_empty() {
        return plain("required flag(s) \"clusterrole\" not set");
    }
    if !cluster && role.is_empty() == cluster_role.is_empty() {
        return plain("exactly one of clusterrole or role must be specified");
    }
    let mut subjects = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        for subject in k.flags.list(flag) {
            subjects.push(object([
                ("apiGroup", GROUP.into()),
                ("kind", kind.into()),
                ("name", subject.as_str().into()),
            ]));
        }
    }
    for account in k.flags.list("serviceaccount") {
        let Some((namespace, name)) = account
            .split_once(':')
            .filter(|(ns, n)| !ns.is_empty() && !n.is_empty() && !n.contains(':'))
        else {
            return plain("serviceaccount must be <namespace>:<name>");
        };
        subjects.push(object([
            ("kind", "ServiceAccount".into()),
            ("name", name.into()),
            ("namespace", namespace.into()),
        ]));
    }
    let mut made = rbac(
        if cluster {
            "ClusterRoleBinding"
        } else {
            "RoleBinding"
        },
        &name,
    );
    let (kind, target) = if role.is_empty() {
        ("ClusterRole", cluster_role)
    } else {
        ("Role", role)
    };
    made["roleRef"] = object([
        ("apiGroup", GROUP.into()),
        ("kind", kind.into()),
        ("name", target.into()),
    ]);
    if !subjects.is_empty() {
        made["subjects"] = array(subjects);
    }
    k.generate(
        made,
        if cluster {
            "failed to create clusterrolebinding: "
        } else {
            "failed to create rolebinding: "
        },
        "created",
    )
}

pub(crate) const SERVICE_ACCOUNT: Command = Command::new(
    "serviceaccount",
    "NAME [--dry-run=server|client|none] [options]",
    "Create a service account with the specified name",
    service_account,
)
.flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE])
.aliases(&["sa"])
.changing();

fn service_account(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let made = object([
        ("apiVersion", "v1".into()),
        ("kind", "ServiceAccount".into()),
        ("metadata", object([("name", name.as_str().into())])),
    ]);
    k.generate(made, "failed to create serviceaccount: ", "created")
}
