//! `kubectl kustomize` and `-k`: builds what a kustomization file describes (kustomize v5.8), from the
//! session's own files.

use kubarium_objects::{Schema, Selector, Value, array, base64, object, patch, yaml};
use sha2::{Digest, Sha256};

use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, flag, list, switch, text};

const FLAGS: &[Flag] = &[
    switch(
        "as-current-user",
        "use the uid and gid of the command executor to run the function in the container",
    ),
    switch("enable-alpha-plugins", "enable kustomize plugins"),
    switch(
        "enable-helm",
        "Enable use of the Helm chart inflator generator.",
    ),
    list(
        "env",
        "a list of environment variables to be used by functions",
    )
    .short('e'),
    flag(
        "load-restrictor",
        crate::kubectl::flags::Kind::Text,
        "LoadRestrictionsRootOnly",
        "if set to 'LoadRestrictionsNone', local kustomizations may load files from outside their root. This does, however, break the relocatability of the kustomization.",
    ),
    text("output", "If specified, write output to this path.").short('o'),
];

pub(crate) const COMMAND: Command = Command::new(
    "kustomize",
    "DIR [options]",
    "Build a kustomization target from a directory or URL",
    run,
)
.flags(&[FLAGS])
.partly("resources, generators, names, labels, annotations, images, replicas and patches; no components, replacements, plugins and URLs");

/// What a kustomization file may hold; what is not built is refused by name.
const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "bases",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "images",
    "replicas",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "sortOptions",
    "buildMetadata",
];

const NOT_BUILT: &[&str] = &[
    "components",
    "configurations",
    "crds",
    "generators",
    "helmCharts",
    "helmGlobals",
    "openapi",
    "replacements",
    "transformers",
    "validators",
    "vars",
];

const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
const DEPTH_MAX: usize = 16;
const OBJECTS_MAX: usize = 10_000;

fn run(k: &mut Kubectl) -> Result {
    let directory = match &k.flags.args[..] {
        [] => ".".to_owned(),
        [one] => one.clone(),
        _ => {
            return plain("specify one path to kustomization.yaml");
        }
    };
    let objects = build(k, &directory)?;
    let texts: Vec<String> = objects.iter().map(yaml::to_yaml).collect();
    let text = texts.join("---\n");
    match k.flags.str("output").to_owned().as_str() {
        "" => k.out(text),
        file => {
            let path = k.session.absolute(&k.cwd, file);
            if let Err(why) = k.session.write_file(&path, text.as_bytes()) {
                return plain(format!("open {file}: {why}"));
            }
        }
    }
    Ok(())
}

/// An object on its way.
#[derive(Clone)]
struct Item {
    object: Value,
    /// The names that it has had, the first first.
    names: Vec<String>,
    /// Its name gets a hash of its content at the end.
    hashed: bool,
}

impl Item {
    fn kind(&self) -> &str {
        self.object["kind"].str()
    }

    fn name(&self) -> &str {
        self.object["metadata"]["name"].str()
    }

    fn rename(&mut self, name: String) {
        self.object["metadata"]["name"] = name.as_str().into();
        self.names.push(name);
    }
}

/// The objects that a directory's kustomization describes, in kustomize's own order.
pub(crate) fn build(k: &mut Kubectl, directory: &str) -> Result<Vec<Value>> {
    let path = k.session.absolute(&k.cwd, directory);
    if directory.contains("://") || directory.starts_with("github.com/") {
        return plain(crate::registry::not_yet(
            "a kustomization at a URL",
            "save its files and give their directory",
        ));
    }
    if !k.session.is_directory(&path) {
        return plain(format!(
            "must build at directory: not a valid directory: evalsymlink failure on '{directory}' : lstat {path}: no such file or directory"
        ));
    }
    let mut items = target(k, &path, 0)?;
    for item in &mut items {
        if item.hashed {
            let name = format!("{}-{}", item.name(), content_hash(&item.object));
            item.rename(name);
        }
    }
    refer(&mut items);
    items.sort_by_cached_key(|i| {
        let metadata = &i.object["metadata"];
        let place = place(i.kind());
        (
            place,
            if place == OTHERS {
                i.kind().to_owned()
            } else {
                String::new()
            },
            metadata["namespace"].str().to_owned(),
            metadata["name"].str().to_owned(),
        )
    });
    Ok(items.into_iter().map(|i| i.object).collect())
}

