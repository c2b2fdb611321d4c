//! What applying the files would change, object by object, and what the last Apply has done.

use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{Change, Effect, Preview as Compared, Question};
use kubarium_snapshot::{Reply, Request};
use leptos::{prelude::*, wasm_split::wasm_split};

use crate::{
    files::Files,
    icons,
    parts::Loaded,
    simulator::Simulator,
    text::{fill, t},
};

/// An effect's sign, word and name for the styles.
fn effect(effect: Effect) -> (&'static str, &'static str, &'static str) {
    match effect {
        Effect::Created => ("+", t("preview.created"), "created"),
        Effect::Changed => ("~", t("preview.changed"), "changed"),
        Effect::Unchanged => ("=", t("preview.unchanged"), "unchanged"),
        Effect::Refused => ("!", t("preview.refused"), "refused"),
        Effect::Left => ("·", t("preview.left"), "left"),
    }
}

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Drawer /> }.into_any())
}

/// What applying would change; where that is not asked, what the last Apply has done.
#[component]
fn Drawer() -> impl IntoView {
    let files = expect_context::<Files>();
    move || {
        if files.comparing.get() {
            view! { <Preview /> }.into_any()
        } else if files.applied.read().is_some() {
            view! { <Applied /> }.into_any()
        } else {
            ().into_any()
        }
    }
}

/// What applying would change.
#[component]
fn Preview() -> impl IntoView {
    let files = expect_context::<Files>();
    let simulator = expect_context::<Simulator>();
    let all = RwSignal::new(false);
    let answer = simulator.watch(move || {
        simulator.events.track();
        let wanted = if all.get() {
            files.all()
        } else {
            files.current().into_iter().collect()
        };
        let texts = wanted.into_iter().map(|file| (file.name, file.text));
        Some(Request::Rare(encode(&Question::Preview(texts.collect()))))
    });
    let previews = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode::<Vec<Compared>>(bytes).unwrap_or_default(),
        _ => Vec::new(),
    });
    let several = move || files.all().len() > 1;
    view! {
        <section class="drawer" aria-label=t("preview")>
            <header>
                <h2>{t("preview")}</h2>
                <Show when=several>
                    <label class="check">
                        <input type="checkbox" prop:checked=move || all.get() on:change=move |e| all.set(event_target_checked(&e)) />
                        {t("preview.all")}
                    </label>
                </Show>
                <span class="gap"></span>
                <button type="button" class="button plain icon" aria-label=t("preview.close") title=t("preview.close") on:click=move |_| files.comparing.set(false)>
                    {icons::CLOSE.view()}
                </button>
            </header>
            {move || {
                let previews = previews.get();
                let heads = previews.len() > 1;
                previews.into_iter().map(|preview| file(simulator, files, preview, heads)).collect_view()
            }}
        </section>
    }
}

/// What applying one file would change.
fn file(simulator: Simulator, files: Files, preview: Compared, head: bool) -> impl IntoView {
    let name = preview.file.clone();
    let empty = preview
        .changes
        .is_empty()
        .then(|| view! { <p class="note">{t("preview.empty")}</p> });
    let more = (preview.more > 0).then(
        || view! { <p class="note">{fill("preview.more", &[("n", &preview.more.to_string())])}</p> },
    );
    let rows = preview.changes.into_iter().map(|change| {
        let name = name.clone();
        row(simulator, files, name, change)
    });
    view! {
        {head.then(|| view! { <h3>{name.clone()}</h3> })}
        {empty}
        <ul class="changes">{rows.collect_view()}</ul>
        {more}
    }
}

