//! The packet lane: one connection, stop by stop: who it went through, what changed, and why.

use std::sync::Arc;

use kubarium_snapshot::lane::{Header, Lane as Drawn, Layer, Part, Row, Step, Stop, Verdict};
use leptos::{html, prelude::*, svg, wasm_split::wasm_split};

use crate::{
    drawing::shorten,
    layout::Layout,
    panels::Panel,
    parts::Loaded,
    pictures::SavePicture,
    player::{Player, RequestForm, verdict_name},
    simulator::Simulator,
    text::{fill, t},
};

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Lane /> }.into_any())
}

/// One connection, stop by stop.
#[component]
fn Lane() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let number = move || simulator.lane.read().as_ref().map_or(0, |lane| lane.id);
    view! {
        <div class="lane-body" data-lane=move || number().to_string()>
            <RequestForm />
            <Show when=move || simulator.lane.read().is_some() fallback=|| view! { <p class="lane-hint">{t("lane.empty.how")}</p> }>
                <Player />
                <div class="lane-parts">
                    <Scores />
                    <Current />
                </div>
                <Stops />
            </Show>
        </div>
    }
}

pub(crate) fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Socket => t("layer.socket"),
        Layer::Route => t("layer.route"),
        Layer::Neighbour => t("layer.neighbour"),
        Layer::Link => t("layer.link"),
        Layer::Bridge => t("layer.bridge"),
        Layer::Netfilter => t("layer.netfilter"),
        Layer::Conntrack => t("layer.conntrack"),
        Layer::Tunnel => t("layer.tunnel"),
    }
}

/// The hue of a layer.
pub(crate) fn layer_hue(layer: Layer) -> &'static str {
    match layer {
        Layer::Socket => "app",
        Layer::Route | Layer::Neighbour => "routing",
        Layer::Link => "link",
        Layer::Bridge => "bridge",
        Layer::Netfilter | Layer::Conntrack => "netfilter",
        Layer::Tunnel => "tunnel",
    }
}

/// A row's hue and name.
fn row_name(row: Row) -> (&'static str, &'static str) {
    match row {
        Row::Application => ("app", t("layer.socket")),
        Row::Netfilter => ("netfilter", t("layer.netfilter")),
        Row::Routing => ("routing", t("layer.route")),
        Row::Link => ("link", t("layer.link")),
        Row::Tunnel => ("tunnel", t("layer.tunnel")),
    }
}

/// The drawing of the followed packet, and beside it that of the one that was kept.
#[component]
fn Scores() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let other = move || {
        let (lane, beside) = (simulator.lane.get()?, simulator.beside.get()?);
        (lane.id != beside.id).then_some((lane, beside))
    };
    view! {
        <div class="scores">
            {move || other().map(|(lane, beside)| parting(&lane, &beside))}
            <Score lane=simulator.lane followed=true headed=Signal::derive(move || other().is_some()) />
            {move || other().map(|_| view! { <Score lane=simulator.beside followed=false headed=Signal::derive(|| true) /> })}
        </div>
    }
}

/// Where two packets part, in words; and that they do not, where they do not.
fn parting(lane: &Drawn, beside: &Drawn) -> impl IntoView + use<> {
    let text = match parting_stops(lane, beside) {
        None => t("lane.alike").to_owned(),
        Some((a, b)) => {
            let said = |lane: &Drawn, stop: usize| {
                let step = lane
                    .stops
                    .get(stop)
                    .and_then(|stop| lane.steps.get(stop.main));
                step.map(|step| step.explanation.clone())
                    .unwrap_or_default()
            };
            fill(
                "lane.parting",
                &[("this", &said(lane, a)), ("other", &said(beside, b))],
            )
        }
    };
    view! { <p class="parting" role="status">{text}</p> }
}

