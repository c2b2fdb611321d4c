//! `kubectl auth` (`kubectl/pkg/cmd/auth`, v1.37)

use kubarium_cluster::api::rbac::{self, Attributes};
use kubarium_objects::{Value, object};

use crate::kubectl::command::{ALL_NAMESPACES, Command, PRINT};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, switch, text};
use crate::kubectl::output::Format;
use crate::kubectl::{Kubectl, table};

const CAN_I: &[Flag] = &[
    switch("list", "If true, prints all allowed actions."),
    switch(
        "no-headers",
        "If true, prints allowed actions without headers",
    ),
    switch(
        "quiet",
        "If true, suppress output and just return the exit code.",
    )
    .short('q'),
    text(
        "subresource",
        "SubResource such as pod/log or deployment/scale",
    ),
];

pub(crate) const AUTH: Command = Command {
    run: None,
    ..Command::new("auth", "[flags] [options]", "Inspect authorization", |_| {
        Ok(())
    })
}
.commands(&[
    Command::new(
        "can-i",
        "VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [options]",
        "Check whether an action is allowed",
        can_i,
    )
    .flags(&[ALL_NAMESPACES, CAN_I]),
    super::reconcile::COMMAND,
    Command::new(
        "whoami",
        "[options]",
        "Experimental: Check self subject attributes",
        who_am_i,
    )
    .flags(&[PRINT]),
]);

const VERBS: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
];

const URL_VERBS: &[&str] = &[
    "get", "put", "post", "head", "options", "delete", "patch", "*",
];

/// What is asked about.
#[derive(Default)]
struct Question {
    group: String,
    resource: String,
    name: String,
    path: String,
    namespaced: Option<bool>,
}

fn can_i(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    let list = k.flags.bool("list");
    if list {
        if !args.is_empty() {
            return plain("list option must be specified with no arguments");
        }
        if k.flags.bool("quiet")
            || k.flags.bool("all-namespaces")
            || !k.flags.str("subresource").is_empty()
        {
            return plain(
                "list option can't be specified with neither quiet, all-namespaces nor subresource options",
            );
        }
        return access_list(k);
    }
    let [verb, what] = &args[..] else {
        return plain(
            "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
        );
    };
    let question = question(k, what);
    let subresource = k.flags.str("subresource").to_owned();
    let everywhere = k.flags.bool("all-namespaces");
    if !question.path.is_empty() {
        if !subresource.is_empty() {
            return plain("--subresource can not be used with NonResourceURL");
        }
        if !URL_VERBS.contains(&verb.as_str()) {
            k.err(format!("Warning: verb '{verb}' is not a known verb\n\n"));
        }
    } else if !everywhere {
        if question.namespaced == Some(false) {
            let (resource, group) = (&question.resource, &question.group);
            let of = match group.as_str() {
                "" => String::new(),
                group => format!(" in group '{group}'"),
            };
            k.err(format!(
                "Warning: resource '{resource}' is not namespace scoped{of}\n\n"
            ));
        }
        if !VERBS.contains(&verb.as_str()) {
            k.err(format!("Warning: verb '{verb}' is not a known verb\n\n"));
        }
    }
    if k.flags.bool("no-headers") {
        return plain("--no-headers cannot be set without --list specified");
    }
    let namespace = if everywhere || !question.path.is_empty() {
        "".into()
    } else {
        k.namespace()
    };
    let user = k.user()?;
    let decision = k.cluster().decide(
        &user,
        &Attributes {
            verb,
            group: &question.group,
            resource: &question.resource,
            subresource: &subresource,
            namespace: &namespace,
            name: &question.name,
            path: &question.path,
        },
    );
    let said = match (decision.allowed, decision.reason.as_str()) {
        (true, _) => "yes\n".to_owned(),
        (false, "") => "no\n".to_owned(),
        (false, why) => format!("no - {why}\n"),
    };
    if !k.flags.bool("quiet") {
        k.out(said);
    }
    if decision.allowed {
        Ok(())
    } else {
        Err(Error::Exit(1, String::new()))
    }
}

