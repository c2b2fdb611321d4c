//! `kubectl describe` (`kubectl/pkg/describe/describe.go`, v1.37): a file for each group of kinds.

mod access;
mod certificate;
mod config;
mod container;
mod generic;
mod network;
mod node;
mod pod;
mod policy;
mod ranges;
mod storage;
mod workload;

use kubarium_objects::{ObjectMeta, Value, time};

use super::Kubectl;
use super::command::{ALL_NAMESPACES, Command, FILES, SELECTOR};
use super::error::{Error, Result};
use super::flags::{Flag, Kind, flag};
use super::printers;
use super::resource::{Info, Query};
use super::table::Lines;

pub(crate) use container::pod_template;

const FLAGS: &[Flag] = &[
    flag(
        "chunk-size",
        Kind::Int,
        "500",
        "Return large lists in chunks rather than all at once.",
    ),
    flag(
        "show-events",
        Kind::Bool,
        "true",
        "If true, display events related to the described object.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "describe",
    "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [options]",
    "Show details of a specific resource or group of resources",
    run,
)
.flags(&[FILES, SELECTOR, ALL_NAMESPACES, FLAGS]);

fn run(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    if args.is_empty() && k.flags.list("filename").is_empty() {
        return Err(Error::Plain("You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.\n".to_owned()));
    }
    let Found {
        infos,
        errors,
        listed,
        by_prefix,
    } = select(k, args)?;
    if infos.is_empty() && errors.is_empty() {
        if listed && !k.flags.bool("all-namespaces") {
            let namespace = k.namespace();
            k.err(format!("No resources found in {namespace} namespace.\n"));
        } else {
            k.err("No resources found\n");
        }
        return Ok(());
    }
    // Of several objects no events are shown, unless they are asked for.
    let one = infos.len() == 1 && errors.is_empty() && !by_prefix;
    let with_events = if k.flags.changed("show-events") {
        k.flags.bool("show-events")
    } else {
        one
    };
    for (at, info) in infos.iter().enumerate() {
        if at > 0 {
            k.out("\n\n");
        }
        let text = describe(k, info, with_events);
        k.out(text);
    }
    Error::aggregate(errors)
}

/// What is to be described.
#[derive(Default)]
struct Found {
    infos: Vec<Info>,
    errors: Vec<Error>,
    /// A type was asked for, not names.
    listed: bool,
    /// There is no object of that name, but some that begin like that.
    by_prefix: bool,
}

fn select(k: &mut Kubectl, args: Vec<String>) -> Result<Found> {
    if !k.flags.list("filename").is_empty() {
        let manifests = k.manifests()?;
        let (mut infos, mut errors) = (Vec::new(), manifests.errors);
        for mut info in manifests.infos {
            match k.read(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
            ) {
                Ok(object) => {
                    info.object = object;
                    infos.push(info);
                }
                Err(error) => errors.push(error),
            }
        }
        return Ok(Found {
            infos,
            errors,
            ..Found::default()
        });
    }
    let listed = args.len() == 1 && !args[0].contains('/');
    let query = Query {
        all: listed,
        args: args.clone(),
        selector: k
            .flags
            .changed("selector")
            .then(|| k.flags.str("selector").to_owned()),
        field_selector: None,
        all_namespaces: k.flags.bool("all-namespaces"),
        verb: None,
    };
    let selection = k.select(&query)?;
    let errors = selection.errors.clone();
    // A single name that is not there may be the beginning of names.
    if let ([kind, prefix], [error]) = (&args[..], &errors[..])
        && error.is_not_found()
        && !kind.contains('/')
    {
        let resource = k.mapping(kind)?;
        let all = k.list(&resource, &Query::default())?;
        let found: Vec<Info> = all
            .into_iter()
            .filter(|i| i.name.starts_with(prefix.as_str()))
            .collect();
        if !found.is_empty() {
            return Ok(Found {
                infos: found,
                by_prefix: true,
                ..Found::default()
            });
        }
    }
    Ok(Found {
        infos: selection.infos().collect(),
        errors,
        listed,
        by_prefix: false,
    })
}

/// What describe says of an object.
fn describe(k: &Kubectl, info: &Info, with_events: bool) -> String {
    let mut w = Lines::default();
    w.with_events = with_events;
    let o = &info.object;
    match &*info.resource.id() {
        "pods" => pod::pod(k, o, &mut w),
        "deployments.apps" => workload::deployment(k, o, &mut w),
        "replicasets.apps" | "replicationcontrollers" => workload::replica_set(k, o, &mut w),
        "daemonsets.apps" => workload::daemon_set(k, o, &mut w),
        "statefulsets.apps" => workload::stateful_set(k, o, &mut w),
        "jobs.batch" => workload::job(k, o, &mut w),
        "cronjobs.batch" => workload::cron_job(k, o, &mut w),
        "services" => network::service(k, o, &mut w),
        "endpoints" => network::endpoints(k, o, &mut w),
        "endpointslices.discovery.k8s.io" => network::endpoint_slice(k, o, &mut w),
        "ingresses.networking.k8s.io" => network::ingress(k, o, &mut w),
        "ingressclasses.networking.k8s.io" => network::ingress_class(k, o, &mut w),
        "servicecidrs.networking.k8s.io" => ranges::range(k, o, &mut w),
        "ipaddresses.networking.k8s.io" => ranges::address(k, o, &mut w),
        "networkpolicies.networking.k8s.io" => network::policy(o, &mut w),
        "nodes" => node::node(k, o, &mut w),
        "namespaces" => config::namespace(k, o, &mut w),
        "configmaps" => config::config_map(k, o, &mut w),
        "secrets" => config::secret(o, &mut w),
        "serviceaccounts" => access::service_account(k, o, &mut w),
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            access::role(o, &mut w)
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => access::role_binding(o, &mut w),
        "limitranges" => config::limit_range(o, &mut w),
        "resourcequotas" => config::quota(o, &mut w),
        "priorityclasses.scheduling.k8s.io" => config::priority_class(k, o, &mut w),
        "persistentvolumeclaims" => storage::claim(k, o, &mut w),
        "persistentvolumes" => storage::volume(k, o, &mut w),
        "storageclasses.storage.k8s.io" => storage::class(k, o, &mut w),
        "csinodes.storage.k8s.io" => storage::csi_node(k, o, &mut w),
        "certificatesigningrequests.certificates.k8s.io" => {
            certificate::request(k, o, &mut w);
        }
        "poddisruptionbudgets.policy" => policy::budget(k, o, &mut w),
        "horizontalpodautoscalers.autoscaling" => policy::autoscaler(k, o, &mut w),
        _ => generic::object(k, info, &mut w),
    }
    w.finish()
}

/// `Mon, 23 Nov 2026 16:08:37 +0000` (Go's RFC1123Z)
fn date(at: &Value) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Some(seconds) = at.as_str().and_then(time::parse_seconds) else {
        return "Mon, 01 Jan 0001 00:00:00 +0000".to_owned();
    };
    let t = time::Civil::from_seconds(seconds);
    let name = |names: &[&'static str], at: i64| {
        usize::try_from(at)
            .ok()
            .and_then(|at| names.get(at).copied())
            .unwrap_or("")
    };
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000",
        name(&DAYS, t.weekday()),
        t.day,
        name(&MONTHS, t.month - 1),
        t.year,
        t.hour,
        t.minute,
        t.second
    )
}

