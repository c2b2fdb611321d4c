//! Servers: which command lines are one, where they listen, when they end.

use std::net::Ipv4Addr;
use std::time::Duration;

use kubarium_linux::Protocol;
use kubarium_objects::{Text, Value};

use super::{Io, Place, Step};
use crate::cluster::Cluster;
use crate::images::{Server, ServerProgram};
use crate::kubelet::containers;
use crate::runtime::process::{base_name, is_shell};

/// The value of a variable of the environment, by its name.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A server that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    /// What it answers.
    pub answers: Server,
    /// Where it listens.
    pub tcp: Vec<u16>,
    /// Where it listens.
    pub udp: Vec<u16>,
    /// Whether it ends at SIGTERM.
    pub ends_at_sigterm: bool,
    /// Its exit code then.
    pub exit_code: i32,
    /// Milliseconds until it listens.
    pub start_ms: u16,
    /// What it says where its answer is given on its command line.
    pub text: Text,
    /// The version in its `Server` header.
    pub version: Text,
    /// Where it answers health checks by gRPC.
    pub grpc: Option<u16>,
    /// It took the place of the shell that started it.
    pub replaced_shell: bool,
    /// What a CoreDNS keeps.
    pub(crate) dns: Option<std::sync::Arc<crate::dns::State>>,
    listens: bool,
    /// Why it cannot begin, as it writes it before it exits.
    refusal: Option<Text>,
}

/// The server that a command line is, if it is one.
pub(super) fn of(
    place: &Place,
    pod: &Value,
    at: usize,
    argv: &[String],
    env: Lookup<'_>,
) -> Option<Serve> {
    let name = argv.first().map_or("", |word| base_name(word));
    let args = argv.get(1..).unwrap_or_default();
    let spec = containers(pod).nth(at);
    let version = spec
        .map_or("", |s| s["image"].str())
        .rsplit_once(':')
        .map_or("", |(_, tag)| tag);
    if let Some(image) = place.image {
        if name == "httpd" && image.server.is_none() {
            return busybox_httpd(args);
        }
        let program = image.server.filter(|s| s.programs.contains(&name))?;
        let mut serve = Serve::new(&program, image.start_ms, version);
        configure(&mut serve, name, args, env)?;
        return Some(serve);
    }
    if place.pod.is_none() || is_shell(name) {
        return None;
    }
    // Nothing is known of the image: unless it is a tool, it is a server on the declared ports.
    if !name.is_empty()
        && (kubarium_posix::tools::is_tool(name)
            || matches!(
                name,
                "curl" | "wget" | "ping" | "nslookup" | "nc" | "traceroute"
            ))
    {
        return None;
    }
    let ports = |protocol: &str| -> Vec<u16> {
        let ports = spec.into_iter().flat_map(|s| s["ports"].items());
        ports
            .filter(|p| p["protocol"].as_str().unwrap_or("TCP") == protocol)
            .filter_map(|p| u16::try_from(p["containerPort"].as_i64()?).ok())
            .collect()
    };
    let program = ServerProgram {
        programs: &[],
        answers: Server::Echo,
        tcp: &[],
        udp: &[],
        ends_at_sigterm: true,
        exit_code: 0,
    };
    let mut serve = Serve::new(&program, 50, "");
    serve.tcp = ports("TCP");
    serve.udp = ports("UDP");
    Some(serve)
}

fn busybox_httpd(args: &[String]) -> Option<Serve> {
    let program = ServerProgram {
        programs: &[],
        answers: Server::Text(""),
        tcp: &[80],
        udp: &[],
        ends_at_sigterm: true,
        exit_code: 0,
    };
    let mut serve = Serve::new(&program, 0, "");
    if let Some(port) = option(args, &["-p"]) {
        serve.tcp = vec![port.rsplit(':').next()?.parse().ok()?];
    }
    Some(serve)
}

/// The value of an option: `--port 80`, `--port=80`, `-p80`.
fn option<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, arg)| {
        names.iter().find_map(|name| {
            if arg == name {
                return args.get(at + 1).map(String::as_str);
            }
            let rest = arg.strip_prefix(name)?;
            if name.starts_with("--") || name.len() > 2 {
                rest.strip_prefix('=')
            } else {
                Some(rest)
            }
        })
    })
}

