//! `sysctl` (procps).

use super::Output;
use crate::link::NamespaceId;
use crate::network::Network;

/// Every parameter of a namespace with its value.
pub(super) fn all(net: &Network, namespace: NamespaceId) -> Vec<(String, String)> {
    let names: Vec<String> = (net.links_of(namespace))
        .map(|l| l.name.to_string())
        .collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    net.namespace(namespace)
        .map_or_else(Vec::new, |ns| ns.sysctls().all(&devices))
}

/// Whether a namespace has a parameter.
fn is_known(net: &Network, namespace: NamespaceId, key: &str) -> bool {
    let has = |d: &str| matches!(d, "all" | "default") || net.find_link(namespace, d).is_some();
    crate::sysctl::split_device(key).is_none_or(|(_, device, _)| has(device))
        && net
            .namespace(namespace)
            .is_some_and(|n| n.sysctls().get(key).is_some())
}

fn unknown(key: &str) -> String {
    let path = key.replace('.', "/");
    format!("sysctl: cannot stat /proc/sys/{path}: No such file or directory\n")
}

/// What comes of writing parameters where /proc/sys is read-only; `None` where none is to be written.
pub(super) fn refused(net: &Network, namespace: NamespaceId, words: &[&str]) -> Option<Output> {
    let keys = words.iter().filter_map(|w| w.split_once('='));
    let keys = keys.map(|(key, _)| key.trim().replace('/', "."));
    let lines = keys.map(|key| match is_known(net, namespace, &key) {
        true => format!("sysctl: permission denied on key \"{key}\"\n"),
        false => unknown(&key),
    });
    let text: String = lines.collect();
    (!text.is_empty()).then(|| Output::failed(1, text))
}

pub(super) fn run(net: &mut Network, namespace: NamespaceId, args: &[String]) -> Output {
    let mut output = Output::default();
    let (mut bare, mut quiet, mut all) = (false, false, false);
    let mut keys = Vec::new();
    for arg in args {
        match arg.as_str() {
            "-n" | "--values" => bare = true,
            "-q" | "--quiet" => quiet = true,
            "-qw" | "-wq" => quiet = true,
            "-w" | "--write" | "-e" => {}
            "-a" | "--all" => all = true,
            option if option.starts_with('-') => {
                return Output::unknown(&format!("sysctl {option}"));
            }
            key => keys.push(key.to_owned()),
        }
    }
    if all {
        for (key, value) in self::all(net, namespace) {
            output.stdout += &format!("{key} = {value}\n");
        }
        return output;
    }
    for key in keys {
        let (key, value) = match key.split_once('=') {
            Some((key, value)) => (key.trim().replace('/', "."), Some(value.trim().to_owned())),
            None => (key.replace('/', "."), None),
        };
        if !is_known(net, namespace, &key) {
            output.stderr += &unknown(&key);
            output.status = 1;
            continue;
        }
        if let Some(value) = &value
            && net.set_sysctl(namespace, &key, value).is_err()
        {
            continue;
        }
        let value = value
            .or_else(|| Some(net.namespace(namespace)?.sysctls().get(&key)?.to_owned()))
            .unwrap_or_default();
        if !quiet {
            output.stdout += &if bare {
                format!("{value}\n")
            } else {
                format!("{key} = {value}\n")
            };
        }
    }
    output
}
