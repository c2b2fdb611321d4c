//! `kubarium mdbook`: a preprocessor for mdBook that turns fenced blocks into live clusters.
//!
//! The protocol is mdBook's: `mdbook supports RENDERER` asks with the exit status; otherwise standard input has
//! `[context, book]` as JSON, and standard output takes the book (mdBook, "Preprocessors").

use serde_json::Value;

/// How it is used.
pub const USAGE: &str = "\
A preprocessor for mdBook: turns blocks that begin with ```kube-lab into live clusters.

Usage: kubarium mdbook [supports RENDERER]

In book.toml:

  [preprocessor.kubarium]
  command = \"kubarium mdbook\"
  src = \"https://YOUR.SITE/kubarium/\"      # where the built page is

In a chapter, with the attributes of <kube-lab> (docs/EMBEDDING.md):

  ```kube-lab view=map height=420
  apiVersion: v1
  kind: Pod
  ```

  ```kube-lab scene=pod-to-service load=click
  ```
";

/// The attributes that a block may have.
const ATTRIBUTES: [&str; 14] = [
    "scene", "exercise", "state", "view", "focus", "theme", "load", "picture", "label", "height",
    "readonly", "isolated", "lang", "title",
];

/// Runs the command; its text, or its exit status alone.
///
/// # Errors
/// What is wrong.
pub fn run(
    words: &[String],
    input: impl FnOnce() -> Result<String, String>,
) -> Result<Option<String>, String> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["supports", renderer] => match renderer {
            "html" => Ok(None),
            other => Err(format!("mdbook: {other} shows no live clusters")),
        },
        [] => book(&input()?).map(Some),
        _ => Err(format!("mdbook takes no such arguments\n\n{USAGE}")),
    }
}

fn book(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("mdbook: standard input is no book of mdBook ({why})");
    let mut input: Value = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    let source = input[0]["config"]["preprocessor"]["kubarium"]["src"].as_str();
    let source = source
        .ok_or("mdbook: book.toml needs [preprocessor.kubarium] with src, the address of the built page")?
        .trim_end_matches('/')
        .to_owned();
    if !source.starts_with("https://") && !source.starts_with("http://") && source.contains(':') {
        return Err(format!(
            "mdbook: src is {source:?}; it has to be http, https or relative"
        ));
    }
    let book = input.get_mut(1).ok_or_else(|| wrong("it has one part"))?;
    // `sections` up to mdBook 0.4, `items` from 0.5 on.
    for key in ["sections", "items"] {
        if let Some(sections) = book.get_mut(key).and_then(Value::as_array_mut) {
            for section in sections {
                chapter(section, &source, 0)?;
            }
        }
    }
    serde_json::to_string(book).map_err(|error| wrong(&error.to_string()))
}

fn chapter(section: &mut Value, source: &str, depth: usize) -> Result<(), String> {
    let Some(chapter) = section.get_mut("Chapter").filter(|_| depth < 64) else {
        return Ok(());
    };
    let name = chapter["name"].as_str().unwrap_or("").to_owned();
    if let Some(content) = chapter["content"].as_str() {
        let replaced =
            content_of(content, source).map_err(|why| format!("mdbook: {name}: {why}"))?;
        chapter["content"] = Value::String(replaced);
    }
    if let Some(below) = chapter.get_mut("sub_items").and_then(Value::as_array_mut) {
        for section in below {
            self::chapter(section, source, depth + 1)?;
        }
    }
    Ok(())
}

/// A fence that is open.
struct Fence {
    mark: char,
    length: usize,
    /// One of ours: its element's beginning, and its text so far.
    block: Option<(String, String)>,
}

