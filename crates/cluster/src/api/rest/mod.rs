//! The API server's HTTP face: what a program that runs in a pod gets when it asks for
//! `/api/v1/namespaces/default/pods`, and `kubectl get --raw` (apiserver v0.37, `endpoints`).

mod discovery;
mod form;
mod health;
mod list;
mod openapi;
mod parts;
mod proxy;
mod reviews;
mod stream;
mod wire;

use std::sync::Arc;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{FieldError, ObjectKey, Text, Value, go, yaml};

pub use health::VERSION;
pub use proxy::as_status;
pub use stream::Stream;

use form::Form;
use wire::{Json, Query};

use super::rbac::{Attributes, User};
use super::{Apply, DeleteOptions, Patch, Propagation, Subresource, WriteOptions};
use crate::cluster::Cluster;
use crate::event::Component;

/// A request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// With the query: `/api/v1/pods?limit=5`.
    pub path: &'a str,
    /// The `Authorization` header; empty for none.
    pub authorization: &'a str,
    /// The `Content-Type` header.
    pub content_type: &'a str,
    /// The `Accept` header; empty for none.
    pub accept: &'a str,
    /// The program's name: `curl`.
    pub agent: &'a str,
    /// What is sent.
    pub body: &'a [u8],
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// What is sent back.
    pub body: String,
    /// What goes on behind that: a watch.
    pub stream: Option<Box<Stream>>,
}

impl Answer {
    fn new(code: u16, body: String) -> Answer {
        Answer {
            code,
            content_type: JSON,
            body,
            stream: None,
        }
    }
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
    /// What stands behind the subresource: the path that a proxy asks for.
    path: String,
    /// A path of the old form, `/api/v1/watch/pods`.
    watch: bool,
}

impl Target {
    fn key(&self) -> ObjectKey {
        let (namespace, name) = (self.namespace.as_str(), self.name.as_str());
        ObjectKey::new(self.resource.id(), namespace, name)
    }
}

/// Who asks for what, and how the answer is to look.
struct Caller<'a> {
    by: &'a Component,
    user: &'a User,
    agent: &'a str,
    verb: &'a str,
    form: Form,
    pretty: bool,
}

impl Caller<'_> {
    fn answer(&self, code: u16, document: Json) -> Answer {
        Answer::new(code, written(&document, self.pretty))
    }

    /// An object or a list, in the form that is wanted.
    fn show(&self, code: u16, object: Value) -> Answer {
        if matches!(self.form, Form::Yaml) {
            return Answer {
                content_type: "application/yaml",
                ..Answer::new(code, yaml::to_yaml(&object))
            };
        }
        let list = object["kind"].str().ends_with("List") && !object["items"].is_null();
        let document = match list {
            true => self.form.list(object),
            false if object["kind"].str() == "Status" => Json::typed(object),
            false => self.form.one(object),
        };
        self.answer(code, document)
    }
}

/// With indents for those who read it themselves.
fn written(document: &Json, pretty: bool) -> String {
    match pretty {
        true => document.pretty(),
        false => document.compact() + "\n",
    }
}

/// Whether an answer gets indents: for browsers and their like, and where that is asked for
/// (`endpoints/handlers/negotiation`).
fn is_pretty(request: &Request, query: Query) -> bool {
    match query.has("pretty") {
        true => query.bool("pretty"),
        false => ["curl", "Wget", "Mozilla"]
            .iter()
            .any(|a| request.agent.starts_with(a)),
    }
}

impl Cluster {
    /// Answers a request that came over the network, whoever it is from.
    pub fn answer(&mut self, by: &Component, request: &Request) -> Answer {
        let answer = self
            .user_of(request)
            .and_then(|user| self.answer_as(by, &user, request));
        answer.unwrap_or_else(|status| {
            let (_, query) = request.path.split_once('?').unwrap_or((request.path, ""));
            let document = Json::typed(status.to_value());
            Answer::new(
                status.code,
                written(&document, is_pretty(request, Query(query))),
            )
        })
    }

