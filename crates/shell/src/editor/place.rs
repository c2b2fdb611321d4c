//! Where the cursor is in a manifest that is being written: found by indentation, line by line, so that it is found in
//! a text that no YAML parser would take.

use std::ops::Range;

/// A step from a node to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a map, by key.
    Key(String),
    /// Into a list, by number.
    Item(usize),
}

/// What is being written at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A key of the map at the path; or an item of the list at the path, where it is one of scalars.
    Key,
    /// The value at the path.
    Value,
}

/// Where the cursor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The lines of the document, from 0.
    pub document: Range<usize>,
    /// The cursor's line, from 0.
    pub line: usize,
    /// The way to the map, or to the value.
    pub path: Vec<Step>,
    /// What is written there.
    pub role: Role,
    /// The columns (characters, from 0) of the word at the cursor.
    pub word: Range<usize>,
    /// That word, as far as the cursor.
    pub prefix: String,
    /// The key on the cursor's line, whole, where it has one.
    pub key: Option<String>,
    /// The other keys of the map.
    pub siblings: Vec<String>,
    /// The column of the map's keys; none in `{a: b}`.
    pub column: Option<usize>,
    /// Whether a value stands right behind its colon, and needs a blank.
    pub tight: bool,
}

/// A line's parts. Columns are characters from 0.
#[derive(Debug, Default)]
struct Line {
    /// The columns of its dashes.
    dashes: Vec<usize>,
    /// Its key with its column, and the column after the colon.
    key: Option<(usize, String, usize)>,
    /// Where what is not a dash begins.
    content: usize,
    /// Whether there is anything after the key but a comment.
    has_value: bool,
    /// Whether it is blank or a comment.
    is_blank: bool,
    /// Whether a text follows, `|` or `>`.
    opens_text: bool,
}

fn read(text: &str) -> Line {
    let chars: Vec<char> = text.chars().collect();
    let mut line = Line::default();
    let mut at = 0;
    loop {
        while chars.get(at) == Some(&' ') {
            at += 1;
        }
        let is_dash = chars.get(at) == Some(&'-') && matches!(chars.get(at + 1), None | Some(' '));
        if !is_dash {
            break;
        }
        line.dashes.push(at);
        at += 1;
    }
    line.content = at;
    let rest: String = chars.iter().skip(at).collect();
    if rest.is_empty() || rest.starts_with('#') {
        line.is_blank = line.dashes.is_empty();
        return line;
    }
    if let Some((key, length)) = key_of(&rest) {
        line.key = Some((at, key, at + length));
    }
    let value = match &line.key {
        Some((_, _, after)) => chars.iter().skip(*after).collect(),
        None => rest,
    };
    let value = without_comment(&value).trim();
    line.opens_text = value.starts_with(['|', '>']) && value.len() <= 3;
    line.has_value = !value.is_empty() && !value.starts_with(['&', '!']) && !line.opens_text;
    line
}

/// The key that a text begins with, and how many characters it takes with its colon.
fn key_of(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| *c == '"' || *c == '\'');
    let (key, length) = match quote {
        Some(quote) => {
            let key = text.get(1..)?.split(quote).next()?;
            (key, key.chars().count() + 2)
        }
        None => {
            let end = text
                .match_indices(':')
                .map(|(at, _)| at)
                .find(|at| matches!(text.as_bytes().get(at + 1), None | Some(b' ')))?;
            let key = text.get(..end)?;
            (key.trim_end(), key.chars().count())
        }
    };
    let plain = !key.is_empty() && !key.starts_with(['{', '[', '#', '&', '*', '!', '|', '>']);
    (plain && text.chars().nth(length) == Some(':')).then(|| (key.to_owned(), length + 1))
}

fn without_comment(text: &str) -> &str {
    if text.trim_start().starts_with('#') {
        return "";
    }
    text.split_once(" #").map_or(text, |(text, _)| text)
}

