//! Image references: `nginx` is `docker.io/library/nginx:latest` (containerd, `pkg/reference/docker`).

use kubarium_objects::Text;

/// A reference in full.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Registry and path: `docker.io/library/nginx`.
    pub repository: Text,
    /// The tag; `latest` where none is given. Empty where only a digest is.
    pub tag: Text,
    /// `sha256:…`, where one is given.
    pub digest: Option<Text>,
}

impl Reference {
    /// Reads what a person wrote; `None` for what is no reference.
    pub fn parse(text: &str) -> Option<Reference> {
        if text.is_empty() || text.len() > 255 {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if digest.contains(':') => (rest, Some(digest.into())),
            Some(_) => return None,
            None => (text, None),
        };
        // A colon after the last slash begins the tag; one before it is a registry's port.
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (path, tag) = match rest[slash..].rfind(':') {
            Some(at) => (&rest[..slash + at], &rest[slash + at + 1..]),
            None => (rest, if digest.is_some() { "" } else { "latest" }),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let path_fits = path.chars().all(|c| word(c) || "/:".contains(c));
        let parts = path.split('/').all(|p| !p.is_empty());
        if !path_fits || !parts || !tag.chars().all(word) || (tag.is_empty() && digest.is_none()) {
            return None;
        }
        let (registry, path) = match path.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest)
            }
            _ => ("docker.io", path),
        };
        if path.is_empty() || path.chars().any(|c| c.is_ascii_uppercase()) {
            return None;
        }
        let registry = if registry == "index.docker.io" {
            "docker.io"
        } else {
            registry
        };
        let library = registry == "docker.io" && !path.contains('/');
        let repository = if library {
            format!("{registry}/library/{path}")
        } else {
            format!("{registry}/{path}")
        };
        Some(Reference {
            repository: repository.into(),
            tag: tag.into(),
            digest,
        })
    }
}

/// `docker.io/library/nginx:1.27`
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repository)?;
        if !self.tag.is_empty() {
            write!(f, ":{}", self.tag)?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).map_or_else(|| "none".to_owned(), |r| r.to_string())
    }

    #[test]
    fn short_names_are_completed() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("curlimages/curl", "docker.io/curlimages/curl:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("ghcr.io/x/y@sha256:12", "ghcr.io/x/y@sha256:12"),
            (" nginx", "none"),
            ("Nginx", "none"),
            ("nginx:", "none"),
            ("a//b", "none"),
        ] {
            assert_eq!(full(text), expected, "{text}");
        }
    }
}