    /// Answers a user's request.
    ///
    /// # Errors
    /// What the API server sends as a Status.
    pub fn answer_as(
        &mut self,
        by: &Component,
        user: &User,
        request: &Request,
    ) -> Result<Answer, Status> {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let query = Query(query);
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        match parts[..] {
            ["api", "v1", _, ..] | ["apis", _, _, _, ..] => {
                self.answer_for_resource(by, request, user, &parts, query)
            }
            _ => self.answer_for_path(request, user, path, &parts, query),
        }
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
        parts: &[&str],
        query: Query,
    ) -> Result<Answer, Status> {
        self.authorize(
            user,
            &Attributes {
                verb: &request.method.to_ascii_lowercase(),
                path,
                ..Attributes::default()
            },
        )?;
        match *parts {
            [] => return Ok(self.paths()),
            [kind @ ("healthz" | "livez" | "readyz"), ref check @ ..] => {
                return health::health(kind, check, query);
            }
            ["version"] => return Ok(health::version()),
            ["metrics"] => return Ok(health::metrics(self)),
            ["flagz" | "statusz" | "openid" | ".well-known", ..] | ["metrics", "slis"] => {
                return Err(Status::unnamed(format!("{path} is not simulated yet")));
            }
            ["openapi", ref rest @ ..] => return Ok(Answer::new(200, self.openapi(rest)?)),
            _ => {}
        }
        let found = self.discovery(parts, request.accept);
        let document = found.unwrap_or_else(|| Err(Status::no_such_resource()))?;
        Ok(Answer::new(
            200,
            written(&document, is_pretty(request, query)),
        ))
    }

    fn target(&self, parts: &[&str]) -> Result<Target, Status> {
        let (api_version, rest) = match *parts {
            ["api", version, ref rest @ ..] => (version.to_owned(), rest),
            ["apis", group, version, ref rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return Err(Status::no_such_resource()),
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
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
        let (name, subresource, path) = match rest {
            [] => ("", "", &[][..]),
            [name] => (*name, "", &[][..]),
            [name, "proxy", path @ ..] if resource.subresource("proxy").is_some() => {
                (*name, "proxy", path)
            }
            [name, sub, ..] if resource.subresource(sub).is_some() => (*name, *sub, &[][..]),
            _ => return Err(Status::no_such_resource()),
        };
        Ok(Target {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            path: path.join("/"),
            watch,
        })
    }

    fn answer_for_resource(
        &mut self,
        by: &Component,
        request: &Request,
        user: &User,
        parts: &[&str],
        query: Query,
    ) -> Result<Answer, Status> {
        let target = self.target(parts)?;
        let watches = target.watch || query.bool("watch");
        let verb = verb_of(request.method, &target, watches)?;
        let (resource, part) = (target.resource.clone(), target.subresource.as_str());
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
                subresource: part,
                namespace,
                name: &target.name,
                path: "",
            },
        )?;
        let caller = Caller {
            by,
            user,
            agent: request.agent,
            verb,
            form: Form::of(self, &resource, request.accept, query)?,
            pretty: is_pretty(request, query),
        };
        if verb == "watch" {
            let (body, stream) = self.watch(&target, query, caller.form)?;
            return Ok(Answer {
                stream: Some(Box::new(stream)),
                ..Answer::new(200, body)
            });
        }
        if part == "proxy" {
            return self.answer_by_proxy(request, &target, query.0);
        }
        let body = read(request.body)?;
        if let Some(answer) = self.answer_for_part(&caller, &target, query, &body) {
            return answer;
        }
        match verb {
            "list" => Ok(caller.show(200, self.list_document(&target, query)?)),
            "get" => {
                let key = target.key();
                let object = self.get(&key)?.clone();
                Ok(caller.show(200, self.shown(&key, &object)))
            }
            "delete" | "deletecollection" => self.delete_over_http(&caller, &target, query, &body),
            _ => self.write(&caller, request, &target, query, body),
        }
    }