/// The first stops of two connections, of their last exchanges, at which different things happen.
fn parting_stops(a: &Drawn, b: &Drawn) -> Option<(usize, usize)> {
    let first = |lane: &Drawn| lane.parts.last().map_or(0, |part| part.first);
    let (first_a, first_b) = (first(a), first(b));
    let sign = |lane: &Drawn, stop: &Stop| {
        let step = lane.steps.get(stop.main)?;
        let word = step.action.split(' ').next().unwrap_or("").to_owned();
        Some((stop.row, stop.hook.clone(), word))
    };
    let most = (a.stops.len() - first_a).max(b.stops.len() - first_b);
    (0..most)
        .map(|nth| (first_a + nth, first_b + nth))
        .find(|(x, y)| {
            let at =
                |lane: &Drawn, stop: usize| lane.stops.get(stop).and_then(|stop| sign(lane, stop));
            at(a, *x) != at(b, *y)
        })
}

/// The way as a drawing: columns are namespaces, rows are layers, time runs along the line.
#[component]
fn Score(
    lane: RwSignal<Option<Arc<Drawn>>>,
    /// Whether it is the packet that moves.
    followed: bool,
    /// Whether it says which one it is.
    headed: Signal<bool>,
) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let frame = NodeRef::<html::Div>::new();
    let drawing = NodeRef::<svg::Svg>::new();
    let stop = Memo::new(move |_| match followed {
        true => simulator.stop(),
        false => lane
            .read()
            .as_ref()
            .map_or(0, |lane| lane.parts.last().map_or(0, |part| part.first)),
    });
    let shown = Memo::new(move |_| {
        let lane = lane.get()?;
        let part = lane.part_of(stop.get());
        Some((lane.id, part))
    });
    // The stop that is seen stays in sight.
    Effect::new(move |_| {
        let at = lane
            .read()
            .as_ref()
            .and_then(|l| Some(l.stops.get(stop.get())?.at));
        shown.track();
        if let (Some(frame), Some(at)) = (frame.get(), at) {
            let (width, height) = (
                f64::from(frame.client_width()),
                f64::from(frame.client_height()),
            );
            let (left, top) = (
                f64::from(frame.scroll_left()),
                f64::from(frame.scroll_top()),
            );
            if at.x < left + 112.0 || at.x > left + width - 64.0 {
                frame.set_scroll_left((at.x - width / 2.0).max(0.0) as i32);
            }
            if at.y < top + 24.0 || at.y > top + height - 24.0 {
                frame.set_scroll_top((at.y - height / 2.0).max(0.0) as i32);
            }
        }
    });
    let scrolled = RwSignal::new(0);
    let title = move || lane.read().as_ref().map(|lane| lane.title.clone());
    view! {
        <section class="score-of">
            <Show when=move || headed.get()>
                <header>
                    <h2>{title}</h2>
                    <VerdictOf lane />
                </header>
            </Show>
            <div class="score-save">
                <SavePicture of=move || drawing.get_untracked().map(Into::into) name="packet" />
            </div>
            <div
                class="score"
                node_ref=frame
                tabindex="0"
                role="group"
                aria-label=t("lane.score")
                on:scroll=move |_| scrolled.set(frame.get_untracked().map_or(0, |frame| frame.scroll_left()))
            >
                {move || {
                    let (_, part) = shown.get()?;
                    let lane = lane.get_untracked()?;
                    let size = lane.parts.get(part)?.size;
                    Some(view! {
                        <svg
                            node_ref=drawing
                            width=size.width
                            height=size.height
                            viewBox=format!("0 0 {} {}", size.width, size.height)
                            aria-hidden="true"
                        >
                            {score(simulator, &lane, part, stop, followed)}
                            <g transform=move || format!("translate({} 0)", scrolled.get())>{row_names(&lane, part)}</g>
                        </svg>
                    })
                }}
            </div>
        </section>
    }
}

