//! Random runs: objects come, change and go, machines and components fail at any moment. After each
//! step some things must hold; once the faults have ended the cluster comes to the declared state.
//!
//! `RANDOM_RUNS=5000 cargo test --release -p kubarium-cluster --test random` for more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, Propagation, Subresource, WriteOptions};
use kubarium_cluster::config::NodeConfig;
use kubarium_cluster::faults::Fault;
use kubarium_cluster::rng::Rng;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, ObjectMeta, Selector, Value};

/// How many runs a plain `cargo test` makes, in each of [`PARTS`] tests side by side.
const RUNS: u64 = 50;
const PARTS: u64 = 4;
/// Steps of a run.
const STEPS: u64 = 24;
const PERSON: Component = Component::Person;

/// A control plane and two small workers, without CoreDNS.
static START: LazyLock<Cluster> = LazyLock::new(|| {
    let mut nodes = Config::machines(2);
    nodes
        .iter_mut()
        .for_each(|node: &mut NodeConfig| node.pods = 30);
    let mut cluster = Cluster::new(Config {
        nodes,
        dns: false,
        ..Config::default()
    });
    let space = "{apiVersion: v1, kind: Namespace, metadata: {name: tight}}";
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: tight}, spec: {hard: {pods: '4'}}}";
    for text in [space, quota] {
        create(&mut cluster, text).expect("accepted");
    }
    cluster.run_until(cluster.now + Duration::from_secs(5));
    cluster
});

fn create(cluster: &mut Cluster, text: &str) -> Result<Value, String> {
    let documents = kubarium_objects::yaml::parse(text).expect("yaml");
    let object = documents.into_iter().next().expect("a document").value;
    let options = WriteOptions {
        namespace: object["metadata"]["namespace"].as_str().map(Into::into),
        ..WriteOptions::strict()
    };
    cluster
        .create_with(&PERSON, object, &options)
        .map_err(|status| status.message)
}

