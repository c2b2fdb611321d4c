//! Command lines on a default cluster, a line each: the helpers, and a file for each subject.

mod access;
mod answers;
mod causes;
mod configuration;
mod foreground;
mod objects;
mod pods;

use std::sync::LazyLock;

use kubarium_cluster::{Config, Simulation};

use crate::Session;

static CLUSTER: LazyLock<Session> =
    LazyLock::new(|| Session::new(Simulation::new(Config::default())));

/// A terminal on a default cluster at rest.
pub(crate) fn session() -> Session {
    CLUSTER.clone()
}

/// Runs the lines before the last, then checks what the last one prints and its exit status.
#[track_caller]
fn prints(lines: &[&str], want: &str, status: i32) {
    let mut session = session();
    let Some((last, before)) = lines.split_last() else {
        return;
    };
    for line in before {
        session.run(line);
    }
    let output = session.run(last);
    assert_eq!(
        (output.text().as_str(), output.status),
        (want, status),
        "{last}"
    );
}
