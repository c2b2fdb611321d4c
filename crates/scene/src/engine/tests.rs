//! What the engine answers.

use super::*;
use crate::map;
use kubarium_snapshot::Map;
use kubarium_snapshot::inside::{Cell, Inside, TableKind};
use kubarium_snapshot::inspect::Relative;

const WEB: &str = include_str!("../../../../web/examples/web.yaml");

pub(super) fn engine() -> Engine {
    Engine::new(Config::default())
}

pub(super) fn run(engine: &mut Engine, line: &str) -> Output {
    match engine.answer(Request::Command(line.to_owned())) {
        Reply::Output(output) => *output,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_updates_together_make_the_map() {
    let mut engine = engine();
    let mut seen = Map::default();
    let mut follow = |engine: &mut Engine| {
        while let Some(update) = engine.update() {
            if let Some(change) = update.map {
                change.apply(&mut seen);
            }
        }
        assert!(
            seen == engine.drawn.map,
            "the map that is seen is not the one that is there"
        );
        let whole = map::draw(engine.cluster(), &engine.drawn.layout);
        // A lease raises the revision without an event.
        let differs = MapChange {
            office: None,
            ..MapChange::between(&seen, &whole)
        };
        assert!(differs.is_empty(), "not drawn anew: {differs:?}");
    };
    follow(&mut engine);
    let before = u32::try_from(engine.cluster().log.len()).unwrap_or_default();
    engine.answer(Request::Apply {
        file: "web.yaml".to_owned(),
        text: WEB.to_owned(),
    });
    for _ in 0..40 {
        engine.advance(Duration::from_millis(200), || true);
        follow(&mut engine);
    }
    for line in [
        "kubectl delete pod -l app=web --wait=false",
        "kubectl scale deployment web --replicas=6",
        "kubectl cordon worker-1",
        "sim fault node worker-2",
        "sim fault mend",
        "sim node add worker-3",
    ] {
        assert_eq!(run(&mut engine, line).status, Some(0), "{line}");
        for _ in 0..40 {
            engine.advance(Duration::from_millis(500), || true);
            follow(&mut engine);
        }
    }
    for line in [
        "kubectl scale deployment web --replicas=30",
        "sim settle",
        "kubectl scale deployment web --replicas=2",
        "sim settle",
        "kubectl delete service web",
    ] {
        assert_eq!(run(&mut engine, line).status, Some(0), "{line}");
        follow(&mut engine);
    }
    engine.answer(Request::GoTo(before));
    follow(&mut engine);
    assert!(engine.drawn().iter().all(|pod| !pod.contains("web-")));
}

#[test]
fn time_goes_back_event_by_event_over_a_command_too() {
    let mut engine = engine();
    run(&mut engine, "kubectl create deployment web --image=nginx");
    engine.advance(Duration::from_millis(40), || true);
    let mut events = engine.cluster().log.len();
    let command = |engine: &Engine| {
        let mut all = engine.cluster().log.iter();
        all.any(|e| e.text.contains("create deployment"))
    };
    while command(&engine) {
        engine.answer(Request::StepBack);
        let now = engine.cluster().log.len();
        assert!(now < events, "back from {events} events to {now}");
        events = now;
    }
    engine.answer(Request::StepTime);
    assert!(!engine.is_running());
}

#[test]
fn a_command_that_waits_goes_on_with_time_until_it_ends_or_is_ended() {
    let mut engine = engine();
    run(&mut engine, "kubectl create deployment web --image=nginx");
    let waiting = run(
        &mut engine,
        "kubectl rollout status deployment web; echo after",
    );
    assert_eq!(waiting.status, None, "{}", waiting.text);
    let mut said = message::Going::default();
    for _ in 0..200 {
        engine.advance(Duration::from_millis(200), || true);
        if let Some(going) = told(&mut engine) {
            said.text += &going.text;
            said.status = going.status;
        }
    }
    assert_eq!(said.status, Some(0));
    assert!(
        said.text.ends_with("successfully rolled out\nafter\n"),
        "{}",
        said.text
    );
    assert_eq!(run(&mut engine, "kubectl get pods -w").status, None);
    engine.answer(Request::Interrupt(String::new()));
    let ended = told(&mut engine);
    assert_eq!(ended.and_then(|going| going.status), Some(130));
    assert_eq!(run(&mut engine, "echo 'open").status, Some(2));
}

#[test]
fn a_long_run_is_done_in_pieces_and_can_be_stopped() {
    let mut engine = engine();
    engine.answer(Request::Run(false));
    engine.update();
    let began = run(&mut engine, "sim advance 48h; echo after");
    assert_eq!(began.status, None, "{}", began.text);
    engine.advance(Duration::ZERO, || false);
    let update = engine.update().expect("how far it is");
    assert!(
        update
            .work
            .is_some_and(|work| (1..1000).contains(&work.share))
    );
    engine.answer(Request::Interrupt(String::new()));
    let mut update = engine.update().expect("that it has ended");
    assert_eq!(update.work, None);
    let ended = update.terminals.pop();
    assert_eq!(ended.and_then(|going| going.status), Some(130));
    assert!(engine.cluster().now < Time::default() + Duration::from_secs(47 * 3600));
    let short = run(&mut engine, "sim advance 1s; echo after");
    assert_eq!((short.text.as_str(), short.status), ("after\n", Some(0)));
}

#[test]
fn the_past_runs_as_it_ran_until_something_is_changed() {
    let mut engine = engine();
    run(&mut engine, "kubectl create deployment one --image=nginx");
    engine.advance(Duration::from_secs(5), || true);
    run(&mut engine, "kubectl create deployment two --image=nginx");
    engine.advance(Duration::from_secs(5), || true);
    run(&mut engine, "kubectl delete deployment one --wait=false");
    engine.advance(Duration::from_secs(40), || true);
    let lines = |engine: &Engine| {
        let log = &engine.cluster().log;
        log.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = lines(&engine);
    engine.answer(Request::GoToTime(0));
    let past = engine.update().and_then(|update| update.past);
    assert_eq!(past.map(|past| past.last as usize), Some(all.len() - 1));
    assert!(lines(&engine).len() < all.len() - 40);
    // Event by event, and then by time.
    for _ in 0..20 {
        engine.answer(Request::StepTime);
        let now = lines(&engine);
        assert_eq!(now[..], all[..now.len()], "a step");
    }
    engine.answer(Request::Run(true));
    for _ in 0..200 {
        engine.advance(Duration::from_millis(500), || true);
        let now = lines(&engine);
        let same = now.len().min(all.len());
        assert_eq!(now[..same], all[..same], "while it runs");
    }
    assert!(lines(&engine).len() >= all.len(), "it comes to the present");
    assert_eq!(engine.past(), None);
    // What is changed in the past begins a branch; the first stays as it was.
    let two = all
        .iter()
        .position(|line| line.contains("create deployment two"));
    let before = u32::try_from(two.expect("it was given") - 1).unwrap_or_default();
    engine.answer(Request::GoTo(before));
    run(&mut engine, "kubectl create deployment three --image=nginx");
    let Reply::Times(times) = engine.answer(Request::Times) else {
        panic!("no times")
    };
    let times = times.open();
    let lines: Vec<_> = times
        .branches
        .iter()
        .map(|b| (b.number, b.left, b.current))
        .collect();
    assert_eq!(lines, [(1, None, false), (2, Some(1), true)]);
    let texts: Vec<_> = times.branches[1]
        .marks
        .iter()
        .map(|m| m.text.as_str())
        .collect();
    assert_eq!(texts, ["kubectl create deployment three --image=nginx"]);
    assert!(
        times
            .causes
            .last()
            .is_some_and(|cause| cause.what.contains("three"))
    );
    run(&mut engine, "sim branch 1");
    assert!(engine.cluster().log.len() >= all.len());
}

#[test]
fn the_timeline_offers_what_has_set_something_off() {
    let mut engine = engine();
    for line in [
        "kubectl run x --image=nginx",
        "kubectl get pods",
        "sim settle",
    ] {
        run(&mut engine, line);
    }
    let asked = Request::Timeline {
        root: None,
        most: 10,
    };
    let Reply::Timeline(timeline) = engine.answer(asked) else {
        panic!("no timeline")
    };
    let timeline = timeline.open();
    let commands: Vec<&str> = timeline.commands.iter().map(|(_, text)| &**text).collect();
    assert_eq!(commands.last(), Some(&"kubectl run x --image=nginx"));
}

#[test]
fn a_fault_is_named_once_among_the_causes() {
    let mut engine = engine();
    run(&mut engine, "sim fault stop kube-scheduler");
    let Reply::Times(times) = engine.answer(Request::Times) else {
        panic!("no times")
    };
    let times = times.open();
    let last = &times.causes[0];
    assert_eq!(
        (&*last.who, &*last.what),
        ("", "fault kube-scheduler is stopped")
    );
}

#[test]
fn an_image_is_as_wanted_whatever_the_runtime_calls_it() {
    let mut engine = engine();
    let images = ["nginx", "nginx:1.29", "curlimages/curl"];
    for (n, image) in images.iter().enumerate() {
        run(&mut engine, &format!("kubectl run x{n} --image={image}"));
    }
    run(&mut engine, "sim advance 20s");
    for (n, image) in images.iter().enumerate() {
        let asked = Request::Inspect(format!("pod:default/x{n}"));
        let Reply::Card(card) = engine.answer(asked) else {
            panic!("no card of x{n}")
        };
        let Some(card) = card.open() else {
            panic!("no card of x{n}")
        };
        let aim = card
            .aims
            .iter()
            .find(|aim| aim.of == format!("image of x{n}"));
        assert_eq!(aim.map(|aim| &*aim.is), Some(*image));
    }
}

#[test]
fn what_is_broken_is_said_with_its_marks_and_each_deed_can_be_done() {
    let mut engine = engine();
    let mut tried = 0;
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx; sim settle",
    );
    engine.update();
    let pod = engine.drawn().into_iter().find(|id| id.contains("/web-"));
    let pod = pod.expect("a pod").to_owned();
    let container = pod.replace("pod:", "container:") + "/nginx";
    let cable = pod.replace("pod:", "device:") + "/eth0";
    for id in [
        &cable,
        &container,
        &pod,
        "component:kube-apiserver",
        "component:etcd",
        "component:kube-scheduler",
        "component:kube-controller-manager",
        "component:kubelet worker-1",
        "component:containerd worker-1",
        "component:kube-proxy worker-1",
        "node:worker-1",
        "device:worker-1/eth0",
        "host:outside",
        "segment:1",
        "rule:worker-1/nat/KUBE-SERVICES/1",
    ] {
        let Reply::Card(card) = engine.answer(Request::Inspect(id.to_owned())) else {
            panic!("{id}: no card")
        };
        let Some(card) = card.open() else {
            panic!("{id}: no card")
        };
        assert!(!card.faults.is_empty(), "{id}");
        for deed in card.faults {
            tried += 1;
            let output = run(&mut engine, &deed.command);
            assert_eq!(output.status, Some(0), "{}: {}", deed.command, output.text);
            if !output.text.starts_with("fault ") {
                run(&mut engine, "sim advance 5m");
                while engine.session.hurries().is_some() {
                    engine.advance(Duration::ZERO, || true);
                }
                continue;
            }
            let update = engine.update().expect("what is broken");
            let broken = update.broken.expect("what is broken");
            let marked = broken.iter().all(|broken| !broken.marks.is_empty());
            assert!(marked, "{}: {broken:?}", deed.command);
            assert_eq!(run(&mut engine, &broken[0].mend).status, Some(0));
            let update = engine.update().expect("that it is mended");
            assert_eq!(update.broken, Some(Vec::new()), "{}", deed.command);
        }
    }
    assert!(tried > 30, "{tried}");
}

/// What the next update says of a terminal.
fn told(engine: &mut Engine) -> Option<message::Going> {
    engine.update()?.terminals.pop()
}

#[test]
fn a_terminal_follows_while_another_is_typed_in() {
    let mut engine = engine();
    let typed = |engine: &mut Engine, place: &str, line: &str| {
        let (place, line) = (place.to_owned(), line.to_owned());
        match engine.answer(Request::CommandAt { place, line }) {
            Reply::Output(output) => *output,
            other => panic!("{other:?}"),
        }
    };
    let opened = typed(&mut engine, "node:worker-1", "");
    let prompt = "root@worker-1:~# ";
    assert_eq!(
        (
            opened.command.as_str(),
            opened.status,
            opened.prompt.as_str()
        ),
        ("ssh worker-1", Some(0), prompt)
    );
    let slow = typed(&mut engine, "node:worker-1#2", "sleep 2; echo woke");
    assert_eq!(slow.status, None, "{}", slow.text);
    assert_eq!(
        typed(&mut engine, "node:worker-1", "echo $((1+1))").text,
        "2\n"
    );
    assert_eq!(typed(&mut engine, "", "echo here").text, "here\n");
    let mut text = slow.text;
    for _ in 0..40 {
        engine.advance(Duration::from_millis(200), || true);
        while let Some(going) = told(&mut engine) {
            assert_eq!(going.place, "node:worker-1#2");
            text += &going.text;
        }
    }
    assert!(text.contains("woke"), "{text}");
    // A click elsewhere gives the workstation a command: a shell that was open there is left.
    assert_eq!(
        typed(&mut engine, "", "ssh worker-2").prompt,
        "root@worker-2:~# "
    );
    let clicked = run(&mut engine, "kubectl get nodes -o name");
    assert!(clicked.text.contains("node/worker-1") && clicked.prompt.is_empty());
}

#[test]
fn a_command_is_given_to_a_node_or_a_pod() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl run curl -n kube-system --image=curlimages/curl --command -- sleep infinity; sim settle",
    );
    let mut at = |place: &str, line: &str| {
        let asked = Request::CommandAt {
            place: place.to_owned(),
            line: line.to_owned(),
        };
        match engine.answer(asked) {
            Reply::Output(output) => output.text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        at("node:worker-1", "hostname; echo 'a  b' | wc -w"),
        "worker-1\n2\n"
    );
    assert_eq!(
        at("pod:kube-system/curl", "hostname; echo \"$((1+1))\""),
        "curl\n2\n"
    );
    assert!(at("node:nowhere", "true").contains("Could not resolve"));
}

#[test]
fn what_is_looked_for_is_found_by_words_selectors_and_kinds() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx --replicas=2; kubectl create service clusterip web --tcp=80; kubectl run one --image=busybox -l tier=x; sim settle",
    );
    let mut check = |text: &str, namespace: &str, kind: &str, expect: (usize, usize)| {
        let asked = Request::Find {
            text: text.to_owned(),
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
        };
        let Reply::Found(found) = engine.answer(asked) else {
            panic!("{text}")
        };
        assert_eq!(
            (found.pods, found.ids.len()),
            expect,
            "{text} {namespace} {kind} {found:?}"
        );
    };
    check("web-", "", "", (2, 2));
    check("app=web", "", "", (2, 3));
    check("app = web", "", "pods", (2, 2));
    check("app in (web,other),!tier", "", "pods", (2, 2));
    check("app!=web,tier", "", "", (1, 1));
    check("NGINX", "", "", (2, 2));
    check("", "kube-system", "pods", (2, 2));
    check("", "", "deployments.apps", (4, 4));
    check("", "default", "services", (0, 2));
    check("nothing-at-all", "", "", (0, 0));
}

