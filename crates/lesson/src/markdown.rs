//! Markdown as a tree, in which there is nothing but text, structure and checked links.
//!
//! CommonMark with tables, read by pulldown-cmark. HTML is text as it stands; images are their
//! description; a link leads to http, https or a place relative to the page, and anything else is
//! the text that it has. Whoever draws the tree makes elements of its nodes and text of its texts.

use kubarium_snapshot::text::{Block, Inline};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

use crate::clean::{clean, has_hidden};

/// The most bytes of one text; what is beyond is cut off.
const BYTES_MAX: usize = 64 << 10;
/// How deep blocks and inlines may be nested; what is deeper loses its nesting.
const DEPTH_MAX: usize = 12;
/// The most bytes of a link.
const LINK_MAX: usize = 2_000;

/// Where a link may lead: the address, if it is http, https, or relative to the page.
pub fn safe_link(to: &str) -> Option<String> {
    let to = to.trim();
    let strange = |c: char| c.is_whitespace() || c == '\\' || c.is_control();
    if to.is_empty() || to.len() > LINK_MAX || to.contains(strange) || has_hidden(to) {
        return None;
    }
    let before_path = to.split(['/', '?', '#']).next().unwrap_or("");
    match before_path.split_once(':') {
        Some((scheme, _)) => {
            let known = ["http", "https"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme));
            let host = to
                .get(scheme.len() + 1..)
                .and_then(|rest| rest.strip_prefix("//"));
            let named =
                host.is_some_and(|h| h.starts_with(|c: char| c.is_alphanumeric() || c == '['));
            (known && named).then(|| to.to_owned())
        }
        // `//host` has the page's scheme, but leaves the page.
        None => (!to.starts_with("//")).then(|| to.to_owned()),
    }
}

