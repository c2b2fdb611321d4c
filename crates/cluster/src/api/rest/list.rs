//! Lists and watches over HTTP (apiserver v0.37, `endpoints/handlers/get.go`, `watch.go`;
//! apimachinery, `apis/internalversion/validation`).

use std::collections::BTreeSet;
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{
    FieldError, FieldSelector, ObjectKey, Selector, Text, Value, base64, go, object,
};

use super::Target;
use super::form::Form;
use super::stream::{Stream, Watching};
use super::wire::Query;
use crate::api::watch::{Filter, Kind, Watch};
use crate::cluster::Cluster;

/// A watch without a limit of its own ends after this long and up to as long again
/// (`--min-request-timeout`).
const MIN_TIMEOUT: u64 = 1800;

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
            if let Some(why) = self.why_not_selectable(&target.resource, field) {
                return Err(Status::bad_request(why));
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
        let initial = query.bool("sendInitialEvents");
        let mut watching = Watching::new(form, bookmarks, self.now, Duration::from_secs(seconds));
        if initial || asked == 0 && !query.has("sendInitialEvents") {
            let mut text = String::new();
            let mut told = BTreeSet::new();
            let id = filter.resource.id();
            for (key, object) in self.etcd.list(&id, filter.namespace.as_deref()) {
                if filter.matches(key, object) {
                    let object = self.shown(key, object);
                    text += &watching.event(Kind::Added.word(), object, self.now);
                    told.insert(key.clone());
                }
            }
            watching.follow(Watch::now(self, filter, told));
            if initial && bookmarks {
                text += &watching.bookmark(self, true);
            }
            return Ok((text, Stream::Watch(watching)));
        }
        let from = if asked == 0 {
            self.etcd.revision()
        } else {
            asked
        };
        let text = match Watch::since(self, filter, from) {
            Ok(watch) => {
                watching.follow(watch);
                watching.take(self)
            }
            // The answer has begun by the time that this is found out.
            Err(status) => watching.error(&status),
        };
        Ok((text, Stream::Watch(watching)))
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