#[test]
fn a_namespace_is_shown_from_inside_with_whom_each_address_belongs_to() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx; kubectl expose deployment web --port=80; kubectl run curl --image=curlimages/curl --command -- sleep infinity; sim settle; kubectl exec curl -- curl -s web",
    );
    engine.update();
    let pod = engine.drawn().into_iter().find(|id| id.contains("/web-"));
    let pod = pod.expect("a pod").to_owned();
    let mut look = |id: &str| match engine.answer(Request::Inside(id.to_owned())) {
        Reply::Inside(inside) => inside.open().expect("a namespace"),
        other => panic!("{id}: {other:?}"),
    };
    let cells = |inside: &Inside, kind: TableKind| {
        let table = inside.tables.iter().find(|table| table.kind == kind);
        let rows = table.map(|table| table.rows.clone()).unwrap_or_default();
        let cells = rows.iter().flat_map(|row| row.cells.clone());
        cells.collect::<Vec<_>>()
    };
    let has = |cells: &[Cell], text: &str, to: &str| {
        cells
            .iter()
            .any(|cell| cell.text.contains(text) && cell.to.starts_with(to))
    };
    let inside = look(&pod);
    assert!(has(&cells(&inside, TableKind::Links), "eth0", ""));
    assert!(has(
        &cells(&inside, TableKind::Routes),
        "10.42.",
        "node:worker-"
    ));
    assert!(has(
        &cells(&inside, TableKind::Sockets),
        "nginx",
        "container:default/web-"
    ));
    assert!(has(
        &cells(&inside, TableKind::Processes),
        "nginx",
        "container:"
    ));
    let nodes = ["node:worker-1", "node:worker-2"].map(&mut look);
    let all = |kind| {
        nodes
            .iter()
            .flat_map(|inside| cells(inside, kind))
            .collect::<Vec<_>>()
    };
    assert!(has(
        &all(TableKind::Conntrack),
        "10.43.",
        "service:default/web"
    ));
    assert!(has(
        &all(TableKind::Conntrack),
        "10.42.",
        "pod:default/web-"
    ));
    assert!(has(&all(TableKind::Fdb), "", "pod:default/web-"));
    assert!(has(&all(TableKind::Fdb), "", "node:"));
    assert!(has(&all(TableKind::Neighbours), "", "node:control-plane"));
    assert!(has(&all(TableKind::Chains), "nat", ""));
    assert!(has(
        &all(TableKind::Sockets),
        "kubelet",
        "component:kubelet worker-1"
    ));
    assert!(matches!(
        engine.answer(Request::Inside("pod:a/b".to_owned())),
        Reply::Inside(none) if none.open().is_none()
    ));
}