fn separates(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.trim().is_empty() || rest.trim().starts_with('#'))
}

/// Where the cursor is, its line and column from 0; none in comments and in texts.
pub(crate) fn find(text: &str, line: usize, column: usize) -> Option<Place> {
    let lines: Vec<&str> = text.lines().collect();
    let here = lines.get(line).copied().unwrap_or("");
    if separates(here) {
        return None;
    }
    let before = lines.iter().take(line).rposition(|l| separates(l));
    let first = before.map_or(0, |at| at + 1);
    let after = lines.iter().skip(line + 1).position(|l| separates(l));
    let document = first..after.map_or(lines.len().max(line + 1), |at| line + 1 + at);
    let parts: Vec<Line> = (document.clone())
        .map(|at| read(lines.get(at).copied().unwrap_or("")))
        .collect();
    let at = line - first;
    let texts = texts(&parts, &lines[first.min(lines.len())..]);
    let own = parts.get(at).filter(|_| !texts[at])?;
    let chars: Vec<char> = here.chars().collect();
    let column = column.min(chars.len());
    if comment(&chars).is_some_and(|at| column > at) {
        return None;
    }
    // On an empty line the cursor says how deep it is.
    let start = if own.is_blank { column } else { own.content };
    if column < start {
        return None;
    }
    let mut way = Way::begin(&own.dashes, start);
    let told = |at: &usize| !texts[*at] && !parts[*at].is_blank;
    for above in (0..at).rev().filter(told) {
        if way.is_done() {
            break;
        }
        way.climb(&parts[above]);
    }
    for below in (at + 1..parts.len()).filter(told) {
        if !way.descend(&parts[below]) {
            break;
        }
    }
    way.path.reverse();
    let mut place = Place {
        document,
        line,
        path: way.path,
        role: Role::Key,
        word: start..end_of(&chars, start),
        prefix: String::new(),
        key: own.key.as_ref().map(|(_, key, _)| key.clone()),
        siblings: way.siblings,
        column: Some(way.column),
        tight: false,
    };
    match &own.key {
        Some((_, key, after)) if column >= *after => {
            let blanks = chars.iter().skip(*after).take_while(|c| **c == ' ');
            let start = after + blanks.count();
            place.path.push(Step::Key(key.clone()));
            place.role = Role::Value;
            place.word = start.min(column)..end_of(&chars, start).max(column);
            place.siblings.clear();
            place.tight = place.word.start == *after;
        }
        Some((start, _, after)) => place.word = *start..after - 1,
        None => {}
    }
    let written = chars.get(place.word.start..column).unwrap_or(&[]);
    if matches!(written.first(), Some('{' | '[')) {
        flow(&mut place, written);
    }
    let prefix = chars.get(place.word.start..column).unwrap_or(&[]);
    place.prefix = prefix.iter().collect();
    place.word.end = place.word.end.max(column);
    Some(place)
}

/// Where a line's words end: before its comment and the blanks at its end.
fn end_of(chars: &[char], start: usize) -> usize {
    let end = comment(chars).unwrap_or(chars.len());
    let blanks = chars[..end].iter().rev().take_while(|c| **c == ' ').count();
    (end - blanks).max(start)
}

/// Where a line's comment begins.
fn comment(chars: &[char]) -> Option<usize> {
    (0..chars.len()).find(|at| chars[*at] == '#' && (*at == 0 || chars[at - 1] == ' '))
}

/// Which lines belong to a text that was begun by `|` or `>`.
fn texts(parts: &[Line], lines: &[&str]) -> Vec<bool> {
    let mut within: Option<usize> = None;
    let mut all = Vec::new();
    for (part, line) in parts.iter().zip(lines.iter().chain(std::iter::repeat(&""))) {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_text = within.is_some_and(|column| line.trim().is_empty() || indent > column);
        if !is_text {
            let column = part.key.as_ref().map(|(column, ..)| *column);
            let column = column.or(part.dashes.last().copied());
            within = column.filter(|_| part.opens_text);
        }
        all.push(is_text);
    }
    all
}

