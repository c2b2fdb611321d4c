//! A report for machines: JUnit's XML, as CI systems read it.

use std::fmt::Write as _;

/// What was tried in one file.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// The file.
    pub name: String,
    /// What was tried, and what is wrong with it.
    pub cases: Vec<(String, Result<(), String>)>,
}

/// The report.
pub fn write(suites: &[Suite]) -> String {
    let failures = |suite: &Suite| suite.cases.iter().filter(|(_, r)| r.is_err()).count();
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(
        out,
        "<testsuites tests=\"{}\" failures=\"{}\">",
        suites.iter().map(|s| s.cases.len()).sum::<usize>(),
        suites.iter().map(failures).sum::<usize>()
    );
    for suite in suites {
        let name = escape(&suite.name);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\">",
            suite.cases.len(),
            failures(suite)
        );
        for (case, result) in &suite.cases {
            let case = escape(case);
            let _ = match result {
                Ok(()) => writeln!(out, "    <testcase classname=\"{name}\" name=\"{case}\"/>"),
                Err(why) => writeln!(
                    out,
                    "    <testcase classname=\"{name}\" name=\"{case}\">\n      <failure message=\"{}\"/>\n    </testcase>",
                    escape(why)
                ),
            };
        }
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// Text for an attribute; characters that XML cannot have become `?`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            '\t' => out += "&#9;",
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_xml() {
        let suites = [Suite {
            name: "a&b.yaml".to_owned(),
            cases: vec![
                ("one".to_owned(), Ok(())),
                ("two".to_owned(), Err("\"x\" <is> \u{1} not\ny".to_owned())),
            ],
        }];
        let want = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites tests=\"2\" failures=\"1\">
  <testsuite name=\"a&amp;b.yaml\" tests=\"2\" failures=\"1\">
    <testcase classname=\"a&amp;b.yaml\" name=\"one\"/>
    <testcase classname=\"a&amp;b.yaml\" name=\"two\">
      <failure message=\"&quot;x&quot; &lt;is&gt; ? not&#10;y\"/>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(write(&suites), want);
    }
}
