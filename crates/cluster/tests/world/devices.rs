//! Devices that pods claim: who gets which, on which node, and when they are free again.

use crate::common::World;
use kubarium_cluster::Component;
use kubarium_cluster::api::DeleteOptions;
use kubarium_objects::{ObjectKey, Value};

const CLASS: &str = "
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
spec: {selectors: [{cel: {expression: 'device.driver == \"gpu.example.com\"'}}]}
---
";

/// What a driver offers on a node: devices, each with its memory and model.
fn slice(node: &str, devices: &[(&str, &str, &str)]) -> String {
    let device = |(name, memory, model): &(&str, &str, &str)| {
        format!(
            "{{name: {name}, attributes: {{model: {{string: {model}}}, driverVersion: {{version: 1.2.0}}}}, capacity: {{memory: {{value: {memory}}}}}}}"
        )
    };
    let devices: Vec<String> = devices.iter().map(device).collect();
    format!(
        "apiVersion: resource.k8s.io/v1\nkind: ResourceSlice\nmetadata: {{name: {node}-gpus}}\nspec: {{driver: gpu.example.com, nodeName: {node}, pool: {{name: {node}, generation: 1, resourceSliceCount: 1}}, devices: [{}]}}\n---\n",
        devices.join(", ")
    )
}

/// A claim with these requests and whatever else.
fn claim(name: &str, devices: &str) -> String {
    format!(
        "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {{name: {name}}}\nspec: {{devices: {{{devices}}}}}\n---\n"
    )
}

/// A request for devices of the class.
fn exactly(fields: &str) -> String {
    format!("requests: [{{name: r, exactly: {{deviceClassName: gpu{fields}}}}}]")
}

/// A pod with a claim.
fn pod(name: &str, entry: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{resourceClaims: [{{name: d, {entry}}}], containers: [{{name: c, image: busybox, resources: {{claims: [{{name: d}}]}}}}]}}\n---\n"
    )
}

/// Two nodes: the first with a small and a large device, the second with two large ones.
fn world() -> World {
    let mut world = World::new(2);
    world.apply(CLASS);
    world.apply(&slice("n1", &[("g0", "8Gi", "a"), ("g1", "40Gi", "b")]));
    world.apply(&slice("n2", &[("g0", "40Gi", "b"), ("g1", "40Gi", "c")]));
    world
}

/// The devices of a claim: `n1/g0`.
fn devices(world: &World, claim: &str) -> Vec<String> {
    let allocation = &world.get("resourceclaims.resource.k8s.io", claim)["status"]["allocation"];
    let results = allocation["devices"]["results"].items().iter();
    results
        .map(|r| format!("{}/{}", r["pool"].str(), r["device"].str()))
        .collect()
}

fn node(world: &World, pod: &str) -> String {
    world.get("pods", pod)["spec"]["nodeName"].str().to_owned()
}

#[test]
fn requests_select_devices() {
    let cel = |expression: &str| format!(", selectors: [{{cel: {{expression: '{expression}'}}}}]");
    let domain = "device.attributes[\"gpu.example.com\"]";
    let cases: [(String, &[&str]); 9] = [
        (exactly(", count: 2"), &["n1/g0", "n1/g1"]),
        (exactly(&cel(&format!("{domain}.model == \"c\""))), &["n2/g1"]),
        (
            exactly(&format!(
                ", count: 2{}",
                cel("device.capacity[\"gpu.example.com\"].memory.compareTo(quantity(\"40Gi\")) >= 0")
            )),
            &["n2/g0", "n2/g1"],
        ),
        (
            exactly(&format!(", allocationMode: All{}", cel(&format!("{domain}.model == \"b\"")))),
            &["n1/g1"],
        ),
        (
            exactly(&cel(&format!(
                "{domain}.driverVersion.isGreaterThan(semver(\"1.10.0\")) || {domain}.model == \"a\""
            ))),
            &["n1/g0"],
        ),
        // A domain that a device knows nothing of is empty, not wrong.
        (
            exactly(&cel("!(\"other\" in device.attributes) && !has(device.attributes[\"other\"].x)")),
            &["n1/g0"],
        ),
        (
            "requests: [{name: r, firstAvailable: [{name: huge, deviceClassName: gpu, count: 3}, {name: two, deviceClassName: gpu, count: 2}]}]".into(),
            &["n1/g0", "n1/g1"],
        ),
        (
            format!(
                "{}, constraints: [{{matchAttribute: gpu.example.com/driverVersion}}]",
                exactly(", count: 2")
            ),
            &["n1/g0", "n1/g1"],
        ),
        (
            "requests: [{name: r, exactly: {deviceClassName: gpu}}, {name: s, exactly: {deviceClassName: gpu}}], constraints: [{matchAttribute: gpu.example.com/driverVersion, requests: [r, s]}]".into(),
            &["n1/g0", "n1/g1"],
        ),
    ];
    for (wish, wanted) in cases {
        let mut world = world();
        // Of two nodes that are as good the first is wanted.
        world.change("nodes", "n2", &["metadata", "labels", "second"], "yes");
        world.apply(&claim("c", &wish));
        let prefers = pod("p", "resourceClaimName: c").replace(
            "spec: {",
            "spec: {affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: second, operator: DoesNotExist}]}}]}}, ",
        );
        world.apply(&prefers).run(3.0);
        assert_eq!(
            devices(&world, "c"),
            wanted,
            "{wish}: {:?}",
            world.events("p")
        );
        let place = wanted.first().and_then(|w| w.split('/').next());
        assert_eq!(place, Some(&*node(&world, "p")), "{wish}");
    }
}

