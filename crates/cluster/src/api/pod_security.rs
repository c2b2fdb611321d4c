//! PodSecurity: the Pod Security Standards, by the labels of the namespace (pod-security-admission
//! v0.37).

use std::collections::{BTreeMap, BTreeSet};

use kubarium_objects::{FieldError, Value, go};

const PREFIX: &str = "pod-security.kubernetes.io/";
/// The minor version of the cluster, and of the newest policy.
const NEWEST: u32 = 37;

/// How much is allowed, least strict first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A standard at a version: `restricted:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub level: Level,
    /// None for `latest`.
    minor: Option<u32>,
}

impl Standard {
    /// `restricted:latest`
    pub(super) fn shown(&self) -> String {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.minor {
            Some(minor) => format!("{level}:v1.{minor}"),
            None => format!("{level}:latest"),
        }
    }

    /// The standard of a mode (`enforce`, `audit`, `warn`) in a namespace's labels.
    pub(super) fn of(labels: &Value, mode: &str) -> Standard {
        let label = |suffix: &str| labels[format!("{PREFIX}{mode}{suffix}").as_str()].str();
        let minor = label("-version")
            .strip_prefix("v1.")
            .and_then(|m| m.parse().ok());
        let version = label("-version");
        let known = matches!(version, "" | "latest") || minor.is_some();
        let level = match label("") {
            "baseline" => Level::Baseline,
            "" | "privileged" => Level::Privileged,
            "restricted" => Level::Restricted,
            // What cannot be read is taken at its strictest, but for what refuses.
            _ if mode == "enforce" => Level::Restricted,
            _ => Level::Privileged,
        };
        Standard {
            level,
            minor: minor.filter(|_| known),
        }
    }

