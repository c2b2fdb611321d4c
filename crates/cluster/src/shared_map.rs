//! A sorted map whose clones share all that has not changed since: sorted chunks of sorted entries.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kubarium_objects::{ObjectKey, Text};

use crate::time::Time;

/// The most entries that a chunk has.
const CHUNK: usize = 64;
/// A full chunk gets room for so many more: chunks are many, and stay as they are.
const GROWTH: usize = 4;

/// A key of a [`SharedMap`]. Keys that end in a word (a name) say how the words compare: a chunk's keys mostly differ in
/// it alone and begin alike, and a few bytes beside each other are searched sooner than keys all over the memory.
pub trait Key: Ord {
    /// How many bytes the words of both have in common; `None` where they differ before it, or have none.
    fn common(&self, _: &Self) -> Option<usize> {
        None
    }

    /// Whether both are alike up to that many bytes of their words.
    fn is_alike(&self, _: &Self, _: usize) -> bool {
        false
    }

    /// Four bytes of the word after that many, in the order of words.
    fn bytes_after(&self, _: usize) -> u32 {
        0
    }
}

impl Key for u32 {}
impl Key for u64 {}
impl Key for Ipv4Addr {}
impl Key for (Time, u64) {}

impl Key for str {
    fn common(&self, other: &str) -> Option<usize> {
        let pairs = self.bytes().zip(other.bytes());
        Some(pairs.take_while(|(a, b)| a == b).count())
    }

    fn is_alike(&self, other: &str, bytes: usize) -> bool {
        let (a, b) = (self.as_bytes(), other.as_bytes());
        a.len() >= bytes && a.get(..bytes) == b.get(..bytes)
    }

    fn bytes_after(&self, bytes: usize) -> u32 {
        let rest = self.as_bytes().get(bytes..).unwrap_or_default();
        let next = |at: usize| u32::from(rest.get(at).copied().unwrap_or(0));
        next(0) << 24 | next(1) << 16 | next(2) << 8 | next(3)
    }
}

impl Key for Text {
    fn common(&self, other: &Text) -> Option<usize> {
        str::common(self, other)
    }

    fn is_alike(&self, other: &Text, bytes: usize) -> bool {
        str::is_alike(self, other, bytes)
    }

    fn bytes_after(&self, bytes: usize) -> u32 {
        str::bytes_after(self, bytes)
    }
}

impl Key for ObjectKey {
    fn common(&self, other: &ObjectKey) -> Option<usize> {
        let alike = self.resource == other.resource && self.namespace == other.namespace;
        alike.then(|| self.name.common(&other.name))?
    }

    fn is_alike(&self, other: &ObjectKey, bytes: usize) -> bool {
        let same = |a: &Text, b: &Text| Arc::ptr_eq(a, b) || a == b;
        same(&self.resource, &other.resource)
            && same(&self.namespace, &other.namespace)
            && self.name.is_alike(&other.name, bytes)
    }

    fn bytes_after(&self, bytes: usize) -> u32 {
        self.name.bytes_after(bytes)
    }
}

/// A sorted map. A clone costs one count; the first change after a clone copies the list of chunks
/// and the one chunk that changes.
#[derive(Debug)]
pub struct SharedMap<K, V> {
    /// None of them is empty. Each with a key at hand that is not greater than those in it, and
    /// greater than those of the chunks before it.
    chunks: Arc<Vec<AtHand<K, V>>>,
    len: usize,
    /// Where something was found last: what is asked for is often asked for again at once. The number of
    /// the chunk, and the place in it in the lowest bits.
    last: AtomicUsize,
}

/// So many bits of a place number the entry in its chunk.
const PLACE_BITS: u32 = CHUNK.ilog2() + 1;

/// A chunk with its key at hand.
type AtHand<K, V> = (K, Arc<Chunk<K, V>>);

/// Sorted entries.
#[derive(Clone, Debug)]
struct Chunk<K, V> {
    entries: Vec<(K, V)>,
    /// To so many bytes of their words all keys are like the one that the chunk has at hand.
    alike: Option<u32>,
    /// The bytes after those, of each key.
    bytes: Vec<u32>,
}

impl<K: Key, V> Chunk<K, V> {
    fn new(first: &K, entries: Vec<(K, V)>) -> Chunk<K, V> {
        let mut chunk = Chunk {
            entries,
            alike: None,
            bytes: Vec::new(),
        };
        chunk.measure(first);
        chunk
    }

