//! The terminals of the page: each has a shell of its own, and one command line that goes on in it while simulated time does.

use kubarium_shell::{Going, Session};
use kubarium_snapshot::Reply;
use kubarium_snapshot::message;

use super::{Engine, HURRY, Terminal};
use crate::commands;

impl Terminal {
    /// What there is to be told of it.
    pub(super) fn told(&mut self) -> Option<message::Going> {
        (self.going != message::Going::default()).then(|| std::mem::take(&mut self.going))
    }
}

impl Engine {
    fn terminal(&mut self, place: &str) -> &mut Terminal {
        self.terminals.entry(place.to_owned()).or_default()
    }

    /// Runs a command line at the prompt of the workstation's first terminal; a shell elsewhere in it is left.
    pub(super) fn command(&mut self, line: &str) -> Reply {
        self.run_line("", line, false)
    }

    /// Runs a line that was typed in a terminal: at the workstation's prompt, or at that of a shell elsewhere.
    pub(super) fn typed(&mut self, place: &str, line: &str) -> Reply {
        self.run_line(place, line, true)
    }

    fn run_line(&mut self, place: &str, line: &str, typed: bool) -> Reply {
        self.memory.clear();
        let prompt = self.prompt(place);
        // What is typed at a shell elsewhere was allowed with what opened it.
        let given = match commands::opening(place) {
            Some(opening) if typed => Some(opening),
            _ => (!typed || prompt.is_empty()).then(|| line.to_owned()),
        };
        if let Some(mut refused) = given.and_then(|given| self.refused(&given)) {
            line.clone_into(&mut refused.command);
            refused.prompt = prompt;
            return Reply::Output(Box::new(refused));
        }
        let mut text = String::new();
        let mut wrong = None;
        let was_past = self.session.simulation.is_replaying();
        self.interrupt(place);
        // The one before has ended before this one is answered: what it wrote last is told with the next update.
        let mut status = match self.opened(place, typed, &mut text) {
            Ok(true) if line.trim().is_empty() => Some(0),
            Ok(true) => {
                let going = self.session.at(place, |session| session.type_in(line));
                text += &self.written(place);
                ended(going)
            }
            Ok(false) => {
                let (commands, error) = Session::read(line);
                wrong = error;
                self.terminal(place).unbegun = commands.into();
                self.begin_rest(place, 0, &mut text)
            }
            Err(status) => Some(status),
        };
        while status.is_none() && self.session.hurries().is_some() && self.hurry(HURRY) {
            let going = &mut self.terminal(place).going;
            text += &std::mem::take(&mut going.text);
            status = going.status.take();
        }
        // Whoever goes to a moment wants to look at it.
        self.running &= was_past || !self.session.simulation.is_replaying();
        if let Some(wrong) = wrong {
            text += &wrong;
            status = status.map(|_| 2);
        }
        self.terminal(place).busy = status.is_none();
        // Opening a shell is a command too.
        let opening = commands::opening(place).filter(|_| line.trim().is_empty());
        let mut output = self.output(opening.as_deref().unwrap_or(line), text, status);
        output.prompt = self.prompt(place);
        Reply::Output(Box::new(output))
    }

    /// Whether a shell elsewhere reads in the terminal: one on a node or in a pod opens it first, and gives its status where
    /// that is not to be had.
    fn opened(&mut self, place: &str, typed: bool, text: &mut String) -> Result<bool, i32> {
        let reads = |engine: &mut Engine| {
            engine
                .session
                .at(place, |session| session.prompt().is_some())
        };
        if !typed {
            return Ok(false);
        }
        if reads(self) {
            return Ok(true);
        }
        let Some(line) = commands::opening(place) else {
            return Ok(false);
        };
        self.terminal(place).unbegun = Session::read(&line).0.into();
        let status = self.begin_rest(place, 0, text);
        if reads(self) {
            return Ok(true);
        }
        Err(status.unwrap_or(1))
    }

    fn prompt(&mut self, place: &str) -> String {
        let prompt = self.session.at(place, |session| session.prompt());
        prompt.unwrap_or_default()
    }

    fn written(&mut self, place: &str) -> String {
        let written = self.session.at(place, Session::take_written);
        written.into_iter().map(|(_, text)| text).collect()
    }

    /// Tells the command lines that go on in the terminals how late it is.
    pub(super) fn let_commands_go_on(&mut self) {
        let places: Vec<String> = self.terminals.keys().cloned().collect();
        for place in places {
            self.let_command_go_on(&place);
        }
    }

    fn let_command_go_on(&mut self, place: &str) {
        let until = self.cluster().now;
        let going = self.session.at(place, |session| {
            session.is_running().then(|| session.go_on(until))
        });
        let Some(going) = going else { return };
        let mut text = self.written(place);
        let status = match going {
            Going::Finished(status) => self.begin_rest(place, status, &mut text),
            going => ended(going),
        };
        let is_over = matches!(going, Going::Finished(_));
        let prompt = self.prompt(place);
        let terminal = self.terminal(place);
        terminal.going.text += &text;
        // A shell elsewhere that goes on waiting has nothing new to tell; one that ends by itself has.
        let status = status.filter(|_| terminal.busy || is_over);
        if status.is_some() || !text.is_empty() {
            place.clone_into(&mut terminal.going.place);
            terminal.going.prompt = prompt;
            terminal.going.status = status;
            terminal.busy &= status.is_none();
        }
        self.said.stale |= status.is_some();
    }

    /// Begins the commands that have not begun, one after the other, until one goes on. Gives the last one's status,
    /// or none where one goes on.
    fn begin_rest(&mut self, place: &str, mut status: i32, text: &mut String) -> Option<i32> {
        while let Some(command) = self.terminal(place).unbegun.pop_front() {
            let going = self.session.at(place, |session| session.begin(&command));
            *text += &self.written(place);
            status = ended(going)?;
            if let Going::Reading(_) = going {
                break;
            }
        }
        Some(status)
    }

    /// Ends what goes on in a terminal, as Ctrl C does.
    pub(super) fn interrupt(&mut self, place: &str) {
        self.terminal(place).unbegun.clear();
        if !self.session.at(place, Session::interrupt) {
            return;
        }
        let written = self.written(place);
        let prompt = self.prompt(place);
        let terminal = self.terminal(place);
        terminal.busy = false;
        terminal.going.text += &written;
        terminal.going.status = Some(130);
        terminal.going.prompt = prompt;
        place.clone_into(&mut terminal.going.place);
        self.said.stale = true;
    }

    pub(super) fn interrupt_all(&mut self) {
        let places: Vec<String> = self.terminals.keys().cloned().collect();
        for place in places {
            self.interrupt(&place);
        }
    }
}

/// The status of a line that is over.
fn ended(going: Going) -> Option<i32> {
    match going {
        Going::Running => None,
        Going::Reading(status) | Going::Finished(status) => Some(status),
    }
}