const OTHERS: usize = 500;

/// Where a kind stands in the output (`kyaml/resid`, its fixed order of kinds).
fn place(kind: &str) -> usize {
    const FIRST: [&str; 22] = [
        "Namespace",
        "ResourceQuota",
        "StorageClass",
        "CustomResourceDefinition",
        "ServiceAccount",
        "PodSecurityPolicy",
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "ConfigMap",
        "Secret",
        "Endpoints",
        "Service",
        "LimitRange",
        "PriorityClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Deployment",
        "StatefulSet",
        "CronJob",
        "PodDisruptionBudget",
    ];
    match FIRST.iter().position(|k| *k == kind) {
        Some(at) => at,
        None if kind == "MutatingWebhookConfiguration" => OTHERS + 1,
        None if kind == "ValidatingWebhookConfiguration" => OTHERS + 2,
        None => OTHERS,
    }
}

/// What the file of a directory describes, without the hashes.
fn target(k: &mut Kubectl, path: &str, depth: usize) -> Result<Vec<Item>> {
    if depth > DEPTH_MAX {
        return plain(format!("cycle detected: {path} refers to itself"));
    }
    let file = FILES
        .iter()
        .find_map(|name| k.session.read_file(&format!("{path}/{name}")));
    let Some(bytes) = file else {
        return plain(format!(
            "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{path}'"
        ));
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (documents, broken) = yaml::parse_until_error(&text);
    if let Some(broken) = broken {
        return plain(format!("invalid Kustomization: {}", broken.message));
    }
    let Some(spec) = documents.into_iter().next().map(|d| d.value) else {
        return plain("kustomization.yaml is empty");
    };
    if spec.is_empty() {
        return plain("kustomization.yaml is empty");
    }
    for (field, _) in spec.entries() {
        if NOT_BUILT.contains(&&**field) {
            return plain(crate::registry::not_yet(
                &format!("{field} in a kustomization"),
                "",
            ));
        }
        if !FIELDS.contains(&&**field) {
            return plain(format!(
                "invalid Kustomization: json: unknown field \"{field}\""
            ));
        }
    }
    for (field, instead) in [
        ("commonLabels", "labels"),
        ("bases", "resources"),
        ("patchesStrategicMerge", "patches"),
        ("patchesJson6902", "patches"),
    ] {
        if !spec[field].is_null() {
            k.err(format!("# Warning: '{field}' is deprecated. Please use '{instead}' instead. Run 'kustomize edit fix' to update your Kustomization automatically.\n"));
        }
    }
    let mut items = Vec::new();
    for resource in spec["resources"]
        .items()
        .iter()
        .chain(spec["bases"].items())
    {
        let name = resource.str();
        let at = join(path, name);
        if k.session.is_directory(&at) {
            items.extend(target(k, &at, depth + 1)?);
        } else if let Some(bytes) = k.session.read_file(&at) {
            items.extend(read(&String::from_utf8_lossy(&bytes), &at)?);
        } else {
            let lstat =
                format!("evalsymlink failure on '{at}' : lstat {at}: no such file or directory");
            return plain(format!(
                "accumulating resources: accumulation err='accumulating resources from '{name}': {lstat}': must build at directory: not a valid directory: {lstat}"
            ));
        }
        if items.len() > OBJECTS_MAX {
            return plain("too many objects");
        }
    }
    for (field, kind) in [
        ("configMapGenerator", "ConfigMap"),
        ("secretGenerator", "Secret"),
    ] {
        for generator in spec[field].items() {
            generate(
                k,
                path,
                kind,
                generator,
                &spec["generatorOptions"],
                &mut items,
            )?;
        }
    }
    patches(k, path, &spec, &mut items)?;
    let namespace = spec["namespace"].str();
    if !namespace.is_empty() {
        put_in_namespace(&mut items, namespace);
    }
    let (prefix, suffix) = (spec["namePrefix"].str(), spec["nameSuffix"].str());
    if !prefix.is_empty() || !suffix.is_empty() {
        for item in &mut items {
            let kept = ["Namespace", "CustomResourceDefinition", "APIService"];
            if !kept.contains(&item.kind()) {
                let name = format!("{prefix}{}{suffix}", item.name());
                item.rename(name);
            }
        }
        refer(&mut items);
    }
    for set in spec["labels"].items() {
        let selectors = set["includeSelectors"].as_bool() == Some(true);
        let templates = selectors || set["includeTemplates"].as_bool() == Some(true);
        for item in &mut items {
            label(&mut item.object, &set["pairs"], selectors, templates);
        }
    }
    for item in &mut items {
        label(&mut item.object, &spec["commonLabels"], true, true);
        annotate(&mut item.object, &spec["commonAnnotations"]);
    }
    for replicas in spec["replicas"].items() {
        let name = replicas["name"].str();
        for item in &mut items {
            let scalable = matches!(
                item.kind(),
                "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController"
            );
            if scalable && item.names.iter().any(|n| n == name) {
                item.object
                    .set(&["spec", "replicas"], replicas["count"].clone());
            }
        }
    }
    for image in spec["images"].items() {
        for item in &mut items {
            item.object = with_image(&item.object, image, 0);
        }
    }
    Ok(items)
}

fn join(directory: &str, name: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
    if name.starts_with('/') {
        parts.clear();
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn read(text: &str, path: &str) -> Result<Vec<Item>> {
    let (documents, broken) = yaml::parse_until_error(text);
    if let Some(broken) = broken {
        return plain(format!(
            "accumulating resources: accumulation err='accumulating resources from '{path}': MalformedYAMLError: {} in File: {path}'",
            broken.message
        ));
    }
    let mut items = Vec::new();
    for document in documents {
        let object = document.value;
        if object.is_null() {
            continue;
        }
        if object["kind"].str().is_empty() {
            return plain(format!("missing Resource metadata in {path}"));
        }
        if object["kind"].str().ends_with("List") {
            items.extend(object["items"].items().iter().cloned());
        } else {
            items.push(object);
        }
    }
    Ok(items
        .into_iter()
        .map(|object| Item {
            names: vec![object["metadata"]["name"].str().to_owned()],
            object,
            hashed: false,
        })
        .collect())
}

// --- Generators -------------------------------------------------------------------------------

fn generate(
    k: &mut Kubectl,
    path: &str,
    kind: &str,
    generator: &Value,
    all: &Value,
    items: &mut Vec<Item>,
) -> Result {
    let name = generator["name"].str();
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    let file = |name: &str| -> Result<Vec<u8>> {
        let at = join(path, name);
        k.session.read_file(&at).ok_or_else(|| {
            Error::Plain(format!(
                "loading KV pairs: file sources: [{name}]: evalsymlink failure on '{at}' : lstat {at}: no such file or directory"
            ))
        })
    };
    let env = generator["env"].str();
    let envs = generator["envs"].items().iter().map(Value::str);
    for source in envs.chain((!env.is_empty()).then_some(env)) {
        for line in String::from_utf8_lossy(&file(source)?).lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    for literal in generator["literals"].items() {
        let Some((key, value)) = literal.str().split_once('=') else {
            return plain(format!(
                "loading KV pairs: literal sources {}: invalid literal source {}, expected key=value",
                literal.str(),
                literal.str()
            ));
        };
        let quotes: [&[char]; 2] = [&['"'], &['\'']];
        let unquoted = quotes
            .iter()
            .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))
            .unwrap_or(value);
        pairs.push((key.to_owned(), unquoted.as_bytes().to_vec()));
    }
    for source in generator["files"].items() {
        let (key, name) = match source.str().split_once('=') {
            Some((key, name)) => (key.to_owned(), name),
            None => {
                let name = source.str();
                (name.rsplit('/').next().unwrap_or(name).to_owned(), name)
            }
        };
        pairs.push((key, file(name)?));
    }
    let mut data = Value::new_object();
    let mut binary = Value::new_object();
    for (key, bytes) in pairs {
        if kind == "Secret" {
            data[key.as_str()] = base64::encode(&bytes).into();
            continue;
        }
        match String::from_utf8(bytes) {
            Ok(text) => data[key.as_str()] = text.into(),
            Err(e) => binary[key.as_str()] = base64::encode(e.as_bytes()).into(),
        }
    }
    let behavior = generator["behavior"].str();
    let known = items
        .iter_mut()
        .find(|i| i.kind() == kind && i.names.iter().any(|n| n == name));
    let own = &generator["options"];
    let option = |field: &str| -> Value {
        let mut both = all[field].clone();
        for (key, value) in own[field].entries() {
            both[&**key] = value.clone();
        }
        both
    };
    let fixed = [own, all]
        .iter()
        .any(|o| o["disableNameSuffixHash"].as_bool() == Some(true));
    let (labels, annotations) = (option("labels"), option("annotations"));
    match (behavior, known) {
        ("merge" | "replace", Some(item)) => {
            if behavior == "replace" {
                item.object.remove(&["data"]);
                item.object.remove(&["binaryData"]);
            }
            for (field, map) in [("data", &data), ("binaryData", &binary)] {
                for (key, value) in map.entries() {
                    item.object[field][&**key] = value.clone();
                }
            }
            for (field, map) in [("labels", &labels), ("annotations", &annotations)] {
                for (key, value) in map.entries() {
                    item.object["metadata"][field][&**key] = value.clone();
                }
            }
            Ok(())
        }
        ("merge" | "replace", None) => plain(format!(
            "merging from generator {}: id resid.ResId{{Gvk:resid.Gvk{{Version:\"v1\", Kind:\"{kind}\"}}, Name:\"{name}\"}} does not exist; cannot merge or replace",
            "&{0x0}"
        )),
        (_, Some(_)) => plain(format!(
            "merging from generator {}: id resid.ResId{{Gvk:resid.Gvk{{Version:\"v1\", Kind:\"{kind}\"}}, Name:\"{name}\"}} exists; behavior must be merge or replace",
            "&{0x0}"
        )),
        (_, None) => {
            let mut metadata = object([("name", name.into())]);
            if !generator["namespace"].is_empty() {
                metadata["namespace"] = generator["namespace"].clone();
            }
            for (field, map) in [("labels", labels), ("annotations", annotations)] {
                if !map.is_empty() {
                    metadata[field] = map;
                }
            }
            let mut made = object([
                ("apiVersion", "v1".into()),
                ("kind", kind.into()),
                ("metadata", metadata),
            ]);
            for (field, map) in [("data", data), ("binaryData", binary)] {
                if !map.is_empty() {
                    made[field] = map;
                }
            }
            if kind == "Secret" {
                made["type"] = match generator["type"].str() {
                    "" => "Opaque".into(),
                    given => given.into(),
                };
            }
            if [own, all]
                .iter()
                .any(|o| o["immutable"].as_bool() == Some(true))
            {
                made["immutable"] = true.into();
            }
            items.push(Item {
                object: made,
                names: vec![name.to_owned()],
                hashed: !fixed,
            });
            Ok(())
        }
    }
}

/// The hash that a generated object's name ends in (`kustomize/api/hasher`): of its content, not of its
/// name.
fn content_hash(o: &Value) -> String {
    let mut content = object([
        ("data", o["data"].clone()),
        ("kind", o["kind"].clone()),
        ("name", "".into()),
    ]);
    if content["data"].is_null() {
        content["data"] = "".into();
    }
    if o["kind"].str() == "Secret" {
        content["type"] = o["type"].clone();
    } else if !o["binaryData"].is_null() {
        content["binaryData"] = o["binaryData"].clone();
    }
    let sum = Sha256::digest(kubarium_objects::go::json(&content));
    short_hash(&sum)
}

/// Ten letters of a checksum that make no words.
pub(crate) fn short_hash(sum: &[u8]) -> String {
    let digits: String = sum.iter().take(5).map(|b| format!("{b:02x}")).collect();
    digits
        .chars()
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            c => c,
        })
        .collect()
}

