//! The proof that an exercise can be done: that no task is done at its beginning, and that its
//! solution does the tasks one after the other.

use std::time::Duration;

use kubarium_shell::Session;

use crate::attempt::{Attempt, Progress};
use crate::check::What;
use crate::exercise::{Exercise, Task};
use crate::setting;

/// Simulated time between two looks at whether a task is done.
const LOOK: Duration = Duration::from_secs(1);

/// What was found out about an exercise.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// For each task that was tried: its name, and what is wrong with it.
    pub tasks: Vec<(String, Result<(), String>)>,
    /// What is wrong with the exercise as a whole.
    pub wrong: Vec<String>,
}

impl Proof {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty() && self.tasks.iter().all(|(_, result)| result.is_ok())
    }
}

impl Exercise {
    /// Tries the exercise from its beginning to its end.
    pub fn prove(&self) -> Proof {
        let mut proof = Proof::default();
        if let Err(why) = self.walk(&mut proof) {
            proof.wrong.push(why);
        }
        proof
    }

    /// The terminal after all tasks: the goal, to be drawn beside what is there.
    ///
    /// # Errors
    /// What does not work.
    pub fn goal(&self) -> Result<Session, String> {
        let mut proof = Proof::default();
        let session = self.walk(&mut proof)?;
        let wrong = proof
            .tasks
            .into_iter()
            .find_map(|(name, result)| result.err().map(|why| format!("task {name}: {why}")));
        match wrong {
            None => Ok(session),
            Some(why) => Err(why),
        }
    }

    /// A terminal where the exercise begins, or where the tasks that are done already have led.
    ///
    /// # Errors
    /// What does not work.
    pub fn resume(&self, progress: &Progress) -> Result<Session, String> {
        let mut session = self.setting.begin()?;
        let done = |task: &&Task| progress.done.contains(&task.name);
        for task in self.tasks.iter().take_while(done) {
            for line in &task.solution {
                setting::run(&mut session, line)?;
            }
            session.run("sim settle");
        }
        Ok(session)
    }

    fn walk(&self, proof: &mut Proof) -> Result<Session, String> {
        let mut session = self
            .setting
            .begin()
            .map_err(|why| format!("at the start: {why}"))?;
        // Each task by itself: what is so at the start is no task.
        for task in &self.tasks {
            let alone = Exercise {
                tasks: vec![task.clone()],
                ..self.clone()
            };
            let seen = Attempt::new(&alone, &session, Progress::default()).look(&alone, &session);
            if let Some(message) = seen.dead_end {
                return Err(format!("failIf holds at the start already: {message}"));
            }
            if !seen.done.is_empty() {
                proof.tasks.push((
                    task.name.clone(),
                    Err("its checks pass at the start already".to_owned()),
                ));
            }
        }
        if !proof.tasks.is_empty() {
            return Ok(session);
        }
        let mut attempt = Attempt::new(self, &session, Progress::default());
        for (index, task) in self.tasks.iter().enumerate() {
            let result = self.solve(index, task, &mut attempt, &mut session);
            let failed = result.is_err();
            proof.tasks.push((task.name.clone(), result));
            if failed {
                break;
            }
        }
        Ok(session)
    }

    fn solve(
        &self,
        index: usize,
        task: &Task,
        attempt: &mut Attempt,
        session: &mut Session,
    ) -> Result<(), String> {
        match attempt.next(self) {
            Some(next) if next == index => {}
            _ => return Err("the solutions before it do it already".to_owned()),
        }
        for (number, check) in task.check.iter().enumerate() {
            if let What::Quiz(quiz) = &check.what {
                let answer = match quiz.options.is_empty() {
                    true => quiz.answer.iter().take(1).cloned().collect(),
                    false => quiz.answer.clone(),
                };
                attempt.answer(&task.name, number, answer);
            }
        }
        for line in &task.solution {
            self.limits
                .allows(line)
                .map_err(|why| format!("`{line}`: {why}"))?;
            setting::run(session, line)?;
        }
        let end = session.simulation.cluster.now + self.limits.time;
        loop {
            let seen = attempt.look(self, session);
            if let Some(message) = seen.dead_end {
                return Err(format!("its solution ends in a dead end: {message}"));
            }
            if seen.done.contains(&index) {
                return match seen.done.len() {
                    1 => Ok(()),
                    _ => Err(format!(
                        "its solution does the next task too: {}",
                        self.tasks.get(index + 1).map_or("", |t| t.name.as_str())
                    )),
                };
            }
            if session.simulation.cluster.now >= end {
                let missing = seen.missing.first();
                let missing = missing.map_or("", |(_, missing)| missing.as_str());
                return Err(format!(
                    "its solution does not do it within {} s: {missing}",
                    self.limits.time.as_secs()
                ));
            }
            session
                .simulation
                .run_until(session.simulation.cluster.now + LOOK, usize::MAX);
        }
    }
}
