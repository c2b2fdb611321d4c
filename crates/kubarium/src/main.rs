//! The command kubarium.

mod kube_proxy;

use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((command, rest)) if command == "kube-proxy" => kube_proxy::run(rest, standard_input),
        _ => Err("usage: kubarium kube-proxy --node NODE < objects.yaml".to_owned()),
    };
    match result {
        Ok(text) => {
            // A reader that has gone away (`| head`) is no error worth a word.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("kubarium: {message}");
            ExitCode::FAILURE
        }
    }
}

/// All of standard input, as text.
fn standard_input() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| format!("standard input: {error}"))?;
    Ok(text)
}