/// A relative as a line: as far in as it stands deep.
fn in_the_tree(relative: &Relative) -> String {
    match relative {
        Relative::Object { kind, depth, .. } => format!("{:depth$}{kind}", ""),
        Relative::More {
            kind,
            count,
            command,
            depth,
        } => format!("{:depth$}{count} {kind}: {command}", ""),
    }
}

#[test]
fn of_very_many_dependents_some_are_told_and_the_one_that_is_meant() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx --replicas=30; sim settle",
    );
    let pods = engine.cluster().etcd.list("pods", Some("default"));
    let names = pods.map(|(key, _)| key.name.to_string());
    let last = names.filter(|name| name.starts_with("web-")).max().unwrap();
    let last = format!("pod:default/{last}");
    let Reply::Card(card) = engine.answer(Request::Inspect(last.clone())) else {
        panic!("no card")
    };
    let family = card.open().unwrap().family;
    let is_last =
        |r: &&Relative| matches!(r, Relative::Object { name, .. } if last.ends_with(name));
    assert_eq!(family.iter().filter(is_last).count(), 1);
    let told: Vec<_> = family.iter().map(in_the_tree).collect();
    assert_eq!(told.len(), 2 + 9 + 1, "{told:?}");
    let rest = told.last().unwrap();
    assert!(
        rest.starts_with("  21 Pod: kubectl get pods -l app=web,pod-template-hash="),
        "{rest}"
    );
}

