//! `ssh NODE COMMAND…`: the tools of a node, or of the host outside the cluster; without a command a shell there.

use kubarium_cluster::runtime::Output;

use crate::etcdctl;
use crate::registry;
use crate::session::{Finished, Session};
use crate::visit::Visit;

/// Options of ssh that take a value, which is of no account here.
const WITH_VALUE: &[&str] = &["-i", "-l", "-o", "-p", "-F", "-J"];

/// Where a command line goes, and the command for there.
fn destination(argv: &[String]) -> Option<(&str, &[String])> {
    let mut at = 1;
    while let Some(option) = argv.get(at).filter(|word| word.starts_with('-')) {
        at += 1 + usize::from(WITH_VALUE.contains(&option.as_str()));
    }
    let place = argv.get(at)?;
    let node = place.rsplit('@').next().unwrap_or(place);
    Some((node, argv.get(at + 1..).unwrap_or(&[])))
}

/// Whether a command line reads its standard input: the shell there does.
pub(crate) fn reads_stdin(argv: &[String]) -> bool {
    destination(argv).is_some_and(|(_, command)| command.is_empty())
}

pub(crate) fn run(session: &mut Session, argv: &[String], stdin: Vec<u8>) -> Finished {
    let Some((node, command)) = destination(argv) else {
        return Finished::failed(255, "usage: ssh NODE COMMAND...\n".to_owned());
    };
    if session.simulation.cluster.node_netns(node).is_none() {
        return Finished::failed(
            255,
            format!("ssh: Could not resolve hostname {node}: Name or service not known\n"),
        );
    }
    // The far end's shell reads the words once more.
    let plain = |w: &String| {
        !w.is_empty()
            && !w.contains(|c: char| c.is_whitespace() || "'\"\\$`|&;<>()*?[]#~{}!".contains(c))
    };
    let script = |text: String| vec!["bash".to_owned(), "-c".to_owned(), text];
    let (words, stdin) = match command {
        [] if stdin.is_empty() => return open(session, node),
        [] => (
            script(String::from_utf8_lossy(&stdin).into_owned()),
            Vec::new(),
        ),
        _ if command.iter().all(plain) => (command.to_vec(), stdin),
        _ => (script(command.join(" ")), stdin),
    };
    session.changing();
    if words.first().is_some_and(|w| w == "etcdctl") {
        return etcdctl::run(session, node, &words);
    }
    // Where somebody looks on, what it writes comes when it is written.
    let output = if session.attended {
        let begun = session.change(|cluster| cluster.begin_on_node(node, &words, &stdin));
        begun.map(|begun| match begun {
            Ok(remote) => {
                let host = Some(node.to_owned());
                session.visit(Visit { remote, host });
                Output::default()
            }
            Err(output) => output,
        })
    } else {
        session.change(|cluster| cluster.run_on_node(node, &words, &stdin))
    };
    match output {
        Ok(output) => Finished {
            output: output.pieces,
            status: output.status,
        },
        Err(why) => Finished::failed(255, format!("ssh: {why}\n")),
    }
}

/// A shell on a node that reads what is typed, where somebody looks on.
fn open(session: &mut Session, node: &str) -> Finished {
    if !session.attended {
        let how = "the page's terminal has it; here give the command behind the node's name: ssh NODE ip addr";
        return Finished::failed(1, registry::not_yet("ssh without a command", how) + "\n");
    }
    session.changing();
    if let Some(remote) = session.change(|cluster| cluster.open_shell_on(node)) {
        let host = Some(node.to_owned());
        session.visit(Visit { remote, host });
    }
    Finished::done(String::new())
}
