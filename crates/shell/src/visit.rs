//! Something elsewhere in the foreground of a terminal: a shell (`ssh NODE`, `kubectl exec -it POD -- sh`) or a single
//! command (`ssh NODE tcpdump`).

use kubarium_cluster::runtime::{Remote, RemoteState};
use kubarium_posix::{Job, JobState, Reply, Stream};

use crate::session::{Session, posix_time};

/// A shell or a command elsewhere, and how one came there.
#[derive(Clone)]
pub(crate) struct Visit {
    pub remote: Remote,
    /// The machine, where ssh has gone there; none for kubectl.
    pub host: Option<String>,
}

/// The status of what Ctrl C has ended.
const INTERRUPTED: i32 = 130;

impl Visit {
    /// Lets it go on as far as that takes no simulated time.
    pub fn go_on(&mut self, session: &mut Session, job: Job) -> Reply {
        let mut output = Vec::new();
        if self.remote.is_due(&session.simulation.cluster) {
            session.visited = true;
            session.changing();
            output = session.change(|cluster| cluster.remote_step(&mut self.remote));
        }
        let state = match self.remote.state() {
            RemoteState::Reads(_) | RemoteState::Runs(None) => {
                JobState::Running { job, until: None }
            }
            RemoteState::Runs(Some(at)) => JobState::Running {
                job,
                until: Some(posix_time(at)),
            },
            RemoteState::Ended(status) => {
                output.push((Stream::Err, self.farewell(status).into_bytes()));
                JobState::Exited(status)
            }
        };
        Reply { output, state }
    }

    /// What ssh and kubectl say at its end.
    fn farewell(&self, status: i32) -> String {
        let once = self.remote.is_once();
        match (&self.host, status) {
            (Some(_), _) if once => String::new(),
            // Ctrl C has ended kubectl too.
            (None, INTERRUPTED) if once => String::new(),
            (Some(host), _) => format!("Connection to {host} closed.\n"),
            (None, 0) => String::new(),
            (None, status) => format!("command terminated with exit code {status}\n"),
        }
    }
}