#[test]
fn an_object_is_told_with_its_family_its_aims_and_its_versions() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx --replicas=2; sim settle",
    );
    let id = "object:deployments.apps/default/web";
    let Reply::Card(card) = engine.answer(Request::Inspect(id.to_owned())) else {
        panic!("no card")
    };
    let Some(card) = card.open() else {
        panic!("no card")
    };
    let family: Vec<_> = card.family.iter().map(in_the_tree).collect();
    assert_eq!(family, ["Deployment", " ReplicaSet", "  Pod", "  Pod"]);
    assert!(
        card.aims
            .iter()
            .all(|aim| aim.wanted == "2" && aim.is == "2"),
        "{:?}",
        card.aims
    );
    let Reply::History(versions) = engine.answer(Request::History(id.to_owned())) else {
        panic!("no history")
    };
    let versions = versions.open();
    assert_eq!(versions.last().map(|v| v.verb.as_str()), Some("create"));
    let ready = versions.iter().flat_map(|v| &v.fields);
    assert!(
        ready
            .into_iter()
            .any(|f| f.path == "status.readyReplicas" && f.after == "2")
    );
    let events = engine.cluster().log.len();
    let Reply::Output(look) = engine.answer(Request::Look(card.describe.clone())) else {
        panic!("no look")
    };
    assert!(look.text.starts_with("Name:"), "{}", look.text);
    assert_eq!(
        engine.cluster().log.len(),
        events,
        "a look leaves nothing behind"
    );
}

