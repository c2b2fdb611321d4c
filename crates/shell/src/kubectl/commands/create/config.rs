//! `kubectl create configmap|secret|namespace|quota|priorityclass`

use kubarium_objects::{Value, array, base64, go, names, object};
use sha2::{Digest, Sha256};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, DRY_RUN, PRINT, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};

const SOURCES: &[Flag] = &[
    switch("append-hash", "Append a hash of the object to its name."),
    list(
        "from-env-file",
        "Specify the path to a file to read lines of key=val pairs to create the object.",
    ),
    list(
        "from-file",
        "Key file can be specified using its file path, in which case file basename will be used as key.",
    ),
    flag(
        "from-literal",
        Kind::Texts,
        "",
        "Specify a key and literal value to insert (i.e. mykey=somevalue)",
    ),
];

pub(crate) const CONFIG_MAP: Command = Command::new(
    "configmap",
    "NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none] [options]",
    "Create a config map from a local file, directory or literal value",
    config_map,
)
.flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, SOURCES])
.aliases(&["cm"])
.changing();

fn metadata(name: &str) -> Value {
    object([("name", name.into())])
}

/// `web-m4h6ctkgb2`: with `--append-hash` the name says what is in the object
/// (`kubectl/pkg/util/hash`).
fn hashed(k: &Kubectl, mut made: Value) -> Value {
    if !k.flags.bool("append-hash") {
        return made;
    }
    let mut content = Value::new_object();
    content["kind"] = made["kind"].clone();
    content["name"] = made["metadata"]["name"].clone();
    content["data"] = made["data"].clone();
    if made["kind"].str() == "Secret" {
        content["type"] = made["type"].str().into();
    } else if !made["binaryData"].is_null() {
        content["binaryData"] = made["binaryData"].clone();
    }
    let sum = Sha256::digest(go::json(&content));
    let name = format!(
        "{}-{}",
        made["metadata"]["name"].str(),
        crate::kubectl::commands::kustomize::short_hash(&sum)
    );
    made["metadata"]["name"] = name.into();
    made
}

/// The keys and bytes that `--from-…` give.
fn sources(k: &mut Kubectl) -> Result<Vec<(String, Vec<u8>)>> {
    if !k.flags.list("from-env-file").is_empty()
        && (!k.flags.list("from-file").is_empty() || !k.flags.list("from-literal").is_empty())
    {
        return plain("from-env-file cannot be combined with from-file or from-literal");
    }
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for source in k.flags.list("from-file").to_vec() {
        from_file(k, &source, &mut found)?;
    }
    for literal in k.flags.list("from-literal").to_vec() {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return plain(format!(
                "invalid literal source {literal}, expected key=value"
            ));
        };
        let unquoted = value
            .strip_prefix(['"', '\''])
            .filter(|v| value.len() > 1 && v.ends_with(&value[..1]))
            .map(|v| &v[..v.len() - 1]);
        found.push((
            key.to_owned(),
            unquoted.unwrap_or(value).as_bytes().to_vec(),
        ));
    }
    for file in k.flags.list("from-env-file").to_vec() {
        if k.session.is_directory(&k.session.absolute(&k.cwd, &file)) {
            let kind = match k.command.name {
                "configmap" => "config",
                _ => "secret",
            };
            return plain(format!("env {kind} file cannot be a directory"));
        }
        let bytes = read(k, &file)?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let complaints = names::env_var_name(key);
            if !complaints.is_empty() {
                return plain(format!(
                    "{} is not a valid key name: {}",
                    go::quote(key),
                    complaints.join(";")
                ));
            }
            found.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    Ok(found)
}

fn read(k: &Kubectl, file: &str) -> Result<Vec<u8>> {
    let path = k.session.absolute(&k.cwd, file);
    match k.session.read_file(&path) {
        Some(bytes) => Ok(bytes),
        None => plain(format!("error reading {file}: no such file or directory")),
    }
}

