//! Colours for what commands print: states and complaints stand out, the text stays as it is.

use leptos::prelude::*;

/// The most bytes that are coloured; more is shown plain.
const PAINTED_MAX: usize = 64 << 10;

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Quiet => "quiet",
        }
    }
}

/// What a command has printed, in colours.
pub(crate) fn paint(text: &str) -> impl IntoView + use<> {
    if text.len() > PAINTED_MAX {
        return text.to_owned().into_any();
    }
    let piece = |(tone, text): (Tone, String)| match tone {
        Tone::Plain => text.into_any(),
        tone => view! { <span class=tone.class()>{text}</span> }.into_any(),
    };
    pieces(text)
        .into_iter()
        .map(piece)
        .collect_view()
        .into_any()
}

/// The text in pieces, those of one tone together.
fn pieces(text: &str) -> Vec<(Tone, String)> {
    let mut all: Vec<(Tone, String)> = Vec::new();
    let mut add = |tone: Tone, text: &str| match all.last_mut() {
        Some((last, so_far)) if *last == tone => so_far.push_str(text),
        _ if text.is_empty() => {}
        _ => all.push((tone, text.to_owned())),
    };
    for line in text.split_inclusive('\n') {
        match of_line(line) {
            Some(tone) => add(tone, line),
            None => {
                for word in line.split_inclusive([' ', '\n', ',']) {
                    let bare = word.trim_end_matches([' ', '\n', ',']);
                    add(of_word(bare), bare);
                    add(Tone::Plain, &word[bare.len()..]);
                }
            }
        }
    }
    all
}

/// The tone of a whole line: complaints, and the heads of tables.
fn of_line(line: &str) -> Option<Tone> {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    if begins(&[
        "Error",
        "error:",
        "sim: ",
        "sh: ",
        "ssh: ",
        "The connection to the server",
        "Unable to connect",
    ]) {
        return Some(Tone::Bad);
    }
    if begins(&["Warning:", "W0", "W1"]) {
        return Some(Tone::Warn);
    }
    let is_head = line.trim().len() > 3
        && line.contains("  ")
        && line
            .chars()
            .all(|c| c.is_ascii_uppercase() || " -_()\n".contains(c));
    is_head.then_some(Tone::Quiet)
}

/// The tone of a word: the states of pods, nodes, conditions.
fn of_word(word: &str) -> Tone {
    match word {
        "Running" | "Ready" | "Completed" | "Succeeded" | "Bound" | "Active" | "Complete"
        | "Available" => Tone::Good,
        "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" | "Unknown"
        | "Warning" => Tone::Warn,
        "CrashLoopBackOff"
        | "Error"
        | "ImagePullBackOff"
        | "ErrImagePull"
        | "OOMKilled"
        | "Failed"
        | "Evicted"
        | "NotReady"
        | "CreateContainerConfigError"
        | "RunContainerError"
        | "InvalidImageName"
        | "Lost" => Tone::Bad,
        word if word.contains("SchedulingDisabled") => Tone::Warn,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn the_text_stays_as_it_is() {
        for text in [
            "",
            "NAME   READY   STATUS\nweb    0/1     CrashLoopBackOff   3 (10s ago)\n",
            "Error from server (NotFound): pods \"x\" not found",
            "a, b,\n\n  c",
        ] {
            let whole: String = pieces(text).into_iter().map(|(_, text)| text).collect();
            assert_eq!(whole, text);
        }
        let tones = pieces("NAME   STATUS\nweb    Running\n");
        assert!(
            tones.contains(&(Tone::Good, "Running".to_owned())),
            "{tones:?}"
        );
        assert_eq!(tones[0].0, Tone::Quiet);
    }
}