/// A run: the cluster, the dice that choose what happens, what was seen of objects so far.
struct Run {
    cluster: Cluster,
    dice: Rng,
    seed: u64,
    log: Vec<String>,
    revision: u64,
    versions: BTreeMap<String, u64>,
    nodes: BTreeMap<String, String>,
    pods_ever: BTreeSet<String>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut cluster = START.clone();
        cluster.rng = Rng::new(seed);
        Run {
            cluster,
            dice: Rng::new(seed ^ 0x5eed),
            seed,
            log: Vec::new(),
            revision: 0,
            versions: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods_ever: BTreeSet::new(),
        }
    }

    fn fail(&self, why: &str) -> ! {
        panic!("seed {}: {why}\n{}", self.seed, self.log.join("\n"));
    }

    fn number(&mut self, below: u64) -> u64 {
        self.dice.below(below)
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let at = self.number(all.len().max(1) as u64) as usize;
        all.get(at).cloned()
    }

    fn name(&mut self) -> String {
        format!("x{}", self.number(5))
    }

    fn keys(&self, resource: &str) -> Vec<ObjectKey> {
        let all = self.cluster.etcd.list(resource, None);
        all.filter(|(key, _)| matches!(&*key.namespace, "default" | "tight"))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn note(&mut self, text: String) {
        self.log.push(format!("  {} {text}", self.cluster.now));
    }

    /// Something happens.
    fn step(&mut self) {
        match self.number(24) {
            20 => self.resize(),
            21 => self.change_content(),
            22 | 23 => self.manifest(),
            0..=4 => self.create(),
            5..=7 => self.scale(),
            8 | 9 => self.change_template(),
            10 | 11 => self.delete(),
            12 => self.delete_pod(),
            13 | 14 => self.evict(),
            15 => self.cordon(),
            16..=18 => self.break_something(),
            _ => self.mend_something(),
        }
        self.check();
        // Time goes on by itself, now and then for long.
        let seconds = match self.number(6) {
            0 => 0,
            1..=4 => 1 + self.number(15),
            _ => 30 + self.number(90),
        };
        for _ in 0..seconds.min(8) {
            let part = Duration::from_millis(seconds * 1000 / seconds.min(8));
            self.cluster.run_until(self.cluster.now + part);
            self.check();
        }
    }

    fn create(&mut self) {
        let (name, replicas) = (self.name(), self.number(4));
        let namespace = self
            .pick(&["default", "default", "tight"])
            .unwrap_or("default");
        let head = format!("metadata: {{name: {name}, namespace: {namespace}}}");
        let ready = self
            .pick(&[
                "",
                ", readinessProbe: {tcpSocket: {port: 80}}",
                ", resources: {requests: {cpu: 20m}}",
            ])
            .unwrap_or("");
        let template = format!(
            "template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{terminationGracePeriodSeconds: 2, containers: [{{name: c, image: nginx{ready}}}]}}}}"
        );
        let spec =
            format!("replicas: {replicas}, selector: {{matchLabels: {{app: {name}}}}}, {template}");
        let text = match self.number(9) {
            0..=2 => format!("{{apiVersion: apps/v1, kind: Deployment, {head}, spec: {{{spec}}}}}"),
            3 => format!(
                "{{apiVersion: apps/v1, kind: StatefulSet, {head}, spec: {{serviceName: {name}, {spec}}}}}"
            ),
            4 => format!(
                "{{apiVersion: apps/v1, kind: DaemonSet, {head}, spec: {{selector: {{matchLabels: {{app: {name}}}}}, {template}}}}}"
            ),
            5 => format!(
                "{{apiVersion: batch/v1, kind: Job, {head}, spec: {{completions: {replicas}, template: {{spec: {{restartPolicy: OnFailure, containers: [{{name: c, image: busybox, command: [sleep, '3']}}]}}}}}}}}"
            ),
            6 | 7 => format!(
                "{{apiVersion: v1, kind: Service, {head}, spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}}}"
            ),
            _ => format!(
                "{{apiVersion: policy/v1, kind: PodDisruptionBudget, {head}, spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: {name}}}}}}}}}"
            ),
        };
        let outcome = create(&mut self.cluster, &text).err().unwrap_or_default();
        self.note(format!("create {text} {outcome}"));
    }

    fn workload(&mut self, kinds: &[&str]) -> Option<ObjectKey> {
        let all: Vec<ObjectKey> = kinds.iter().flat_map(|kind| self.keys(kind)).collect();
        self.pick(&all)
    }

    fn modify(&mut self, key: &ObjectKey, what: &str, change: impl FnOnce(&mut Value)) {
        let outcome = self.cluster.modify(&PERSON, key, Subresource::None, change);
        let outcome = outcome.err().map(|s| s.message).unwrap_or_default();
        self.note(format!("{what} {key} {outcome}"));
    }

    fn scale(&mut self) {
        let replicas = self.number(6) as i64;
        if let Some(key) = self.workload(&["deployments.apps", "statefulsets.apps"]) {
            self.modify(&key, &format!("scale to {replicas}"), |o| {
                o["spec"]["replicas"] = replicas.into()
            });
        }
    }

    fn change_template(&mut self) {
        let image = self.pick(&["nginx", "httpd", "caddy"]).unwrap_or("nginx");
        if let Some(key) =
            self.workload(&["deployments.apps", "statefulsets.apps", "daemonsets.apps"])
        {
            self.modify(&key, &format!("image {image}"), |o| {
                o["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
            });
        }
    }

    /// A pod's containers get other resources.
    fn resize(&mut self) {
        let milli = 10 * self.number(300);
        let Some(key) = self.workload(&["pods"]) else {
            return;
        };
        let mut pod = self.cluster.etcd.get(&key).cloned().unwrap_or_default();
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = format!("{milli}m").into();
        pod["metadata"]["resourceVersion"] = Value::Null;
        let options = WriteOptions::default();
        let outcome = self
            .cluster
            .update_with(&PERSON, pod, Subresource::Resize, &options);
        let outcome = outcome.err().map(|s| s.message).unwrap_or_default();
        self.note(format!("resize {key} to {milli}m {outcome}"));
    }

    /// The ConfigMap that is mounted everywhere changes, or a pod comes that mounts it.
    fn change_content(&mut self) {
        let number = self.number(100);
        let key = ObjectKey::new("configmaps", "default", "shown");
        if self.cluster.etcd.get(&key).is_none() {
            let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: shown, namespace: default}, data: {a: '0'}}";
            let outcome = create(&mut self.cluster, map).err();
            return self.note(format!("create {key} {outcome:?}"));
        }
        self.modify(&key, &format!("data {number}"), |map| {
            map["data"]["a"] = number.to_string().into();
        });
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: reader{}, namespace: default}}, spec: {{containers: [{{name: c, image: busybox, command: [sh, -c, 'while sleep 5; do cat /v/a; done'], volumeMounts: [{{name: v, mountPath: /v}}]}}], volumes: [{{name: v, configMap: {{name: shown}}}}]}}}}",
            number % 3
        );
        let outcome = create(&mut self.cluster, &pod).err();
        self.note(format!("create a reader {outcome:?}"));
    }

    /// A node's own manifest comes, changes or goes.
    fn manifest(&mut self) {
        let node = self.pick(&["worker-1", "worker-2"]).unwrap_or("worker-1");
        let image = self.pick(&["nginx", "httpd", ""]).unwrap_or("nginx");
        let path = "/etc/kubernetes/manifests/own.yaml";
        let script = match image {
            "" => format!("rm -f {path}"),
            image => format!(
                "echo '{{apiVersion: v1, kind: Pod, metadata: {{name: own}}, spec: {{terminationGracePeriodSeconds: 2, containers: [{{name: c, image: {image}}}]}}}}' > {path}"
            ),
        };
        let argv = ["sh", "-c", &script].map(str::to_owned);
        let status = self.cluster.run_on_node(node, &argv, b"").map(|o| o.status);
        self.note(format!("manifest {image:?} on {node} {status:?}"));
    }

    fn delete(&mut self) {
        let kinds = [
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "jobs.batch",
            "services",
            "poddisruptionbudgets.policy",
        ];
        let propagation = self.pick(&[
            Propagation::Background,
            Propagation::Foreground,
            Propagation::Background,
        ]);
        if let Some(key) = self.workload(&kinds) {
            let options = DeleteOptions {
                propagation: propagation.unwrap_or_default(),
                ..DeleteOptions::default()
            };
            let outcome = self
                .cluster
                .delete(&PERSON, &key, &options)
                .err()
                .map(|s| s.message);
            self.note(format!(
                "delete {key} {:?} {}",
                options.propagation,
                outcome.unwrap_or_default()
            ));
        }
    }

    fn delete_pod(&mut self) {
        if let Some(key) = self.workload(&["pods"]) {
            let outcome = self
                .cluster
                .delete(&PERSON, &key, &DeleteOptions::default())
                .err();
            self.note(format!(
                "delete {key} {}",
                outcome.map(|s| s.message).unwrap_or_default()
            ));
        }
    }

    /// An eviction that is allowed leaves as many healthy pods as the budget wants.
    fn evict(&mut self) {
        let Some(key) = self.workload(&["pods"]) else {
            return;
        };
        let pod = self.cluster.etcd.get(&key).cloned().unwrap_or_default();
        let budgets: Vec<Value> = self
            .cluster
            .etcd
            .list("poddisruptionbudgets.policy", Some(&key.namespace))
            .map(|(_, budget)| budget.clone())
            .filter(|budget| selects(&budget["spec"]["selector"], &pod))
            .collect();
        let outcome = self.cluster.evict(&PERSON, &key, &DeleteOptions::default());
        let counts =
            is_ready(&pod) && !pod.is_deleting() && pod["status"]["phase"].str() == "Running";
        if outcome.is_ok() && counts {
            for budget in &budgets {
                if budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) <= 0 {
                    self.fail(&format!(
                        "{key} was evicted against the budget {}",
                        budget.name()
                    ));
                }
            }
        }
        self.note(format!(
            "evict {key} {}",
            outcome.err().map(|s| s.message).unwrap_or_default()
        ));
    }

    fn cordon(&mut self) {
        let node = self.pick(&["worker-1", "worker-2"]).unwrap_or("worker-1");
        let cordoned = self.number(2) == 0;
        let key = ObjectKey::new("nodes", "", node);
        self.modify(&key, &format!("unschedulable {cordoned}"), |node| {
            if cordoned {
                node["spec"]["unschedulable"] = true.into();
            } else {
                node.remove(&["spec", "unschedulable"]);
            }
        });
    }

    fn break_something(&mut self) {
        let node = self.pick(&["worker-1", "worker-2"]).unwrap_or("worker-1");
        let pod = self
            .workload(&["pods"])
            .map_or_else(String::new, |key| format!("{}/{}", key.namespace, key.name));
        let words = match self.number(18) {
            0 => "stop kube-scheduler".to_owned(),
            1 => "stop kube-controller-manager".to_owned(),
            2 => "stop replicaset-controller".to_owned(),
            3 => "stop kube-apiserver".to_owned(),
            4 => "stop etcd".to_owned(),
            5 => format!("stop kubelet {node}"),
            6 => format!("stop containerd {node}"),
            7 => format!("stop kube-proxy {node}"),
            8 => format!("cut {node}"),
            9 | 10 => format!("node {node}"),
            11 if self.number(2) == 0 => format!("link delay {node} 300ms"),
            11 => format!("link down {node}"),
            12 => format!("partition {node}"),
            13 => format!("kill {pod}"),
            14 => format!("oom {pod}"),
            15 => "registry".to_owned(),
            16 => format!("pressure {node} memory"),
            _ => format!("slow kubelet {node} 2s"),
        };
        let list: Vec<&str> = words.split(' ').collect();
        let fault = Fault::parse(&list, "default").unwrap_or_else(|why| self.fail(&why));
        let outcome = self.cluster.break_it(fault);
        self.note(format!("fault {words} {outcome:?}"));
    }

    fn mend_something(&mut self) {
        let numbers: Vec<u32> = self.cluster.faults().active().keys().copied().collect();
        if let Some(number) = self.pick(&numbers) {
            let outcome = self.cluster.mend(number);
            self.note(format!("mend {number} {outcome:?}"));
        }
    }

    /// What must hold at any moment.
    fn check(&mut self) {
        let revision = self.cluster.etcd.revision();
        if revision < self.revision {
            self.fail("etcd's revision fell");
        }
        self.revision = revision;
        let mut problems: Vec<String> = Vec::new();
        let mut tight = 0;
        let mut addresses: BTreeMap<String, String> = BTreeMap::new();
        for resource in [
            "pods",
            "replicasets.apps",
            "deployments.apps",
            "statefulsets.apps",
            "jobs.batch",
            "nodes",
            "services",
        ] {
            for (key, object) in self.cluster.etcd.list(resource, None) {
                let (uid, version) = (object.uid().to_owned(), object.resource_version());
                let before = self.versions.insert(uid.clone(), version).unwrap_or(0);
                if version < before || version > revision {
                    problems.push(format!("{key}: resourceVersion {before} -> {version}"));
                }
                if object
                    .owner_references()
                    .filter(|o| o.is_controller())
                    .count()
                    > 1
                {
                    problems.push(format!("{key} has two controllers"));
                }
                if resource != "pods" {
                    continue;
                }
                self.pods_ever.insert(uid.clone());
                let node = object["spec"]["nodeName"].str().to_owned();
                let bound = self.nodes.entry(uid).or_default();
                if !bound.is_empty() && *bound != node {
                    problems.push(format!("{key} was bound to {bound} and is bound to {node}"));
                }
                *bound = node;
                let over = matches!(object["status"]["phase"].str(), "Succeeded" | "Failed");
                tight += i64::from(&*key.namespace == "tight" && !over);
                if is_ready(object) && !object.is_deleting() && !over {
                    let address = object["status"]["podIP"].str().to_owned();
                    if let Some(other) = addresses.insert(address, key.to_string()) {
                        problems.push(format!("{key} and {other} share an address"));
                    }
                }
            }
        }
        if tight > 4 {
            problems.push(format!("{tight} pods in a namespace that may have 4"));
        }
        let mut live: BTreeMap<_, String> = BTreeMap::new();
        for machine in self.cluster.machines.values() {
            for sandbox in machine
                .runtime
                .sandboxes
                .values()
                .filter(|s| !s.host_network)
            {
                if self.cluster.net.namespace(sandbox.netns).is_none() {
                    continue;
                }
                if let Some(other) = live.insert(sandbox.ip, sandbox.pod.to_string()) {
                    problems.push(format!(
                        "the sandboxes of {} and {other} share {}",
                        sandbox.pod, sandbox.ip
                    ));
                }
            }
        }
        for (key, slice) in self
            .cluster
            .etcd
            .list("endpointslices.discovery.k8s.io", None)
        {
            for endpoint in slice["endpoints"].items() {
                let target = &endpoint["targetRef"];
                if target["kind"].str() == "Pod" && !self.pods_ever.contains(target["uid"].str()) {
                    problems.push(format!("{key} lists {target}, which never was"));
                }
            }
        }
        if let Some(problem) = problems.first() {
            self.fail(problem);
        }
    }

    /// All is mended: the declared state is reached within a while.
    fn come_to_rest(&mut self) {
        self.cluster.mend_all();
        for node in ["worker-1", "worker-2"] {
            let key = ObjectKey::new("nodes", "", node);
            self.modify(&key, "uncordon", |node| {
                drop(node.remove(&["spec", "unschedulable"]))
            });
        }
        // Back-offs of up to five minutes, five minutes of patience with taints and conditions, …
        // Where a quota lets a rollout go on by one pod at a time, a controller may wait out its
        // longest back-off (1000 s) for each.
        for _ in 0..300 {
            self.cluster
                .run_until(self.cluster.now + Duration::from_secs(60));
            self.check();
            if self.open().is_none() {
                return;
            }
        }
        let open = self.open().unwrap_or_default();
        self.fail(&format!("at {} still: {open}", self.cluster.now));
    }

    /// What is not as declared.
    fn open(&self) -> Option<String> {
        let cluster = &self.cluster;
        for (key, node) in cluster.etcd.list("nodes", None) {
            if !is_ready(node)
                || !node["spec"]["taints"]
                    .items()
                    .iter()
                    .all(|t| t["key"].str().contains("control-plane"))
            {
                return Some(format!(
                    "{key} is {} with {}",
                    node["status"]["conditions"], node["spec"]["taints"]
                ));
            }
        }
        let all: Vec<(&ObjectKey, &Value)> = cluster.etcd.list("pods", None).collect();
        for (key, pod) in &all {
            if pod.is_deleting() {
                return Some(format!("{key} is still going"));
            }
            if let Some(pending) = condition(pod, "PodResizePending")
                && pending["reason"].str() == "Deferred"
                && pod["status"]["phase"].str() != "Running"
            {
                return Some(format!("{key} waits for room and does not run"));
            }
            if condition(pod, "PodResizeInProgress").is_some() {
                return Some(format!("{key} is still being resized"));
            }
            if let Some(owner) = pod.controller_ref() {
                let resource = cluster
                    .resource_by_kind(owner.api_version(), owner.kind())
                    .expect("a kind");
                let space = match resource.namespaced {
                    true => &*key.namespace,
                    false => "",
                };
                let above = cluster.find(&resource.id(), space, owner.name());
                if above.is_none_or(|o| o.uid() != owner.uid()) {
                    return Some(format!("{key} has lost its owner {}", owner.name()));
                }
            }
        }
        let ready_of = |namespace: &str, selector: &Value| {
            let mine = all
                .iter()
                .filter(|(key, pod)| &*key.namespace == namespace && selects(selector, pod));
            mine.filter(|(_, pod)| is_ready(pod)).count() as i64
        };
        let full = all
            .iter()
            .filter(|(key, pod)| {
                &*key.namespace == "tight"
                    && !matches!(pod["status"]["phase"].str(), "Succeeded" | "Failed")
            })
            .count()
            >= 4;
        for resource in ["deployments.apps", "statefulsets.apps"] {
            for (key, set) in cluster.etcd.list(resource, None) {
                let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1);
                let ready = ready_of(&key.namespace, &set["spec"]["selector"]);
                let excused = &*key.namespace == "tight" && full;
                if set.is_deleting() || ready < wanted && !excused {
                    return Some(format!("{key} has {ready} of {wanted}, {}", set["status"]));
                }
                let told = set["status"]["readyReplicas"].as_i64().unwrap_or(0);
                if told > wanted && !excused {
                    return Some(format!("{key} tells of {told}, wants {wanted}"));
                }
            }
        }
        for machine in cluster.machines.values() {
            let mirror = cluster.find("pods", "default", &format!("own-{}", machine.name));
            let argv = ["cat", "/etc/kubernetes/manifests/own.yaml"].map(str::to_owned);
            let mut looker = cluster.clone();
            let output = looker.run_on_node(&machine.name, &argv, b"").ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let told = mirror
                .map(|pod| format!("image: {}}}", pod["spec"]["containers"][0]["image"].str()));
            let same = match &told {
                Some(image) => text.contains(image) && mirror.is_some_and(is_ready),
                None => text.is_empty(),
            };
            if !same {
                return Some(format!(
                    "{} has {text:?}, its mirror {told:?}",
                    machine.name
                ));
            }
        }
        for (key, service) in cluster.etcd.list("services", None) {
            if service["spec"]["selector"].is_empty() {
                continue;
            }
            let selector = Selector::from_map(&service["spec"]["selector"]);
            let wanted: BTreeSet<&str> = all
                .iter()
                .filter(|(pod_key, pod)| {
                    pod_key.namespace == key.namespace
                        && selector.matches(pod.labels())
                        && is_ready(pod)
                })
                .map(|(_, pod)| pod["status"]["podIP"].str())
                .collect();
            let listed: BTreeSet<&str> = cluster
                .index
                .slices_of(&key.namespace, &key.name)
                .filter_map(|slice| cluster.etcd.get(slice))
                .flat_map(|slice| slice["endpoints"].items())
                .filter(|endpoint| endpoint["conditions"]["ready"].as_bool() == Some(true))
                .map(|endpoint| endpoint["addresses"][0].str())
                .collect();
            if wanted != listed {
                return Some(format!("{key} lists {listed:?}, should {wanted:?}"));
            }
        }
        None
    }
}

fn selects(selector: &Value, pod: &Value) -> bool {
    Selector::from_label_selector(selector).is_ok_and(|s| s.matches(pod.labels()))
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut all = object["status"]["conditions"].items().iter();
    all.find(|c| c["type"].str() == kind)
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready").is_some_and(|c| c["status"].str() == "True")
}

fn runs(part: u64) {
    let all = std::env::var("RANDOM_RUNS")
        .ok()
        .and_then(|n| n.parse().ok());
    let count = all.map_or(RUNS, |n: u64| n / PARTS);
    let first = std::env::var("RANDOM_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    for seed in (0..count).map(|n| first + n * PARTS + part) {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.come_to_rest();
    }
}

#[test]
fn runs_come_to_rest_1() {
    runs(0);
}

#[test]
fn runs_come_to_rest_2() {
    runs(1);
}

#[test]
fn runs_come_to_rest_3() {
    runs(2);
}

#[test]
fn runs_come_to_rest_4() {
    runs(3);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let log = || {
        let mut run = Run::new(7);
        (0..STEPS).for_each(|_| run.step());
        run.cluster
            .log
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(log(), log());
}
