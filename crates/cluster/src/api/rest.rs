//! The API server's HTTP face: what a program that runs in a pod gets when it asks for
//! `/api/v1/namespaces/default/pods` (apiserver v0.37, `endpoints`).

use std::sync::Arc;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{FieldSelector, ObjectKey, Selector, Text, Value, array, go, object, yaml};

use super::rbac::{Attributes, User};
use super::{Apply, DeleteOptions, Patch, Propagation, Subresource, WriteOptions, fields_match};
use crate::cluster::Cluster;
use crate::event::Component;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// With the query: `/api/v1/pods?limit=5`.
    pub path: &'a str,
    /// The `Authorization` header; empty for none.
    pub authorization: &'a str,
    /// The `Content-Type` header.
    pub content_type: &'a str,
    /// The program's name: `curl`.
    pub agent: &'a str,
    /// What is sent.
    pub body: &'a [u8],
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// What is sent back.
    pub body: String,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What a path of the API means.
struct Target {
    resource: Arc<Resource>,
    namespace: String,
    /// Empty for a list.
    name: String,
    subresource: String,
}

impl Cluster {
    /// Answers a request that came over the network.
    pub fn answer(&mut self, by: &Component, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let answer = self.user_of(request).and_then(|user| {
            if path.starts_with("/api/v1/")
                || path.starts_with("/apis/") && path.matches('/').count() > 3
            {
                self.answer_for_resource(by, request, &user, path, query)
            } else {
                self.answer_for_path(request, &user, path)
            }
        });
        answer.unwrap_or_else(|status| Answer {
            code: status.code,
            content_type: JSON,
            body: printed(&status.to_value(), request.agent),
        })
    }

    fn user_of(&self, request: &Request) -> Result<User, Status> {
        match request.authorization.strip_prefix("Bearer ") {
            Some(token) => self.authenticate(token).ok_or_else(Status::unauthorized),
            None => Ok(User::anonymous()),
        }
    }

    fn answer_for_path(
        &self,
        request: &Request,
        user: &User,
        path: &str,
    ) -> Result<Answer, Status> {
        self.authorize(
            user,
            &Attributes {
                verb: &request.method.to_ascii_lowercase(),
                path,
                ..Attributes::default()
            },
        )?;
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let document = match parts[..] {
            ["healthz" | "livez" | "readyz"] => {
                return Ok(Answer {
                    code: 200,
                    content_type: TEXT,
                    body: "ok".to_owned(),
                });
            }
            [] => {
                let mut paths: Vec<Value> = vec!["/api".into(), "/api/v1".into(), "/apis".into()];
                for (group, versions) in self.groups() {
                    paths.push(format!("/apis/{group}").into());
                    paths.extend(versions.iter().map(|v| format!("/apis/{v}").into()));
                }
                paths.extend(["/healthz", "/livez", "/readyz", "/version"].map(Value::from));
                object([("paths", paths.into())])
            }
            ["api"] => object([("kind", "APIVersions".into()), ("versions", array(["v1"]))]),
            ["api", "v1"] => self.resource_list("v1")?,
            ["apis"] => {
                let groups = self.groups().into_iter().map(|(name, v)| group(&name, &v));
                object([
                    ("apiVersion", "v1".into()),
                    ("groups", array(groups)),
                    ("kind", "APIGroupList".into()),
                ])
            }
            ["apis", name] => {
                let found = self.groups().into_iter().find(|(group, _)| group == name);
                let (name, versions) = found.ok_or_else(Status::no_such_resource)?;
                let mut group = group(&name, &versions);
                group["apiVersion"] = "v1".into();
                group["kind"] = "APIGroup".into();
                group
            }
            ["apis", group, version] => self.resource_list(&format!("{group}/{version}"))?,
            _ => return Err(Status::no_such_resource()),
        };
        Ok(Answer {
            code: 200,
            content_type: JSON,
            body: printed(&document, request.agent),
        })
    }

