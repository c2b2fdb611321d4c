//! Vectors whose clones share all that has not changed since: chunks of items.

use std::sync::Arc;

const CHUNK: usize = 64;

/// Items by a number that is never used twice. A clone costs one count per 64 items; a change after a clone copies the 64
/// around it. For items that are small, or cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Arc<Vec<Option<T>>>>,
    next: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks {
            chunks: Vec::new(),
            next: 0,
        }
    }
}

impl<T: Clone> Chunks<T> {
    /// The number that the next item pushed will have.
    pub fn next_id(&self) -> u32 {
        self.next as u32
    }

    pub fn push(&mut self, item: T) -> u32 {
        if self.next.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::new()));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Some(item));
        }
        self.next += 1;
        (self.next - 1) as u32
    }

    /// Takes the next number for an item that is made when it is first changed
    /// ([`get_or_default`](Chunks::get_or_default)).
    pub fn push_later(&mut self) {
        if self.next.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::default());
        }
        self.next += 1;
    }

    #[inline]
    pub fn get(&self, id: u32) -> Option<&T> {
        let id = id as usize;
        self.chunks.get(id / CHUNK)?.get(id % CHUNK)?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let id = id as usize;
        Arc::make_mut(self.chunks.get_mut(id / CHUNK)?)
            .get_mut(id % CHUNK)?
            .as_mut()
    }

    /// The item, to be changed, made where there is none; None for a number that was never given.
    #[inline]
    pub fn get_or_default(&mut self, id: u32) -> Option<&mut T>
    where
        T: Default,
    {
        let id = id as usize;
        let chunk = Arc::make_mut(self.chunks.get_mut(id / CHUNK)?);
        if chunk.len() <= id % CHUNK {
            chunk.resize(id % CHUNK + 1, None);
        }
        Some(chunk.get_mut(id % CHUNK)?.get_or_insert_default())
    }

    pub fn remove(&mut self, id: u32) -> Option<T> {
        let id = id as usize;
        let last = self.chunks.len().checked_sub(1)?;
        let chunk = self.chunks.get_mut(id / CHUNK)?;
        chunk.get(id % CHUNK)?.as_ref()?;
        let items = Arc::make_mut(chunk);
        let item = items.get_mut(id % CHUNK)?.take();
        // A chunk that nothing is left of gives its room back; the last one is still being filled.
        if id / CHUNK != last && items.iter().all(Option::is_none) {
            *chunk = Arc::default();
        }
        item
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().enumerate().flat_map(|(n, chunk)| {
            let items = chunk.iter().enumerate();
            items.filter_map(move |(at, item)| Some(((n * CHUNK + at) as u32, item.as_ref()?)))
        })
    }
}

/// Items that are large: a change after a clone copies one chunk of pointers and the item changed.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T>(Chunks<Arc<T>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab(Chunks::default())
    }
}

impl<T: Clone> Slab<T> {
    /// The number that the next item pushed will have.
    pub fn next_id(&self) -> u32 {
        self.0.next_id()
    }

    pub fn push(&mut self, item: T) -> u32 {
        self.0.push(Arc::new(item))
    }

    #[inline]
    pub fn get(&self, id: u32) -> Option<&T> {
        self.0.get(id).map(|item| &**item)
    }

    #[inline]
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.0.get_mut(id).map(Arc::make_mut)
    }

    pub fn remove(&mut self, id: u32) -> Option<Arc<T>> {
        self.0.remove(id)
    }

    /// The items that are not the very same in an earlier clone: new or changed since.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (u32, &'a T)> {
        let chunks = self.0.chunks.iter().enumerate();
        let changed = chunks
            .filter(|(n, chunk)| !(before.0.chunks.get(*n)).is_some_and(|b| Arc::ptr_eq(b, chunk)));
        changed.flat_map(move |(n, chunk)| {
            let items = chunk.iter().enumerate();
            items.filter_map(move |(at, item)| {
                let old = before.0.chunks.get(n).and_then(|b| b.get(at)?.as_ref());
                let item = item.as_ref()?;
                let same = old.is_some_and(|old| Arc::ptr_eq(old, item));
                (!same).then_some(((n * CHUNK + at) as u32, &**item))
            })
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().map(|(id, item)| (id, &**item))
    }
}

