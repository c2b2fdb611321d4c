//! Values that many objects have in common because they were written in the same second, and servers that many
//! containers run: kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::Value;

use crate::programs::Serve;
use crate::time::Time;

/// What was written in the present second, or started last. It only saves memory: a clone begins with nothing.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    second: i64,
    stamp: Value,
    values: BTreeMap<u64, Vec<Value>>,
    /// The server that was started last, whenever that was.
    server: Option<Arc<Serve>>,
}

impl Clone for Alike {
    fn clone(&self) -> Alike {
        Alike::default()
    }
}

impl Alike {
    fn at(&mut self, now: Time) {
        let second = now.unix_seconds();
        if self.second != second {
            *self = Alike {
                second,
                stamp: now.rfc3339().into(),
                values: BTreeMap::new(),
                server: self.server.take(),
            };
        }
    }

    /// The present second as the API writes times.
    pub fn stamp(&mut self, now: Time) -> Value {
        self.at(now);
        self.stamp.clone()
    }

    /// The server, or the one that was started before it where that is just alike.
    pub fn server(&mut self, new: Serve) -> Arc<Serve> {
        match &self.server {
            Some(known) if **known == new => known.clone(),
            _ => self.server.insert(Arc::new(new)).clone(),
        }
    }

    /// The value, or an equal one that was made in this second. `kind` tells apart what is worth
    /// comparing.
    pub fn share(&mut self, now: Time, kind: &str, value: Value) -> Value {
        const VALUES_MAX: usize = 64;
        self.at(now);
        let mut hash = value.entries().len() as u64;
        for byte in kind.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let known = self.values.entry(hash).or_default();
        if let Some(same) = known.iter().find(|known| **known == value) {
            return same.clone();
        }
        if known.len() < VALUES_MAX {
            known.push(value.clone());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use kubarium_objects::object;

    use super::*;

    #[test]
    fn equal_values_of_a_second_are_one() {
        let mut alike = Alike::default();
        let value = || object([("status", "True".into()), ("type", "Ready".into())]);
        let mut share = |second| match alike.share(Time::from_secs(second), "Ready", value()) {
            Value::Object(map) => std::sync::Arc::as_ptr(&map) as usize,
            _ => 0,
        };
        let (first, second) = (share(1), share(1));
        assert_eq!(first, second);
    }
}