/// The way up from the cursor.
struct Way {
    /// The steps, the last first.
    path: Vec<Step>,
    /// The column to which it has come, and whether that is a dash whose list is looked for.
    at: usize,
    in_list: bool,
    /// Whether what is above may still belong to the cursor's own map.
    beside: bool,
    column: usize,
    siblings: Vec<String>,
}

impl Way {
    fn begin(dashes: &[usize], start: usize) -> Way {
        Way {
            path: dashes.iter().map(|_| Step::Item(0)).collect(),
            at: dashes.first().copied().unwrap_or(start),
            in_list: !dashes.is_empty(),
            beside: dashes.is_empty(),
            column: start,
            siblings: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.at == 0 && !self.in_list && !self.beside
    }

    fn up(&mut self, step: Step, column: usize) {
        self.in_list = matches!(step, Step::Item(_));
        self.path.push(step);
        self.at = column;
        self.beside = false;
    }

    /// Takes the next line above into account.
    fn climb(&mut self, line: &Line) {
        if let Some((column, key, _)) = &line.key {
            let is_parent = !line.has_value
                && if self.in_list {
                    *column <= self.at
                } else {
                    *column < self.at
                };
            if is_parent {
                self.up(Step::Key(key.clone()), *column);
            } else if self.beside && *column <= self.at {
                // One that is indented too far is meant to stand beside it.
                (self.at, self.column) = (*column, *column);
                self.siblings.push(key.clone());
            }
        }
        for dash in line.dashes.iter().rev() {
            if self.in_list && *dash == self.at {
                if let Some(Step::Item(number)) = self.path.last_mut() {
                    *number += 1;
                }
            } else if *dash < self.at {
                self.up(Step::Item(0), *dash);
            }
        }
    }

    /// Takes the next line below into account; whether the map goes on.
    fn descend(&mut self, line: &Line) -> bool {
        if let Some(dash) = line.dashes.first() {
            return *dash >= self.column;
        }
        match &line.key {
            Some((column, ..)) if *column < self.column => false,
            Some((column, key, _)) => {
                if *column == self.column {
                    self.siblings.push(key.clone());
                }
                true
            }
            None => line.content >= self.column,
        }
    }
}

/// Goes into `{a: b, c: [d` as far as it is written.
fn flow(place: &mut Place, written: &[char]) {
    enum Frame {
        Map(Option<String>),
        List(usize),
    }
    let mut frames: Vec<Frame> = Vec::new();
    let (mut start, mut quote) = (0, None);
    let mut keys: Vec<Vec<String>> = Vec::new();
    for (at, c) in written.iter().enumerate() {
        if quote.is_some() {
            if quote == Some(*c) {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(*c),
            '{' | '[' => {
                frames.push(if *c == '{' {
                    Frame::Map(None)
                } else {
                    Frame::List(0)
                });
                keys.push(Vec::new());
            }
            '}' | ']' => {
                frames.pop();
                keys.pop();
            }
            ',' => match frames.last_mut() {
                Some(Frame::Map(key)) => *key = None,
                Some(Frame::List(number)) => *number += 1,
                None => {}
            },
            ':' => {
                let key: String = written[start..at].iter().collect();
                let key = key.trim().trim_matches(['"', '\'']).to_owned();
                if let (Some(Frame::Map(at @ None)), Some(keys)) =
                    (frames.last_mut(), keys.last_mut())
                {
                    keys.push(key.clone());
                    *at = Some(key);
                }
            }
            _ => continue,
        }
        if quote.is_none() {
            start = at + 1;
        }
    }
    let blanks = written.get(start..).unwrap_or(&[]);
    start += blanks.iter().take_while(|c| **c == ' ').count();
    place.role = match frames.last() {
        Some(Frame::Map(None)) => Role::Key,
        _ => Role::Value,
    };
    for frame in frames {
        match frame {
            Frame::Map(Some(key)) => place.path.push(Step::Key(key)),
            Frame::Map(None) => {}
            Frame::List(number) => place.path.push(Step::Item(number)),
        }
    }
    place.siblings = match place.role {
        Role::Key => keys.pop().unwrap_or_default(),
        Role::Value => Vec::new(),
    };
    place.column = None;
    place.word = place.word.start + start..place.word.start + written.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way to the cursor, which is written `|`: `spec.containers.0.image=ngi`; a key ends in `?`.
    fn at(text: &str) -> String {
        let line = text.lines().position(|l| l.contains('^')).unwrap_or(0);
        let here = text.lines().nth(line).unwrap_or("");
        let column = here.chars().position(|c| c == '^').unwrap_or(0);
        let Some(place) = find(&text.replace('^', ""), line, column) else {
            return "none".to_owned();
        };
        let steps = place.path.iter().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Item(number) => number.to_string(),
        });
        let path = steps.collect::<Vec<_>>().join(".");
        let end = if place.role == Role::Key { "?" } else { "=" };
        let beside = place.siblings.join(",");
        format!("{path}{end}{} {beside}", place.prefix)
            .trim_end()
            .to_owned()
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(at(text), want, "{text}");
    }