/// Small values by an item's number, side by side: quick to count up for many items at once. A clone costs one count
/// per chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column<T> {
    chunks: Vec<Arc<[T; COLUMN_CHUNK]>>,
}

const COLUMN_CHUNK: usize = 16;

impl<T: Copy + Default> Column<T> {
    /// Makes room for the values of all numbers below `next`.
    pub fn grow(&mut self, next: u32) {
        while self.chunks.len() * COLUMN_CHUNK < next as usize {
            self.chunks.push(Arc::new([T::default(); COLUMN_CHUNK]));
        }
    }

    #[inline]
    pub fn get(&self, id: u32) -> T {
        let chunk = self.chunks.get(id as usize / COLUMN_CHUNK);
        chunk.map_or_else(T::default, |chunk| chunk[id as usize % COLUMN_CHUNK])
    }

    /// The value of a number that there is room for.
    #[inline]
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(id as usize / COLUMN_CHUNK)?;
        Arc::make_mut(chunk).get_mut(id as usize % COLUMN_CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, COLUMN_CHUNK, Chunks, Column, Slab};

    #[test]
    fn a_column_has_a_value_for_each_number() {
        let mut column: Column<u64> = Column::default();
        let last = COLUMN_CHUNK as u32;
        column.grow(last + 1);
        let before = column.clone();
        *column.get_mut(last).expect("there is room") += 3;
        assert_eq!((column.get(last), before.get(last)), (3, 0));
        assert_eq!((column.get(0), column.get(1_000)), (0, 0));
        assert!(column.get_mut(2 * last).is_none());
    }

    #[test]
    fn an_item_can_be_made_later() {
        let mut slab: Chunks<u32> = Chunks::default();
        (0..2 * CHUNK).for_each(|_| slab.push_later());
        assert_eq!((slab.next_id(), slab.iter().count()), (2 * CHUNK as u32, 0));
        for n in [70, 65, 3] {
            *slab.get_or_default(n).expect("a number that was given") += n;
            *slab.get_or_default(n).expect("the same") += 1;
        }
        assert_eq!(slab.get_or_default(2 * CHUNK as u32), None);
        let made: Vec<_> = slab.iter().collect();
        assert_eq!(made, [(3, &4), (65, &66), (70, &71)]);
        assert_eq!((slab.remove(3), slab.remove(4)), (Some(4), None));
        *slab.get_or_default(5).expect("its chunk was given back") = 6;
        assert_eq!(slab.get(5), Some(&6));
    }

    #[test]
    fn numbers_are_never_used_twice_and_empty_chunks_are_freed() {
        let mut slab = Slab::default();
        for n in 0..3 * CHUNK as u32 {
            assert_eq!(slab.push(n), n);
        }
        let before = slab.clone();
        for n in 0..2 * CHUNK as u32 + 1 {
            assert_eq!(slab.remove(n).as_deref(), Some(&n));
            assert_eq!(slab.remove(n), None);
        }
        assert_eq!(slab.push(7), 3 * CHUNK as u32);
        assert_eq!(
            slab.iter().next(),
            Some((2 * CHUNK as u32 + 1, &(2 * CHUNK as u32 + 1)))
        );
        assert_eq!(slab.0.chunks[0].capacity(), 0);
        assert_eq!(before.iter().count(), 3 * CHUNK);
        let same = slab.clone();
        if let Some(item) = slab.get_mut(3 * CHUNK as u32) {
            *item = 8;
        }
        let changed: Vec<_> = slab.changed_since(&same).collect();
        assert_eq!(changed, [(3 * CHUNK as u32, &8)]);
    }
}