    fn delete_over_http(
        &mut self,
        caller: &Caller,
        target: &Target,
        query: Query,
        body: &Value,
    ) -> Result<Answer, Status> {
        let mut options = delete_options(body, query);
        options.dry_run = dry_run("DeleteOptions", query)?;
        let key = target.key();
        if caller.verb == "delete" {
            let last = self.delete(caller.by, &key, &options)?;
            return Ok(match self.etcd.get(&key) {
                Some(_) => caller.show(200, last),
                None => caller.answer(200, deleted(&target.resource, &last)),
            });
        }
        let list = self.list_document(target, query)?;
        for item in list["items"].items() {
            let metadata = &item["metadata"];
            let (at, name) = (metadata["namespace"].text(), metadata["name"].text());
            let key = ObjectKey::new(target.resource.id(), at, name);
            self.delete(caller.by, &key, &options)?;
        }
        Ok(caller.show(200, list))
    }

    fn write(
        &mut self,
        caller: &Caller,
        request: &Request,
        target: &Target,
        query: Query,
        mut body: Value,
    ) -> Result<Answer, Status> {
        let resource = &target.resource;
        let part = match target.subresource.as_str() {
            "" => Subresource::None,
            "status" => Subresource::Status,
            "approval" => Subresource::Approval,
            "resize" => Subresource::Resize,
            "ephemeralcontainers" => Subresource::EphemeralContainers,
            other => {
                return Err(Status::unnamed(format!(
                    "{}/{other} over HTTP is not simulated yet",
                    resource.plural
                )));
            }
        };
        let manager = match query.text("fieldManager") {
            given if given.is_empty() => caller.agent.to_owned(),
            given => given,
        };
        let kind = match caller.verb {
            "create" => "CreateOptions",
            "update" => "UpdateOptions",
            _ => "PatchOptions",
        };
        let options = WriteOptions {
            dry_run: dry_run(kind, query)?,
            strict: caller.verb == "patch" || query.text("fieldValidation") == "Strict",
            namespace: resource
                .namespaced
                .then(|| Text::from(target.namespace.as_str())),
            user: Some(caller.user.clone()),
            manager: Some(manager.into()),
        };
        if caller.verb != "patch" {
            check_body(target, &mut body)?;
            if !options.strict {
                // Unknown fields are left out: nobody reads a warning here.
                body = self.typed(resource, &body)?;
            }
        }
        let (code, object) = match caller.verb {
            "create" => match reviews::review(self, caller.user, resource, &body) {
                Some(reviewed) => (201, reviewed),
                None => (201, self.create_with(caller.by, body, &options)?),
            },
            "update" => (200, self.update_with(caller.by, body, part, &options)?),
            _ => {
                let patch = match request.content_type.split(';').next().unwrap_or("") {
                    "application/json-patch+json" => Patch::Json(body),
                    "application/merge-patch+json" => Patch::Merge(body),
                    "application/strategic-merge-patch+json" => Patch::Strategic(body),
                    "application/apply-patch+yaml" => {
                        let object =
                            self.apply_over_http(caller, resource, query, body, part, options)?;
                        return Ok(caller.show(200, object));
                    }
                    other => {
                        return Err(Status::unsupported_media_type(format!(
                            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml, not {other}"
                        )));
                    }
                };
                let patched = self.patch(caller.by, &target.key(), &patch, part, &options)?;
                (200, patched)
            }
        };
        let key = match caller.verb {
            "create" => ObjectKey::new(
                resource.id(),
                target.namespace.as_str(),
                object["metadata"]["name"].text(),
            ),
            _ => target.key(),
        };
        // A review is answered, not stored.
        let object = match self.etcd.get(&key) {
            Some(_) => self.shown(&key, &object),
            None => object,
        };
        Ok(caller.show(code, object))
    }

