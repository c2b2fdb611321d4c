//! Files of a volume that stand in each other's way.

use crate::go;
use crate::value::Value;

/// Where a file is put, and what puts it there.
#[derive(Clone, PartialEq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self) -> String {
        match self.source.as_str() {
            "" => go::quote(&self.path),
            source => format!("{} ({source})", go::quote(&self.path)),
        }
    }

    fn overlaps(&self, other: &File) -> bool {
        let (a, b) = (format!("{}/", self.path), format!("{}/", other.path));
        !self.path.is_empty() && !other.path.is_empty() && (a.starts_with(&b) || b.starts_with(&a))
    }
}

fn file(path: &Value, source: &str) -> File {
    File {
        path: path.str().trim_end_matches('/').to_owned(),
        source: source.to_owned(),
    }
}

fn files(items: &Value, source: &str) -> Vec<File> {
    let items = items.items().iter();
    items.map(|item| file(&item["path"], source)).collect()
}

/// The pairs of files that overlap, the later one first.
fn overlaps(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, later) in files.iter().enumerate() {
        let before = files[..i].iter().filter(|earlier| later.overlaps(earlier));
        found.extend(before.map(|earlier| format!("{} with {}", later.shown(), earlier.shown())));
    }
    found
}

pub(super) fn volumes(volumes: &Value, found: &mut Vec<String>) {
    for volume in volumes.items() {
        let name = go::quote(volume["name"].str());
        let mut warn = |of: &str, files: &[File]| {
            for pair in overlaps(files) {
                found.push(format!("volume {name} ({of}): overlapping paths: {pair}"));
            }
        };
        for (kind, what, field) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
        ] {
            let source = &volume[kind];
            let of = format!("{what} {}", go::quote(source[field].str()));
            warn(&of, &files(&source["items"], ""));
        }
        warn("DownwardAPI", &files(&volume["downwardAPI"]["items"], ""));
        let mut all = Vec::new();
        let mut empty = 0;
        for source in volume["projected"]["sources"].items() {
            empty += usize::from(source.is_empty());
            all.extend(projected(source));
        }
        warn("Projected", &all);
        for _ in 0..empty {
            found.push(format!("volume {name} (Projected) has no sources provided"));
        }
    }
}

/// The files of one source of a projected volume.
fn projected(source: &Value) -> Vec<File> {
    let named = |kind: &str, what: &str| {
        let of = format!("{what} {}", go::quote(source[kind]["name"].str()));
        files(&source[kind]["items"], &of)
    };
    let mut all = named("configMap", "ConfigMap");
    all.extend(named("secret", "Secret"));
    all.extend(files(&source["downwardAPI"]["items"], "DownwardAPI"));
    let one = |place: &Value, of: &str| (!place.is_empty()).then(|| file(place, of));
    all.extend(one(
        &source["serviceAccountToken"]["path"],
        "ServiceAccountToken",
    ));
    let bundle = &source["clusterTrustBundle"];
    let name = match bundle["name"].as_str() {
        Some(name) => name,
        None => bundle["signerName"].str(),
    };
    let of = format!("ClusterTrustBundle {}", go::quote(name));
    all.extend(one(&bundle["path"], &of));
    let certificate = &source["podCertificate"];
    for (field, of) in [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ] {
        all.extend(one(&certificate[field], of));
    }
    all
}
