//! kubectl's configuration: which cluster, who, which namespace.

use std::collections::BTreeMap;

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectMeta, Value, array, go, object, yaml};

/// A kubeconfig file, as kubeadm writes it for the administrator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kubeconfig {
    pub current: String,
    pub contexts: BTreeMap<String, Context>,
    /// The clusters' entries by name: `server`, `certificate-authority-data`, …
    pub clusters: BTreeMap<String, Value>,
    /// The users' entries by name: `token`, `client-certificate-data`, …
    pub users: BTreeMap<String, Value>,
    /// What kubectl itself is told: `colors`.
    pub preferences: Value,
    /// Where the API server of the simulated cluster is.
    pub server: String,
    /// The path of the file.
    pub file: String,
}

/// One context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Context {
    pub cluster: String,
    pub user: String,
    /// Empty for none: `default`.
    pub namespace: String,
}

pub(crate) const CLUSTER: &str = "kubernetes";
pub(crate) const USER: &str = "kubernetes-admin";
/// The file that it is said to be.
pub(crate) const FILE: &str = "/root/.kube/config";

/// Fields whose content `config view` leaves out, and what stands there instead.
const SECRET: &[(&str, &str)] = &[
    ("certificate-authority-data", "DATA+OMITTED"),
    ("client-certificate-data", "DATA+OMITTED"),
    ("client-key-data", "DATA+OMITTED"),
    ("password", "REDACTED"),
    ("token", "REDACTED"),
];

impl Kubeconfig {
    pub fn new(cluster: &Cluster) -> Kubeconfig {
        let context = Context {
            cluster: CLUSTER.to_owned(),
            user: USER.to_owned(),
            namespace: String::new(),
        };
        let address = control_plane(cluster).unwrap_or_else(|| "127.0.0.1".to_owned());
        let server = format!("https://{address}:6443");
        let data = "DATA+OMITTED";
        let entry = object([
            ("certificate-authority-data", data.into()),
            ("server", server.as_str().into()),
        ]);
        let user = object([
            ("client-certificate-data", data.into()),
            ("client-key-data", data.into()),
        ]);
        Kubeconfig {
            current: format!("{USER}@{CLUSTER}"),
            contexts: BTreeMap::from([(format!("{USER}@{CLUSTER}"), context)]),
            clusters: BTreeMap::from([(CLUSTER.to_owned(), entry)]),
            users: BTreeMap::from([(USER.to_owned(), user)]),
            preferences: Value::new_object(),
            server,
            file: FILE.to_owned(),
        }
    }

    /// One without any entries.
    fn empty(&self, file: &str) -> Kubeconfig {
        Kubeconfig {
            current: String::new(),
            contexts: BTreeMap::new(),
            clusters: BTreeMap::new(),
            users: BTreeMap::new(),
            preferences: Value::new_object(),
            server: self.server.clone(),
            file: file.to_owned(),
        }
    }

