//! `kubectl kustomize` and `-k`: builds what a kustomization file describes (kustomize v5.8), from the
//! session's own files.

mod generate;
mod patches;
mod transform;

use kubarium_objects::{Value, yaml};

use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, flag, list, switch, text};
pub(crate) use generate::short_hash;
use generate::{content_hash, generate};
use patches::patches;
use transform::{annotate, label, put_in_namespace, refer, with_image};

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
