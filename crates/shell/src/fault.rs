//! `sim fault` and `sim dial`: what a person breaks, mends and dials.

use std::fmt::Write as _;

use kubarium_cluster::faults::{FORMS, Fault, pod_key};
use kubarium_cluster::load::Load;
use kubarium_objects::ObjectKey;

use crate::session::Session;

type Result = std::result::Result<String, String>;

/// Carries out the words after `sim fault`.
pub(crate) fn run(session: &mut Session, words: &[&str]) -> Result {
    match words {
        [] | ["help" | "--help" | "-h", ..] => Ok(help()),
        ["list"] => Ok(list(session)),
        ["mend"] => {
            session.changing();
            let mended = session.change(|cluster| cluster.mend_all());
            Ok(mended
                .iter()
                .map(|fault| format!("mended: {fault}\n"))
                .collect())
        }
        ["mend", number] => {
            let wrong = || format!("{number:?} is no fault's number; sim fault list shows them");
            let number: u32 = number.parse().map_err(|_| wrong())?;
            session.changing();
            let fault = session.change(|cluster| cluster.mend(number))?;
            Ok(format!("mended: {fault}\n"))
        }
        words => {
            let namespace = session.kubeconfig.namespace("").to_owned();
            let fault = Fault::parse(words, &namespace)?;
            let text = fault.to_string();
            session.changing();
            Ok(match session.change(|cluster| cluster.break_it(fault))? {
                Some(number) => format!("fault {number}: {text}\n"),
                None => format!("{text}\n"),
            })
        }
    }
}

/// The forms, from the table by which they are read.
pub(crate) fn help() -> String {
    let mut text = "Break things on purpose, and mend them:\n".to_owned();
    for form in FORMS {
        let _ = writeln!(text, "  sim fault {:<30} {}", form.words, form.help);
    }
    text.push_str(
        "\nCOMPONENT is kube-apiserver, etcd, kube-scheduler, kube-controller-manager or one of its controllers,\n\
         or one of a node: kubelet NODE, kube-proxy NODE, containerd NODE. PLACE is a node, or pod/NAME.\n\
         POD is NAME or NAMESPACE/NAME.\n",
    );
    text
}

fn list(session: &Session) -> String {
    let cluster = &session.simulation.cluster;
    let active = cluster.faults().active();
    if active.is_empty() {
        return "nothing is broken\n".to_owned();
    }
    let line = |(number, fault): (&u32, &kubarium_cluster::faults::Active)| {
        let since = cluster.now.since(fault.since).as_secs();
        format!(
            "{number:>3}  {}  (since {since}s, event {})\n",
            fault.fault, fault.event
        )
    };
    active.iter().map(line).collect()
}

/// `sim dial TARGET AMOUNT`
pub(crate) fn dial(session: &mut Session, target: &str, amount: &str) -> Result {
    let load = Load::parse(amount)?;
    let namespace = session.kubeconfig.namespace("").to_owned();
    let key = match target.split_once('/') {
        Some((kind, name)) if !matches!(kind, "pod" | "pods" | "po") => {
            let resource = session.simulation.cluster.resource_by_name(kind);
            let resource = resource.ok_or_else(|| format!("there is no kind {kind:?}"))?;
            ObjectKey::new(resource.id(), namespace, name)
        }
        _ => pod_key(target.strip_prefix("po/").unwrap_or(target), &namespace),
    };
    session.changing();
    session.change(|cluster| cluster.set_load(&key, load))?;
    Ok(String::new())
}
