//! The packet lane: one connection, hop by hop: who it went through, what changed, and why.

use kubarium_snapshot::lane::{Header, Lane as Drawn, Layer, PhaseKind, Step, Verdict};
use leptos::{ev, html, prelude::*};

use crate::{
    icons,
    layout::Layout,
    panels::Panel,
    simulator::Simulator,
    text::{fill, t},
};

/// One connection, hop by hop.
#[component]
pub(crate) fn Lane() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    view! {
        <div class="lane-body" data-lane=move || simulator.lane.read().as_ref().map_or(0, |lane| lane.id).to_string()>
            <Request />
            <Show when=move || simulator.lane.read().is_some() fallback=|| view! { <p class="lane-hint">{t("lane.empty.how")}</p> }>
                <Player />
                <div class="lane-parts">
                    <Score />
                    <Current />
                </div>
                <Steps />
            </Show>
        </div>
    }
}

/// The form that sends a request: from where, and to what.
#[component]
fn Request() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let from = RwSignal::new(String::new());
    let to = RwSignal::new(String::new());
    let clients = Memo::new(move |_| {
        let map = simulator.map.read();
        let mut pods: Vec<_> = map
            .pods()
            .filter(|p| p.namespace != "kube-system" && !p.address.is_empty())
            .collect();
        // Those that are there to ask come before those that are there to answer.
        let asks = |image: &str| {
            ["curl", "netshoot", "busybox", "alpine"]
                .iter()
                .any(|word| image.contains(word))
        };
        pods.sort_by_key(|p| (!asks(&p.image), p.namespace.clone(), p.name.clone()));
        let pods = pods.into_iter().map(|p| match p.namespace.as_str() {
            "default" => format!("pod/{}", p.name),
            namespace => format!("pod/{}.{namespace}", p.name),
        });
        let nodes = map.rooms.iter().map(|r| format!("node/{}", r.name));
        pods.chain(nodes)
            .chain(["outside".to_owned()])
            .collect::<Vec<_>>()
    });
    let services = Memo::new(move |_| {
        let map = simulator.map.read();
        let mut own: Vec<String> = map
            .services
            .iter()
            .filter(|s| {
                s.namespace != "kube-system" && s.name != "kubernetes" && s.kind != "ExternalName"
            })
            .map(|s| {
                let port = s.ports.split('/').next().unwrap_or("80");
                let name = if s.namespace == "default" {
                    s.name.clone()
                } else {
                    format!("{}.{}", s.name, s.namespace)
                };
                if port == "80" {
                    format!("http://{name}")
                } else {
                    format!("http://{name}:{port}")
                }
            })
            .collect();
        own.sort();
        own
    });
    Effect::new(move |_| {
        let clients = clients.get();
        if !clients.contains(&from.get_untracked()) {
            from.set(clients.first().cloned().unwrap_or_default());
        }
    });
    Effect::new(move |_| {
        if let Some(first) = services.read().first()
            && to.get_untracked().is_empty()
        {
            to.set(first.clone());
        }
    });
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let (from, to) = (from.get_untracked(), to.get_untracked().trim().to_owned());
        if !from.is_empty() && !to.is_empty() {
            simulator.send_packet(&from, &to);
        }
    };
    let has_client = move || {
        simulator
            .map
            .read()
            .pods()
            .any(|p| p.id == "pod:default/curl")
    };
    view! {
        <form class="request" on:submit=submit>
            <label>
                <span>{t("lane.from")}</span>
                <select prop:value=move || from.get() on:change=move |e| from.set(event_target_value(&e))>
                    {move || {
                        clients
                            .get()
                            .into_iter()
                            .map(|c| {
                                let (value, shown) = (c.clone(), c.clone());
                                view! { <option value=value selected=move || from.get() == c>{shown}</option> }
                            })
                            .collect_view()
                    }}
                </select>
            </label>
            <label>
                <span>{t("lane.to")}</span>
                <input
                    type="text"
                    size="24"
                    list="lane-targets"
                    spellcheck="false"
                    autocapitalize="off"
                    placeholder="http://web"
                    prop:value=move || to.get()
                    on:input=move |e| to.set(event_target_value(&e))
                />
                <datalist id="lane-targets">
                    {move || services.get().into_iter().map(|s| view! { <option value=s></option> }).collect_view()}
                </datalist>
            </label>
            <button type="submit" class="button primary">{t("lane.send")}</button>
            <Show when=move || !has_client()>
                <button
                    type="button"
                    class="button"
                    title="kubectl run curl --image=curlimages/curl --command -- sleep infinity"
                    on:click=move |_| simulator.run("kubectl run curl --image=curlimages/curl --command -- sleep infinity")
                >
                    {t("lane.client")}
                </button>
            </Show>
            <span class="gap"></span>
            <Show when=move || !layout.narrow.get()>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=t("lane.close")
                    title=t("lane.close")
                    on:click=move |_| {
                        simulator.lane.set(None);
                        layout.lane_shown.set(false);
                    }
                >
                    {icons::CLOSE.view()}
                </button>
            </Show>
        </form>
    }
}

