//! Connection tracking: which packets belong together, and what NAT made of their addresses
//! (`net/netfilter/nf_conntrack_core.c`, `nf_conntrack_proto_*.c`, Linux 6.x).

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::packet::{Headers, Protocol, TcpFlags, Transport};
use crate::slab::Chunks;
use crate::time::Time;

/// Addresses and ports of one direction. For ICMP echoes `sport` is the identifier and `dport` holds type and code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Tuple {
    /// Protocol.
    pub protocol: Protocol,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Tuple {
    /// The tuple of a packet; None for what is not tracked by its headers (ICMP errors).
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Tuple> {
        let (sport, dport) = match headers.l4 {
            Transport::Icmp {
                kind: 8, code, id, ..
            } => (id, 8 << 8 | u16::from(code)),
            Transport::Icmp {
                kind: 0, code, id, ..
            } => (id, u16::from(code)),
            Transport::Icmp { .. } => return None,
            other => other.ports(),
        };
        Some(Tuple {
            protocol: headers.ip.protocol,
            src: headers.ip.src,
            dst: headers.ip.dst,
            sport,
            dport,
        })
    }

    /// The tuple of the answers.
    #[must_use]
    pub fn inverted(self) -> Tuple {
        if self.protocol == Protocol::ICMP {
            let kind = if self.dport >> 8 == 8 {
                self.dport & 0xff
            } else {
                8 << 8 | (self.dport & 0xff)
            };
            return Tuple {
                src: self.dst,
                dst: self.src,
                dport: kind,
                ..self
            };
        }
        Tuple {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            ..self
        }
    }

    fn key(self) -> u128 {
        u128::from(self.src.to_bits()) << 72
            | u128::from(self.dst.to_bits()) << 40
            | u128::from(self.sport) << 24
            | u128::from(self.dport) << 8
            | u128::from(self.protocol.0)
    }

    fn print(self, out: &mut String) {
        let _ = write!(out, "src={} dst={} ", self.src, self.dst);
        let _ = match self.protocol {
            Protocol::ICMP => write!(
                out,
                "type={} code={} id={} ",
                self.dport >> 8,
                self.dport & 0xff,
                self.sport
            ),
            _ => write!(out, "sport={} dport={} ", self.sport, self.dport),
        };
    }
}

/// Which way a packet of a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub enum Direction {
    Original,
    Reply,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn other(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// A TCP connection's state as conntrack sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub enum TcpState {
    SynSent,
    SynRecv,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
    /// Both sides sent a SYN.
    SynSent2,
}

/// What a segment makes of a connection's state.
#[derive(Clone, Copy)]
enum Next {
    To(TcpState),
    Ignore,
    Invalid,
}

/// `tcp_conntracks` of `nf_conntrack_proto_tcp.c`, Linux 6.x: rows are SYN, SYN-ACK, FIN, ACK, RST; columns no state,
/// then the states in the order of `TcpState`.
type TcpTable = [[Next; 10]; 5];

const fn tcp_table(rows: [[u8; 10]; 5]) -> TcpTable {
    let mut table = [[Next::Invalid; 10]; 5];
    let mut row = 0;
    while row < 5 {
        let mut column = 0;
        while column < 10 {
            table[row][column] = match rows[row][column] {
                b'S' => Next::To(TcpState::SynSent),
                b'R' => Next::To(TcpState::SynRecv),
                b'E' => Next::To(TcpState::Established),
                b'F' => Next::To(TcpState::FinWait),
                b'W' => Next::To(TcpState::CloseWait),
                b'L' => Next::To(TcpState::LastAck),
                b'T' => Next::To(TcpState::TimeWait),
                b'C' => Next::To(TcpState::Close),
                b'2' => Next::To(TcpState::SynSent2),
                b'i' => Next::Ignore,
                _ => Next::Invalid,
            };
            column += 1;
        }
        row += 1;
    }
    table
}

const TCP_ORIGINAL: TcpTable = tcp_table([
    *b"SSiiiiiSS2",
    *b"--R------R",
    *b"--FFLLLTC-",
    *b"E-EEWWTTC-",
    *b"-CCCCCCCCC",
]);
const TCP_REPLY: TcpTable = tcp_table([
    *b"-2-----S-2",
    *b"-RiiiiiiiR",
    *b"--FFLLLTC-",
    *b"-iREWWTTCi",
    *b"-CCCCCCCCC",
]);