    /// Looks how much the keys have in common: as much as the lowest and the highest.
    fn measure(&mut self, first: &K) {
        let common = self.entries.last().and_then(|(last, _)| first.common(last));
        self.alike = common.and_then(|common| u32::try_from(common).ok());
        self.bytes = Vec::new();
        if let Some(alike) = self.alike {
            self.bytes.reserve_exact(self.entries.capacity());
            let bytes = |(key, _): &(K, V)| key.bytes_after(alike as usize);
            self.bytes.extend(self.entries.iter().map(bytes));
        }
    }

    /// Where `key` is, or would be.
    fn find<Q: Key + ?Sized>(&self, first: &K, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        let search = |from: usize, to: usize| {
            let found = self.entries[from..to].binary_search_by(|(k, _)| k.borrow().cmp(key));
            found.map(|at| from + at).map_err(|at| from + at)
        };
        let Some(alike) = self.alike else {
            return search(0, self.entries.len());
        };
        if !key.is_alike(first.borrow(), alike as usize) {
            return Err(match key < first.borrow() {
                true => 0,
                false => self.entries.len(),
            });
        }
        let bytes = key.bytes_after(alike as usize);
        let from = self.bytes.partition_point(|b| *b < bytes);
        let same = self.bytes[from..].iter().take_while(|b| **b == bytes);
        search(from, from + same.count())
    }

    fn insert(&mut self, first: &K, at: usize, key: K, value: V) {
        if self.entries.len() == self.entries.capacity() {
            let room = CHUNK.saturating_sub(self.entries.len()).clamp(1, GROWTH);
            self.entries.reserve_exact(room);
            self.bytes.reserve_exact(room);
        }
        let alike = self.alike.filter(|n| key.is_alike(first, *n as usize));
        let bytes = alike.map(|n| key.bytes_after(n as usize));
        self.entries.insert(at, (key, value));
        match bytes {
            Some(bytes) => self.bytes.insert(at, bytes),
            None if self.alike.is_some() => self.measure(first),
            None => {}
        }
    }

    fn remove(&mut self, at: usize) -> (K, V) {
        if self.alike.is_some() {
            self.bytes.remove(at);
        }
        self.entries.remove(at)
    }
}

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

