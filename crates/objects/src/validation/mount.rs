//! Where a container has its volumes: mounts and raw devices.

use std::collections::{BTreeMap, BTreeSet};

use super::common::{Errors, has_dot_dot, items};
use crate::value::Value;

/// The kind of each right volume by its name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a str>;

/// A path below another: relative, and never upwards.
pub(super) fn descending(e: &mut Errors, path: &str, target: &str) {
    if target.starts_with('/') {
        e.invalid(path, target, "must be a relative path");
    }
    no_dot_dot(e, path, target);
}

/// A path without `..`.
pub(super) fn no_dot_dot(e: &mut Errors, path: &str, target: &str) {
    if has_dot_dot(target) {
        e.invalid(path, target, "must not contain '..'");
    }
}

/// `volumeMounts` and `volumeDevices` of a container.
pub(super) fn all(e: &mut Errors, path: &str, c: &Value, volumes: &Volumes) {
    mounts(e, &format!("{path}.volumeMounts"), c, volumes);
    devices(e, &format!("{path}.volumeDevices"), c, volumes);
}

fn mounts(e: &mut Errors, path: &str, c: &Value, volumes: &Volumes) {
    let mut points = BTreeSet::new();
    let devices = c["volumeDevices"].items();
    for (p, m) in items(&c["volumeMounts"], path) {
        let (name, point) = (m["name"].str(), m["mountPath"].str());
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        }
        if !volumes.contains_key(name) {
            e.not_found(format!("{p}.name"), name);
        }
        if point.is_empty() {
            e.required(format!("{p}.mountPath"), "");
        }
        if !points.insert(point) {
            e.invalid(format!("{p}.mountPath"), point, "must be unique");
        }
        if devices.iter().any(|d| d["name"].str() == name) {
            e.invalid(
                format!("{p}.name"),
                name,
                "must not already exist in volumeDevices",
            );
        }
        if devices.iter().any(|d| d["devicePath"].str() == point) {
            e.invalid(
                format!("{p}.mountPath"),
                point,
                "must not already exist as a path in volumeDevices",
            );
        }
        sub_paths(e, path, &p, m);
        propagation(e, path, c, m);
    }
}

fn sub_paths(e: &mut Errors, path: &str, at: &str, m: &Value) {
    let (plain, expression) = (m["subPath"].str(), m["subPathExpr"].str());
    descending(e, &format!("{path}.subPath"), plain);
    if !plain.is_empty() && !expression.is_empty() {
        e.invalid(
            format!("{at}.subPathExpr"),
            expression,
            "subPathExpr and subPath are mutually exclusive",
        );
    }
    descending(e, &format!("{path}.subPathExpr"), expression);
}

fn propagation(e: &mut Errors, path: &str, c: &Value, m: &Value) {
    let (at, mode) = (format!("{path}.mountPropagation"), &m["mountPropagation"]);
    e.one_of(
        at.clone(),
        mode,
        &["Bidirectional", "HostToContainer", "None"],
    );
    let privileged = c["securityContext"]["privileged"].as_bool() == Some(true);
    if mode.str() == "Bidirectional" && !privileged {
        e.forbidden(
            at,
            "Bidirectional mount propagation is available only to privileged containers",
        );
    }
    let at = format!("{path}.recursiveReadOnly");
    match m["recursiveReadOnly"].str() {
        "" | "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if m["readOnly"].as_bool() != Some(true) {
                e.forbidden(at.clone(), "may only be specified when readOnly is true");
            }
            if !matches!(mode.str(), "" | "None") {
                e.forbidden(
                    at,
                    "may only be specified when mountPropagation is None or not specified",
                );
            }
        }
        _ => e.one_of(
            at,
            &m["recursiveReadOnly"],
            &["Disabled", "Enabled", "IfPossible"],
        ),
    }
}

fn devices(e: &mut Errors, path: &str, c: &Value, volumes: &Volumes) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    let mounts = c["volumeMounts"].items();
    for (p, device) in items(&c["volumeDevices"], path) {
        let (name, place) = (device["name"].str(), device["devicePath"].str());
        let (at_name, at_path) = (format!("{p}.name"), format!("{p}.devicePath"));
        if name.is_empty() {
            e.required(at_name.clone(), "");
        } else if !names.insert(name) {
            e.invalid(at_name.clone(), name, "must be unique");
        }
        match volumes.get(name) {
            None => e.not_found(at_name.clone(), name),
            Some(&("persistentVolumeClaim" | "ephemeral")) => {}
            Some(_) => e.invalid(
                at_name.clone(),
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            ),
        }
        if place.is_empty() {
            e.required(at_path.clone(), "");
        }
        if paths.contains(place) {
            e.invalid(at_path.clone(), place, "must be unique");
        }
        if has_dot_dot(place) {
            e.invalid(at_path.clone(), place, "can not contain backsteps ('..')");
        } else {
            paths.insert(place);
        }
        if mounts.iter().any(|m| m["name"].str() == name) {
            e.invalid(at_name, name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|m| m["mountPath"].str() == place) {
            e.invalid(
                at_path,
                place,
                "must not already exist as a path in volumeMounts",
            );
        }
    }
}