#[test]
fn objects_stand_below_their_owners() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl create deployment web --image=nginx; sim settle",
    );
    let asked = engine.answer(Request::Objects {
        resource: String::new(),
        namespace: "default".to_owned(),
        find: "web".to_owned(),
        tree: true,
        most: 100,
    });
    let Reply::Objects(table) = asked else {
        panic!("{asked:?}")
    };
    let table = table.open();
    let rows: Vec<_> = (table.rows.iter())
        .map(|row| (row.depth, row.cells[0].as_str()))
        .collect();
    assert_eq!(rows, [(0, "Deployment"), (1, "ReplicaSet"), (2, "Pod")]);
    assert!(table.namespaces.contains(&"kube-system".to_owned()));
}

#[test]
fn nothing_new_is_not_said() {
    let mut engine = engine();
    assert!(engine.update().is_some_and(|u| u.map.is_some()));
    assert_eq!(engine.update(), None);
    engine.answer(Request::Run(false));
    let update = engine.update().expect("that it is paused");
    assert!(!update.running && update.map.is_none());
    engine.advance(Duration::from_secs(5), || true);
    assert_eq!(engine.update(), None);
}

#[test]
fn a_packet_that_is_sent_is_followed_over_the_map() {
    let mut engine = engine();
    run(
        &mut engine,
        "kubectl run curl --image=curlimages/curl --command -- sleep infinity",
    );
    run(&mut engine, "sim settle");
    let output = run(&mut engine, "sim trace pod/curl kube-dns.kube-system:53");
    let lane = output.lane.expect("a lane");
    let update = engine.update().expect("its ways");
    let (id, ways) = update.ways.first().expect("its ways");
    assert_eq!((*id, ways.len()), (lane.id, lane.steps.len()));
    assert!(ways.iter().any(|way| way.len() > 2), "it goes along lines");
    let asked = engine.answer(Request::Rules {
        node: "worker-1".to_owned(),
        table: "nat".to_owned(),
        lane: Some(lane.id),
        find: String::new(),
    });
    let Reply::Rules(book) = asked else {
        panic!("{asked:?}")
    };
    let book = book.open();
    assert!(!book.chains.is_empty());
}

