//! What the API server takes, but what is hardly meant: a selector that selects nothing, a port that no container has, a
//! name of something that is not there.

use kubarium_cluster::Cluster;
use kubarium_cluster::images::{Found, Reference, find};
use kubarium_objects::yaml::{Document, Positions};
use kubarium_objects::{Diagnostic, ObjectKey, ObjectMeta, Selector, Severity, Text, Value};

use super::{drafts, references};

/// The most live pods that are looked at for one selector.
const LIVE_MAX: usize = 2000;

/// A manifest with its place in the text; one of another text has none.
struct Draft<'a> {
    object: &'a Value,
    positions: Option<&'a Positions>,
    namespace: Text,
}

/// What is looked at.
struct Look<'a> {
    cluster: &'a Cluster,
    drafts: Vec<Draft<'a>>,
    found: Vec<Diagnostic>,
}

/// What there is to remark on a text's manifests, beside those of other texts and what is in the cluster. Manifests
/// without a namespace go to `usual`.
pub(crate) fn hints(
    cluster: &Cluster,
    usual: &str,
    text: &[Document],
    beside: &[Value],
) -> Vec<Diagnostic> {
    let mut look = Look {
        cluster,
        drafts: Vec::new(),
        found: Vec::new(),
    };
    for document in text {
        look.add(&document.value, Some(&document.positions), usual);
    }
    for object in beside {
        look.add(object, None, usual);
    }
    for at in 0..look.drafts.len() {
        look.check(at);
    }
    look.found
}

impl<'a> Look<'a> {
    fn add(&mut self, object: &'a Value, positions: Option<&'a Positions>, usual: &str) {
        if object["kind"].str().ends_with("List") {
            for (at, item) in object["items"].items().iter().enumerate() {
                let place = positions.and_then(|p| p.child("items")?.child(&at.to_string()));
                self.drafts.push(Draft {
                    object: item,
                    positions: place,
                    namespace: drafts::namespace(item, usual),
                });
            }
            return;
        }
        self.drafts.push(Draft {
            object,
            positions,
            namespace: drafts::namespace(object, usual),
        });
    }

    fn check(&mut self, at: usize) {
        let Some(draft) = self.drafts.get(at) else {
            return;
        };
        let Some(positions) = draft.positions else {
            return;
        };
        let (object, namespace) = (draft.object, draft.namespace.clone());
        let mut say = Say {
            positions,
            found: Vec::new(),
        };
        self.twice(at, &mut say);
        match object["kind"].str() {
            "Service" => self.service(object, &namespace, &mut say),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => self.shared(at, &mut say),
            "NetworkPolicy" => self.selects_some(
                &object["spec"]["podSelector"],
                "spec.podSelector",
                &namespace,
                &mut say,
            ),
            "PodDisruptionBudget" => self.selects_some(
                &object["spec"]["selector"],
                "spec.selector",
                &namespace,
                &mut say,
            ),
            "HorizontalPodAutoscaler" => self.autoscaler(object, &namespace, &mut say),
            "PersistentVolumeClaim" => self.claim(&object["spec"], "spec", &mut say),
            "Ingress" => self.ingress(object, &namespace, &mut say),
            _ => {}
        }
        if let Some((path, pod)) = drafts::pod(object) {
            self.pod(path, pod, &mut say);
        }
        for (at, claim) in (object["spec"]["volumeClaimTemplates"].items().iter()).enumerate() {
            let path = format!("spec.volumeClaimTemplates[{at}].spec");
            self.claim(&claim["spec"], &path, &mut say);
        }
        self.references(object, &namespace, &mut say);
        self.found.append(&mut say.found);
    }

