//! Texts of strangers: nothing in them runs, hangs or panics, and nothing that could run is left of
//! them in what is drawn.

use kubarium_cluster::{Config, Time};
use kubarium_lesson::markdown;
use kubarium_lesson::protocol;
use kubarium_lesson::{Lesson, link};
use kubarium_shell::state::{Given, Input, State};
use kubarium_snapshot::text::{Block, Inline};

const STRINGS: &str = include_str!("attacks.txt");

/// The strings, one a line; `\xNN`, `\u{N}` and `\n` stand for what they say, `{N}×` in front for N
/// repetitions.
fn attacks() -> Vec<Vec<u8>> {
    STRINGS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| {
            let (times, line) = match line.strip_prefix('{').and_then(|l| l.split_once("}×")) {
                Some((times, rest)) if times.parse::<usize>().is_ok() => {
                    (times.parse().unwrap(), rest)
                }
                _ => (1, line),
            };
            unescape(line).repeat(times)
        })
        .collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        if let Some(code) = rest
            .strip_prefix('x')
            .and_then(|r| r.get(..2))
            .and_then(hex)
        {
            out.push(code as u8);
            rest = &rest[3..];
        } else if let Some((code, after)) = rest.strip_prefix("u{").and_then(|r| r.split_once('}'))
        {
            let c = hex(code).and_then(char::from_u32).unwrap();
            out.extend_from_slice(c.to_string().as_bytes());
            rest = after;
        } else if let Some(after) = rest.strip_prefix('n') {
            out.push(b'\n');
            rest = after;
        } else {
            out.push(b'\\');
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn texts() -> Vec<String> {
    attacks()
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect()
}

/// Every link of a text leads to http, https or a place of the page, and no text hides anything.
fn is_harmless(text: &str, blocks: &[Block]) {
    fn check(text: &str, inlines: &[Inline]) {
        for inline in inlines {
            match inline {
                Inline::Text { text: words } | Inline::Code { text: words } => {
                    assert!(
                        !words.contains(kubarium_lesson::clean::is_hidden),
                        "{text:?}"
                    );
                }
                Inline::Emphasis { content } | Inline::Strong { content } => check(text, content),
                Inline::Link { to, content } => {
                    let lower = to.to_lowercase();
                    let absolute = lower.starts_with("http://") || lower.starts_with("https://");
                    let before_path = lower.split(['/', '?', '#']).next().unwrap_or("");
                    assert!(absolute || !before_path.contains(':'), "{text:?}: {to}");
                    assert!(absolute || !lower.starts_with("//"), "{text:?}: {to}");
                    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
                    assert!(!to.contains(odd), "{text:?}: {to:?}");
                    check(text, content);
                }
                Inline::Break => {}
            }
        }
    }
    for block in blocks {
        match block {
            Block::Heading { content, .. } | Block::Paragraph { content } => check(text, content),
            Block::List { items, .. } => items.iter().for_each(|item| is_harmless(text, item)),
            Block::Quote { content } => is_harmless(text, content),
            Block::Table { head, rows } => {
                head.iter().for_each(|cell| check(text, cell));
                rows.iter().flatten().for_each(|cell| check(text, cell));
            }
            Block::Code { language, .. } => {
                assert!(
                    language
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-')
                );
            }
            Block::Rule => {}
        }
    }
}

#[test]
fn there_are_enough_of_them() {
    let attacks = attacks();
    let distinct: std::collections::BTreeSet<_> = attacks.iter().collect();
    assert!(distinct.len() >= 200, "{}", distinct.len());
}

#[test]
fn markdown_stays_harmless() {
    for text in texts() {
        for around in [
            text.clone(),
            format!("[x]({text})"),
            format!("[x][y]\n\n[y]: {text}"),
            format!("<{text}>"),
            format!("> - # {text}"),
        ] {
            is_harmless(&around, &markdown::parse(&around));
        }
    }
}

#[test]
fn links_say_what_is_wrong() {
    let state = State::new(Config::default());
    let good = link::write(&state).unwrap();
    for text in texts() {
        for fragment in [
            text.clone(),
            format!("#{text}"),
            format!("scene={text}"),
            format!("exercise={text}"),
            format!("state={text}"),
            format!("state=1.{text}"),
            format!("{good}{text}"),
            good.replacen('.', &format!(".{text}"), 1),
        ] {
            if let Err(error) = link::read(&fragment) {
                // Nothing of the link itself is repeated where it could be taken for ours.
                assert!(
                    !error.message.contains('<') && error.message.len() < 400,
                    "{}",
                    error.message
                );
            }
        }
    }
}

#[test]
fn states_are_read_or_refused() {
    for bytes in attacks() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(State::read(&text).is_err());
        let mut state = State::new(Config::default());
        let input = |given| Input {
            at: Time(1),
            steps: 1,
            given,
            terminal: text.clone(),
        };
        state.history.push(input(Given::Run(text.clone())));
        state.history.push(input(Given::File {
            path: text.clone(),
            bytes: bytes.clone().into(),
        }));
        let written = state.write();
        let read = State::read(&written).unwrap();
        assert_eq!(read.history, state.history);
        // Another value in the place of every field.
        for field in [
            "format", "program", "cluster", "objects", "end", "view", "history",
        ] {
            let json = serde_json::to_string(&text).unwrap();
            let odd = written.replacen(
                &format!("\"{field}\":"),
                &format!("\"{field}\":{json},\"x\":"),
                1,
            );
            let _ = State::read(&odd);
        }
    }
}

