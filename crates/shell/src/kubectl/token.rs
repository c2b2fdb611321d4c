//! Tokens of ServiceAccounts: JSON Web Tokens with the API server's claims. The signature is a checksum
//! that only this program makes and checks.

use kubarium_cluster::Cluster;
use kubarium_cluster::api::rbac::User;
use kubarium_objects::{ObjectMeta, Value, array, base64, go, object};
use sha2::{Digest, Sha256};

/// Who a token is for where nothing else is asked for.
pub(crate) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// What a token says.
pub(crate) struct Claims<'a> {
    pub audiences: &'a [String],
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    /// Seconds since the Unix epoch.
    pub issued: i64,
    pub expires: i64,
    /// The kind, name and uid of what it is bound to.
    pub bound: Option<&'a (String, String, String)>,
}

/// A token with these claims.
pub(crate) fn issue(claims: &Claims) -> String {
    let mut of = object([
        ("namespace", claims.namespace.into()),
        (
            "serviceaccount",
            object([("name", claims.name.into()), ("uid", claims.uid.into())]),
        ),
    ]);
    if let Some((kind, name, uid)) = claims.bound {
        of[kind.as_str()] = object([("name", name.as_str().into()), ("uid", uid.as_str().into())]);
    }
    let id = Sha256::digest(format!(
        "{}/{}/{}",
        claims.uid, claims.issued, claims.expires
    ));
    let id: String = id.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let id = format!(
        "{}-{}-4{}-a{}-{}",
        &id[..8],
        &id[8..12],
        &id[13..16],
        &id[17..20],
        &id[20..32]
    );
    let payload = object([
        ("aud", array(claims.audiences.iter().map(String::as_str))),
        ("exp", claims.expires.into()),
        ("iat", claims.issued.into()),
        ("iss", AUDIENCE.into()),
        ("jti", id.into()),
        ("kubernetes.io", of),
        ("nbf", claims.issued.into()),
        (
            "sub",
            format!("system:serviceaccount:{}:{}", claims.namespace, claims.name).into(),
        ),
    ]);
    let header = object([("alg", "RS256".into()), ("kid", key().into())]);
    let text = format!(
        "{}.{}",
        url_safe(go::json(&header).as_bytes()),
        url_safe(go::json(&payload).as_bytes())
    );
    let signature = url_safe(&signature(&text));
    format!("{text}.{signature}")
}

/// Whose token it is, if it is one of ours, is valid still, and its ServiceAccount is there.
pub(crate) fn user(cluster: &Cluster, token: &str) -> Option<User> {
    let (text, sum) = token.rsplit_once('.')?;
    if url_safe(&signature(text)) != sum {
        return None;
    }
    let (_, payload) = text.split_once('.')?;
    let mut plain = payload.replace('-', "+").replace('_', "/");
    while plain.len() % 4 != 0 {
        plain.push('=');
    }
    let payload = String::from_utf8(base64::decode(&plain).ok()?).ok()?;
    let payload = Value::from_json(&payload).ok()?;
    if payload["exp"].as_i64()? < cluster.now.unix_seconds() {
        return None;
    }
    let of = &payload["kubernetes.io"];
    let (namespace, name) = (of["namespace"].str(), of["serviceaccount"]["name"].str());
    let account = cluster.find("serviceaccounts", namespace, name)?;
    let uid = of["serviceaccount"]["uid"].str();
    (account.uid() == uid).then(|| User::impersonated(payload["sub"].str(), uid, &[]))
}

/// The name of the key.
fn key() -> String {
    url_safe(&Sha256::digest(AUDIENCE))
}

/// As long as an RSA signature of 2048 bits.
fn signature(text: &str) -> Vec<u8> {
    let mut sum = Vec::new();
    for part in 0..8u8 {
        let mut hash = Sha256::new();
        hash.update([part]);
        hash.update(key());
        hash.update(text);
        sum.extend(hash.finalize());
    }
    sum
}

/// base64 for addresses, without its padding (RFC 7515).
fn url_safe(bytes: &[u8]) -> String {
    base64::encode(bytes)
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_")
}
