//! A sorted map whose clones share all that has not changed since: sorted chunks of sorted entries.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most entries that a chunk has.
const CHUNK: usize = 64;
/// A full chunk gets room for so many more: chunks are many, and stay as they are.
const GROWTH: usize = 8;

/// A sorted map. A clone costs one count; the first change after a clone copies the list of chunks
/// and the one chunk that changes.
#[derive(Debug)]
pub struct SharedMap<K, V> {
    /// None of them is empty. Each with a key at hand that is not greater than those in it, and
    /// greater than those of the chunks before it.
    chunks: Arc<Vec<(K, Chunk<K, V>)>>,
    len: usize,
    /// Where something was found last: what is asked for is often asked for again at once. The number of
    /// the chunk, and the place in it in the lowest bits.
    last: AtomicUsize,
}

/// So many bits of a place number the entry in its chunk.
const PLACE_BITS: u32 = CHUNK.ilog2() + 1;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap {
            chunks: self.chunks.clone(),
            len: self.len,
            last: self.last.load(Relaxed).into(),
        }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap {
            chunks: Arc::default(),
            len: 0,
            last: AtomicUsize::new(0),
        }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk that has `key`, or would have it.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let after = self.chunks.partition_point(|(k, _)| k.borrow() <= key);
        after.saturating_sub(1)
    }

    fn find<Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        chunk.binary_search_by(|(k, _)| k.borrow().cmp(key))
    }

    /// The chunk that has `key`, or would have it, and its place there.
    fn search<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let last = self.last.load(Relaxed);
        let (number, at) = (last >> PLACE_BITS, last & ((1 << PLACE_BITS) - 1));
        let entry = self.chunks.get(number).and_then(|(_, chunk)| chunk.get(at));
        if entry.is_some_and(|(k, _)| k.borrow().cmp(key) == Ordering::Equal) {
            return (number, Ok(at));
        }
        let number = self.chunk_of(key);
        let found = match self.chunks.get(number) {
            Some((_, chunk)) => Self::find(chunk, key),
            None => Err(0),
        };
        if let Ok(at) = found {
            self.last.store(number << PLACE_BITS | at, Relaxed);
        }
        (number, found)
    }

    /// The chunk that has `key`, and its place there.
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(usize, usize)>
    where
        K: Borrow<Q>,
    {
        let (number, found) = self.search(key);
        Some((number, found.ok()?))
    }

    /// The value under `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = self.chunks.get(number)?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = Arc::make_mut(&mut self.chunks).get_mut(number)?;
        let chunk = Arc::make_mut(chunk);
        chunk.get_mut(at).map(|(_, value)| value)
    }

    /// The key as it is kept, with its value.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = self.chunks.get(number)?;
        chunk.get(at).map(|(key, value)| (key, value))
    }

    /// Whether there is `key`.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.locate(key).is_some()
    }

    /// Puts a value under `key`, and gives back the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (number, found) = self.search(&key);
        match found {
            Ok(at) => Some(std::mem::replace(self.value_mut(number, at), value)),
            Err(at) => {
                self.place(number, at, key, value);
                None
            }
        }
    }

    /// The value under `key`, to be changed; `make` gives it where there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let (number, found) = self.search(key);
        let (number, at) = match found {
            Ok(at) => (number, at),
            Err(at) => self.place(number, at, key.clone(), make()),
        };
        self.value_mut(number, at)
    }

    fn value_mut(&mut self, number: usize, at: usize) -> &mut V {
        let (_, chunk) = &mut Arc::make_mut(&mut self.chunks)[number];
        &mut Arc::make_mut(chunk)[at].1
    }

    /// Puts an entry where a search has found its place; gives back where that is now.
    fn place(&mut self, number: usize, at: usize, key: K, value: V) -> (usize, usize) {
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        let last = number + 1 >= chunks.len();
        let Some((first, shared)) = chunks.get_mut(number) else {
            chunks.push((key.clone(), Arc::new(vec![(key, value)])));
            return (chunks.len() - 1, 0);
        };
        if key < *first {
            *first = key.clone();
        }
        let chunk = Arc::make_mut(shared);
        if chunk.len() < CHUNK {
            if chunk.len() == chunk.capacity() {
                chunk.reserve_exact((CHUNK - chunk.len()).min(GROWTH));
            }
            chunk.insert(at, (key, value));
            return (number, at);
        }
        // Entries that come in order leave full chunks behind them.
        let mut right = if last && at == CHUNK {
            Vec::new()
        } else {
            let right = chunk.split_off(CHUNK / 2);
            chunk.shrink_to(CHUNK / 2 + GROWTH);
            right
        };
        let place = match at.checked_sub(chunk.len()) {
            Some(within) => {
                right.insert(within, (key, value));
                (number + 1, within)
            }
            None => {
                chunk.insert(at, (key, value));
                (number, at)
            }
        };
        if let Some((first, _)) = right.first() {
            chunks.insert(number + 1, (first.clone(), Arc::new(right)));
        }
        place
    }

    /// Removes `key` and gives back what was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks.get_mut(number)?.1);
        let (_, value) = chunk.remove(at);
        self.len -= 1;
        let left = chunk.len();
        if left == 0 {
            chunks.remove(number);
        } else if let Some((_, next)) = chunks
            .get(number + 1)
            .filter(|(_, next)| next.len() + left <= CHUNK / 2)
        {
            let next = next.clone();
            if let Some((_, chunk)) = chunks.get_mut(number) {
                Arc::make_mut(chunk).extend(next.iter().cloned());
            }
            chunks.remove(number + 1);
        }
        Some(value)
    }

    /// Removes the first entry.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, _) = self.chunks.first()?.1.first()?;
        let key = key.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + use<'_, K, V> {
        self.chunks
            .iter()
            .flat_map(|(_, chunk)| chunk.iter())
            .map(|(key, value)| (key, value))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + use<'_, K, V> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + use<'_, K, V> {
        self.iter().map(|(_, value)| value)
    }

    /// The entries from `first` on.
    pub fn since<'a, Q: Ord + ?Sized>(
        &'a self,
        first: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let number = self.chunk_of(first);
        let within = self.chunks.get(number).map_or(0, |(_, chunk)| {
            Self::find(chunk, first).unwrap_or_else(|at| at)
        });
        self.chunks
            .iter()
            .skip(number)
            .flat_map(|(_, chunk)| chunk.iter())
            .skip(within)
            .map(|(key, value)| (key, value))
    }
}

