//! The neighbour table: which Ethernet address an IPv4 address on a link has (RFC 826; `net/core/neighbour.c`).

use serde::{Deserialize, Serialize};

use crate::packet::Mac;
use crate::time::Time;

/// What is known about a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum NeighbourState {
    Permanent,
    Noarp,
    Reachable,
    Stale,
    Delay,
    Incomplete,
    Failed,
}

impl NeighbourState {
    /// `PERMANENT`, `REACHABLE` … as `ip neigh` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NeighbourState::Permanent => "PERMANENT",
            NeighbourState::Noarp => "NOARP",
            NeighbourState::Reachable => "REACHABLE",
            NeighbourState::Stale => "STALE",
            NeighbourState::Delay => "DELAY",
            NeighbourState::Incomplete => "INCOMPLETE",
            NeighbourState::Failed => "FAILED",
        }
    }
}

/// An entry of the neighbour table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Its Ethernet address, if known.
    pub mac: Option<Mac>,
    /// The state that was entered at `since`; ask `state_at` for the present one.
    pub state: NeighbourState,
    /// When.
    pub since: Time,
}

impl Neighbour {
    /// How long an answer counts (`base_reachable_time`; Linux draws 15 to 45 s anew now and then).
    pub const REACHABLE: Time = Time::from_secs(30);
    /// How long a stale entry is used before it is asked for again (`delay_first_probe_time`).
    pub const DELAY: Time = Time::from_secs(5);
    /// Requests before giving up (`mcast_solicit`), one a second (`retrans_time_ms`).
    pub const TRIES: u32 = 3;
    /// When a request that nobody answers is given up.
    pub const GIVE_UP: Time = Time::from_millis(3060);

    /// The state now: reachable entries go stale, unanswered ones fail.
    #[must_use]
    pub fn state_at(&self, now: Time) -> NeighbourState {
        match self.state {
            NeighbourState::Reachable if now > self.since + Self::REACHABLE => {
                NeighbourState::Stale
            }
            NeighbourState::Incomplete if now >= self.since + Self::GIVE_UP => {
                NeighbourState::Failed
            }
            state => state,
        }
    }
}