/// `Labels:` and their like, one a line. `indent` stands in front of every line.
fn labels(w: &mut Lines, indent: &str, title: &str, map: &Value) {
    w.raw(&format!("{indent}{title}:\t"));
    if map.entries().is_empty() {
        w.raw("<none>\n");
    }
    for (at, (key, value)) in map.entries().iter().enumerate() {
        if at > 0 {
            w.raw(&format!("{indent}\t"));
        }
        w.raw(&format!("{key}={}\n", value.str()));
    }
}

const ANNOTATION_MAX: usize = 140;

/// `Annotations:`, one a line, long ones cut.
fn annotations(w: &mut Lines, title: &str, map: &Value) {
    w.raw(&format!("{title}:\t"));
    let shown: Vec<_> = map
        .entries()
        .iter()
        .filter(|(key, _)| &**key != super::commands::apply::LAST_APPLIED)
        .collect();
    if shown.is_empty() {
        w.raw("<none>\n");
    }
    for (at, (key, value)) in shown.into_iter().enumerate() {
        if at > 0 {
            w.raw("\t");
        }
        let value = value.str().strip_suffix('\n').unwrap_or(value.str());
        if value.len() + key.len() + 2 > ANNOTATION_MAX || value.contains('\n') {
            w.raw(&format!("{key}:\n"));
            for line in value.split('\n') {
                w.raw(&format!("\t  {}\n", shorten(line)));
            }
        } else {
            w.raw(&format!("{key}: {value}\n"));
        }
    }
}