    /// What a pod violates: the reason and its details.
    pub(super) fn violations<'a>(
        &self,
        metadata: &'a Value,
        spec: &'a Value,
    ) -> Vec<(String, String)> {
        let minor = self.minor.unwrap_or(NEWEST).min(NEWEST);
        let pod = Pod {
            metadata,
            spec,
            minor,
        };
        let baseline: &[Check<'a>] = &[
            ("appArmorProfile", 0, Pod::app_armor),
            ("capabilities_baseline", 0, Pod::capabilities_baseline),
            ("hostNamespaces", 0, Pod::host_namespaces),
            ("hostPathVolumes", 0, Pod::host_path_volumes),
            ("hostPorts", 0, Pod::host_ports),
            ("hostProbesAndHostLifecycle", 34, Pod::host_probes),
            ("privileged", 0, Pod::privileged),
            ("procMount", 0, Pod::proc_mount_baseline),
            ("seLinuxOptions", 0, Pod::se_linux),
            ("seccompProfile_baseline", 19, Pod::seccomp_baseline),
            ("sysctls", 0, Pod::sysctls),
            ("windowsHostProcess", 0, Pod::windows_host_process),
        ];
        let restricted: &[Check<'a>] = &[
            ("allowPrivilegeEscalation", 8, Pod::privilege_escalation),
            ("capabilities_restricted", 22, Pod::capabilities_restricted),
            ("procMount_restricted", 35, Pod::proc_mount),
            ("restrictedVolumes", 0, Pod::restricted_volumes),
            ("runAsNonRoot", 0, Pod::run_as_non_root),
            ("runAsUser", 23, Pod::run_as_user),
            ("seccompProfile_restricted", 19, Pod::seccomp_restricted),
        ];
        let overridden = |name: &str| match name {
            "capabilities_baseline" => minor >= 22,
            "hostPathVolumes" => true,
            "procMount" => minor >= 35,
            "seccompProfile_baseline" => minor >= 19,
            _ => false,
        };
        let strict = self.level == Level::Restricted;
        let baseline = baseline
            .iter()
            .filter(|(name, ..)| !(strict && overridden(name)));
        let restricted = restricted.iter().filter(|_| strict);
        if self.level == Level::Privileged {
            return Vec::new();
        }
        baseline
            .chain(restricted)
            .filter(|(_, since, _)| minor >= *since)
            .filter_map(|(_, _, check)| check(&pod))
            .collect()
    }

    /// `privileged (container "c" must not …), …`; none where all is well.
    pub(super) fn forbids(&self, metadata: &Value, spec: &Value) -> Option<String> {
        let all: Vec<String> = self
            .violations(metadata, spec)
            .into_iter()
            .map(|(reason, detail)| match detail.as_str() {
                "" => reason,
                detail => format!("{reason} ({detail})"),
            })
            .collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// What is wrong with the labels of a mode.
pub(super) fn label_errors(labels: &Value, mode: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut check = |suffix: &str, fine: &dyn Fn(&str) -> bool, must: &str| {
        let name = format!("{PREFIX}{mode}{suffix}");
        if let Some(value) = labels.get(&name).map(Value::str)
            && !fine(value)
        {
            let field = format!("metadata.labels[{name}]");
            errors.push(FieldError::invalid(field, value, must));
        }
    };
    let level = |value: &str| matches!(value, "privileged" | "baseline" | "restricted");
    check(
        "",
        &level,
        "must be one of privileged, baseline, restricted",
    );
    let version = |value: &str| {
        let minor = value.strip_prefix("v1.");
        value == "latest" || minor.is_some_and(|m| m.parse::<u32>().is_ok())
    };
    check("-version", &version, "must be \"latest\" or \"v1.x\"");
    errors
}

/// What is said of the pods that are there when a namespace's standard becomes stricter.
pub(super) fn existing<'a>(
    name: &str,
    namespace: &Value,
    old: &Value,
    pods: impl Iterator<Item = &'a Value>,
) -> Vec<String> {
    let of = |n: &Value| Standard::of(&n["metadata"]["labels"], "enforce");
    let (new, old) = (of(namespace), of(old));
    if new == old
        || new.level == Level::Privileged
        || new.minor == old.minor && new.level <= old.level
    {
        return Vec::new();
    }
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for pod in pods {
        let all = new.violations(&pod["metadata"], &pod["spec"]);
        if !all.is_empty() {
            let reasons: Vec<String> = all.into_iter().map(|(reason, _)| reason).collect();
            let names = found.entry(reasons.join(", ")).or_default();
            names.push(pod["metadata"]["name"].str());
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<String> = found
        .into_iter()
        .map(|(reason, names)| {
            let first = names.iter().min().copied().unwrap_or("");
            match names.len() {
                1 => format!("{first}: {reason}"),
                2 => format!("{first} (and 1 other pod): {reason}"),
                n => format!("{first} (and {} other pods): {reason}", n - 1),
            }
        })
        .collect();
    lines.sort();
    let head = format!(
        "existing pods in namespace {} violate the new PodSecurity enforce level {}",
        go::quote(name),
        go::quote(&new.shown())
    );
    lines.insert(0, head);
    lines
}

/// A check: its name, the minor version that brought it, what it finds.
type Check<'a> = (&'static str, u32, fn(&Pod<'a>) -> Option<(String, String)>);

struct Pod<'a> {
    metadata: &'a Value,
    spec: &'a Value,
    minor: u32,
}

fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|i| format!("\"{}\"", i.as_ref()))
        .collect();
    items.join(", ")
}

fn some<'a>(singular: &'a str, plural: &'a str, count: usize) -> &'a str {
    if count == 1 { singular } else { plural }
}

/// `container "a"`, `containers "a", "b"`
fn containers(names: &[&str]) -> String {
    format!(
        "{} {}",
        some("container", "containers", names.len()),
        quoted(names)
    )
}