/// Reads what the command line says of ports and answers. `None`: this is no server after all.
fn configure(serve: &mut Serve, name: &str, args: &[String], env: Lookup<'_>) -> Option<()> {
    let port = |text: &str| text.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
    let mut only = |port: Option<u16>| {
        if let Some(port) = port {
            serve.tcp = vec![port];
        }
    };
    match name {
        "web" => {
            // Every number among its arguments and in $PORTS; 80 where there is none.
            let words = env("PORTS").unwrap_or_default();
            let words = words.split_whitespace();
            let numbers = args
                .iter()
                .map(String::as_str)
                .filter(|a| a.starts_with(|c: char| c.is_ascii_digit()));
            let mut ports: Vec<u16> = words
                .chain(numbers)
                .filter_map(|p| p.parse().ok())
                .collect();
            ports.dedup();
            if ports.is_empty() {
                ports.push(80);
            }
            serve.udp.clone_from(&ports);
            serve.tcp = ports;
        }
        "http-echo" => {
            only(option(args, &["-listen", "--listen"]).and_then(port));
            let text = option(args, &["-text", "--text"])
                .map(str::to_owned)
                .or_else(|| env("ECHO_TEXT"));
            serve.text = text.unwrap_or_default().into();
        }
        "whoami" => only(
            option(args, &["--port", "-port"])
                .and_then(port)
                .or_else(|| env("WHOAMI_PORT_NUMBER")?.parse().ok()),
        ),
        "traefik" | "entrypoint.sh" => {
            // `--entryPoints.web.address=:8000/tcp`
            let address = |arg: &String| {
                let (name, value) = arg.split_once('=')?;
                let name = name.to_ascii_lowercase();
                (name.starts_with("--entrypoints.") && name.ends_with(".address"))
                    .then(|| port(value.split('/').next().unwrap_or_default()))?
            };
            let ports: Vec<u16> = args.iter().filter_map(address).collect();
            if !ports.is_empty() {
                serve.tcp = ports;
            }
        }
        "redis-server" | "docker-entrypoint.sh" => only(option(args, &["--port"]).and_then(port)),
        "postgres" => {
            let trusting = env("POSTGRES_HOST_AUTH_METHOD").is_some_and(|m| m == "trust");
            if !given(env, &["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE"]) && !trusting {
                serve.refusal = Some(NO_POSTGRES_PASSWORD.into());
            }
            only(option(args, &["-p", "--port"]).and_then(port));
        }
        "mysqld" | "mariadbd" => {
            let prefixes = if name == "mysqld" {
                &["MYSQL"][..]
            } else {
                &["MARIADB", "MYSQL"]
            };
            let known = |suffix: &str| {
                prefixes
                    .iter()
                    .any(|prefix| given(env, &[&format!("{prefix}_{suffix}")]))
            };
            let suffixes = [
                "ROOT_PASSWORD",
                "ROOT_PASSWORD_FILE",
                "ALLOW_EMPTY_PASSWORD",
                "ALLOW_EMPTY_ROOT_PASSWORD",
                "RANDOM_ROOT_PASSWORD",
                "ROOT_PASSWORD_HASH",
            ];
            if !suffixes.into_iter().any(known) {
                let prefix = prefixes[0];
                let (allow, words) = match prefix {
                    "MYSQL" => (
                        "MYSQL_ALLOW_EMPTY_PASSWORD",
                        "password option is not specified",
                    ),
                    _ => (
                        "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
                        "password option is not specified",
                    ),
                };
                serve.refusal = Some(
                    format!(
                        "[ERROR] [Entrypoint]: Database is uninitialized and {words}\n    You need to specify one of the following as an environment variable:\n    - {prefix}_ROOT_PASSWORD\n    - {allow}\n    - {prefix}_RANDOM_ROOT_PASSWORD\n"
                    )
                    .into(),
                );
            }
            only(option(args, &["-P", "--port"]).and_then(port));
        }
        "python" | "python3" => match args {
            [m, module, rest @ ..] if m == "-m" && module == "http.server" => {
                only(rest.iter().find_map(|a| a.parse().ok()).or(Some(8000)))
            }
            _ => return None,
        },
        "node" | "npm" | "npx" | "yarn" => match (args.is_empty(), env("PORT")) {
            (true, _) => return None,
            (false, Some(given)) => only(given.parse().ok()),
            (false, None) => {}
        },
        "agnhost" => match args.first().map(String::as_str) {
            Some("netexec") => {
                serve.text = "netexec".into();
                only(option(args, &["--http-port"]).and_then(port).or(Some(8080)));
                serve.udp = vec![option(args, &["--udp-port"]).and_then(port).unwrap_or(8081)];
            }
            Some("grpc-health-checking") => {
                serve.text = "grpc-health-checking".into();
                let grpc = option(args, &["--port"]).and_then(port).unwrap_or(5000);
                let http = option(args, &["--http-port"]).and_then(port);
                serve.tcp = vec![grpc, http.unwrap_or(8080)];
                serve.grpc = Some(grpc);
            }
            Some("serve-hostname") => {
                serve.text = "serve-hostname".into();
                only(option(args, &["--port"]).and_then(port).or(Some(9376)));
            }
            Some("pause") | None => serve.tcp.clear(),
            _ => return None,
        },
        "etcd" => {
            let urls = option(args, &["--listen-client-urls"]).unwrap_or_default();
            let ports: Vec<u16> = urls.split(',').filter_map(port).collect();
            if !ports.is_empty() {
                serve.tcp = ports;
            }
            serve.grpc = serve.tcp.first().copied();
        }
        "hello-app" | "echo-server" | "podinfo" => only(
            env("PORT")
                .and_then(|p| p.parse().ok())
                .or(option(args, &["--port"]).and_then(port)),
        ),
        _ => {}
    }
    Some(())
}

