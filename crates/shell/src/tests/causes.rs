//! What led to what: from events, and from any change of an object.

use super::{prints, session};

/// What the last of some lines prints, each of its lines without time and numbers: component, action, object.
fn told(lines: &[&str]) -> Vec<String> {
    let mut session = session();
    let mut text = String::new();
    for line in lines {
        text = session.run(line).text();
    }
    let words = |line: &str| -> String {
        let words: Vec<&str> = line.split_whitespace().skip(2).take(4).collect();
        words.join(" ")
    };
    text.lines().map(words).collect()
}

const MAKE: &str = "kubectl create deployment web --image=nginx:1.27 --replicas=1";

#[test]
fn why_leads_from_an_object_back_to_the_command() {
    for (line, first) in [
        (
            "sim why deploy/web",
            "deployment-controller status deployments.apps default/web",
        ),
        (
            "sim why deployment/web",
            "deployment-controller status deployments.apps default/web",
        ),
    ] {
        let chain = told(&[MAKE, "sim settle", line]);
        assert!(
            chain.first().is_some_and(|l| l.starts_with(first)),
            "{line}: {chain:?}"
        );
        assert!(chain.len() > 1, "{line}: {chain:?}");
    }
    let chain = told(&[MAKE, "sim settle", "sim why deploy/web"]);
    let command = "kubectl command kubectl create";
    assert_eq!(chain.last().map(String::as_str), Some(command), "{chain:?}");
}

#[test]
fn effects_lead_from_an_object_to_all_that_it_set_off() {
    let effects = told(&[MAKE, "sim settle", "sim effects deploy/web"]);
    for part in [
        "replicaset-controller create pods",
        "kube-scheduler",
        "kubelet worker",
        "deployment-controller status",
    ] {
        assert!(
            effects.iter().any(|line| line.contains(part)),
            "{part}: {effects:?}"
        );
    }
    assert!(
        effects
            .iter()
            .all(|line| !line.starts_with("kubectl command"))
    );
}

#[test]
fn any_change_of_an_object_can_be_asked_about() {
    let mut session = session();
    session.run(MAKE);
    session.run("sim settle");
    let events = session.run("sim events deploy/web").text();
    let revision = |line: &str| -> Option<String> {
        let word = line.split_whitespace().find(|word| word.starts_with('@'))?;
        Some(word.trim_start_matches('@').to_owned())
    };
    let revisions: Vec<String> = events.lines().filter_map(revision).collect();
    assert!(revisions.len() > 2, "{events}");
    for revision in revisions {
        let why = session
            .run(&format!("sim why deploy/web --revision {revision}"))
            .text();
        assert!(
            why.lines()
                .next()
                .is_some_and(|l| l.contains(&format!("@{revision}"))),
            "{why}"
        );
        let effects = session
            .run(&format!("sim effects deploy/web --revision={revision}"))
            .text();
        assert!(
            effects.starts_with(why.lines().next().unwrap_or("?")),
            "{effects}"
        );
    }
}

#[test]
fn what_is_asked_wrongly_is_told() {
    for (line, why) in [
        (
            "sim why",
            "name one event by its number, or one object as KIND/NAME",
        ),
        (
            "sim why x",
            "\"x\" is no event's number; sim events lists them",
        ),
        ("sim effects 99999999", "event 99999999 has not happened"),
        ("sim why pod/none", "pods default/none was never written"),
        ("sim why node/worker-1 --revision 0", ""),
        ("sim why thing/x", "there is no kind \"thing\""),
        (
            "sim why node/worker-1 --at 3",
            "there is no option --at; use --revision or -n",
        ),
        ("sim events x", "\"x\" is no object; write KIND/NAME"),
    ] {
        if why.is_empty() {
            let output = session().run(line);
            assert!(
                output.text().contains("has no revision 0; it has "),
                "{}",
                output.text()
            );
            continue;
        }
        prints(&[line], &format!("sim: {why}\n"), 1);
    }
}