fn from_file(k: &Kubectl, source: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result {
    let (key, file) = match source.split_once('=') {
        Some(("", _)) => {
            return plain(format!(
                "key name for file path {} missing",
                source.trim_start_matches('=')
            ));
        }
        Some((key, "")) => return plain(format!("file path for key name {key} missing")),
        Some((_, file)) if file.contains('=') => {
            return plain("key names or file paths cannot contain '='");
        }
        Some((key, file)) => (Some(key), file),
        None => (None, source),
    };
    let path = k.session.absolute(&k.cwd, file);
    let base = |p: &str| p.rsplit('/').next().unwrap_or(p).to_owned();
    if k.session.is_directory(&path) {
        if key.is_some() {
            return plain("cannot give a key name for a directory path");
        }
        for below in k.session.files_below(&path, false) {
            found.push((
                base(&below),
                k.session.read_file(&below).unwrap_or_default(),
            ));
        }
        return Ok(());
    }
    match k.session.read_file(&path) {
        Some(bytes) => found.push((key.map_or_else(|| base(&path), str::to_owned), bytes)),
        None => return plain(format!("error reading {file}: no such file or directory")),
    }
    Ok(())
}

/// A key that an object's data can take; `of_config_map` is that object's name where it is a ConfigMap.
fn check_key(key: &str, seen: &[&Value], of_config_map: Option<&str>) -> Result {
    let quoted = go::quote(key);
    let complaints = names::config_map_key(key);
    if !complaints.is_empty() {
        return plain(match of_config_map {
            Some(_) => format!(
                "{quoted} is not a valid key name for a ConfigMap: {}",
                complaints.join(",")
            ),
            None => format!(
                "{quoted} is not valid key name for a Secret {}",
                complaints.join(";")
            ),
        });
    }
    if seen.iter().all(|data| data.get(key).is_none()) {
        return Ok(());
    }
    plain(match of_config_map {
        Some(name) => format!(
            "cannot add key {quoted}, another key by that name already exists in Data for ConfigMap {}",
            go::quote(name)
        ),
        None => format!("cannot add key {key}, another key by that name already exists"),
    })
}

fn config_map(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let (mut data, mut binary) = (Value::new_object(), Value::new_object());
    for (key, bytes) in sources(k)? {
        check_key(&key, &[&data, &binary], Some(&name))?;
        match String::from_utf8(bytes) {
            Ok(text) => data[key.as_str()] = text.into(),
            Err(e) => binary[key.as_str()] = base64::encode(e.as_bytes()).into(),
        }
    }
    let mut made = object([
        ("apiVersion", "v1".into()),
        ("kind", "ConfigMap".into()),
        ("metadata", metadata(&name)),
    ]);
    for (field, value) in [("data", data), ("binaryData", binary)] {
        if !value.is_empty() {
            made[field] = value;
        }
    }
    let made = hashed(k, made);
    k.generate(made, "failed to create configmap: ", "created")
}

pub(crate) const SECRET: Command = Command {
    run: None,
    ..Command::new(
        "secret",
        "(docker-registry | generic | tls) [options]",
        "Create a secret using a specified subcommand",
        |_| Ok(()),
    )
}
.commands(&[
    Command::new(
        "docker-registry",
        "NAME --docker-username=user --docker-password=password --docker-email=email [options]",
        "Create a secret for use with a Docker registry",
        docker_secret,
    )
    .flags(&[
        PRINT,
        DRY_RUN,
        SAVE_CONFIG,
        VALIDATE,
        &[
            switch("append-hash", "Append a hash of the secret to its name."),
            text("docker-email", "Email for Docker registry"),
            text(
                "docker-password",
                "Password for Docker registry authentication",
            ),
            flag(
                "docker-server",
                Kind::Text,
                "https://index.docker.io/v1/",
                "Server location for Docker registry",
            ),
            text(
                "docker-username",
                "Username for Docker registry authentication",
            ),
            list(
                "from-file",
                "Key files can be specified using their file path",
            ),
        ],
    ])
    .changing(),
    Command::new(
        "generic",
        "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [options]",
        "Create a secret from a local file, directory, or literal value",
        generic_secret,
    )
    .flags(&[
        PRINT,
        DRY_RUN,
        SAVE_CONFIG,
        VALIDATE,
        SOURCES,
        &[text("type", "The type of secret to create")],
    ])
    .changing(),
    Command::new(
        "tls",
        "NAME --cert=path/to/cert/file --key=path/to/key/file [options]",
        "Create a TLS secret",
        tls_secret,
    )
    .flags(&[
        PRINT,
        DRY_RUN,
        SAVE_CONFIG,
        VALIDATE,
        &[
            switch("append-hash", "Append a hash of the secret to its name."),
            text("cert", "Path to PEM encoded public key certificate."),
            text(
                "key",
                "Path to private key associated with given certificate.",
            ),
        ],
    ])
    .changing(),
]);

fn secret(name: &str, data: Value, kind: &str) -> Value {
    let mut made = object([
        ("apiVersion", "v1".into()),
        ("kind", "Secret".into()),
        ("metadata", metadata(name)),
    ]);
    if !data.is_empty() {
        made["data"] = data;
    }
    if !kind.is_empty() {
        made["type"] = kind.into();
    }
    made
}

fn generic_secret(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let mut data = Value::new_object();
    for (key, bytes) in sources(k)? {
        check_key(&key, &[&data], None)?;
        data[key.as_str()] = base64::encode(&bytes).into();
    }
    let kind = k.flags.str("type").to_owned();
    let made = hashed(k, secret(&name, data, &kind));
    k.generate(made, "failed to create secret ", "created")
}

/// The type of a secret with a registry's credentials.
const DOCKER: &str = "kubernetes.io/dockerconfigjson";

fn docker_secret(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    if !k.flags.list("from-file").is_empty() {
        let mut data = Value::new_object();
        for (key, bytes) in sources(k)? {
            check_key(&key, &[&data], None)?;
            data[key.as_str()] = base64::encode(&bytes).into();
        }
        let made = hashed(k, secret(&name, data, DOCKER));
        return k.generate(made, "failed to create secret ", "created");
    }
    let value = |flag: &str| k.flags.str(flag).to_owned();
    let (server, user, password, email) = (
        value("docker-server"),
        value("docker-username"),
        value("docker-password"),
        value("docker-email"),
    );
    if user.is_empty() || password.is_empty() {
        return plain(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
        );
    }
    let auth = base64::encode(format!("{user}:{password}").as_bytes());
    // The fields are in the order of the Go struct.
    let mut entry = format!(
        "{{\"username\":{},\"password\":{}",
        quoted(&user),
        quoted(&password)
    );
    if !email.is_empty() {
        entry.push_str(&format!(",\"email\":{}", quoted(&email)));
    }
    entry.push_str(&format!(",\"auth\":{}}}", quoted(&auth)));
    let text = format!("{{\"auths\":{{{}:{entry}}}}}", quoted(&server));
    let data = object([(".dockerconfigjson", base64::encode(text.as_bytes()).into())]);
    let made = hashed(k, secret(&name, data, DOCKER));
    k.generate(made, "failed to create secret ", "created")
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    go::json_string(&mut out, text);
    out
}

fn tls_secret(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let mut data = Value::new_object();
    for (flag, key) in [("cert", "tls.crt"), ("key", "tls.key")] {
        let file = k.flags.str(flag).to_owned();
        if file.is_empty() {
            return plain("key and cert must be specified");
        }
        let path = k.session.absolute(&k.cwd, &file);
        match k.session.read_file(&path) {
            Some(bytes) => data[key] = base64::encode(&bytes).into(),
            None => {
                return plain(format!(
                    "Cannot read file {file}, open {file}: no such file or directory"
                ));
            }
        }
    }
    let made = hashed(k, secret(&name, data, "kubernetes.io/tls"));
    k.generate(made, "failed to create secret ", "created")
}

pub(crate) const NAMESPACE: Command = Command::new(
    "namespace",
    "NAME [--dry-run=server|client|none] [options]",
    "Create a namespace with the specified name",
    namespace,
)
.flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE])
.aliases(&["ns"])
.changing();

