//! `kubectl config`

use kubarium_objects::{go, yaml};

use crate::kubectl::command::Command;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, switch, text};
use crate::kubectl::{Kubectl, table};

const OUTPUT: &[Flag] = &[
    switch(
        "no-headers",
        "When using the default or custom-column output format, don't print headers (default print headers).",
    ),
    text("output", "Output format.").short('o'),
];

pub(crate) const COMMAND: Command = Command {
    run: None,
    ..Command::new("config", "SUBCOMMAND [options]", "Modify kubeconfig files", |_| Ok(()))
}
.commands(&[
    Command::new("current-context", "[options]", "Display the current-context", current_context),
    Command::not_yet("delete-cluster", "Delete the specified cluster from the kubeconfig", ""),
    Command::new("delete-context", "NAME [options]", "Delete the specified context from the kubeconfig", delete_context),
    Command::not_yet("delete-user", "Delete the specified user from the kubeconfig", ""),
    Command::new("get-clusters", "[options]", "Display clusters defined in the kubeconfig", |k| names(k, crate::kubeconfig::CLUSTER)),
    Command::new("get-contexts", "[(-o|--output=)name)] [options]", "Describe one or many contexts", get_contexts).flags(&[OUTPUT]),
    Command::new("get-users", "[options]", "Display users defined in the kubeconfig", |k| names(k, crate::kubeconfig::USER)),
    Command::new("rename-context", "CONTEXT_NAME NEW_NAME [options]", "Rename a context from the kubeconfig file", rename_context),
    Command::not_yet("set", "Set an individual value in a kubeconfig file", "kubectl config set-context --current --namespace=NAME is there"),
    Command::not_yet("set-cluster", "Set a cluster entry in kubeconfig", "there is one cluster"),
    Command::new("set-context", "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace] [options]", "Set a context entry in kubeconfig", set_context)
        .flags(&[&[switch("current", "Modify the current context")]]),
    Command::not_yet("set-credentials", "Set a user entry in kubeconfig", "there is one user"),
    Command::not_yet("unset", "Unset an individual value in a kubeconfig file", ""),
    Command::new("use-context", "CONTEXT_NAME [options]", "Set the current-context in a kubeconfig file", use_context).aliases(&["use"]),
    Command::new("view", "[flags] [options]", "Display merged kubeconfig settings or a specified kubeconfig file", view)
        .flags(&[&[switch("flatten", "Flatten the resulting kubeconfig file into self-contained output"), switch("minify", "Remove all information not used by current-context from the output"), text("output", "Output format.").short('o'), switch("raw", "Display raw byte data and sensitive data")]]),
]);

fn current_context(k: &mut Kubectl) -> Result {
    let current = k.session.kubeconfig.current.clone();
    k.out(current + "\n");
    Ok(())
}

fn names(k: &mut Kubectl, name: &str) -> Result {
    k.out(format!("NAME\n{name}\n"));
    Ok(())
}

fn get_contexts(k: &mut Kubectl) -> Result {
    let wanted = k.flags.args.first().cloned();
    let config = &k.session.kubeconfig;
    if let Some(name) = wanted
        .as_ref()
        .filter(|n| !config.contexts.contains_key(*n))
    {
        return plain(format!("context {name} not found"));
    }
    let shown: Vec<_> = config
        .contexts
        .iter()
        .filter(|(name, _)| wanted.as_ref().is_none_or(|w| w == *name))
        .collect();
    if k.flags.str("output") == "name" {
        let text: String = shown.iter().map(|(name, _)| format!("{name}\n")).collect();
        k.out(text);
        return Ok(());
    }
    let mut lines = if k.flags.bool("no-headers") {
        String::new()
    } else {
        "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n".to_owned()
    };
    for (name, context) in shown {
        let mark = if *name == config.current { "*" } else { "" };
        lines.push_str(&format!(
            "{mark}\t{name}\t{}\t{}\t{}\n",
            context.cluster, context.user, context.namespace
        ));
    }
    k.out(table::align(&lines, 10, 3));
    Ok(())
}

fn set_context(k: &mut Kubectl) -> Result {
    let current = k.flags.bool("current");
    let name = match (&k.flags.args[..], current) {
        ([], true) => k.session.kubeconfig.current.clone(),
        ([name], false) => name.clone(),
        ([_], true) => return plain("you cannot specify both a context name and --current"),
        _ => return Err(k.usage(format!("Unexpected args: [{}]", k.flags.args.join(" ")))),
    };
    let known = k.session.kubeconfig.contexts.contains_key(&name);
    let value = |flag: &str| k.flags.changed(flag).then(|| k.flags.str(flag).to_owned());
    let (cluster, user, namespace) = (value("cluster"), value("user"), value("namespace"));
    let context = k
        .session
        .kubeconfig
        .contexts
        .entry(name.clone())
        .or_default();
    for (field, given) in [
        (&mut context.cluster, cluster),
        (&mut context.user, user),
        (&mut context.namespace, namespace),
    ] {
        if let Some(given) = given {
            *field = given;
        }
    }
    k.out(format!(
        "Context {} {}.\n",
        go::quote(&name),
        if known { "modified" } else { "created" }
    ));
    Ok(())
}

fn use_context(k: &mut Kubectl) -> Result {
    let [name] = &k.flags.args[..] else {
        return Err(k.usage(format!("Unexpected args: [{}]", k.flags.args.join(" "))));
    };
    let name = name.clone();
    if !k.session.kubeconfig.contexts.contains_key(&name) {
        return plain(format!(
            "no context exists with the name: {}",
            go::quote(&name)
        ));
    }
    k.session.kubeconfig.current = name.clone();
    k.out(format!("Switched to context {}.\n", go::quote(&name)));
    Ok(())
}

fn delete_context(k: &mut Kubectl) -> Result {
    let [name] = &k.flags.args[..] else {
        return Err(k.usage("you must specify a context to delete"));
    };
    let name = name.clone();
    let file = "/root/.kube/config";
    if k.session.kubeconfig.contexts.remove(&name).is_none() {
        return plain(format!("cannot delete context {name}, not in {file}"));
    }
    if k.session.kubeconfig.current == name {
        k.err("warning: this removed your active context, use \"kubectl config use-context\" to select a different one\n");
    }
    k.out(format!("deleted context {name} from {file}\n"));
    Ok(())
}

fn rename_context(k: &mut Kubectl) -> Result {
    let [old, new] = &k.flags.args[..] else {
        return Err(k.usage(format!("Unexpected args: [{}]", k.flags.args.join(" "))));
    };
    let (old, new) = (old.clone(), new.clone());
    let config = &mut k.session.kubeconfig;
    if config.contexts.contains_key(&new) {
        return plain(format!(
            "cannot rename the context {}, the context {} already exists in /root/.kube/config",
            go::quote(&old),
            go::quote(&new)
        ));
    }
    let Some(context) = config.contexts.remove(&old) else {
        return plain(format!(
            "cannot rename the context {}, it's not in /root/.kube/config",
            go::quote(&old)
        ));
    };
    config.contexts.insert(new.clone(), context);
    if config.current == old {
        config.current = new.clone();
    }
    k.out(format!(
        "Context {} renamed to {}.\n",
        go::quote(&old),
        go::quote(&new)
    ));
    Ok(())
}

fn view(k: &mut Kubectl) -> Result {
    let view = k.session.kubeconfig.view();
    match k.flags.str("output") {
        "" | "yaml" => k.out(yaml::to_yaml(&view)),
        _ => {
            let format = k.format()?;
            k.print_object(&format, &view)?;
        }
    }
    Ok(())
}