// --- Patches ----------------------------------------------------------------------------------

fn patches(k: &Kubectl, path: &str, spec: &Value, items: &mut Vec<Item>) -> Result {
    let text_of = |entry: &Value| -> Result<String> {
        if !entry["patch"].is_empty() {
            return Ok(entry["patch"].str().to_owned());
        }
        from_file(k, path, entry["path"].str())
    };
    for entry in spec["patchesStrategicMerge"].items() {
        let at = join(path, entry.str());
        let text = match k.session.read_file(&at) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => entry.str().to_owned(),
        };
        apply(k, &text, &Value::Null, items)?;
    }
    for entry in spec["patches"].items() {
        apply(k, &text_of(entry)?, &entry["target"], items)?;
    }
    for entry in spec["patchesJson6902"].items() {
        apply(k, &text_of(entry)?, &entry["target"], items)?;
    }
    Ok(())
}

fn from_file(k: &Kubectl, path: &str, name: &str) -> Result<String> {
    let at = join(path, name);
    match k.session.read_file(&at) {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => plain(format!(
            "failed to get patch file from path({name}): evalsymlink failure on '{at}' : lstat {at}: no such file or directory"
        )),
    }
}

fn apply(k: &Kubectl, text: &str, target: &Value, items: &mut Vec<Item>) -> Result {
    let (documents, broken) = yaml::parse_until_error(text);
    if let Some(broken) = broken {
        return plain(format!(
            "unable to parse SM or JSON patch from [patch: {text:?}]: {}",
            broken.message
        ));
    }
    for document in documents {
        let change = document.value;
        let mut matched = false;
        let mut gone = Vec::new();
        for (at, item) in items.iter_mut().enumerate() {
            let fits = if target.is_null() {
                item.object["apiVersion"] == change["apiVersion"]
                    && item.kind() == change["kind"].str()
                    && item
                        .names
                        .iter()
                        .any(|n| n == change["metadata"]["name"].str())
            } else {
                selects(target, item)?
            };
            if !fits {
                continue;
            }
            matched = true;
            if matches!(change, Value::Array(_)) {
                item.object = patch::json_patch(&item.object, &change)
                    .map_err(|e| Error::Plain(e.to_string()))?;
                continue;
            }
            if change["$patch"].str() == "delete" {
                gone.push(at);
                continue;
            }
            let (object, mut change) = (item.object.clone(), change.clone());
            // A patch with a target changes what it selects, whatever it is called.
            let name = object["metadata"]["name"].clone();
            change.remove(&["metadata", "name"]);
            let resource = k
                .cluster()
                .resource_by_kind(object["apiVersion"].str(), object["kind"].str());
            item.object = match resource {
                Some(r) => patch::strategic_merge(Schema::builtin(), r.type_id, &object, &change)
                    .map_err(|e| Error::Plain(e.to_string()))?,
                None => patch::merge(&object, &change),
            };
            item.object["metadata"]["name"] = name;
        }
        for at in gone.into_iter().rev() {
            items.remove(at);
        }
        if !matched && target.is_null() {
            let (kind, name) = (change["kind"].str(), change["metadata"]["name"].str());
            return plain(format!(
                "no matches for Id {kind}.{}/{name}.[noNs]; failed to find unique target for patch {kind}.{}/{name}.[noNs]",
                versions(&change),
                versions(&change)
            ));
        }
    }
    Ok(())
}

