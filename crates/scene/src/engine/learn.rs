//! Lessons and states that travel: what is opened takes the place of the cluster.

use kubarium_cluster::Config;
use kubarium_lesson::protocol::Tell;
use kubarium_lesson::{Link, link};
use kubarium_objects::object;
use kubarium_shell::Session;
use kubarium_shell::state::{State, StateError};
use kubarium_snapshot::lesson::{Ask, Lesson, Opened, Said, Shared, View};
use kubarium_snapshot::message::{self, Output};

use super::Engine;
use crate::lessons::Classroom;
use crate::times::Marks;
use crate::{Layout, map};

impl Engine {
    /// Carries out what is asked about lessons: an [`Ask`] and a [`Said`] in their binary forms.
    pub(super) fn learn(&mut self, ask: &[u8]) -> Vec<u8> {
        let said = message::decode(ask).map_or(Said::Nothing, |ask| self.carry_out(ask));
        message::encode(&said)
    }

    fn carry_out(&mut self, ask: Ask) -> Said {
        match ask {
            Ask::Begin {
                text,
                progress,
                state,
            } => return Said::Opened(self.begin_lesson(&text, &progress, &state)),
            Ask::Look => return Said::Lesson(self.lesson().map(Box::new)),
            Ask::Answer {
                task,
                check,
                answer,
            } => {
                if let Some(classroom) = &mut self.classroom {
                    classroom.answer(&task, check, answer);
                }
                return Said::Lesson(self.lesson().map(Box::new));
            }
            Ask::Hint(task) => {
                if let Some(classroom) = &mut self.classroom {
                    classroom.hint(&task);
                }
                return Said::Lesson(self.lesson().map(Box::new));
            }
            Ask::Reset => return Said::Opened(self.reset()),
            Ask::Goal => return Said::Goal(self.goal()),
            Ask::Close => self.classroom = None,
            Ask::Fresh => {
                self.classroom = None;
                self.begin(Session::new(kubarium_cluster::Simulation::new(
                    Config::default(),
                )));
                return Said::Opened(opened(&self.session, String::new()));
            }
            Ask::Share { view, files } => return Said::Shared(self.share(&view, files)),
            Ask::Open(text) => return Said::Opened(self.open(&text)),
            Ask::Host {
                text,
                at_ms,
                readonly,
            } => return Said::Host(Box::new(self.host(&text, at_ms, readonly))),
        }
        Said::Nothing
    }

    /// Another terminal with its cluster takes the place of this one.
    fn begin(&mut self, session: Session) {
        self.interrupt_all();
        // What ended with the old cluster is still to be told.
        self.terminals
            .retain(|_, terminal| terminal.going != message::Going::default());
        self.session = session;
        let across = self.drawn.layout.across;
        self.drawn.layout = Layout::default();
        self.drawn.layout.across = across;
        self.marks = Marks::default();
        self.hurried_from = None;
        self.memory.clear();
        self.lanes.clear();
        self.running = true;
        self.said.stale = true;
        self.said.ways = true;
    }

    fn begin_lesson(&mut self, text: &str, progress: &str, state: &str) -> Opened {
        match Classroom::open(text, progress, state) {
            Ok((classroom, session)) => {
                self.begin(session);
                self.classroom = Some(classroom);
                opened(&self.session, String::new())
            }
            Err(remark) => failed(remark),
        }
    }

    fn reset(&mut self) -> Opened {
        let again = self.classroom.as_mut().map(Classroom::again);
        match again {
            Some(Ok(session)) => {
                self.begin(session);
                opened(&self.session, String::new())
            }
            Some(Err(remark)) => failed(remark),
            None => Opened::default(),
        }
    }

    fn goal(&self) -> Result<Box<kubarium_snapshot::Map>, String> {
        let classroom = self.classroom.as_ref().ok_or("there is no lesson")?;
        let session = classroom.goal()?;
        let cluster = &session.simulation.cluster;
        let mut layout = Layout::default();
        layout.across = self.drawn.layout.across;
        layout.update(cluster);
        Ok(Box::new(map::draw(cluster, &layout)))
    }

    /// How the lesson stands; whoever embeds the page is told of what has just been done.
    fn lesson(&mut self) -> Option<Lesson> {
        let classroom = self.classroom.as_mut()?;
        let (shown, just_done) = classroom.show(&self.session);
        let of = shown.steps.len();
        for at in just_done {
            let exercise = shown.name.clone();
            self.tell(&Tell::Task {
                exercise: exercise.clone(),
                task: shown.steps[at].name.clone(),
                done: at + 1,
                of,
            });
            if at + 1 == of {
                self.tell(&Tell::Exercise { exercise });
            }
        }
        Some(shown)
    }

    /// What is said of a command line that the lesson does not allow.
    pub(super) fn refused(&self, line: &str) -> Option<Output> {
        let why = self.classroom.as_ref()?.allows(line).err()?;
        Some(Output {
            command: line.to_owned(),
            text: format!("{why}\n"),
            // As a shell has it for what cannot be executed.
            status: Some(126),
            prompt: String::new(),
            lane: None,
        })
    }

    fn share(&mut self, view: &View, files: Vec<(String, String)>) -> Shared {
        let known = self.session.manifests();
        for (name, text) in files.into_iter().filter(|file| !known.contains(file)) {
            // A name that is no file's is not kept.
            let _ = self.session.write_file(&name, text.as_bytes());
        }
        self.session.view = object([
            ("show", view.show.as_str().into()),
            ("focus", view.focus.as_str().into()),
        ]);
        match self.session.state() {
            Ok(state) => Shared {
                link: link::write(&state).ok(),
                state: state.write(),
                why: String::new(),
            },
            Err(why) => Shared {
                why,
                ..Shared::default()
            },
        }
    }

