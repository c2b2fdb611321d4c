//! Unified differences of lines, as the API server prints them (go-difflib, a port of Python's
//! difflib).

use std::collections::HashMap;

/// Lines around a change.
const CONTEXT: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Equal,
    Replace,
    Delete,
    Insert,
}

/// What turns `a[i1..i2]` into `b[j1..j2]`.
#[derive(Clone, Copy)]
struct Code {
    tag: Tag,
    i1: usize,
    i2: usize,
    j1: usize,
    j2: usize,
}

struct Matcher<'a> {
    a: Vec<&'a str>,
    b: Vec<&'a str>,
    /// Where a line of `b` stands; without those that stand nearly everywhere.
    places: HashMap<&'a str, Vec<usize>>,
}

/// The difference of two texts; empty where there is none.
pub(super) fn unified(a: &str, b: &str) -> String {
    let matcher = Matcher::new(a, b);
    let mut out = String::new();
    for group in matcher.groups() {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        out.push_str(&format!(
            "@@ -{} +{} @@\n",
            range(first.i1, last.i2),
            range(first.j1, last.j2)
        ));
        for code in &group {
            let mut put = |sign: char, lines: &[&str]| {
                for line in lines {
                    out.push(sign);
                    out.push_str(line);
                    out.push('\n');
                }
            };
            let (old, new) = (&matcher.a[code.i1..code.i2], &matcher.b[code.j1..code.j2]);
            match code.tag {
                Tag::Equal => put(' ', old),
                Tag::Replace => {
                    put('-', old);
                    put('+', new);
                }
                Tag::Delete => put('-', old),
                Tag::Insert => put('+', new),
            }
        }
    }
    out
}

fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => (start + 1).to_string(),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

impl<'a> Matcher<'a> {
    fn new(a: &'a str, b: &'a str) -> Matcher<'a> {
        let (a, b): (Vec<&str>, Vec<&str>) = (a.split('\n').collect(), b.split('\n').collect());
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, line) in b.iter().enumerate() {
            places.entry(line).or_default().push(at);
        }
        if b.len() >= 200 {
            let most = b.len() / 100 + 1;
            places.retain(|_, at| at.len() <= most);
        }
        Matcher { a, b, places }
    }

    /// The longest block that both have within these bounds: where it begins, and its length.
    fn longest(&self, (alo, ahi, blo, bhi): (usize, usize, usize, usize)) -> (usize, usize, usize) {
        let (mut i, mut j, mut size) = (alo, blo, 0);
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for at in alo..ahi {
            let mut next = HashMap::new();
            for place in self.places.get(self.a[at]).into_iter().flatten().copied() {
                if place < blo {
                    continue;
                }
                if place >= bhi {
                    break;
                }
                let before = place.checked_sub(1).and_then(|p| lengths.get(&p));
                let length = before.copied().unwrap_or(0) + 1;
                next.insert(place, length);
                if length > size {
                    (i, j, size) = (at + 1 - length, place + 1 - length, length);
                }
            }
            lengths = next;
        }
        while i > alo && j > blo && self.a[i - 1] == self.b[j - 1] {
            (i, j, size) = (i - 1, j - 1, size + 1);
        }
        while i + size < ahi && j + size < bhi && self.a[i + size] == self.b[j + size] {
            size += 1;
        }
        (i, j, size)
    }

    fn blocks(&self) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        let mut waiting = vec![(0, self.a.len(), 0, self.b.len())];
        while let Some(bounds) = waiting.pop() {
            let (alo, ahi, blo, bhi) = bounds;
            let (i, j, size) = self.longest(bounds);
            if size == 0 {
                continue;
            }
            found.push((i, j, size));
            if alo < i && blo < j {
                waiting.push((alo, i, blo, j));
            }
            if i + size < ahi && j + size < bhi {
                waiting.push((i + size, ahi, j + size, bhi));
            }
        }
        found.sort_unstable();
        let mut blocks: Vec<(usize, usize, usize)> = Vec::new();
        for (i, j, size) in found {
            match blocks.last_mut() {
                Some(last) if last.0 + last.2 == i && last.1 + last.2 == j => last.2 += size,
                _ => blocks.push((i, j, size)),
            }
        }
        blocks.push((self.a.len(), self.b.len(), 0));
        blocks
    }

    fn codes(&self) -> Vec<Code> {
        let (mut i, mut j) = (0, 0);
        let mut codes = Vec::new();
        for (ai, bj, size) in self.blocks() {
            let tag = match (i < ai, j < bj) {
                (true, true) => Some(Tag::Replace),
                (true, false) => Some(Tag::Delete),
                (false, true) => Some(Tag::Insert),
                (false, false) => None,
            };
            if let Some(tag) = tag {
                codes.push(Code {
                    tag,
                    i1: i,
                    i2: ai,
                    j1: j,
                    j2: bj,
                });
            }
            (i, j) = (ai + size, bj + size);
            if size > 0 {
                codes.push(Code {
                    tag: Tag::Equal,
                    i1: ai,
                    i2: i,
                    j1: bj,
                    j2: j,
                });
            }
        }
        codes
    }

    /// The changes with the lines around them.
    fn groups(&self) -> Vec<Vec<Code>> {
        let mut codes = self.codes();
        if let Some(first) = codes.first_mut().filter(|c| c.tag == Tag::Equal) {
            first.i1 = first.i1.max(first.i2.saturating_sub(CONTEXT));
            first.j1 = first.j1.max(first.j2.saturating_sub(CONTEXT));
        }
        if let Some(last) = codes.last_mut().filter(|c| c.tag == Tag::Equal) {
            last.i2 = last.i2.min(last.i1 + CONTEXT);
            last.j2 = last.j2.min(last.j1 + CONTEXT);
        }
        let mut groups = Vec::new();
        let mut group: Vec<Code> = Vec::new();
        for mut code in codes {
            if code.tag == Tag::Equal && code.i2 - code.i1 > 2 * CONTEXT {
                group.push(Code {
                    i2: code.i2.min(code.i1 + CONTEXT),
                    j2: code.j2.min(code.j1 + CONTEXT),
                    ..code
                });
                groups.push(std::mem::take(&mut group));
                code.i1 = code.i1.max(code.i2.saturating_sub(CONTEXT));
                code.j1 = code.j1.max(code.j2.saturating_sub(CONTEXT));
            }
            group.push(code);
        }
        let only_equal = matches!(&group[..], [only] if only.tag == Tag::Equal);
        if !group.is_empty() && !only_equal {
            groups.push(group);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn changes_come_with_the_lines_around_them() {
        let lines = |words: &str| words.split(' ').collect::<Vec<_>>().join("\n");
        let cases = [
            ("a b c", "a b c", ""),
            ("a b c", "a x c", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"),
            (
                "a b c d e f",
                "a b c d e",
                "@@ -3,4 +3,3 @@\n c\n d\n e\n-f\n",
            ),
            ("a", "b", "@@ -1 +1 @@\n-a\n+b\n"),
            (
                "a 1 2 3 4 5 6 7 8 b",
                "x 1 2 3 4 5 6 7 8 y",
                "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -7,4 +7,4 @@\n 6\n 7\n 8\n-b\n+y\n",
            ),
        ];
        for (a, b, want) in cases {
            assert_eq!(unified(&lines(a), &lines(b)), want);
        }
    }
}
