//! A page that embeds this one: its messages are read, let through so many at a time, and answered (docs/EMBEDDING.md).

use kubarium_lesson::protocol::{self, Refusal, Request as Ask};
use kubarium_lesson::{Lesson, MANIFESTS};
use kubarium_objects::{Value, object};
use kubarium_snapshot::lesson::{Host, View};
use kubarium_snapshot::message::Output;

use super::Engine;
use crate::commands::word;

impl Engine {
    /// Does what a page that embeds this one asks for.
    pub(super) fn host(&mut self, text: &str, at_ms: f64, readonly: bool) -> Host {
        let mut host = Host::default();
        let ask = match protocol::read(text) {
            Ok(ask) => ask,
            Err(Refusal::Ignore) => return host,
            Err(Refusal::Answer { id, code, message }) => {
                host.answer = Some(protocol::answer(id, Err((code, &message))));
                return host;
            }
        };
        let changes = !matches!(
            ask.what,
            Ask::State
                | Ask::View { .. }
                | Ask::Theme { .. }
                | Ask::Language { .. }
                | Ask::Lesson { .. }
                | Ask::Trace { .. }
        );
        let refused = if !self.gate.pass(at_ms) {
            Some(("busy", "too many messages: wait a little"))
        } else if readonly && changes {
            Some(("readonly", "this cluster is only to be looked at"))
        } else {
            None
        };
        if let Some(refused) = refused {
            host.answer = Some(protocol::answer(ask.id, Err(refused)));
            return host;
        }
        let result = self.host_asks(ask.what, &mut host);
        let answer = match &result {
            Ok(value) => Ok(value.clone()),
            Err(why) => Err(("failed", why.as_str())),
        };
        host.answer = Some(protocol::answer(ask.id, answer));
        host
    }

    fn host_asks(&mut self, ask: Ask, host: &mut Host) -> Result<Value, String> {
        let told = |output: &Output| {
            object([
                ("output", output.text.as_str().into()),
                ("status", i64::from(output.status.unwrap_or(0)).into()),
            ])
        };
        match ask {
            Ask::Apply { manifests } => {
                self.session
                    .write_file(MANIFESTS, manifests.as_bytes())
                    .map_err(|error| error.to_string())?;
                let output = self.run_whole(&format!("kubectl apply -f {MANIFESTS}"));
                let told = told(&output);
                host.output = Some(Box::new(output));
                host.file = Some((MANIFESTS.to_owned(), manifests));
                Ok(told)
            }
            Ask::Run { command } => {
                let output = self.run_whole(&command);
                let told = told(&output);
                host.output = Some(Box::new(output));
                Ok(told)
            }
            Ask::State => self.session.state().map(|state| state.write().into()),
            Ask::Load { state } => {
                let opened = self.open(&state);
                if opened.done {
                    Ok(Value::Null)
                } else {
                    Err(opened.remark)
                }
            }
            Ask::Trace { from, to } => {
                let line = format!("sim trace -o json {} {}", word(&from), word(&to));
                let output = self.run_whole(&line);
                let told = if output.status == Some(0) {
                    Value::from_json(&output.text).map_err(|error| error.to_string())
                } else {
                    Err(output.text.trim().to_owned())
                };
                host.output = Some(Box::new(output));
                told
            }
            Ask::Lesson { text } => match Lesson::read(&text) {
                Ok(_) => {
                    host.lesson = Some(text);
                    Ok(Value::Null)
                }
                Err(problems) => {
                    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    Err(told.join("\n"))
                }
            },
            Ask::View { show, focus } => {
                host.view = Some(View { show, focus });
                Ok(Value::Null)
            }
            Ask::Theme { theme } => {
                if !["light", "dark", "auto"].contains(&theme.as_str()) {
                    return Err(format!("{theme:?} is no theme; use light, dark or auto"));
                }
                host.theme = Some(theme);
                Ok(Value::Null)
            }
            Ask::Language { language } => {
                host.language = Some(language);
                Ok(Value::Null)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kubarium_cluster::Config;

    use super::*;

    #[test]
    fn a_host_is_answered_and_told() {
        let mut engine = Engine::new(Config::default());
        let mut ask = |fields: &str, readonly: bool| {
            let text = format!("{{\"kubarium\":1,\"id\":7,{fields}}}");
            let host = engine.host(&text, 0.0, readonly);
            let told = engine.update().map(|update| update.told);
            (host.answer.unwrap_or_default(), told.unwrap_or_default())
        };
        let (_, told) = ask(r#""ask":"state""#, true);
        assert!(told[0].contains("ready"), "{told:?}");
        let apply =
            r#""ask":"apply","manifests":"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n""#;
        let (refused, told) = ask(apply, true);
        assert!(
            refused.contains(r#""readonly""#) && told.is_empty(),
            "{refused}"
        );
        let (done, told) = ask(apply, false);
        assert!(done.contains("configmap/a created"), "{done}");
        assert!(told[0].contains("applied"), "{told:?}");
        // It waits to its end: a host wants the result.
        let run = r#""ask":"run","command":"sleep 5; echo after""#;
        assert!(ask(run, false).0.contains("after"));
        let lesson = |kind: &str| format!(r#""ask":"lesson","text":"kind: {kind}""#);
        assert!(ask(&lesson("Nonsense"), false).0.contains(r#""failed""#));
        assert_eq!(ask("1", false).0, "", "what is no message is passed over");
        let busy = (0..60).filter(|_| ask(r#""ask":"state""#, true).0.contains("busy"));
        assert!(busy.count() > 15, "a flood is held back");
    }
}
