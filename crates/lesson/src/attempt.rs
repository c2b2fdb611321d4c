//! A learner's way through an exercise.

use std::collections::BTreeMap;

use kubarium_cluster::Time;
use kubarium_shell::Session;
use serde::{Deserialize, Serialize};

use crate::check::{Answers, Check, Mark, Outcome, Relevance, Subject};
use crate::exercise::Exercise;

/// What is kept of an attempt, exported and imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// The exercise's name.
    pub exercise: String,
    /// The tasks that are done, by name.
    pub done: Vec<String>,
    /// How many hints are open, by task.
    pub hints: BTreeMap<String, usize>,
    /// What was answered, by `TASK/NUMBER` of the check, from 0.
    pub answers: Answers,
}

/// How a check stands.
#[derive(Clone, Debug)]
struct Standing {
    outcome: Outcome,
    relevance: Relevance,
    id: String,
    made: bool,
}

/// A running attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What is kept of it.
    pub progress: Progress,
    began: usize,
    mark: Mark,
    /// For the task that is to be done next, and for each dead end.
    task: Vec<Standing>,
    dead_ends: Vec<Vec<Standing>>,
    looked_at: Time,
    answered: bool,
}

/// What looking has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Tasks that have just been done, by their numbers from 0.
    pub done: Vec<usize>,
    /// The task that is next; none where all are done.
    pub next: Option<usize>,
    /// What is still missing for it: the author's words and the simulator's, one pair a check that
    /// has not passed.
    pub missing: Vec<(String, String)>,
    /// The message of a dead end.
    pub dead_end: Option<String>,
    /// How many checks were made.
    pub checks: usize,
}

impl Attempt {
    /// Begins, or goes on with what was kept.
    pub fn new(exercise: &Exercise, session: &Session, progress: Progress) -> Attempt {
        let mut attempt = Attempt {
            progress: Progress {
                exercise: exercise.name.clone(),
                ..progress
            },
            began: session.simulation.cluster.log.len(),
            mark: Mark::default(),
            task: Vec::new(),
            dead_ends: exercise
                .fail_if
                .iter()
                .map(|dead_end| standings(&dead_end.check, ""))
                .collect(),
            looked_at: Time::default(),
            answered: false,
        };
        let known = |name: &String| exercise.tasks.iter().any(|t| t.name == *name);
        attempt.progress.done.retain(known);
        attempt.next_task(exercise);
        attempt
    }

    /// The task that is next.
    pub fn next(&self, exercise: &Exercise) -> Option<usize> {
        exercise
            .tasks
            .iter()
            .position(|task| !self.progress.done.contains(&task.name))
    }

    fn next_task(&mut self, exercise: &Exercise) {
        self.task = match self.next(exercise) {
            Some(next) => standings(&exercise.tasks[next].check, &exercise.tasks[next].name),
            None => Vec::new(),
        };
    }

    /// Answers a question.
    pub fn answer(&mut self, task: &str, check: usize, answers: Vec<String>) {
        self.progress
            .answers
            .insert(format!("{task}/{check}"), answers);
        self.answered = true;
    }

    /// Opens the next hint of a task; how many are open now.
    pub fn open_hint(&mut self, exercise: &Exercise, task: &str) -> usize {
        let found = exercise.tasks.iter().find(|t| t.name == task);
        let most = found.map_or(0, |t| t.hints.len());
        let open = self.progress.hints.entry(task.to_owned()).or_default();
        *open = (*open + 1).min(most);
        *open
    }

    /// Makes the checks that may come out differently than before.
    pub fn look(&mut self, exercise: &Exercise, session: &Session) -> Seen {
        let cluster = &session.simulation.cluster;
        let mut seen = Seen::default();
        let changed = self.mark.advance(cluster);
        let timed = cluster.now != self.looked_at;
        let answered = std::mem::take(&mut self.answered);
        self.looked_at = cluster.now;
        let due = |standing: &Standing| {
            !standing.made
                || changed.concerns(&standing.relevance)
                || (timed && matches!(standing.relevance, Relevance::Timed(_)))
                || (answered && standing.relevance == Relevance::Answers)
        };
        let answers = self.progress.answers.clone();
        let subject = Subject {
            session,
            began: self.began.min(cluster.log.len()),
            answers: &answers,
        };
        let make = |checks: &[Check], standings: &mut [Standing], seen: &mut Seen| {
            for (check, standing) in checks.iter().zip(standings) {
                if due(standing) {
                    standing.outcome = check.make(&standing.id, subject);
                    standing.made = true;
                    seen.checks += 1;
                }
            }
        };
        for (dead_end, standings) in exercise.fail_if.iter().zip(&mut self.dead_ends) {
            make(&dead_end.check, standings, &mut seen);
            let there = standings.iter().all(|s| s.outcome.passed);
            if there && seen.dead_end.is_none() {
                seen.dead_end = Some(dead_end.message.clone());
            }
        }
        if seen.dead_end.is_some() {
            seen.next = self.next(exercise);
            return seen;
        }
        while let Some(next) = self.next(exercise) {
            let task = &exercise.tasks[next];
            make(&task.check, &mut self.task, &mut seen);
            let missing = task
                .check
                .iter()
                .zip(&self.task)
                .filter(|(_, standing)| !standing.outcome.passed)
                .map(|(check, standing)| (check.explain.clone(), standing.outcome.missing.clone()));
            seen.missing = missing.collect();
            if !seen.missing.is_empty() {
                seen.next = Some(next);
                break;
            }
            seen.done.push(next);
            self.progress.done.push(task.name.clone());
            self.next_task(exercise);
        }
        seen
    }
}

fn standings(checks: &[Check], task: &str) -> Vec<Standing> {
    let standing = |(index, check): (usize, &Check)| Standing {
        outcome: Outcome {
            passed: false,
            missing: String::new(),
        },
        relevance: check.relevance(),
        id: format!("{task}/{index}"),
        made: false,
    };
    checks.iter().enumerate().map(standing).collect()
}
