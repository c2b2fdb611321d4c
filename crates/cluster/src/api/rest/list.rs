//! Lists and watches over HTTP (apiserver v0.37, `endpoints/handlers/get.go`, `watch.go`;
//! apimachinery, `apis/internalversion/validation`).

use std::collections::BTreeSet;
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{
    FieldError, FieldSelector, ObjectKey, Selector, Text, Value, array, base64, go, object,
};

use super::wire::{Json, Query};
use super::{Form, Target};
use crate::api::watch::{Filter, Kind, Watch};
use crate::cluster::Cluster;
use crate::time::Time;

/// How often a watch that wants bookmarks gets one (`storage/cacher`, `defaultBookmarkFrequency`).
const BOOKMARKS: Duration = Duration::from_secs(60);
/// A watch without a limit of its own ends after this long and up to as long again
/// (`--min-request-timeout`).
const MIN_TIMEOUT: u64 = 1800;
/// How often whoever reads a watch looks for more at the most.
const LOOK: Duration = Duration::from_millis(20);
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The answer to a watch, which goes on: lines of JSON.
#[derive(Clone, Debug)]
pub struct Stream {
    /// None once it has failed.
    watch: Option<Watch>,
    form: Form,
    bookmark: Option<Time>,
    end: Time,
}

impl Stream {
    /// The lines that have come since it was last asked.
    pub fn take(&mut self, cluster: &Cluster) -> String {
        let Some(watch) = &mut self.watch else {
            return String::new();
        };
        let mut text = String::new();
        for (kind, _, object) in watch.take(cluster) {
            text += &line(kind.word(), self.form.one(object));
        }
        if self.bookmark.is_some_and(|at| cluster.now >= at) {
            self.bookmark = Some(cluster.now + BOOKMARKS);
            text += &bookmark(watch, self.form, cluster.etcd.revision(), false);
        }
        text
    }

    /// Whether the server has ended it.
    pub fn is_over(&self, now: Time) -> bool {
        self.watch.is_none() || now >= self.end
    }

    /// When to look again.
    pub fn next_look(&self, cluster: &Cluster) -> Time {
        let next = cluster.queue.next_at().unwrap_or(self.end);
        next.max(cluster.now + LOOK).min(self.end)
    }
}

/// An event of a watch as it is sent.
fn line(word: &str, object: Json) -> String {
    Json::object([("type", word.into()), ("object", object)]).compact() + "\n"
}

/// How far a watch is, though nothing has happened to its objects.
fn bookmark(watch: &Watch, form: Form, revision: u64, end_of_list: bool) -> String {
    let mut metadata = object([("resourceVersion", revision.to_string().into())]);
    if end_of_list {
        metadata["annotations"] = object([(INITIAL_EVENTS_END, "true".into())]);
    }
    let resource = watch.resource();
    let empty = object([
        ("apiVersion", resource.api_version().into()),
        ("kind", (&resource.kind).into()),
        ("metadata", metadata),
    ]);
    line("BOOKMARK", form.one(empty))
}

/// A revision as a client gives it; 0 for «any».
fn revision(text: &str) -> Result<Option<u64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| {
        let quoted = go::quote(text);
        Status::bad_request(format!(
            "Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        ))
    };
    text.parse().map(Some).map_err(wrong)
}

/// Whether a list's or watch's options go together (`ValidateListOptions`).
fn check_options(query: Query, watch: bool) -> Result<(), Status> {
    let field = "resourceVersionMatch";
    let wanted = query.text(field);
    let continues = !query.text("continue").is_empty();
    let initial = query.has("sendInitialEvents");
    let mut errors = Vec::new();
    let forbid = |errors: &mut Vec<FieldError>, field: &str, why: &str| {
        errors.push(FieldError::forbidden(field, why));
    };
    if watch {
        if initial && wanted != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            forbid(&mut errors, field, why);
        }
        if !wanted.is_empty() {
            if !initial {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                forbid(&mut errors, field, why);
            }
            if wanted != "NotOlderThan" {
                errors.push(FieldError::not_supported(
                    field,
                    wanted.as_str(),
                    &["NotOlderThan"],
                ));
            }
        }
    } else if !wanted.is_empty() {
        let given = query.text("resourceVersion");
        if given.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            forbid(&mut errors, field, why);
        }
        if !matches!(&*wanted, "Exact" | "NotOlderThan") {
            let all = ["", "Exact", "NotOlderThan"];
            errors.push(FieldError::not_supported(field, wanted.as_str(), &all));
        }
        if wanted == "Exact" && given == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            forbid(&mut errors, field, why);
        }
    }
    if !wanted.is_empty() && continues {
        let why = "resourceVersionMatch is forbidden when continue is provided";
        forbid(&mut errors, field, why);
    }
    if !watch && initial {
        let why = "sendInitialEvents is forbidden for list";
        forbid(&mut errors, "sendInitialEvents", why);
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid("ListOptions.meta.k8s.io", "", &errors)),
    }
}

