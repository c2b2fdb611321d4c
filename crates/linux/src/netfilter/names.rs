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
