//! `ssh NODE COMMAND…`: the tools of a node, or of the host `outside`.

use kubarium_posix::Stream;

use crate::session::{Finished, Session};

pub(crate) fn run(session: &mut Session, argv: &[String], stdin: Vec<u8>) -> Finished {
    let (node, words) = match argv {
        [_, node, words @ ..] if !words.is_empty() => (node, words),
        [_, _] => {
            let why = "ssh: a shell on a node needs a terminal of its own; name a command: ssh worker-1 ip addr\n";
            return Finished::failed(1, why.to_owned());
        }
        _ => return Finished::failed(255, "usage: ssh NODE COMMAND...\n".to_owned()),
    };
    session.changing();
    // What is sent is one text, which the shell at the other end reads: quotes inside it count there.
    let script = match words {
        [script] if script.contains(char::is_whitespace) => {
            vec!["sh".to_owned(), "-c".to_owned(), script.clone()]
        }
        words => words.to_vec(),
    };
    match session
        .simulation
        .cluster
        .run_on_node(node, &script, &stdin)
    {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Finished {
                output: vec![
                    (Stream::Out, text(&output.stdout)),
                    (Stream::Err, text(&output.stderr)),
                ],
                status: output.status,
            }
        }
        Err(_) => {
            let why =
                format!("ssh: Could not resolve hostname {node}: Name or service not known\n");
            Finished::failed(255, why)
        }
    }
}
