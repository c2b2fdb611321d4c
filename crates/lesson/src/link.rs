//! What stands behind the `#` of an address.
//!
//! ```text
//! #scene=pod-to-service
//! #exercise=first-deployment
//! #state=1.DATA.CHECK
//! ```
//!
//! DATA is a state's text ([`kubarium_shell::state`]), deflated without a header (RFC 1951) and
//! written in base64url without padding (RFC 4648, 5). CHECK is the CRC-32 of that text in eight
//! hexadecimal digits. The number in front is the version of this form.

use kubarium_shell::state::{STATE_BYTES_MAX, State, StateError};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The version of the form.
const VERSION: &str = "1";
/// The most characters of a link's fragment. Browsers take more, much of what passes links on does
/// not.
pub const FRAGMENT_MAX: usize = 32_000;
/// deflate's usual level.
const LEVEL: u8 = 9;

/// What a link says.
#[derive(Clone, Debug)]
pub enum Link {
    /// A scene by its name.
    Scene(String),
    /// An exercise by its name.
    Exercise(String),
    /// A whole state.
    State(Box<State>),
}

/// The fragment of a state, without `#`.
///
/// # Errors
/// The number of characters where they are too many for a link: then a file has to do.
pub fn write(state: &State) -> Result<String, usize> {
    let text = state.write();
    let data = base64url(&compress_to_vec(text.as_bytes(), LEVEL));
    let fragment = format!("state={VERSION}.{data}.{:08x}", crc32(text.as_bytes()));
    if fragment.len() > FRAGMENT_MAX {
        return Err(fragment.len());
    }
    Ok(fragment)
}

/// Reads a fragment, with or without `#`; `None` where it says nothing.
///
/// # Errors
/// What is wrong with it, and what can be saved of it.
pub fn read(fragment: &str) -> Result<Option<Link>, StateError> {
    let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
    if fragment.is_empty() {
        return Ok(None);
    }
    if fragment.len() > FRAGMENT_MAX {
        return Err(wrong(format!(
            "the link is longer than {FRAGMENT_MAX} characters; ask for the state as a file"
        )));
    }
    let (key, value) = fragment.split_once('=').unwrap_or((fragment, ""));
    match key {
        "scene" => name(value).map(|name| Some(Link::Scene(name))),
        "exercise" => name(value).map(|name| Some(Link::Exercise(name))),
        "state" => state(value).map(|state| Some(Link::State(Box::new(state)))),
        // An anchor of the page is none of ours.
        _ => Ok(None),
    }
}

fn wrong(message: String) -> StateError {
    StateError {
        message,
        saved: None,
    }
}

fn name(value: &str) -> Result<String, StateError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if value.is_empty() || value.len() > 63 || !value.chars().all(fine) {
        return Err(wrong(
            "the link names no scene or exercise: a name has small letters, digits and -"
                .to_owned(),
        ));
    }
    Ok(value.to_owned())
}

fn state(value: &str) -> Result<State, StateError> {
    let mut parts = value.split('.');
    let (version, data, check) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    if version != VERSION {
        let message = match version.parse::<u32>() {
            Ok(_) => format!(
                "the link was made by a newer version (form {version}; this one reads {VERSION}): \
                 reload the page, or ask for the state as a file"
            ),
            Err(_) => {
                "the link is damaged: it does not begin with the version of its form".to_owned()
            }
        };
        return Err(wrong(message));
    }
    // Mail programs and the like cut links off or add to them: what is there is read.
    let data = data.unwrap_or("");
    let end = data.bytes().position(|b| digit(b).is_none());
    let good = &data[..end.unwrap_or(data.len())];
    let (bytes, inflated) =
        match decompress_to_vec_with_limit(&from_base64url(good), STATE_BYTES_MAX) {
            Ok(bytes) => (bytes, true),
            Err(error) if error.output.len() >= STATE_BYTES_MAX => {
                return Err(wrong(format!(
                    "the link unpacks to more than {} MiB, which is too much",
                    STATE_BYTES_MAX >> 20
                )));
            }
            Err(error) => (error.output, false),
        };
    let whole = inflated
        && end.is_none()
        && parts.next().is_none()
        && check == Some(format!("{:08x}", crc32(&bytes)).as_str());
    let text = String::from_utf8_lossy(&bytes);
    match State::read(&text) {
        Ok(state) if whole => Ok(state),
        Ok(state) => Err(StateError {
            message: format!(
                "the link is damaged or was cut short; {} inputs can be saved of it",
                state.history.len()
            ),
            saved: Some(Box::new(state)),
        }),
        Err(error) if whole => Err(error),
        Err(error) => Err(StateError {
            message: match &error.saved {
                Some(state) => format!(
                    "the link is damaged or was cut short; {} inputs can be saved of it",
                    state.history.len()
                ),
                None => {
                    "the link is damaged or was cut short; nothing can be saved of it".to_owned()
                }
            },
            saved: error.saved,
        }),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let six = (n >> (18 - 6 * place)) as usize & 63;
            out.push(char::from(ALPHABET[six]));
        }
    }
    out
}

