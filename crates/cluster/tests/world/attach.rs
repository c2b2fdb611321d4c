//! Volumes of CSI drivers are attached to the nodes of their pods, and detached when these have gone.

use crate::common::live::{World, one};
use kubarium_cluster::faults::Fault;

const DRIVER: &str = "disk.example.com";

/// A cluster with the driver, a volume `v` of it with this access mode, and a claim `c` that has it.
fn world(mode: &str) -> World {
    let config = format!(
        "{{apiVersion: kubarium/v1alpha1, kind: Cluster, dns: false, storage: {{csi: [{DRIVER}]}}}}"
    );
    World::of(
        &config,
        &format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v}}, spec: {{storageClassName: '', capacity: {{storage: 1Gi}}, accessModes: [{mode}], csi: {{driver: {DRIVER}, volumeHandle: h}}}}}}\n---\n{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c}}, spec: {{storageClassName: '', volumeName: v, accessModes: [{mode}], resources: {{requests: {{storage: 1Gi}}}}}}}}\n"
        ),
    )
}

/// A pod on a node that has the claim.
fn user(name: &str, node: &str) -> String {
    one(
        name,
        ", terminationGracePeriodSeconds: 1, volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]",
        "command: [sleep, '100000'], volumeMounts: [{name: d, mountPath: /d}]",
    )
    .replace("worker-1", node)
}

/// The volume's attachments: node, and whether it is attached.
fn attachments(world: &World) -> Vec<(String, bool)> {
    let all = world.0.etcd.list("volumeattachments.storage.k8s.io", None);
    all.map(|(_, a)| {
        let attached = a["status"]["attached"].as_bool() == Some(true);
        (a["spec"]["nodeName"].str().to_owned(), attached)
    })
    .collect()
}

fn on_node(world: &World, node: &str, field: &str) -> String {
    world.0.find("nodes", "", node).unwrap()["status"][field].to_string()
}

#[test]
fn a_volume_is_attached_before_its_pod_runs_and_detached_after_it() {
    let mut world = world("ReadWriteOnce");
    world.apply(&user("p", "worker-1"));
    world.run(1.0);
    assert_eq!(attachments(&world), [("worker-1".to_owned(), false)]);
    assert_eq!(world.at("p", "status/phase"), "Pending");
    world.run(25.0);
    assert_eq!(attachments(&world), [("worker-1".to_owned(), true)]);
    assert_eq!(world.at("p", "status/phase"), "Running");
    let told = "AttachVolume.Attach succeeded for volume \"v\" ";
    assert_eq!(world.events("p", "SuccessfulAttachVolume"), [told]);
    for field in ["volumesAttached", "volumesInUse"] {
        let listed = on_node(&world, "worker-1", field);
        assert!(
            listed.contains("kubernetes.io/csi/disk.example.com^h"),
            "{field}: {listed}"
        );
    }
    world.delete("pods", "p");
    world.run(0.5);
    assert_eq!(attachments(&world).len(), 1, "the pod has not ended");
    world.run(20.0);
    assert_eq!(attachments(&world), []);
    for field in ["volumesAttached", "volumesInUse"] {
        assert_eq!(on_node(&world, "worker-1", field), "null", "{field}");
    }
}

#[test]
fn a_volume_for_one_node_is_not_attached_to_another() {
    for (mode, phase) in [("ReadWriteOnce", "Pending"), ("ReadWriteMany", "Running")] {
        let mut world = world(mode);
        world.apply(&user("first", "worker-1"));
        world.run(25.0);
        world.apply(&user("second", "worker-2"));
        world.run(25.0);
        assert_eq!(world.at("second", "status/phase"), phase, "{mode}");
        let told = world.events("second", "FailedAttachVolume");
        if phase == "Running" {
            assert!(told.is_empty());
            continue;
        }
        let error = "Multi-Attach error for volume \"v\" Volume is already used by pod(s) first";
        assert_eq!(told, [error]);
        world.delete("pods", "first");
        world.run(60.0);
        assert_eq!(world.at("second", "status/phase"), "Running");
        assert_eq!(attachments(&world), [("worker-2".to_owned(), true)]);
    }
}

#[test]
fn a_volume_of_no_driver_keeps_its_pod_waiting() {
    let mut world = world("ReadWriteOnce");
    let other = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: w}, spec: {storageClassName: '', capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: other.example.com, volumeHandle: h}}}\n---\n{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: e}, spec: {storageClassName: '', volumeName: w, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    world.apply(other);
    world.run(2.0);
    world.apply(&user("p", "worker-1").replace("claimName: c", "claimName: e"));
    world.run(140.0);
    assert_eq!(world.at("p", "status/phase"), "Pending");
    let attach = "AttachVolume.Attach failed for volume \"w\" : CSINode worker-1 does not contain driver other.example.com";
    assert_eq!(world.events("p", "FailedAttachVolume"), [attach]);
    let mount = "Unable to attach or mount volumes: unmounted volumes=[d], unattached volumes=[d], failed to process volumes=[]: context deadline exceeded";
    assert_eq!(world.events("p", "FailedMount"), [mount]);
}

#[test]
fn a_lost_node_keeps_its_volume_for_six_minutes_or_until_it_is_given_up() {
    for (taint, after) in [("", 380.0), ("node.kubernetes.io/out-of-service", 40.0)] {
        let mut world = world("ReadWriteOnce");
        world.apply(&user("p", "worker-1"));
        world.run(25.0);
        let fault = Fault::parse(&["node", "worker-1"], "default").unwrap();
        world.0.break_it(fault).unwrap();
        world.run(60.0);
        world.delete_now("pods", "p");
        world.apply(&user("q", "worker-2"));
        world.run(20.0);
        assert_eq!(world.at("q", "status/phase"), "Pending", "{taint}");
        if !taint.is_empty() {
            let patch = format!(
                "{{spec: {{taints: [{{key: {taint}, value: nodeshutdown, effect: NoExecute}}]}}}}"
            );
            world.patch_node("worker-1", &patch);
        }
        world.run(after);
        assert_eq!(world.at("q", "status/phase"), "Running", "{taint}");
    }
}
