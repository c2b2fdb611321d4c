//! `kubectl diff`

use kubarium_objects::{Value, yaml};

use super::{apply, prune, server_side};
use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, FIELD_MANAGER, FILES, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, list, switch};
use crate::kubectl::resource::Info;

const FLAGS: &[Flag] = &[
    switch(
        "force-conflicts",
        "If true, server-side apply will force the changes against conflicts.",
    ),
    switch(
        "prune",
        "Include resources that would be deleted by pruning. Can be used with -l and default shows all resources would be pruned",
    ),
    list(
        "prune-allowlist",
        "Overwrite the default allowlist with <group/version/kind> for --prune",
    ),
    switch(
        "server-side",
        "If true, apply runs in the server instead of the client.",
    ),
    switch(
        "show-managed-fields",
        "If true, include managed fields in the diff.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "diff",
    "-f FILENAME [options]",
    "Diff the live version against a would-be applied version",
    run,
)
.flags(&[FILES, SELECTOR, FIELD_MANAGER, FLAGS]);

fn run(k: &mut Kubectl) -> Result {
    if !k.flags.args.is_empty() {
        let given = k.flags.args.join(" ");
        return Err(k.usage(format!("Unexpected args: [{given}]")));
    }
    if k.flags.list("filename").is_empty() {
        return plain("must specify one of -f and -k");
    }
    if k.flags.bool("force-conflicts") && !k.flags.bool("server-side") {
        return plain("--force-conflicts only works with --server-side");
    }
    let server_side = k.flags.bool("server-side");
    let prunable = match k.flags.bool("prune") {
        true => prune::kinds(k)?,
        false => Vec::new(),
    };
    let mut manifests = k.manifests()?;
    Error::aggregate(manifests.errors)?;
    apply::select(k, &mut manifests.infos)?;
    let mut differs = false;
    for info in &manifests.infos {
        let live = k.current(&info.key());
        let merged = match server_side {
            true => server_side::would_be(k, info)?,
            false => apply::would_be(k, info, live.as_ref())?,
        };
        differs |= show(k, info, live.as_ref(), &merged);
    }
    for info in prune::left_over(k, &prunable, &manifests.infos)? {
        differs |= show(k, &info, Some(&info.object), &Value::Null);
    }
    if differs {
        return Err(Error::Exit(1, String::new()));
    }
    Ok(())
}

/// Secrets' values are not shown.
fn masked(info: &Info, live: Option<&Value>, merged: &Value) -> (Value, Value) {
    let (mut from, mut to) = (live.cloned().unwrap_or_default(), merged.clone());
    if &*info.resource.id() != "secrets" {
        return (from, to);
    }
    let keys: Vec<String> = from["data"]
        .entries()
        .iter()
        .chain(to["data"].entries())
        .map(|(key, _)| key.to_string())
        .collect();
    for key in keys {
        let (a, b) = (
            from["data"].get(&key).cloned(),
            to["data"].get(&key).cloned(),
        );
        let same = a == b;
        if a.is_some() {
            from["data"][key.as_str()] = if same || b.is_none() {
                "***"
            } else {
                "*** (before)"
            }
            .into();
        }
        if b.is_some() {
            to["data"][key.as_str()] = if same || a.is_none() {
                "***"
            } else {
                "*** (after)"
            }
            .into();
        }
    }
    (from, to)
}

fn show(k: &mut Kubectl, info: &Info, live: Option<&Value>, merged: &Value) -> bool {
    let (from, to) = masked(info, live, merged);
    let text = |o: &Value| {
        if o.is_null() {
            String::new()
        } else {
            yaml::to_yaml(o)
        }
    };
    let (a, b) = (text(&from), text(&to));
    if a == b {
        return false;
    }
    let group = if info.resource.group.is_empty() {
        String::new()
    } else {
        format!("{}.", info.resource.group)
    };
    let file = format!(
        "{group}{}.{}.{}.{}",
        info.resource.version, info.resource.kind, info.namespace, info.name
    );
    let at = k
        .cluster()
        .now
        .rfc3339()
        .replace('T', " ")
        .replace('Z', ".000000000 +0000");
    // The directories' names are random ones on a real machine.
    let (live_file, merged_file) = (
        format!("/tmp/LIVE-1/{file}"),
        format!("/tmp/MERGED-1/{file}"),
    );
    let mut out = format!(
        "diff -u -N {live_file} {merged_file}\n--- {live_file}\t{at}\n+++ {merged_file}\t{at}\n"
    );
    out.push_str(&unified(&a, &b));
    k.out(out);
    true
}

const CONTEXT: usize = 3;
/// Beyond this many lines on a side, the whole is shown as changed.
const LINES_MAX: usize = 3000;

/// The hunks of `diff -u`.
fn unified(a: &str, b: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    let script = edits(&a, &b);
    let mut out = String::new();
    let mut at = 0;
    while at < script.len() {
        let Some(first) = (at..script.len()).find(|i| script[*i].0 != ' ') else {
            break;
        };
        let start = first.saturating_sub(CONTEXT).max(at);
        let (mut end, mut quiet) = (first, 0);
        while end < script.len() && quiet <= 2 * CONTEXT {
            quiet = if script[end].0 == ' ' { quiet + 1 } else { 0 };
            end += 1;
        }
        end -= quiet.saturating_sub(CONTEXT);
        let before = |sign: char, to: usize| {
            script[..to]
                .iter()
                .filter(|(s, _)| *s == ' ' || *s == sign)
                .count()
        };
        let range = |sign: char| {
            let (from, count) = (before(sign, start), before(sign, end) - before(sign, start));
            match count {
                0 => format!("{from},0"),
                1 => format!("{}", from + 1),
                n => format!("{},{n}", from + 1),
            }
        };
        out.push_str(&format!("@@ -{} +{} @@\n", range('-'), range('+')));
        for (sign, line) in &script[start..end] {
            out.push_str(&format!("{sign}{line}\n"));
        }
        at = end;
    }
    out
}

/// Lines with ` `, `-` or `+`, by the longest common subsequence.
fn edits<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(char, &'a str)> {
    let all = |sign: char, lines: &[&'a str]| lines.iter().map(|l| (sign, *l)).collect::<Vec<_>>();
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[head..], &b[head..]);
    let tail = rest_a
        .iter()
        .rev()
        .zip(rest_b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (mid_a, mid_b) = (
        &rest_a[..rest_a.len() - tail],
        &rest_b[..rest_b.len() - tail],
    );
    let mut script = all(' ', &a[..head]);
    if mid_a.len() > LINES_MAX || mid_b.len() > LINES_MAX {
        script.extend(all('-', mid_a));
        script.extend(all('+', mid_b));
    } else {
        let width = mid_b.len() + 1;
        let mut longest = vec![0u32; (mid_a.len() + 1) * width];
        for i in (0..mid_a.len()).rev() {
            for j in (0..mid_b.len()).rev() {
                longest[i * width + j] = if mid_a[i] == mid_b[j] {
                    longest[(i + 1) * width + j + 1] + 1
                } else {
                    longest[(i + 1) * width + j].max(longest[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < mid_a.len() || j < mid_b.len() {
            if i < mid_a.len() && j < mid_b.len() && mid_a[i] == mid_b[j] {
                script.push((' ', mid_a[i]));
                (i, j) = (i + 1, j + 1);
            } else if j == mid_b.len()
                || (i < mid_a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
            {
                script.push(('-', mid_a[i]));
                i += 1;
            } else {
                script.push(('+', mid_b[j]));
                j += 1;
            }
        }
    }
    script.extend(all(' ', &rest_a[rest_a.len() - tail..]));
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_are_those_of_diff() {
        let a = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(
            unified(a, &a.replace('5', "x")),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"
        );
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified(a, a), "");
    }
}
