//! What images there are: for each what it runs, which tools it has, how large it is.
//!
//! An image is a row of [`CATALOGUE`]. An image that the catalogue lacks is, by the cluster's
//! configuration, either pulled and listens on the ports that its container declares, or cannot be
//! pulled.

mod catalogue;
mod reference;

pub use catalogue::{CATALOGUE, TESTING};
pub use reference::Reference;

use sha2::{Digest, Sha256};

use crate::config::{Config, Servers, UnknownImage};

/// A set of command-line tools that an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tools(pub u16);

impl Tools {
    /// Nothing at all: a single binary.
    pub const NONE: Tools = Tools(0);
    /// A shell and the basic text and file tools.
    pub const SHELL: Tools = Tools(1);
    /// BusyBox's network tools: wget, nslookup, ping, traceroute, nc, telnet.
    pub const BUSYBOX: Tools = Tools(1 | 2);
    /// curl.
    pub const CURL: Tools = Tools(4);
    /// dig, host and BIND's nslookup.
    pub const BIND: Tools = Tools(8);
    /// ip, ss, bridge, conntrack, iptables …
    pub const NET: Tools = Tools(16);
    /// GNU wget.
    pub const WGET: Tools = Tools(32);
    /// `ip` alone, of iproute2.
    pub const IP: Tools = Tools(64);
    /// nc (netcat).
    pub const NETCAT: Tools = Tools(128);
    /// `getent` of glibc or musl.
    pub const GETENT: Tools = Tools(256);

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Tools) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn and(self, other: Tools) -> Tools {
        Tools(self.0 | other.0)
    }
}

/// What an image's server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// `HOSTNAME client=IP:PORT local=IP:PORT`, over HTTP; over UDP without the last part.
    Echo,
    /// A page over HTTP.
    Page {
        /// The `Server` header.
        server: &'static str,
        /// Which page.
        page: Page,
    },
    /// An HTTP server that answers any path with this text.
    Text(&'static str),
    /// An HTTP server that answers any path with this text, filled in: `{host}` the host name, `{tag}`
    /// the image's tag, `{version}` its first number, `{client}` and `{address}` who asks and who is
    /// asked, `{method}`, `{path}`, `{to}` and `{agent}` of the request.
    Greeting(&'static str),
    /// agnhost netexec and serve-hostname: by path.
    Agnhost,
    /// hashicorp/http-echo: the text of its `-text` argument.
    HttpEcho,
    /// traefik/whoami: the request as it came.
    Whoami,
    /// A server whose protocol is not HTTP: it accepts, and HTTP clients get nothing they
    /// understand.
    Opaque,
    /// CoreDNS.
    Dns,
    /// An Ingress controller: hands requests on by host and path.
    Ingress(crate::programs::ingress::Controller),
}

/// A known HTML page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// nginx's welcome page.
    Nginx,
    /// Apache's "It works!".
    Apache,
    /// A listing of files (`python -m http.server`).
    Listing,
}

/// One image of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Its repository in full: `docker.io/library/nginx`.
    pub repository: &'static str,
    /// The newest release; any `a`, `a.b`, `a.b.c` up to it exists. Empty: every tag exists.
    pub newest: &'static str,
    /// What it runs, its ENTRYPOINT and CMD.
    pub entrypoint: &'static [&'static str],
    /// What it runs, its ENTRYPOINT and CMD.
    pub cmd: &'static [&'static str],
    /// Its environment beside PATH.
    pub env: &'static [(&'static str, &'static str)],
    /// Where its processes start.
    pub workdir: &'static str,
    /// The server that it is for: the program's names, what it answers, on which ports.
    pub server: Option<ServerProgram>,
    /// Its tools.
    pub tools: Tools,
    /// Bytes, as the runtime tells them.
    pub size: u32,
    /// Milliseconds until its server listens.
    pub start_ms: u16,
}

/// A server program of an image.
#[derive(Clone, Copy, Debug)]
pub struct ServerProgram {
    /// The programs that are this server, by base name.
    pub programs: &'static [&'static str],
    /// What it answers.
    pub answers: Server,
    /// Where it listens by default.
    pub tcp: &'static [u16],
    /// Where it listens by default.
    pub udp: &'static [u16],
    /// Whether it ends at SIGTERM (process 1 of a container ignores signals that it does not
    /// handle).
    pub ends_at_sigterm: bool,
    /// Its exit code when it has ended at SIGTERM.
    pub exit_code: i32,
}

