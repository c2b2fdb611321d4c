//! Files in memory.

use crate::host::{FileError, FileKind, Files, Metadata, Time};
use crate::text::parent;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many symbolic links are followed in a row (ELOOP on Linux).
const LINKS_MAX: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    File(Arc<[u8]>),
    Directory,
    Link(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    content: Content,
    mode: u32,
    modified: Time,
}

/// A tree of files in memory. Cloning it shares its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFiles {
    entries: Arc<BTreeMap<String, Entry>>,
    /// The time that changes are marked with.
    pub time: Time,
    /// How many bytes all files together may have; more is [`FileError::NoSpace`].
    pub bytes_max: u64,
    bytes: u64,
}

impl Default for MemoryFiles {
    fn default() -> MemoryFiles {
        let root = Entry {
            content: Content::Directory,
            mode: 0o755,
            modified: 0,
        };
        MemoryFiles {
            entries: Arc::new([("/".to_owned(), root)].into()),
            time: 0,
            bytes_max: 64 << 20,
            bytes: 0,
        }
    }
}

impl MemoryFiles {
    /// Writes a file and makes the directories that it is in.
    ///
    /// # Errors
    /// As [`Files::write`].
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.make_directories(parent(path))?;
        self.write(path, bytes, false)
    }

    /// Makes a directory and those that it is in.
    ///
    /// # Errors
    /// [`FileError::NotDirectory`] where a file stands in the way.
    pub fn make_directories(&mut self, path: &str) -> Result<(), FileError> {
        let ends = path
            .char_indices()
            .filter(|(i, c)| *c == '/' && *i > 0)
            .map(|(i, _)| i);
        for end in ends.chain([path.len()]) {
            match self.make_directory(&path[..end]) {
                Ok(()) | Err(FileError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        match self.metadata(path, true)?.kind {
            FileKind::Directory => Ok(()),
            _ => Err(FileError::NotDirectory),
        }
    }

    /// All paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The path that is meant once symbolic links are followed: in the path's directories always, at
    /// its end where `follow` says so.
    fn resolve(&self, path: &str, follow: bool) -> Result<String, FileError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            let mut ends: Vec<usize> = path
                .char_indices()
                .filter(|(i, c)| *c == '/' && *i > 0)
                .map(|(i, _)| i)
                .collect();
            if follow {
                ends.push(path.len());
            }
            let link = ends.into_iter().find_map(|end| {
                match self.entries.get(&path[..end]).map(|e| &e.content) {
                    Some(Content::Link(target)) => Some((end, target)),
                    _ => None,
                }
            });
            let Some((end, target)) = link else {
                return Ok(path);
            };
            let base = crate::text::absolute(parent(&path[..end]), target);
            path = crate::text::absolute(&base, path[end..].trim_start_matches('/'));
        }
        Err(FileError::Invalid)
    }

    fn entry(&self, path: &str, follow: bool) -> Result<&Entry, FileError> {
        let path = self.resolve(path, follow)?;
        self.entries.get(&path).ok_or_else(|| self.missing(&path))
    }

    /// Why a path is not there: ENOTDIR where a file stands in its way.
    fn missing(&self, path: &str) -> FileError {
        let mut up = parent(path);
        while up != "/" && !self.entries.contains_key(up) {
            up = parent(up);
        }
        match self.entries.get(up).map(|e| &e.content) {
            Some(Content::File(_)) => FileError::NotDirectory,
            _ => FileError::NotFound,
        }
    }

    fn writable_place(&self, path: &str) -> Result<String, FileError> {
        let path = self.resolve(path, true)?;
        if path.len() > 4096 || path.rsplit('/').next().is_some_and(|name| name.len() > 255) {
            return Err(FileError::NameTooLong);
        }
        match self.entries.get(parent(&path)).map(|e| &e.content) {
            Some(Content::Directory) => Ok(path),
            Some(_) => Err(FileError::NotDirectory),
            None => Err(self.missing(&path)),
        }
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        match &self.entry(path, true)?.content {
            Content::File(bytes) => Ok(bytes.clone()),
            _ => Err(FileError::IsDirectory),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> Result<(), FileError> {
        let path = self.writable_place(path)?;
        let old = match self.entries.get(&path) {
            Some(Entry {
                content: Content::File(old),
                mode,
                ..
            }) => Some((old.clone(), *mode)),
            Some(_) => return Err(FileError::IsDirectory),
            None => None,
        };
        let (old, mode) = old.unwrap_or_else(|| ([].into(), 0o644));
        let size = bytes.len() as u64 + if append { old.len() as u64 } else { 0 };
        let total = self.bytes - old.len() as u64 + size;
        if total > self.bytes_max {
            return Err(FileError::NoSpace);
        }
        self.bytes = total;
        let content = if append && !old.is_empty() {
            [&old, bytes].concat().into()
        } else {
            bytes.into()
        };
        let entry = Entry {
            content: Content::File(content),
            mode,
            modified: self.time,
        };
        Arc::make_mut(&mut self.entries).insert(path, entry);
        Ok(())
    }

    fn metadata(&self, path: &str, follow: bool) -> Result<Metadata, FileError> {
        let entry = self.entry(path, follow)?;
        let (kind, size, target) = match &entry.content {
            Content::File(bytes) => (FileKind::File, bytes.len(), None),
            Content::Directory => (FileKind::Directory, 4096, None),
            Content::Link(target) => (FileKind::Link, target.len(), Some(target.clone())),
        };
        Ok(Metadata {
            kind,
            size: size as u64,
            mode: entry.mode,
            owner: 0,
            group: 0,
            modified: entry.modified,
            target,
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let path = self.resolve(path, true)?;
        match self.entry(&path, true)?.content {
            Content::Directory => {}
            _ => return Err(FileError::NotDirectory),
        }
        let prefix = if path == "/" {
            "/".to_owned()
        } else {
            format!("{path}/")
        };
        let inside = self
            .entries
            .range(prefix.clone()..)
            .take_while(|(p, _)| p.starts_with(&prefix));
        let names = inside.filter_map(|(p, _)| p.strip_prefix(&prefix));
        Ok(names
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(str::to_owned)
            .collect())
    }

    fn make_directory(&mut self, path: &str) -> Result<(), FileError> {
        if self.entry(path, false).is_ok() {
            return Err(FileError::Exists);
        }
        let path = self.writable_place(path)?;
        let entry = Entry {
            content: Content::Directory,
            mode: 0o755,
            modified: self.time,
        };
        Arc::make_mut(&mut self.entries).insert(path, entry);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let path = self.resolve(path, false)?;
        match &self.entry(&path, false)?.content {
            Content::Directory if path == "/" => return Err(FileError::Busy),
            Content::Directory if !self.list(&path)?.is_empty() => return Err(FileError::NotEmpty),
            Content::File(bytes) => self.bytes -= bytes.len() as u64,
            _ => {}
        }
        Arc::make_mut(&mut self.entries).remove(&path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let from = self.resolve(from, false)?;
        let entry = self.entry(&from, false)?;
        let directory = entry.content == Content::Directory;
        let to = self.writable_place(to)?;
        if to == from {
            return Ok(());
        }
        if directory && to.starts_with(&format!("{from}/")) {
            return Err(FileError::Invalid);
        }
        match self.entries.get(&to).map(|e| &e.content) {
            Some(Content::Directory) if !directory => return Err(FileError::IsDirectory),
            Some(Content::Directory) if !self.list(&to)?.is_empty() => {
                return Err(FileError::NotEmpty);
            }
            Some(Content::File(old)) => self.bytes -= old.len() as u64,
            _ => {}
        }
        let inside = format!("{from}/");
        let moved: Vec<String> = self
            .entries
            .keys()
            .filter(|p| **p == from || p.starts_with(&inside))
            .cloned()
            .collect();
        let entries = Arc::make_mut(&mut self.entries);
        for path in moved {
            if let Some(entry) = entries.remove(&path) {
                entries.insert(format!("{to}{}", &path[from.len()..]), entry);
            }
        }
        Ok(())
    }

    fn link(&mut self, target: &str, path: &str) -> Result<(), FileError> {
        if self.entry(path, false).is_ok() {
            return Err(FileError::Exists);
        }
        let path = self.writable_place(path)?;
        let entry = Entry {
            content: Content::Link(target.to_owned()),
            mode: 0o777,
            modified: self.time,
        };
        Arc::make_mut(&mut self.entries).insert(path, entry);
        Ok(())
    }

    fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError> {
        let path = self.resolve(path, true)?;
        self.entry(&path, true)?;
        if let Some(entry) = Arc::make_mut(&mut self.entries).get_mut(&path) {
            entry.mode = mode & 0o7777;
        }
        Ok(())
    }
}
