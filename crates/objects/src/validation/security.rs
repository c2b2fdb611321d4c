//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use super::common::{Errors, items};
use super::mount;
use crate::field_error::FieldError;
use crate::internal;
use crate::names;
use crate::value::Value;

fn id(e: &mut Errors, path: String, value: &Value) {
    if value
        .as_i64()
        .is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id))
    {
        e.invalid(path, value, "must be between 0 and 2147483647, inclusive");
    }
}

/// `securityContext` of a pod.
pub(super) fn of_pod(e: &mut Errors, path: &str, s: &Value) {
    let c = &s["securityContext"];
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(e, format!("{path}.{field}"), &c[field]);
    }
    for (p, group) in items(
        &c["supplementalGroups"],
        &format!("{path}.supplementalGroups"),
    ) {
        id(e, p, group);
    }
    if s["shareProcessNamespace"].as_bool() == Some(true) && s["hostPID"].as_bool() == Some(true) {
        e.invalid(
            format!("{path}.shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    sysctls(e, path, s);
    e.one_of(
        format!("{path}.fsGroupChangePolicy"),
        &c["fsGroupChangePolicy"],
        &["Always", "OnRootMismatch"],
    );
    profiles(e, path, c);
    e.one_of(
        format!("{path}.supplementalGroupsPolicy"),
        &c["supplementalGroupsPolicy"],
        &["Merge", "Strict"],
    );
    e.one_of(
        format!("{path}.seLinuxChangePolicy"),
        &c["seLinuxChangePolicy"],
        &["MountOption", "Recursive"],
    );
}

fn profiles(e: &mut Errors, path: &str, c: &Value) {
    seccomp(e, &format!("{path}.seccompProfile"), &c["seccompProfile"]);
    windows_options(e, &format!("{path}.windowsOptions"), &c["windowsOptions"]);
    app_armor(e, &format!("{path}.appArmorProfile"), &c["appArmorProfile"]);
}

fn seccomp(e: &mut Errors, path: &str, profile: &Value) {
    if profile.is_null() {
        return;
    }
    let at = format!("{path}.localhostProfile");
    let (kind, file) = (&profile["type"], &profile["localhostProfile"]);
    if kind.str().is_empty() {
        e.required(
            format!("{path}.type"),
            "type is required when seccompProfile is set",
        );
    } else {
        e.one_of(
            format!("{path}.type"),
            kind,
            &["Localhost", "RuntimeDefault", "Unconfined"],
        );
    }
    if kind.str() == "Localhost" {
        match file.as_str() {
            None => e.required(at, "must be set when seccomp type is Localhost"),
            Some(file) => mount::descending(e, &at, file),
        }
    } else if !file.is_null() {
        e.push(FieldError::invalid_shown(
            at,
            internal::json("SeccompProfile", profile),
            "can only be set when seccomp type is Localhost",
        ));
    }
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR_CONTAINER: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Whether an annotation is a seccomp profile as they were given before there was a field.
pub(super) fn is_of_seccomp(annotation: &str) -> bool {
    annotation == SECCOMP_POD || annotation.starts_with(SECCOMP_CONTAINER)
}

pub(super) fn seccomp_annotation(e: &mut Errors, path: &str, profile: &str) {
    match profile.strip_prefix("localhost/") {
        Some(file) => mount::descending(e, path, file),
        None if matches!(profile, "runtime/default" | "docker/default" | "unconfined") => {}
        None => e.invalid(path, profile, "must be a valid seccomp profile"),
    }
}

/// Old annotations of a new pod that say something else than its fields.
pub(super) fn old_annotations(e: &mut Errors, pod: &Value) {
    let (s, given) = (&pod["spec"], &pod["metadata"]["annotations"]);
    let whole = &s["securityContext"];
    if let Some(old) = given.get(SECCOMP_POD) {
        let at = "spec.securityContext.seccompProfile";
        matches_annotation(e, at, "seccomp", &whole["seccompProfile"], old.str());
    }
    for (p, c) in containers(s, "spec") {
        let name = c["name"].str();
        let own = &c["securityContext"];
        if let Some(old) = given.get(&format!("{SECCOMP_CONTAINER}{name}")) {
            let at = format!("{p}.securityContext.seccompProfile");
            matches_annotation(e, &at, "seccomp", &own["seccompProfile"], old.str());
        }
        let profile = match &own["appArmorProfile"] {
            Value::Null => &whole["appArmorProfile"],
            own => own,
        };
        if s["os"]["name"].str() != "windows"
            && let Some(old) = given.get(&format!("{APP_ARMOR_CONTAINER}{name}"))
        {
            let at = format!("{p}.securityContext.appArmorProfile");
            matches_annotation(e, &at, "apparmor", profile, old.str());
        }
    }
}

/// A profile given twice: as a field and as an annotation.
fn matches_annotation(e: &mut Errors, path: &str, what: &str, profile: &Value, old: &str) {
    let same = match profile["type"].str() {
        "Unconfined" => old == "unconfined",
        "RuntimeDefault" => {
            old == "runtime/default" || what == "seccomp" && old == "docker/default"
        }
        "Localhost" => match old.strip_prefix("localhost/") {
            None => false,
            Some(file) if profile["localhostProfile"].as_str() == Some(file) => true,
            Some(_) => {
                return e.forbidden(
                    format!("{path}.localhostProfile"),
                    format!("{what} profile in annotation and field must match"),
                );
            }
        },
        _ => true,
    };
    if !same {
        e.forbidden(
            format!("{path}.type"),
            format!("{what} type in annotation and field must match"),
        );
    }
}

fn app_armor(e: &mut Errors, path: &str, profile: &Value) {
    if profile.is_null() {
        return;
    }
    let at = format!("{path}.localhostProfile");
    let (kind, file) = (&profile["type"], &profile["localhostProfile"]);
    match kind.str() {
        "Localhost" => match file.as_str() {
            Some(name) if name.trim() != name => {
                e.invalid(at, file, "must not be padded with whitespace");
            }
            None | Some("") => e.required(at, "must be set when AppArmor type is Localhost"),
            Some(name) if name.len() > 4095 => e.push(FieldError::too_long(at, 4095)),
            Some(_) => {}
        },
        "RuntimeDefault" | "Unconfined" => {
            if !file.is_null() {
                e.invalid(at, file, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => e.required(
            format!("{path}.type"),
            "type is required when appArmorProfile is set",
        ),
        _ => e.one_of(
            format!("{path}.type"),
            kind,
            &["Localhost", "RuntimeDefault", "Unconfined"],
        ),
    }
}

fn windows_options(e: &mut Errors, path: &str, options: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    if let Some(name) = options["gmsaCredentialSpecName"].as_str() {
        e.names(
            at("gmsaCredentialSpecName"),
            name,
            names::dns1123_subdomain(name),
        );
    }
    if options["gmsaCredentialSpec"].as_str() == Some("") {
        e.invalid(
            at("gmsaCredentialSpec"),
            "",
            "gmsaCredentialSpec cannot be an empty string",
        );
    }
    let Some(user) = options["runAsUserName"].as_str() else {
        return;
    };
    let why = if user.is_empty() {
        "runAsUserName cannot be an empty string"
    } else if user.chars().any(char::is_control) {
        "runAsUserName cannot contain control characters"
    } else if user.matches('\\').count() > 1 {
        "runAsUserName cannot contain more than one backslash"
    } else {
        return;
    };
    e.invalid(at("runAsUserName"), user, why);
}

/// Sysctls that belong to the network's namespace or to that of inter-process communication.
fn is_of_namespace(name: &str, namespace: &str) -> bool {
    let name = name.replace('/', ".");
    match namespace {
        "net" => name.starts_with("net."),
        _ => {
            name.starts_with("kernel.shm")
                || name.starts_with("kernel.msg")
                || name == "kernel.sem"
                || name.starts_with("fs.mqueue.")
        }
    }
}

fn sysctls(e: &mut Errors, path: &str, s: &Value) {
    let mut seen = BTreeSet::new();
    let list = &s["securityContext"]["sysctls"];
    for (p, sysctl) in items(list, &format!("{path}.sysctls")) {
        let (at, name) = (format!("{p}.name"), sysctl["name"].str());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let part = |s: &str| {
            let bytes = s.as_bytes();
            bytes.first().is_some_and(|b| inner(*b))
                && bytes.last().is_some_and(|b| inner(*b))
                && bytes.iter().all(|b| inner(*b) || b"-_".contains(b))
        };
        if name.is_empty() {
            e.required(at.clone(), "");
        } else if name.len() > 253 || !name.split(['.', '/']).all(part) {
            let form = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            e.invalid(at.clone(), name, form);
        } else if !seen.insert(name) {
            e.duplicate(at.clone(), name);
        }
        for (flag, namespace) in [("hostNetwork", "net"), ("hostIPC", "ipc")] {
            if s[flag].as_bool() == Some(true) && is_of_namespace(name, namespace) {
                e.invalid(
                    at.clone(),
                    name,
                    format!("may not be specified when '{flag}' is true"),
                );
                break;
            }
        }
    }
}

/// `securityContext` of a container.
pub(super) fn of_container(e: &mut Errors, path: &str, c: &Value, spec: &Value) {
    let s = &c["securityContext"];
    if s.is_null() {
        return;
    }
    for field in ["runAsUser", "runAsGroup"] {
        id(e, format!("{path}.{field}"), &s[field]);
    }
    e.one_of(
        format!("{path}.procMount"),
        &s["procMount"],
        &["Default", "Unmasked"],
    );
    if s["procMount"].str() == "Unmasked" && spec["hostUsers"].as_bool() != Some(false) {
        e.invalid(
            format!("{path}.procMount"),
            "Unmasked",
            "`hostUsers` must be false to use `Unmasked`",
        );
    }
    if s["allowPrivilegeEscalation"].as_bool() == Some(false) {
        let admin = |c: &Value| c.str() == "CAP_SYS_ADMIN";
        let mut refuse = |what: &str| {
            e.push(FieldError::invalid_shown(
                path,
                internal::json("SecurityContext", s),
                format!("cannot set `allowPrivilegeEscalation` to false and {what}"),
            ));
        };
        if s["privileged"].as_bool() == Some(true) {
            refuse("`privileged` to true");
        }
        for _ in s["capabilities"]["add"].items().iter().filter(|c| admin(c)) {
            refuse("`capabilities.Add` CAP_SYS_ADMIN");
        }
    }
    profiles(e, path, s);
}

/// What `os` forbids: the other system's options.
pub(super) fn os(e: &mut Errors, path: &str, s: &Value) {
    let os = &s["os"];
    if os.is_null() {
        return;
    }
    match os["name"].str() {
        "" => e.required(format!("{path}.os.name"), ""),
        "linux" => linux(e, path, s),
        "windows" => windows(e, path, s),
        _ => e.one_of(format!("{path}.os"), &os["name"], &["linux", "windows"]),
    }
}

/// All containers of a pod with their paths, in the order in which the API server visits them.
pub(super) fn containers<'a>(
    s: &'a Value,
    path: &str,
) -> impl Iterator<Item = (String, &'a Value)> + use<'a> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let paths = lists.map(|list| (list, format!("{path}.{list}")));
    paths.into_iter().flat_map(move |(list, path)| {
        let all: Vec<(String, &Value)> = items(&s[list], &path).collect();
        all
    })
}

fn linux(e: &mut Errors, path: &str, s: &Value) {
    let why = "windows options cannot be set for a linux pod";
    if !s["securityContext"]["windowsOptions"].is_null() {
        e.forbidden(format!("{path}.securityContext.windowsOptions"), why);
    }
    for (p, c) in containers(s, path) {
        if !c["securityContext"]["windowsOptions"].is_null() {
            e.forbidden(format!("{p}.securityContext.windowsOptions"), why);
        }
    }
}

fn windows(e: &mut Errors, path: &str, s: &Value) {
    let why = "cannot be set for a windows pod";
    for field in ["hostUsers", "shareProcessNamespace"] {
        if !s[field].is_null() {
            e.forbidden(format!("{path}.{field}"), why);
        }
    }
    for field in ["hostPID", "hostIPC"] {
        if s[field].as_bool() == Some(true) {
            e.forbidden(format!("{path}.{field}"), why);
        }
    }
    const OF_PODS: [&str; 11] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    const OF_CONTAINERS: [&str; 10] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let mut check = |path: String, context: &Value, fields: &[&str]| {
        for field in fields.iter().filter(|f| !context[**f].is_null()) {
            e.forbidden(format!("{path}.{field}"), why);
        }
    };
    check(
        format!("{path}.securityContext"),
        &s["securityContext"],
        &OF_PODS,
    );
    for (p, c) in containers(s, path) {
        check(
            format!("{p}.securityContext"),
            &c["securityContext"],
            &OF_CONTAINERS,
        );
    }
}

/// Containers that are processes of a Windows host: all or none, on the host's network.
pub(super) fn host_process(e: &mut Errors, path: &str, s: &Value) {
    let of = |c: &Value| c["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let whole = of(s);
    let (mut all, mut hosts) = (0, 0);
    for (p, c) in containers(s, path) {
        all += 1;
        let own = of(c);
        if let (Some(whole), Some(own)) = (whole, own)
            && whole != own
        {
            e.invalid(
                format!("{p}.securityContext.windowsOptions.hostProcess"),
                own,
                format!(
                    "pod hostProcess value must be identical if both are specified, was {whole}"
                ),
            );
        }
        hosts += usize::from(own.or(whole) == Some(true));
    }
    if hosts == 0 {
        return;
    }
    if hosts != all {
        e.invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        );
    }
    if s["hostNetwork"].as_bool() != Some(true) {
        e.invalid(
            format!("{path}.hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
}
