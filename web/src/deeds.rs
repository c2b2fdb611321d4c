//! What can be done to a thing: each a button that says the command it stands for, and runs it in the terminal.

use kubarium_snapshot::inspect::{Card, Deed, Verb};

use crate::text::{fill, t};

/// What a deed is called.
pub(crate) fn name(deed: &Deed) -> String {
    let key = match deed.verb {
        Verb::Scale => "verb.scale",
        Verb::Restart => "verb.restart",
        Verb::Undo => "verb.undo",
        Verb::Cordon => "verb.cordon",
        Verb::Uncordon => "verb.uncordon",
        Verb::Drain => "verb.drain",
        Verb::Remove => "verb.remove",
        Verb::Delete => "verb.delete",
        Verb::Stop => "verb.stop",
        Verb::Slow => "verb.slow",
        Verb::Anew => "verb.anew",
        Verb::Cut => "verb.cut",
        Verb::PowerOff => "verb.power",
        Verb::LinkDown => "verb.unplug",
        Verb::Lose => "verb.lose",
        Verb::Delay => "verb.delay",
        Verb::Part => "verb.part",
        Verb::Kill => "verb.kill",
        Verb::OutOfMemory => "verb.oom",
        Verb::ImageMissing => "verb.image",
        Verb::RegistryDown => "verb.registry",
        Verb::Memory => "verb.memory",
        Verb::Disk => "verb.disk",
        Verb::Pid => "verb.pid",
        Verb::DeleteRule => "verb.rule",
    };
    fill(key, &[("of", &deed.of)])
        .trim_end_matches([' ', ':'])
        .to_owned()
}

/// What kind of thing a card is about, in a word.
pub(crate) fn kind(card: &Card) -> String {
    match card.id.split_once(':') {
        Some(("host", _)) => t("inspector.host").to_owned(),
        Some(("device", _)) => t("inspector.device").to_owned(),
        Some(("component", _)) => t("inspector.component").to_owned(),
        Some(("container", _)) => t("inspector.container").to_owned(),
        Some(("rule", _)) => t("inspector.rule").to_owned(),
        Some(("segment", _)) => t("inspector.segment").to_owned(),
        _ => card.kind.clone(),
    }
}

/// What a component is for, in a sentence; of the things that a person may not know.
pub(crate) fn role(card: &Card) -> Option<&'static str> {
    let key = match (card.id.split_once(':')?.0, card.title.as_str()) {
        ("component", "kube-apiserver") => "role.apiserver",
        ("component", "etcd") => "role.etcd",
        ("component", "kube-scheduler") => "role.scheduler",
        ("component", "kube-controller-manager") => "role.controllers",
        ("component", "kubelet") => "role.kubelet",
        ("component", "containerd") => "role.containerd",
        ("component", "cni") => "role.cni",
        ("component", "kube-proxy") => "role.proxy",
        ("device", "cbr0") => "role.bridge",
        ("device", "flannel.1") => "role.tunnel",
        ("device", "eth0") => "role.card",
        ("segment", _) => "role.segment",
        ("host", _) => "role.outside",
        _ => return None,
    };
    Some(t(key))
}
