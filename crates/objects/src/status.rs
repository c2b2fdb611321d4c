//! The API's answer to a request that failed: `metav1.Status`, with the API server's own texts.
//! Source: k8s.io/apimachinery/pkg/api/errors, v0.37.

use std::fmt;

use crate::field_error::FieldError;
use crate::value::{Text, Value, array, object};

/// A failed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// `NotFound`, `Invalid`, …; empty where the server gives none.
    pub reason: Text,
    /// What went wrong, for people.
    pub message: String,
    /// What it is about.
    pub details: Box<Details>,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The resource (`pods`), or for invalid objects the kind (`Pod`).
    pub kind: String,
    /// The object's uid, in conflicts about it.
    pub uid: String,
    /// The fields that are wrong.
    pub causes: Vec<Cause>,
    /// When to try again; 0 for no advice.
    pub retry_after_seconds: i64,
}

/// One reason why a request failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// `FieldValueRequired`
    pub reason: Text,
    /// `Required value`
    pub message: String,
    /// `spec.containers[0].image`
    pub field: String,
}

/// `deployments.apps` -> (`deployments`, `apps`)
fn split(qualified: &str) -> (&str, &str) {
    qualified.split_once('.').unwrap_or((qualified, ""))
}

impl Status {
    fn new(code: u16, reason: &str, message: String) -> Status {
        Status {
            code,
            reason: reason.into(),
            message,
            details: Box::default(),
        }
    }

    fn about(mut self, qualified: &str, name: &str) -> Status {
        let (kind, group) = split(qualified);
        self.details = Box::new(Details {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            ..Details::default()
        });
        self
    }