    /// An object that stands in the text twice.
    fn twice(&self, at: usize, say: &mut Say<'_>) {
        let this = &self.drafts[at];
        let name = |draft: &Draft<'_>| {
            let object = draft.object;
            let resource = self
                .cluster
                .resource_by_kind(object["apiVersion"].str(), object["kind"].str())?;
            let namespace = if resource.namespaced {
                draft.namespace.clone()
            } else {
                Text::default()
            };
            let name = object["metadata"]["name"].text();
            (!name.is_empty()).then(|| (resource.id(), namespace, name))
        };
        let own = name(this);
        if own.is_some() && self.drafts[..at].iter().any(|other| name(other) == own) {
            let what = format!(
                "{} {} is in these manifests twice",
                this.object["kind"].str(),
                this.object["metadata"]["name"].str()
            );
            say.warn(
                "metadata.name",
                what,
                "the later one is applied over the earlier one",
            );
        }
    }

    fn live_pods(&self, selector: &Selector, namespace: &Text) -> Vec<&Value> {
        let mut exact = selector.exact();
        let pods = &self.cluster.etcd;
        let fits = |pod: &&Value| {
            selector.matches(pod.labels()) && pod["metadata"]["deletionTimestamp"].is_null()
        };
        match exact.next() {
            Some((key, value)) => {
                let keys = self.cluster.index.pods_labelled(namespace, key, value);
                keys.take(LIVE_MAX)
                    .filter_map(|key| pods.get(key))
                    .filter(fits)
                    .collect()
            }
            None => {
                let all = pods.list("pods", Some(namespace)).take(LIVE_MAX);
                all.map(|(_, pod)| pod).filter(fits).collect()
            }
        }
    }

    /// The pods that manifests of a namespace would make, each with its manifest.
    fn drafted_pods(&self, namespace: &Text) -> impl Iterator<Item = (&Value, &Value)> {
        let here = self
            .drafts
            .iter()
            .filter(move |draft| draft.namespace == *namespace);
        here.filter_map(|draft| Some((draft.object, drafts::pod(draft.object)?.1)))
    }

    /// The pods that a selector selects: drafted or live.
    fn selected(&self, selector: &Selector, namespace: &Text) -> Vec<&Value> {
        let drafted = self.drafted_pods(namespace).map(|(_, pod)| pod);
        let mut all: Vec<&Value> = drafted
            .filter(|pod| selector.matches(pod.labels()))
            .collect();
        all.extend(self.live_pods(selector, namespace));
        all
    }

    fn service(&self, object: &Value, namespace: &Text, say: &mut Say<'_>) {
        let (spec, name) = (&object["spec"], object["metadata"]["name"].text());
        if spec["type"].str() == "ExternalName" {
            return;
        }
        let slices = self.cluster.index.slices_of(namespace, &name);
        let slices: Vec<&Value> = slices
            .filter_map(|key| self.cluster.etcd.get(key))
            .collect();
        if spec["selector"].entries().is_empty() {
            let label = "kubernetes.io/service-name";
            let drafted = self
                .drafts
                .iter()
                .any(|draft| draft.object["metadata"]["labels"][label].str() == &*name);
            if slices.is_empty() && !drafted {
                say.hint(
                    "spec",
                    "this Service has no selector, and so no endpoints".to_owned(),
                    "give it a selector, or write an EndpointSlice for it",
                );
            }
            return;
        }
        let selector = Selector::from_map(&spec["selector"]);
        let pods = self.selected(&selector, namespace);
        if pods.is_empty() {
            let what = format!(
                "this selector selects nothing: no pod, here or in the cluster, has {}",
                labels(&spec["selector"])
            );
            say.warn(
                "spec.selector",
                what,
                &self.near(&spec["selector"], namespace),
            );
            return;
        }
        for (at, port) in spec["ports"].items().iter().enumerate() {
            let path = format!("spec.ports[{at}].targetPort");
            let protocol = match port["protocol"].str() {
                "" => "TCP",
                other => other,
            };
            target_port(&pods, port, protocol, &path, say);
        }
        let live = self.live_pods(&selector, namespace);
        let is_there = self
            .cluster
            .etcd
            .get(&ObjectKey::new("services", &**namespace, &*name))
            .is_some();
        let mut endpoints = slices.iter().flat_map(|slice| slice["endpoints"].items());
        if is_there
            && !live.is_empty()
            && !endpoints.any(|e| e["conditions"]["ready"].as_bool() == Some(true))
        {
            let what = format!(
                "this Service has no endpoint that is ready: of its {} pods none is",
                live.len()
            );
            say.hint(
                "spec.selector",
                what,
                "kubectl describe pod says what each waits for",
            );
        }
    }

    /// What pods that could be meant have instead.
    fn near(&self, wanted: &Value, namespace: &Text) -> String {
        let shares = |pod: &Value| {
            let have = pod.labels().entries();
            wanted
                .entries()
                .iter()
                .any(|(key, _)| have.iter().any(|(k, _)| k == key))
        };
        let drafted = self.drafted_pods(namespace).find(|(_, pod)| shares(pod));
        if let Some((of, pod)) = drafted {
            let (kind, name) = (of["kind"].str(), of["metadata"]["name"].str());
            return format!("the pods of {kind} {name} have {}", labels(pod.labels()));
        }
        let live = self
            .cluster
            .etcd
            .list("pods", Some(namespace))
            .take(LIVE_MAX);
        let live = live.map(|(_, pod)| pod).find(|pod| shares(pod));
        live.map_or_else(String::new, |pod| {
            format!(
                "pod {} has {}",
                pod["metadata"]["name"].str(),
                labels(pod.labels())
            )
        })
    }

    /// Whether another's pods are selected, too.
    fn shared(&self, at: usize, say: &mut Say<'_>) {
        let this = &self.drafts[at];
        let Ok(selector) = Selector::from_label_selector(&this.object["spec"]["selector"]) else {
            return;
        };
        if selector.requirements().is_empty() {
            return;
        }
        for (other, draft) in self.drafts.iter().enumerate() {
            let is_other = other != at
                && draft.namespace == this.namespace
                && draft.object["metadata"]["name"] != this.object["metadata"]["name"];
            if let Some((_, pod)) = drafts::pod(draft.object).filter(|_| is_other)
                && selector.matches(pod.labels())
            {
                let what = format!(
                    "this selector also selects the pods of {} {}",
                    draft.object["kind"].str(),
                    draft.object["metadata"]["name"].str()
                );
                say.warn(
                    "spec.selector",
                    what,
                    "each needs labels of its own, or they take each other's pods for theirs",
                );
                return;
            }
        }
    }

    fn selects_some(&self, selector: &Value, path: &str, namespace: &Text, say: &mut Say<'_>) {
        let Ok(selector) = Selector::from_label_selector(selector) else {
            return;
        };
        if !selector.requirements().is_empty() && self.selected(&selector, namespace).is_empty() {
            say.hint(
                path,
                "this selector selects nothing: no pod, here or in the cluster, has such labels"
                    .to_owned(),
                "",
            );
        }
    }

    /// The manifest or the live object of a kind and name.
    fn named(&self, kind: &str, name: &str, namespace: &Text) -> Option<&Value> {
        let is = |draft: &&Draft<'_>| {
            let object = draft.object;
            object["kind"].str() == kind
                && object["metadata"]["name"].str() == name
                && draft.namespace == *namespace
        };
        if let Some(draft) = self.drafts.iter().find(is) {
            return Some(draft.object);
        }
        let all = self.cluster.resources();
        let resource = all.iter().find(|resource| *resource.kind == *kind)?;
        self.cluster.etcd.get(&ObjectKey {
            resource: resource.id(),
            namespace: namespace.clone(),
            name: name.into(),
        })
    }

    fn autoscaler(&self, object: &Value, namespace: &Text, say: &mut Say<'_>) {
        let target = &object["spec"]["scaleTargetRef"];
        let (kind, name) = (target["kind"].str(), target["name"].str());
        if kind.is_empty() || name.is_empty() {
            return;
        }
        let Some(scaled) = self.named(kind, name, namespace) else {
            say.warn(
                "spec.scaleTargetRef.name",
                format!("there is no {kind} {name} to scale"),
                "",
            );
            return;
        };
        let Some((_, pod)) = drafts::pod(scaled) else {
            return;
        };
        for (at, metric) in object["spec"]["metrics"].items().iter().enumerate() {
            let resource = &metric["resource"];
            let what = resource["name"].str();
            if resource["target"]["type"].str() != "Utilization" {
                continue;
            }
            let asks = |container: &Value| {
                let resources = &container["resources"];
                resources["requests"]
                    .get(what)
                    .or(resources["limits"].get(what))
                    .is_some()
            };
            if let Some(without) = pod["spec"]["containers"].items().iter().find(|c| !asks(c)) {
                let text = format!(
                    "container {} of {kind} {name} requests no {what}: its utilization cannot be told",
                    without["name"].str()
                );
                say.warn(
                    &format!("spec.metrics[{at}].resource.name"),
                    text,
                    &format!("give it resources.requests.{what}"),
                );
            }
        }
    }

    fn ingress(&self, object: &Value, namespace: &Text, say: &mut Say<'_>) {
        let spec = &object["spec"];
        let mut backends = vec![("spec.defaultBackend".to_owned(), &spec["defaultBackend"])];
        for (r, rule) in spec["rules"].items().iter().enumerate() {
            for (p, path) in rule["http"]["paths"].items().iter().enumerate() {
                backends.push((
                    format!("spec.rules[{r}].http.paths[{p}].backend"),
                    &path["backend"],
                ));
            }
        }
        for (path, backend) in backends {
            let service = &backend["service"];
            let name = service["name"].str();
            let Some(named) = self.named("Service", name, namespace) else {
                continue;
            };
            let wanted = &service["port"];
            let fits = |port: &Value| match wanted["name"].str() {
                "" => port["port"] == wanted["number"],
                name => port["name"].str() == name,
            };
            if !wanted.is_null() && !named["spec"]["ports"].items().iter().any(fits) {
                let part = if wanted["name"].is_empty() {
                    "number"
                } else {
                    "name"
                };
                let ports = named["spec"]["ports"]
                    .items()
                    .iter()
                    .map(|p| p["port"].to_json());
                let has = format!("it has {}", ports.collect::<Vec<_>>().join(", "));
                say.warn(
                    &format!("{path}.service.port.{part}"),
                    format!("Service {name} has no such port"),
                    &has,
                );
            }
        }
    }

    /// What is amiss with a pod, wherever it stands.
    fn pod(&self, path: &str, pod: &Value, say: &mut Say<'_>) {
        let below = |rest: &str| {
            if path.is_empty() {
                rest.to_owned()
            } else {
                format!("{path}.{rest}")
            }
        };
        let spec = &pod["spec"];
        let wanted = spec["nodeSelector"].entries();
        let has = |node: &Value| {
            wanted
                .iter()
                .all(|(key, value)| node.labels().get(key) == Some(value))
        };
        if !wanted.is_empty()
            && !self
                .cluster
                .etcd
                .list("nodes", None)
                .any(|(_, node)| has(node))
        {
            say.warn(
                &below("spec.nodeSelector"),
                format!("no node has {}", labels(&spec["nodeSelector"])),
                "the pods stay Pending",
            );
        }
        for list in ["initContainers", "containers"] {
            for (at, container) in spec[list].items().iter().enumerate() {
                let place = below(&format!("spec.{list}[{at}]"));
                self.container(&place, container, say);
            }
        }
    }

    fn container(&self, path: &str, container: &Value, say: &mut Say<'_>) {
        let image = container["image"].str();
        if let Some(reference) = Reference::parse(image)
            && matches!(find(&self.cluster.config, &reference), Found::None)
        {
            say.warn(
                &format!("{path}.image"),
                format!("no registry has the image {image}"),
                "the container waits with ErrImagePull; look at the name and the tag",
            );
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            for action in ["httpGet", "tcpSocket"] {
                let port = container[probe][action]["port"].str();
                let has = container["ports"]
                    .items()
                    .iter()
                    .any(|p| p["name"].str() == port);
                let is_name = !port.is_empty() && port.parse::<u16>().is_err();
                if is_name && !has {
                    let what = format!("this container has no port named {port}");
                    say.warn(
                        &format!("{path}.{probe}.{action}.port"),
                        what,
                        "name it under ports, or give its number",
                    );
                }
            }
        }
    }

    /// A claim of no class, where no class is the usual one and no volume is left.
    fn claim(&self, spec: &Value, path: &str, say: &mut Say<'_>) {
        if !spec["storageClassName"].is_null() || !spec["volumeName"].is_empty() {
            return;
        }
        let drafted = |kind: &'static str| {
            let of = self.drafts.iter().map(|draft| draft.object);
            of.filter(move |object| object["kind"].str() == kind)
        };
        let live = |resource| {
            let all = self.cluster.etcd.list(resource, None);
            all.map(|(_, object)| object)
        };
        let usual = |class: &Value| {
            class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true")
        };
        let free = |volume: &Value| volume["spec"]["claimRef"].is_null();
        let served = drafted("StorageClass").any(usual)
            || live("storageclasses.storage.k8s.io").any(usual)
            || drafted("PersistentVolume").any(free)
            || live("persistentvolumes").any(free);
        if !served {
            let what = "no StorageClass is the default, and no PersistentVolume is free";
            say.warn(
                path,
                what.to_owned(),
                "the claim stays Pending until a volume is there",
            );
        }
    }

    /// Names of what is not there.
    fn references(&self, object: &Value, namespace: &Text, say: &mut Say<'_>) {
        for reference in references::all(object) {
            let wanted = reference.field.resource;
            let Some(resource) = self.cluster.resource_by_id(wanted) else {
                continue;
            };
            let optional = reference.within["optional"].as_bool() == Some(true);
            // A namespace that is still to come has what every namespace has.
            let home = ObjectKey::new("namespaces", "", &**namespace);
            let usual = wanted == "serviceaccounts" && reference.name == "default"
                || reference.name == "kube-root-ca.crt";
            let to_come = usual && self.cluster.etcd.get(&home).is_none();
            if wanted == "namespaces" || optional || to_come {
                continue;
            }
            let namespace = if resource.namespaced {
                namespace.clone()
            } else {
                Text::default()
            };
            let drafted = self.drafts.iter().any(|draft| {
                let object = draft.object;
                *object["kind"].str() == *resource.kind
                    && object["metadata"]["name"].str() == reference.name
                    && (!resource.namespaced || draft.namespace == namespace)
            });
            let key = ObjectKey {
                resource: resource.id(),
                namespace,
                name: reference.name.into(),
            };
            if !drafted && self.cluster.etcd.get(&key).is_none() {
                let what = format!("there is no {} {}", resource.kind, reference.name);
                say.warn(&reference.path, what, reference.field.without);
            }
        }
    }
}