impl<K: Key + Clone, V: Clone> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk that has `key`, or would have it.
    fn chunk_of<Q: Key + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let after = self.chunks.partition_point(|(k, _)| k.borrow() <= key);
        after.saturating_sub(1)
    }

    /// The chunk that has `key`, or would have it, and its place there.
    fn search<Q: Key + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let last = self.last.load(Relaxed);
        let (number, at) = (last >> PLACE_BITS, last & ((1 << PLACE_BITS) - 1));
        let entry = self
            .chunks
            .get(number)
            .and_then(|(_, chunk)| chunk.entries.get(at));
        if entry.is_some_and(|(k, _)| k.borrow().cmp(key) == Ordering::Equal) {
            return (number, Ok(at));
        }
        let number = self.chunk_of(key);
        let found = match self.chunks.get(number) {
            Some((first, chunk)) => chunk.find(first, key),
            None => Err(0),
        };
        if let Ok(at) = found {
            self.last.store(number << PLACE_BITS | at, Relaxed);
        }
        (number, found)
    }

    /// The chunk that has `key`, and its place there.
    fn locate<Q: Key + ?Sized>(&self, key: &Q) -> Option<(usize, usize)>
    where
        K: Borrow<Q>,
    {
        let (number, found) = self.search(key);
        Some((number, found.ok()?))
    }

    /// The value under `key`.
    pub fn get<Q: Key + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = self.chunks.get(number)?;
        chunk.entries.get(at).map(|(_, value)| value)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut<Q: Key + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = Arc::make_mut(&mut self.chunks).get_mut(number)?;
        let chunk = Arc::make_mut(chunk);
        chunk.entries.get_mut(at).map(|(_, value)| value)
    }

    /// The key as it is kept, with its value.
    pub fn get_key_value<Q: Key + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let (_, chunk) = self.chunks.get(number)?;
        chunk.entries.get(at).map(|(key, value)| (key, value))
    }

    /// Whether there is `key`.
    pub fn contains_key<Q: Key + ?Sized>(&self, key: &Q) -> bool
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
        &mut Arc::make_mut(chunk).entries[at].1
    }

    /// Puts an entry where a search has found its place; gives back where that is now.
    fn place(&mut self, number: usize, at: usize, key: K, value: V) -> (usize, usize) {
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        let last = number + 1 >= chunks.len();
        let Some((first, shared)) = chunks.get_mut(number) else {
            let chunk = Chunk::new(&key, vec![(key.clone(), value)]);
            chunks.push((key, Arc::new(chunk)));
            return (chunks.len() - 1, 0);
        };
        let chunk = Arc::make_mut(shared);
        if key < *first {
            *first = key.clone();
            chunk.measure(first);
        }
        if chunk.entries.len() < CHUNK {
            chunk.insert(first, at, key, value);
            return (number, at);
        }
        // Entries that come in order leave full chunks behind them.
        let mut right = if last && at == CHUNK {
            Vec::new()
        } else {
            let right = chunk.entries.split_off(CHUNK / 2);
            chunk.entries.shrink_to(CHUNK / 2 + GROWTH);
            chunk.measure(first);
            right
        };
        let place = match at.checked_sub(chunk.entries.len()) {
            Some(within) => {
                right.insert(within, (key, value));
                (number + 1, within)
            }
            None => {
                chunk.insert(first, at, key, value);
                (number, at)
            }
        };
        if let Some((first, _)) = right.first() {
            let first = first.clone();
            let right = Chunk::new(&first, right);
            chunks.insert(number + 1, (first, Arc::new(right)));
        }
        place
    }

    /// Removes `key` and gives back what was there.
    pub fn remove<Q: Key + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (number, at) = self.locate(key)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks.get_mut(number)?.1);
        let (_, value) = chunk.remove(at);
        self.len -= 1;
        let left = chunk.entries.len();
        if left == 0 {
            chunks.remove(number);
        } else if let Some((_, next)) = chunks
            .get(number + 1)
            .filter(|(_, next)| next.entries.len() + left <= CHUNK / 2)
        {
            let next = next.clone();
            if let Some((first, chunk)) = chunks.get_mut(number) {
                let chunk = Arc::make_mut(chunk);
                chunk.entries.extend(next.entries.iter().cloned());
                chunk.measure(first);
            }
            chunks.remove(number + 1);
        }
        Some(value)
    }

    /// Removes the first entry.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, _) = self.chunks.first()?.1.entries.first()?;
        let key = key.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + use<'_, K, V> {
        self.chunks
            .iter()
            .flat_map(|(_, chunk)| chunk.entries.iter())
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
    pub fn since<'a, Q: Key + ?Sized>(
        &'a self,
        first: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let number = self.chunk_of(first);
        let within = self.chunks.get(number).map_or(0, |(at_hand, chunk)| {
            chunk.find(at_hand, first).unwrap_or_else(|at| at)
        });
        self.chunks
            .iter()
            .skip(number)
            .flat_map(|(_, chunk)| chunk.entries.iter())
            .skip(within)
            .map(|(key, value)| (key, value))
    }
}

impl<K: Key + Clone + Borrow<Q>, V: Clone, Q: Key + ?Sized> std::ops::Index<&Q>
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

    /// Names as controllers make them, and others: in any order, some of them the beginning of another.
    #[test]
    fn keys_with_words_are_found_and_sorted() {
        let mut rng = Rng::new(2);
        let mut key = || {
            let space = ["", "default", "defaults"][rng.below(3) as usize];
            let first = ["web-", "web-7d9c-", "w", "", "web-7d9c-x-"][rng.below(5) as usize];
            let digits = rng.below(6) as u32;
            let rest = rng.below(8_u64.pow(digits));
            let rest = if digits == 0 {
                String::new()
            } else {
                format!("{rest:o}")
            };
            ObjectKey::new("pods", space, format!("{first}{rest}"))
        };
        let keys: Vec<ObjectKey> = (0..8_000).map(|_| key()).collect();
        let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
        for (round, pair) in keys.chunks(2).enumerate() {
            let [came, went] = pair else { continue };
            assert_eq!(
                map.insert(came.clone(), round),
                model.insert(came.clone(), round)
            );
            if round % 3 == 0 || round > 3_000 {
                assert_eq!(map.remove(went), model.remove(went), "{went}");
            }
            assert_eq!(map.get(went), model.get(went), "{went}");
        }
        assert!(map.iter().eq(model.iter()));
        for key in &keys {
            assert_eq!(map.get(key), model.get(key), "{key}");
            assert!(
                map.since(key).take(3).eq(model.range(key..).take(3)),
                "{key}"
            );
        }
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
