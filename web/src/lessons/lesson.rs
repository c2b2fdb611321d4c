//! The panel with the scene or the exercise that is being worked on.

use std::sync::Arc;

use kubarium_snapshot::lesson::{Ask, Lesson, Question, Said, Step};
use kubarium_snapshot::{Reply, Request, message};
use leptos::prelude::*;

use super::{goal::Goal, progress, prose::Prose};
use crate::{
    icons,
    learn::Learn,
    text::{fill, t},
};

/// The lesson.
#[component]
pub(super) fn LessonPanel() -> impl IntoView {
    let learn = expect_context::<Learn>();
    let simulator = learn.simulator;
    // Some checks ask how long something has been so.
    let second = Memo::new(move |_| simulator.now_ms.get() / 1000);
    let answer = simulator.watch(move || {
        simulator.events.track();
        second.get();
        learn.touched.track();
        let ask = learn.lesson.read().is_some().then_some(Ask::Look)?;
        Some(Request::Lesson(message::encode(&ask)))
    });
    let lesson = Memo::new(move |_| {
        let answer = answer.read();
        let Some(Reply::Lesson(bytes)) = answer.as_deref() else {
            return None;
        };
        match message::decode(bytes) {
            Some(Said::Lesson(Some(lesson))) if learn.lesson.read().is_some() => {
                Some(Arc::from(lesson))
            }
            _ => None,
        }
    });
    Effect::new(move |_| {
        if let Some(lesson) = lesson.get().filter(|lesson: &Arc<Lesson>| lesson.exercise) {
            progress::keep(&lesson.name, &lesson.progress, lesson.next.is_none());
        }
    });
    // What a lesson is as a whole stays while its steps change, and with it what is open and what is being written.
    let whole = Memo::new(move |_| {
        let lesson = lesson.get()?;
        Some((
            lesson.title.clone(),
            lesson.text.clone(),
            lesson.steps.len(),
        ))
    });
    view! {
        <div class="learn" tabindex="0">
            {move || {
                // Read, not only tracked: what nobody reads is never worked out.
                whole.get()?;
                let first = lesson.get_untracked()?;
                Some(view! { <LessonView first lesson /> })
            }}
        </div>
    }
}

#[component]
fn LessonView(first: Arc<Lesson>, lesson: Memo<Option<Arc<Lesson>>>) -> impl IntoView {
    let learn = expect_context::<Learn>();
    let exercise = first.exercise;
    let of = move |what: fn(&Lesson) -> Vec<kubarium_snapshot::text::Block>| {
        let blocks =
            Memo::new(move |_| lesson.get().map(|lesson| what(&lesson)).unwrap_or_default());
        move || Some(blocks.get()).filter(|blocks| !blocks.is_empty())
    };
    let dead_end = of(|lesson| lesson.dead_end.clone());
    let reveal = of(|lesson| lesson.reveal.clone());
    let all_done =
        Memo::new(move |_| exercise && lesson.read().as_ref().is_some_and(|l| l.next.is_none()));
    let steps = (0..first.steps.len()).map(|index| {
        let step = Memo::new(move |_| {
            let lesson = lesson.read();
            let lesson = lesson.as_ref()?;
            let step = Step {
                missing: Vec::new(),
                ..lesson.steps.get(index)?.clone()
            };
            Some((step, lesson.next == Some(index)))
        });
        let missing = Memo::new(move |_| {
            let lesson = lesson.read();
            let step = lesson.as_ref().and_then(|lesson| lesson.steps.get(index));
            step.map(|step| step.missing.clone()).unwrap_or_default()
        });
        view! {
            {move || step.get().map(|(step, current)| view! { <StepView step missing number=index + 1 current exercise /> })}
        }
    });
    let steps = steps.collect_view();
    let simulator = learn.simulator;
    view! {
        <article class="lesson">
            <header>
                <h2>{first.title.clone()}</h2>
                <button type="button" class="button plain icon" aria-label=t("learn.close") title=t("learn.close") on:click=move |_| learn.close()>
                    {icons::CLOSE.view()}
                </button>
            </header>
            <div class="lesson-tools">
                <button type="button" class="button plain" title=t("learn.undo.how") on:click=move |_| simulator.run("sim undo")>{t("learn.undo")}</button>
                <button type="button" class="button plain" title=t("learn.reset.how") on:click=move |_| {
                    let lesson = learn.lesson.get_untracked();
                    learn.ask(Ask::Reset, move |said| learn.opened(said, lesson));
                }>
                    {t("learn.reset")}
                </button>
                {exercise.then(|| view! {
                    <button type="button" class="button plain" title=t("learn.over.how") on:click=move |_| learn.start_over()>{t("learn.over")}</button>
                })}
            </div>
            <Prose blocks=first.text.clone() />
            {exercise.then(|| view! { <Goal /> })}
            {move || dead_end().map(|blocks| view! { <div class="dead-end" role="alert"><Prose blocks /></div> })}
            <ol class="lesson-steps">{steps}</ol>
            <Show when=move || all_done.get()>
                <div class="all-done" role="status">
                    <p><strong>{t("learn.done.all")}</strong></p>
                    {reveal().map(|blocks| view! { <Prose blocks /> })}
                    <button type="button" class="button" on:click=move |_| learn.gallery.set(true)>{t("learn.next")}</button>
                </div>
            </Show>
        </article>
    }
}

