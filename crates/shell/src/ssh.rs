//! `ssh NODE COMMAND…`: the tools of a node, or of the host outside the cluster.

use crate::etcdctl;
use crate::registry;
use crate::session::{Finished, Session};

/// Options of ssh that take a value, which is of no account here.
const WITH_VALUE: &[&str] = &["-i", "-l", "-o", "-p", "-F", "-J"];

pub(crate) fn run(session: &mut Session, argv: &[String], stdin: Vec<u8>) -> Finished {
    let mut words = argv.iter().skip(1).peekable();
    while let Some(option) = words.next_if(|w| w.starts_with('-')) {
        if WITH_VALUE.contains(&option.as_str()) {
            words.next();
        }
    }
    let Some(place) = words.next() else {
        return Finished::failed(255, "usage: ssh NODE COMMAND...\n".to_owned());
    };
    let node = place.rsplit('@').next().unwrap_or(place).to_owned();
    let command: Vec<String> = words.cloned().collect();
    if session.simulation.cluster.node_netns(&node).is_none() {
        return Finished::failed(
            255,
            format!("ssh: Could not resolve hostname {node}: Name or service not known\n"),
        );
    }
    if command.is_empty() {
        return Finished::failed(
            1,
            registry::not_yet(
                "ssh without a command",
                "give the command behind the node's name: ssh NODE ip addr",
            ) + "\n",
        );
    }
    // The far end's shell reads the words once more.
    let line = command.join(" ");
    let plain = |w: &String| {
        !w.is_empty()
            && !w.contains(|c: char| c.is_whitespace() || "'\"\\$`|&;<>()*?[]#~{}!".contains(c))
    };
    let words: Vec<String> = if command.iter().all(plain) {
        command
    } else {
        vec!["bash".to_owned(), "-c".to_owned(), line]
    };
    session.changing();
    if words.first().is_some_and(|w| w == "etcdctl") {
        return etcdctl::run(session, &node, &words);
    }
    match session.change(|cluster| cluster.run_on_node(&node, &words, &stdin)) {
        Ok(output) => Finished {
            output: output.pieces,
            status: output.status,
        },
        Err(why) => Finished::failed(255, format!("ssh: {why}\n")),
    }
}