    fn apply_over_http(
        &mut self,
        caller: &Caller,
        resource: &Arc<Resource>,
        query: Query,
        config: Value,
        part: Subresource,
        options: WriteOptions,
    ) -> Result<Value, Status> {
        if query.text("fieldManager").is_empty() {
            return Err(Status::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        let apply = Apply {
            config,
            force: query.bool("force"),
        };
        self.server_side_apply(caller.by, resource, &apply, part, &options)
    }
}

/// What a request does, as RBAC has it.
///
/// # Errors
/// 405 where the resource cannot do that.
fn verb_of<'a>(method: &str, target: &Target, watches: bool) -> Result<&'a str, Status> {
    let list = target.name.is_empty();
    let verb = match method {
        "GET" if watches && target.subresource.is_empty() => "watch",
        "GET" | "HEAD" if list => "list",
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" if !list => "update",
        "PATCH" if !list => "patch",
        "DELETE" if list => "deletecollection",
        "DELETE" => "delete",
        _ => "",
    };
    let resource = &target.resource;
    let served = match resource.subresource(&target.subresource) {
        Some(sub) => sub.verbs.iter().any(|v| **v == *verb),
        // Objects are made in their collection.
        None => resource.has_verb(verb) && (verb != "create" || list),
    };
    match served {
        true => Ok(verb),
        false => Err(Status::method_not_served()),
    }
}

/// The first document of a body; nothing for an empty one.
fn read(body: &[u8]) -> Result<Value, Status> {
    let text = String::from_utf8_lossy(body);
    let documents = yaml::parse(&text).map_err(|error| Status::bad_request(error.to_string()))?;
    let mut values = documents.into_iter().map(|document| document.value);
    Ok(values.next().unwrap_or(Value::Null))
}

/// What a body is follows from the path, where it does not say it itself; where it says something
/// else, or has another name than the path, it is refused (`rest.EnsureObjectNamespaceMatchesRequestNamespace`,
/// `endpoints/handlers`).
fn check_body(target: &Target, body: &mut Value) -> Result<(), Status> {
    let resource = &target.resource;
    if body.as_object().is_none() {
        return Err(Status::bad_request(
            "the object provided is unrecognized (must be of type Object): couldn't get version/kind; json parse error",
        ));
    }
    if body["apiVersion"].is_empty() && body["kind"].is_empty() {
        body["apiVersion"] = resource.api_version().into();
        body["kind"] = (&resource.kind).into();
    }
    let (api_version, kind) = (body["apiVersion"].str(), body["kind"].str());
    if kind != &*resource.kind || api_version != resource.api_version() {
        return Err(Status::bad_request(format!(
            "{kind} in version {} cannot be handled as a {}: no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
            go::quote(&resource.version),
            resource.kind,
            go::quote(kind),
            go::quote(api_version),
        )));
    }
    let name = body["metadata"]["name"].str();
    if !target.name.is_empty() && target.subresource.is_empty() && name != target.name {
        return Err(Status::bad_request(match name {
            "" => "name must be provided".to_owned(),
            name => format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            ),
        }));
    }
    Ok(())
}

/// `dryRun=All`.
fn dry_run(kind: &str, query: Query) -> Result<bool, Status> {
    match query.text("dryRun").as_str() {
        "" => Ok(false),
        "All" => Ok(true),
        other => {
            let shown = format!("[]string{{{}}}", go::quote(other));
            let error = FieldError::not_supported_shown("dryRun", shown, &["All"]);
            let kind = format!("{kind}.meta.k8s.io");
            Err(Status::invalid(&kind, "", &[error]))
        }
    }
}

fn delete_options(body: &Value, query: Query) -> DeleteOptions {
    let asked = |name: &str| match &body[name] {
        Value::Null => Value::from(query.text(name)),
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

fn deleted(resource: &Resource, last: &Value) -> Json {
    let metadata = &last["metadata"];
    let mut details = Json::object([("name", metadata["name"].clone().into())]);
    if !resource.group.is_empty() {
        details.push("group", (&resource.group).into());
    }
    details.push("kind", (&resource.plural).into());
    details.push("uid", metadata["uid"].clone().into());
    Json::object([
        ("kind", "Status".into()),
        ("apiVersion", "v1".into()),
        ("metadata", Json::object([])),
        ("status", "Success".into()),
        ("details", details),
    ])
}
