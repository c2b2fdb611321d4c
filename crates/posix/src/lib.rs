//! The POSIX shell's language and the usual text tools, over any host.
