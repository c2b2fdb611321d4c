//! Requests for certificates (`pkg/apis/certificates/validation`).

use std::collections::BTreeSet;

use super::common::{Errors, items};
use crate::base64;
use crate::certificate::Request;
use crate::field_error::FieldError;
use crate::names;
use crate::value::Value;

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn request(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let given = spec["request"].str();
    let pem = base64::decode(given).unwrap_or_default();
    if let Err(why) = Request::read(&String::from_utf8_lossy(&pem)) {
        e.invalid("spec.request", given, why);
    }
    let usages = &spec["usages"];
    if usages.items().is_empty() {
        e.required("spec.usages", "");
    }
    let mut seen = BTreeSet::new();
    for (p, usage) in items(usages, "spec.usages") {
        e.one_of(&*p, usage, USAGES);
        if !seen.insert(usage.str()) {
            e.duplicate(p, usage);
        }
    }
    let signer = spec["signerName"].str();
    if signer == "kubernetes.io/legacy-unknown" {
        e.invalid(
            "spec.signerName",
            signer,
            "the legacy signerName is not allowed via this API version",
        );
    } else {
        signer_name(e, "spec.signerName", signer);
    }
    if let Some(seconds) = spec["expirationSeconds"].as_i64().filter(|n| *n < 600) {
        e.invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        );
    }
}

/// `example.com/signer`
fn signer_name(e: &mut Errors, path: &str, name: &str) {
    if name.is_empty() {
        return e.required(path, "");
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, signer] = parts[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return e.invalid(path, name, why);
    };
    e.names(path, domain, names::dns1123_subdomain(domain));
    if domain.split('.').count() < 2 {
        e.invalid(
            path,
            domain,
            "should be a domain with at least two segments separated by dots",
        );
    }
    e.names(path, signer, names::dns1123_subdomain(signer));
    if name.len() > 571 {
        e.push(FieldError::too_long(path, 571));
    }
}