impl<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized> std::ops::Index<&Q>
    for SharedMap<K, V>
{
    type Output = V;

    /// Panics where there is no such key, as other maps do.
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no entry found for key")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn it_does_what_a_sorted_map_does() {
        let (mut map, mut model, mut rng) = (SharedMap::default(), BTreeMap::new(), Rng::new(1));
        for round in 0..20_000 {
            // It grows first, and shrinks later.
            let key = rng.below(2_000);
            if rng.below(10) < if round < 10_000 { 7 } else { 3 } {
                assert_eq!(map.insert(key, round), model.insert(key, round));
            } else {
                assert_eq!(map.remove(&key), model.remove(&key));
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert_eq!(map.len(), model.len());
        }
        assert!(map.iter().eq(model.iter()));
        for first in 0..2_000 {
            assert!(map.since(&first).eq(model.range(first..)), "{first}");
        }
        assert!(map.iter().rev().eq(model.iter().rev()));
        for key in 0..2_000 {
            assert_eq!(map.remove(&key), model.remove(&key));
        }
        assert!(map.is_empty() && map.chunks.is_empty());
    }

    #[test]
    fn a_clone_shares_all_but_the_chunk_that_changed() {
        let mut map: SharedMap<u32, u32> = SharedMap::default();
        for n in 0..1_000 {
            map.insert(n, n);
        }
        assert_eq!(map.chunks.len(), 1_000_usize.div_ceil(CHUNK));
        let before = map.clone();
        map.insert(500, 0);
        *map.get_mut(&501).unwrap() = 0;
        assert_eq!((before.get(&500), map.get(&500)), (Some(&500), Some(&0)));
        let (old, new) = (before.chunks.iter(), map.chunks.iter());
        let differing = old.zip(new).filter(|(a, b)| !Arc::ptr_eq(&a.1, &b.1));
        assert_eq!(differing.count(), 1);
    }
}
