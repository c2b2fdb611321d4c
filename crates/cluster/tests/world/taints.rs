//! When pods leave nodes whose NoExecute taints they tolerate for a while, or not at all.

use crate::common::live::World;

/// Sleeping pods on worker-1, each with its tolerations.
fn pods(all: &[(&str, &str)]) -> World {
    let pod = |(name, tolerations): &(&str, &str)| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: worker-1, terminationGracePeriodSeconds: 0, tolerations: [{tolerations}], containers: [{{name: c, image: busybox, command: [sleep, '100000']}}]}}}}\n---\n"
        )
    };
    World::with(&all.iter().map(pod).collect::<String>())
}

/// Gives worker-1 these NoExecute taints, as a person does: without a time.
fn taint(world: &mut World, keys: &[&str]) {
    let taint = |key: &&str| format!("{{key: {key}, effect: NoExecute}}");
    let taints: Vec<String> = keys.iter().map(taint).collect();
    let patch = format!("{{spec: {{taints: [{}]}}}}", taints.join(", "));
    world.patch_node("worker-1", &patch);
}

fn there(world: &World, name: &str) -> bool {
    world.pod(name)["metadata"]["deletionTimestamp"].is_null() && !world.pod(name).is_null()
}

const A_60: &str = "{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 60}";
const A_EVER: &str = "{key: a, operator: Exists}";
const B_5: &str = "{key: b, operator: Exists, effect: NoExecute, tolerationSeconds: 5}";

#[test]
fn a_pod_goes_when_its_patience_ends() {
    let cases = [
        ("none", "", 0.0),
        ("ever", A_EVER, f64::INFINITY),
        ("while", A_60, 60.0),
        (
            "now",
            "{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 0}",
            0.0,
        ),
        ("first", &format!("{A_EVER}, {A_60}"), f64::INFINITY),
    ];
    let mut world = pods(&cases.map(|(name, tolerations, _)| (name, tolerations)));
    taint(&mut world, &["a"]);
    let mut now = 0.0;
    for after in [1.0, 58.0, 62.0, 600.0] {
        world.run(after - now);
        now = after;
        for (name, _, goes) in cases {
            assert_eq!(there(&world, name), now < goes, "{name} after {now} s");
        }
    }
    let events = world.events("while", "TaintManagerEviction");
    assert_eq!(events, ["Marking for deletion Pod default/while"]);
}

#[test]
fn a_wait_that_has_begun_goes_on() {
    // What the node's taints become later, when, and whether the pod is there at 70 s.
    let cases: [(&[&str], f64, bool); 4] = [
        (&["a"], 30.0, false),
        (&["a", "b"], 30.0, false),
        (&[], 30.0, true),
        (&["a", "c"], 30.0, false),
    ];
    for (later, at, stays) in cases {
        let mut world = pods(&[("p", &format!("{A_60}, {B_5}"))]);
        taint(&mut world, &["a"]);
        world.run(at);
        taint(&mut world, later);
        world.run(10.0);
        // The shorter patience with b counts from when the wait began: it does not replace the longer.
        assert_eq!(there(&world, "p"), !later.contains(&"c"), "{later:?}");
        world.run(70.0 - at - 10.0);
        assert_eq!(there(&world, "p"), stays, "{later:?}");
    }
}

#[test]
fn a_wait_that_ends_early_is_told() {
    let cancelled = ["Cancelling deletion of Pod default/p"];
    let mut world = pods(&[("p", A_60)]);
    taint(&mut world, &["a"]);
    world.run(10.0);
    taint(&mut world, &[]);
    world.run(1.0);
    assert_eq!(world.events("p", "TaintManagerEviction"), cancelled);
    // The next wait is a new one.
    taint(&mut world, &["a"]);
    world.run(55.0);
    assert!(there(&world, "p"));
    world.run(10.0);
    assert!(!there(&world, "p"));
    // A pod that somebody deletes need not go any more.
    let mut world = pods(&[("p", A_60)]);
    taint(&mut world, &["a"]);
    world.run(10.0);
    world.delete("pods", "p");
    world.run(60.0);
    assert_eq!(world.events("p", "TaintManagerEviction"), cancelled);
}
