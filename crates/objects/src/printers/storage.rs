//! Volumes, claims and their classes.

use crate::{ObjectMeta, Value};

use super::{Column, Printer, age, column, count, or, scalar, truth, wide};

/// `RWO,ROX` (`helper.GetAccessModesAsString`)
pub fn access_modes(modes: &Value) -> String {
    let has = |mode: &str| modes.items().iter().any(|m| m.str() == mode);
    let all = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let shown: Vec<&str> = all
        .iter()
        .filter(|(mode, _)| has(mode))
        .map(|(_, short)| *short)
        .collect();
    shown.join(",")
}

fn phase(object: &Value) -> String {
    if object.is_deleting() {
        "Terminating".to_owned()
    } else {
        object["status"]["phase"].str().to_owned()
    }
}

/// The storage class, which an old annotation can name too.
pub fn class(object: &Value) -> String {
    match object.annotation("volume.beta.kubernetes.io/storage-class") {
        Some(class) => class.to_owned(),
        None => object["spec"]["storageClassName"].str().to_owned(),
    }
}

pub(super) static CLAIM: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Volume"),
        column("Capacity"),
        column("Access Modes"),
        column("StorageClass"),
        column("VolumeAttributesClass"),
        column("Age"),
        wide("VolumeMode"),
    ],
    row: |o, c| {
        let bound = !o["spec"]["volumeName"].is_empty();
        let when_bound = |text: String| if bound { text } else { String::new() };
        vec![
            o.name().to_owned(),
            phase(o),
            o["spec"]["volumeName"].str().to_owned(),
            when_bound(or(&o["status"]["capacity"]["storage"], "0")),
            when_bound(access_modes(&o["status"]["accessModes"])),
            class(o),
            or(&o["spec"]["volumeAttributesClassName"], "<unset>"),
            age(o, c),
            or(&o["spec"]["volumeMode"], "<unset>"),
        ]
    },
};

pub(super) static VOLUME: Printer = Printer {
    columns: &[
        column("Name"),
        column("Capacity"),
        column("Access Modes"),
        column("Reclaim Policy"),
        column("Status"),
        column("Claim"),
        column("StorageClass"),
        column("VolumeAttributesClass"),
        column("Reason"),
        column("Age"),
        wide("VolumeMode"),
    ],
    row: |o, c| {
        let claim = &o["spec"]["claimRef"];
        vec![
            o.name().to_owned(),
            scalar(&o["spec"]["capacity"]["storage"]),
            access_modes(&o["spec"]["accessModes"]),
            o["spec"]["persistentVolumeReclaimPolicy"].str().to_owned(),
            phase(o),
            if claim.is_null() {
                String::new()
            } else {
                format!("{}/{}", claim["namespace"].str(), claim["name"].str())
            },
            class(o),
            or(&o["spec"]["volumeAttributesClassName"], "<unset>"),
            o["status"]["reason"].str().to_owned(),
            age(o, c),
            or(&o["spec"]["volumeMode"], "<unset>"),
        ]
    },
};

pub(super) static STORAGE_CLASS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Provisioner"),
        column("ReclaimPolicy"),
        column("VolumeBindingMode"),
        Column {
            kind: "string",
            ..truth("AllowVolumeExpansion")
        },
        column("Age"),
    ],
    row: |o, c| {
        let default = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ];
        let default = default.iter().any(|key| o.annotation(key) == Some("true"));
        let name = if default {
            format!("{} (default)", o.name())
        } else {
            o.name().to_owned()
        };
        vec![
            name,
            o["provisioner"].str().to_owned(),
            or(&o["reclaimPolicy"], "Delete"),
            or(&o["volumeBindingMode"], "Immediate"),
            (o["allowVolumeExpansion"].as_bool() == Some(true)).to_string(),
            age(o, c),
        ]
    },
};

pub(super) static ATTRIBUTES_CLASS: Printer = Printer {
    columns: &[column("Name"), column("DriverName"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["driverName"].str().to_owned(),
            age(o, c),
        ]
    },
};

pub(super) static ATTACHMENT: Printer = Printer {
    columns: &[
        column("Name"),
        column("Attacher"),
        column("PV"),
        column("Node"),
        truth("Attached"),
        column("Age"),
    ],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["spec"]["attacher"].str().to_owned(),
            o["spec"]["source"]["persistentVolumeName"].str().to_owned(),
            o["spec"]["nodeName"].str().to_owned(),
            (o["status"]["attached"].as_bool() == Some(true)).to_string(),
            age(o, c),
        ]
    },
};

pub(super) static CSI_NODE: Printer = Printer {
    columns: &[column("Name"), count("Drivers"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["spec"]["drivers"].items().len().to_string(),
            age(o, c),
        ]
    },
};

pub(super) static CSI_DRIVER: Printer = Printer {
    columns: &[
        column("Name"),
        truth("AttachRequired"),
        truth("PodInfoOnMount"),
        truth("StorageCapacity"),
        column("TokenRequests"),
        truth("RequiresRepublish"),
        column("Modes"),
        column("Age"),
    ],
    row: |o, c| {
        let spec = &o["spec"];
        let flag =
            |field: &str, default: bool| spec[field].as_bool().unwrap_or(default).to_string();
        let audiences: Vec<&str> = spec["tokenRequests"]
            .items()
            .iter()
            .map(|t| t["audience"].str())
            .collect();
        let modes: Vec<&str> = spec["volumeLifecycleModes"]
            .items()
            .iter()
            .map(Value::str)
            .collect();
        vec![
            o.name().to_owned(),
            flag("attachRequired", true),
            flag("podInfoOnMount", false),
            flag("storageCapacity", false),
            if audiences.is_empty() {
                "<unset>".to_owned()
            } else {
                audiences.join(",")
            },
            flag("requiresRepublish", false),
            if modes.is_empty() {
                "Persistent".to_owned()
            } else {
                modes.join(",")
            },
            age(o, c),
        ]
    },
};
