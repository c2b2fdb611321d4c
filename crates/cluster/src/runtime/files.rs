//! The files that a container's processes see: its image's few, what the kubelet writes, and its
//! volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_linux::NamespaceId;
use kubarium_objects::{Text, Value};
use kubarium_posix::{FileError, FileKind, Files, MemoryFiles, Metadata, User};

use super::{Container, Sandbox, environment, volumes};
use crate::cluster::Cluster;
use crate::kubelet::containers;

/// Volumes by name: those that hold what containers have written.
pub(crate) type Volumes = BTreeMap<Text, MemoryFiles>;

/// Among a view's volumes, the files of the machine itself.
pub(crate) const MACHINE: &str = "/";

#[derive(Clone, Debug)]
struct Mount {
    path: String,
    volume: Text,
    /// Within the volume.
    sub: String,
    is_read_only: bool,
}

/// A container's files with its volumes mounted.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub root: MemoryFiles,
    mounts: Vec<Mount>,
    pub volumes: Volumes,
    /// What the kernel shows under /proc, for a command line that speaks of it.
    proc: Option<MemoryFiles>,
    /// Kernel parameters may be written by their files: on a machine, and in a privileged container.
    writes_parameters: bool,
    /// Those that were, with their values.
    pub parameters: Vec<(String, String)>,
    /// Who reads and writes.
    pub user: User,
    /// Whether the image's own files cannot be written.
    is_root_read_only: bool,
}

/// Directories and files that every image has.
const DIRECTORIES: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/home",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr/bin",
    "/usr/sbin",
    "/var/log",
    "/var/run",
];

/// The files of a container of a pod.
pub(crate) fn view(
    cluster: &Cluster,
    node: &Text,
    sandbox: &Sandbox,
    pod: &Value,
    place: usize,
) -> View {
    static NULL: Value = Value::Null;
    let spec = containers(pod).nth(place).unwrap_or(&NULL);
    let mut view = View {
        volumes: sandbox.volumes.clone(),
        ..View::default()
    };
    view.root = match sandbox.containers.get(place).and_then(|c| c.files.as_ref()) {
        Some(files) => (**files).clone(),
        None => base(cluster, node, sandbox, pod),
    };
    let last_words = spec["terminationMessagePath"].str();
    if !last_words.is_empty() && view.root.metadata(last_words, true).is_err() {
        let _ = view.root.put(last_words, b"");
    }
    view.root.time = unix_nanos(cluster);
    view.user = super::user::user(pod, spec);
    view.writes_parameters = super::user::rights(pod, spec).parameters;
    view.is_root_read_only =
        spec["securityContext"]["readOnlyRootFilesystem"].as_bool() == Some(true);
    for mount in spec["volumeMounts"].items() {
        let name = mount["name"].text();
        let Some(volume) = pod["spec"]["volumes"]
            .items()
            .iter()
            .find(|v| v["name"].str() == &*name)
        else {
            continue;
        };
        let sub = match mount["subPath"].str() {
            "" => String::new(),
            sub => normal(sub),
        };
        let place = Content {
            cluster,
            node,
            sandbox,
            container: sandbox.containers.get(place).filter(|_| !sub.is_empty()),
            pod,
            spec,
        };
        let (made, is_read_only) = place.of(volume, !sub.is_empty());
        let (mut name, mut sub) = (name, sub);
        match made {
            Some(files) => {
                // What is mounted by a path within the volume is never renewed.
                if !sub.is_empty() {
                    name = format!("{name}/{sub}").into();
                }
                view.volumes.insert(name.clone(), files);
            }
            None => match volumes::machine_directory(cluster, pod, volume) {
                Some(directory) => {
                    name = MACHINE.into();
                    sub = normal(&format!("{directory}/{sub}"));
                    let files = || machine_files(cluster, node);
                    view.volumes.entry(name.clone()).or_insert_with(files);
                }
                None => match volumes::disk(cluster, pod, volume) {
                    Some(disk) => {
                        let files = cluster.ground.disks.get(&disk);
                        let files = files.map(|files| (**files).clone()).unwrap_or_default();
                        view.volumes.insert(name.clone(), files);
                    }
                    None => drop(view.volumes.entry(name.clone()).or_default()),
                },
            },
        }
        let path = normal(mount["mountPath"].str());
        let _ = view.root.make_directories(&path);
        view.mounts.push(Mount {
            path,
            volume: name,
            sub,
            is_read_only: is_read_only || mount["readOnly"].as_bool() == Some(true),
        });
    }
    // The longest path first: a mount within a mount.
    view.mounts.sort_by_key(|m| std::cmp::Reverse(m.path.len()));
    view
}