#[test]
fn whatever_is_asked_is_answered() {
    let mut engine = engine();
    for id in [
        "",
        "pod:",
        "pod:default/none",
        "device:x/y",
        "device:worker-1/cbr0",
        "object:a/b",
        "host:outside",
        "component:nothing",
        "component:kubelet nowhere",
        "container:default/none/x",
        "device:default/none/eth0",
        "rule:worker-1/nat/X/0",
        "rule:nowhere/nat/X/1",
    ] {
        let found = matches!(
            engine.answer(Request::Inspect(id.to_owned())),
            Reply::Card(card) if card.open().is_some()
        );
        assert_eq!(
            found,
            id.starts_with("device:w") || id.starts_with("host"),
            "{id}"
        );
    }
    engine.answer(Request::GoTo(u32::MAX));
    engine.answer(Request::GoToTime(u64::MAX));
    engine.answer(Request::Times);
    engine.answer(Request::Speed(f64::NAN));
    engine.answer(Request::Rules {
        node: "nowhere".to_owned(),
        table: "nat".to_owned(),
        lane: None,
        find: "x".to_owned(),
    });
    engine.answer(Request::Timeline {
        root: Some(u32::MAX),
        most: usize::MAX,
    });
    for (resource, find) in [("", "pod"), ("pods", ""), ("nothing", "")] {
        engine.answer(Request::Objects {
            resource: resource.to_owned(),
            namespace: find.to_owned(),
            find: find.to_owned(),
            tree: true,
            most: 1,
        });
    }
    for id in ["", "pod:default/none", "node:worker-1"] {
        engine.answer(Request::History(id.to_owned()));
    }
    engine.answer(Request::Interrupt("node:none".to_owned()));
    engine.answer(Request::CloseTerminal("node:none".to_owned()));
    for line in ["", " ", "kubectl get po", "ssh ", "größe '"] {
        engine.answer(Request::Complete {
            place: "node:worker-1".to_owned(),
            line: line.to_owned(),
        });
    }
    engine.answer(Request::Look("kubectl get nothing".to_owned()));
    engine.answer(Request::StepTime);
    engine.answer(Request::StepBack);
    engine.advance(Duration::from_secs(1), || false);
}
