//! Redirections: what a process's descriptors lead to.

use crate::host::{FileError, FileKind, Host};
use crate::machine::Machine;
use crate::process::{Descriptor, Process, Redirect};
use crate::syntax::RedirectionKind as Kind;

impl Machine {
    /// Opens what the redirections name, in order.
    ///
    /// # Errors
    /// The message for the first that cannot be opened; the descriptors before it have changed.
    pub(crate) fn redirect(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        redirects: Vec<Redirect>,
    ) -> Result<(), String> {
        for redirect in redirects {
            let fd = redirect.fd.unwrap_or(1);
            let descriptor = match redirect.kind {
                Kind::Here => Some(self.new_input(redirect.target.as_bytes().into())),
                Kind::Read | Kind::ReadWrite => {
                    Some(self.open_to_read(process, host, &redirect.target)?)
                }
                Kind::Write | Kind::Append => Some(open_to_write(
                    process,
                    host,
                    &redirect.target,
                    redirect.kind == Kind::Append,
                )?),
                Kind::Duplicate if redirect.target == "-" => None,
                Kind::Duplicate => match redirect.target.parse::<u32>() {
                    Ok(number) => match process.descriptors.get(&number) {
                        Some(descriptor) => Some(descriptor.clone()),
                        None => return Err(format!("{number}: Bad file descriptor")),
                    },
                    // bash: `>&file` is `&>file`.
                    Err(_) => {
                        let descriptor = open_to_write(process, host, &redirect.target, false)?;
                        process.descriptors.insert(2, descriptor.clone());
                        Some(descriptor)
                    }
                },
            };
            match descriptor {
                Some(descriptor) => {
                    if redirect.fd.is_none() {
                        process.descriptors.insert(2, descriptor.clone());
                    }
                    process.descriptors.insert(fd, descriptor);
                }
                None => {
                    process.descriptors.remove(&fd);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn open_to_read(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        target: &str,
    ) -> Result<Descriptor, String> {
        let path = process.path(target);
        if let Some(descriptor) = device(process, &path) {
            return Ok(descriptor);
        }
        match host.files().read(&path) {
            Ok(bytes) => Ok(self.new_input(bytes)),
            Err(error) => Err(self.cannot_open(target, error)),
        }
    }

    fn cannot_open(&self, target: &str, error: FileError) -> String {
        match self.dialect {
            crate::Dialect::Bash => format!("{target}: {error}"),
            crate::Dialect::Ash => match error {
                FileError::NotFound => format!("can't open {target}: no such file"),
                error => format!("can't open {target}: {error}"),
            },
            crate::Dialect::Dash => match error {
                FileError::NotFound => format!("cannot open {target}: No such file"),
                error => format!("cannot open {target}: {error}"),
            },
        }
    }
}

fn open_to_write(
    process: &mut Process,
    host: &mut dyn Host,
    target: &str,
    append: bool,
) -> Result<Descriptor, String> {
    let path = process.path(target);
    if let Some(descriptor) = device(process, &path) {
        return Ok(descriptor);
    }
    let made = match host.files().metadata(&path, true) {
        Ok(m) if m.kind == FileKind::Directory => Err(FileError::IsDirectory),
        Ok(_) if append => host.files_mut().write(&path, &[], true),
        _ => host.files_mut().write(&path, &[], append),
    };
    match made {
        Ok(()) => Ok(Descriptor::File(path.into())),
        Err(FileError::NotFound) => Err(format!("can't create {target}: nonexistent directory")),
        Err(error) => Err(format!("can't create {target}: {error}")),
    }
}

/// What the files of /dev and /proc/self/fd lead to.
fn device(process: &Process, path: &str) -> Option<Descriptor> {
    let number = match path {
        "/dev/null" => return Some(Descriptor::Null),
        // What process 1 of a container writes there is the container's log.
        "/proc/1/fd/1" => return Some(Descriptor::HostOut),
        "/proc/1/fd/2" => return Some(Descriptor::HostErr),
        "/dev/stdin" => 0,
        "/dev/stdout" | "/dev/tty" | "/dev/console" => 1,
        "/dev/stderr" => 2,
        path => path
            .strip_prefix("/dev/fd/")
            .or_else(|| path.strip_prefix("/proc/self/fd/"))?
            .parse()
            .ok()?,
    };
    process.descriptors.get(&number).cloned()
}
