//! Names that can stand at a place: of live objects, and of those that are being written.

use std::collections::BTreeMap;

use kubarium_cluster::Cluster;
use kubarium_cluster::images::CATALOGUE;
use kubarium_objects::{Selector, Value};

use super::place::Step;
use super::{drafts, references};

/// The most live objects of a kind that are looked at.
const LIVE_MAX: usize = 500;

/// What names are looked for in.
pub(crate) struct Scope<'a> {
    pub cluster: &'a Cluster,
    /// The namespace of the manifest.
    pub namespace: &'a str,
    /// The manifests of the text.
    pub drafts: &'a [Value],
    /// The one that is being written, as far as it can be read.
    pub own: &'a Value,
}

/// The words that fit the end of a way, each with where it comes from.
pub(crate) type Words = BTreeMap<String, String>;

impl Scope<'_> {
    /// The values that fit the end of a way of keys.
    pub fn values(&self, keys: &[&str], path: &[Step]) -> Words {
        match keys {
            [.., "image"] => images(),
            [.., "spec", "selector", key] if self.own["kind"].str() == "Service" => {
                self.labels(Some(key))
            }
            [.., "matchLabels", key] => self.labels(Some(key)),
            [.., "nodeSelector", key] => self.node_labels(Some(key)),
            [.., "topologyKey"] => self.node_labels(None),
            [.., "targetPort"] => self.ports_selected(),
            [.., "volumeMounts", "name"] => self.volumes(path),
            [.., "httpGet" | "tcpSocket" | "grpc", "port"] => self.own_ports(path),
            [.., "configMapKeyRef", "key"] => self.keys_of(path, "configmaps"),
            [.., "secretKeyRef", "key"] => self.keys_of(path, "secrets"),
            [.., "scaleTargetRef" | "roleRef" | "subjects", "name"] => self.by_kind(path),
            [.., "port", "number" | "name"] => self.ports_of_service(path),
            _ => match references::at(keys) {
                Some(field) => self.objects(field.resource),
                None => Words::new(),
            },
        }
    }

    /// The keys that fit the map at the end of a way, where the schema does not know them.
    pub fn keys(&self, keys: &[&str]) -> Words {
        match keys {
            ["spec", "selector"] | [.., "matchLabels"] => self.labels(None),
            [.., "nodeSelector"] => self.node_labels(None),
            [.., "requests" | "limits"] => {
                let usual = [
                    ("cpu", "such as 100m"),
                    ("memory", "such as 64Mi"),
                    ("ephemeral-storage", "such as 1Gi"),
                    ("storage", "such as 1Gi"),
                ];
                let usual = usual
                    .into_iter()
                    .map(|(name, like)| (name.to_owned(), like.to_owned()));
                usual.collect()
            }
            [.., "labels"] => {
                let selector = [
                    &self.own["spec"]["selector"]["matchLabels"],
                    &self.own["spec"]["selector"],
                ];
                let wanted = selector.into_iter().flat_map(Value::entries);
                let wanted = wanted.filter_map(|(key, value)| {
                    Some((key.to_string(), format!("selected as {}", value.as_str()?)))
                });
                let mut found: Words = wanted.collect();
                found.entry("app".to_owned()).or_default();
                found
            }
            _ => Words::new(),
        }
    }

    /// The manifests of a resource in this namespace, or in none.
    fn drafted<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Value> {
        self.drafts.iter().filter(move |draft| {
            let known = self
                .cluster
                .resource_by_kind(draft["apiVersion"].str(), draft["kind"].str());
            known.is_some_and(|known| {
                let here = !known.namespaced
                    || *drafts::namespace(draft, self.namespace) == *self.namespace;
                here && &*known.id() == resource
            })
        })
    }

    fn live<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Value> {
        let namespaced = self
            .cluster
            .resource_by_id(resource)
            .is_some_and(|r| r.namespaced);
        let namespace = namespaced.then_some(self.namespace);
        self.cluster
            .etcd
            .list(resource, namespace)
            .take(LIVE_MAX)
            .map(|(_, object)| object)
    }

    fn objects(&self, resource: &str) -> Words {
        let mut found = Words::new();
        for draft in self.drafted(resource) {
            found.insert(
                draft["metadata"]["name"].str().to_owned(),
                "in this text".to_owned(),
            );
        }
        for object in self.live(resource) {
            found.insert(
                object["metadata"]["name"].str().to_owned(),
                "in the cluster".to_owned(),
            );
        }
        found.remove("");
        found
    }

    /// Labels of pods: the keys, or the values of one.
    fn labels(&self, key: Option<&str>) -> Words {
        let mut found = Words::new();
        let mut add = |labels: &Value, whose: String| {
            for (name, value) in labels.entries() {
                match key {
                    None => drop(
                        found
                            .entry(name.to_string())
                            .or_insert_with(|| whose.clone()),
                    ),
                    Some(key) if *key == **name => {
                        found
                            .entry(value.str().to_owned())
                            .or_insert_with(|| whose.clone());
                    }
                    Some(_) => {}
                }
            }
        };
        for draft in self.drafts {
            if let Some((_, pod)) = drafts::pod(draft)
                && *drafts::namespace(draft, self.namespace) == *self.namespace
            {
                add(
                    &pod["metadata"]["labels"],
                    format!(
                        "{} {}",
                        draft["kind"].str(),
                        draft["metadata"]["name"].str()
                    ),
                );
            }
        }
        for pod in self.live("pods") {
            add(
                &pod["metadata"]["labels"],
                format!("pod {}", pod["metadata"]["name"].str()),
            );
        }
        found
    }

    fn node_labels(&self, key: Option<&str>) -> Words {
        let mut found = Words::new();
        for node in self.live("nodes") {
            let whose = format!("node {}", node["metadata"]["name"].str());
            for (name, value) in node["metadata"]["labels"].entries() {
                match key {
                    None => drop(
                        found
                            .entry(name.to_string())
                            .or_insert_with(|| whose.clone()),
                    ),
                    Some(key) if *key == **name => drop(
                        found
                            .entry(value.str().to_owned())
                            .or_insert_with(|| whose.clone()),
                    ),
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// The ports of the containers that a Service's selector selects.
    fn ports_selected(&self) -> Words {
        let selector = Selector::from_map(&self.own["spec"]["selector"]);
        let mut found = Words::new();
        let drafts = self
            .drafts
            .iter()
            .filter_map(|draft| Some(drafts::pod(draft)?.1));
        for pod in drafts.chain(self.live("pods")) {
            if selector.matches(&pod["metadata"]["labels"]) {
                add_ports(&pod["spec"], &mut found);
            }
        }
        found
    }

    /// The spec of the pod in which a way lies.
    fn own_spec(&self, path: &[Step]) -> Option<&Value> {
        let at = path.iter().position(
            |step| matches!(step, Step::Key(key) if key == "containers" || key == "initContainers"),
        )?;
        follow(self.own, path.get(..at)?)
    }

    fn volumes(&self, path: &[Step]) -> Words {
        let Some(spec) = self.own_spec(path) else {
            return Words::new();
        };
        let volume = |volume: &Value| {
            let source = volume.entries().iter().find(|(key, _)| &**key != "name");
            let source = source.map(|(key, _)| key.to_string()).unwrap_or_default();
            (volume["name"].str().to_owned(), source)
        };
        let mut found: Words = spec["volumes"].items().iter().map(volume).collect();
        let claims = self.own["spec"]["volumeClaimTemplates"].items().iter();
        found.extend(claims.map(|claim| {
            (
                claim["metadata"]["name"].str().to_owned(),
                "volumeClaimTemplates".to_owned(),
            )
        }));
        found.remove("");
        found
    }

    fn own_ports(&self, path: &[Step]) -> Words {
        let mut found = Words::new();
        if let Some(spec) = self.own_spec(path) {
            add_ports(spec, &mut found);
        }
        found
    }

    /// The entries of the ConfigMap or Secret that is named beside.
    fn keys_of(&self, path: &[Step], resource: &str) -> Words {
        let beside = path
            .split_last()
            .and_then(|(_, above)| follow(self.own, above));
        let name = beside.map_or("", |map| map["name"].str());
        let mut found = Words::new();
        let named = |object: &&Value| object["metadata"]["name"].str() == name;
        for object in self
            .drafted(resource)
            .chain(self.live(resource))
            .filter(named)
        {
            for part in ["data", "stringData", "binaryData"] {
                let keys = object[part].entries().iter();
                found.extend(keys.map(|(key, _)| (key.to_string(), name.to_owned())));
            }
        }
        found
    }

    /// The objects of the kind that is given beside.
    fn by_kind(&self, path: &[Step]) -> Words {
        let beside = path
            .split_last()
            .and_then(|(_, above)| follow(self.own, above));
        let kind = beside.map_or("", |map| map["kind"].str());
        let all = self.cluster.resources();
        match all.iter().find(|resource| *resource.kind == *kind) {
            Some(resource) => self.objects(&resource.id()),
            None => Words::new(),
        }
    }

    /// The ports of the Service that an Ingress names.
    fn ports_of_service(&self, path: &[Step]) -> Words {
        let numbers = matches!(path.last(), Some(Step::Key(key)) if key == "number");
        let service = path
            .len()
            .checked_sub(2)
            .and_then(|at| follow(self.own, path.get(..at)?));
        let name = service.map_or("", |service| service["name"].str());
        let mut found = Words::new();
        let named = |object: &&Value| object["metadata"]["name"].str() == name;
        for object in self
            .drafted("services")
            .chain(self.live("services"))
            .filter(named)
        {
            for port in object["spec"]["ports"].items() {
                let (number, port_name) = (port["port"].to_json(), port["name"].str());
                if numbers {
                    found.insert(number, port_name.to_owned());
                } else if !port_name.is_empty() {
                    found.insert(port_name.to_owned(), number);
                }
            }
        }
        found
    }
}

fn add_ports(spec: &Value, found: &mut Words) {
    for container in drafts::containers(spec) {
        for port in container["ports"].items() {
            let number = port["containerPort"].to_json();
            let of = container["name"].str();
            match port["name"].str() {
                "" => {}
                name => drop(found.insert(name.to_owned(), format!("{number} of {of}"))),
            }
            found.insert(number, format!("container {of}"));
        }
    }
}

fn images() -> Words {
    let short = |repository: &str| {
        let short = repository.strip_prefix("docker.io/").unwrap_or(repository);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    };
    let image = |image: &kubarium_cluster::images::Image| {
        let name = short(image.repository);
        match image.newest {
            "" => name,
            tag => format!("{name}:{tag}"),
        }
    };
    CATALOGUE
        .iter()
        .map(|i| (image(i), String::new()))
        .collect()
}

/// The node at the end of a way.
pub(crate) fn follow<'a>(root: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(root, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Item(number) => node.items().get(*number),
    })
}
