//! What the page remembers in the browser: `localStorage` under versioned keys. Storage that is full or forbidden loses
//! what is to be remembered, never the page: where the browser keeps nothing, the page itself does, for as long as it is open.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The keys' common beginning. The number is the version of what is stored: a later one reads this one's keys, moves them
/// and leaves none behind.
const PREFIX: &str = "kubarium/1/";

thread_local! {
    /// What is remembered where the browser keeps nothing.
    static MEMORY: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Why something could not be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageError {
    /// The browser keeps nothing for this page.
    Unavailable,
    /// The browser's room for this page is used up.
    Full,
}

/// How the page stands inside another one that embeds it, as `boot.js` has marked the root element: empty or `readonly`;
/// none where it stands alone.
pub(crate) fn embedded() -> Option<String> {
    let root = web_sys::window().and_then(|window| window.document()?.document_element());
    root?.get_attribute("data-embed")
}

/// Whether the page is inside another one that embeds it.
pub(crate) fn is_embedded() -> bool {
    embedded().is_some()
}

/// A key as the browser has it. What is remembered of the page inside others is not what is remembered of it alone.
fn whole(key: &str) -> String {
    let place = if is_embedded() { "embed/" } else { "" };
    format!("{PREFIX}{place}{key}")
}

fn local_storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

/// Whether the browser keeps what is remembered for the next visit.
pub(crate) fn is_kept() -> bool {
    local_storage().is_some()
}

/// What was remembered under `key`.
pub(crate) fn get(key: &str) -> Option<String> {
    match local_storage() {
        Some(storage) => storage.get_item(&whole(key)).ok()?,
        None => MEMORY.with_borrow(|memory| memory.get(&whole(key)).cloned()),
    }
}

/// Remembers `value` under `key`.
///
/// # Errors
/// Where the browser keeps nothing, so that it is remembered until the page is closed; or where it has no room left, and
/// what was there before is still there.
pub(crate) fn set(key: &str, value: &str) -> Result<(), StorageError> {
    let key = whole(key);
    match local_storage() {
        Some(storage) => storage
            .set_item(&key, value)
            .map_err(|_| StorageError::Full),
        None => {
            MEMORY.with_borrow_mut(|memory| memory.insert(key, value.to_owned()));
            Err(StorageError::Unavailable)
        }
    }
}

/// Forgets what was remembered under `key`.
pub(crate) fn remove(key: &str) {
    let key = whole(key);
    match local_storage() {
        // What cannot be forgotten was not remembered.
        Some(storage) => drop(storage.remove_item(&key)),
        None => MEMORY.with_borrow_mut(|memory| drop(memory.remove(&key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn what_is_set_is_got_until_it_is_removed() {
        assert_eq!(get("test"), None);
        assert_eq!(set("test", "spec:\n  größe: 3"), Ok(()));
        assert_eq!(get("test").as_deref(), Some("spec:\n  größe: 3"));
        remove("test");
        assert_eq!(get("test"), None);
    }

    #[wasm_bindgen_test]
    fn a_full_storage_says_so_and_keeps_what_was_there() {
        set("test-full", "small").unwrap();
        assert_eq!(
            set("test-full", &"x".repeat(20 << 20)),
            Err(StorageError::Full)
        );
        assert_eq!(get("test-full").as_deref(), Some("small"));
        remove("test-full");
    }
}
