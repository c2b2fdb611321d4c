//! Columns of text: kubectl's tab writer (`liggitt/tabwriter`: cells padded by three blanks), and
//! the lines with levels of describe (`text/tabwriter` padded by two).

/// Lays lines out whose cells are separated by tabs, as Go's `text/tabwriter` does with minimal
/// width 0 or more and blanks as padding: a column is a run of lines that have the cell; the last
/// cell of a line belongs to no column.
pub(crate) fn align(text: &str, min_width: usize, padding: usize) -> String {
    align_as_before(text, min_width, padding, &mut None)
}

/// As [`align`], with columns that are no narrower than they were before (`RememberWidths`).
fn align_as_before(
    text: &str,
    min_width: usize,
    padding: usize,
    before: &mut Option<Vec<usize>>,
) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<Vec<usize>> = lines
        .iter()
        .map(|cells| vec![0; cells.len().saturating_sub(1)])
        .collect();
    for at in 0..lines.len() {
        for column in 0..widths[at].len() {
            let begins = at == 0 || widths[at - 1].len() <= column;
            if !begins {
                widths[at][column] = widths[at - 1][column];
                continue;
            }
            let run = (at..lines.len()).take_while(|line| widths[*line].len() > column);
            let widest = run
                .map(|line| lines[line][column].chars().count())
                .max()
                .unwrap_or(0);
            // An empty column stays empty unless a minimal width is asked for.
            let mut width = if widest == 0 && min_width == 0 {
                0
            } else {
                (widest + padding).max(min_width)
            };
            if let Some(before) = before {
                if before.len() <= column {
                    before.resize(column + 1, 0);
                }
                width = width.max(before[column]);
                before[column] = width;
            }
            widths[at][column] = width;
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (at, cells) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths[at].get(column) {
                out.extend(std::iter::repeat_n(
                    ' ',
                    width.saturating_sub(cell.chars().count()),
                ));
            }
        }
    }
    out
}

/// The text of a table as `kubectl get` prints it: rows of cells, aligned with three blanks. Each
/// line ends after its last cell.
pub(crate) fn rows(rows: &[Vec<String>]) -> String {
    align(&joined(rows, clean), 6, 3)
}

/// Custom columns, whose cells keep their line breaks. For a table that goes on, its columns never
/// become narrower.
pub(crate) fn custom_columns(rows: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    let mut before = Some(std::mem::take(widths));
    let text = align_as_before(&joined(rows, str::to_owned), 6, 3, &mut before);
    *widths = before.unwrap_or_default();
    text
}

/// As [`rows`], for a table that goes on: its columns never become narrower.
pub(crate) fn more_rows(rows: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    let mut before = Some(std::mem::take(widths));
    let text = align_as_before(&joined(rows, clean), 6, 3, &mut before);
    *widths = before.unwrap_or_default();
    text
}

fn joined(rows: &[Vec<String>], shown: fn(&str) -> String) -> String {
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| shown(cell)).collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    text
}

/// A cell on one line, as the table printer writes it: cut at the first line break.
fn clean(cell: &str) -> String {
    match cell.find(['\n', '\r', '\u{c}']) {
        Some(at) => format!("{}...", &cell[..at]),
        None => cell.to_owned(),
    }
}

/// Collects the lines of `kubectl describe`, which are aligned at the end: two blanks between cells.
#[derive(Default)]
pub(crate) struct Lines {
    /// Whether the events about the object are wanted.
    pub with_events: bool,
    done: String,
    text: String,
}

impl Lines {
    /// A line at a level (two blanks each); tabs separate cells.
    pub fn line(&mut self, level: usize, text: impl AsRef<str>) {
        self.part(level, text);
        self.text.push('\n');
    }

    /// As `line`, without the newline.
    pub fn part(&mut self, level: usize, text: impl AsRef<str>) {
        (0..level).for_each(|_| self.text.push_str("  "));
        self.text.push_str(text.as_ref());
    }

    /// The text, aligned.
    pub fn finish(mut self) -> String {
        self.flush();
        self.done
    }

    /// Text as it is, to be aligned with the rest.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Aligns what is there by itself: what follows makes columns of its own.
    pub fn flush(&mut self) {
        self.done
            .push_str(&align(&std::mem::take(&mut self.text), 0, 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = [
            vec!["NAME", "AGE"],
            vec!["kube-root-ca.crt", "1s"],
            vec!["a", "10m"],
        ];
        let table: Vec<Vec<String>> = table
            .iter()
            .map(|r| r.iter().map(|c| (*c).to_owned()).collect())
            .collect();
        assert_eq!(
            rows(&table),
            "NAME               AGE\nkube-root-ca.crt   1s\na                  10m\n"
        );
    }

    #[test]
    fn a_column_ends_where_a_line_lacks_the_cell() {
        assert_eq!(
            align("a:\tx\nlonger:\ty\nblock:\n  b:\tz\n", 0, 2),
            "a:       x\nlonger:  y\nblock:\n  b:  z\n"
        );
    }
}