/// `v1.apps`, `v1.[noGrp]`
fn versions(o: &Value) -> String {
    match o["apiVersion"].str().split_once('/') {
        Some((group, version)) => format!("{version}.{group}"),
        None => format!("{}.[noGrp]", o["apiVersion"].str()),
    }
}

fn selects(target: &Value, item: &Item) -> Result<bool> {
    let o = &item.object;
    let (group, version) = match o["apiVersion"].str().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", o["apiVersion"].str()),
    };
    let fits = |field: &str, value: &str| -> bool {
        let wanted = target[field].str();
        wanted.is_empty()
            || wanted == value
            || regex_lite::Regex::new(&format!("^(?:{wanted})$")).is_ok_and(|r| r.is_match(value))
    };
    let labels = |field: &str, map: &Value| -> Result<bool> {
        let selector =
            Selector::parse(target[field].str()).map_err(|e| Error::Plain(e.to_string()))?;
        Ok(selector.matches(map))
    };
    Ok(fits("group", group)
        && fits("version", version)
        && fits("kind", item.kind())
        && item.names.iter().any(|name| fits("name", name))
        && fits("namespace", o["metadata"]["namespace"].str())
        && labels("labelSelector", &o["metadata"]["labels"])?
        && labels("annotationSelector", &o["metadata"]["annotations"])?)
}