    #[test]
    fn the_way_to_a_key_is_its_indentation() {
        check("^", "?");
        check("api^", "?api");
        check(
            "kind: Pod\nsp^\nmetadata:\n  name: a\n",
            "?sp kind,metadata",
        );
        check("spec:\n  ^", "spec?");
        check(
            "spec:\n  a: 1\n  re^\n  b:\n    c: 1\nd: 1\n",
            "spec?re a,b",
        );
        check("spec:\n  a: 1\n    re^\n", "spec?re a");
        check("---\na: 1\n---\nkind: Pod\n^\n---\nb: 1\n", "? kind");
    }

    #[test]
    fn items_of_lists_are_counted() {
        check("spec:\n  containers:\n  - ^", "spec.containers.0?");
        check(
            "spec:\n  containers:\n    - name: a\n      im^\n",
            "spec.containers.0?im name",
        );
        check(
            "spec:\n  containers:\n  - name: a\n  - name: b\n    im^\n    x: 1\n  - y: 1\n",
            "spec.containers.1?im name,x",
        );
        check("a:\n- b:\n  - c: 1\n    d:\n      - ^\n", "a.0.b.0.d.0?");
        check("args:\n- x\n- y^\n", "args.1?y");
    }

    #[test]
    fn a_value_has_its_key_for_its_last_step() {
        check("kind: Po^", "kind=Po");
        check("kind:^", "kind=");
        check("spec:\n  type: ^ # which\n", "spec.type=");
        check("a:\n  - b: x^y\n", "a.0.b=x");
        check("\"a.b/c\": d^\n", "a.b/c=d");
    }

    #[test]
    fn what_stands_in_braces_is_followed() {
        check("metadata: {name: a, na^", "metadata?na name");
        check("metadata: {labels: {app: w^}}", "metadata.labels.app=w");
        check("command: [\"a\", b^", "command.1=b");
    }

    #[test]
    fn nothing_is_said_in_comments_and_texts() {
        check("a: 1 # c^", "none");
        check("# ^", "none");
        check("data:\n  x: |\n    a: b^\n", "none");
        check("data:\n  x: |\n    a: b\n  y^\n", "data?y x");
        check("--^-\n", "none");
    }

    #[test]
    fn no_place_is_out_of_reach() {
        let text = "a:\n  - b: {c: [1, 'x\n   - : \u{1F600}: y\n\t- z\n:\n- - a:\n    -\n";
        for line in 0..9 {
            for column in 0..24 {
                find(text, line, column);
            }
        }
    }
}
