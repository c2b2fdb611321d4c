//! Checks are made again only when something that they depend on has changed, and then quickly.

use std::time::{Duration, Instant};

use kubarium_lesson::{Attempt, Exercise, Lesson, Progress};

fn exercise() -> Exercise {
    let text = r#"
apiVersion: kubarium/v1
kind: Exercise
name: quick
title: Quick
text: Quick
manifests: |
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 29
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: nginx, image: nginx}]}
  ---
  apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {selector: {app: web}, ports: [{port: 80}]}
  ---
  apiVersion: v1
  kind: Pod
  metadata: {name: client}
  spec: {containers: [{name: main, image: curlimages/curl, command: [sleep, infinity]}]}
start: [sim settle]
tasks:
  - name: all
    title: All kinds of checks
    check:
      - assert: {apiVersion: v1, kind: ConfigMap, metadata: {name: never}}
      - assert: {apiVersion: v1, kind: Pod, metadata: {labels: {app: web}}, status: {phase: Running}}
        count: 29
      - error: {apiVersion: v1, kind: Pod, status: {phase: Failed}}
      - connect: {from: pod/client, to: http://web, server: "web-*", source: client, hops: [{action: dnat}]}
      - dns: {from: pod/client, name: web, answers: [service/web]}
      - command: {run: kubectl get pods, contains: [web-]}
      - event: {order: [{component: kube-scheduler}, {component: kubelet, action: cri}]}
      - condition: {object: deployment/web, type: Available, for: 1s}
      - rule: {chain: "KUBE-SVC-*", packets: ">= 0"}
      - quiz: {question: "?", answer: x}
    solution: [kubectl create configmap never]
"#;
    match Lesson::read(text) {
        Ok(Lesson::Exercise(exercise)) => *exercise,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_may_have_changed_is_checked_again() {
    let exercise = exercise();
    let mut session = exercise.setting.begin().unwrap();
    let mut attempt = Attempt::new(&exercise, &session, Progress::default());
    let mut looked = |session: &kubarium_shell::Session| attempt.look(&exercise, session).checks;
    assert_eq!(looked(&session), 10);
    assert_eq!(looked(&session), 0);
    // A command was given: no object has changed by it, but what packets meet may have.
    session.run("sim advance 30s");
    assert_eq!(looked(&session), 6);
    // Heartbeats are nothing new; a condition may hold for longer.
    session.simulation.run_until(
        session.simulation.cluster.now + Duration::from_secs(15),
        usize::MAX,
    );
    assert_eq!(looked(&session), 1);
    // Undone and done otherwise, all may be different.
    session.run("kubectl create configmap a");
    looked(&session);
    session.run("sim undo");
    assert_eq!(looked(&session), 10);
}

#[test]
fn a_look_at_thirty_pods_is_quick() {
    let exercise = exercise();
    let mut session = exercise.setting.begin().unwrap();
    let mut attempt = Attempt::new(&exercise, &session, Progress::default());
    attempt.look(&exercise, &session);
    session.run("kubectl create configmap a");
    let start = Instant::now();
    let seen = attempt.look(&exercise, &session);
    let took = start.elapsed();
    assert!(seen.checks > 5 && !seen.missing.is_empty());
    // Optimized it takes a few milliseconds; here it must only not be of another order.
    println!("{} checks in {took:?}", seen.checks);
    assert!(took < Duration::from_secs(2), "{took:?}");
}