// --- Transformers -----------------------------------------------------------------------------

fn put_in_namespace(items: &mut [Item], namespace: &str) {
    let accounts: Vec<String> = items
        .iter()
        .filter(|i| i.kind() == "ServiceAccount")
        .flat_map(|i| i.names.clone())
        .collect();
    for item in items.iter_mut() {
        let o = &mut item.object;
        let resource = Schema::builtin().by_kind(o["apiVersion"].str(), o["kind"].str());
        if resource.is_none_or(|r| r.namespaced) {
            o["metadata"]["namespace"] = namespace.into();
        }
        let subjects: Vec<Value> = o["subjects"]
            .items()
            .iter()
            .map(|subject| {
                let mut subject = subject.clone();
                let name = subject["name"].str();
                let own = name == "default" || accounts.iter().any(|a| a == name);
                if subject["kind"].str() == "ServiceAccount" && own {
                    subject["namespace"] = namespace.into();
                }
                subject
            })
            .collect();
        if !subjects.is_empty() {
            o["subjects"] = array(subjects);
        }
    }
}

fn add(map: &mut Value, path: &[&str], pairs: &Value) {
    for (key, value) in pairs.entries() {
        let mut path = path.to_vec();
        path.push(key);
        map.set(&path, value.clone());
    }
}

