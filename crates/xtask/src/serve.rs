//! A small static server for the built page, on this machine only.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::Result;

/// How long a browser may take over one request or one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest request head that is read.
const HEAD: u64 = 16 * 1024;

/// Serves the folder until the program is stopped; prints the address.
pub(crate) fn forever(folder: &Path, port: u16) -> Result {
    let listener = listen(port)?;
    println!(
        "\nKubarium is at http://{}/  (stop it with Ctrl C)",
        listener.local_addr()?
    );
    answer_all(&listener, folder);
    Ok(())
}

/// Serves the folder from a thread of its own for as long as this program runs, on a port that is free; gives the port.
pub(crate) fn beside(folder: &'static Path) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || answer_all(&listener, folder));
    Ok(port)
}

/// Listens on the port, or where another program has it, on one of the next.
fn listen(port: u16) -> Result<TcpListener> {
    let mut ports = port..=port.saturating_add(20);
    let found = ports.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    found.ok_or_else(|| {
        format!("the ports from {port} on are taken; choose another with --port").into()
    })
}

fn answer_all(listener: &TcpListener, folder: &Path) {
    let policy = policy(folder);
    thread::scope(|scope| {
        for stream in listener.incoming().filter_map(|stream| stream.ok()) {
            let policy = &policy;
            // A browser that goes away in the middle is no one's error.
            scope.spawn(move || answer(&stream, folder, policy).ok());
        }
    });
}

fn answer(stream: &TcpStream, folder: &Path, policy: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(stream.take(HEAD));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut rest = String::new();
    while head.read_line(&mut rest)? > 2 {
        rest.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (status, kind, body) = match method {
        "GET" | "HEAD" => {
            match file(folder, target).and_then(|file| Some((kind(&file), fs::read(file).ok()?))) {
                Some((kind, body)) => ("200 OK", kind, body),
                None => (
                    "404 Not Found",
                    "text/plain; charset=utf-8",
                    b"There is no such file.\n".to_vec(),
                ),
            }
        }
        _ => (
            "405 Method Not Allowed",
            "text/plain; charset=utf-8",
            b"Only GET and HEAD.\n".to_vec(),
        ),
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nContent-Security-Policy: {policy}\r\n\
         X-Content-Type-Options: nosniff\r\nAccess-Control-Allow-Origin: *\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )?;
    if method == "GET" {
        out.write_all(&body)?;
    }
    out.flush()
}

/// The file in the folder that a request's target names; none where it would lie outside it.
fn file(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = if path.is_empty() || path.ends_with('/') {
        format!("{path}index.html")
    } else {
        path.to_owned()
    };
    // No file of the page has a name that needs decoding, so a `%` is a name that is not there.
    let inside = Path::new(&path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let whole = folder.join(&path);
    (inside && !path.contains(['\\', '%']) && whole.is_file()).then_some(whole)
}

fn kind(file: &Path) -> &'static str {
    match file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        "txt" | "yaml" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The page's own policy, from its meta tag, so that header and tag cannot differ. Other pages may put it into a frame: that is
/// what embedding is, and there is nothing in it to be stolen.
fn policy(folder: &Path) -> String {
    let page = fs::read_to_string(folder.join("index.html")).unwrap_or_default();
    let after = page
        .split_once("http-equiv=\"Content-Security-Policy\" content=\"")
        .map(|(_, after)| after);
    let policy = after
        .and_then(|after| after.split_once('"'))
        .map_or("default-src 'none'", |(policy, _)| policy);
    policy.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(target: &str) -> bool {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        file(folder, target).is_some()
    }

    #[test]
    fn files_of_the_folder_are_served_and_no_others() {
        assert!(served("/Cargo.toml"));
        assert!(served("/src/main.rs?query"));
        for target in [
            "/",
            "/src/",
            "/nothing",
            "/../xtask/Cargo.toml",
            "/src/../Cargo.toml",
            "/src/./../Cargo.toml",
        ] {
            assert!(!served(target), "{target}");
        }
        for target in [
            "Cargo.toml",
            "",
            "//Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "/..\\Cargo.toml",
            "http://x/Cargo.toml",
        ] {
            assert!(!served(target), "{target}");
        }
    }

    #[test]
    fn a_module_has_the_type_that_browsers_compile_while_it_comes() {
        assert_eq!(kind(Path::new("a_bg.wasm")), "application/wasm");
    }
}
