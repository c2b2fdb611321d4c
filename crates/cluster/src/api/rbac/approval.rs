//! Who approves a request for a certificate must be allowed to for its signer (kubernetes v1.37,
//! `plugin/pkg/admission/certificates/approval`).

use kubarium_objects::status::Status;
use kubarium_objects::{Value, go};

use super::{Attributes, User};
use crate::cluster::Cluster;

/// Checks whether a user may approve or deny a request.
pub(in crate::api) fn check(cluster: &Cluster, user: &User, request: &Value) -> Result<(), Status> {
    let signer = request["spec"]["signerName"].str();
    let domain = signer.split('/').next().unwrap_or("");
    let all = format!("{domain}/*");
    let may = |name: &str| {
        let attributes = Attributes {
            verb: "approve",
            group: "certificates.k8s.io",
            resource: "signers",
            name,
            ..Attributes::default()
        };
        cluster.decide(user, &attributes).allowed
    };
    if may(signer) || may(&all) {
        return Ok(());
    }
    let why = format!(
        "user not permitted to approve requests with signerName {}",
        go::quote(signer)
    );
    let name = request["metadata"]["name"].str();
    let resource = "certificatesigningrequests.certificates.k8s.io";
    Err(Status::forbidden(resource, name, &why))
}
