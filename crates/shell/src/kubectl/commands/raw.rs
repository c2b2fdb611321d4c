//! `--raw`: requests to the API server by their address

use kubarium_cluster::Time;
use kubarium_cluster::api::rest::{Answer, Request, Stream, VERSION, as_status};
use kubarium_objects::{Value, go};

use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::follow::Follow;
use crate::kubectl::request::PERSON;

/// A request with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Post,
    Put,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// The first `%` in a path that no two hexadecimal digits follow, with what does (Go's
/// `url.unescape`).
fn broken_escape(address: &str) -> Option<&str> {
    let path = address.split(['?', '#']).next().unwrap_or("");
    let hex = |b: &u8| b.is_ascii_hexdigit();
    path.match_indices('%').find_map(|(at, _)| {
        let escape = path.get(at..at + 3).unwrap_or(&path[at..]);
        let digits = escape.as_bytes().iter().skip(1);
        (digits.clone().count() != 2 || !digits.clone().all(hex)).then_some(escape)
    })
}

/// The address that `--raw` gives.
fn address(k: &Kubectl) -> Result<String> {
    let raw = k.flags.str("raw").to_owned();
    if let Some(escape) = broken_escape(&raw) {
        return plain(format!(
            "--raw must be a valid URL path: parse {}: invalid URL escape {}",
            go::quote(&raw),
            go::quote(escape)
        ));
    }
    if raw.starts_with('/') {
        return Ok(raw);
    }
    plain(format!(
        "--raw must be a valid URL path: parse {}: invalid URI for request",
        go::quote(&raw)
    ))
}

fn ask(k: &mut Kubectl, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
    let user = k.user()?;
    let manager = k.manager();
    let request = Request {
        method,
        path,
        content_type: "application/json",
        agent: &manager,
        body,
        ..Request::default()
    };
    let answer = k.change(|cluster| cluster.answer_as(&PERSON, &user, &request))?;
    match as_status(&answer) {
        Some(status) => Err(status.into()),
        None => Ok(answer),
    }
}

/// `kubectl get --raw`.
pub(super) fn run(k: &mut Kubectl) -> Result {
    if !k.flags.args.is_empty() {
        return plain("arguments may not be passed when --raw is specified");
    }
    let filters = k.flags.bool("watch") || k.flags.bool("watch-only");
    if filters || !k.flags.str("selector").is_empty() {
        return plain(
            "--raw may not be specified with other flags that filter the server request or alter the output",
        );
    }
    if !k.flags.str("output").is_empty() {
        return plain("--raw and --output are mutually exclusive");
    }
    let path = address(k)?;
    let answer = ask(k, "GET", &path, &[])?;
    k.out(answer.body);
    if let Some(stream) = answer.stream {
        k.follow = Some(Follow::Raw(Box::new(Reading(*stream))));
    }
    Ok(())
}

/// An answer that goes on: a watch, a log.
#[derive(Clone)]
pub(crate) struct Reading(Stream);

impl Reading {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        let text = self.0.take(k.cluster());
        k.out(text);
        let cluster = k.cluster();
        let over = self.0.is_over(cluster) || cluster.is_api_server_down();
        Ok((!over).then(|| self.0.next_look(cluster)))
    }
}

/// `kubectl create --raw`, `replace --raw` and `delete --raw`.
pub(crate) fn send(k: &mut Kubectl, method: Method) -> Result {
    let files = k.flags.list("filename").to_vec();
    if files.is_empty() && method != Method::Delete {
        return plain("must specify one of -f and -k");
    }
    if files.len() > 1 {
        return plain("--raw can only use a single local file or stdin");
    }
    if files
        .iter()
        .any(|f| f.starts_with("http://") || f.starts_with("https://"))
    {
        return plain("--raw cannot read from a url");
    }
    if k.flags.bool("recursive") {
        return plain("--raw and --recursive are mutually exclusive");
    }
    if k.flags.changed("output") {
        return plain("--raw and --output are mutually exclusive");
    }
    let path = address(k)?;
    let body = match files.first().map(String::as_str) {
        None => Vec::new(),
        Some("-") => std::mem::take(&mut k.stdin),
        Some(name) => {
            let path = k.session.absolute(&k.cwd, name);
            match k.session.read_file(&path) {
                Some(bytes) => bytes,
                None => return plain(format!("open {name}: no such file or directory")),
            }
        }
    };
    let answer = ask(k, method.name(), &path, &body)?;
    k.out(answer.body);
    Ok(())
}

/// What `/version` answers; of a client, without the versions that it is compatible with.
pub(super) fn version(server: bool) -> Value {
    let mut info = Value::new_object();
    for (name, value) in VERSION {
        let of_servers = name.starts_with("emulation") || name.starts_with("minCompat");
        if server || !of_servers {
            info[*name] = (*value).into();
        }
    }
    info
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