fn is_workload(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" | "ReplicationController"
    )
}

fn label(o: &mut Value, pairs: &Value, selectors: bool, templates: bool) {
    if pairs.entries().is_empty() {
        return;
    }
    add(o, &["metadata", "labels"], pairs);
    let kind = o["kind"].str().to_owned();
    if templates {
        if is_workload(&kind) {
            add(o, &["spec", "template", "metadata", "labels"], pairs);
        }
        if kind == "CronJob" {
            add(o, &["spec", "jobTemplate", "metadata", "labels"], pairs);
            let path = [
                "spec",
                "jobTemplate",
                "spec",
                "template",
                "metadata",
                "labels",
            ];
            add(o, &path, pairs);
        }
    }
    if !selectors {
        return;
    }
    match kind.as_str() {
        "Service" | "ReplicationController" => add(o, &["spec", "selector"], pairs),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => {
            add(o, &["spec", "selector", "matchLabels"], pairs);
        }
        "Job" | "PodDisruptionBudget" if !o["spec"]["selector"]["matchLabels"].is_null() => {
            add(o, &["spec", "selector", "matchLabels"], pairs);
        }
        "NetworkPolicy" if !o["spec"]["podSelector"]["matchLabels"].is_null() => {
            add(o, &["spec", "podSelector", "matchLabels"], pairs);
        }
        _ => {}
    }
}

fn annotate(o: &mut Value, pairs: &Value) {
    if pairs.entries().is_empty() {
        return;
    }
    add(o, &["metadata", "annotations"], pairs);
    let kind = o["kind"].str().to_owned();
    if is_workload(&kind) {
        add(o, &["spec", "template", "metadata", "annotations"], pairs);
    }
    if kind == "CronJob" {
        add(
            o,
            &["spec", "jobTemplate", "metadata", "annotations"],
            pairs,
        );
        let path = [
            "spec",
            "jobTemplate",
            "spec",
            "template",
            "metadata",
            "annotations",
        ];
        add(o, &path, pairs);
    }
}

/// The object with an image's name, tag or digest changed wherever containers have it.
fn with_image(value: &Value, image: &Value, depth: usize) -> Value {
    if depth > 64 {
        return value.clone();
    }
    match value {
        Value::Array(items) => array(items.iter().map(|v| with_image(v, image, depth + 1))),
        Value::Object(map) => {
            let mut changed = value.clone();
            for (key, inner) in map.iter() {
                let containers = matches!(&**key, "containers" | "initContainers");
                if !containers {
                    if matches!(inner, Value::Array(_) | Value::Object(_)) {
                        changed[&**key] = with_image(inner, image, depth + 1);
                    }
                    continue;
                }
                changed[&**key] = array(inner.items().iter().map(|c| {
                    let mut c = c.clone();
                    if let Some(new) = renamed(c["image"].str(), image) {
                        c["image"] = new.into();
                    }
                    c
                }));
            }
            changed
        }
        other => other.clone(),
    }
}

