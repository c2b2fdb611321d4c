//! Subresources over HTTP: what a path behind an object's name does (kubernetes v1.37,
//! `pkg/registry/core/pod/rest`, `pkg/registry/apps`).

use kubarium_objects::status::Status;
use kubarium_objects::{FieldError, ObjectKey, Value, go, object, time};

use super::stream::{Following, Stream, as_sent};
use super::wire::{Json, Query};
use super::{Answer, Caller, Target, delete_options};
use crate::api::{Patch, Subresource, WriteOptions};
use crate::cluster::Cluster;
use crate::runtime::Logs;

impl Cluster {
    /// Answers for a subresource that is not just a part of its object; `None` for one that is.
    pub(super) fn answer_for_part(
        &mut self,
        caller: &Caller,
        target: &Target,
        query: Query,
        body: &Value,
    ) -> Option<Result<Answer, Status>> {
        let key = target.key();
        let id = target.resource.id();
        let part = target.subresource.as_str();
        Some(match (&*id, part, caller.verb) {
            (_, "", _) => return None,
            ("pods", "eviction", "create") => {
                let options = delete_options(&body["deleteOptions"], query);
                let evicted = self.evict(caller.by, &key, &options);
                evicted.map(|_| caller.answer(201, success()))
            }
            ("pods", "binding", "create") => {
                let bound = self.bind_by_request(caller, &key, body);
                bound.map(|()| caller.answer(201, success()))
            }
            ("serviceaccounts", "token", "create") => {
                let made = self.token_request(&key.namespace, &key.name, &body["spec"]);
                made.map(|made| caller.answer(201, Json::typed(made)))
            }
            ("pods", "log", "get") => self.log_document(&key, query),
            (_, "scale", _) => self.answer_for_scale(caller, target, body),
            // Over plain HTTP there is no connection to hand over.
            ("pods", "exec" | "attach" | "portforward", _) => {
                Err(Status::bad_request("Upgrade request required"))
            }
            _ => return None,
        })
    }

    /// The scale subresource: how many replicas there are to be, whatever the object is.
    fn answer_for_scale(
        &mut self,
        caller: &Caller,
        target: &Target,
        body: &Value,
    ) -> Result<Answer, Status> {
        let (key, resource) = (&target.key(), &target.resource);
        let now = self.get(key)?.clone();
        let wanted = match caller.verb {
            "update" | "patch" => body["spec"]["replicas"].as_i64().unwrap_or(0),
            _ => return Ok(caller.answer(200, Json::typed(self.scale_of(resource, &now)))),
        };
        if wanted < 0 {
            let why = "must be greater than or equal to 0";
            let error = FieldError::invalid("spec.replicas", wanted, why);
            return Err(Status::invalid("Scale.autoscaling", &key.name, &[error]));
        }
        let change = self.scale_change(resource, wanted);
        let options = WriteOptions {
            strict: true,
            user: Some(caller.user.clone()),
            manager: Some(caller.agent.into()),
            ..WriteOptions::default()
        };
        let patch = Patch::Merge(change);
        let made = self.patch(caller.by, key, &patch, Subresource::Scale, &options)?;
        Ok(caller.answer(200, Json::typed(self.scale_of(resource, &made))))
    }

    /// POST of a Binding: what the scheduler does, or whoever takes its place
    /// (`pkg/registry/core/pod/storage`, `BindingREST`).
    fn bind_by_request(
        &mut self,
        caller: &Caller,
        key: &ObjectKey,
        binding: &Value,
    ) -> Result<(), Status> {
        let (kind, node) = (&binding["target"]["kind"], &binding["target"]["name"]);
        let mut errors = Vec::new();
        if !matches!(kind.str(), "" | "Node") {
            let supported = ["Node", "<empty>"];
            errors.push(FieldError::not_supported(
                "target.kind",
                kind.str(),
                &supported,
            ));
        }
        if node.is_empty() {
            errors.push(FieldError::required("target.name", ""));
        }
        if !errors.is_empty() {
            return Err(Status::invalid("Binding", &key.name, &errors));
        }
        let pod = self.get(key)?;
        let name = &key.name;
        let why = match pod["spec"]["nodeName"].str() {
            _ if !pod["metadata"]["deletionTimestamp"].is_null() => {
                format!("pod {name} is being deleted, cannot be assigned to a host")
            }
            "" if !pod["spec"]["schedulingGates"].is_empty() => {
                format!("pod {name} has non-empty .spec.schedulingGates")
            }
            "" => String::new(),
            other => format!(
                "pod {name} is already assigned to node {}",
                go::quote(other)
            ),
        };
        if !why.is_empty() {
            return Err(Status::conflict("pods/binding", name, &why));
        }
        crate::scheduler::bind_by_request(self, caller.by, key, &node.text());
        Ok(())
    }

    /// What a container has written, as `tailLines`, `sinceSeconds` and their like cut it.
    fn log_document(&self, key: &ObjectKey, query: Query) -> Result<Answer, Status> {
        let pod = self.get(key)?;
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        let all = lists.iter().flat_map(|list| pod["spec"][*list].items());
        let names: Vec<&str> = all.map(|c| c["name"].str()).collect();
        let asked = query.text("container");
        let container = match (asked.as_str(), pod["spec"]["containers"].items()) {
            ("", [only]) if names.len() == 1 => only["name"].str().to_owned(),
            ("", _) => {
                return Err(Status::bad_request(format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    key.name,
                    names.join(" ")
                )));
            }
            (name, _) if names.contains(&name) => asked,
            (name, _) => {
                return Err(Status::bad_request(format!(
                    "container {name} is not valid for pod {}",
                    key.name
                )));
            }
        };
        let logs = self.container_logs(key, &container, query.bool("previous"))?;
        let text = logs.map_or(Ok(String::new()), |logs| self.cut(logs, query))?;
        let follows = query.bool("follow") && !query.bool("previous");
        let following = follows
            .then(|| Following::new(self, key, &container, query.bool("timestamps")))
            .flatten();
        Ok(Answer {
            content_type: "text/plain",
            stream: following.map(|following| Box::new(Stream::Log(following))),
            ..Answer::new(200, text)
        })
    }

    fn cut(&self, logs: &Logs, query: Query) -> Result<String, Status> {
        let micros =
            |at: crate::Time| at.unix_seconds() * 1_000_000 + i64::from(at.subsec_micros());
        let after = match query.int("sinceSeconds")? {
            Some(seconds) => Some(micros(self.now) - seconds.saturating_mul(1_000_000)),
            None => time::parse_micros(&query.text("sinceTime")),
        };
        let lines: Vec<_> = logs
            .lines()
            .filter(|l| after.is_none_or(|after| micros(l.at) >= after))
            .collect();
        let tail = query
            .int("tailLines")?
            .and_then(|n| usize::try_from(n).ok());
        let from = lines.len() - tail.unwrap_or(lines.len()).min(lines.len());
        let stamps = query.bool("timestamps");
        let mut text: String = lines[from..].iter().map(|l| as_sent(l, stamps)).collect();
        if let Some(limit) = query
            .int("limitBytes")?
            .and_then(|n| usize::try_from(n).ok())
        {
            text.truncate(text.floor_char_boundary(limit.min(text.len())));
        }
        Ok(text)
    }
}

/// A Status that says no more than that it went well.
fn success() -> Json {
    Json::typed(object([
        ("apiVersion", "v1".into()),
        ("kind", "Status".into()),
        ("metadata", Value::new_object()),
        ("status", "Success".into()),
        ("code", 201.into()),
    ]))
}