/// Whether one of these variables has a value.
fn given(env: Lookup<'_>, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| env(name).is_some_and(|v| !v.is_empty()))
}

/// What the image's script says (docker-library/postgres, `docker-entrypoint.sh`).
const NO_POSTGRES_PASSWORD: &str =
    "Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, \"-e POSTGRES_PASSWORD=password\" on \"docker run\".

       You may also use \"POSTGRES_HOST_AUTH_METHOD=trust\" to allow all
       connections without a password. This is *not* recommended.

       See PostgreSQL documentation about \"trust\":
       https://www.postgresql.org/docs/current/auth-trust.html
";

impl Serve {
    fn new(program: &ServerProgram, start_ms: u16, version: &str) -> Serve {
        Serve {
            answers: program.answers,
            tcp: program.tcp.to_vec(),
            udp: program.udp.to_vec(),
            ends_at_sigterm: program.ends_at_sigterm,
            exit_code: program.exit_code,
            start_ms,
            text: Text::from(""),
            version: version.into(),
            grpc: None,
            replaced_shell: false,
            dns: None,
            listens: false,
            refusal: None,
        }
    }

    /// A CoreDNS reads its Corefile before anything else.
    pub(crate) fn read_corefile(&mut self, cluster: &Cluster, pod: &Value) {
        if self.answers != Server::Dns {
            return;
        }
        match crate::dns::begin(cluster, pod) {
            Ok(state) => self.dns = Some(std::sync::Arc::new(state)),
            Err(why) => self.refusal = Some(why.into()),
        }
    }

    /// Whether it listens on a port.
    pub(crate) fn has(&self, port: u16) -> bool {
        self.tcp.contains(&port) || self.udp.contains(&port)
    }

    /// How long it takes until it listens.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.start_ms.into())
    }

    /// The `Server` header: `nginx/1.27.5`.
    pub(crate) fn software(&self, name: &str) -> String {
        let number: String = self
            .version
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        match (name.contains('/'), number.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => format!("{name}/1.29.3"),
            (false, false) if number.matches('.').count() >= 2 => format!("{name}/{number}"),
            (false, false) => format!("{name}/{number}.5"),
        }
    }

    /// Opens its sockets: what it complains of, and its exit code where it cannot.
    pub(crate) fn listen(&self, cluster: &mut Cluster, place: &Place) -> (String, Option<i32>) {
        if let Some(refusal) = &self.refusal {
            return (refusal.to_string(), Some(1));
        }
        for (protocol, ports) in [(Protocol::TCP, &self.tcp), (Protocol::UDP, &self.udp)] {
            for port in ports {
                let opened = cluster.net.listen(
                    place.netns,
                    protocol,
                    Ipv4Addr::UNSPECIFIED,
                    *port,
                    place.token,
                );
                // A second server on UDP only goes without.
                if opened.is_err() && protocol == Protocol::TCP {
                    let taken = cluster.net.namespace(place.netns).is_some_and(|ns| {
                        ns.listeners()
                            .iter()
                            .any(|l| l.token == place.token && l.port == *port)
                    });
                    if taken {
                        continue;
                    }
                    return (self.complaint(*port), Some(1));
                }
            }
        }
        (String::new(), None)
    }

    fn complaint(&self, port: u16) -> String {
        match self.answers {
            Server::Page {
                server: "nginx", ..
            } => format!(
                "nginx: [emerg] bind() to 0.0.0.0:{port} failed (98: Address already in use)\n"
            ),
            Server::Page { .. } => format!(
                "(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:{port}\n"
            ),
            _ => format!("listen tcp :{port}: bind: address already in use\n"),
        }
    }

    /// Closes its sockets.
    pub(crate) fn close(&self, cluster: &mut Cluster, place: &Place) {
        if place.token != 0 {
            cluster.net.close(place.netns, place.token);
        }
    }

    pub(super) fn step(&mut self, io: &mut Io<'_>) -> Step {
        if !self.listens {
            self.listens = true;
            let (complaint, failed) = self.listen(io.cluster, io.place);
            io.err(complaint);
            if let Some(code) = failed {
                return Step::Exit(code);
            }
        }
        Step::Wait(None)
    }
}
