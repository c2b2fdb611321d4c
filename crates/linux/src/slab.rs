//! A vector whose clones share all that has not changed since: chunks of shared items.

use std::sync::Arc;

const CHUNK: usize = 64;

/// Items by a number that is never used twice. A clone costs one count per 64 items; a change after a clone copies
/// one chunk of pointers and the item changed.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Arc<Vec<Option<Arc<T>>>>>,
    next: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            chunks: Vec::new(),
            next: 0,
        }
    }
}

impl<T: Clone> Slab<T> {
    /// The number that the next item pushed will have.
    pub fn next_id(&self) -> u32 {
        self.next as u32
    }

    pub fn push(&mut self, item: T) -> u32 {
        if self.next.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::new()));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Some(Arc::new(item)));
        }
        self.next += 1;
        (self.next - 1) as u32
    }

    #[inline]
    pub fn get(&self, id: u32) -> Option<&T> {
        let id = id as usize;
        self.chunks.get(id / CHUNK)?.get(id % CHUNK)?.as_deref()
    }

    #[inline]
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let id = id as usize;
        Arc::make_mut(self.chunks.get_mut(id / CHUNK)?)
            .get_mut(id % CHUNK)?
            .as_mut()
            .map(Arc::make_mut)
    }

    pub fn remove(&mut self, id: u32) -> Option<Arc<T>> {
        let id = id as usize;
        let chunk = self.chunks.get_mut(id / CHUNK)?;
        chunk.get(id % CHUNK)?.as_ref()?;
        Arc::make_mut(chunk).get_mut(id % CHUNK)?.take()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .enumerate()
            .filter_map(|(id, item)| item.as_deref().map(|item| (id as u32, item)))
    }
}