    /// The API groups with their group versions.
    fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for resource in self.resources().iter().filter(|r| !r.group.is_empty()) {
            let version = resource.api_version();
            match groups
                .iter_mut()
                .find(|(name, _)| **name == *resource.group)
            {
                Some((_, versions)) if versions.contains(&version) => {}
                Some((_, versions)) => versions.push(version),
                None => groups.push((resource.group.to_string(), vec![version])),
            }
        }
        groups
    }

    fn resource_list(&self, api_version: &str) -> Result<Value, Status> {
        let mut resources = Vec::new();
        for r in self
            .resources()
            .iter()
            .filter(|r| r.api_version() == api_version)
        {
            let mut entry = object([
                ("kind", (&r.kind).into()),
                ("name", (&r.plural).into()),
                ("namespaced", r.namespaced.into()),
                ("singularName", (&r.singular).into()),
                ("verbs", array(r.verbs.iter())),
            ]);
            if !r.short_names.is_empty() {
                entry["shortNames"] = array(r.short_names.iter());
            }
            if !r.categories.is_empty() {
                entry["categories"] = array(r.categories.iter());
            }
            resources.push(entry);
            resources.extend(r.subresources.iter().map(|sub| {
                object([
                    ("kind", (&sub.kind).into()),
                    ("name", format!("{}/{}", r.plural, sub.name).into()),
                    ("namespaced", r.namespaced.into()),
                    ("singularName", "".into()),
                    ("verbs", array(sub.verbs.iter())),
                ])
            }));
        }
        if resources.is_empty() {
            return Err(Status::no_such_resource());
        }
        Ok(object([
            ("apiVersion", "v1".into()),
            ("groupVersion", api_version.into()),
            ("kind", "APIResourceList".into()),
            ("resources", resources.into()),
        ]))
    }

    fn target(&self, path: &str) -> Result<Target, Status> {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let (api_version, rest) = match parts[..] {
            ["api", version, ref rest @ ..] => (version.to_owned(), rest),
            ["apis", group, version, ref rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return Err(Status::no_such_resource()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", name, rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
                (*name, rest)
            }
            rest => ("", rest),
        };
        let (plural, rest) = rest.split_first().ok_or_else(Status::no_such_resource)?;
        let all = self.resources();
        let mut found = all.into_iter();
        let resource = found
            .find(|r| r.api_version() == api_version && *r.plural == **plural)
            .ok_or_else(Status::no_such_resource)?;
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, sub] if resource.subresource(sub).is_some() => (*name, *sub),
            _ => return Err(Status::no_such_resource()),
        };
        Ok(Target {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    fn answer_for_resource(
        &mut self,
        by: &Component,
        request: &Request,
        user: &User,
        path: &str,
        query: &str,
    ) -> Result<Answer, Status> {
        let target = self.target(path)?;
        let resource = target.resource.clone();
        let verb = match (request.method, target.name.is_empty()) {
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => return Err(Status::method_not_allowed(&resource.id(), request.method)),
        };
        let namespace = match &*resource.id() {
            "namespaces" => &target.name,
            _ => &target.namespace,
        };
        self.authorize(
            user,
            &Attributes {
                verb,
                group: &resource.group,
                resource: &resource.plural,
                subresource: &target.subresource,
                namespace,
                name: &target.name,
                path: "",
            },
        )?;
        let key = ObjectKey::new(
            resource.id(),
            target.namespace.as_str(),
            target.name.as_str(),
        );
        let body = || -> Result<Value, Status> {
            let text = String::from_utf8_lossy(request.body);
            let mut documents =
                yaml::parse(&text).map_err(|error| Status::bad_request(error.to_string()))?;
            match documents.is_empty() {
                true => Ok(Value::Null),
                false => Ok(documents.remove(0).value),
            }
        };
        match (target.subresource.as_str(), verb) {
            ("eviction", "create") => {
                let options = delete_options(&body()?["deleteOptions"], query);
                self.evict(by, &key, &options)?;
                let done = object([
                    ("apiVersion", "v1".into()),
                    ("kind", "Status".into()),
                    ("metadata", Value::new_object()),
                    ("status", "Success".into()),
                ]);
                return Ok(ok(201, &done, request.agent));
            }
            ("scale", _) => return self.answer_for_scale(by, request, &target, user, &body()?),
            _ => {}
        }
        let part = match target.subresource.as_str() {
            "" => Subresource::None,
            "status" => Subresource::Status,
            "resize" => Subresource::Resize,
            "ephemeralcontainers" => Subresource::EphemeralContainers,
            other => {
                return Err(Status::unnamed(format!(
                    "{}/{other} over HTTP is not simulated yet",
                    resource.plural
                )));
            }
        };
        let options = WriteOptions {
            strict: true,
            namespace: resource
                .namespaced
                .then(|| Text::from(target.namespace.as_str())),
            user: Some(user.clone()),
            manager: Some(request.agent.into()),
            ..WriteOptions::default()
        };
        let (code, object) = match verb {
            "list" => (200, self.list_document(&target, query)?),
            "get" => (200, self.get(&key)?.clone()),
            "create" => match review(self, user, &resource, &body()?) {
                Some(reviewed) => (201, reviewed),
                None => (201, self.create_with(by, body()?, &options)?),
            },
            "update" => (200, self.update_with(by, body()?, part, &options)?),
            "patch" => {
                let patch = match request.content_type.split(';').next().unwrap_or("") {
                    "application/json-patch+json" => Patch::Json(body()?),
                    "application/merge-patch+json" => Patch::Merge(body()?),
                    "application/strategic-merge-patch+json" => Patch::Strategic(body()?),
                    "application/apply-patch+yaml" => {
                        let apply = Apply {
                            config: body()?,
                            force: parameter(query, "force") == "true",
                        };
                        let manager = parameter(query, "fieldManager");
                        if manager.is_empty() {
                            return Err(Status::bad_request(
                                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                            ));
                        }
                        let options = WriteOptions {
                            manager: Some(manager.into()),
                            ..options
                        };
                        let object =
                            self.server_side_apply(by, &resource, &apply, part, &options)?;
                        return Ok(ok(200, &object, request.agent));
                    }
                    other => {
                        return Err(Status::unsupported_media_type(format!(
                            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml, not {other}"
                        )));
                    }
                };
                (200, self.patch(by, &key, &patch, part, &options)?)
            }
            "delete" => {
                let options = delete_options(&body()?, query);
                let last = self.delete(by, &key, &options)?;
                match self.etcd.get(&key) {
                    Some(_) => (200, last),
                    None => (200, deleted(&resource, &last)),
                }
            }
            _ => {
                let options = delete_options(&body()?, query);
                let list = self.list_document(&target, query)?;
                for item in list["items"].items() {
                    let metadata = &item["metadata"];
                    let at = metadata["namespace"].text();
                    let key = ObjectKey::new(resource.id(), at, metadata["name"].text());
                    self.delete(by, &key, &options)?;
                }
                (200, list)
            }
        };
        Ok(ok(code, &object, request.agent))
    }

    /// The scale subresource: how many replicas there are to be, whatever the object is.
    fn answer_for_scale(
        &mut self,
        by: &Component,
        request: &Request,
        target: &Target,
        user: &User,
        body: &Value,
    ) -> Result<Answer, Status> {
        let resource = &target.resource;
        let key = ObjectKey::new(
            resource.id(),
            target.namespace.as_str(),
            target.name.as_str(),
        );
        let now = self.get(&key)?.clone();
        let wanted = match request.method {
            "PUT" | "PATCH" => body["spec"]["replicas"].as_i64().unwrap_or(0),
            _ => return Ok(ok(200, &scale(&now), request.agent)),
        };
        let change = object([("spec", object([("replicas", wanted.into())]))]);
        let options = WriteOptions {
            strict: true,
            user: Some(user.clone()),
            manager: Some(request.agent.into()),
            ..WriteOptions::default()
        };
        let patch = Patch::Merge(change);
        let made = self.patch(by, &key, &patch, Subresource::None, &options)?;
        Ok(ok(200, &scale(&made), request.agent))
    }

    /// A list as it is sent: selected, in pieces where `limit` asks for that.
    fn list_document(&self, target: &Target, query: &str) -> Result<Value, Status> {
        let resource = &target.resource;
        let bad = |error: String| Status::bad_request(error);
        let labels =
            Selector::parse(&parameter(query, "labelSelector")).map_err(|e| bad(e.to_string()))?;
        let fields = FieldSelector::parse(&parameter(query, "fieldSelector"))
            .map_err(|e| bad(e.to_string()))?;
        for (field, _, _) in &fields.terms {
            if !self.is_selectable(resource, field) {
                return Err(bad(format!("field label not supported: {field}")));
            }
        }
        // Objects of a definition have no type that their list's would say already.
        let typed = !self.is_custom(resource);
        let limit: usize = parameter(query, "limit").parse().unwrap_or(0);
        let after = parameter(query, "continue");
        let namespace = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
        let id = resource.id();
        let mut items = Vec::new();
        let mut rest = String::new();
        let mut left = 0;
        for (key, object) in self.etcd.list(&id, namespace) {
            let place = format!("{}/{}", key.namespace, key.name);
            if !after.is_empty() && place <= after {
                continue;
            }
            if !labels.matches(&object["metadata"]["labels"]) || !fields_match(&fields, object) {
                continue;
            }
            if limit > 0 && items.len() == limit {
                left += 1;
                continue;
            }
            let mut item = object.clone();
            if typed {
                item.remove(&["apiVersion"]);
                item.remove(&["kind"]);
            }
            items.push(item);
            rest = place;
        }
        let mut metadata = object([("resourceVersion", self.etcd.revision().to_string().into())]);
        if left > 0 {
            metadata["continue"] = rest.into();
            metadata["remainingItemCount"] = Value::from(left);
        }
        Ok(object([
            ("apiVersion", resource.api_version().into()),
            ("items", items.into()),
            ("kind", format!("{}List", resource.kind).into()),
            ("metadata", metadata),
        ]))
    }
}

/// The scale of an object (`autoscaling/v1`).
fn scale(o: &Value) -> Value {
    let mut metadata = Value::new_object();
    for field in [
        "creationTimestamp",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    ] {
        metadata[field] = o["metadata"][field].clone();
    }
    let number = |part: &str| Value::from(o[part]["replicas"].as_i64().unwrap_or(0));
    let selector = match o["kind"].str() {
        "ReplicationController" => Some(Selector::from_map(&o["spec"]["selector"])),
        _ => Selector::from_label_selector(&o["spec"]["selector"]).ok(),
    };
    let selector = selector.map_or(String::new(), |s| s.to_string());
    object([
        ("apiVersion", "autoscaling/v1".into()),
        ("kind", "Scale".into()),
        ("metadata", metadata),
        ("spec", object([("replicas", number("spec"))])),
        (
            "status",
            object([
                ("replicas", number("status")),
                ("selector", selector.into()),
            ]),
        ),
    ])
}

fn group(name: &str, versions: &[String]) -> Value {
    let version = |v: &String| {
        let number = v.rsplit('/').next().unwrap_or(v);
        object([
            ("groupVersion", v.as_str().into()),
            ("version", number.into()),
        ])
    };
    object([
        ("name", name.into()),
        ("preferredVersion", versions.first().map(version).into()),
        ("versions", array(versions.iter().map(version))),
    ])
}

/// Reviews are answered, not stored.
fn review(cluster: &Cluster, user: &User, resource: &Resource, body: &Value) -> Option<Value> {
    let mut answer = body.clone();
    match &*resource.plural {
        "selfsubjectreviews" => {
            let mut info = object([
                ("groups", array(user.groups.iter().map(String::as_str))),
                ("username", user.name.as_str().into()),
            ]);
            if !user.uid.is_empty() {
                info["uid"] = user.uid.as_str().into();
            }
            answer["status"] = object([("userInfo", info)]);
        }
        "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let spec = &body["spec"];
            let other = User {
                name: spec["user"].str().to_owned(),
                uid: spec["uid"].str().to_owned(),
                groups: spec["groups"]
                    .items()
                    .iter()
                    .map(|g| g.str().to_owned())
                    .collect(),
            };
            let own = resource.plural.starts_with("self");
            let of = &spec["resourceAttributes"];
            let decision = cluster.decide(
                if own { user } else { &other },
                &Attributes {
                    verb: match of["verb"].str() {
                        "" => spec["nonResourceAttributes"]["verb"].str(),
                        verb => verb,
                    },
                    group: of["group"].str(),
                    resource: of["resource"].str(),
                    subresource: of["subresource"].str(),
                    namespace: of["namespace"].str(),
                    name: of["name"].str(),
                    path: spec["nonResourceAttributes"]["path"].str(),
                },
            );
            answer["status"] = object([("allowed", decision.allowed.into())]);
            if !decision.reason.is_empty() {
                answer["status"]["reason"] = decision.reason.into();
            }
        }
        "tokenreviews" => {
            answer["status"] = match cluster.authenticate(body["spec"]["token"].str()) {
                Some(found) => object([
                    ("authenticated", true.into()),
                    (
                        "user",
                        object([
                            ("groups", array(found.groups.iter().map(String::as_str))),
                            ("uid", found.uid.as_str().into()),
                            ("username", found.name.as_str().into()),
                        ]),
                    ),
                ]),
                None => object([
                    ("error", "invalid bearer token".into()),
                    ("user", Value::new_object()),
                ]),
            };
        }
        _ => return None,
    }
    Some(answer)
}