/// Whether a Service's port leads to one that a container has.
fn target_port(pods: &[&Value], port: &Value, protocol: &str, path: &str, say: &mut Say<'_>) {
    let target = match &port["targetPort"] {
        Value::Null => &port["port"],
        given => given,
    };
    let containers = || {
        pods.iter()
            .flat_map(|pod| pod["spec"]["containers"].items())
    };
    let is_protocol = |p: &&Value| {
        matches!(p["protocol"].str(), "") && protocol == "TCP" || p["protocol"].str() == protocol
    };
    let declared: Vec<&Value> = containers()
        .flat_map(|c| c["ports"].items())
        .filter(is_protocol)
        .collect();
    match target.as_str() {
        Some(name) => {
            if !declared.iter().any(|p| p["name"].str() == name) {
                let mut names: Vec<&str> = declared
                    .iter()
                    .map(|p| p["name"].str())
                    .filter(|n| !n.is_empty())
                    .collect();
                names.sort_unstable();
                names.dedup();
                let hint = match &names[..] {
                    [] => "name the port in the container, or give its number".to_owned(),
                    names => format!("there is {}", names.join(", ")),
                };
                say.warn(
                    path,
                    format!("no container of the selected pods has a port named {name}"),
                    &hint,
                );
            }
        }
        None => {
            let silent = containers().any(|c| c["ports"].items().is_empty());
            if !silent && !declared.iter().any(|p| p["containerPort"] == *target) {
                let mut numbers: Vec<i64> = declared
                    .iter()
                    .filter_map(|p| p["containerPort"].as_i64())
                    .collect();
                numbers.sort_unstable();
                numbers.dedup();
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                let hint = format!(
                    "they name {}; it works if a process listens there all the same",
                    numbers.join(", ")
                );
                say.hint(
                    path,
                    format!(
                        "no container of the selected pods names port {}",
                        target.to_json()
                    ),
                    &hint,
                );
            }
        }
    }
}

/// `app=web,tier=front`
fn labels(labels: &Value) -> String {
    let pair = |(key, value): &(Text, Value)| format!("{key}={}", value.str());
    let pairs: Vec<String> = labels.entries().iter().map(pair).collect();
    pairs.join(",")
}

/// What is said of one manifest, at its places.
struct Say<'a> {
    positions: &'a Positions,
    found: Vec<Diagnostic>,
}

impl Say<'_> {
    fn warn(&mut self, path: &str, message: String, hint: &str) {
        self.say(Severity::Warning, path, message, hint);
    }

    fn hint(&mut self, path: &str, message: String, hint: &str) {
        self.say(Severity::Hint, path, message, hint);
    }

    fn say(&mut self, severity: Severity, path: &str, message: String, hint: &str) {
        let place = self.positions.nearest(path);
        // Of a map the key is shown, of a word the word.
        let scalar = place.value.0 == place.key.0;
        let (line, column) = if scalar { place.value } else { place.key };
        self.found.push(Diagnostic {
            severity,
            path: path.to_owned(),
            hint: hint.to_owned(),
            ..Diagnostic::error(line as usize, column as usize, message)
        });
    }
}
