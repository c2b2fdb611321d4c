//! What is odd about containers: variables and ports that are there twice.

use std::collections::BTreeMap;

use super::{container_annotations, fraction};
use crate::go;
use crate::value::Value;

/// All containers of a pod spec with their paths, in the order in which the API server visits them.
fn all<'a>(spec: &'a Value, at: &impl Fn(&str) -> String) -> Vec<(String, &'a Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let of = lists.iter().flat_map(|list| {
        let items = spec[*list].items().iter().enumerate();
        items.map(move |(i, c)| (format!("{list}[{i}]"), c))
    });
    of.map(|(path, c)| (at(&path), c)).collect()
}

pub(super) fn containers(
    path: &str,
    object: &Value,
    at: &impl Fn(&str) -> String,
    found: &mut Vec<String>,
) {
    let containers = all(&object["spec"], at);
    for (here, c) in &containers {
        container_annotations(path, object, c, found);
        for resource in ["memory", "ephemeral-storage"] {
            for field in ["limits", "requests"] {
                let place = format!("{here}.resources.{field}[{resource}]");
                fraction(&c["resources"][field][resource], &place, found);
            }
        }
        variables(here, c, found);
    }
    ports(&containers, found);
    port_names(&containers, found);
}

/// A variable that hides another of its name, unless it is made of that.
fn variables(here: &str, c: &Value, found: &mut Vec<String>) {
    let env = c["env"].items();
    for (j, e) in env.iter().enumerate() {
        let name = e["name"].str();
        let hides = env[..j].iter().any(|earlier| earlier["name"].str() == name);
        let (reference, value) = (format!("$({name})"), e["value"].str());
        let builds_on_it =
            e["valueFrom"].is_null() && value != reference && value.contains(&reference);
        if hides && !builds_on_it {
            found.push(format!(
                "{here}.env[{j}]: hides previous definition of {}, which may be dropped when using apply",
                go::quote(name)
            ));
        }
    }
}

fn ports(containers: &[(String, &Value)], found: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<(String, &Value)>> = BTreeMap::new();
    for (here, c) in containers {
        for (j, port) in c["ports"].items().iter().enumerate() {
            let here = format!("{here}.ports[{j}]");
            let number = |p: &Value, field: &str| p[field].as_i64().unwrap_or(0);
            let (host, ip) = (number(port, "hostPort"), port["hostIP"].str());
            if !ip.is_empty() && host == 0 {
                found.push(format!(
                    "{here}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{ip}}}",
                    port["name"].str(),
                    number(port, "containerPort"),
                    port["protocol"].str(),
                ));
            }
            let key = (number(port, "containerPort"), port["protocol"].str());
            let others = known.entry(key).or_default();
            for (there, other) in others.iter() {
                let (other_host, other_ip) = (number(other, "hostPort"), other["hostIP"].str());
                let what = if host == other_host && ip == other_ip {
                    "duplicate"
                } else if host == 0 || other_host == 0 {
                    "overlapping"
                } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                found.push(format!("{here}: {what} port definition with {there}"));
            }
            others.push((here, port));
        }
    }
}

fn port_names(containers: &[(String, &Value)], found: &mut Vec<String>) {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    for (here, c) in containers {
        for (j, port) in c["ports"].items().iter().enumerate() {
            let (here, name) = (format!("{here}.ports[{j}]"), port["name"].str());
            if name.is_empty() {
                continue;
            }
            match known.get(name) {
                Some(there) => found.push(format!(
                    "{here}: duplicate port name {} with {there}, services and probes that select ports by name will use {there}",
                    go::quote(name)
                )),
                None => {
                    known.insert(name, here);
                }
            }
        }
    }
}