/// Play, pause, step both ways, scrub, speed.
#[component]
fn Player() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let last = move || simulator.steps().saturating_sub(1);
    let at_end = move || simulator.step.get() == last();
    let to = move |step: usize| {
        simulator.playing.set(false);
        simulator.seek(step);
    };
    let verdict = move || {
        simulator
            .lane
            .read()
            .as_ref()
            .map(|l| (l.verdict, l.reason.clone()))
    };
    let play_label = move || {
        if simulator.playing.get() {
            t("player.pause")
        } else {
            t("player.play")
        }
    };
    view! {
        <div class="player" role="group" aria-label=t("player")>
            <button
                type="button"
                class="button plain icon"
                aria-label=t("player.back")
                title=t("player.back")
                prop:disabled=move || simulator.step.get() == 0
                on:click=move |_| to(simulator.step.get_untracked().saturating_sub(1))
            >
                {icons::BACK.view()}
            </button>
            <button
                type="button"
                class="button plain icon"
                aria-label=play_label
                title=play_label
                on:click=move |_| {
                    let play = !simulator.playing.get_untracked();
                    if play && simulator.step.get_untracked() == last() {
                        simulator.seek(0);
                    }
                    simulator.playing.set(play);
                }
            >
                {move || if simulator.playing.get() { icons::PAUSE.view() } else { icons::RUN.view() }}
            </button>
            <button
                type="button"
                class="button plain icon"
                aria-label=t("player.forward")
                title=t("player.forward")
                prop:disabled=at_end
                on:click=move |_| to(simulator.step.get_untracked() + 1)
            >
                {icons::STEP.view()}
            </button>
            <input
                type="range"
                class="scrub"
                min="0"
                max=last
                aria-label=t("player.scrub")
                aria-valuetext=move || fill("player.of", &[("n", &(simulator.step.get() + 1).to_string()), ("all", &simulator.steps().to_string())])
                prop:value=move || simulator.step.get().to_string()
                on:input=move |e| to(event_target_value(&e).parse().unwrap_or(0))
            />
            <span class="count">
                {move || fill("player.of", &[("n", &(simulator.step.get() + 1).to_string()), ("all", &simulator.steps().to_string())])}
            </span>
            <label class="pace">
                <span class="unseen">{t("player.speed")}</span>
                <select on:change=move |e| simulator.pace.set(event_target_value(&e).parse().unwrap_or(1.0))>
                    <option value="0.25">"¼×"</option>
                    <option value="0.5">"½×"</option>
                    <option value="1" selected>"1×"</option>
                    <option value="2">"2×"</option>
                    <option value="4">"4×"</option>
                </select>
            </label>
            {move || {
                verdict()
                    .map(|(verdict, reason)| {
                        view! {
                            <p class="verdict" data-good=(verdict == Verdict::Delivered).then_some("")>
                                <strong>{verdict_name(verdict)}</strong>
                                " "
                                <span>{reason}</span>
                            </p>
                        }
                    })
            }}
        </div>
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => t("verdict.delivered"),
        Verdict::Refused => t("verdict.refused"),
        Verdict::Dropped => t("verdict.dropped"),
        Verdict::Unreachable => t("verdict.unreachable"),
        Verdict::Timeout => t("verdict.timeout"),
        Verdict::Unresolved => t("verdict.unresolved"),
    }
}

