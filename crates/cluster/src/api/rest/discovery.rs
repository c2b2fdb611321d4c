//! Discovery: what the API server serves (apiserver v0.37, `endpoints/discovery`), in pieces or
//! aggregated (KEP-3352).

use kubarium_objects::schema::{Resource, Subresource};
use kubarium_objects::status::Status;
use kubarium_objects::{array, go, object};
use sha2::{Digest, Sha256};

use super::super::aggregation::GROUPS;
use super::wire::Json;
use super::{Answer, health};
use crate::cluster::Cluster;

/// A group with its versions, the preferred one first.
struct Group {
    name: String,
    versions: Vec<String>,
}

impl Group {
    fn version(&self, version: &String) -> Json {
        Json::object([
            ("groupVersion", format!("{}/{version}", self.name).into()),
            ("version", version.as_str().into()),
        ])
    }

    fn document(&self, alone: bool) -> Json {
        let mut document = Json::object([]);
        if alone {
            document.push("kind", "APIGroup".into());
            document.push("apiVersion", "v1".into());
        }
        let versions = self.versions.iter().map(|v| self.version(v)).collect();
        document.push("name", self.name.as_str().into());
        document.push("versions", Json::Array(versions));
        if let Some(preferred) = self.versions.first() {
            document.push("preferredVersion", self.version(preferred));
        }
        document
    }
}

impl Cluster {
    /// The named groups in the order in which they are preferred.
    fn groups(&self) -> Vec<Group> {
        let mut found: Vec<Group> = Vec::new();
        for r in self.resources().iter().filter(|r| !r.group.is_empty()) {
            let at = match found.iter().position(|g| *g.name == *r.group) {
                Some(at) => at,
                None => {
                    found.push(Group {
                        name: r.group.to_string(),
                        versions: Vec::new(),
                    });
                    found.len() - 1
                }
            };
            let versions = &mut found[at].versions;
            if !versions.iter().any(|v| **v == *r.version) {
                versions.push(r.version.to_string());
            }
        }
        let place = |group: &Group| GROUPS.iter().position(|(g, _)| *g == group.name);
        found.sort_by_key(|group| place(group).unwrap_or(GROUPS.len()));
        found
    }

    /// What is served under a path of discovery; `None` for another path.
    pub(super) fn discovery(&self, parts: &[&str], accept: &str) -> Option<Result<Json, Status>> {
        let found = match *parts {
            ["api"] if wants_aggregated(accept) => self.aggregated(true),
            ["apis"] if wants_aggregated(accept) => self.aggregated(false),
            ["api"] => Json::object([
                ("kind", "APIVersions".into()),
                ("versions", Json::texts(&["v1"])),
                ("serverAddressByClientCIDRs", self.server_address()),
            ]),
            ["apis"] => {
                let groups = self.groups();
                let all = groups.iter().map(|group| group.document(false)).collect();
                Json::object([
                    ("kind", "APIGroupList".into()),
                    ("apiVersion", "v1".into()),
                    ("groups", Json::Array(all)),
                ])
            }
            ["apis", name] => match self.groups().iter().find(|group| group.name == name) {
                Some(group) => group.document(true),
                None => return Some(Err(Status::no_such_resource())),
            },
            ["api", "v1"] => return Some(self.resource_list("v1")),
            ["apis", group, version] => {
                return Some(self.resource_list(&format!("{group}/{version}")));
            }
            _ => return None,
        };
        Some(Ok(found))
    }

    fn server_address(&self) -> Json {
        let server = self.control_planes().next();
        let machine = server.and_then(|name| self.machines.get(name));
        let address = machine.map_or(String::new(), |m| format!("{}:6443", m.address));
        Json::Array(vec![Json::object([
            ("clientCIDR", "0.0.0.0/0".into()),
            ("serverAddress", address.into()),
        ])])
    }

    /// `/`: the paths there are.
    pub(super) fn paths(&self) -> Answer {
        let fixed = [
            "/.well-known/openid-configuration",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/flagz",
            "/metrics",
            "/metrics/slis",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/",
            "/openid/v1/jwks",
            "/statusz",
            "/version",
        ];
        let mut paths: Vec<String> = fixed.map(str::to_owned).into();
        for group in self.groups() {
            let name = &group.name;
            paths.push(format!("/apis/{name}"));
            paths.extend(group.versions.iter().map(|v| format!("/apis/{name}/{v}")));
        }
        for kind in ["healthz", "livez", "readyz"] {
            paths.push(format!("/{kind}"));
            paths.extend(health::checks(kind).iter().map(|c| format!("/{kind}/{c}")));
        }
        paths.sort();
        let document = object([("paths", array(paths))]);
        Answer::new(200, go::json_indent(&document, "  "))
    }