impl TcpState {
    /// `SYN_SENT` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }

    /// Seconds that a silent connection is kept in this state.
    fn timeout(self) -> u64 {
        match self {
            TcpState::SynSent | TcpState::SynSent2 | TcpState::FinWait | TcpState::TimeWait => 120,
            TcpState::SynRecv | TcpState::CloseWait => 60,
            TcpState::Established => 432_000,
            TcpState::LastAck => 30,
            TcpState::Close => 10,
        }
    }
}

/// One connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    /// As the first packet had it.
    pub original: Tuple,
    /// As answers have it.
    pub reply: Tuple,
    /// TCP's state.
    pub tcp: Option<TcpState>,
    /// An answer was seen.
    pub seen_reply: bool,
    /// Both sides take part: not thrown out early when the table is full.
    pub assured: bool,
    /// The source (destination) is changed.
    pub snat: bool,
    /// The destination is changed.
    pub dnat: bool,
    /// Has source NAT (and destination NAT) been decided, be it for nothing?
    pub(crate) snat_done: bool,
    pub(crate) dnat_done: bool,
    /// The connection's mark.
    pub mark: u32,
    /// When it is forgotten.
    pub expires: Time,
    /// UDP: from when on it counts as a stream.
    pub(crate) stream: Time,
}

impl Entry {
    pub(crate) fn new(original: Tuple, now: Time) -> Entry {
        Entry {
            original,
            reply: original.inverted(),
            tcp: None,
            seen_reply: false,
            assured: false,
            snat: false,
            dnat: false,
            snat_done: false,
            dnat_done: false,
            mark: 0,
            expires: now,
            stream: now + Time::from_secs(2),
        }
    }

    /// Has it ended, so that a SYN begins another one?
    pub(crate) fn over(&self) -> bool {
        matches!(self.tcp, Some(TcpState::TimeWait | TcpState::Close))
    }

    /// A rule has reset it: nobody goes on with it.
    pub(crate) fn close(&mut self, now: Time) {
        if self.tcp.replace(TcpState::Close) != Some(TcpState::Close) {
            self.expires = now + Time::from_secs(TcpState::Close.timeout());
        }
    }

    /// The tuple of one direction.
    #[must_use]
    pub fn tuple(&self, direction: Direction) -> Tuple {
        match direction {
            Direction::Original => self.original,
            Direction::Reply => self.reply,
        }
    }

    /// Takes note of a packet. False: it makes no sense here (INVALID).
    pub(crate) fn packet(&mut self, headers: &Headers, direction: Direction, now: Time) -> bool {
        let seconds = match headers.l4 {
            Transport::Tcp { flags, .. } => match self.tcp_packet(flags, direction) {
                // The middle of a connection of which only one side is seen is not kept for days.
                Some(TcpState::Established)
                    if !self.seen_reply && direction == Direction::Original =>
                {
                    300
                }
                Some(state) => state.timeout(),
                None => return false,
            },
            Transport::Udp { .. } => {
                if direction == Direction::Reply {
                    self.seen_reply = true;
                }
                if self.seen_reply && now > self.stream {
                    self.assured = true;
                    120
                } else {
                    30
                }
            }
            // Only questions begin something.
            Transport::Icmp { kind, .. }
                if direction == Direction::Original
                    && kind != 8
                    && self.original.dport >> 8 != 8 =>
            {
                return false;
            }
            Transport::Icmp { .. } => 30,
            _ => 600,
        };
        if direction == Direction::Reply {
            self.seen_reply = true;
        }
        self.expires = now + Time::from_secs(seconds);
        true
    }