/// What the registry has under a reference.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// An image of the catalogue.
    Known(&'static Image),
    /// An image that nothing is known of: it listens on the declared ports.
    Unknown,
    /// There is none, or none with that tag.
    None,
}

/// What the registry has under `reference`.
pub fn find(config: &Config, reference: &Reference) -> Found {
    let images = &config.images;
    let tables: &[&'static [Image]] = match images.servers() {
        Servers::Echo => &[TESTING, CATALOGUE],
        Servers::Real => &[CATALOGUE],
    };
    let row = tables
        .iter()
        .flat_map(|t| t.iter())
        .find(|i| i.repository == &*reference.repository);
    if let Some(known) = &images.known {
        let named = known
            .iter()
            .filter_map(|k| Reference::parse(k))
            .any(|k| k == *reference);
        return match (named, row) {
            (true, Some(image)) => Found::Known(image),
            (true, None) => Found::Unknown,
            (false, _) => Found::None,
        };
    }
    match row {
        Some(image) if has_tag(image, &reference.tag) => Found::Known(image),
        Some(_) => Found::None,
        None if images.unknown == UnknownImage::Run => Found::Unknown,
        None => Found::None,
    }
}

/// Whether an image has a tag: `latest` and its like, and every version up to the newest.
fn has_tag(image: &Image, tag: &str) -> bool {
    if tag.is_empty() || image.newest.is_empty() {
        return true;
    }
    let mut rest = tag;
    for word in [
        "alpine",
        "slim",
        "bookworm",
        "trixie",
        "bullseye",
        "latest",
        "stable",
        "mainline",
        "lts",
        "edge",
        "unprivileged",
        "musl",
        "glibc",
        "uclibc",
        "perl",
        "otel",
        "jammy",
        "noble",
        "focal",
    ] {
        if let Some(before) = rest.strip_suffix(word) {
            rest = before.trim_end_matches('-');
        } else if let Some((before, after)) = rest.split_once(&format!("-{word}"))
            && after.chars().all(|c| c.is_ascii_digit() || c == '.')
        {
            rest = before;
        } else if rest
            .strip_prefix(word)
            .is_some_and(|after| after.chars().all(|c| c.is_ascii_digit() || c == '.'))
        {
            return true;
        }
    }
    if rest.is_empty() {
        return true;
    }
    let numbers = |text: &str| -> Option<Vec<u32>> {
        text.strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .map(|n| n.parse().ok())
            .collect()
    };
    let (Some(wanted), Some(newest)) = (numbers(rest), numbers(image.newest)) else {
        return false;
    };
    // A patch release of an older line may have any number.
    let line = wanted.len().min(newest.len()).min(2);
    wanted.len() <= 3 && wanted[..line] <= newest[..line] && wanted.iter().all(|n| *n < 1000)
}

/// 32 hexadecimal digits that tell texts apart.
pub(crate) fn fingerprint(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An image's digest: `sha256:…`. It stands for content that is not simulated, so it is made from
/// the reference.
pub fn digest(reference: &Reference) -> String {
    if let Some(digest) = &reference.digest {
        return digest.to_string();
    }
    let hash = Sha256::digest(reference.to_string().as_bytes());
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> bool {
        let reference = Reference::parse(text).expect("a reference");
        matches!(find(&Config::default(), &reference), Found::Known(_))
    }

    #[test]
    fn tags_exist_up_to_the_newest() {
        for tag in [
            "nginx",
            "nginx:1.27",
            "nginx:1.27.3",
            "nginx:1.25-alpine",
            "nginx:alpine",
            "nginx:stable-alpine3.20",
            "busybox:1.36",
            "redis:7",
            "nginx:1.14.2",
            "registry.k8s.io/coredns/coredns:v1.12.0",
        ] {
            assert!(known(tag), "{tag} should be there");
        }
        for tag in [
            "nginx:1.99",
            "nginx:nosuch",
            "nginx:9",
            "busybox:2",
            "nginx:1.27-nosuch",
        ] {
            assert!(!known(tag), "{tag} should not be there");
        }
    }

    #[test]
    fn repositories_are_unique_and_sorted_nowhere_twice() {
        for table in [CATALOGUE, TESTING] {
            let mut names: Vec<_> = table.iter().map(|i| i.repository).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}
