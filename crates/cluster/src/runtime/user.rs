//! Who a container's processes are, as its security context says.

use kubarium_linux::tools::Rights;
use kubarium_objects::Value;
use kubarium_posix::User;

/// What a container's security context says of something, or else its pod's.
pub(crate) fn security<'a>(pod: &'a Value, spec: &'a Value, field: &str) -> &'a Value {
    match &spec["securityContext"][field] {
        Value::Null => &pod["spec"]["securityContext"][field],
        own => own,
    }
}

/// The user and the groups of a container's processes; images' own users are root here.
pub(crate) fn user(pod: &Value, spec: &Value) -> User {
    let number = |value: &Value| value.as_i64().and_then(|n| u32::try_from(n).ok());
    let of = |field| number(security(pod, spec, field)).unwrap_or(0);
    let (user, group) = (of("runAsUser"), of("runAsGroup"));
    let context = &pod["spec"]["securityContext"];
    let more = context["supplementalGroups"].items().iter();
    let mut groups: Vec<u32> = more
        .chain([&context["fsGroup"]])
        .filter_map(number)
        .collect();
    groups.push(group);
    groups.sort_unstable();
    groups.dedup();
    User {
        number: user,
        group,
        groups,
    }
}

/// What a container's processes may do to its network: root's with `CAP_NET_ADMIN`, which containerd gives only to
/// those that ask for it, change it; only in privileged ones is /proc/sys not mounted read-only.
pub(crate) fn rights(pod: &Value, spec: &Value) -> Rights {
    let context = &spec["securityContext"];
    let privileged = context["privileged"].as_bool() == Some(true);
    let mut added = context["capabilities"]["add"].items().iter();
    let asked = added.any(|c| matches!(c.str(), "ALL" | "NET_ADMIN" | "CAP_NET_ADMIN"));
    let is_root = security(pod, spec, "runAsUser").as_i64().unwrap_or(0) == 0;
    Rights {
        net_admin: is_root && (privileged || asked),
        parameters: is_root && privileged,
    }
}

/// Why a container may not be made that must not run as root (`verifyRunAsNonRoot`).
pub(crate) fn must_not_be_root(pod: &Value, spec: &Value, named: &str) -> Option<String> {
    if security(pod, spec, "runAsNonRoot").as_bool() != Some(true) {
        return None;
    }
    let why = match security(pod, spec, "runAsUser").as_i64() {
        None => "container has runAsNonRoot and image will run as root",
        Some(0) => "container's runAsUser breaks non-root policy",
        Some(_) => return None,
    };
    let container = spec["name"].str();
    Some(format!("{why} (pod: {named:?}, container: {container})"))
}