#[component]
fn StepView(
    step: Step,
    missing: Memo<Vec<(String, String)>>,
    number: usize,
    current: bool,
    exercise: bool,
) -> impl IntoView {
    let learn = expect_context::<Learn>();
    let (run, view) = (step.run.clone(), step.view.clone());
    let go = move |_| {
        learn.waiting.set(run.iter().cloned().collect());
        learn.show(&view);
    };
    let task = step.name.clone();
    let hint = move |_| {
        learn.ask(Ask::Hint(task.clone()), move |_| {
            learn.touched.update(|n| *n += 1);
        });
    };
    let solve = {
        let solution = step.solution.clone();
        move |_| learn.waiting.set(solution.iter().cloned().collect())
    };
    let open = !exercise || current || step.done;
    let task = step.name.clone();
    view! {
        <li class="step" data-done=step.done.then_some("") data-current=current.then_some("")>
            <h3>
                {format!("{number}. {}", step.title)}
                {step.done.then(|| view! { <span class="done">{t("learn.done")}</span> })}
            </h3>
            {open.then(|| view! {
                <Prose blocks=step.text />
                {(!step.run.is_empty()).then(|| view! {
                    <pre class="commands" tabindex="0"><code>{step.run.join("\n")}</code></pre>
                    <button type="button" class="button primary" on:click=go.clone()>{t("learn.run")}</button>
                })}
                {step.questions.into_iter().map(|question| view! { <QuestionView question task=task.clone() done=step.done /> }).collect_view()}
                {(current && exercise).then(|| view! {
                    <ul class="missing">
                        {move || missing.get().into_iter().map(|(words, found)| view! {
                            <li>{words} " " <span class="found">{found}</span></li>
                        }).collect_view()}
                    </ul>
                })}
                {step.hints.into_iter().map(|hint| view! { <div class="hint"><Prose blocks=hint /></div> }).collect_view()}
                {(current && step.hints_left > 0).then(|| view! {
                    <button type="button" class="button" on:click=hint.clone()>
                        {fill("learn.hint", &[("n", &step.hints_left.to_string())])}
                    </button>
                })}
                {(current && exercise && !step.solution.is_empty()).then(|| view! {
                    <details class="solution">
                        <summary>{t("learn.solution")}</summary>
                        <pre class="commands" tabindex="0"><code>{step.solution.join("\n")}</code></pre>
                        <button type="button" class="button" on:click=solve.clone()>{t("learn.run")}</button>
                    </details>
                })}
                {(!step.reveal.is_empty()).then(|| view! { <div class="reveal"><Prose blocks=step.reveal /></div> })}
            })}
        </li>
    }
}

#[component]
fn QuestionView(question: Question, task: String, done: bool) -> impl IntoView {
    let learn = expect_context::<Learn>();
    let chosen = RwSignal::new(question.answer.clone());
    let name = format!("question-{task}-{}", question.check);
    let check = question.check;
    let answer = move || {
        let ask = Ask::Answer {
            task: task.clone(),
            check,
            answer: chosen.get_untracked(),
        };
        learn.ask(ask, move |_| learn.touched.update(|n| *n += 1));
    };
    let several = question.several;
    let option = |option: String| {
        let (value, here) = (option.clone(), option.clone());
        view! {
            <label class="option">
                <input
                    type=if several { "checkbox" } else { "radio" }
                    name=name.clone()
                    disabled=done
                    prop:checked=move || chosen.read().contains(&here)
                    on:change=move |event| {
                        let on = event_target_checked(&event);
                        chosen.update(|chosen| {
                            if !several { chosen.clear() }
                            chosen.retain(|c| *c != value);
                            if on { chosen.push(value.clone()) }
                        });
                    }
                />
                {option}
            </label>
        }
    };
    let written = question.options.is_empty();
    let options = question.options.into_iter().map(option).collect_view();
    view! {
        <form class="question" on:submit=move |event| { event.prevent_default(); answer(); }>
            <Prose blocks=question.question />
            {options}
            {written.then(|| view! {
                <input
                    type="text"
                    aria-label=t("learn.answer.yours")
                    disabled=done
                    prop:value=move || chosen.get().join(" ")
                    on:input=move |event| chosen.set(vec![event_target_value(&event)])
                />
            })}
            {(!done).then(|| view! { <button type="submit" class="button">{t("learn.answer")}</button> })}
        </form>
    }
}