    /// What stands in a file of a person's own, for the same cluster.
    fn read(&self, file: &str, text: &str) -> Result<Kubeconfig, String> {
        let documents = yaml::parse(text).map_err(|why| why.to_string())?;
        let mut values = documents.into_iter().map(|document| document.value);
        let given = values.next().unwrap_or_default();
        let mut config = self.empty(file);
        config.current = given["current-context"].str().to_owned();
        if !given["preferences"].is_null() {
            config.preferences = given["preferences"].clone();
        }
        let named = |list: &str, entry: &'static str| -> BTreeMap<String, Value> {
            let items = given[list].items().iter();
            let named = items.map(|item| (item["name"].str().to_owned(), item[entry].clone()));
            named.collect()
        };
        config.clusters = named("clusters", "cluster");
        config.users = named("users", "user");
        let contexts = named("contexts", "context").into_iter();
        let text = |context: &Value, field: &str| context[field].str().to_owned();
        let contexts = contexts.map(|(name, c)| {
            let context = Context {
                cluster: text(&c, "cluster"),
                user: text(&c, "user"),
                namespace: text(&c, "namespace"),
            };
            (name, context)
        });
        config.contexts = contexts.collect();
        Ok(config)
    }

    /// Adds what another file has and this one does not.
    fn merge(&mut self, other: Kubeconfig) {
        if self.current.is_empty() {
            self.current = other.current;
        }
        fn missing<T>(own: &mut BTreeMap<String, T>, others: BTreeMap<String, T>) {
            for (name, entry) in others {
                own.entry(name).or_insert(entry);
            }
        }
        missing(&mut self.contexts, other.contexts);
        missing(&mut self.clusters, other.clusters);
        missing(&mut self.users, other.users);
        if self.preferences.is_empty() {
            self.preferences = other.preferences;
        }
    }

    /// The files that `--kubeconfig` or KUBECONFIG names, put together: what comes first counts
    /// (client-go v0.37, `clientcmd/loader.go`). `read` gives a file's content; a file that is not
    /// there is as an empty one.
    pub fn load(
        &self,
        files: &[String],
        read: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Kubeconfig, String> {
        let first = files.first().map_or(FILE, String::as_str);
        let mut all = self.empty(first);
        for file in files {
            if file == FILE {
                all.merge(self.clone());
            } else if let Some(bytes) = read(file) {
                let read = self.read(file, &String::from_utf8_lossy(&bytes));
                let file = go::quote(file);
                all.merge(read.map_err(|why| format!("error loading config file {file}: {why}"))?);
            }
        }
        Ok(all)
    }

    /// A context; the current one for an empty name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        let name = if name.is_empty() { &self.current } else { name };
        self.contexts.get(name)
    }

    /// The namespace of a context; the current one for an empty name.
    pub fn namespace(&self, context: &str) -> &str {
        match self.context(context) {
            Some(context) if !context.namespace.is_empty() => &context.namespace,
            _ => "default",
        }
    }

    /// What `kubectl config view` prints; with `raw`, secrets too.
    pub fn view(&self, raw: bool) -> Value {
        let shown = |entry: &Value| {
            let mut entry = entry.clone();
            for (field, instead) in SECRET.iter().filter(|_| !raw) {
                if !entry[*field].is_empty() {
                    entry[*field] = (*instead).into();
                }
            }
            entry
        };
        let clusters = self.clusters.iter().map(|(name, entry)| {
            object([("cluster", shown(entry)), ("name", name.as_str().into())])
        });
        let users = self
            .users
            .iter()
            .map(|(name, entry)| object([("name", name.as_str().into()), ("user", shown(entry))]));
        let contexts = self.contexts.iter().map(|(name, context)| {
            let mut inner = object([
                ("cluster", context.cluster.as_str().into()),
                ("user", context.user.as_str().into()),
            ]);
            if !context.namespace.is_empty() {
                inner["namespace"] = context.namespace.as_str().into();
            }
            object([("context", inner), ("name", name.as_str().into())])
        });
        let or_null = |list: Value| match list.items() {
            [] => Value::Null,
            _ => list,
        };
        let mut view = object([
            ("apiVersion", "v1".into()),
            ("clusters", or_null(array(clusters))),
            ("contexts", or_null(array(contexts))),
            ("current-context", self.current.as_str().into()),
            ("kind", "Config".into()),
            ("users", or_null(array(users))),
        ]);
        if !self.preferences.is_empty() {
            view["preferences"] = self.preferences.clone();
        }
        view
    }

    /// The same with nothing but what a context needs.
    pub fn minified(&self, context: &str) -> Result<Kubeconfig, String> {
        let name = if context.is_empty() {
            self.current.as_str()
        } else {
            context
        };
        let Some(context) = self.contexts.get(name) else {
            return Err(if name.is_empty() {
                "current-context must exist in order to minify".to_owned()
            } else {
                format!("cannot locate context {name}")
            });
        };
        let mut small = self.clone();
        small.current = name.to_owned();
        small.contexts.retain(|n, _| n == name);
        small.clusters.retain(|n, _| *n == context.cluster);
        small.users.retain(|n, _| *n == context.user);
        Ok(small)
    }
}

/// The address of the control plane's machine.
fn control_plane(cluster: &Cluster) -> Option<String> {
    let nodes = cluster.etcd.list("nodes", None);
    let mut control = nodes
        .map(|(_, n)| n)
        .filter(|n| n.label("node-role.kubernetes.io/control-plane").is_some());
    let addresses = control.next()?["status"]["addresses"].items();
    let internal = addresses.iter().find(|a| a["type"].str() == "InternalIP")?;
    Some(internal["address"].str().to_owned())
}