/// A chapter with its blocks replaced. The script stands before the first of them.
fn content_of(content: &str, source: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut open: Option<Fence> = None;
    let mut any = false;
    for line in content.split_inclusive('\n') {
        let trimmed = line.trim();
        let fence = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let length = fence.map_or(0, |c| trimmed.chars().take_while(|x| *x == c).count());
        match &mut open {
            None if length >= 3 => {
                let info = trimmed[length..].trim();
                let ours = info
                    .strip_prefix("kube-lab")
                    .filter(|rest| rest.is_empty() || rest.starts_with([' ', ',']));
                let block = match ours {
                    Some(rest) => Some((tag(rest)?, String::new())),
                    None => {
                        out += line;
                        None
                    }
                };
                open = fence.map(|mark| Fence {
                    mark,
                    length,
                    block,
                });
            }
            None => out += line,
            Some(Fence {
                mark,
                length: least,
                block,
            }) => {
                let closes = fence == Some(*mark) && length >= *least && trimmed.len() == length;
                match block {
                    Some((tag, text)) if closes => {
                        if !std::mem::replace(&mut any, true) {
                            out += &format!(
                                "<script type=\"module\" src=\"{}/embed/kube-lab.js\"></script>\n\n",
                                escape(source)
                            );
                        }
                        // No empty line: it would end the HTML block.
                        let text = escape(text.trim_end()).replace("\n\n", "\n&#8203;\n");
                        out += &format!(
                            "{tag}<pre><code class=\"language-yaml\">{text}</code></pre></kube-lab>\n"
                        );
                    }
                    Some((_, text)) => text.push_str(line),
                    None => out += line,
                }
                if closes {
                    open = None;
                }
            }
        }
    }
    if open.is_some_and(|fence| fence.block.is_some()) {
        return Err("a kube-lab block is not closed".to_owned());
    }
    Ok(out)
}

/// `scene=a height=420` as an element's beginning.
fn tag(words: &str) -> Result<String, String> {
    let mut tag = "<kube-lab".to_owned();
    for word in words.split([' ', ',']).filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if !ATTRIBUTES.contains(&name) {
            return Err(format!(
                "kube-lab has no attribute {name:?}; known are {}",
                ATTRIBUTES.join(", ")
            ));
        }
        tag += &format!(" {name}=\"{}\"", escape(value.trim_matches('"')));
    }
    Ok(tag + ">")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processed(content: &str) -> Result<String, String> {
        let input = serde_json::json!([
            {"config": {"preprocessor": {"kubarium": {"src": "https://lab.example/k/"}}}},
            {"sections": [{"Chapter": {"name": "One", "content": "x", "sub_items": [
                {"Chapter": {"name": "Two", "content": content, "sub_items": []}}, "Separator"]}}], "__non_exhaustive": null}
        ]);
        let out = run(&[], || Ok(input.to_string()))?.unwrap_or_default();
        let book: Value = serde_json::from_str(&out).map_err(|e| e.to_string())?;
        assert_eq!(book["sections"][0]["Chapter"]["content"], "x");
        Ok(
            book["sections"][0]["Chapter"]["sub_items"][0]["Chapter"]["content"]
                .as_str()
                .unwrap_or("")
                .to_owned(),
        )
    }

    #[test]
    fn blocks_become_elements() {
        let script =
            "<script type=\"module\" src=\"https://lab.example/k/embed/kube-lab.js\"></script>\n\n";
        assert_eq!(
            processed("a\n```kube-lab view=map height=420\nkind: Pod\nx: <b>\n```\nb\n").unwrap(),
            format!(
                "a\n{script}<kube-lab view=\"map\" height=\"420\"><pre><code class=\"language-yaml\">kind: Pod\nx: &lt;b&gt;</code></pre></kube-lab>\nb\n"
            )
        );
        for same in [
            "a\n",
            "```yaml\na\n```\n",
            "~~~\n```kube-lab\n~~~\n",
            "````md\n```kube-lab\n```\n````\n",
            "```kube-labs\n```\n",
        ] {
            assert_eq!(processed(same).unwrap(), same);
        }
        let two = processed("```kube-lab scene=a\n```\n\n~~~kube-lab,readonly\n~~~\n").unwrap();
        assert_eq!(
            (
                two.matches("<script").count(),
                two.matches("<kube-lab").count()
            ),
            (1, 2)
        );
        assert!(
            two.contains("<kube-lab scene=\"a\">") && two.contains("<kube-lab readonly=\"\">"),
            "{two}"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (content, want) in [
            (
                "```kube-lab onload=alert(1)\n```\n",
                "has no attribute \"onload\"",
            ),
            ("```kube-lab\nx", "Two: a kube-lab block is not closed"),
        ] {
            assert!(
                processed(content).is_err_and(|error| error.contains(want)),
                "{content}"
            );
        }
        let says = |words: &[&str], input: &str| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            run(&words, || Ok(input.to_owned()))
        };
        assert_eq!(says(&["supports", "html"], ""), Ok(None));
        assert!(says(&["supports", "pdf"], "").is_err());
        assert!(says(&["x"], "").is_err());
        for input in ["", "[]", "[{}]", "[{},{}]"] {
            assert!(says(&[], input).is_err(), "{input}");
        }
    }
}