/// The files of a node, or of the host outside.
pub(crate) fn node_view(cluster: &Cluster, name: &str) -> View {
    let mut view = View {
        root: machine_files(cluster, name),
        writes_parameters: true,
        ..View::default()
    };
    view.root.time = unix_nanos(cluster);
    view
}

/// What is on a machine's disk: as somebody has left it, or as it was set up.
fn machine_files(cluster: &Cluster, name: &str) -> MemoryFiles {
    if let Some(files) = cluster.ground.disks.get(&volumes::machine_disk(name)) {
        return (**files).clone();
    }
    let mut files = MemoryFiles::default();
    for directory in DIRECTORIES {
        let _ = files.make_directories(directory);
    }
    let machine = cluster.machines.get(name);
    if machine.is_some() {
        for directory in ["/etc/kubernetes/manifests", "/var/lib/kubelet"] {
            let _ = files.make_directories(directory);
        }
    }
    let own = machine.map_or_else(String::new, |m| format!("{}\t{name}\n", m.address));
    for (path, content) in [
        ("/etc/hosts", format!("127.0.0.1\tlocalhost\n{own}")),
        ("/etc/resolv.conf", "nameserver 127.0.0.1\n".to_owned()),
        ("/etc/hostname", format!("{name}\n")),
    ] {
        let _ = files.put(path, content.as_bytes());
    }
    files
}

fn unix_nanos(cluster: &Cluster) -> u64 {
    super::process::unix(cluster.now)
}

pub(super) fn normal(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !matches!(*p, "" | "." | ".."))
        .collect();
    format!("/{}", parts.join("/"))
}

fn base(cluster: &Cluster, node: &Text, sandbox: &Sandbox, pod: &Value) -> MemoryFiles {
    let mut files = MemoryFiles::default();
    files.time = super::process::unix(sandbox.created);
    for directory in DIRECTORIES {
        let _ = files.make_directories(directory);
    }
    let hostname = environment::hostname(pod);
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
    for (path, content) in [
        ("/etc/hostname", format!("{hostname}\n")),
        ("/etc/hosts", hosts(cluster, node, sandbox, pod, &hostname)),
        ("/etc/passwd", passwd.to_owned()),
        ("/etc/group", "root:x:0:\nnobody:x:65534:\n".to_owned()),
        ("/etc/resolv.conf", resolv_conf(cluster, pod)),
    ] {
        let _ = files.put(path, content.as_bytes());
    }
    for link in cluster.net.links_of(sandbox.netns) {
        let directory = format!("/sys/class/net/{}", link.name);
        let other_end = match link.kind {
            kubarium_linux::LinkKind::Veth { peer, .. } => cluster.net.link(peer),
            _ => None,
        };
        for (name, value) in [
            ("address", link.mac.to_string()),
            ("ifindex", link.ifindex.to_string()),
            (
                "iflink",
                other_end.map_or(link.ifindex, |l| l.ifindex).to_string(),
            ),
            ("mtu", link.mtu.to_string()),
        ] {
            let _ = files.put(
                &format!("{directory}/{name}"),
                format!("{value}\n").as_bytes(),
            );
        }
    }
    files
}

/// `/etc/hosts` (kubelet v1.37, `managedHostsFileContent`).
fn hosts(cluster: &Cluster, node: &Text, sandbox: &Sandbox, pod: &Value, hostname: &str) -> String {
    let mut text = if sandbox.host_network {
        let address = cluster
            .machines
            .get(node)
            .map(|m| format!("{}\t{node}\n", m.address))
            .unwrap_or_default();
        format!("# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n{address}")
    } else {
        let own = match fqdn(cluster, pod, hostname) {
            Some(full) => format!("{}\t{full}\t{hostname}\n", sandbox.ip),
            None => format!("{}\t{hostname}\n", sandbox.ip),
        };
        format!(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n{own}"
        )
    };
    let aliases = pod["spec"]["hostAliases"].items();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names: Vec<&str> = alias["hostnames"].items().iter().map(Value::str).collect();
        text.push_str(&format!("{}\t{}\n", alias["ip"].str(), names.join("\t")));
    }
    text
}