/// `pod and container "a"`
fn setters(pod: bool, names: &[&str]) -> String {
    let mut all: Vec<String> = Vec::new();
    if pod {
        all.push("pod".to_owned());
    }
    if !names.is_empty() {
        all.push(containers(names));
    }
    all.join(" and ")
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |list| spec[list].items())
    }

    /// The names of the containers for which something holds.
    fn names(&self, holds: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.containers()
            .filter(|c| holds(c))
            .map(|c| c["name"].str())
            .collect()
    }

    fn is_windows(&self) -> bool {
        self.minor >= 25 && self.spec["os"]["name"].str() == "windows"
    }

    /// Whether the pod has users of its own, so that root in it is none outside.
    fn has_own_users(&self) -> bool {
        self.minor >= 35 && self.spec["hostUsers"].as_bool() == Some(false)
    }

    fn app_armor(&self) -> Option<(String, String)> {
        let mut values = BTreeSet::new();
        let mut bad = |context: &Value| {
            let kind = context["appArmorProfile"]["type"].str();
            let bad = !matches!(kind, "" | "RuntimeDefault" | "Localhost");
            if bad {
                values.insert(kind.to_owned());
            }
            bad
        };
        let pod = bad(&self.spec["securityContext"]);
        let mut names = Vec::new();
        for container in self.containers() {
            if bad(&container["securityContext"]) {
                names.push(container["name"].str());
            }
        }
        let annotations: Vec<String> = self.metadata["annotations"]
            .entries()
            .iter()
            .filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"))
            .filter(|(_, value)| {
                let value = value.str();
                !matches!(value, "" | "runtime/default") && !value.starts_with("localhost/")
            })
            .map(|(key, value)| format!("{key}={}", go::quote(value.str())))
            .collect();
        let mut who = setters(pod, &names);
        if !annotations.is_empty() {
            if !who.is_empty() {
                who.push_str(" and ");
            }
            who.push_str(some("annotation", "annotations", annotations.len()));
        }
        let values: Vec<String> = values.into_iter().chain(annotations).collect();
        (!who.is_empty()).then(|| {
            (
                some(
                    "forbidden AppArmor profile",
                    "forbidden AppArmor profiles",
                    values.len(),
                )
                .to_owned(),
                format!(
                    "{who} must not set AppArmor profile type to {}",
                    quoted(&values)
                ),
            )
        })
    }

    fn capabilities_baseline(&self) -> Option<(String, String)> {
        const ALLOWED: &[&str] = &[
            "AUDIT_WRITE",
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "FSETID",
            "KILL",
            "MKNOD",
            "NET_BIND_SERVICE",
            "SETFCAP",
            "SETGID",
            "SETPCAP",
            "SETUID",
            "SYS_CHROOT",
        ];
        let added = |c: &Value| -> Vec<String> {
            let all = c["securityContext"]["capabilities"]["add"].items().iter();
            all.map(|v| v.str().to_owned())
                .filter(|c| !ALLOWED.contains(&c.as_str()))
                .collect()
        };
        let names = self.names(|c| !added(c).is_empty());
        let all: BTreeSet<String> = self.containers().flat_map(added).collect();
        (!names.is_empty()).then(|| {
            (
                "non-default capabilities".to_owned(),
                format!(
                    "{} must not include {} in securityContext.capabilities.add",
                    containers(&names),
                    quoted(&all)
                ),
            )
        })
    }

    fn host_namespaces(&self) -> Option<(String, String)> {
        let set: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
            .iter()
            .filter(|f| self.spec[**f].as_bool() == Some(true))
            .map(|f| format!("{f}=true"))
            .collect();
        (!set.is_empty()).then(|| ("host namespaces".to_owned(), set.join(", ")))
    }

    fn host_path_volumes(&self) -> Option<(String, String)> {
        let volumes = self.spec["volumes"].items().iter();
        let names: Vec<&str> = volumes
            .filter(|v| v.get("hostPath").is_some())
            .map(|v| v["name"].str())
            .collect();
        (!names.is_empty()).then(|| {
            let what = some("volume", "volumes", names.len());
            (
                "hostPath volumes".to_owned(),
                format!("{what} {}", quoted(&names)),
            )
        })
    }

    fn host_ports(&self) -> Option<(String, String)> {
        let ports = |c: &Value| -> Vec<String> {
            let ports = c["ports"].items().iter();
            ports
                .filter_map(|p| p["hostPort"].as_i64().filter(|p| *p != 0))
                .map(|p| p.to_string())
                .collect()
        };
        let names = self.names(|c| !ports(c).is_empty());
        let all: BTreeSet<String> = self.containers().flat_map(ports).collect();
        (!names.is_empty()).then(|| {
            let all: Vec<String> = all.into_iter().collect();
            (
                "hostPort".to_owned(),
                format!(
                    "{} {} {} {}",
                    containers(&names),
                    some("uses", "use", names.len()),
                    some("hostPort", "hostPorts", all.len()),
                    all.join(", ")
                ),
            )
        })
    }

    fn host_probes(&self) -> Option<(String, String)> {
        let hosts = |c: &Value| -> Vec<String> {
            let handlers = [
                &c["livenessProbe"],
                &c["readinessProbe"],
                &c["startupProbe"],
                &c["lifecycle"]["postStart"],
                &c["lifecycle"]["preStop"],
            ];
            let hosts = handlers
                .into_iter()
                .flat_map(|h| [h["httpGet"]["host"].str(), h["tcpSocket"]["host"].str()]);
            hosts.filter(|h| !h.is_empty()).map(str::to_owned).collect()
        };
        let mut names = self.names(|c| !hosts(c).is_empty());
        names.sort_unstable();
        let all: BTreeSet<String> = self.containers().flat_map(hosts).collect();
        (!names.is_empty()).then(|| {
            (
                "probe or lifecycle host".to_owned(),
                format!(
                    "{} {} {} {}",
                    containers(&names),
                    some("uses", "use", names.len()),
                    some(
                        "probe or lifecycle host",
                        "probe or lifecycle hosts",
                        all.len()
                    ),
                    quoted(&all)
                ),
            )
        })
    }

    fn privileged(&self) -> Option<(String, String)> {
        let names = self.names(|c| c["securityContext"]["privileged"].as_bool() == Some(true));
        (!names.is_empty()).then(|| {
            (
                "privileged".to_owned(),
                format!(
                    "{} must not set securityContext.privileged=true",
                    containers(&names)
                ),
            )
        })
    }

    fn proc_mount_baseline(&self) -> Option<(String, String)> {
        if self.has_own_users() {
            return None;
        }
        self.proc_mount()
    }

    fn proc_mount(&self) -> Option<(String, String)> {
        let kind = |c: &Value| c["securityContext"]["procMount"].str().to_owned();
        let bad = |kind: &str| !matches!(kind, "" | "Default");
        let names = self.names(|c| bad(&kind(c)));
        let all: BTreeSet<String> = self.containers().map(kind).filter(|k| bad(k)).collect();
        (!names.is_empty()).then(|| {
            (
                "procMount".to_owned(),
                format!(
                    "{} must not set securityContext.procMount to {}",
                    containers(&names),
                    quoted(&all)
                ),
            )
        })
    }

    fn se_linux(&self) -> Option<(String, String)> {
        let engine = self.minor >= 31;
        let options = |of: &'a Value| &of["securityContext"]["seLinuxOptions"];
        let bad_type = |o: &Value| {
            let kind = o["type"].str();
            let allowed = matches!(
                kind,
                "" | "container_t" | "container_init_t" | "container_kvm_t"
            ) || engine && kind == "container_engine_t";
            !allowed
        };
        let bad = |o: &Value| bad_type(o) || !o["user"].is_empty() || !o["role"].is_empty();
        let pod = bad(options(self.spec));
        let names: Vec<&str> = self
            .containers()
            .filter(|c| bad(options(c)))
            .map(|c| c["name"].str())
            .collect();
        let who = setters(pod, &names);
        if who.is_empty() {
            return None;
        }
        let all: Vec<&Value> = self
            .containers()
            .map(options)
            .chain([options(self.spec)])
            .collect();
        let types: BTreeSet<&str> = all
            .iter()
            .filter(|o| bad_type(o))
            .map(|o| o["type"].str())
            .collect();
        let mut data = Vec::new();
        if !types.is_empty() {
            data.push(format!(
                "{} {}",
                some("type", "types", types.len()),
                quoted(&types)
            ));
        }
        for field in ["user", "role"] {
            if all.iter().any(|o| !o[field].is_empty()) {
                data.push(format!("{field} may not be set"));
            }
        }
        let detail = format!(
            "{who} set forbidden securityContext.seLinuxOptions: {}",
            data.join("; ")
        );
        Some(("seLinuxOptions".to_owned(), detail))
    }

    /// The containers (and the pod) that set a profile which is not allowed, and those profiles.
    fn seccomp_set(&self) -> Option<(String, String)> {
        let mut values = BTreeSet::new();
        let mut bad = |context: &Value| {
            let kind = context["seccompProfile"]["type"].str();
            let bad = context.get("seccompProfile").is_some()
                && !matches!(kind, "RuntimeDefault" | "Localhost");
            if bad {
                values.insert(kind.to_owned());
            }
            bad
        };
        let pod = bad(&self.spec["securityContext"]);
        let mut names = Vec::new();
        for container in self.containers() {
            if bad(&container["securityContext"]) {
                names.push(container["name"].str());
            }
        }
        let who = setters(pod, &names);
        (!who.is_empty()).then(|| {
            (
                "seccompProfile".to_owned(),
                format!(
                    "{who} must not set securityContext.seccompProfile.type to {}",
                    quoted(&values)
                ),
            )
        })
    }

    fn seccomp_baseline(&self) -> Option<(String, String)> {
        self.seccomp_set()
    }

    fn seccomp_restricted(&self) -> Option<(String, String)> {
        if self.is_windows() {
            return None;
        }
        if let Some(found) = self.seccomp_set() {
            return Some(found);
        }
        let profile = |of: &Value| of["securityContext"].get("seccompProfile").is_some();
        if profile(self.spec) {
            return None;
        }
        let names = self.names(|c| !profile(c));
        (!names.is_empty()).then(|| {
            (
                "seccompProfile".to_owned(),
                format!(
                    "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
                    containers(&names)
                ),
            )
        })
    }

    fn sysctls(&self) -> Option<(String, String)> {
        const ALLOWED: &[(u32, &str)] = &[
            (0, "kernel.shm_rmid_forced"),
            (0, "net.ipv4.ip_local_port_range"),
            (0, "net.ipv4.tcp_syncookies"),
            (0, "net.ipv4.ping_group_range"),
            (0, "net.ipv4.ip_unprivileged_port_start"),
            (27, "net.ipv4.ip_local_reserved_ports"),
            (29, "net.ipv4.tcp_keepalive_time"),
            (29, "net.ipv4.tcp_fin_timeout"),
            (29, "net.ipv4.tcp_keepalive_intvl"),
            (29, "net.ipv4.tcp_keepalive_probes"),
            (32, "net.ipv4.tcp_rmem"),
            (32, "net.ipv4.tcp_wmem"),
            (37, "net.ipv4.tcp_slow_start_after_idle"),
            (37, "net.ipv4.tcp_notsent_lowat"),
        ];
        let known = |name: &str| {
            let mut all = ALLOWED.iter();
            all.any(|(since, allowed)| self.minor >= *since && *allowed == name)
        };
        let set = self.spec["securityContext"]["sysctls"].items().iter();
        let bad: Vec<&str> = set
            .map(|s| s["name"].str())
            .filter(|name| !known(name))
            .collect();
        (!bad.is_empty()).then(|| ("forbidden sysctls".to_owned(), bad.join(", ")))
    }

    fn windows_host_process(&self) -> Option<(String, String)> {
        let set = |of: &Value| {
            of["securityContext"]["windowsOptions"]["hostProcess"].as_bool() == Some(true)
        };
        let who = setters(set(self.spec), &self.names(set));
        (!who.is_empty()).then(|| {
            (
                "hostProcess".to_owned(),
                format!("{who} must not set securityContext.windowsOptions.hostProcess=true"),
            )
        })
    }

    fn privilege_escalation(&self) -> Option<(String, String)> {
        if self.is_windows() {
            return None;
        }
        let names = self
            .names(|c| c["securityContext"]["allowPrivilegeEscalation"].as_bool() != Some(false));
        (!names.is_empty()).then(|| {
            (
                "allowPrivilegeEscalation != false".to_owned(),
                format!(
                    "{} must set securityContext.allowPrivilegeEscalation=false",
                    containers(&names)
                ),
            )
        })
    }

    fn capabilities_restricted(&self) -> Option<(String, String)> {
        if self.is_windows() {
            return None;
        }
        let capabilities = |c: &'a Value, list: &str| -> Vec<&'a str> {
            let all = c["securityContext"]["capabilities"][list].items().iter();
            all.map(Value::str).collect()
        };
        let (mut keeping, mut adding, mut added) = (Vec::new(), Vec::new(), BTreeSet::new());
        for container in self.containers() {
            let name = container["name"].str();
            if !capabilities(container, "drop").contains(&"ALL") {
                keeping.push(name);
            }
            let more: Vec<&str> = capabilities(container, "add")
                .into_iter()
                .filter(|c| *c != "NET_BIND_SERVICE")
                .collect();
            if !more.is_empty() {
                adding.push(name);
                added.extend(more);
            }
        }
        let mut details = Vec::new();
        if !keeping.is_empty() {
            details.push(format!(
                "{} must set securityContext.capabilities.drop=[\"ALL\"]",
                containers(&keeping)
            ));
        }
        if !adding.is_empty() {
            details.push(format!(
                "{} must not include {} in securityContext.capabilities.add",
                containers(&adding),
                quoted(&added)
            ));
        }
        let reason = "unrestricted capabilities".to_owned();
        (!details.is_empty()).then(|| (reason, details.join("; ")))
    }

    fn restricted_volumes(&self) -> Option<(String, String)> {
        const ALLOWED: &[&str] = &[
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "image",
            "persistentVolumeClaim",
            "projected",
            "secret",
        ];
        let (mut names, mut types) = (Vec::new(), BTreeSet::new());
        for volume in self.spec["volumes"].items() {
            let fields: Vec<&str> = volume.entries().iter().map(|(k, _)| &**k).collect();
            if !fields.iter().any(|f| ALLOWED.contains(f)) {
                names.push(volume["name"].str());
                let kind = fields.into_iter().find(|f| *f != "name");
                types.insert(kind.unwrap_or("unknown"));
            }
        }
        (!names.is_empty()).then(|| {
            (
                "restricted volume types".to_owned(),
                format!(
                    "{} {} {} {} {}",
                    some("volume", "volumes", names.len()),
                    quoted(&names),
                    some("uses", "use", names.len()),
                    some(
                        "restricted volume type",
                        "restricted volume types",
                        types.len()
                    ),
                    quoted(&types)
                ),
            )
        })
    }

    fn run_as_non_root(&self) -> Option<(String, String)> {
        if self.has_own_users() {
            return None;
        }
        let set = |of: &Value| of["securityContext"]["runAsNonRoot"].as_bool();
        let who = setters(
            set(self.spec) == Some(false),
            &self.names(|c| set(c) == Some(false)),
        );
        let reason = "runAsNonRoot != true".to_owned();
        if !who.is_empty() {
            let detail = format!("{who} must not set securityContext.runAsNonRoot=false");
            return Some((reason, detail));
        }
        if set(self.spec) == Some(true) {
            return None;
        }
        let names = self.names(|c| set(c).is_none());
        (!names.is_empty()).then(|| {
            let who = containers(&names);
            (
                reason,
                format!("pod or {who} must set securityContext.runAsNonRoot=true"),
            )
        })
    }

    fn run_as_user(&self) -> Option<(String, String)> {
        if self.has_own_users() {
            return None;
        }
        let root = |of: &Value| of["securityContext"]["runAsUser"].as_i64() == Some(0);
        let who = setters(root(self.spec), &self.names(root));
        (!who.is_empty()).then(|| {
            (
                "runAsUser=0".to_owned(),
                format!("{who} must not set runAsUser=0"),
            )
        })
    }
}