/// Reads a text.
pub fn parse(text: &str) -> Vec<Block> {
    let text = clean(text);
    let mut end = text.len().min(BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut builder = Builder::default();
    for event in Parser::new_ext(&text[..end], Options::ENABLE_TABLES) {
        builder.take(event);
    }
    builder.finish()
}

/// The words of a text without its structure, for titles and for those who hear it.
pub fn plain(blocks: &[Block]) -> String {
    let mut text = String::new();
    blocks_text(blocks, &mut text);
    text.trim_end().to_owned()
}

fn blocks_text(blocks: &[Block], out: &mut String) {
    for block in blocks {
        match block {
            Block::Heading { content, .. } | Block::Paragraph { content } => {
                inlines_text(content, out);
            }
            Block::List { items, .. } => items.iter().for_each(|item| blocks_text(item, out)),
            Block::Code { text, .. } => out.push_str(text.trim_end()),
            Block::Quote { content } => blocks_text(content, out),
            Block::Table { head, rows } => {
                for row in std::iter::once(head).chain(rows) {
                    for cell in row {
                        inlines_text(cell, out);
                        out.push(' ');
                    }
                    out.push('\n');
                }
            }
            Block::Rule => {}
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
}

fn inlines_text(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text { text } | Inline::Code { text } => out.push_str(text),
            Inline::Emphasis { content }
            | Inline::Strong { content }
            | Inline::Link { content, .. } => {
                inlines_text(content, out);
            }
            Inline::Break => out.push('\n'),
        }
    }
}

/// What is open around the place that is being read.
enum Open {
    Heading(u8),
    Paragraph,
    List(Option<u64>, Vec<Vec<Block>>),
    Item,
    Code(String, String),
    Quote,
    Table(Vec<Vec<Inline>>, Vec<Vec<Vec<Inline>>>),
    Row(Vec<Vec<Inline>>, bool),
    Cell,
    Emphasis,
    Strong,
    Link(Option<String>),
    /// Something that leaves its content where it is.
    Nothing,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    blocks: Vec<Vec<Block>>,
    inlines: Vec<Vec<Inline>>,
    done: Vec<Block>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(_) => self.end(),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.text(&text),
            Event::Code(text) => self.inline(Inline::Code {
                text: text.into_string(),
            }),
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.inline(Inline::Break),
            Event::Rule => self.block(Block::Rule),
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let deep = self.open.len() >= DEPTH_MAX;
        let open = match tag {
            Tag::Heading { level, .. } => {
                self.inlines.push(Vec::new());
                Open::Heading(match level {
                    HeadingLevel::H1 => 1,
                    HeadingLevel::H2 => 2,
                    HeadingLevel::H3 => 3,
                    HeadingLevel::H4 => 4,
                    HeadingLevel::H5 => 5,
                    HeadingLevel::H6 => 6,
                })
            }
            Tag::Paragraph | Tag::HtmlBlock => {
                self.inlines.push(Vec::new());
                Open::Paragraph
            }
            Tag::CodeBlock(kind) => Open::Code(
                match kind {
                    CodeBlockKind::Fenced(info) => {
                        let word = info.split([' ', ',', '\t']).next().unwrap_or("");
                        let fine = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                        if fine && word.len() <= 20 {
                            word.to_owned()
                        } else {
                            String::new()
                        }
                    }
                    CodeBlockKind::Indented => String::new(),
                },
                String::new(),
            ),
            Tag::List(start) if !deep => Open::List(start, Vec::new()),
            // An item of a list that is too deep is left where it is.
            Tag::Item if matches!(self.open.last(), Some(Open::List(..))) => {
                self.blocks.push(Vec::new());
                Open::Item
            }
            Tag::BlockQuote(_) if !deep => {
                self.blocks.push(Vec::new());
                Open::Quote
            }
            Tag::Table(_) => Open::Table(Vec::new(), Vec::new()),
            Tag::TableHead => Open::Row(Vec::new(), true),
            Tag::TableRow => Open::Row(Vec::new(), false),
            Tag::TableCell => {
                self.inlines.push(Vec::new());
                Open::Cell
            }
            Tag::Emphasis if !deep => {
                self.inlines.push(Vec::new());
                Open::Emphasis
            }
            Tag::Strong if !deep => {
                self.inlines.push(Vec::new());
                Open::Strong
            }
            Tag::Link { dest_url, .. } if !deep => {
                self.inlines.push(Vec::new());
                Open::Link(safe_link(&dest_url))
            }
            _ => Open::Nothing,
        };
        self.open.push(open);
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let inlines = |builder: &mut Builder| builder.inlines.pop().unwrap_or_default();
        match open {
            Open::Heading(level) => {
                let content = inlines(self);
                self.block(Block::Heading { level, content });
            }
            Open::Paragraph => {
                let content = inlines(self);
                if !content.is_empty() {
                    self.block(Block::Paragraph { content });
                }
            }
            Open::List(start, items) => self.block(Block::List { start, items }),
            Open::Item => {
                self.settle();
                let item = self.blocks.pop().unwrap_or_default();
                if let Some(Open::List(_, items)) = self.open.last_mut() {
                    items.push(item);
                }
            }
            Open::Code(language, text) => self.block(Block::Code { language, text }),
            Open::Quote => {
                let content = self.blocks.pop().unwrap_or_default();
                self.block(Block::Quote { content });
            }
            Open::Table(head, rows) => self.block(Block::Table { head, rows }),
            Open::Row(cells, is_head) => {
                if let Some(Open::Table(head, rows)) = self.open.last_mut() {
                    if is_head {
                        *head = cells;
                    } else {
                        rows.push(cells);
                    }
                }
            }
            Open::Cell => {
                let content = inlines(self);
                if let Some(Open::Row(cells, _)) = self.open.last_mut() {
                    cells.push(content);
                }
            }
            Open::Emphasis => {
                let content = inlines(self);
                self.inline(Inline::Emphasis { content });
            }
            Open::Strong => {
                let content = inlines(self);
                self.inline(Inline::Strong { content });
            }
            Open::Link(to) => {
                let content = inlines(self);
                match to {
                    Some(to) => self.inline(Inline::Link { to, content }),
                    None => content.into_iter().for_each(|inline| self.inline(inline)),
                }
            }
            Open::Nothing => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(Open::Code(_, code)) = self.open.last_mut() {
            code.push_str(text);
            return;
        }
        // A character reference can stand for what was cleaned away before.
        let text = clean(text);
        let words = self
            .inlines
            .last_mut()
            .and_then(|inlines| inlines.last_mut());
        match words {
            Some(Inline::Text { text: so_far }) => so_far.push_str(&text),
            _ => self.inline(Inline::Text { text }),
        }
    }

    /// Puts words where they belong: into what is open, or into a paragraph of their own, as in an
    /// item of a tight list.
    fn inline(&mut self, inline: Inline) {
        match self.inlines.last_mut() {
            Some(inlines) => inlines.push(inline),
            None => {
                self.loose(inline);
            }
        }
    }

    /// Words outside any paragraph: joined to the paragraph before them where that is loose too.
    fn loose(&mut self, inline: Inline) {
        let blocks = self.blocks.last_mut().unwrap_or(&mut self.done);
        match blocks.last_mut() {
            Some(Block::Paragraph { content }) => content.push(inline),
            _ => blocks.push(Block::Paragraph {
                content: vec![inline],
            }),
        }
    }

    /// Nothing is left open inside an item.
    fn settle(&mut self) {
        let blocks = self.blocks.last_mut().unwrap_or(&mut self.done);
        for block in blocks.iter_mut() {
            if let Block::Paragraph { content } = block {
                merge(content);
            }
        }
    }

    fn block(&mut self, block: Block) {
        self.blocks.last_mut().unwrap_or(&mut self.done).push(block);
    }

    fn finish(mut self) -> Vec<Block> {
        while !self.open.is_empty() {
            self.end();
        }
        self.done
    }
}

/// Joins texts that stand side by side.
fn merge(content: &mut Vec<Inline>) {
    let mut merged: Vec<Inline> = Vec::with_capacity(content.len());
    for inline in content.drain(..) {
        match (merged.last_mut(), inline) {
            (Some(Inline::Text { text: so_far }), Inline::Text { text }) => so_far.push_str(&text),
            (_, inline) => merged.push(inline),
        }
    }
    *content = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in one line, for tests.
    fn tree(text: &str) -> String {
        fn inlines(all: &[Inline]) -> String {
            let one = |inline: &Inline| match inline {
                Inline::Text { text } => text.clone(),
                Inline::Code { text } => format!("`{text}`"),
                Inline::Emphasis { content } => format!("em({})", inlines(content)),
                Inline::Strong { content } => format!("strong({})", inlines(content)),
                Inline::Link { to, content } => format!("link({to}|{})", inlines(content)),
                Inline::Break => "br".to_owned(),
            };
            all.iter().map(one).collect()
        }
        fn blocks(all: &[Block]) -> String {
            let one = |block: &Block| match block {
                Block::Heading { level, content } => format!("h{level}({})", inlines(content)),
                Block::Paragraph { content } => format!("p({})", inlines(content)),
                Block::List { start, items } => {
                    let items: Vec<String> = items.iter().map(|i| blocks(i)).collect();
                    let kind = start.map_or("ul".to_owned(), |n| format!("ol{n}"));
                    format!("{kind}({})", items.join(","))
                }
                Block::Code { language, text } => format!("code({language}|{text})"),
                Block::Quote { content } => format!("quote({})", blocks(content)),
                Block::Table { head, rows } => {
                    let row = |r: &Vec<Vec<Inline>>| {
                        r.iter().map(|c| inlines(c)).collect::<Vec<_>>().join("|")
                    };
                    let rows: Vec<String> = std::iter::once(head).chain(rows).map(row).collect();
                    format!("table({})", rows.join("/"))
                }
                Block::Rule => "hr".to_owned(),
            };
            all.iter().map(one).collect()
        }
        blocks(&parse(text))
    }

    #[test]
    fn markdown_becomes_a_tree() {
        for (text, want) in [
            ("# A *b*", "h1(A em(b))"),
            ("a\nb\\\nc", "p(a bbrc)"),
            ("**a** `b`", "p(strong(a) `b`)"),
            ("- a\n- b *c*\n  - d", "ul(p(a),p(b em(c))ul(p(d)))"),
            ("3. a\n\n   b\n4. c", "ol3(p(a)p(b),p(c))"),
            ("```yaml\na: 1\n```", "code(yaml|a: 1\n)"),
            ("> a\n> - b", "quote(p(a)ul(p(b)))"),
            ("| a | b |\n|---|---|\n| 1 | `2` |", "table(a|b/1|`2`)"),
            ("a\n\n---\nb", "p(a)hrp(b)"),
            ("[a](https://b.c/d)", "p(link(https://b.c/d|a))"),
            ("[a](b.html#c)", "p(link(b.html#c|a))"),
            ("<https://b.c>", "p(link(https://b.c|https://b.c))"),
            ("![a picture](https://b.c/d.png)", "p(a picture)"),
        ] {
            assert_eq!(tree(text), want, "{text}");
        }
    }

    #[test]
    fn html_is_text_and_bad_links_are_words() {
        for (text, want) in [
            ("<b>x</b>", "p(<b>x</b>)"),
            ("<script>alert(1)</script>", "p(<script>alert(1)</script>)"),
            ("[a](javascript:alert(1))", "p(a)"),
            ("[a](&#106;avascript:alert(1))", "p(a)"),
            ("[a](java&#10;script:alert)", "p(a)"),
            ("[a](//evil.example)", "p(a)"),
            ("a&#8238;b", "p(ab)"),
            ("```x\" onload=\n<b>\n```", "code(|<b>\n)"),
        ] {
            assert_eq!(tree(text), want, "{text}");
        }
    }

    #[test]
    fn plain_words_are_left() {
        let text = "# A *b*\n\n- c\n- [d](e)\n\n| f | g |\n|---|---|\n| 1 | 2 |";
        assert_eq!(plain(&parse(text)), "A b\nc\nd\nf g \n1 2");
    }

    #[test]
    fn depth_and_length_are_limited() {
        let deep = parse(&("> ".repeat(5_000) + "x"));
        let json = serde_json::to_string(&deep).unwrap();
        assert!(json.matches("Quote").count() + json.matches("quote").count() <= DEPTH_MAX);
        assert!(json.contains('x'));
        for text in [
            "*".repeat(60_000),
            "[".repeat(60_000),
            "- ".repeat(30_000),
            "`".repeat(60_000),
        ] {
            parse(&text);
        }
        let long = parse(&"ä".repeat(100_000));
        assert_eq!(plain(&long).chars().count(), BYTES_MAX / 2);
    }
}