#[test]
fn what_cannot_be_had_is_told() {
    let on = |node: &str| {
        format!(
            "0/2 nodes are available: {node} preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
    };
    let cel =
        ", selectors: [{cel: {expression: 'device.attributes[\"gpu.example.com\"].size > 1'}}]";
    let cases = [
        (exactly(", count: 3"), on("2 cannot allocate all claims.")),
        (
            "requests: [{name: r, exactly: {deviceClassName: tpu}}]".to_owned(),
            on("request r: device class tpu does not exist."),
        ),
        (
            exactly(", adminAccess: true"),
            on("resource claim default/c, request r: adminAccess is not simulated yet."),
        ),
        (
            format!("{}, constraints: [{{matchAttribute: gpu.example.com/model}}]", exactly(", count: 2")),
            on("2 cannot allocate all claims."),
        ),
        (
            exactly(cel),
            "running \"DynamicResources\" filter plugin: claim default/c: selector #0 on device gpu.example.com/n1/g0: CEL runtime error: no such key: size".to_owned(),
        ),
    ];
    for (wish, message) in cases {
        let mut world = world();
        world.apply(&claim("c", &wish));
        world.apply(&pod("p", "resourceClaimName: c")).run(2.0);
        assert_eq!(world.events("p"), [message], "{wish}");
        assert_eq!(node(&world, "p"), "");
    }
}

#[test]
fn taints_keep_claims_away() {
    let cases = [
        ("", ""),
        (", tolerations: [{key: broken, operator: Exists}]", "n1/g0"),
        (", tolerations: [{key: broken, value: 'no'}]", ""),
        (", tolerations: [{operator: Exists, effect: NoExecute}]", ""),
    ];
    for (fields, wanted) in cases {
        let mut world = World::new(1);
        let tainted = slice("n1", &[("g0", "8Gi", "a")]).replace(
            "{name: g0,",
            "{name: g0, taints: [{key: broken, value: 'yes', effect: NoSchedule}],",
        );
        world.apply(CLASS).apply(&tainted);
        world.apply(&claim("c", &exactly(fields)));
        world.apply(&pod("p", "resourceClaimName: c")).run(2.0);
        assert_eq!(devices(&world, "c").join(" "), wanted, "{fields}");
    }
}

#[test]
fn a_pool_that_is_not_whole_is_not_used() {
    let mut world = World::new(1);
    let half = slice("n1", &[("g0", "8Gi", "a")])
        .replace("resourceSliceCount: 1", "resourceSliceCount: 2");
    world.apply(CLASS).apply(&half);
    world.apply(&claim("one", &exactly("")));
    world.apply(&claim("all", &exactly(", allocationMode: All")));
    world.apply(&pod("p", "resourceClaimName: one"));
    world.apply(&pod("q", "resourceClaimName: all")).run(2.0);
    let says = |world: &World, pod: &str| world.events(pod).concat();
    assert!(says(&world, "p").contains("1 cannot allocate all claims."));
    let updated = "claim default/all, request r: asks for all devices, but resource pool gpu.example.com/n1 is currently being updated";
    assert!(says(&world, "q").contains(updated), "{}", says(&world, "q"));
    // The second slice comes, and what waits is tried again.
    let other = slice("n1", &[("g1", "8Gi", "a")])
        .replace("resourceSliceCount: 1", "resourceSliceCount: 2");
    world.apply(&other.replace("n1-gpus", "n1-more")).run(15.0);
    assert_eq!(devices(&world, "one"), ["n1/g0"]);
    assert!(devices(&world, "all").is_empty(), "one of them is taken");
}

#[test]
fn devices_are_free_again_when_nobody_uses_them() {
    let mut world = world();
    world.apply(&claim("c", &exactly(", count: 2")));
    world.apply(&pod("p", "resourceClaimName: c"));
    world.apply(&pod("q", "resourceClaimName: c")).run(3.0);
    let status = |world: &World| world.get("resourceclaims.resource.k8s.io", "c").clone();
    let users = |world: &World| -> Vec<String> {
        let reserved = status(world)["status"]["reservedFor"].clone();
        let names = reserved.items().iter().map(|r| r["name"].str().to_owned());
        names.collect()
    };
    assert_eq!(users(&world), ["p", "q"]);
    assert_eq!(
        node(&world, "p"),
        node(&world, "q"),
        "they share what is on one node"
    );
    let finalizer = "resource.kubernetes.io/delete-protection";
    assert_eq!(status(&world)["metadata"]["finalizers"][0].str(), finalizer);
    for (gone, left) in [("p", vec!["q"]), ("q", vec![])] {
        let key = ObjectKey::new("pods", "default", gone);
        let deleted = world
            .cluster
            .delete(&Component::Person, &key, &DeleteOptions::now());
        assert!(deleted.is_ok());
        world.run(2.0);
        assert_eq!(users(&world), left);
    }
    let free = status(&world);
    assert!(free["status"]["allocation"].is_null() && free["metadata"]["finalizers"].is_empty());
}

#[test]
fn claims_are_made_from_templates() {
    let template = "
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: t}
spec:
  metadata: {labels: {a: b}}
  spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu, count: 2}}]}}