/// A pod's full name, where it has a subdomain.
fn fqdn(cluster: &Cluster, pod: &Value, hostname: &str) -> Option<String> {
    let subdomain = pod["spec"]["subdomain"]
        .as_str()
        .filter(|s| !s.is_empty())?;
    Some(format!(
        "{hostname}.{subdomain}.{}.svc.{}",
        pod["metadata"]["namespace"].str(),
        cluster.config.network.domain
    ))
}

/// `/etc/resolv.conf` (kubelet v1.37, `pkg/kubelet/network/dns`).
fn resolv_conf(cluster: &Cluster, pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].str();
    let domain = &cluster.config.network.domain;
    let host_network = pod["spec"]["hostNetwork"].as_bool() == Some(true);
    let policy = match pod["spec"]["dnsPolicy"].str() {
        "ClusterFirst" if host_network => "Default",
        "" => "ClusterFirst",
        policy => policy,
    };
    let mut servers: Vec<String> = Vec::new();
    let mut searches: Vec<String> = Vec::new();
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    match policy {
        "ClusterFirst" | "ClusterFirstWithHostNet" => {
            servers.extend(cluster_dns(cluster));
            searches.extend([
                format!("{namespace}.svc.{domain}"),
                format!("svc.{domain}"),
                domain.to_string(),
            ]);
            options.push(("ndots".into(), Some("5".into())));
        }
        "Default" => servers.push("127.0.0.1".into()),
        _ => {}
    }
    let config = &pod["spec"]["dnsConfig"];
    let add = |list: &mut Vec<String>, more: &Value| {
        for item in more.items() {
            if !list.iter().any(|l| l == item.str()) {
                list.push(item.str().to_owned());
            }
        }
    };
    add(&mut servers, &config["nameservers"]);
    add(&mut searches, &config["searches"]);
    for option in config["options"].items() {
        let name = option["name"].str().to_owned();
        let value = option["value"].as_str().map(str::to_owned);
        match options.iter_mut().find(|(n, _)| *n == name) {
            Some(old) => old.1 = value,
            None => options.push((name, value)),
        }
    }
    let mut text = String::new();
    if !searches.is_empty() {
        text.push_str(&format!("search {}\n", searches.join(" ")));
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    let options: Vec<String> = options
        .into_iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{name}:{value}"),
            None => name,
        })
        .collect();
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

/// The address that kubelets are configured with (`clusterDNS`): the tenth of the Services' range.
fn cluster_dns(cluster: &Cluster) -> Option<String> {
    let base = u32::from(cluster.config.network.service_cidr.network());
    Some(std::net::Ipv4Addr::from(base.checked_add(10)?).to_string())
}

/// Whose content of a volume is asked for.
struct Content<'a> {
    cluster: &'a Cluster,
    node: &'a Text,
    sandbox: &'a Sandbox,
    /// The container whose mount is of a path within the volume.
    container: Option<&'a Container>,
    pod: &'a Value,
    spec: &'a Value,
}

/// A file of a volume that the kubelet writes.
struct Payload {
    path: String,
    content: Vec<u8>,
    mode: u32,
}