fn score(
    simulator: Simulator,
    lane: &Drawn,
    part: usize,
    now: Memo<usize>,
    followed: bool,
) -> impl IntoView + use<> {
    let part: &Part = &lane.parts[part];
    let size = part.size;
    let columns = part
        .columns
        .iter()
        .filter_map(|(at, x, width)| Some((lane.columns.get(*at)?, *x, *width)))
        .map(|(c, x, width)| {
            let kind = if c.pod { fill("lane.pod.on", &[("node", &c.node)]) } else { t("lane.node").to_owned() };
            let name = c.title.rsplit('/').next().unwrap_or(&c.title);
            view! {
                <g class="column" data-pod=c.pod.then_some("")>
                    <rect x=x + 2.0 y="0" width=width - 4.0 height=size.height rx="6" />
                    <text class="name" x=x + 12.0 y="16">{shorten(name, ((width - 20.0) / 7.8) as usize)}</text>
                    <text class="detail" x=x + 12.0 y="31">{crop(&kind, (width / 6.8) as usize)}</text>
                </g>
            }
        })
        .collect_view();
    let bands = part
        .bands
        .iter()
        .map(|band| {
            let rows = band
                .rows
                .iter()
                .map(|(row, y)| {
                    let (hue, _) = row_name(*row);
                    view! {
                        <g class="row" data-layer=hue>
                            <line x1="80" x2=size.width y1=*y y2=*y />
                        </g>
                    }
                })
                .collect_view();
            let line: String = lane
                .stops
                .get(band.stops.0..band.stops.1)
                .into_iter()
                .flatten()
                .map(|s| format!("{:.1},{:.1} ", s.at.x, s.at.y))
                .collect();
            view! {
                <g class="band">
                    {rows}
                    <polyline points=line />
                </g>
            }
        })
        .collect_view();
    let (first, end) = (
        part.bands.first().map_or(0, |b| b.stops.0),
        part.bands.last().map_or(0, |b| b.stops.1),
    );
    let dots = (first..end)
        .filter_map(|at| Some((at, lane.stops.get(at)?)))
        .map(|(at, s)| {
            let (hue, _) = row_name(s.row);
            let title = lane.steps.get(s.main).map(|step| step.explanation.clone());
            let label = (!s.label.is_empty()).then(|| {
                view! { <text class="label" data-end=(s.at.x > size.width - 96.0).then_some("") x=s.at.x y=s.at.y - 10.0>{s.label.clone()}</text> }
            });
            let seen = move |is: fn(usize, usize) -> bool| (followed && is(now.get(), at)).then_some("");
            view! {
                <g
                    class="stop"
                    data-layer=hue
                    data-changed=(!s.label.is_empty()).then_some("")
                    data-current=move || seen(|now, at| now == at)
                    data-done=move || seen(|now, at| now > at)
                    on:click=move |_| {
                        if followed {
                            simulator.playing.set(false);
                            simulator.seek(at);
                        }
                    }
                >
                    <circle class="dot" cx=s.at.x cy=s.at.y r=if s.label.is_empty() { "5" } else { "7" } />
                    {label}
                    <title>{title}</title>
                </g>
            }
        })
        .collect_view();
    view! { {columns} {bands} {dots} }
}

/// The rows' names, which stay in sight at the left.
fn row_names(lane: &Drawn, part: usize) -> impl IntoView + use<> {
    let part = &lane.parts[part];
    let names = part
        .bands
        .iter()
        .flat_map(|band| band.rows.iter())
        .map(|(row, y)| {
            let (hue, name) = row_name(*row);
            view! { <text class="detail" data-layer=hue x="76" y=y + 4.0>{name}</text> }
        });
    let names = names.collect_view();
    let ways = part.bands.iter().map(|band| {
        let way = if band.back {
            t("lane.back")
        } else {
            t("lane.there")
        };
        view! { <text class="way" x="4" y=band.rect.y + 4.0>{way}</text> }
    });
    let ways = ways.collect_view();
    view! {
        <g class="names">
            <rect x="0" y="0" width="82" height=part.size.height />
            {names}
            {ways}
        </g>
    }
}

