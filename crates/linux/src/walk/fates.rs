//! Everything that can become of a connection: every random choice, each way.

use super::{Connect, Connection};
use crate::network::Network;
use crate::time::{Choice, ScriptedDice, Time};

/// One possible outcome.
#[derive(Clone, PartialEq, Debug)]
pub struct Fate {
    /// How likely it is, from 0 to 1.
    pub probability: f64,
    /// What happens then.
    pub connection: Connection,
}

/// Most branches that are followed: a Service has at most some thousand endpoints.
const MOST: usize = 20_000;

impl Network {
    /// Follows every random choice that a connection can meet, each in its own copy of the network, and gives all
    /// outcomes with their probabilities (which add up to 1, unless there are more than 20,000).
    #[must_use]
    pub fn fates(&self, request: &Connect, now: Time) -> Vec<Fate> {
        const ONE: f64 = 2_147_483_648.0;
        let mut fates = Vec::new();
        let mut script: Vec<Choice> = Vec::new();
        while fates.len() < MOST {
            let mut dice = ScriptedDice::new(script);
            let connection = self.clone().connect(request, now, &mut dice, None);
            dice.choices.truncate(dice.met());
            script = dice.choices;
            let probability = script.iter().map(|c| {
                let p = f64::from(c.numerator) / ONE;
                if c.taken { p } else { 1.0 - p }
            });
            fates.push(Fate {
                probability: probability.product(),
                connection,
            });
            // The last choice not yet taken the other way.
            while script.last().is_some_and(|c| !c.taken) {
                script.pop();
            }
            match script.last_mut() {
                Some(choice) => choice.taken = false,
                None => break,
            }
        }
        fates
    }
}