    /// The state after a segment, without the kernel's window checks. None: it makes no sense (INVALID).
    fn tcp_packet(&mut self, flags: TcpFlags, direction: Direction) -> Option<TcpState> {
        let row = if flags.has(TcpFlags::RST) {
            4
        } else if flags.has(TcpFlags::SYN_ACK) {
            1
        } else if flags.has(TcpFlags::SYN) {
            0
        } else if flags.has(TcpFlags::FIN) {
            2
        } else if flags.has(TcpFlags::ACK) {
            3
        } else {
            return None;
        };
        let table = match direction {
            Direction::Original => &TCP_ORIGINAL,
            Direction::Reply => &TCP_REPLY,
        };
        let column = self.tcp.map_or(0, |state| state as usize + 1);
        let next = match table.get(row).and_then(|r| r.get(column))? {
            Next::To(state) => *state,
            // Let through, and nothing learned of it.
            Next::Ignore => self.tcp?,
            Next::Invalid => return None,
        };
        let was = self.tcp.replace(next);
        let open = matches!(was, Some(TcpState::SynRecv | TcpState::Established));
        self.assured |= open && next == TcpState::Established && self.seen_reply;
        Some(next)
    }

    /// The line of `conntrack -L`, without its end.
    #[must_use]
    pub fn line(&self, now: Time) -> String {
        let mut out = self.told(Some((self.expires - now).as_secs()));
        let _ = write!(out, " mark={} use=1", self.mark);
        out
    }

    /// What is said of it: how many seconds it still has, if any, state, both tuples, flags.
    pub(crate) fn told(&self, seconds: Option<u64>) -> String {
        let protocol = self.original.protocol;
        let name = protocol.name().unwrap_or("unknown");
        let mut out = format!("{name:<8} {} ", protocol.0);
        if let Some(seconds) = seconds {
            let _ = write!(out, "{seconds} ");
        }
        if let Some(state) = self.tcp {
            let _ = write!(out, "{} ", state.name());
        }
        self.original.print(&mut out);
        if !self.seen_reply {
            out.push_str("[UNREPLIED] ");
        }
        self.reply.print(&mut out);
        if self.assured {
            out.push_str("[ASSURED] ");
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// What of it is told to whoever listens, once it has changed.
    pub(crate) fn notable(&self) -> (Option<TcpState>, bool, bool) {
        (self.tcp, self.seen_reply, self.assured)
    }
}

/// A hash of tuples' keys that is the same everywhere and always. Nothing goes through the map in its order.
#[derive(Clone, Copy, Debug, Default)]
struct TupleHasher(u64);

impl Hasher for TupleHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, key: u128) {
        // MurmurHash3's finalizer over both halves.
        let mut hash =
            self.0 ^ (key as u64) ^ ((key >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.0 = hash ^ (hash >> 33);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A connection's number as the slab counts; nothing has the largest.
fn number(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// What became of a connection (`ctnetlink`'s events).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It was entered.
    New,
    /// Its state is another, it was answered, or it is assured now.
    Update,
    /// It is gone: forgotten when its time was over, or (true) before that.
    Destroy(bool),
}

/// A change for whoever listens (`conntrack -E`).
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The connection after it.
    pub entry: Entry,
    /// When.
    pub at: Time,
}

/// Most changes that wait for whoever listens: like a netlink socket's buffer, it is bounded, and who reads too seldom is
/// told that some are lost (ENOBUFS).
const HEARD_MOST: usize = 4096;

/// The newest changes since the first of those who listen began.
#[derive(Clone, Debug, Default)]
struct Heard {
    listeners: u32,
    /// How many went before the ones that are kept.
    gone: usize,
    changes: VecDeque<Change>,
}

impl Heard {
    fn end(&self) -> usize {
        self.gone + self.changes.len()
    }
}

/// A table's counters (`conntrack -S`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Packets that made no sense.
    pub invalid: u64,
    /// Connections that clashed with another and were not entered.
    pub insert_failed: u64,
}

/// A namespace's connections, by number and by the tuples of both directions.
#[derive(Clone, Debug, Default)]
pub struct Conntrack {
    entries: Chunks<Entry>,
    tuples: HashMap<u128, (u32, Direction), BuildHasherDefault<TupleHasher>>,
    swept: usize,
    heard: Option<Box<Heard>>,
    /// What `conntrack -S` shows.
    pub counts: Counts,
}

impl Conntrack {
    /// Begins to listen to changes; where they are read from.
    pub fn listen(&mut self) -> usize {
        let heard = self.heard.get_or_insert_default();
        heard.listeners += 1;
        heard.end()
    }

