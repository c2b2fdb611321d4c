//! A cluster that has come up, with real kubelets, and what tests ask of its pods.

use std::sync::LazyLock;
use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, Patch, Subresource, WriteOptions};
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value, yaml};

/// The default cluster at rest.
static START: LazyLock<Cluster> = LazyLock::new(|| Cluster::new(Config::default()));

/// The cluster.
pub struct World(pub Cluster);

impl World {
    /// A cluster that has come up, with these objects.
    pub fn with(manifests: &str) -> World {
        World::begin(START.clone(), manifests)
    }

    /// The same, of a configuration.
    pub fn of(config: &str, manifests: &str) -> World {
        let config = Config::parse(config).unwrap();
        World::begin(Cluster::new(config), manifests)
    }

    fn begin(cluster: Cluster, manifests: &str) -> World {
        let mut world = World(cluster);
        world.apply(manifests);
        world.run(8.0);
        world
    }

    /// Creates these objects.
    pub fn apply(&mut self, manifests: &str) {
        for document in yaml::parse(manifests).unwrap() {
            let person = Component::Person;
            self.0
                .create_with(&person, document.value, &WriteOptions::strict())
                .unwrap();
        }
    }

    /// Deletes an object of the namespace `default`.
    pub fn delete(&mut self, resource: &str, name: &str) {
        let key = ObjectKey::new(resource, "default", name);
        let options = DeleteOptions::default();
        self.0.delete(&Component::Person, &key, &options).unwrap();
    }

    /// Deletes it without waiting for anybody (`--grace-period=0 --force`).
    pub fn delete_now(&mut self, resource: &str, name: &str) {
        let key = ObjectKey::new(resource, "default", name);
        let options = DeleteOptions::now();
        self.0.delete(&Component::Person, &key, &options).unwrap();
    }

    /// Lets time run.
    pub fn run(&mut self, seconds: f64) {
        self.0
            .run_until(self.0.now + Duration::from_secs_f64(seconds));
    }

    /// A pod; null where there is none.
    pub fn pod(&self, name: &str) -> Value {
        self.0
            .find("pods", "default", name)
            .cloned()
            .unwrap_or_default()
    }

    /// What a path of a pod leads to, as text.
    pub fn at(&self, name: &str, path: &str) -> String {
        self.at_of("pods", name, path)
    }

    /// What a path of an object in the default namespace leads to, as text: `status/conditions/0/type`.
    pub fn at_of(&self, resource: &str, name: &str, path: &str) -> String {
        let found = self.0.find(resource, "default", name).cloned();
        let value = path
            .split('/')
            .fold(found.unwrap_or_default(), |value, part| {
                match part.parse::<usize>() {
                    Ok(at) => value[at].clone(),
                    Err(_) => value[part].clone(),
                }
            });
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// A condition's reason and message.
    pub fn condition(&self, name: &str, kind: &str) -> String {
        let pod = self.pod(name);
        let mut all = pod["status"]["conditions"].items().iter();
        all.find(|c| c["type"].str() == kind)
            .map_or_else(String::new, |c| {
                format!("{} {}", c["reason"].str(), c["message"].str())
            })
    }

    /// The messages of a pod's events for that reason.
    pub fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let all = self.0.etcd.list("events", Some("default"));
        all.filter(|(_, e)| {
            e["involvedObject"]["name"].str() == name && e["reason"].str() == reason
        })
        .map(|(_, e)| e["message"].str().to_owned())
        .collect()
    }

    /// What a script prints in a pod.
    pub fn sh(&mut self, name: &str, script: &str) -> String {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let key = ObjectKey::new("pods", "default", name);
        let output = self.0.exec(&key, None, &argv, b"").unwrap();
        String::from_utf8_lossy(&output.merged).into_owned()
    }

    /// What a script prints on a machine.
    pub fn on(&mut self, node: &str, script: &str) -> String {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let output = self.0.run_on_node(node, &argv, b"").unwrap();
        String::from_utf8_lossy(&output.merged).into_owned()
    }

    /// Patches an object.
    pub fn patch(
        &mut self,
        resource: &str,
        name: &str,
        part: Subresource,
        patch: &str,
    ) -> Result<(), String> {
        let patch = yaml::parse(patch).unwrap().remove(0).value;
        let key = ObjectKey::new(resource, "default", name);
        let options = WriteOptions::strict();
        self.0
            .patch(
                &Component::Person,
                &key,
                &Patch::Strategic(patch),
                part,
                &options,
            )
            .map(drop)
            .map_err(|status| status.message)
    }

    /// Patches a node.
    pub fn patch_node(&mut self, name: &str, patch: &str) {
        let patch = yaml::parse(patch).unwrap().remove(0).value;
        let key = ObjectKey::new("nodes", "", name);
        let (patch, options) = (Patch::Merge(patch), WriteOptions::default());
        let by = Component::Person;
        let part = Subresource::None;
        self.0.patch(&by, &key, &patch, part, &options).unwrap();
    }

    /// Asks for other resources for a pod's container.
    pub fn resize(&mut self, name: &str, resources: &str) -> Result<(), String> {
        let patch = format!("{{spec: {{containers: [{{name: c, resources: {resources}}}]}}}}");
        self.patch("pods", name, Subresource::Resize, &patch)
    }
}

/// A pod whose container `c` has these fields.
pub fn one(name: &str, spec: &str, container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{nodeName: worker-1{spec}, containers: [{{name: c, image: busybox, {container}}}]}}\n---\n"
    )
}

/// The same, sleeping.
pub fn sleeper(name: &str, container: &str) -> String {
    one(
        name,
        "",
        &format!("command: [sleep, '100000'], {container}"),
    )
}