/// Where a list goes on (`storage/continue.go`): the revision of its first piece, the last key.
struct Place {
    revision: u64,
    after: String,
}

impl Place {
    fn read(token: &str) -> Result<Option<Place>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = || Status::bad_request("continue key is not valid: illegal base64 data");
        let mut padded = token.replace('-', "+").replace('_', "/");
        while !padded.len().is_multiple_of(4) {
            padded.push('=');
        }
        let bytes = base64::decode(&padded).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let value = Value::from_json(&text).map_err(|_| wrong())?;
        if value["v"].str() != "meta.k8s.io/v1" {
            let version = go::quote(value["v"].str());
            return Err(Status::bad_request(format!(
                "continue key is not valid: server does not recognize this encoded version {version}"
            )));
        }
        let revision = value["rv"].as_i64().and_then(|rv| u64::try_from(rv).ok());
        Ok(Some(Place {
            revision: revision.filter(|rv| *rv > 0).ok_or_else(|| {
                Status::bad_request(
                    "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
                )
            })?,
            after: value["start"].str().trim_end_matches('\0').to_owned(),
        }))
    }

    fn token(&self) -> String {
        let text = format!(
            "{{\"v\":\"meta.k8s.io/v1\",\"rv\":{},\"start\":{}}}",
            self.revision,
            go::json(&format!("{}\0", self.after).into())
        );
        let token = base64::encode(text.as_bytes());
        token
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_")
    }
}