    /// The changes from a place on, and whether some of them are lost; the place becomes the one behind them.
    pub fn changes(&self, from: &mut usize) -> (impl Iterator<Item = &Change>, bool) {
        let heard = self.heard.as_deref();
        let (gone, end) = heard.map_or((0, 0), |heard| (heard.gone, heard.end()));
        let read = from.saturating_sub(gone);
        let lost = *from < gone;
        *from = end.max(*from);
        let changes = heard.into_iter().flat_map(|heard| &heard.changes);
        (changes.skip(read), lost)
    }

    /// One who listens does so no more.
    pub fn stop_listening(&mut self) {
        if let Some(heard) = &mut self.heard {
            heard.listeners -= 1;
            if heard.listeners == 0 {
                self.heard = None;
            }
        }
    }

    fn tell(&mut self, kind: ChangeKind, entry: Entry, at: Time) {
        if let Some(heard) = &mut self.heard {
            if heard.changes.len() == HEARD_MOST {
                heard.changes.pop_front();
                heard.gone += 1;
            }
            heard.changes.push_back(Change { kind, entry, at });
        }
    }

    /// A packet has changed something notable of a connection.
    pub(crate) fn updated(&mut self, id: u64, at: Time) {
        if self.heard.is_some()
            && let Some(entry) = self.get(id).copied()
        {
            self.tell(ChangeKind::Update, entry, at);
        }
    }

    /// A rule has reset a connection.
    pub(crate) fn close(&mut self, id: u64, now: Time) {
        if let Some(entry) = self.get_mut(id) {
            entry.close(now);
            self.updated(id, now);
        }
    }

    /// The living connections, oldest first, with their numbers.
    pub fn iter(&self, now: Time) -> impl Iterator<Item = (u64, &Entry)> {
        let living = self.entries.iter().filter(move |(_, e)| e.expires > now);
        living.map(|(id, e)| (u64::from(id), e))
    }

    /// How many entries there are, those expired but not yet swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tuples.len() / 2
    }

    /// No entry at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// One connection.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(number(id))
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(number(id))
    }

    /// The living connection that a tuple belongs to, and which way it goes.
    #[must_use]
    pub fn find(&self, tuple: Tuple, now: Time) -> Option<(u64, Direction)> {
        let (id, direction) = self.tuples.get(&tuple.key())?;
        self.entries.get(*id).filter(|e| e.expires > now)?;
        Some((u64::from(*id), *direction))
    }

    /// Enters a connection, in place of any that has expired and not been swept.
    pub(crate) fn insert(&mut self, entry: Entry, now: Time) -> u64 {
        if self.len() >= 64.max(self.swept * 2) {
            self.sweep(now);
        }
        for tuple in [entry.original, entry.reply] {
            if let Some((old, _)) = self.tuples.get(&tuple.key()) {
                self.remove(u64::from(*old), now);
            }
        }
        self.tell(ChangeKind::New, entry, now);
        let id = self.entries.push(entry);
        self.tuples
            .insert(entry.original.key(), (id, Direction::Original));
        self.tuples
            .insert(entry.reply.key(), (id, Direction::Reply));
        u64::from(id)
    }

    /// Forgets what has expired.
    pub fn sweep(&mut self, now: Time) {
        let dead: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, e)| e.expires <= now)
            .map(|(id, _)| u64::from(id))
            .collect();
        for id in dead {
            self.remove(id, now);
        }
        self.swept = self.len();
    }

    /// Forgets one connection.
    pub fn remove(&mut self, id: u64, now: Time) -> Option<Entry> {
        let entry = self.entries.remove(number(id))?;
        self.tell(ChangeKind::Destroy(entry.expires > now), entry, now);
        for tuple in [entry.original, entry.reply] {
            if self
                .tuples
                .get(&tuple.key())
                .is_some_and(|t| u64::from(t.0) == id)
            {
                self.tuples.remove(&tuple.key());
            }
        }
        Some(entry)
    }

    /// Forgets every living connection that a condition holds for; says how many (`conntrack -D`).
    pub fn delete(&mut self, now: Time, which: impl Fn(&Entry) -> bool) -> usize {
        let ids: Vec<u64> = self
            .iter(now)
            .filter(|(_, e)| which(e))
            .map(|(id, _)| id)
            .collect();
        for id in &ids {
            self.remove(*id, now);
        }
        ids.len()
    }
}
