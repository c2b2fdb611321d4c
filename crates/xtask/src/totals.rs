//! Reading the lines in which the recordings' scorers sum up.

/// What was measured, and how much of it is as recorded.
#[derive(Debug, PartialEq)]
pub(crate) struct Measure {
    pub(crate) name: String,
    /// 0 to 100, with one digit, rounded down: 100 is all of it.
    pub(crate) percent: f64,
}

fn measure(name: &str, percent: f64) -> Measure {
    Measure {
        name: name.to_owned(),
        percent,
    }
}

/// `89.7 % of 2787 lines, 760 of 862 commands`
pub(crate) fn session(line: &str) -> Vec<Measure> {
    let Some((lines, commands)) = line.split_once(", ") else {
        return Vec::new();
    };
    let percent = lines
        .strip_suffix(" lines")
        .and_then(|rest| rest.split_once(" % of "))
        .and_then(|(percent, _)| percent.parse().ok());
    let mut measures: Vec<Measure> = percent
        .map(|percent| measure("lines", percent))
        .into_iter()
        .collect();
    measures.extend(share(commands));
    measures
}

/// `1382 cases: same verdict 99.4 %, same message 97.9 %, same object 96.4 %`
pub(crate) fn manifests(line: &str) -> Vec<Measure> {
    let Some((_, parts)) = line.split_once(" cases: ") else {
        return Vec::new();
    };
    let part = |part: &str| {
        let (name, percent) = part.strip_suffix(" %")?.rsplit_once(' ')?;
        Some(measure(name, percent.parse().ok()?))
    };
    parts.split(", ").filter_map(part).collect()
}

/// `dumps: 101/101 identical (100.0 %), 31836/31836 rules (100.00 %)`
pub(crate) fn rules(line: &str) -> Vec<Measure> {
    let read = || {
        let (name, rest) = line.split_once(": ")?;
        let (_, rest) = rest.split_once('(')?;
        let percent = rest.split_once(" %)")?.0.parse().ok()?;
        Some(measure(name, percent))
    };
    read().into_iter().collect()
}

/// `verdict     1079 of  1088   99.2 %`, and at the end `1074 of 1088 decisions, 301 of 309 cases wholly right`
pub(crate) fn decisions(line: &str) -> Vec<Measure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [name, _, "of", _, percent, "%"] => percent
            .parse()
            .map(|percent| measure(name, percent))
            .into_iter()
            .collect(),
        _ => line.split(", ").map_while(share).collect(),
    }
}

/// `760 of 862 commands`
fn share(text: &str) -> Option<Measure> {
    let (part, rest) = text.split_once(" of ")?;
    let (whole, name) = rest.split_once(' ')?;
    let (part, whole) = (part.parse::<u32>().ok()?, whole.parse::<u32>().ok()?);
    let percent = (1000.0 * f64::from(part) / f64::from(whole.max(1))).floor() / 10.0;
    Some(measure(name, percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what a line measures; nothing for one that sums nothing up.
    #[track_caller]
    fn measures(read: fn(&str) -> Vec<Measure>, line: &str, want: &[(&str, f64)]) {
        let read = read(line);
        let have: Vec<_> = read.iter().map(|m| (m.name.as_str(), m.percent)).collect();
        assert_eq!(have, want, "{line}");
    }

    #[test]
    fn totals_are_read_as_the_scorers_print_them() {
        let sessions = "89.7 % of 2787 lines, 760 of 862 commands";
        measures(session, sessions, &[("lines", 89.7), ("commands", 88.1)]);
        measures(session, " 12.5 % lines   0/3   commands  a.session", &[]);
        let three = "8 cases: same verdict 99.4 %, same message 97.9 %, same object 0.0 %";
        let parts = [
            ("same verdict", 99.4),
            ("same message", 97.9),
            ("same object", 0.0),
        ];
        measures(manifests, three, &parts);
        measures(manifests, "Pod      8 cases  verdict    8", &[]);
        let dumps = "nftables dumps: 3/4 identical (75.0 %), 9/10 rules (90.00 %)";
        measures(rules, dumps, &[("nftables dumps", 75.0)]);
        measures(rules, "flows: 0/405 right (0.0 %)", &[("flows", 0.0)]);
        measures(rules, "  differ: 001 002", &[]);
        measures(
            decisions,
            "verdict     3 of  4   75.0 %",
            &[("verdict", 75.0)],
        );
        let whole = [("decisions", 75.0), ("cases wholly right", 66.6)];
        measures(
            decisions,
            "3 of 4 decisions, 2 of 3 cases wholly right",
            &whole,
        );
        measures(
            decisions,
            "by feature (cases wholly right): all 1/1, pdb 5/5",
            &[],
        );
    }

    #[test]
    fn nearly_all_is_not_all() {
        measures(session, "x, 9999 of 10000 commands", &[("commands", 99.9)]);
    }
}