fn crop(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// What became of a packet.
#[component]
pub(crate) fn VerdictOf(lane: RwSignal<Option<Arc<Drawn>>>) -> impl IntoView {
    move || {
        lane.read().as_ref().map(|lane| {
            view! {
                <p class="verdict" data-good=(lane.verdict == Verdict::Delivered).then_some("")>
                    <strong>{verdict_name(lane.verdict)}</strong>
                    " "
                    <span>{lane.reason.clone()}</span>
                </p>
            }
        })
    }
}

/// The step that is seen now: what happened and why, the rules that were met, and the packet after it.
#[component]
fn Current() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let step = Memo::new(move |_| {
        let at = simulator.step.get();
        let lane = simulator.lane.read();
        lane.as_ref().and_then(|l| l.steps.get(at).cloned())
    });
    let stop = Memo::new(move |_| simulator.stop());
    view! {
        <div class="current" tabindex="0" role="region" aria-label=t("lane.current")>
            <div class="told" aria-live="polite">
                {move || step.get().map(|s| told(simulator, &s, stop.get()))}
            </div>
            {move || rules_met(simulator, stop.get())}
            {move || step.get().map(|s| view! { <HeaderStack headers=s.headers /> })}
        </div>
    }
}

/// Where the packet is, and the sentence that says what happens there.
fn told(simulator: Simulator, s: &Step, stop: usize) -> impl IntoView + use<> {
    let lane = simulator.lane.get_untracked();
    let hook = lane
        .as_ref()
        .and_then(|lane| Some(lane.stops.get(stop)?.hook.clone()));
    let column = lane
        .as_ref()
        .and_then(|lane| Some(lane.columns.get(s.column)?.netns.clone()));
    let device = s
        .place
        .rsplit([':', '/'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let column = column.unwrap_or_default();
    let place = if column.ends_with(&device) {
        column
    } else {
        format!("{column} / {device}")
    };
    let chip = match hook.filter(|hook| !hook.is_empty()) {
        Some(hook) => format!("{} {hook}", layer_name(s.layer)),
        None => layer_name(s.layer).to_owned(),
    };
    let object = s.object.clone().map(|object| {
        let shown = object.replacen(':', " ", 1);
        view! {
            <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(object.clone()))>
                {shown}
            </button>
        }
    });
    view! {
        <p class="where">
            <span class="chip" data-layer=layer_hue(s.layer)>{chip}</span>
            <span class="place">{place}</span>
            {object}
        </p>
        <p class="sentence">{s.explanation.clone()}</p>
    }
}

/// The rules of a stop in the order in which they were met, the decisive one marked, those that did not match folded.
fn rules_met(simulator: Simulator, stop: usize) -> Option<impl IntoView + use<>> {
    let layout = expect_context::<Layout>();
    let lane = simulator.lane.get_untracked()?;
    let stop = lane.stops.get(stop)?;
    let (first, main) = (stop.first, stop.main);
    let met: Vec<(usize, Step)> = lane
        .steps
        .iter()
        .enumerate()
        .skip(first)
        .take(stop.count)
        .filter(|(_, step)| step.rule.is_some())
        .map(|(at, step)| (at, step.clone()))
        .collect();
    // What is decided by a rule is often carried out after it.
    let decisive = met.iter().rev().map(|(at, _)| *at).find(|at| *at <= main);
    let decisive = decisive.or(met.first().map(|(at, _)| *at))?;
    let items = met
        .into_iter()
        .filter_map(|(at, step)| Some((at, step.rule?, step.passed, step.action)))
        .map(|(at, rule, passed, action)| {
            let passed = (passed > 0).then(|| {
                let key = if passed == 1 { "lane.passed.one" } else { "lane.passed" };
                view! { <li class="passed">{fill(key, &[("n", &passed.to_string())])}</li> }
            });
            let number = if rule.rule == 0 { String::new() } else { rule.rule.to_string() };
            let is_now = move || simulator.step.get() == at;
            let text = rule.text.clone();
            view! {
                {passed}
                <li class="met" data-main=(at == decisive).then_some("") data-current=move || is_now().then_some("")>
                    <button type="button" aria-current=move || is_now().then_some("step") on:click=move |_| simulator.seek_step(at)>
                        <span class="table">{rule.table}</span>
                        <code>{rule.chain} " " {number}</code>
                        <span class="action">{action}</span>
                    </button>
                    <Show when=is_now>
                        <code class="text">{text.clone()}</code>
                    </Show>
                </li>
            }
        })
        .collect_view();
    Some(view! {
        <div class="rules-met">
            <ol>{items}</ol>
            <button type="button" class="button plain" on:click=move |_| {
                simulator.seek_step(decisive);
                layout.show(Panel::Rules);
            }>
                {t("lane.rule")}
            </button>
        </div>
    })
}

/// The packet as a stack of headers, the outermost first; what is inside the tunnel is nested.
#[component]
fn HeaderStack(headers: Vec<Header>) -> impl IntoView {
    let wrapped = headers.iter().any(|h| h.outer);
    let chip = |h: Header| {
        let fields = h
            .fields
            .iter()
            .map(|f| {
                let before = f
                    .before
                    .clone()
                    .map(|b| view! { <del>{b}</del> <span aria-hidden="true">" → "</span> });
                let value = f.value.clone();
                let value = match f.before.is_some() {
                    true => view! { <ins>{value}</ins> }.into_any(),
                    false => view! { <span>{value}</span> }.into_any(),
                };
                view! {
                    <span class="field">
                        <span class="key">{f.name.clone()}</span>
                        " "
                        {before}
                        {value}
                    </span>
                }
            })
            .collect_view();
        let layer = match h.name.as_str() {
            "Ethernet" => "link",
            "UDP + VXLAN" => "tunnel",
            "IP" if h.outer => "tunnel",
            "IP" => "routing",
            "Data" => "app",
            _ => "netfilter",
        };
        view! {
            <li class="header" data-layer=layer data-new=h.new.then_some("")>
                <span class="title">{h.name}</span>
                {fields}
            </li>
        }
    };
    let (outer, inner): (Vec<_>, Vec<_>) = headers.into_iter().partition(|h| h.outer);
    view! {
        <div class="stack" data-wrapped=wrapped.then_some("")>
            <ul>{outer.into_iter().map(chip).collect_view()}</ul>
            <ul class="inner">{inner.into_iter().map(chip).collect_view()}</ul>
        </div>
    }
}

/// All stops as a list: the way in words, and on a phone the lane itself.
#[component]
fn Stops() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let now = Memo::new(move |_| simulator.stop());
    view! {
        <ol class="steps" aria-label=t("lane.steps")>
            {move || {
                let lane = simulator.lane.get()?;
                let items = lane
                    .stops
                    .iter()
                    .enumerate()
                    .filter_map(|(at, stop)| Some((at, stop, lane.steps.get(stop.main)?)))
                    .map(|(at, stop, s)| {
                        let column = lane.columns.get(s.column).map(|c| c.title.clone()).unwrap_or_default();
                        let chip = if stop.hook.is_empty() { layer_name(s.layer).to_owned() } else { stop.hook.clone() };
                        view! {
                            <li>
                                <button
                                    type="button"
                                    data-layer=layer_hue(s.layer)
                                    aria-current=move || (now.get() == at).then_some("step")
                                    on:click=move |_| {
                                        simulator.playing.set(false);
                                        simulator.seek(at);
                                    }
                                >
                                    <span class="n">{at + 1}</span>
                                    <span class="column">{column}</span>
                                    <span class="chip" data-layer=layer_hue(s.layer)>{chip}</span>
                                    <span class="what">{s.explanation.clone()}</span>
                                </button>
                            </li>
                        }
                    })
                    .collect_view();
                Some(items)
            }}
        </ol>
    }
}