fn row(simulator: Simulator, files: Files, file: String, change: Change) -> impl IntoView {
    let (sign, word, class) = effect(change.effect);
    let line = change.line;
    let is_left = change.effect == Effect::Left;
    let is_quiet = change.diff.is_empty() && change.says.is_empty();
    let says =
        (!change.says.is_empty()).then(|| view! { <pre class="says">{change.says.clone()}</pre> });
    let diff = if is_left {
        let command = change.diff.clone();
        let shown = command.clone();
        view! {
            <p class="note">{t("preview.left.how")}</p>
            <button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{shown}</button>
        }
        .into_any()
    } else {
        lines(&change.diff).into_any()
    };
    let can_apply =
        !is_left && change.effect != Effect::Unchanged && change.effect != Effect::Refused;
    let alone = can_apply.then(|| {
        let apply = move |_| {
            let text = untrack(|| files.all().into_iter().find(|f| f.name == file));
            if let Some(document) = text.map(|file| document(&file.text, line)) {
                files
                    .applied
                    .set(Some(simulator.run_followed(&here_document(&document))));
            }
        };
        view! { <button type="button" class="link" on:click=apply>{t("preview.apply")}</button> }
    });
    let go = (line > 0).then(|| {
        view! {
            <button type="button" class="link" on:click=move |_| files.go_to.set(Some((line, 1)))>
                {fill("preview.line", &[("n", &line.to_string())])}
            </button>
        }
    });
    view! {
        <li data-effect=class>
            <details open=!is_quiet && change.effect != Effect::Created>
                <summary>
                    <span class="sign" aria-hidden="true">{sign}</span>
                    <span class="kind">{change.kind}</span>
                    <span class="name">{change.name}</span>
                    <span class="effect">{word}</span>
                </summary>
                {says}
                {diff}
                <p class="actions">{go} {alone}</p>
            </details>
        </li>
    }
}

/// The lines of a diff, with what is new and what goes marked.
fn lines(diff: &str) -> impl IntoView + use<> {
    if diff.is_empty() {
        return ().into_any();
    }
    let line = |line: &str| {
        let kind = match line.as_bytes().first() {
            Some(b'+') => "new",
            Some(b'-') => "old",
            Some(b'@') => "at",
            _ => "same",
        };
        view! { <span data-line=kind>{format!("{line}\n")}</span> }
    };
    view! { <pre class="diff" tabindex="0" aria-label=t("preview.diff")>{diff.lines().map(line).collect_view()}</pre> }
        .into_any()
}

/// The document of a text in which a line (from 1) lies.
fn document(text: &str, line: u32) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = (line.saturating_sub(1) as usize).min(lines.len());
    let ends = |line: &&str| line.starts_with("---");
    let first = lines[..at].iter().rposition(ends).map_or(0, |at| at + 1);
    let end = lines[at..]
        .iter()
        .position(ends)
        .map_or(lines.len(), |n| at + n);
    lines[first..end].join("\n")
}

/// The command line that applies a text of its own.
fn here_document(text: &str) -> String {
    let mut end = "EOF".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    format!("kubectl apply -f - <<'{end}'\n{text}\n{end}")
}

/// What the last Apply has done, object by object, as kubectl says it.
#[component]
fn Applied() -> impl IntoView {
    let files = expect_context::<Files>();
    let said = move || {
        let entry = files.applied.get()?;
        let (printed, status) = (entry.printed.get(), entry.status.get());
        let line = |line: &str| {
            let done = line.ends_with(" created")
                || line.ends_with(" configured")
                || line.ends_with(" unchanged")
                || line.ends_with(" serverside-applied");
            let class = if done { "done" } else { "not" };
            view! { <li data-result=class>{line.to_owned()}</li> }
        };
        let lines = printed
            .lines()
            .filter(|line| !line.is_empty())
            .map(line)
            .collect_view();
        let failed = status.is_some_and(|status| status != 0);
        Some(view! {
            <header>
                <h2>{if failed { t("applied.failed") } else { t("applied") }}</h2>
                <span class="gap"></span>
                <button type="button" class="button plain icon" aria-label=t("preview.close") title=t("preview.close") on:click=move |_| files.applied.set(None)>
                    {icons::CLOSE.view()}
                </button>
            </header>
            <ul class="results">{lines}</ul>
        })
    };
    view! { <section class="drawer" role="status" aria-label=t("applied")>{said}</section> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_document_is_taken_out_of_its_text() {
        let text = "a: 1\n---\n# b\nb: 2\n---\nc: 3";
        for (line, want) in [(1, "a: 1"), (4, "# b\nb: 2"), (6, "c: 3"), (99, "c: 3")] {
            assert_eq!(document(text, line), want, "{line}");
        }
        assert_eq!(
            here_document("x\nEOF"),
            "kubectl apply -f - <<'EOF_'\nx\nEOF\nEOF_"
        );
    }
}
