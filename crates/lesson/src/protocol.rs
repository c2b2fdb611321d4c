//! What a page that embeds the simulator and the simulator say to each other: docs/EMBEDDING.md.
//!
//! Each message is one JSON object of limited size, sent through a `MessagePort` that both got in
//! a handshake. This side reads what may come from anybody: what is no message is ignored, what
//! is one but wrong is answered with an error, and too many in a second are refused.

use kubarium_objects::{Value, object};

/// The version of the protocol.
pub const VERSION: i64 = 1;
/// The most bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// How many messages may come at once.
pub const BURST_MAX: f64 = 40.0;
/// How many messages may come in a second over time.
pub const RATE_PER_SECOND: f64 = 20.0;

/// A question of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The host's number for it; the answer has the same.
    pub id: i64,
    /// What it wants.
    pub what: Request,
}

/// What a host may ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Apply manifests.
    Apply {
        /// The manifests, in YAML.
        manifests: String,
    },
    /// Run a command line in the terminal.
    Run {
        /// The command line.
        command: String,
    },
    /// Give the whole state.
    State,
    /// Take a state's place.
    Load {
        /// The state's text.
        state: String,
    },
    /// Begin a scene or an exercise.
    Lesson {
        /// Its file.
        text: String,
    },
    /// Send a packet, and tell its way.
    Trace {
        /// `pod/NAME[.NAMESPACE]`, `node/NAME` or `outside`.
        from: String,
        /// A name, an address or a URL.
        to: String,
    },
    /// Show something.
    View {
        /// The view; empty: as it is.
        show: String,
        /// What is selected; empty: nothing.
        focus: String,
    },
    /// Set the colours.
    Theme {
        /// `light`, `dark` or `auto`.
        theme: String,
    },
    /// Speak a language.
    Language {
        /// Its tag (BCP 47): `de`, `en-GB`; empty for the one that the browser asks for.
        language: String,
    },
}

/// Why a message is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none of this protocol: nothing is answered.
    Ignore,
    /// It is wrong: this is answered.
    Answer {
        /// The message's number, where it has one.
        id: i64,
        /// A word for programs: `version`, `unknown`, `invalid`, `busy`.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
}

/// Reads a message.
///
/// # Errors
/// Why it is not taken.
pub fn read(text: &str) -> Result<Ask, Refusal> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(Refusal::Answer {
            id: 0,
            code: "invalid",
            message: format!("the message is larger than {} kB", MESSAGE_BYTES_MAX >> 10),
        });
    }
    let message = Value::from_json(text).map_err(|_| Refusal::Ignore)?;
    let (Some(version), Some(ask)) = (message["kubarium"].as_i64(), message["ask"].as_str()) else {
        return Err(Refusal::Ignore);
    };
    let id = message["id"].as_i64().unwrap_or(0);
    let refuse = |code, message: String| Refusal::Answer { id, code, message };
    if version != VERSION {
        return Err(refuse(
            "version",
            format!("the message has version {version}; this is version {VERSION}"),
        ));
    }
    let text = |key: &str| match &message[key] {
        Value::String(text) => Ok(text.to_string()),
        _ => Err(refuse("invalid", format!("{ask} needs the text {key:?}"))),
    };
    let optional = |key: &str| message[key].str().to_owned();
    let what = match ask {
        "apply" => Request::Apply {
            manifests: text("manifests")?,
        },
        "run" => Request::Run {
            command: text("command")?,
        },
        "state" => Request::State,
        "load" => Request::Load {
            state: text("state")?,
        },
        "lesson" => Request::Lesson {
            text: text("text")?,
        },
        "trace" => Request::Trace {
            from: text("from")?,
            to: text("to")?,
        },
        "view" => Request::View {
            show: optional("show"),
            focus: optional("focus"),
        },
        "theme" => Request::Theme {
            theme: text("theme")?,
        },
        "language" => Request::Language {
            language: text("language")?,
        },
        other => return Err(refuse("unknown", format!("there is no question {other:?}"))),
    };
    Ok(Ask { id, what })
}

/// What the simulator tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Tell {
    /// The cluster is up.
    Ready,
    /// Manifests were applied.
    Applied {
        /// What kubectl printed.
        output: String,
        /// Its exit status.
        status: i32,
    },
    /// A packet was sent.
    Verdict {
        /// From where.
        from: String,
        /// To where.
        to: String,
        /// What became of it.
        verdict: String,
        /// Why.
        reason: String,
    },
    /// A task of the exercise was done.
    Task {
        /// The exercise's name.
        exercise: String,
        /// The task's name.
        task: String,
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
    },
    /// All tasks of the exercise were done.
    Exercise {
        /// The exercise's name.
        exercise: String,
    },
    /// Something went wrong.
    Error {
        /// A word for programs.
        code: String,
        /// A sentence for people.
        message: String,
    },
}