fn question(k: &mut Kubectl, what: &str) -> Question {
    if what.starts_with('/') {
        return Question {
            path: what.to_owned(),
            ..Question::default()
        };
    }
    let (word, name) = what.split_once('/').unwrap_or((what, ""));
    let name = name.to_owned();
    if word == "*" {
        return Question {
            resource: word.to_owned(),
            name,
            ..Question::default()
        };
    }
    if let Ok(found) = k.mapping(&word.to_lowercase()) {
        return Question {
            group: found.group.to_string(),
            resource: found.plural.to_string(),
            name,
            namespaced: Some(found.namespaced),
            ..Question::default()
        };
    }
    let lower = word.to_lowercase();
    if !matches!(lower.as_str(), "users" | "groups") {
        let said = match lower.split_once('.') {
            Some((head, group)) => format!("'{head}' in group '{group}'"),
            None => format!("'{lower}'"),
        };
        k.err(format!(
            "Warning: the server doesn't have a resource type {said}\n\n"
        ));
    }
    Question {
        resource: word.to_owned(),
        name,
        ..Question::default()
    }
}

fn access_list(k: &mut Kubectl) -> Result {
    let (user, namespace) = (k.user()?, k.namespace());
    let held = k.cluster().rules_for(&user, &namespace);
    // The review tells rules for resources apart from those for URLs.
    let resources = held.iter().filter(|r| !r["resources"].is_empty());
    let urls = held.iter().filter(|r| !r["nonResourceURLs"].is_empty());
    let broken: Vec<Value> = resources.chain(urls).flat_map(rbac::breakdown).collect();
    let mut rules = rbac::compact(broken);
    rules.sort_by_key(rbac::go_rule);
    let mut text = String::new();
    if !k.flags.bool("no-headers") {
        text.push_str("Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    }
    for rule in &rules {
        let resource = match (rule["resources"][0].str(), rule["apiGroups"][0].str()) {
            (resource, "") => resource.to_owned(),
            (resource, group) => match resource.split_once('/') {
                Some((resource, sub)) => format!("{resource}.{group}/{sub}"),
                None => format!("{resource}.{group}"),
            },
        };
        text.push_str(&format!(
            "{resource}\t{}\t{}\t{}\n",
            rbac::go_strings(&rule["nonResourceURLs"]),
            rbac::go_strings(&rule["resourceNames"]),
            rbac::go_strings(&rule["verbs"]),
        ));
    }
    k.out(table::align(&text, 6, 3));
    Ok(())
}

fn who_am_i(k: &mut Kubectl) -> Result {
    let format = k.format()?;
    let user = k.user()?;
    let mut info = Value::new_object();
    if !user.groups.is_empty() {
        info["groups"] = kubarium_objects::array(user.groups.iter().map(String::as_str));
    }
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    info["username"] = user.name.as_str().into();
    let review = object([
        ("apiVersion", "authentication.k8s.io/v1".into()),
        ("kind", "SelfSubjectReview".into()),
        (
            "metadata",
            object([("creationTimestamp", k.cluster().now.rfc3339().into())]),
        ),
        ("status", object([("userInfo", info)])),
    ]);
    match format {
        Format::Default => {
            let mut lines = format!("ATTRIBUTE\tVALUE\nUsername\t{}\n", user.name);
            if !user.uid.is_empty() {
                lines.push_str(&format!("UID\t{}\n", user.uid));
            }
            if !user.groups.is_empty() {
                lines.push_str(&format!("Groups\t[{}]\n", user.groups.join(" ")));
            }
            k.out(table::align(&lines, 6, 3));
        }
        Format::Name => k.out("selfsubjectreview.authentication.k8s.io/\n"),
        format => k.print_object(&format, &review)?,
    }
    Ok(())
}