fn phase_name(phase: PhaseKind) -> &'static str {
    match phase {
        PhaseKind::Dns => t("phase.dns"),
        PhaseKind::Request => t("phase.request"),
        PhaseKind::Reply => t("phase.reply"),
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

/// The way as a drawing: columns are namespaces, rows are layers, time runs along the line.
#[component]
fn Score() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let frame = NodeRef::<html::Div>::new();
    // The step that is seen stays in sight.
    Effect::new(move |_| {
        let step = simulator.step.get();
        let at = simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| l.steps.get(step).map(|s| s.at));
        if let (Some(frame), Some(at)) = (frame.get(), at) {
            let (width, height) = (
                f64::from(frame.client_width()),
                f64::from(frame.client_height()),
            );
            let (left, top) = (
                f64::from(frame.scroll_left()),
                f64::from(frame.scroll_top()),
            );
            if at.x < left + 112.0 || at.x > left + width - 48.0 {
                frame.set_scroll_left((at.x - width / 2.0).max(0.0) as i32);
            }
            if at.y < top + 56.0 || at.y > top + height - 40.0 {
                frame.set_scroll_top((at.y - height / 2.0).max(0.0) as i32);
            }
        }
    });
    view! {
        <div class="score" node_ref=frame tabindex="0" role="group" aria-label=t("lane.score")>
            {move || simulator.lane.get().map(|lane| drawing(simulator, &lane))}
        </div>
    }
}

fn drawing(simulator: Simulator, lane: &Drawn) -> impl IntoView + use<> {
    let size = lane.size;
    let columns = lane
        .columns
        .iter()
        .map(|c| {
            let kind = if c.pod { fill("lane.pod.on", &[("node", &c.node)]) } else { t("lane.node").to_owned() };
            let name = if c.pod { c.title.rsplit('/').next().unwrap_or(&c.title).to_owned() } else { c.title.clone() };
            view! {
                <g class="column" data-pod=c.pod.then_some("")>
                    <rect x=c.x + 2.0 y="0" width=c.width - 4.0 height=size.height rx="6" />
                    <text class="name" x=c.x + 10.0 y="15">{crop(&name, (c.width / 8.0) as usize)}</text>
                    <text class="detail" x=c.x + 10.0 y="30">{crop(&kind, (c.width / 7.0) as usize)}</text>
                </g>
            }
        })
        .collect_view();
    let bands = lane
        .bands
        .iter()
        .map(|band| {
            let rows = band
                .rows
                .iter()
                .map(|(layer, y)| {
                    view! {
                        <g class="row" data-layer=layer_hue(*layer)>
                            <line x1="88" x2=size.width y1=*y y2=*y />
                            <text class="detail" x="82" y=y + 4.0>{layer_name(*layer)}</text>
                        </g>
                    }
                })
                .collect_view();
            let line: String = lane
                .steps
                .iter()
                .filter(|s| s.phase == band.phase)
                .map(|s| format!("{:.1},{:.1} ", s.at.x, s.at.y))
                .collect();
            view! {
                <g class="band">
                    <text class="phase" x="0" y=band.rect.y + 4.0>{phase_name(band.phase)}</text>
                    {rows}
                    <polyline points=line />
                </g>
            }
        })
        .collect_view();
    let dots = lane
        .steps
        .iter()
        .enumerate()
        .map(|(at, s)| {
            let changed = s
                .headers
                .iter()
                .any(|h| h.new || h.fields.iter().any(|f| f.before.is_some()));
            view! {
                <circle
                    class="dot"
                    data-layer=layer_hue(s.layer)
                    data-changed=changed.then_some("")
                    data-current=move || (simulator.step.get() == at).then_some("")
                    data-done=move || (simulator.step.get() > at).then_some("")
                    cx=s.at.x
                    cy=s.at.y
                    r=if changed { "7" } else { "5" }
                    on:click=move |_| {
                        simulator.playing.set(false);
                        simulator.seek(at);
                    }
                >
                    <title>{s.explanation.clone()}</title>
                </circle>
            }
        })
        .collect_view();
    view! {
        <svg width=size.width height=size.height viewBox=format!("0 0 {} {}", size.width, size.height) aria-hidden="true">
            {columns} {bands} {dots}
        </svg>
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

/// The step that is seen now: what happened and why, and the packet after it.
#[component]
fn Current() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let step = Memo::new(move |_| {
        let at = simulator.step.get();
        simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| l.steps.get(at).cloned())
    });
    view! {
        <div class="current" aria-live="polite">
            {move || step.get().map(|s| current(simulator, s))}
        </div>
    }
}

