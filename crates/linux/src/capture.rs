//! Captures: what packet sockets see on devices (packet(7)), as bytes, and the files that programs write of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::link::{LinkId, NamespaceId};
use crate::network::Network;
use crate::time::Time;

mod file;
pub use file::{LinkType, pcap, pcapng};

/// Packets that one socket keeps until somebody reads them; what comes then is dropped.
const KEPT_MAX: usize = 20_000;

/// What a socket listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// One device.
    Device(LinkId),
    /// Every device of a namespace (`-i any`).
    Namespace(NamespaceId),
    /// Every device there is.
    Everywhere,
}

/// A packet that passed a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// When.
    pub at: Time,
    /// The namespace of the device.
    pub namespace: NamespaceId,
    /// The device.
    pub device: LinkId,
    /// It was sent, not received.
    pub outgoing: bool,
    /// The frame from its Ethernet header on.
    pub bytes: Arc<[u8]>,
}

#[derive(Clone, Debug)]
struct Socket {
    place: Place,
    kept: Vec<Captured>,
    dropped: u64,
}

/// The packet sockets of a network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures {
    sockets: BTreeMap<u64, Socket>,
    next: u64,
    /// When the last packet passed, and by how much later than they say those of the present conversation are: several
    /// that begin at one moment of simulated time follow one another.
    last: Time,
    shift: u64,
}

impl Captures {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Does anybody listen to a device?
    pub fn hears(&self, namespace: NamespaceId, device: LinkId) -> bool {
        self.sockets
            .values()
            .any(|s| s.place.has(namespace, device))
    }

    /// Does a socket listen to this very device? Then it takes what is not for it as well (promiscuous mode).
    pub fn promiscuous(&self, device: LinkId) -> bool {
        let own = Place::Device(device);
        self.sockets.values().any(|s| s.place == own)
    }

    pub fn add(&mut self, captured: &Captured) {
        if captured.at >= self.last {
            self.shift = 0;
        } else if captured.at.0 + self.shift < self.last.0 {
            self.shift = self.last.0 - captured.at.0 + 20_000;
        }
        let captured = &Captured {
            at: Time(captured.at.0 + self.shift),
            ..captured.clone()
        };
        self.last = captured.at;
        for socket in self.sockets.values_mut() {
            if !socket.place.has(captured.namespace, captured.device) {
                continue;
            }
            if socket.kept.len() < KEPT_MAX {
                socket.kept.push(captured.clone());
            } else {
                socket.dropped += 1;
            }
        }
    }
}

impl Place {
    fn has(self, namespace: NamespaceId, device: LinkId) -> bool {
        match self {
            Place::Device(own) => own == device,
            Place::Namespace(own) => own == namespace,
            Place::Everywhere => true,
        }
    }
}

impl Network {
    /// Opens a packet socket; its number.
    pub fn capture(&mut self, place: Place) -> u64 {
        self.captures.next += 1;
        let socket = Socket {
            place,
            kept: Vec::new(),
            dropped: 0,
        };
        self.captures.sockets.insert(self.captures.next, socket);
        self.captures.next
    }

    /// What a packet socket has seen since it was last asked, and how many packets it had no room for.
    pub fn captured(&mut self, socket: u64) -> (Vec<Captured>, u64) {
        self.captures
            .sockets
            .get_mut(&socket)
            .map_or_else(Default::default, |s| {
                (std::mem::take(&mut s.kept), std::mem::take(&mut s.dropped))
            })
    }

    /// Closes a packet socket.
    pub fn end_capture(&mut self, socket: u64) {
        self.captures.sockets.remove(&socket);
    }
}
