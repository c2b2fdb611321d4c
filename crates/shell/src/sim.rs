//! The simulator's own commands: `sim …`.

use std::time::Duration;

use crate::registry;
use crate::session::{Finished, Session};

pub(crate) fn run(session: &mut Session, argv: &[String]) -> Finished {
    let words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let result = match words[..] {
        ["settle", ref options @ ..] => settle(session, options),
        ["advance", time] => advance(session, time),
        ["undo"] => {
            if session.simulation.undo() {
                Ok(String::new())
            } else {
                Err("there is nothing to undo".to_owned())
            }
        }
        ["redo"] => {
            if session.simulation.redo() {
                Ok(String::new())
            } else {
                Err("there is nothing to redo".to_owned())
            }
        }
        _ => Err(registry::not_yet(&argv.join(" "), "")),
    };
    match result {
        Ok(text) => Finished::done(text),
        Err(why) => Finished::failed(1, format!("sim: {why}\n")),
    }
}

fn settle(session: &mut Session, _options: &[&str]) -> Result<String, String> {
    session.changing();
    session
        .simulation
        .settle(Duration::from_secs(4), Duration::from_secs(60));
    Ok(String::new())
}

fn advance(session: &mut Session, time: &str) -> Result<String, String> {
    let time: kubarium_objects::duration::GoDuration = time.parse().map_err(|e| format!("{e}"))?;
    session.changing();
    let nanos = u64::try_from(time.0).unwrap_or(0);
    session.wait(Duration::from_nanos(nanos), |_| false);
    Ok(String::new())
}