    /// Takes the place of what a link's fragment or a saved file holds; what can be saved of a damaged one is taken too.
    pub(super) fn open(&mut self, text: &str) -> Opened {
        let read = match text.trim_start().starts_with('{') {
            true => State::read(text).map(|state| Some(Link::State(Box::new(state)))),
            false => link::read(text.trim()),
        };
        let (state, damage) = match read {
            Ok(None) => return Opened::default(),
            Ok(Some(Link::Scene(name))) => return fetched(format!("scenes/{name}.yaml")),
            Ok(Some(Link::Exercise(name))) => return fetched(format!("exercises/{name}.yaml")),
            Ok(Some(Link::State(state))) => (state, None),
            Err(StateError {
                message,
                saved: Some(state),
            }) => (state, Some(message)),
            Err(error) => return failed(error.message),
        };
        let (session, remark) = Session::from_state(*state);
        self.begin(session);
        self.classroom = None;
        opened(&self.session, damage.or(remark).unwrap_or_default())
    }
}

fn opened(session: &Session, remark: String) -> Opened {
    Opened {
        done: true,
        remark,
        fetch: None,
        view: view_of(session),
        files: session.manifests(),
    }
}

fn failed(remark: String) -> Opened {
    Opened {
        remark,
        ..Opened::default()
    }
}

fn fetched(path: String) -> Opened {
    Opened {
        fetch: Some(path),
        ..Opened::default()
    }
}

/// The view that a state was saved with.
fn view_of(session: &Session) -> View {
    View {
        show: session.view["show"].str().to_owned(),
        focus: session.view["focus"].str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{engine, run};
    use super::*;

    const FIRST: &str = include_str!("../../../../exercises/first-deployment.yaml");

    fn begin(engine: &mut Engine, progress: &str, state: &str) {
        let said = engine.carry_out(Ask::Begin {
            text: FIRST.to_owned(),
            progress: progress.to_owned(),
            state: state.to_owned(),
        });
        assert!(matches!(&said, Said::Opened(o) if o.done), "{said:?}");
    }

    fn shared(engine: &mut Engine) -> Shared {
        let (view, files) = (View::default(), Vec::new());
        match engine.carry_out(Ask::Share { view, files }) {
            Said::Shared(shared) => shared,
            other => panic!("{other:?}"),
        }
    }

    fn look(engine: &mut Engine) -> Lesson {
        engine.lesson().expect("a lesson")
    }

    #[test]
    fn a_shared_state_takes_the_place_of_the_cluster_and_ends_what_waits() {
        let mut one = engine();
        run(&mut one, "kubectl create configmap shared");
        let link = shared(&mut one).link.expect("a link");
        let mut other = engine();
        assert_eq!(run(&mut other, "kubectl get pods -w").status, None);
        assert!(other.open(&link).done);
        let ended = other.update().and_then(|mut update| update.terminals.pop());
        assert_eq!(ended.and_then(|going| going.status), Some(130));
        let got = run(&mut other, "kubectl get configmap shared");
        assert_eq!(got.status, Some(0));
    }

    #[test]
    fn the_manifests_being_written_travel_too() {
        let mut one = engine();
        let mine = ("mine.yaml".to_owned(), "kind: Pod".to_owned());
        for _ in 0..2 {
            one.carry_out(Ask::Share {
                view: View::default(),
                files: vec![mine.clone()],
            });
        }
        let shared = shared(&mut one);
        assert_eq!(shared.state.matches("mine.yaml").count(), 1);
        let mut other = engine();
        let opened = other.open(&shared.link.expect("a link"));
        assert_eq!(opened.files, [mine]);
    }

    #[test]
    fn an_exercise_goes_on_where_it_was_left() {
        let mut one = engine();
        begin(&mut one, "", "");
        assert_eq!(look(&mut one).next, Some(0));
        run(&mut one, "kubectl create deployment web --image=nginx");
        run(&mut one, "kubectl create configmap mine");
        one.advance(Duration::from_secs(30), || true);
        let lesson = look(&mut one);
        assert_eq!(lesson.next, Some(1));
        let state = shared(&mut one).state;
        for (state, mine) in [(state.as_str(), 0), ("", 1), ("{broken", 1)] {
            let mut again = engine();
            begin(&mut again, &lesson.progress, state);
            assert_eq!(look(&mut again).next, Some(1), "{state}");
            let got = run(&mut again, "kubectl get configmap mine");
            assert_eq!(got.status, Some(mine), "{state}");
        }
    }

    #[test]
    fn the_goal_is_another_clusters_map_and_a_reset_brings_the_beginning_back() {
        let mut engine = engine();
        begin(&mut engine, "", "");
        run(&mut engine, "kubectl create configmap mine");
        let goal = engine.goal().expect("a goal");
        assert!(goal.pods().any(|pod| pod.id.starts_with("pod:default/web")));
        engine.update();
        assert!(
            !engine
                .drawn()
                .iter()
                .any(|id| id.starts_with("pod:default/web"))
        );
        assert!(engine.reset().done);
        let got = run(&mut engine, "kubectl get configmap mine");
        assert_eq!(got.status, Some(1));
    }
}