/// Lays out a volume so that all of its files change at once: they are in a directory named by the
/// time, `..data` leads there, and each name leads through that (`pkg/volume/util/atomic_writer.go`).
/// Gives back the directory.
fn link_payload(files: &mut MemoryFiles, volume: &str, uid: &str, all: &[Payload]) -> String {
    let stamp = kubarium_objects::time::format_seconds((files.time / 1_000_000_000) as i64);
    let digits: Vec<&str> = stamp.split(|c: char| !c.is_ascii_digit()).collect();
    let bytes = uid.bytes().chain(volume.bytes());
    let chance = bytes.fold(2_166_136_261, |h: u32, byte| {
        (h ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let directory = format!("..{}.{chance}", digits[..digits.len().min(6)].join("_"));
    let _ = files.set_mode("/", 0o777);
    let _ = files.make_directory(&format!("/{directory}"));
    let _ = files.link(&directory, "/..data");
    for payload in all {
        let path = normal(&payload.path);
        let top = path.split('/').nth(1).unwrap_or("");
        let _ = files.link(&format!("..data/{top}"), &format!("/{top}"));
    }
    format!("/{directory}")
}

impl Content<'_> {
    /// The content of a volume that is made from something else (`None` for one that containers
    /// fill), and whether it can only be read. A path `within` it is mounted as what its links lead
    /// to.
    fn of(&self, volume: &Value, within: bool) -> (Option<MemoryFiles>, bool) {
        let projected = volume["projected"]["sources"].items();
        let single = ["configMap", "secret", "downwardAPI"]
            .iter()
            .any(|f| !volume[*f].is_null());
        if !single && volume.get("projected").is_none() {
            return (None, false);
        }
        let mut files = MemoryFiles::default();
        files.time = super::process::unix(self.sandbox.created);
        let parts: Vec<&Value> = if single {
            vec![volume]
        } else {
            projected.iter().collect()
        };
        let default = volume["projected"]["defaultMode"].as_i64();
        let found: Vec<Payload> = parts.iter().flat_map(|p| self.part(p, default)).collect();
        let below = match within {
            true => String::new(),
            false => link_payload(&mut files, volume["name"].str(), &self.sandbox.uid, &found),
        };
        for Payload {
            path,
            content,
            mode,
        } in found
        {
            let path = format!("{below}{}", normal(&path));
            let _ = files.put(&path, &content);
            let _ = files.set_mode(&path, mode);
        }
        (Some(files), true)
    }

    /// What a source of a volume shows; `default` is the mode that a projected volume gives.
    fn part(&self, part: &Value, default: Option<i64>) -> Vec<Payload> {
        let mode_of = |source: &Value, item: &Value| {
            let own = item["mode"].as_i64().or(source["defaultMode"].as_i64());
            let mode = own.or(default).unwrap_or(0o644);
            u32::try_from(mode).unwrap_or(0o644)
        };
        let (cluster, node, pod) = (self.cluster, self.node, self.pod);
        let mut found = Vec::new();
        for (field, resource) in [("configMap", "configmaps"), ("secret", "secrets")] {
            let Some(source) = part.get(field) else {
                continue;
            };
            let name = environment::source_name(source);
            let kept = volumes::kept(self.sandbox, self.container, resource, name);
            let stored = || cluster.find(resource, pod["metadata"]["namespace"].str(), name);
            let Some(object) = kept.or_else(stored).filter(|o| !o.is_null()) else {
                continue;
            };
            let data = environment::content(object, resource);
            let items = source["items"].items();
            if items.is_empty() {
                found.extend(data.into_iter().map(|(key, content)| Payload {
                    path: key.to_string(),
                    content,
                    mode: mode_of(source, &Value::Null),
                }));
                continue;
            }
            for item in items {
                if let Some(content) = data.get(item["key"].str()) {
                    found.push(Payload {
                        path: item["path"].str().to_owned(),
                        content: content.clone(),
                        mode: mode_of(source, item),
                    });
                }
            }
        }
        for item in part["downwardAPI"]["items"].items() {
            let content = match item.get("fieldRef") {
                Some(field) => {
                    let path = field["fieldPath"].str();
                    environment::field(cluster, node, &self.sandbox.uid, pod, path)
                }
                None => {
                    let reference = &item["resourceFieldRef"];
                    let named = containers(pod)
                        .find(|c| c["name"] == reference["containerName"])
                        .unwrap_or(self.spec);
                    environment::resource_field(cluster, node, named, reference)
                }
            };
            found.push(Payload {
                path: item["path"].str().to_owned(),
                content: content.into_bytes(),
                mode: mode_of(&part["downwardAPI"], item),
            });
        }
        if let Some(token) = part.get("serviceAccountToken") {
            let issued = kubarium_objects::time::parse_seconds(pod["status"]["startTime"].str());
            let issued = issued.unwrap_or_else(|| cluster.now.unix_seconds());
            let text = cluster.pod_token(pod, node, token, issued);
            found.push(Payload {
                path: token["path"].str().to_owned(),
                content: text.into_bytes(),
                mode: mode_of(token, &Value::Null),
            });
        }
        found
    }
}

impl View {
    /// Shows what the kernel has under /proc of a network namespace.
    pub fn mount_proc(&mut self, cluster: &Cluster, netns: NamespaceId) {
        let mut files = MemoryFiles::default();
        files.time = self.root.time;
        for (path, content) in kubarium_linux::tools::proc::files(&cluster.net, netns) {
            let _ = files.put(&path, &content);
        }
        self.proc = Some(files);
    }

    /// Where a path leads: the mount and the path in it.
    fn find(&self, path: &str) -> Option<(&Mount, String)> {
        let mount = self.mounts.iter().find(|m| {
            path.strip_prefix(m.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        let rest = &path[mount.path.len()..];
        let within = format!("{}{rest}", mount.sub);
        Some((
            mount,
            if within.is_empty() {
                "/".to_owned()
            } else {
                within
            },
        ))
    }

    fn at(&self, path: &str) -> (&dyn Files, String) {
        static EMPTY: std::sync::LazyLock<MemoryFiles> =
            std::sync::LazyLock::new(MemoryFiles::default);
        if let Some(proc) = self.proc.as_ref().filter(|_| is_proc(path)) {
            return (proc, path.to_owned());
        }
        match self.find(path) {
            Some((mount, within)) => (self.volumes.get(&mount.volume).unwrap_or(&EMPTY), within),
            None => (&self.root, path.to_owned()),
        }
    }

    fn at_mut(&mut self, path: &str) -> Result<(&mut MemoryFiles, String), FileError> {
        if self.proc.is_some() && is_proc(path) {
            return Err(FileError::ReadOnly);
        }
        match self.find(path).map(|(m, within)| (m.clone(), within)) {
            Some((mount, _)) if mount.is_read_only => Err(FileError::ReadOnly),
            Some((mount, within)) => Ok((self.volumes.entry(mount.volume).or_default(), within)),
            None if self.is_root_read_only && !is_kubelets(path) => Err(FileError::ReadOnly),
            None if self.user.number != 0 && !is_for_all(path) => Err(FileError::Denied),
            None => Ok((&mut self.root, path.to_owned())),
        }
    }

    /// A file's text, empty where there is none.
    pub fn text(&self, path: &str) -> String {
        self.read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// Whether a path is one that the kubelet or the runtime mounts for writing.
fn is_kubelets(path: &str) -> bool {
    path.starts_with("/dev/") || matches!(path, "/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf")
}

/// Whether everybody may write there: images' other files are root's.
fn is_for_all(path: &str) -> bool {
    ["/tmp/", "/var/tmp/", "/dev/"]
        .iter()
        .any(|top| path.starts_with(top))
}

/// Whether a path is one of the files that [`View::mount_proc`] shows.
fn is_proc(path: &str) -> bool {
    ["/proc/sys", "/proc/net"].iter().any(|top| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

impl Files for View {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        let (files, path) = self.at(path);
        files.read(&path)
    }

    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> Result<(), FileError> {
        if let Some(proc) = self.proc.as_mut().filter(|_| is_proc(path)) {
            proc.metadata(path, true)?;
            let key = kubarium_linux::tools::proc::key_of(path).filter(|_| self.writes_parameters);
            let key = key.ok_or(FileError::ReadOnly)?;
            let value = String::from_utf8_lossy(bytes).trim().to_owned();
            if !value.is_empty() {
                proc.write(path, format!("{value}\n").as_bytes(), false)?;
                self.parameters.push((key, value));
            }
            return Ok(());
        }
        let (files, path) = self.at_mut(path)?;
        files.write(&path, bytes, append)
    }

    fn metadata(&self, path: &str, follow: bool) -> Result<Metadata, FileError> {
        let (files, path) = self.at(path);
        files.metadata(&path, follow)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let (files, path) = self.at(path);
        files.list(&path)
    }

    fn make_directory(&mut self, path: &str) -> Result<(), FileError> {
        let (files, path) = self.at_mut(path)?;
        files.make_directory(&path)
    }

    fn remove(&mut self, path: &str) -> Result<(), FileError> {
        if self.mounts.iter().any(|m| m.path == path) {
            return Err(FileError::Busy);
        }
        let (files, path) = self.at_mut(path)?;
        files.remove(&path)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let same = self.find(from).map(|(m, _)| m.path.clone())
            == self.find(to).map(|(m, _)| m.path.clone());
        let target = self.at_mut(to)?.1;
        if same {
            let (files, from) = self.at_mut(from)?;
            return files.rename(&from, &target);
        }
        // Between two file systems mv copies.
        if self.metadata(from, true)?.kind != FileKind::File {
            return Err(FileError::Invalid);
        }
        let bytes = self.read(from)?;
        self.write(to, &bytes, false)?;
        self.remove(from)
    }

    fn link(&mut self, target: &str, path: &str) -> Result<(), FileError> {
        let (files, path) = self.at_mut(path)?;
        files.link(target, &path)
    }

    fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError> {
        let (files, path) = self.at_mut(path)?;
        files.set_mode(&path, mode)
    }
}
