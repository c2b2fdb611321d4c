//! Who may do what: users, and the RBAC authorizer (kubernetes v1.37,
//! `plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac`).

mod approval;
pub(crate) mod bootstrap;
mod escalation;
mod rules;
mod token;

pub(super) use approval::check as check_approval;
pub(super) use escalation::check as check_escalation;
pub use rules::{breakdown, compact, go_rule, go_strings};

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Text, Value, go};

use crate::cluster::Cluster;

/// Members may do everything; no rule is looked at.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const ACCOUNT: &str = "system:serviceaccount:";

/// Who makes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `kubernetes-admin`, `system:serviceaccount:default:robot`
    pub name: String,
    /// Empty where the authenticator knows none.
    pub uid: String,
    /// The groups, `system:authenticated` among them.
    pub groups: Vec<String>,
}

impl User {
    /// The administrator whose certificate the kubeconfig holds.
    pub fn admin() -> User {
        User {
            name: "kubernetes-admin".to_owned(),
            uid: "admin".to_owned(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
        }
    }

    /// Somebody without credentials.
    pub fn anonymous() -> User {
        User {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> User {
        User::impersonated(&format!("{ACCOUNT}{namespace}:{name}"), "", &[])
    }

    /// Whom `--as` and `--as-group` name (apiserver v0.37, `endpoints/filters/impersonation`).
    pub fn impersonated(name: &str, uid: &str, groups: &[String]) -> User {
        let mut groups = groups.to_vec();
        let account = name
            .strip_prefix(ACCOUNT)
            .and_then(|rest| rest.split_once(':'));
        if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        let kind = if name == "system:anonymous" {
            "system:unauthenticated"
        } else {
            AUTHENTICATED
        };
        if !groups
            .iter()
            .any(|g| g == AUTHENTICATED || g == "system:unauthenticated")
        {
            groups.push(kind.to_owned());
        }
        User {
            name: name.to_owned(),
            uid: uid.to_owned(),
            groups,
        }
    }

    fn is_master(&self) -> bool {
        self.groups.iter().any(|g| g == MASTERS)
    }

    /// Whether a binding's subject means this user; `namespace` is the binding's.
    fn is(&self, subject: &Value, namespace: &str) -> bool {
        let name = subject["name"].str();
        match subject["kind"].str() {
            "User" => self.name == name,
            "Group" => self.groups.iter().any(|g| g == name),
            "ServiceAccount" => {
                let own = subject["namespace"].str();
                let namespace = if own.is_empty() { namespace } else { own };
                let rest = self.name.strip_prefix(ACCOUNT);
                rest.and_then(|r| r.split_once(':')) == Some((namespace, name))
            }
            _ => false,
        }
    }
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// `get`, `list`, `create`, …
    pub verb: &'a str,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural: `deployments`; empty for a request that is not for a resource.
    pub resource: &'a str,
    /// `log`, `scale`; empty for none.
    pub subresource: &'a str,
    /// Empty at the cluster scope.
    pub namespace: &'a str,
    /// Empty where the request names no object.
    pub name: &'a str,
    /// The path of a request that is not for a resource: `/healthz`.
    pub path: &'a str,
}

impl Attributes<'_> {
    /// `pods/log`
    fn combined(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            sub => format!("{}/{sub}", self.resource),
        }
    }

    fn allowed_by(&self, rule: &Value) -> bool {
        let has = |list: &str, wanted: &str| {
            let items = rule[list].items();
            items
                .iter()
                .any(|v| matches!(v.str(), "*") || v.str() == wanted)
        };
        if !has("verbs", self.verb) {
            return false;
        }
        if self.resource.is_empty() {
            return rule["nonResourceURLs"]
                .items()
                .iter()
                .any(|url| rules::url_covers(url.str(), self.path));
        }
        let combined = self.combined();
        let of_subresource = || {
            rule["resources"].items().iter().any(|r| {
                !self.subresource.is_empty() && r.str().strip_prefix("*/") == Some(self.subresource)
            })
        };
        let names = rule["resourceNames"].items();
        has("apiGroups", self.group)
            && (has("resources", &combined) || of_subresource())
            && (names.is_empty() || names.iter().any(|n| n.str() == self.name))
    }

    /// What the API server answers when it is not allowed (`responsewriters.Forbidden`).
    fn forbidden(&self, user: &User, reason: &str) -> Status {
        let (who, verb) = (go::quote(&user.name), self.verb);
        let text = if self.resource.is_empty() {
            format!("User {who} cannot {verb} path {}", go::quote(self.path))
        } else {
            let scope = match self.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {}", go::quote(namespace)),
            };
            format!(
                "User {who} cannot {verb} resource {} in API group {} {scope}",
                go::quote(&self.combined()),
                go::quote(self.group)
            )
        };
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let text = match reason {
            "" => text,
            reason => format!("{text}: {reason}"),
        };
        let id = match self.group {
            "" => self.resource.to_owned(),
            group => format!("{}.{group}", self.resource),
        };
        Status::forbidden(&id, self.name, &text)
    }
}

