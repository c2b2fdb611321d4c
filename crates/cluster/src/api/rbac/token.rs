//! Tokens of service accounts, as the API server issues them to pods (KEP-1205): JSON Web Tokens.
//! What signs them here is a digest of the claims and of the cluster's seed, as long as an RSA
//! signature of 2048 bits.

use kubarium_objects::status::Status;
use kubarium_objects::{FieldError, ObjectKey, Value, array, base64, go, object};
use sha2::{Digest, Sha256};

use super::User;
use crate::cluster::Cluster;

/// Who issues tokens, and for whom.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// How long a pod's token is asked for by the ServiceAccount plugin, in seconds, …
const USUAL: i64 = 3607;
/// … and how long it is good for then, for the sake of old clients.
const EXTENDED: i64 = 31_536_000;

fn url_safe(bytes: &[u8]) -> String {
    base64::encode(bytes)
        .replace('+', "-")
        .replace('/', "_")
        .trim_end_matches('=')
        .to_owned()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut text = text.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    base64::decode(&text).ok()
}

/// A token's own number (`jti`), in the form of a UUID.
fn token_id(of: &Value, issued: i64, seconds: i64) -> String {
    let digest = Sha256::digest(format!("{}/{issued}/{seconds}", go::json(of)));
    let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

impl Cluster {
    fn signature(&self, content: &str) -> String {
        let mut bytes = Vec::with_capacity(256);
        for part in 0..8_u8 {
            let mut digest = Sha256::new();
            digest.update(self.config.seed.to_be_bytes());
            digest.update([part]);
            digest.update(content);
            bytes.extend_from_slice(&digest.finalize());
        }
        url_safe(&bytes)
    }

    /// The token of a pod's service account as a projected volume's source asks for it. `started` is
    /// when the pod was, in seconds since the Unix epoch; the kubelet asks for a new one when four
    /// fifths of a token's time are over.
    pub(crate) fn pod_token(
        &self,
        pod: &Value,
        node: &str,
        source: &Value,
        started: i64,
    ) -> String {
        let seconds = source["expirationSeconds"]
            .as_i64()
            .unwrap_or(3600)
            .max(600);
        let period = seconds * 4 / 5;
        let issued = started + (self.now.unix_seconds() - started).max(0) / period * period;
        let (lifetime, warn) = match seconds {
            USUAL => (EXTENDED, true),
            _ => (seconds, false),
        };
        let audience = source["audience"].as_str().unwrap_or(ISSUER);
        let namespace = pod["metadata"]["namespace"].str();
        let account = pod["spec"]["serviceAccountName"].str();
        let named = |name: &str, uid: &Value| object([("name", name.into()), ("uid", uid.clone())]);
        let uid = |resource: &str, namespace: &str, name: &str| {
            let found = self.find(resource, namespace, name);
            found.map_or(Value::Null, |o| o["metadata"]["uid"].clone())
        };
        let mut of = object([
            ("namespace", namespace.into()),
            ("node", named(node, &uid("nodes", "", node))),
            (
                "pod",
                named(pod["metadata"]["name"].str(), &pod["metadata"]["uid"]),
            ),
            (
                "serviceaccount",
                named(account, &uid("serviceaccounts", namespace, account)),
            ),
        ]);
        if warn {
            of["warnafter"] = (issued + USUAL).into();
        }
        let claims = object([
            ("aud", array([audience])),
            ("exp", (issued + lifetime).into()),
            ("iat", issued.into()),
            ("iss", ISSUER.into()),
            ("kubernetes.io", of),
            ("nbf", issued.into()),
            (
                "sub",
                format!("system:serviceaccount:{namespace}:{account}").into(),
            ),
        ]);
        self.signed(&claims)
    }

    /// The token in a Secret of the type for it: it lasts as long as the Secret and the account.
    pub(crate) fn secret_token(&self, secret: &Value, account: &Value) -> String {
        let namespace = secret["metadata"]["namespace"].str();
        let name = account["metadata"]["name"].str();
        let claim = |field: &str| format!("kubernetes.io/serviceaccount/{field}");
        let mut claims = object([
            ("iss", "kubernetes/serviceaccount".into()),
            (
                "sub",
                format!("system:serviceaccount:{namespace}:{name}").into(),
            ),
        ]);
        claims[&*claim("namespace")] = namespace.into();
        claims[&*claim("secret.name")] = secret["metadata"]["name"].clone();
        claims[&*claim("service-account.name")] = name.into();
        claims[&*claim("service-account.uid")] = account["metadata"]["uid"].clone();
        self.signed(&claims)
    }

    /// What the API server answers to a TokenRequest with this spec
    /// (`pkg/registry/core/serviceaccount/storage/token.go`).
    ///
    /// # Errors
    /// 404 without the account or what the token is to be bound to; 400, 409, 422.
    pub fn token_request(
        &self,
        namespace: &str,
        name: &str,
        spec: &Value,
    ) -> Result<Value, Status> {
        let account = self.get(&ObjectKey::new("serviceaccounts", namespace, name))?;
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(3600);
        let why = match seconds {
            ..600 => "may not specify a duration less than 10 minutes",
            4_294_967_297.. => "may not specify a duration larger than 2^32 seconds",
            _ => "",
        };
        if !why.is_empty() {
            let error = FieldError::invalid("spec.expirationSeconds", seconds, why);
            let kind = "TokenRequest.authentication.k8s.io";
            return Err(Status::invalid(kind, "", &[error]));
        }
        let named = |o: &Value| {
            let metadata = &o["metadata"];
            object([
                ("name", metadata["name"].clone()),
                ("uid", metadata["uid"].clone()),
            ])
        };
        let mut of = object([
            ("namespace", namespace.into()),
            ("serviceaccount", named(account)),
        ]);
        let reference = &spec["boundObjectRef"];
        if !reference.is_null() {
            let (field, bound) = self.bound(namespace, name, reference)?;
            of[field] = named(bound);
        }
        let audiences = match spec["audiences"].items() {
            [] => array([ISSUER]),
            _ => spec["audiences"].clone(),
        };
        let issued = self.now.unix_seconds();
        let claims = object([
            ("aud", audiences.clone()),
            ("exp", (issued + seconds).into()),
            ("iat", issued.into()),
            ("iss", ISSUER.into()),
            ("jti", token_id(&of, issued, seconds).into()),
            ("kubernetes.io", of),
            ("nbf", issued.into()),
            (
                "sub",
                format!("system:serviceaccount:{namespace}:{name}").into(),
            ),
        ]);
        let expires = kubarium_objects::time::format_seconds(issued + seconds);
        Ok(object([
            ("apiVersion", "authentication.k8s.io/v1".into()),
            ("kind", "TokenRequest".into()),
            (
                "metadata",
                object([
                    ("creationTimestamp", self.now.rfc3339().into()),
                    ("name", name.into()),
                    ("namespace", namespace.into()),
                ]),
            ),
            (
                "spec",
                object([
                    ("audiences", audiences),
                    ("boundObjectRef", reference.clone()),
                    ("expirationSeconds", seconds.into()),
                ]),
            ),
            (
                "status",
                object([
                    ("expirationTimestamp", expires.into()),
                    ("token", self.signed(&claims).into()),
                ]),
            ),
        ]))
    }

    /// What a token is to be bound to: how the claims call it, and the object.
    fn bound(
        &self,
        namespace: &str,
        account: &str,
        reference: &Value,
    ) -> Result<(&'static str, &Value), Status> {
        let (resource, field, namespace) = match reference["kind"].str() {
            "Pod" => ("pods", "pod", namespace),
            "Secret" => ("secrets", "secret", namespace),
            "Node" => ("nodes", "node", ""),
            kind => {
                let (version, kind) = (reference["apiVersion"].str(), kind);
                return Err(Status::bad_request(format!(
                    "cannot bind token to object of type {version}, Kind={kind}"
                )));
            }
        };
        let name = reference["name"].str();
        let object = self.get(&ObjectKey::new(resource, namespace, name))?;
        let own = object["spec"]["serviceAccountName"].str();
        if field == "pod" && own != account {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                go::quote(account)
            )));
        }
        let (wanted, uid) = (reference["uid"].str(), object["metadata"]["uid"].str());
        if !wanted.is_empty() && wanted != uid {
            let why = format!(
                "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(resource, name, &why));
        }
        Ok((field, object))
    }

    fn signed(&self, claims: &Value) -> String {
        let header = object([("alg", "RS256".into()), ("kid", "kubarium".into())]);
        let content = format!(
            "{}.{}",
            url_safe(go::json(&header).as_bytes()),
            url_safe(go::json(claims).as_bytes())
        );
        format!("{content}.{}", self.signature(&content))
    }

    /// Who shows a token; none for one that was not issued here, or whose account or pod is gone.
    pub fn authenticate(&self, token: &str) -> Option<User> {
        let (content, signature) = token.trim().rsplit_once('.')?;
        if self.signature(content) != signature {
            return None;
        }
        let (_, claims) = content.split_once('.')?;
        let claims = String::from_utf8(decoded(claims)?).ok()?;
        let claims = Value::from_json(&claims).ok()?;
        if claims["iss"].str() == "kubernetes/serviceaccount" {
            return self.authenticate_secret(&claims, token.trim());
        }
        if claims["exp"].as_i64()? < self.now.unix_seconds() {
            return None;
        }
        if claims["aud"].items().iter().all(|a| a.str() != ISSUER) {
            // Meant for somebody else.
            return None;
        }
        let of = &claims["kubernetes.io"];
        let namespace = of["namespace"].str();
        let still = |resource: &str, named: &Value| {
            let found = self.find(resource, namespace, named["name"].str());
            found.is_some_and(|o| o["metadata"]["uid"] == named["uid"])
        };
        let bound = |resource: &str, named: &Value| named.is_null() || still(resource, named);
        if !still("serviceaccounts", &of["serviceaccount"])
            || !bound("pods", &of["pod"])
            || !bound("secrets", &of["secret"])
        {
            return None;
        }
        let mut user = User::service_account(namespace, of["serviceaccount"]["name"].str());
        user.uid = of["serviceaccount"]["uid"].str().to_owned();
        Some(user)
    }

    /// Who shows a Secret's token: its account, while both are there.
    fn authenticate_secret(&self, claims: &Value, token: &str) -> Option<User> {
        let claim = |field: &str| claims[&*format!("kubernetes.io/serviceaccount/{field}")].clone();
        let (namespace, name) = (claim("namespace"), claim("service-account.name"));
        let account = self.find("serviceaccounts", namespace.str(), name.str())?;
        let secret = self.find("secrets", namespace.str(), claim("secret.name").str())?;
        let uid = claim("service-account.uid");
        let stored = base64::encode(token.as_bytes());
        if account["metadata"]["uid"] != uid || secret["data"]["token"].str() != stored {
            return None;
        }
        let mut user = User::service_account(namespace.str(), name.str());
        user.uid = uid.str().to_owned();
        Some(user)
    }
}