fn renamed(given: &str, image: &Value) -> Option<String> {
    let (rest, mut digest) = match given.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (given, None),
    };
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, mut tag) = match rest[last..].find(':') {
        Some(at) => (&rest[..last + at], Some(rest[last + at + 1..].to_owned())),
        None => (rest, None),
    };
    if name != image["name"].str() {
        return None;
    }
    let name = match image["newName"].str() {
        "" => name,
        new => new,
    };
    let of = |field: &str| match &image[field] {
        Value::Null => None,
        Value::String(s) if s.is_empty() => None,
        other => Some(crate::kubectl::printers::scalar(other)),
    };
    if let Some(new) = of("newTag") {
        (tag, digest) = (Some(new), None);
    }
    if let Some(new) = of("digest") {
        (tag, digest) = (None, Some(new));
    }
    let mut text = name.to_owned();
    if let Some(tag) = tag {
        text.push_str(&format!(":{tag}"));
    }
    if let Some(digest) = digest {
        text.push_str(&format!("@{digest}"));
    }
    Some(text)
}

// --- Names ------------------------------------------------------------------------------------

/// Lets objects speak of one another by their present names.
fn refer(items: &mut [Item]) {
    let names: Vec<(String, Vec<String>)> = items
        .iter()
        .filter(|i| i.names.len() > 1)
        .map(|i| (i.kind().to_owned(), i.names.clone()))
        .collect();
    if names.is_empty() {
        return;
    }
    let now = |kind: &str, name: &str| -> Option<Value> {
        let (_, names) = names
            .iter()
            .find(|(k, names)| k == kind && names.iter().any(|n| n == name))?;
        names.last().map(|n| n.as_str().into())
    };
    for item in items.iter_mut() {
        let metadata = item.object["metadata"].clone();
        item.object = referring(&item.object, &now, 0);
        item.object["metadata"] = metadata;
    }
}

type Now<'a> = &'a dyn Fn(&str, &str) -> Option<Value>;

/// A value with the names in it changed: where a name stands tells what kind it means.
fn referring(value: &Value, now: Now, depth: usize) -> Value {
    if depth > 64 {
        return value.clone();
    }
    match value {
        Value::Array(items) => array(items.iter().map(|v| referring(v, now, depth + 1))),
        Value::Object(map) => {
            let mut changed = value.clone();
            for (key, inner) in map.iter() {
                let key: &str = key;
                if let Value::String(name) = inner {
                    let kind = match key {
                        "secretName" => "Secret",
                        "serviceAccountName" | "serviceAccount" => "ServiceAccount",
                        "claimName" => "PersistentVolumeClaim",
                        "serviceName" => "Service",
                        "priorityClassName" => "PriorityClass",
                        "storageClassName" => "StorageClass",
                        "ingressClassName" => "IngressClass",
                        "runtimeClassName" => "RuntimeClass",
                        _ => continue,
                    };
                    if let Some(name) = now(kind, name) {
                        changed[key] = name;
                    }
                    continue;
                }
                changed[key] = referring(inner, now, depth + 1);
                let one = |kind: &str, o: &Value| -> Value {
                    let mut o = o.clone();
                    if let Some(name) = now(kind, o["name"].str()) {
                        o["name"] = name;
                    }
                    o
                };
                match key {
                    "configMapKeyRef" | "configMapRef" | "configMap" => {
                        changed[key] = one("ConfigMap", &changed[key].clone());
                    }
                    "secretKeyRef" | "secretRef" | "secret" => {
                        changed[key] = one("Secret", &changed[key].clone());
                    }
                    "service" => changed[key] = one("Service", &changed[key].clone()),
                    "imagePullSecrets" => {
                        let all: Vec<Value> =
                            inner.items().iter().map(|o| one("Secret", o)).collect();
                        changed[key] = array(all);
                    }
                    "roleRef" | "scaleTargetRef" => {
                        let kind = inner["kind"].str().to_owned();
                        changed[key] = one(&kind, &changed[key].clone());
                    }
                    "subjects" => {
                        let all: Vec<Value> = inner
                            .items()
                            .iter()
                            .map(|o| one(o["kind"].str(), o))
                            .collect();
                        changed[key] = array(all);
                    }
                    _ => {}
                }
            }
            changed
        }
        other => other.clone(),
    }
}
