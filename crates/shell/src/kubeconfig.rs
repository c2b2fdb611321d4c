//! kubectl's configuration: which cluster, who, which namespace.

use std::collections::BTreeMap;

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectMeta, Value, array, object};

/// A kubeconfig file, as kubeadm writes it for the administrator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kubeconfig {
    pub current: String,
    pub contexts: BTreeMap<String, Context>,
    pub server: String,
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

impl Kubeconfig {
    pub fn new(cluster: &Cluster) -> Kubeconfig {
        let context = Context {
            cluster: CLUSTER.to_owned(),
            user: USER.to_owned(),
            namespace: String::new(),
        };
        let address = control_plane(cluster).unwrap_or_else(|| "127.0.0.1".to_owned());
        Kubeconfig {
            current: format!("{USER}@{CLUSTER}"),
            contexts: BTreeMap::from([(format!("{USER}@{CLUSTER}"), context)]),
            server: format!("https://{address}:6443"),
        }
    }

    /// The namespace of a context; the current one for an empty name.
    pub fn namespace(&self, context: &str) -> &str {
        let name = if context.is_empty() {
            &self.current
        } else {
            context
        };
        match self.contexts.get(name) {
            Some(context) if !context.namespace.is_empty() => &context.namespace,
            _ => "default",
        }
    }

    /// What `kubectl config view` prints.
    pub fn view(&self) -> Value {
        let data = "DATA+OMITTED";
        let cluster = object([
            (
                "cluster",
                object([
                    ("certificate-authority-data", data.into()),
                    ("server", self.server.as_str().into()),
                ]),
            ),
            ("name", CLUSTER.into()),
        ]);
        let user = object([
            ("name", USER.into()),
            (
                "user",
                object([
                    ("client-certificate-data", data.into()),
                    ("client-key-data", data.into()),
                ]),
            ),
        ]);
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
        object([
            ("apiVersion", "v1".into()),
            ("clusters", array([cluster])),
            ("contexts", array(contexts)),
            ("current-context", self.current.as_str().into()),
            ("kind", "Config".into()),
            ("users", array([user])),
        ])
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
