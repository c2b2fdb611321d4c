//! How long `kubectl apply` of a thousand small Deployments takes, and of one a thousand times:
//! reading, validating, merging, storing, printing. `cargo bench -p kubarium-shell --bench apply`

use divan::{Bencher, counter::ItemsCount};
use kubarium_cluster::{Config, Simulation};
use kubarium_shell::Session;

const APPLIES: usize = 1000;

fn main() {
    divan::main();
}

fn session() -> Session {
    Session::new(Simulation::new(Config::default()))
}

fn apply(session: &mut Session, name: &str, image: &str) {
    let line = format!(
        "kubectl apply -f - <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: c, image: '{image}', ports: [{{containerPort: 80}}]}}]}}
EOF"
    );
    let output = session.run(&line);
    assert_eq!(output.status, 0, "{}", output.text());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn of_many(bencher: Bencher) {
    bencher
        .counter(ItemsCount::new(APPLIES))
        .with_inputs(session)
        .bench_values(|mut session| {
            for i in 0..APPLIES {
                apply(&mut session, &format!("web-{i}"), "nginx:1.27");
            }
            session
        });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn of_one(bencher: Bencher) {
    bencher
        .counter(ItemsCount::new(APPLIES))
        .with_inputs(session)
        .bench_values(|mut session| {
            for i in 0..APPLIES {
                apply(&mut session, "web", &format!("nginx:1.{i}"));
            }
            session
        });
}
