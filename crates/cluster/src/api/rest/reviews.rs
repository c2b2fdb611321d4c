//! Reviews: questions that are answered, not stored (kubernetes v1.37, `pkg/registry/authentication`,
//! `pkg/registry/authorization`).

use kubarium_objects::schema::Resource;
use kubarium_objects::{Value, array, object};

use crate::api::rbac::{Attributes, User};
use crate::cluster::Cluster;

/// Reviews are answered, not stored.
pub(super) fn review(
    cluster: &Cluster,
    user: &User,
    resource: &Resource,
    body: &Value,
) -> Option<Value> {
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
