//! What is selected: its YAML, its place in the API and in etcd, its owners and dependents, its events.

use kubarium_cluster::{Cluster, etcd};
use kubarium_objects::{ObjectKey, yaml};
use leptos::prelude::*;

use crate::{icons, layout::Layout, panels::Empty, simulator::Simulator, text::t};

/// What is selected.
#[component]
pub(crate) fn Inspector() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    // A selection opens the panel in which it is explained.
    Effect::new(move |before: Option<Option<String>>| {
        let now = simulator.selected.get();
        if now.is_some()
            && before.is_some_and(|before| before != now)
            && !layout.narrow.get_untracked()
        {
            layout.inspector_folded.set(false);
        }
        now
    });
    let shown = Memo::new(move |_| {
        simulator.events.track();
        let id = simulator.selected.get()?;
        simulator.read(|cluster| describe(cluster, &id)).flatten()
    });
    view! {
        {move || match shown.get() {
            Some(card) => card_view(simulator, card).into_any(),
            None => view! { <Empty icon=icons::INSPECTOR what=t("inspector.empty") how=t("inspector.empty.how") /> }.into_any(),
        }}
    }
}

/// What there is to say about a selected thing.
#[derive(Clone, PartialEq)]
struct Card {
    title: String,
    kind: String,
    facts: Vec<(&'static str, String)>,
    relatives: Vec<String>,
    commands: Vec<String>,
    yaml: String,
}

/// The stored object that an id names: `pod:default/web`, `object:deployments.apps/default/web`.
fn key_of(id: &str) -> Option<ObjectKey> {
    let (kind, rest) = id.split_once(':')?;
    let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
    match kind {
        "pod" => Some(ObjectKey::new("pods", namespace, name)),
        "service" => Some(ObjectKey::new("services", namespace, name)),
        "node" => Some(ObjectKey::new("nodes", "", rest)),
        "object" => {
            let (resource, rest) = rest.split_once('/')?;
            let (namespace, name) = rest.split_once('/')?;
            Some(ObjectKey::new(resource, namespace, name))
        }
        _ => None,
    }
}

fn describe(cluster: &Cluster, id: &str) -> Option<Card> {
    match key_of(id) {
        Some(key) => describe_object(cluster, &key),
        None => describe_device(cluster, id),
    }
}

fn describe_object(cluster: &Cluster, key: &ObjectKey) -> Option<Card> {
    let object = cluster.etcd.get(key)?;
    let resource = cluster.resource_by_id(&key.resource)?;
    let version = resource.api_version();
    let root = if resource.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let namespace = if resource.namespaced {
        format!("/namespaces/{}", key.namespace)
    } else {
        String::new()
    };
    let family = kubarium_scene::kinship::kinship(cluster, key);
    let relatives = family
        .node_weights()
        .filter(|k| *k != key)
        .map(|k| format!("object:{}/{}/{}", k.resource, k.namespace, k.name))
        .collect();
    let scope = if resource.namespaced && &*key.namespace != "default" {
        format!(" -n {}", key.namespace)
    } else {
        String::new()
    };
    let mut object = object.clone();
    object.remove(&["metadata", "managedFields"]);
    Some(Card {
        title: key.name.to_string(),
        kind: resource.kind.to_string(),
        facts: vec![
            (
                "inspector.rest",
                format!(
                    "{root}/{version}{namespace}/{}/{}",
                    resource.plural, key.name
                ),
            ),
            (
                "inspector.etcd",
                etcd::path(key, resource.namespaced, false),
            ),
        ],
        relatives,
        commands: vec![
            format!("kubectl describe {} {}{scope}", resource.singular, key.name),
            format!(
                "kubectl get {} {}{scope} -o yaml",
                resource.singular, key.name
            ),
            format!("kubectl delete {} {}{scope}", resource.singular, key.name),
        ],
        yaml: yaml::to_yaml(&object),
    })
}

fn describe_device(cluster: &Cluster, id: &str) -> Option<Card> {
    let (kind, rest) = id.split_once(':')?;
    if kind == "host" {
        return Some(Card {
            title: rest.to_owned(),
            kind: t("inspector.host").to_owned(),
            facts: Vec::new(),
            relatives: Vec::new(),
            commands: vec![
                "ssh outside ip addr".to_owned(),
                "ssh outside ip route".to_owned(),
            ],
            yaml: String::new(),
        });
    }
    if kind != "device" {
        return None;
    }
    let (node, device) = rest.split_once('/')?;
    cluster.machines.get(node)?;
    let mut commands = vec![
        format!("ssh {node} ip addr show dev {device}"),
        format!("ssh {node} ip route"),
    ];
    match device {
        "cbr0" => commands.push(format!("ssh {node} bridge link")),
        "flannel.1" => commands.push(format!("ssh {node} bridge fdb show dev flannel.1")),
        _ => commands.push(format!("ssh {node} ip neigh")),
    }
    Some(Card {
        title: device.to_owned(),
        kind: t("inspector.device").to_owned(),
        facts: vec![("inspector.node", node.to_owned())],
        relatives: vec![format!("node:{node}")],
        commands,
        yaml: String::new(),
    })
}

fn card_view(simulator: Simulator, card: Card) -> impl IntoView {
    let facts = card
        .facts
        .into_iter()
        .map(|(key, value)| view! { <dt>{t(key)}</dt> <dd><code>{value}</code></dd> })
        .collect_view();
    let relatives = (!card.relatives.is_empty()).then(|| {
        let items = card.relatives.into_iter().map(|id| {
            let shown = id.split_once(':').map_or(id.clone(), |(_, rest)| rest.to_owned());
            view! { <li><button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>{shown}</button></li> }
        });
        view! {
            <h3>{t("inspector.family")}</h3>
            <ul class="relatives">{items.collect_view()}</ul>
        }
    });
    let commands = card
        .commands
        .into_iter()
        .map(|command| {
            let shown = command.clone();
            view! { <li><button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{shown}</button></li> }
        })
        .collect_view();
    let yaml = (!card.yaml.is_empty()).then(|| view! { <h3>{t("inspector.yaml")}</h3> <pre class="yaml" tabindex="0">{card.yaml}</pre> });
    view! {
        <article class="card">
            <header>
                <span class="chip">{card.kind}</span>
                <h2>{card.title}</h2>
            </header>
            <dl>{facts}</dl>
            <h3>{t("inspector.commands")}</h3>
            <ul class="hints">{commands}</ul>
            {relatives}
            {yaml}
        </article>
    }
}
