//! DNS messages as bytes (RFC 1035, RFC 6891), for whoever captures them.

use super::{Answer, Code, Data, Record, Type};
use crate::time::Time;

impl Type {
    fn number(self) -> u16 {
        match self {
            Type::A => 1,
            Type::Ns => 2,
            Type::Cname => 5,
            Type::Soa => 6,
            Type::Ptr => 12,
            Type::Mx => 15,
            Type::Txt => 16,
            Type::Aaaa => 28,
            Type::Srv => 33,
            Type::Any => 255,
        }
    }
}

impl Code {
    fn number(self) -> u16 {
        match self {
            Code::NoError => 0,
            Code::ServFail => 2,
            Code::NxDomain => 3,
            Code::Refused => 5,
        }
    }
}

/// The identifier of a query: different for each, and the same whoever asks for it.
pub(crate) fn id(name: &str, kind: Type, now: Time) -> u16 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64 ^ now.0;
    for byte in name.bytes().chain(kind.number().to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 24) as u16
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|l| !l.is_empty()) {
        let bytes = label.as_bytes();
        let length = bytes.len().min(63);
        out.push(length as u8);
        out.extend_from_slice(bytes.get(..length).unwrap_or_default());
    }
    out.push(0);
}

fn head(out: &mut Vec<u8>, id: u16, flags: u16, counts: [usize; 4]) {
    out.extend(id.to_be_bytes());
    out.extend(flags.to_be_bytes());
    for count in counts {
        out.extend(u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    }
}

fn question(out: &mut Vec<u8>, name: &str, kind: Type) {
    put_name(out, name);
    out.extend(kind.number().to_be_bytes());
    out.extend([0, 1]);
}

/// EDNS(0) with dig's and CoreDNS' size of 1232 bytes.
fn opt(out: &mut Vec<u8>) {
    out.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
}

/// A query that wants recursion.
pub(crate) fn query(id: u16, name: &str, kind: Type, edns: bool) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, id, 0x0100, [1, 0, 0, usize::from(edns)]);
    question(&mut out, name, kind);
    if edns {
        opt(&mut out);
    }
    out
}

impl Record {
    fn put(&self, out: &mut Vec<u8>) {
        put_name(out, &self.name);
        out.extend(self.kind().number().to_be_bytes());
        out.extend([0, 1]);
        out.extend(self.ttl.to_be_bytes());
        let mut data = Vec::new();
        match &self.data {
            Data::A(address) => data.extend(address.octets()),
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => put_name(&mut data, name),
            Data::Srv {
                weight,
                port,
                target,
            } => {
                data.extend([0, 0]);
                data.extend(weight.to_be_bytes());
                data.extend(port.to_be_bytes());
                put_name(&mut data, target);
            }
            Data::Txt(text) => {
                let bytes = text.as_bytes();
                let length = bytes.len().min(255);
                data.push(length as u8);
                data.extend_from_slice(bytes.get(..length).unwrap_or_default());
            }
            Data::Soa {
                zone,
                serial,
                minimum,
            } => {
                put_name(&mut data, &format!("ns.dns.{zone}"));
                put_name(&mut data, &format!("hostmaster.{zone}"));
                data.extend((*serial as u32).to_be_bytes());
                for seconds in [7200u32, 1800, 86_400, *minimum] {
                    data.extend(seconds.to_be_bytes());
                }
            }
        }
        out.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(data);
    }
}

impl Answer {
    /// The message that answers a query.
    pub fn message(&self, id: u16, name: &str, kind: Type, edns: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let authoritative = if self.is_authoritative { 0x0400 } else { 0 };
        let flags = 0x8100 | authoritative | self.code.number();
        let counts = [
            1,
            self.answers.len(),
            self.authority.len(),
            self.additional.len() + usize::from(edns),
        ];
        head(&mut out, id, flags, counts);
        question(&mut out, name, kind);
        let records = (self.answers.iter())
            .chain(&self.authority)
            .chain(&self.additional);
        records.for_each(|record| record.put(&mut out));
        if edns {
            opt(&mut out);
        }
        out
    }
}

/// A message as it stands on a TCP connection: its length first.
pub(crate) fn on_tcp(message: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), &message].concat()
}