impl Cluster {
    fn filter(&self, target: &Target, query: Query) -> Result<Filter, Status> {
        let labels = Selector::parse(&query.text("labelSelector"))
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(&query.text("fieldSelector"))
            .map_err(|error| Status::bad_request(error.to_string()))?;
        for (field, _, _) in &fields.terms {
            if !self.is_selectable(&target.resource, field) {
                return Err(Status::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
        }
        let some = |text: &str| (!text.is_empty()).then(|| Text::from(text));
        Ok(Filter {
            resource: target.resource.clone(),
            namespace: some(&target.namespace),
            name: some(&target.name),
            labels,
            fields,
        })
    }

    /// A list as it is sent: selected, in pieces where `limit` asks for that. A later piece shows
    /// objects as they are then, not as they were at the first one's revision.
    pub(super) fn list_document(&self, target: &Target, query: Query) -> Result<Value, Status> {
        check_options(query, false)?;
        let filter = self.filter(target, query)?;
        let limit = query
            .int("limit")?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0);
        let place = Place::read(&query.text("continue"))?;
        let now = self.etcd.revision();
        let asked = revision(&query.text("resourceVersion"))?;
        match asked {
            Some(asked) if asked > now => {
                return Err(Status::timeout(format!(
                    "Too large resource version: {asked}, current: {now}"
                )));
            }
            Some(asked) if place.is_some() && asked > 0 => {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            Some(asked) if asked < now && query.text("resourceVersionMatch") == "Exact" => {
                return Err(Status::expired(
                    "The resourceVersion for the provided list is too old.",
                ));
            }
            _ => {}
        }
        // Objects of a definition have no type that their list's would say already.
        let typed = !self.is_custom(&filter.resource);
        let id = filter.resource.id();
        let mut items = Vec::new();
        let mut last = String::new();
        let mut left = 0;
        for (key, object) in self.etcd.list(&id, filter.namespace.as_deref()) {
            let at = match filter.resource.namespaced && filter.namespace.is_none() {
                true => format!("{}/{}", key.namespace, key.name),
                false => key.name.to_string(),
            };
            if place.as_ref().is_some_and(|place| at <= place.after) || !filter.matches(key, object)
            {
                continue;
            }
            if limit > 0 && items.len() == limit {
                left += 1;
                continue;
            }
            let mut item = self.shown(key, object);
            if typed {
                item.remove(&["apiVersion"]);
                item.remove(&["kind"]);
            }
            items.push(item);
            last = at;
        }
        let revision = place.map_or(now, |place| place.revision);
        let mut metadata = object([("resourceVersion", revision.to_string().into())]);
        if left > 0 {
            let next = Place {
                revision,
                after: last,
            };
            metadata["continue"] = next.token().into();
            // With a selector the server does not know how many are left.
            if query.text("labelSelector").is_empty() && query.text("fieldSelector").is_empty() {
                metadata["remainingItemCount"] = Value::from(left);
            }
        }
        Ok(object([
            ("apiVersion", target.resource.api_version().into()),
            ("items", items.into()),
            ("kind", format!("{}List", target.resource.kind).into()),
            ("metadata", metadata),
        ]))
    }

    /// Begins a watch: what is sent at once, and what goes on.
    pub(super) fn watch(
        &mut self,
        target: &Target,
        query: Query,
        form: Form,
    ) -> Result<(String, Stream), Status> {
        check_options(query, true)?;
        let filter = self.filter(target, query)?;
        let asked = revision(&query.text("resourceVersion"))?.unwrap_or(0);
        let seconds = match query
            .int("timeoutSeconds")?
            .and_then(|s| u64::try_from(s).ok())
        {
            None | Some(0) => MIN_TIMEOUT + self.rng.below(MIN_TIMEOUT),
            Some(seconds) => seconds,
        };
        let bookmarks = query.bool("allowWatchBookmarks");
        let mut stream = Stream {
            watch: None,
            form,
            bookmark: bookmarks.then(|| self.now + BOOKMARKS),
            end: self.now + Duration::from_secs(seconds),
        };
        let initial = query.bool("sendInitialEvents");
        let mut text = String::new();
        if initial || asked == 0 && !query.has("sendInitialEvents") {
            let mut told = BTreeSet::new();
            for (key, object) in self
                .etcd
                .list(&filter.resource.id(), filter.namespace.as_deref())
            {
                if filter.matches(key, object) {
                    let object = self.shown(key, object);
                    text += &line(Kind::Added.word(), form.one(object));
                    told.insert(key.clone());
                }
            }
            let watch = Watch::now(self, filter, told);
            if initial && bookmarks {
                text += &bookmark(&watch, form, self.etcd.revision(), true);
            }
            stream.watch = Some(watch);
            return Ok((text, stream));
        }
        let from = if asked == 0 {
            self.etcd.revision()
        } else {
            asked
        };
        match Watch::since(self, filter, from) {
            Ok(watch) => stream.watch = Some(watch),
            // The answer has begun by the time that this is found out.
            Err(status) => text = line("ERROR", Json::typed(status.to_value())),
        }
        text += &stream.take(self);
        Ok((text, stream))
    }

    /// An object as a reader gets it, with who manages its fields.
    pub(super) fn shown(&self, key: &ObjectKey, object: &Value) -> Value {
        let mut object = object.clone();
        let managed = self.managed_fields(key).to_value();
        if !managed.is_empty() {
            object["metadata"]["managedFields"] = managed;
        }
        object
    }
}

impl Form {
    /// What the `Accept` header asks for.
    ///
    /// # Errors
    /// 406 where there is nothing that the server can give.
    pub(super) fn of(accept: &str) -> Result<Form, Status> {
        let mut table = false;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            let parameter = |name: &str| {
                let mut all = range.split(';').map(str::trim);
                all.find_map(|p| p.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or("")
            };
            if !matches!(
                media,
                "" | "*/*" | "application/*" | "application/json" | "application/yaml"
            ) {
                continue;
            }
            let yaml = media == "application/yaml";
            match parameter("as") {
                "" if yaml => return Ok(Form::Yaml),
                "" => return Ok(Form::Whole),
                "PartialObjectMetadata" | "PartialObjectMetadataList"
                    if parameter("g") == "meta.k8s.io" =>
                {
                    return Ok(Form::Metadata);
                }
                "Table" => table = true,
                _ => {}
            }
        }
        let mut message = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf".to_owned();
        if table {
            message += "; as=Table over HTTP is not simulated yet: kubectl get prints tables";
        }
        Err(Status::not_acceptable(message))
    }

    /// An object in this form.
    pub(super) fn one(self, object: Value) -> Json {
        match self {
            Form::Metadata => Json::typed(partial(&object)),
            _ => Json::typed(object),
        }
    }

    /// A list in this form.
    pub(super) fn list(self, list: Value) -> Json {
        if self != Form::Metadata {
            return Json::typed(list);
        }
        Json::typed(object([
            ("apiVersion", "meta.k8s.io/v1".into()),
            ("items", array(list["items"].items().iter().map(partial))),
            ("kind", "PartialObjectMetadataList".into()),
            ("metadata", list["metadata"].clone()),
        ]))
    }
}

/// Only an object's metadata.
fn partial(o: &Value) -> Value {
    object([
        ("apiVersion", "meta.k8s.io/v1".into()),
        ("kind", "PartialObjectMetadata".into()),
        ("metadata", o["metadata"].clone()),
    ])
}