impl Tell {
    /// The message's text.
    pub fn write(&self) -> String {
        let mut message = match self {
            Tell::Ready => object([("event", "ready".into())]),
            Tell::Applied { output, status } => object([
                ("event", "applied".into()),
                ("output", output.as_str().into()),
                ("status", i64::from(*status).into()),
            ]),
            Tell::Verdict {
                from,
                to,
                verdict,
                reason,
            } => object([
                ("event", "verdict".into()),
                ("from", from.as_str().into()),
                ("to", to.as_str().into()),
                ("verdict", verdict.as_str().into()),
                ("reason", reason.as_str().into()),
            ]),
            Tell::Task {
                exercise,
                task,
                done,
                of,
            } => object([
                ("event", "task-done".into()),
                ("exercise", exercise.as_str().into()),
                ("task", task.as_str().into()),
                ("done", (*done as i64).into()),
                ("of", (*of as i64).into()),
            ]),
            Tell::Exercise { exercise } => object([
                ("event", "exercise-done".into()),
                ("exercise", exercise.as_str().into()),
            ]),
            Tell::Error { code, message } => object([
                ("event", "error".into()),
                ("code", code.as_str().into()),
                ("message", message.as_str().into()),
            ]),
        };
        message["kubarium"] = VERSION.into();
        message.to_json()
    }
}

/// The answer to a question.
pub fn answer(id: i64, result: Result<Value, (&str, &str)>) -> String {
    let mut message = match result {
        Ok(value) => object([("answer", value), ("ok", true.into())]),
        Err((code, text)) => object([
            ("ok", false.into()),
            ("code", code.into()),
            ("message", text.into()),
        ]),
    };
    message["kubarium"] = VERSION.into();
    message["id"] = id.into();
    message.to_json()
}

/// Lets so many messages in a second through, and refuses the others.
#[derive(Clone, Debug)]
pub struct Gate {
    room: f64,
    at_ms: f64,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            room: BURST_MAX,
            at_ms: 0.0,
        }
    }
}

impl Gate {
    /// Whether a message that comes at this time, in milliseconds, is let through.
    pub fn pass(&mut self, now_ms: f64) -> bool {
        let gone = (now_ms - self.at_ms).max(0.0) / 1000.0;
        self.at_ms = self.at_ms.max(now_ms);
        self.room = (self.room + gone * RATE_PER_SECOND).min(BURST_MAX);
        let passes = self.room >= 1.0;
        if passes {
            self.room -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        let run = read(r#"{"kubarium":1,"id":7,"ask":"run","command":"kubectl get pods"}"#);
        let what = Request::Run {
            command: "kubectl get pods".to_owned(),
        };
        assert_eq!(run, Ok(Ask { id: 7, what }));
        for (text, want) in [
            (r#"{"kubarium":1,"id":1,"ask":"state"}"#, Request::State),
            (
                r#"{"kubarium":1,"ask":"view","show":"map","more":1}"#,
                Request::View {
                    show: "map".to_owned(),
                    focus: String::new(),
                },
            ),
            (
                r#"{"kubarium":1,"ask":"language","language":"de"}"#,
                Request::Language {
                    language: "de".to_owned(),
                },
            ),
            (
                r#"{"kubarium":1,"ask":"trace","from":"pod/a","to":"b"}"#,
                Request::Trace {
                    from: "pod/a".to_owned(),
                    to: "b".to_owned(),
                },
            ),
        ] {
            assert_eq!(read(text).map(|ask| ask.what), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_ignored_and_what_is_wrong_answered() {
        for text in [
            "",
            "x",
            "[]",
            "null",
            r#"{"ask":"run"}"#,
            r#"{"kubarium":"1","ask":"run"}"#,
            r#"{"kubarium":1}"#,
        ] {
            assert_eq!(read(text), Err(Refusal::Ignore), "{text}");
        }
        for (text, want) in [
            (r#"{"kubarium":2,"id":3,"ask":"run"}"#.to_owned(), "version"),
            (
                r#"{"kubarium":1,"id":3,"ask":"eval"}"#.to_owned(),
                "unknown",
            ),
            (r#"{"kubarium":1,"id":3,"ask":"run"}"#.to_owned(), "invalid"),
            (
                r#"{"kubarium":1,"id":3,"ask":"run","command":{}}"#.to_owned(),
                "invalid",
            ),
            (
                format!(r#"{{"kubarium":1,"id":3,"ask":"{}"}}"#, "x".repeat(300_000)),
                "invalid",
            ),
        ] {
            let got = read(&text);
            assert!(
                matches!(got, Err(Refusal::Answer { code, .. }) if code == want),
                "{got:?}"
            );
        }
    }

    #[test]
    fn messages_are_written() {
        let task = Tell::Task {
            exercise: "e".to_owned(),
            task: "t".to_owned(),
            done: 1,
            of: 2,
        };
        assert_eq!(
            task.write(),
            r#"{"done":1,"event":"task-done","exercise":"e","kubarium":1,"of":2,"task":"t"}"#
        );
        assert_eq!(
            answer(3, Ok(Value::Null)),
            r#"{"answer":null,"id":3,"kubarium":1,"ok":true}"#
        );
        assert_eq!(
            answer(3, Err(("busy", "x"))),
            r#"{"code":"busy","id":3,"kubarium":1,"message":"x","ok":false}"#
        );
    }

    #[test]
    fn a_flood_is_held_back() {
        let mut gate = Gate::default();
        let passed = (0..10_000).filter(|n| gate.pass(f64::from(*n))).count();
        // Ten seconds at the rate, and the burst.
        assert!((230..=245).contains(&passed), "{passed}");
        assert!(
            gate.pass(60_000.0)
                && !Gate {
                    room: 0.0,
                    at_ms: 5.0
                }
                .pass(1.0)
        );
    }
}
