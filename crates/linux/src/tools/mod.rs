//! The tools that people look at a Linux network with, printing what Debian 12's print.

/// What a command printed, and its exit status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status.
    pub status: i32,
}

impl Output {
    /// Success.
    #[must_use]
    pub fn ok(stdout: impl Into<String>) -> Output {
        Output {
            stdout: stdout.into(),
            ..Output::default()
        }
    }

    /// Failure.
    #[must_use]
    pub fn failed(status: i32, stderr: impl Into<String>) -> Output {
        Output {
            stderr: stderr.into(),
            status,
            ..Output::default()
        }
    }
}
