//! `-m set --match-set NAME dst,dst`

use std::fmt::Write;
use std::sync::Arc;

use super::arguments::Arguments;
use super::evaluate::Context;

/// Membership of an address set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetMatch {
    /// The set's name.
    pub name: Arc<str>,
    /// For each dimension: the destination's (true) or the source's value.
    pub destination: Vec<bool>,
    /// Negated.
    pub invert: bool,
}

impl Default for SetMatch {
    fn default() -> Self {
        SetMatch {
            name: "".into(),
            destination: Vec::new(),
            invert: false,
        }
    }
}

impl SetMatch {
    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        if word != "--match-set" {
            return Ok(false);
        }
        self.name = args.value(word)?.into();
        let side = |text: &str| match text {
            "src" => Ok(false),
            "dst" => Ok(true),
            other => Err(format!(
                "You must spefify (the comma separated list of) 'src' or 'dst', not \"{other}\""
            )),
        };
        self.destination = args
            .value(word)?
            .split(',')
            .map(side)
            .collect::<Result<_, _>>()?;
        self.invert = invert;
        Ok(true)
    }

    fn sides(&self) -> String {
        self.destination
            .iter()
            .map(|d| if *d { "dst" } else { "src" })
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(
            out,
            " -m set{} --match-set {} {}",
            if self.invert { " !" } else { "" },
            self.name,
            self.sides()
        );
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(
            out,
            "{} match-set {} {}",
            if self.invert { " !" } else { "" },
            self.name,
            self.sides()
        );
    }

    pub(crate) fn matches(&self, cx: &Context) -> bool {
        let hit = cx
            .sets
            .get(&self.name)
            .is_some_and(|set| set.test(cx.headers(), &self.destination));
        hit != self.invert
    }
}
