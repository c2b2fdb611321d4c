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
    let names: Vec<String> = net
        .links_of(namespace)
        .map(|l| l.name.to_string())
        .collect();
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
        let device = crate::sysctl::split_device(&key)
            .is_none_or(|(_, d, _)| matches!(d, "all" | "default") || names.iter().any(|n| n == d));
        let known = device
            && net
                .namespace(namespace)
                .is_some_and(|n| n.sysctls().get(&key).is_some());
        if !known {
            output.stderr += &format!(
                "sysctl: cannot stat /proc/sys/{}: No such file or directory\n",
                key.replace('.', "/")
            );
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