fn current(simulator: Simulator, s: Step) -> impl IntoView {
    let layout = expect_context::<Layout>();
    let place = s
        .place
        .split_once(':')
        .map_or(s.place.clone(), |(_, rest)| rest.to_owned());
    let rule = s.rule.clone().map(|rule| {
        let passed = (s.passed > 0).then(|| {
            let key = if s.passed == 1 { "lane.passed.one" } else { "lane.passed" };
            view! { <span class="passed">{fill(key, &[("n", &s.passed.to_string())])}</span> }
        });
        view! {
            <div class="rule-met">
                {passed} <code>{format!("{} {}", rule.table, rule.text)}</code>
                <button type="button" class="button plain" on:click=move |_| layout.show(Panel::Rules)>
                    {t("lane.rule")}
                </button>
            </div>
        }
    });
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
            <span class="chip" data-layer=layer_hue(s.layer)>{layer_name(s.layer)}</span>
            <span class="place">{place}</span>
            {object}
        </p>
        <p class="sentence">{s.explanation.clone()}</p>
        {rule}
        <HeaderStack headers=s.headers />
    }
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
                let before = f.before.clone().map(|b| view! { <del>{b}</del> <span aria-hidden="true">" → "</span> });
                let changed = f.before.is_some();
                view! {
                    <span class="field">
                        <span class="key">{f.name.clone()}</span>
                        " "
                        {before}
                        {if changed { view! { <ins>{f.value.clone()}</ins> }.into_any() } else { view! { <span>{f.value.clone()}</span> }.into_any() }}
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
                <span class="title">{h.name.clone()}</span>
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

/// All steps as a list: the way in words, and on a phone the lane itself.
#[component]
fn Steps() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    view! {
        <ol class="steps" aria-label=t("lane.steps")>
            {move || {
                let lane = simulator.lane.get()?;
                let items = lane
                    .steps
                    .iter()
                    .enumerate()
                    .map(|(at, s)| {
                        let column = lane.columns.get(s.column).map(|c| c.title.clone()).unwrap_or_default();
                        view! {
                            <li>
                                <button
                                    type="button"
                                    data-layer=layer_hue(s.layer)
                                    aria-current=move || (simulator.step.get() == at).then_some("step")
                                    on:click=move |_| {
                                        simulator.playing.set(false);
                                        simulator.seek(at);
                                    }
                                >
                                    <span class="n">{s.n}</span>
                                    <span class="column">{column}</span>
                                    <span class="chip" data-layer=layer_hue(s.layer)>{layer_name(s.layer)}</span>
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
