//! The same seed and the same commands give the same event log, byte for byte, natively and in WebAssembly.
//!
//! This one file is a test of `kubarium-shell`, which runs natively, and of `kubarium-worker`, which runs in a browser.
//! `cargo xtask test` runs the first, which leaves what it saw in the file that `KUBARIUM_DETERMINISM_FILE` names, and
//! compiles the second with that text's digest in `KUBARIUM_DETERMINISM_DIGEST`.

use kubarium_cluster::{Config, Simulation};
use kubarium_shell::Session;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// What a person may do, and at its end all that happened since the cluster was made.
const SCRIPT: [&str; 11] = [
    concat!(
        "kubectl apply -f - <<'EOF'\n",
        include_str!("../web/examples/web.yaml"),
        "\nEOF"
    ),
    "sim settle",
    "kubectl scale deployment web --replicas=5",
    "kubectl delete pod $(kubectl get pods -l app=web -o jsonpath='{.items[0].metadata.name}') --wait=false",
    "sim settle",
    "kubectl get pods,services,endpointslices -A -o yaml",
    "sim trace outside $(kubectl get pods -l app=web -o jsonpath='{.items[1].status.podIP}'):80 -o json",
    "ssh worker-1 iptables-save",
    "ssh worker-2 ip addr",
    "sim events",
    "sim events -o json",
];

/// All that the script prints, each line of it marked with its place in the script.
fn play(seed: u64) -> String {
    let config = Config {
        seed,
        ..Config::default()
    };
    let mut session = Session::new(Simulation::new(config));
    let mut text = String::new();
    for line in SCRIPT {
        let output = session.run(line);
        assert_eq!(output.status, 0, "{line}: {}", output.text());
        text += &output.text();
    }
    text
}

/// FNV-1a, 64 bits: enough to tell two texts apart, and nothing that either platform brings along.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The first line in which two texts differ, in both.
#[cfg(not(target_arch = "wasm32"))]
fn difference<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut one, mut other) = (one.lines(), other.lines());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((a.unwrap_or("(the end)"), b.unwrap_or("(the end)"))),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_same_seed_and_commands_give_the_same_text() {
    let text = play(1);
    assert_eq!(difference(&text, &play(1)), None);
    assert!(
        difference(&text, &play(2)).is_some(),
        "the seed decides nothing, so this compares nothing"
    );
    if let Some(file) = std::env::var_os("KUBARIUM_DETERMINISM_FILE") {
        std::fs::write(&file, format!("{}\n{text}", digest(&text))).expect("a place for the text");
    }
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test::wasm_bindgen_test]
fn the_browser_gives_what_a_native_program_gives() {
    let text = play(1);
    match option_env!("KUBARIUM_DETERMINISM_DIGEST") {
        None => wasm_bindgen_test::console_log!(
            "skipped: no digest of the native run; `cargo xtask test` gives one"
        ),
        Some(native) => assert!(
            digest(&text) == native,
            "not what the native run printed (target/xtask/determinism.txt), but:\n{text}"
        ),
    }
}