    /// 404. `resource` is an id such as `deployments.apps`, here and below.
    pub fn not_found(resource: &str, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{resource} \"{name}\" not found"))
            .about(resource, name)
    }

    /// 409: there is one of that name already.
    pub fn already_exists(resource: &str, name: &str) -> Status {
        Status::new(
            409,
            "AlreadyExists",
            format!("{resource} \"{name}\" already exists"),
        )
        .about(resource, name)
    }

    /// 409: somebody else was quicker.
    pub fn conflict(resource: &str, name: &str, why: &str) -> Status {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Status::new(409, "Conflict", message).about(resource, name)
    }

    /// 409: others manage fields that were applied; causes are messages with their fields.
    pub fn apply_conflict(
        message: String,
        causes: impl Iterator<Item = (String, String)>,
    ) -> Status {
        let mut status = Status::new(409, "Conflict", message);
        status.details.causes = causes
            .map(|(message, field)| Cause {
                reason: "FieldManagerConflict".into(),
                message,
                field,
            })
            .collect();
        status
    }

    /// 500 without a reason: an error that the API server passes on as it is.
    pub fn unnamed(message: impl Into<String>) -> Status {
        Status::new(500, "", message.into())
    }

    /// 409: the object changed since it was read.
    pub fn modified(resource: &str, name: &str) -> Status {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(resource, name, why)
    }

    /// 403.
    pub fn forbidden(resource: &str, name: &str, why: &str) -> Status {
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{resource} is forbidden: {why}"),
            _ => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        Status::new(403, "Forbidden", message).about(resource, name)
    }

    /// 422: the fields that are wrong. `kind` is group-qualified: `Pod`, `Deployment.apps`.
    pub fn invalid(kind: &str, name: &str, errors: &[FieldError]) -> Status {
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(FieldError::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let all = match &texts[..] {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = match errors {
            [] => format!("{kind} \"{name}\" is invalid"),
            _ => format!("{kind} \"{name}\" is invalid: {all}"),
        };
        let mut status = Status::new(422, "Invalid", message).about(kind, name);
        let cause = |e: &FieldError| Cause {
            reason: e.kind.reason().into(),
            message: e.body(),
            field: e.field.clone(),
        };
        status.details.causes = errors.iter().map(cause).collect();
        status
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message.into())
    }

    /// 401.
    pub fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized".into())
    }

    /// 405.
    pub fn method_not_allowed(resource: &str, action: &str) -> Status {
        let (kind, _) = split(resource);
        let message = format!("{action} is not supported on resources of kind \"{resource}\"");
        Status::new(405, "MethodNotAllowed", message).about(kind, "")
    }

    /// 405: the resource has no such request (`NewMethodNotAllowed` of a path that is served).
    pub fn method_not_served() -> Status {
        let message = "the server does not allow this method on the requested resource";
        Status::new(405, "MethodNotAllowed", message.into())
    }

    /// 406: nothing of what the client accepts can be given.
    pub fn not_acceptable(message: impl Into<String>) -> Status {
        Status::new(406, "NotAcceptable", message.into())
    }

    /// 404: no such path.
    pub fn no_such_resource() -> Status {
        Status::new(
            404,
            "NotFound",
            "the server could not find the requested resource".into(),
        )
    }

    /// 410: a watch or list from too long ago.
    pub fn expired(message: impl Into<String>) -> Status {
        Status::new(410, "Expired", message.into())
    }

    /// 415: a patch of a kind that is not supported.
    pub fn unsupported_media_type(message: impl Into<String>) -> Status {
        Status::new(415, "UnsupportedMediaType", message.into())
    }

    /// 429: come back later (an eviction that a disruption budget does not allow).
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: i64) -> Status {
        let mut status = Status::new(429, "TooManyRequests", message.into());
        status.details.retry_after_seconds = retry_after_seconds;
        status
    }

    /// 500.
    pub fn internal(why: impl fmt::Display) -> Status {
        Status::new(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
    }

    /// 503.
    pub fn service_unavailable(message: impl Into<String>) -> Status {
        Status::new(503, "ServiceUnavailable", message.into())
    }

    /// 504.
    pub fn timeout(message: impl Into<String>) -> Status {
        Status::new(504, "Timeout", message.into())
    }

    /// Whether the reason is this one.
    pub fn is(&self, reason: &str) -> bool {
        &*self.reason == reason
    }

    /// The object as the API sends it.
    pub fn to_value(&self) -> Value {
        let mut out = object([
            ("apiVersion", "v1".into()),
            ("kind", "Status".into()),
            ("metadata", Value::new_object()),
            ("status", "Failure".into()),
            ("message", self.message.as_str().into()),
            ("code", i64::from(self.code).into()),
        ]);
        let mut details = Value::new_object();
        let d = &self.details;
        let causes: Vec<Value> = d.causes.iter().map(Cause::to_value).collect();
        for (key, value) in [
            ("name", d.name.as_str().into()),
            ("group", d.group.as_str().into()),
            ("kind", d.kind.as_str().into()),
            ("uid", d.uid.as_str().into()),
            ("causes", array(causes)),
            ("retryAfterSeconds", Value::Int(d.retry_after_seconds)),
        ] {
            if !value.is_empty() {
                details[key] = value;
            }
        }
        if !self.reason.is_empty() {
            out["reason"] = self.reason.clone().into();
        }
        if !details.is_empty() {
            out["details"] = details;
        }
        out
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let (reason, message, field) = (
            self.reason.clone(),
            self.message.as_str(),
            self.field.as_str(),
        );
        object([
            ("reason", reason.into()),
            ("message", message.into()),
            ("field", field.into()),
        ])
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_worded_as_by_the_api_server() {
        let errors = [
            FieldError::required("spec.a", ""),
            FieldError::forbidden("spec.b", "no"),
        ];
        let cases = [
            (
                Status::not_found("deployments.apps", "web"),
                "deployments.apps \"web\" not found",
            ),
            (
                Status::already_exists("pods", "web"),
                "pods \"web\" already exists",
            ),
            (
                Status::forbidden("pods", "web", "no"),
                "pods \"web\" is forbidden: no",
            ),
            (
                Status::invalid("Pod", "web", &errors[..1]),
                "Pod \"web\" is invalid: spec.a: Required value",
            ),
            (
                Status::invalid("Pod", "web", &errors),
                "Pod \"web\" is invalid: [spec.a: Required value, spec.b: Forbidden: no]",
            ),
        ];
        for (status, want) in cases {
            assert_eq!(status.to_string(), want);
        }
        let v = Status::not_found("deployments.apps", "web").to_value();
        assert_eq!(
            v["details"].to_json(),
            r#"{"group":"apps","kind":"deployments","name":"web"}"#
        );
        assert_eq!(v["code"].as_i64(), Some(404));
    }
}
