//! What the shell is run on: commands from outside, files, the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Nanoseconds since 1970-01-01 00:00 UTC.
pub type Time = u64;

/// Names a command that a host has begun and not ended.
pub type Job = u64;

/// An exit status, 0 to 255.
pub type Status = i32;

/// Where a command that the shell does not know by itself comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A text tool of [`crate::tools`].
    Tool,
    /// [`Host::start`] runs it. `reads_stdin`: it is given the whole of its standard input, which is
    /// read up to its end first; otherwise it gets none, and what follows it can still read it.
    Host {
        /// Whether this command line reads its standard input.
        reads_stdin: bool,
    },
    /// There is a file of this name that cannot be run.
    NotExecutable,
    /// No such command.
    Missing,
}

/// A command line for a host.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The command's name and its arguments.
    pub argv: Vec<String>,
    /// The exported variables.
    pub env: BTreeMap<String, String>,
    /// The working directory, an absolute path.
    pub cwd: String,
    /// All of its standard input, where it reads it.
    pub stdin: Vec<u8>,
    /// `exec`: the shell's process becomes this one.
    pub replaces_shell: bool,
}

/// Which of a command's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a host's command has done since it was last asked.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What it wrote, in order.
    pub output: Vec<(Stream, Vec<u8>)>,
    /// Whether it goes on.
    pub state: JobState,
}

/// Whether a host's command goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It has ended with this status.
    Exited(Status),
    /// It goes on. `until`: the time before which asking again is no use, where the host knows it.
    Running {
        /// Its name for [`Host::poll`].
        job: Job,
        /// When to ask again.
        until: Option<Time>,
    },
}

impl Reply {
    /// A command that has ended.
    pub fn exited(status: Status, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Reply {
        let (out, err) = (stdout.into(), stderr.into());
        let output = [(Stream::Out, out), (Stream::Err, err)]
            .into_iter()
            .filter(|(_, b)| !b.is_empty())
            .collect();
        Reply {
            output,
            state: JobState::Exited(status),
        }
    }
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file of bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (its length is its target's; reading follows it).
    Link,
    /// A device or anything else.
    Other,
}

/// What `ls -l` and `test` ask of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// The permission bits, `0o644` for example.
    pub mode: u32,
    /// The owner's number; 0 is root.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// Time of the last change.
    pub modified: Time,
    /// A symbolic link's target.
    pub target: Option<String>,
}

/// Who runs commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub number: u32,
    /// The number of the user's group.
    pub group: u32,
    /// The numbers of all groups, the user's own among them, in order.
    pub groups: Vec<u32>,
}

impl Default for User {
    /// root
    fn default() -> User {
        User {
            number: 0,
            group: 0,
            groups: vec![0],
        }
    }
}

impl User {
    /// The user's name; empty where /etc/passwd has none.
    pub fn name(&self) -> &'static str {
        if self.number == 0 { "root" } else { "" }
    }
}

/// Why a file cannot be had, as errno names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError {
    /// ENOENT
    NotFound,
    /// EACCES
    Denied,
    /// EROFS
    ReadOnly,
    /// EISDIR
    IsDirectory,
    /// ENOTDIR
    NotDirectory,
    /// ENOTEMPTY
    NotEmpty,
    /// EEXIST
    Exists,
    /// ENOSPC
    NoSpace,
    /// EBUSY
    Busy,
    /// ENAMETOOLONG
    NameTooLong,
    /// EINVAL
    Invalid,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FileError::NotFound => "No such file or directory",
            FileError::Denied => "Permission denied",
            FileError::ReadOnly => "Read-only file system",
            FileError::IsDirectory => "Is a directory",
            FileError::NotDirectory => "Not a directory",
            FileError::NotEmpty => "Directory not empty",
            FileError::Exists => "File exists",
            FileError::NoSpace => "No space left on device",
            FileError::Busy => "Device or resource busy",
            FileError::NameTooLong => "File name too long",
            FileError::Invalid => "Invalid argument",
        })
    }
}

impl std::error::Error for FileError {}

/// A tree of files. Paths are absolute and normal: no `.`, `..`, `//` or `/` at the end but in `/`.
/// [`crate::MemoryFiles`] is one.
pub trait Files {
    /// A file's content.
    ///
    /// # Errors
    /// As read(2) and open(2) say.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError>;
    /// Writes a file, made where it is missing; `append` keeps what it has.
    ///
    /// # Errors
    /// As write(2) and open(2) say.
    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> Result<(), FileError>;
    /// What the path names; a symbolic link is followed only where `follow` says so.
    ///
    /// # Errors
    /// As stat(2) says.
    fn metadata(&self, path: &str, follow: bool) -> Result<Metadata, FileError>;
    /// The names in a directory, in order, without `.` and `..`.
    ///
    /// # Errors
    /// As opendir(3) says.
    fn list(&self, path: &str) -> Result<Vec<String>, FileError>;
    /// Makes a directory whose parent is there.
    ///
    /// # Errors
    /// As mkdir(2) says.
    fn make_directory(&mut self, path: &str) -> Result<(), FileError>;
    /// Removes a file, or a directory that is empty.
    ///
    /// # Errors
    /// As unlink(2) and rmdir(2) say.
    fn remove(&mut self, path: &str) -> Result<(), FileError>;
    /// Renames a file or a directory with all in it.
    ///
    /// # Errors
    /// As rename(2) says.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError>;
    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As symlink(2) says.
    fn link(&mut self, target: &str, path: &str) -> Result<(), FileError>;
    /// Sets the permission bits.
    ///
    /// # Errors
    /// As chmod(2) says.
    fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError>;
}

/// Everything outside the shell.
pub trait Host {
    /// The time.
    fn now(&self) -> Time;
    /// The shell's own output, or that of the commands that inherit it.
    fn write(&mut self, stream: Stream, bytes: &[u8]);
    /// Where this command comes from. `argv` has at least one word.
    fn find(&self, argv: &[String]) -> Found;
    /// Begins a command that [`Host::find`] called the host's.
    fn start(&mut self, command: Command) -> Reply;
    /// Asks how a command that runs is getting on.
    fn poll(&mut self, job: Job) -> Reply;
    /// Sends a signal (its number) to a command that runs; the machine does not ask for it again
    /// after SIGKILL.
    fn kill(&mut self, job: Job, signal: i32);
    /// The files, to read.
    fn files(&self) -> &dyn Files;
    /// The files, to change.
    fn files_mut(&mut self) -> &mut dyn Files;
    /// The host's name, as `hostname` prints it.
    fn hostname(&self) -> String;
    /// Who runs the commands.
    fn user(&self) -> User {
        User::default()
    }
    /// What `uname -s -n -r -v -m` print, in this order.
    fn uname(&self) -> [String; 5] {
        ["Linux", &self.hostname(), "6.18.0", "#1 SMP", "x86_64"].map(str::to_owned)
    }
}