---
";
    let mut world = world();
    world
        .apply(&pod("p", "resourceClaimTemplateName: t"))
        .run(2.0);
    let missing = "PodResourceClaim d: resource claim template \"t\": resourceclaimtemplate.resource.k8s.io \"t\" not found";
    assert!(
        world.events("p").iter().any(|e| e == missing),
        "{:?}",
        world.events("p")
    );
    assert!(
        world.get("pods", "p")["status"]["conditions"].is_empty(),
        "it is not tried"
    );
    world.apply(template).run(2.0);
    let names = || ["p", "q", "s"];
    for name in names().iter().skip(1) {
        world.apply(&pod(name, "resourceClaimTemplateName: t"));
    }
    world.run(3.0);
    let made = |world: &World, pod: &str| {
        world.get("pods", pod)["status"]["resourceClaimStatuses"][0]["resourceClaimName"]
            .str()
            .to_owned()
    };
    for name in names() {
        assert!(
            made(&world, name).starts_with(&format!("{name}-d-")),
            "{}",
            made(&world, name)
        );
    }
    let claim = world
        .get("resourceclaims.resource.k8s.io", &made(&world, "p"))
        .clone();
    assert_eq!(claim["metadata"]["labels"]["a"].str(), "b");
    assert_eq!(claim["metadata"]["ownerReferences"][0]["name"].str(), "p");
    // Each node has two devices: two pods run, the third waits until one has gone.
    let running = |world: &World| {
        names()
            .into_iter()
            .filter(|n| !node(world, n).is_empty())
            .count()
    };
    assert_eq!(running(&world), 2);
    let waiting = names()
        .into_iter()
        .find(|name| node(&world, name).is_empty())
        .unwrap();
    world.set_status(&ObjectKey::new("pods", "default", "p"), |status| {
        status["phase"] = "Succeeded".into()
    });
    world.run(15.0);
    assert!(
        !node(&world, waiting).is_empty(),
        "{:?}",
        world.events(waiting)
    );
    // A claim that was made for a pod goes when the pod is done.
    let gone = world.get(
        "resourceclaims.resource.k8s.io",
        claim["metadata"]["name"].str(),
    );
    assert_eq!(gone, &Value::Null);
}