/// The answer of the authorizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether somebody allows it.
    pub allowed: bool,
    /// Why not, where bindings could not be read: `rbac: RBAC: …`; or by what, where it is allowed.
    pub reason: String,
}

impl Cluster {
    /// Whether a user may do something, and why (not).
    pub fn decide(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.is_master() {
            return Decision {
                allowed: true,
                reason: String::new(),
            };
        }
        let mut errors = Vec::new();
        for (binding, rules) in self.bindings_of(user, attributes.namespace) {
            match rules {
                Ok(rules) => {
                    if rules.iter().any(|rule| attributes.allowed_by(rule)) {
                        return Decision {
                            allowed: true,
                            reason: format!("RBAC: allowed by {}", described(binding, user)),
                        };
                    }
                }
                Err(why) => errors.push(why),
            }
        }
        // Of an authorizer that has no opinion the union of all says whose reason it is.
        let reason = match &errors[..] {
            [] => String::new(),
            [one] => format!("rbac: RBAC: {one}"),
            many => format!("rbac: RBAC: [{}]", many.join(", ")),
        };
        Decision {
            allowed: false,
            reason,
        }
    }

    /// Lets a request pass, or answers it with 403 Forbidden.
    ///
    /// # Errors
    /// 403, in the API server's words.
    pub fn authorize(&self, user: &User, attributes: &Attributes) -> Result<(), Status> {
        let decision = self.decide(user, attributes);
        if decision.allowed {
            return Ok(());
        }
        Err(attributes.forbidden(user, &decision.reason))
    }

    /// All rules that a user has in a namespace (and everywhere).
    pub fn rules_for(&self, user: &User, namespace: &str) -> Vec<Value> {
        self.bindings_of(user, namespace)
            .filter_map(|(_, rules)| rules.ok())
            .flatten()
            .cloned()
            .collect()
    }

    /// The bindings of a user with the rules that they give, cluster-wide ones first.
    fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Value, Result<&'a [Value], String>)> {
        let everywhere = self
            .etcd
            .list("clusterrolebindings.rbac.authorization.k8s.io", None);
        let here = (!namespace.is_empty()).then(|| {
            self.etcd
                .list("rolebindings.rbac.authorization.k8s.io", Some(namespace))
        });
        everywhere
            .chain(here.into_iter().flatten())
            .map(|(_, binding)| binding)
            .filter(move |binding| {
                let at = binding["metadata"]["namespace"].str();
                let subjects = binding["subjects"].items();
                subjects.iter().any(|subject| user.is(subject, at))
            })
            .map(|binding| {
                let at = binding["metadata"]["namespace"].str();
                (binding, self.referenced_rules(&binding["roleRef"], at))
            })
    }

    /// The rules of the role that a binding refers to.
    fn referenced_rules(&self, reference: &Value, namespace: &str) -> Result<&[Value], String> {
        let name = reference["name"].str();
        let (word, key) = match reference["kind"].str() {
            "Role" => (
                "role",
                ObjectKey::new("roles.rbac.authorization.k8s.io", namespace, name),
            ),
            "ClusterRole" => (
                "clusterrole",
                ObjectKey::new("clusterroles.rbac.authorization.k8s.io", "", name),
            ),
            other => {
                return Err(format!(
                    "unsupported role reference kind: {}",
                    go::quote(other)
                ));
            }
        };
        match self.etcd.get(&key) {
            Some(role) => Ok(role["rules"].items()),
            None => Err(format!(
                "{word}.rbac.authorization.k8s.io {} not found",
                go::quote(name)
            )),
        }
    }
}

/// `ClusterRoleBinding "view-all" of ClusterRole "view" to User "eve"`
fn described(binding: &Value, user: &User) -> String {
    let at = binding["metadata"]["namespace"].str();
    let name = binding["metadata"]["name"].str();
    let (kind, shown) = match at {
        "" => ("ClusterRoleBinding", name.to_owned()),
        at => ("RoleBinding", format!("{name}/{at}")),
    };
    let subject = binding["subjects"].items().iter().find(|s| user.is(s, at));
    let subject = subject.map_or(Text::from(""), |s| match s["kind"].str() {
        "ServiceAccount" => {
            let own = s["namespace"].str();
            let namespace = if own.is_empty() { at } else { own };
            let name = format!("{}/{namespace}", s["name"].str());
            format!("ServiceAccount {}", go::quote(&name)).into()
        }
        kind => format!("{kind} {}", go::quote(s["name"].str())).into(),
    });
    format!(
        "{kind} {} of {} {} to {subject}",
        go::quote(&shown),
        binding["roleRef"]["kind"].str(),
        go::quote(binding["roleRef"]["name"].str()),
    )
}