    fn resource_list(&self, api_version: &str) -> Result<Json, Status> {
        let mut resources = Vec::new();
        for r in self.resources() {
            if r.api_version() != api_version {
                continue;
            }
            resources.push(entry(&r));
            resources.extend(r.subresources.iter().map(|sub| part(&r, sub)));
        }
        if resources.is_empty() {
            return Err(Status::no_such_resource());
        }
        let mut list = Json::object([("kind", "APIResourceList".into())]);
        if api_version != "v1" {
            list.push("apiVersion", "v1".into());
        }
        list.push("groupVersion", api_version.into());
        list.push("resources", Json::Array(resources));
        Ok(list)
    }

    /// All of `/api` or `/apis` in one answer.
    fn aggregated(&self, core: bool) -> Json {
        let groups = match core {
            true => vec![Group {
                name: String::new(),
                versions: vec!["v1".to_owned()],
            }],
            false => self.groups(),
        };
        let all = self.resources();
        let items = groups.iter().map(|group| {
            let versions = group.versions.iter().map(|version| {
                let of = all
                    .iter()
                    .filter(|r| *r.group == group.name && *r.version == **version);
                Json::object([
                    ("version", version.as_str().into()),
                    ("resources", Json::Array(of.map(|r| aggregate(r)).collect())),
                    ("freshness", "Current".into()),
                ])
            });
            let metadata = match core {
                true => Json::object([("creationTimestamp", kubarium_objects::Value::Null.into())]),
                false => Json::object([
                    ("name", group.name.as_str().into()),
                    ("creationTimestamp", kubarium_objects::Value::Null.into()),
                ]),
            };
            Json::object([
                ("metadata", metadata),
                ("versions", Json::Array(versions.collect())),
            ])
        });
        Json::object([
            ("kind", "APIGroupDiscoveryList".into()),
            ("apiVersion", "apidiscovery.k8s.io/v2".into()),
            ("metadata", Json::object([])),
            ("items", Json::Array(items.collect())),
        ])
    }
}

/// Whether a client asks for aggregated discovery first.
fn wants_aggregated(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or("");
    let has = |part: &str| first.split(';').any(|p| p.trim() == part);
    has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
}

/// A resource in its group version's list.
fn entry(r: &Resource) -> Json {
    let mut entry = Json::object([
        ("name", (&r.plural).into()),
        ("singularName", (&r.singular).into()),
        ("namespaced", r.namespaced.into()),
        ("kind", (&r.kind).into()),
        ("verbs", Json::texts(&r.verbs)),
    ]);
    if !r.short_names.is_empty() {
        entry.push("shortNames", Json::texts(&r.short_names));
    }
    if !r.categories.is_empty() {
        entry.push("categories", Json::texts(&r.categories));
    }
    if r.has_verb("watch") {
        let hashed = Sha256::digest(format!("{}/{}/{}", r.group, r.version, r.kind));
        let hash = kubarium_objects::base64::encode(&hashed[..8]);
        entry.push("storageVersionHash", hash.into());
    }
    entry
}

/// A subresource in its group version's list.
fn part(r: &Resource, sub: &Subresource) -> Json {
    let mut entry = Json::object([
        ("name", format!("{}/{}", r.plural, sub.name).into()),
        ("singularName", "".into()),
        ("namespaced", r.namespaced.into()),
    ]);
    if *sub.api_version != r.api_version()
        && let Some((group, version)) = sub.api_version.split_once('/')
    {
        entry.push("group", group.into());
        entry.push("version", version.into());
    }
    entry.push("kind", (&sub.kind).into());
    entry.push("verbs", Json::texts(&sub.verbs));
    entry
}

/// A resource in aggregated discovery.
fn aggregate(r: &Resource) -> Json {
    let kind = |api_version: &str, kind: &str| {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Json::object([
            ("group", group.into()),
            ("version", version.into()),
            ("kind", kind.into()),
        ])
    };
    let mut entry = Json::object([
        ("resource", (&r.plural).into()),
        ("responseKind", kind(&r.api_version(), &r.kind)),
        (
            "scope",
            if r.namespaced {
                "Namespaced"
            } else {
                "Cluster"
            }
            .into(),
        ),
        ("singularResource", (&r.singular).into()),
        ("verbs", Json::texts(&r.verbs)),
    ]);
    if !r.short_names.is_empty() {
        entry.push("shortNames", Json::texts(&r.short_names));
    }
    if !r.categories.is_empty() {
        entry.push("categories", Json::texts(&r.categories));
    }
    let parts = r.subresources.iter().map(|sub| {
        Json::object([
            ("subresource", (&sub.name).into()),
            ("responseKind", kind(&sub.api_version, &sub.kind)),
            ("verbs", Json::texts(&sub.verbs)),
        ])
    });
    if !r.subresources.is_empty() {
        entry.push("subresources", Json::Array(parts.collect()));
    }
    entry
}
