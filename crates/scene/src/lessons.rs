//! The lesson that somebody works on, as it is shown.

use kubarium_lesson::attempt::Seen;
use kubarium_lesson::check::What;
use kubarium_lesson::{Attempt, Exercise, Lesson, Progress, Scene, markdown};
use kubarium_shell::Session;
use kubarium_shell::state::State;
use kubarium_snapshot::lesson::{self as shown, Question, Step, View};

/// A scene, or an exercise with the attempt at it.
pub(crate) enum Classroom {
    Scene(Box<Scene>),
    Exercise(Box<Exercise>, Box<Attempt>, Seen),
}

impl Classroom {
    /// Begins a lesson, or goes on with it: what is done already is done again.
    ///
    /// # Errors
    /// What is wrong with the file, or does not work.
    pub fn open(text: &str, progress: &str, state: &str) -> Result<(Classroom, Session), String> {
        let lesson = Lesson::read(text).map_err(|problems| {
            let told: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
            told.join("\n")
        })?;
        match lesson {
            Lesson::Scene(scene) => {
                let session = match kept(state) {
                    Some(session) => session,
                    None => scene.setting.begin()?,
                };
                Ok((Classroom::Scene(scene), session))
            }
            Lesson::Exercise(exercise) => {
                let progress: Progress = serde_json::from_str(progress).unwrap_or_default();
                let progress = match progress.exercise == exercise.name {
                    true => progress,
                    false => Progress::default(),
                };
                let session = match kept(state) {
                    Some(session) => session,
                    None => exercise.resume(&progress)?,
                };
                let attempt = Attempt::new(&exercise, &session, progress);
                Ok((
                    Classroom::Exercise(exercise, Box::new(attempt), Seen::default()),
                    session,
                ))
            }
            Lesson::Course(_) => Err("this is a list of lessons, not a lesson".to_owned()),
        }
    }

    /// The terminal as it was where the task that is next begins.
    ///
    /// # Errors
    /// What does not work.
    pub fn again(&mut self) -> Result<Session, String> {
        match self {
            Classroom::Scene(scene) => scene.setting.begin(),
            Classroom::Exercise(exercise, attempt, _) => {
                let session = exercise.resume(&attempt.progress)?;
                **attempt = Attempt::new(exercise, &session, std::mem::take(&mut attempt.progress));
                Ok(session)
            }
        }
    }

    /// The terminal as it is when all tasks are done, or all steps gone.
    ///
    /// # Errors
    /// What does not work.
    pub fn goal(&self) -> Result<Session, String> {
        match self {
            Classroom::Scene(scene) => scene.prove(),
            Classroom::Exercise(exercise, ..) => exercise.goal(),
        }
    }

    /// Whether a command line is allowed.
    pub fn allows(&self, line: &str) -> Result<(), String> {
        match self {
            Classroom::Scene(_) => Ok(()),
            Classroom::Exercise(exercise, ..) => exercise.limits.allows(line),
        }
    }

    /// Answers a question.
    pub fn answer(&mut self, task: &str, check: usize, answer: Vec<String>) {
        if let Classroom::Exercise(_, attempt, _) = self {
            attempt.answer(task, check, answer);
        }
    }

    /// Opens a task's next hint.
    pub fn hint(&mut self, task: &str) {
        if let Classroom::Exercise(exercise, attempt, _) = self {
            attempt.open_hint(exercise, task);
        }
    }

    /// How it stands now, and which tasks have just been done.
    pub fn show(&mut self, session: &Session) -> (shown::Lesson, Vec<usize>) {
        match self {
            Classroom::Scene(scene) => (scene_shown(scene), Vec::new()),
            Classroom::Exercise(exercise, attempt, seen) => {
                *seen = attempt.look(exercise, session);
                (exercise_shown(exercise, attempt, seen), seen.done.clone())
            }
        }
    }
}

/// The terminal of a state that was kept, where it can be read.
fn kept(state: &str) -> Option<Session> {
    let state = State::read(state).ok()?;
    Some(Session::from_state(state).0)
}

fn view(view: &kubarium_lesson::View) -> View {
    View {
        show: view.show.clone(),
        focus: view.focus.clone(),
    }
}

fn scene_shown(scene: &Scene) -> shown::Lesson {
    let step = |step: &kubarium_lesson::Step| Step {
        title: step.title.clone(),
        text: markdown::parse(&step.text),
        run: step.run.clone(),
        view: view(&step.view),
        ..Step::default()
    };
    shown::Lesson {
        name: scene.name.clone(),
        title: scene.title.clone(),
        text: markdown::parse(&scene.text),
        steps: scene.steps.iter().map(step).collect(),
        files: scene.setting.files.clone(),
        view: view(&scene.setting.view),
        terminal: true,
        editor: true,
        ..shown::Lesson::default()
    }
}

fn exercise_shown(exercise: &Exercise, attempt: &Attempt, seen: &Seen) -> shown::Lesson {
    let progress = &attempt.progress;
    let step = |(index, task): (usize, &kubarium_lesson::Task)| {
        let done = progress.done.contains(&task.name);
        let open = progress
            .hints
            .get(&task.name)
            .copied()
            .unwrap_or(0)
            .min(task.hints.len());
        let questions = task
            .check
            .iter()
            .enumerate()
            .filter_map(|(check, c)| match &c.what {
                What::Quiz(quiz) => Some(Question {
                    check,
                    question: markdown::parse(&quiz.question),
                    options: quiz.options.clone(),
                    several: quiz.answer.len() > 1 && !quiz.options.is_empty(),
                    answer: progress
                        .answers
                        .get(&format!("{}/{check}", task.name))
                        .cloned()
                        .unwrap_or_default(),
                }),
                _ => None,
            });
        Step {
            name: task.name.clone(),
            title: task.title.clone(),
            text: markdown::parse(&task.text),
            run: Vec::new(),
            view: view(&task.view),
            done,
            missing: if seen.next == Some(index) {
                seen.missing.clone()
            } else {
                Vec::new()
            },
            hints: task
                .hints
                .iter()
                .take(open)
                .map(|hint| markdown::parse(hint))
                .collect(),
            hints_left: task.hints.len() - open,
            solution: task.solution.clone(),
            questions: questions.collect(),
            reveal: if done {
                markdown::parse(&task.reveal)
            } else {
                Vec::new()
            },
        }
    };
    let next = attempt.next(exercise);
    shown::Lesson {
        name: exercise.name.clone(),
        title: exercise.title.clone(),
        exercise: true,
        text: markdown::parse(&exercise.text),
        steps: exercise.tasks.iter().enumerate().map(step).collect(),
        next,
        dead_end: seen
            .dead_end
            .as_deref()
            .map(markdown::parse)
            .unwrap_or_default(),
        reveal: if next.is_none() {
            markdown::parse(&exercise.reveal)
        } else {
            Vec::new()
        },
        files: exercise.setting.files.clone(),
        view: view(&exercise.setting.view),
        terminal: exercise.limits.terminal,
        editor: exercise.limits.editor,
        progress: serde_json::to_string(progress).unwrap_or_default(),
    }
}