fn delete_options(body: &Value, query: &str) -> DeleteOptions {
    let asked = |name: &str| match &body[name] {
        Value::Null => Value::from(parameter(query, name)),
        given => given.clone(),
    };
    let grace = asked("gracePeriodSeconds");
    DeleteOptions {
        grace_seconds: grace.as_i64().or_else(|| grace.str().parse().ok()),
        propagation: match asked("propagationPolicy").str() {
            "Orphan" => Propagation::Orphan,
            "Foreground" => Propagation::Foreground,
            _ => Propagation::Background,
        },
        uid: body["preconditions"]["uid"].as_str().map(Text::from),
        ..DeleteOptions::default()
    }
}

fn deleted(resource: &Resource, last: &Value) -> Value {
    let mut details = object([
        ("kind", (&resource.plural).into()),
        ("name", last["metadata"]["name"].clone()),
        ("uid", last["metadata"]["uid"].clone()),
    ]);
    if !resource.group.is_empty() {
        details["group"] = (&resource.group).into();
    }
    object([
        ("apiVersion", "v1".into()),
        ("details", details),
        ("kind", "Status".into()),
        ("metadata", Value::new_object()),
        ("status", "Success".into()),
    ])
}

fn ok(code: u16, object: &Value, agent: &str) -> Answer {
    Answer {
        code,
        content_type: JSON,
        body: printed(object, agent),
    }
}

/// A document as it is sent: with indents to those who read it themselves, `kind` first.
fn printed(document: &Value, agent: &str) -> String {
    let pretty = ["curl", "Wget", "Mozilla"]
        .iter()
        .any(|a| agent.starts_with(a));
    let first = ["kind", "apiVersion", "metadata"];
    let all = document.entries();
    let known = first
        .iter()
        .filter_map(|f| all.iter().find(|(k, _)| **k == **f));
    let rest = all.iter().filter(|(k, _)| !first.contains(&&**k));
    let fields: Vec<String> = known
        .chain(rest)
        .map(|(k, v)| {
            let name = go::json(&k.into());
            if pretty {
                let value = go::json_indent(v, "  ").replace('\n', "\n  ");
                format!("  {name}: {value}")
            } else {
                format!("{name}:{}", go::json(v))
            }
        })
        .collect();
    if pretty {
        format!("{{\n{}\n}}", fields.join(",\n"))
    } else {
        format!("{{{}}}\n", fields.join(","))
    }
}

/// A parameter of a query, unescaped; empty where it is not given.
fn parameter(query: &str, name: &str) -> String {
    let found = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name);
    let Some((_, value)) = found else {
        return String::new();
    };
    let mut out = Vec::new();
    let bytes = value.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