fn digit(byte: u8) -> Option<u32> {
    ALPHABET.iter().position(|a| *a == byte).map(|at| at as u32)
}

/// The bytes of a text that has digits only.
fn from_base64url(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let n = chunk
            .iter()
            .fold(0_u32, |n, b| n << 6 | digit(*b).unwrap_or(0));
        let n = n << (6 * (4 - chunk.len()));
        let bytes = n.to_be_bytes();
        out.extend_from_slice(&bytes[1..chunk.len()]);
    }
    out
}

/// CRC-32 as in gzip (RFC 1952).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubarium_cluster::{Config, Time};
    use kubarium_shell::state::{Given, Input};

    fn sample(commands: usize) -> State {
        let mut state = State::new(Config::default());
        for n in 0..commands {
            state.history.push(Input {
                at: Time(n as u64 * 1_000),
                steps: n as u64,
                given: Given::Run(format!("kubectl create configmap map-{n}")),
                terminal: String::new(),
            });
        }
        state
    }

    #[test]
    fn codes_are_those_of_the_rfcs() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0xff, 0xfe, 0xfd]] {
            assert_eq!(from_base64url(&base64url(bytes)), bytes);
        }
        assert_eq!(base64url(b"foob"), "Zm9vYg");
        assert_eq!(base64url(&[0xff, 0xef]), "_-8");
    }

    #[test]
    fn a_link_holds_a_state() {
        let state = sample(50);
        let fragment = write(&state).unwrap();
        let Ok(Some(Link::State(read))) = read(&format!("#{fragment}")) else {
            panic!("{fragment}");
        };
        assert_eq!(read.write(), state.write());
        assert!(fragment.len() < 1_000, "{}", fragment.len());
        assert!(
            matches!(super::read("#scene=pod-to-pod"), Ok(Some(Link::Scene(name))) if name == "pod-to-pod")
        );
        assert!(matches!(
            super::read("#exercise=a-1"),
            Ok(Some(Link::Exercise(_)))
        ));
        assert!(matches!(super::read("#main"), Ok(None)));
        assert!(matches!(super::read(""), Ok(None)));
    }

    #[test]
    fn damaged_links_say_so_and_save_what_they_can() {
        let fragment = write(&sample(50)).unwrap();
        let cut = &fragment[..fragment.len() / 2];
        let error = read(cut).unwrap_err();
        assert!(error.message.contains("cut short"), "{}", error.message);
        assert!(
            error
                .saved
                .is_some_and(|s| !s.history.is_empty() && s.history.len() < 50)
        );
        for (link, want) in [
            ("state=2.AAAA.00000000".to_owned(), "newer version"),
            ("state=x".to_owned(), "damaged"),
            ("state=1".to_owned(), "nothing can be saved"),
            (
                fragment.replace("state=1.", "state=1.!"),
                "nothing can be saved",
            ),
            (format!("{fragment}."), "50 inputs can be saved"),
            (
                format!("{}0", &fragment[..fragment.len() - 1]),
                "can be saved",
            ),
            (format!("state={}", "A".repeat(FRAGMENT_MAX)), "longer than"),
            ("scene=../x".to_owned(), "names no scene"),
            ("exercise=".to_owned(), "names no scene"),
        ] {
            let message = read(&link).err().map(|e| e.message).unwrap_or_default();
            // The last digit may have been the right one already.
            assert!(
                message.contains(want) || link == fragment,
                "{link}: {message}"
            );
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        let bomb = compress_to_vec(&vec![b' '; 64 << 20], 9);
        let data = base64url(&bomb);
        let link = format!(
            "state=1.{}.00000000",
            &data[..data.len().min(FRAGMENT_MAX - 30)]
        );
        let message = read(&link).unwrap_err().message;
        assert!(message.contains("more than 4 MiB"), "{message}");
    }

    #[test]
    fn what_is_too_long_for_a_link_is_not_made() {
        let mut state = sample(0);
        let noise: Vec<u8> = (1..90_000_u32)
            .map(|n| (n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 17) as u8)
            .collect();
        state.history.push(Input {
            at: Time(0),
            steps: 0,
            given: Given::File {
                path: "/x".into(),
                bytes: noise.into(),
            },
            terminal: String::new(),
        });
        assert!(write(&state).is_err_and(|length| length > FRAGMENT_MAX));
    }
}