fn shorten(line: &str) -> String {
    if line.chars().count() > ANNOTATION_MAX - 2 {
        return line.chars().take(ANNOTATION_MAX - 2).collect::<String>() + "...";
    }
    line.to_owned()
}

/// `Name:` and `Namespace:`.
fn head(w: &mut Lines, o: &Value) {
    w.line(0, format!("Name:\t{}", o.name()));
    if !o.namespace().is_empty() {
        w.line(0, format!("Namespace:\t{}", o.namespace()));
    }
}

/// `Labels:` and `Annotations:`.
fn marks(w: &mut Lines, o: &Value) {
    labels(w, "", "Labels", o.labels());
    annotations(w, "Annotations", o.annotations());
}

/// `ReplicaSet/web-1`
fn controlled_by(w: &mut Lines, o: &Value) {
    if let Some(owner) = o.controller_ref() {
        w.line(
            0,
            format!("Controlled By:\t{}/{}", owner.kind(), owner.name()),
        );
    }
}

/// The events about an object, oldest first.
fn events(k: &Kubectl, o: &Value, w: &mut Lines) {
    if !w.with_events {
        return;
    }
    let namespace = match o.namespace() {
        "" => "default",
        namespace => namespace,
    };
    // A mirror pod's events are about the kubelet's own pod.
    let mirrored = o.annotation("kubernetes.io/config.mirror");
    let own = mirrored.unwrap_or(o.uid());
    let about = |e: &Value| {
        let involved = &e["involvedObject"];
        // A node's events carry its name as uid.
        let uid = involved["uid"].str();
        involved["name"].str() == o.name()
            && involved["kind"].str() == o.kind()
            && (uid == own || uid == o.name() || uid.is_empty())
    };
    let mut found: Vec<Value> = k
        .cluster()
        .etcd
        .list("events", Some(namespace))
        .map(|(_, e)| e.clone())
        .filter(about)
        .collect();
    if found.is_empty() {
        w.line(0, "Events:\t<none>");
        return;
    }
    w.flush();
    // Those of the new form have no such time, and come first (`SortableEvents`).
    found.sort_by_key(|e| {
        let at = e["lastTimestamp"].as_str().and_then(time::parse_micros);
        at.unwrap_or(0)
    });
    w.line(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
    w.line(1, "----\t------\t----\t----\t-------");
    for e in found {
        let source = match e["source"]["component"].str() {
            "" => e["reportingComponent"].str(),
            component => component,
        };
        let message = match e["involvedObject"]["fieldPath"].str() {
            "" => e["message"].str().trim().to_owned(),
            path => format!("{path}: {}", e["message"].str().trim()),
        };
        w.line(
            1,
            format!(
                "{}\t{}\t{}\t{source}\t{message}",
                e["type"].str(),
                e["reason"].str(),
                printers::event_interval(&e, k.now())
            ),
        );
    }
}

/// The text, or `<none>`.
fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// A list as Go prints one: `[a b]`.
fn go_list(items: &Value) -> String {
    let items: Vec<&str> = items.items().iter().map(Value::str).collect();
    format!("[{}]", items.join(" "))
}