fn namespace(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let made = object([
        ("apiVersion", "v1".into()),
        ("kind", "Namespace".into()),
        ("metadata", metadata(&name)),
        ("spec", Value::new_object()),
        ("status", Value::new_object()),
    ]);
    k.generate(made, "", "created")
}

pub(crate) const QUOTA: Command = Command::new("quota", "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2] [options]", "Create a quota with the specified name", quota)
    .flags(&[
        PRINT,
        DRY_RUN,
        SAVE_CONFIG,
        VALIDATE,
        &[text("hard", "A comma-delimited set of resource=quantity pairs that define a hard limit."), text("scopes", "A comma-delimited set of quota scopes that must all match each object tracked by the quota.")],
    ])
    .aliases(&["resourcequota"])
    .changing();

fn quota(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let mut spec = Value::new_object();
    for pair in k.flags.str("hard").split(',').filter(|p| !p.is_empty()) {
        let Some((key, value)) = pair.split_once('=').filter(|(_, v)| !v.contains('=')) else {
            return plain(format!(
                "Invalid argument syntax {pair}, expected <resource>=<value>"
            ));
        };
        if value.parse::<kubarium_objects::Quantity>().is_err() {
            return plain(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            );
        }
        spec["hard"][key] = value.into();
    }
    let scopes = k.flags.str("scopes");
    if !scopes.is_empty() {
        if scopes.split(',').any(str::is_empty) {
            return plain("invalid resource quota scope \"\"");
        }
        spec["scopes"] = array(scopes.split(','));
    }
    let made = object([
        ("apiVersion", "v1".into()),
        ("kind", "ResourceQuota".into()),
        ("metadata", metadata(&name)),
        ("spec", spec),
        ("status", Value::new_object()),
    ]);
    k.generate(made, "failed to create quota: ", "created")
}

pub(crate) const PRIORITY_CLASS: Command = Command::new("priorityclass", "NAME --value=VALUE --global-default=BOOL [options]", "Create a priority class with the specified name", priority_class)
    .flags(&[
        PRINT,
        DRY_RUN,
        SAVE_CONFIG,
        VALIDATE,
        &[
            text("description", "description is an arbitrary string that usually provides guidelines on when this priority class should be used."),
            switch("global-default", "global-default specifies whether this PriorityClass should be considered as the default priority."),
            flag("preemption-policy", Kind::Text, "PreemptLowerPriority", "preemption-policy is the policy for preempting pods with lower priority."),
            flag("value", Kind::Int, "0", "the value of this priority class."),
        ],
    ])
    .aliases(&["pc"])
    .changing();

fn priority_class(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let mut made = object([
        ("apiVersion", "scheduling.k8s.io/v1".into()),
        ("kind", "PriorityClass".into()),
        ("metadata", metadata(&name)),
        ("preemptionPolicy", k.flags.str("preemption-policy").into()),
        ("value", k.flags.int("value").into()),
    ]);
    if k.flags.bool("global-default") {
        made["globalDefault"] = true.into();
    }
    if !k.flags.str("description").is_empty() {
        made["description"] = k.flags.str("description").into();
    }
    k.generate(made, "failed to create priorityclass: ", "created")
}