#[test]
fn lessons_are_read_or_refused_with_the_place() {
    const FIELDS: [&str; 12] = [
        "name", "title", "summary", "text", "reveal", "files", "start", "view", "tasks", "failIf",
        "limits", "cluster",
    ];
    let exercise = include_str!("../../kubarium/src/exercise.yaml");
    for (index, text) in texts().into_iter().enumerate() {
        assert!(Lesson::read(&text).is_err(), "{text:?}");
        let quoted = serde_json::to_string(&text).unwrap();
        // In some of the fields each, so that all fields have had many.
        for field in FIELDS.iter().skip(index % 4).step_by(4) {
            let mut lines: Vec<String> = exercise.lines().map(str::to_owned).collect();
            let at = lines
                .iter()
                .position(|l| l.starts_with(&format!("{field}:")))
                .unwrap();
            lines[at] = format!("{field}: {quoted}");
            if let Err(problems) = Lesson::read(&lines.join("\n")) {
                assert!(problems.iter().all(|p| p.line > 0), "{problems:?}");
            }
        }
        // As a command it has to be what it looks like.
        let command = exercise.replace("  - sim settle", &format!("  - {quoted}"));
        if let Ok(Lesson::Exercise(read)) = Lesson::read(&command) {
            let hidden = read
                .setting
                .start
                .iter()
                .any(|c| kubarium_lesson::clean::has_hidden(c));
            assert!(!hidden, "{text:?}");
        }
    }
}

#[test]
fn messages_are_read_or_refused() {
    for text in texts() {
        assert_eq!(
            protocol::read(&text),
            Err(protocol::Refusal::Ignore),
            "{text:?}"
        );
        let json = serde_json::to_string(&text).unwrap();
        for message in [
            format!("{{\"kubarium\":1,\"id\":1,\"ask\":{json}}}"),
            format!("{{\"kubarium\":{json},\"ask\":\"run\"}}"),
        ] {
            assert!(protocol::read(&message).is_err());
        }
        let run = format!("{{\"kubarium\":1,\"id\":1,\"ask\":\"run\",\"command\":{json}}}");
        let read = protocol::read(&run).map(|ask| ask.what);
        assert_eq!(read, Ok(protocol::Request::Run { command: text }));
    }
}
