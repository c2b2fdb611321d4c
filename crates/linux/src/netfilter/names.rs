//! Named things of a table: found by name, listed in the order in which they were made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ChainName;

const SHARDS: usize = 32;

type Shard<T> = BTreeMap<ChainName, Entry<T>>;

#[derive(Debug)]
struct Entry<T> {
    handle: u64,
    thing: Arc<T>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Entry {
            handle: self.handle,
            thing: self.thing.clone(),
        }
    }
}

/// Things by name. Its clone is cheap, and a change copies a thirty-second of it.
#[derive(Debug)]
pub(crate) struct Named<T> {
    shards: Arc<[Arc<Shard<T>>; SHARDS]>,
}

impl<T> Clone for Named<T> {
    fn clone(&self) -> Self {
        Named {
            shards: self.shards.clone(),
        }
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named {
            shards: Arc::new([const { None::<()> }; SHARDS].map(|_| Arc::default())),
        }
    }
}

impl<T> Named<T> {
    fn entry(&self, name: &ChainName) -> Option<&Entry<T>> {
        self.shards[name.shard(SHARDS)].get(name)
    }

    pub fn get(&self, name: &ChainName) -> Option<&Arc<T>> {
        self.entry(name).map(|e| &e.thing)
    }

    pub fn handle(&self, name: &ChainName) -> Option<u64> {
        self.entry(name).map(|e| e.handle)
    }

    fn shard_mut(&mut self, name: &ChainName) -> &mut Shard<T> {
        let shards = Arc::make_mut(&mut self.shards);
        Arc::make_mut(&mut shards[name.shard(SHARDS)])
    }

    /// A thing to change.
    pub fn get_mut(&mut self, name: &ChainName) -> Option<&mut Arc<T>> {
        self.entry(name)?;
        self.shard_mut(name).get_mut(name).map(|e| &mut e.thing)
    }

    /// Puts a thing in; one of that name that is there keeps its handle and place.
    pub fn insert(&mut self, name: &ChainName, new_handle: u64, thing: Arc<T>) {
        let handle = self.handle(name).unwrap_or(new_handle);
        self.shard_mut(name)
            .insert(name.clone(), Entry { handle, thing });
    }

    pub fn remove(&mut self, name: &ChainName) -> Option<Arc<T>> {
        self.entry(name)?;
        self.shard_mut(name).remove(name).map(|e| e.thing)
    }

    /// Keeps once what is the same in another table.
    pub fn share(&mut self, other: &Named<T>)
    where
        T: PartialEq,
    {
        if Arc::ptr_eq(&self.shards, &other.shards) {
            return;
        }
        for (shard, other) in Arc::make_mut(&mut self.shards)
            .iter_mut()
            .zip(&*other.shards)
        {
            if Arc::ptr_eq(shard, other) {
                continue;
            }
            // Things that are equal become one; shards with nothing else in them, too.
            let twins = |(name, entry): (&ChainName, &Entry<T>)| {
                let twin = other.get(name)?;
                let equal = !Arc::ptr_eq(&entry.thing, &twin.thing) && entry.thing == twin.thing;
                equal.then(|| (name.clone(), twin.thing.clone()))
            };
            let equal: Vec<(ChainName, Arc<T>)> = shard.iter().filter_map(twins).collect();
            if !equal.is_empty() {
                let shard = Arc::make_mut(shard);
                for (name, thing) in equal {
                    if let Some(entry) = shard.get_mut(&name) {
                        entry.thing = thing;
                    }
                }
            }
            let mut pairs = shard.iter().zip(other.iter());
            let same = pairs.all(|((a, one), (b, other))| {
                a == b && one.handle == other.handle && Arc::ptr_eq(&one.thing, &other.thing)
            });
            if same && shard.len() == other.len() {
                *shard = other.clone();
            }
        }
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.len()).sum()
    }

    /// All, in no meaningful order.
    pub fn iter(&self) -> impl Iterator<Item = (&ChainName, &Arc<T>)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|(name, entry)| (name, &entry.thing))
    }

    /// All in the order in which they were made, with their handles.
    pub fn listed(&self) -> Vec<(u64, &ChainName, &Arc<T>)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        let mut all: Vec<_> = entries
            .map(|(name, entry)| (entry.handle, name, &entry.thing))
            .collect();
        all.sort_by_key(|entry| entry.0);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty things, one of them as told.
    fn named(odd: &str) -> Named<String> {
        let mut named = Named::default();
        for n in 0..40 {
            let name = format!("chain-{n}");
            let thing = if n == 7 { odd.to_owned() } else { name.clone() };
            named.insert(&name.as_str().into(), n, Arc::new(thing));
        }
        named
    }

    #[test]
    fn what_is_the_same_in_two_tables_is_kept_once() {
        let (first, mut second) = (named("a"), named("b"));
        second.share(&first);
        let differing = first.shards.iter().zip(&*second.shards);
        let differing = differing.filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(differing, 1);
        let of = |named: &Named<String>, name: &str| named.get(&name.into()).cloned();
        assert_eq!(of(&second, "chain-7").as_deref(), Some(&"b".to_owned()));
        assert_eq!(of(&first, "chain-7").as_deref(), Some(&"a".to_owned()));
        assert!(
            first
                .listed()
                .iter()
                .zip(second.listed())
                .all(|(a, b)| a.0 == b.0 && a.1 == b.1)
        );
    }
}
