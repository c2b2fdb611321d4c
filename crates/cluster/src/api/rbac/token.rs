//! Tokens of service accounts, as the API server issues them to pods (KEP-1205): JSON Web Tokens.
//! What signs them here is a digest of the claims and of the cluster's seed, as long as an RSA
//! signature of 2048 bits.

use kubarium_objects::{Value, array, base64, go, object};
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
        if !still("serviceaccounts", &of["serviceaccount"]) || !still("pods", &of["pod"]) {
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
