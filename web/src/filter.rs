//! What is looked for on the map: everything else is dimmed. The simulator finds it, by words or a label selector, by
//! namespace and kind.

use std::collections::HashSet;
use std::sync::Arc;

use kubarium_snapshot::message::Found;
use kubarium_snapshot::{Reply, Request};
use leptos::prelude::*;

use crate::{
    simulator::Simulator,
    text::{fill, t},
};

/// The resources by which one can filter: pods, Services, and those whose pods are meant.
const KINDS: [(&str, &str); 7] = [
    ("pods", "Pod"),
    ("services", "Service"),
    ("nodes", "Node"),
    ("deployments.apps", "Deployment"),
    ("statefulsets.apps", "StatefulSet"),
    ("daemonsets.apps", "DaemonSet"),
    ("jobs.batch", "Job"),
];

/// What is looked for. A context for what is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Filter {
    text: RwSignal<String>,
    namespace: RwSignal<String>,
    kind: RwSignal<String>,
    found: Memo<Option<Arc<Found>>>,
    ids: Memo<Option<Arc<HashSet<String>>>>,
}

impl Filter {
    /// Nothing is looked for.
    pub(crate) fn new(simulator: Simulator) -> Filter {
        let [text, namespace, kind] = [(); 3].map(|()| RwSignal::new(String::new()));
        let wanted = Memo::new(move |_| {
            let (text, namespace, kind) = (text.get(), namespace.get(), kind.get());
            let something = !(text.trim().is_empty() && namespace.is_empty() && kind.is_empty());
            something.then_some((text, namespace, kind))
        });
        let answer = simulator.watch(move || {
            simulator.events.track();
            let (text, namespace, kind) = wanted.get()?;
            Some(Request::Find {
                text,
                namespace,
                kind,
            })
        });
        let found = Memo::new(move |_| {
            wanted.read().as_ref()?;
            match answer.read().as_deref() {
                Some(Reply::Found(found)) => Some(Arc::new((**found).clone())),
                _ => None,
            }
        });
        let ids = Memo::new(move |_| {
            let found = found.get().filter(|found| found.wrong.is_empty())?;
            Some(Arc::new(found.ids.iter().cloned().collect()))
        });
        Filter {
            text,
            namespace,
            kind,
            found,
            ids,
        }
    }

    /// Tracks what is looked for.
    pub(crate) fn track(self) {
        self.ids.track();
    }

    /// Whether something else is looked for than the thing with this id; untracked.
    pub(crate) fn dims(self, id: &str) -> bool {
        self.ids
            .read_untracked()
            .as_ref()
            .is_some_and(|ids| !ids.contains(id))
    }

    /// What was found first.
    pub(crate) fn first(self) -> Option<String> {
        self.found.get_untracked()?.ids.first().cloned()
    }
}

/// What is looked for: words or a selector, a namespace, a kind.
#[component]
pub(crate) fn FilterTools(filter: Filter, find: impl Fn() + Copy + 'static) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let namespaces = simulator.picture.namespaces;
    let found = move || match filter.found.get() {
        Some(found) if !found.wrong.is_empty() => fill("map.wrong", &[("why", &found.wrong)]),
        Some(found) if found.pods == 1 => t("map.found.one").to_owned(),
        Some(found) if found.pods == 0 && !found.ids.is_empty() => {
            fill("map.found.others", &[("n", &found.ids.len().to_string())])
        }
        Some(found) => fill("map.found", &[("n", &found.pods.to_string())]),
        None => String::new(),
    };
    let is_wrong = move || {
        filter
            .found
            .read()
            .as_ref()
            .is_some_and(|found| !found.wrong.is_empty())
    };
    view! {
        <input
            type="search"
            class="find"
            aria-label=t("map.find")
            placeholder=t("map.find.hint")
            title=t("map.find.how")
            spellcheck="false"
            autocomplete="off"
            aria-invalid=move || is_wrong().then_some("true")
            on:input=move |event| filter.text.set(event_target_value(&event))
            on:keydown=move |event| {
                if event.key() == "Enter" {
                    find();
                }
            }
        />
        <span class="by">
            <select class="namespace" aria-label=t("map.namespace") on:change=move |event| filter.namespace.set(event_target_value(&event))>
                <option value="">{t("map.namespace.all")}</option>
                {move || {
                    namespaces
                        .get()
                        .into_iter()
                        .map(|name| view! { <option value=name.clone() selected={let name = name.clone(); move || *filter.namespace.read() == name}>{name.clone()}</option> })
                        .collect_view()
                }}
            </select>
            <select class="kind" aria-label=t("map.kind") on:change=move |event| filter.kind.set(event_target_value(&event))>
                <option value="">{t("map.kind.all")}</option>
                {KINDS.map(|(resource, kind)| view! { <option value=resource>{kind}</option> }).collect_view()}
            </select>
            <span class="found" role="status">{found}</span>
        </span>
    }
}
