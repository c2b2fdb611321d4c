//! What tests ask of the lab beyond connections: rules, commands, how a connection ended.

use kubarium_linux::Connection;

use crate::lab::Lab;

impl Lab {
    pub fn restore(&mut self, name: &str, rules: &str, noflush: bool) {
        let id = self.id(name);
        let netfilter = &mut self.net.namespace_mut(id).expect("namespace").netfilter;
        let options = kubarium_linux::netfilter::restore::Options {
            noflush,
            ..Default::default()
        };
        kubarium_linux::netfilter::restore::restore(netfilter, rules, options)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// Runs a command in a namespace.
    pub fn run(&mut self, name: &str, command: &str) -> String {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let id = self.id(name);
        let output = kubarium_linux::tools::run(&mut self.net, id, &argv, self.now);
        format!("{}{}", output.stdout, output.stderr)
    }

    /// `connected pod-2a 10.42.1.1`, `timeout` …
    pub fn outcome(&self, connection: &Connection) -> String {
        let verdict = format!("{:?}", connection.verdict).to_lowercase();
        match (connection.server, connection.seen_source) {
            (Some((_, token)), Some(source)) => {
                format!("{verdict} {} {}", self.servers[token as usize], source.ip())
            }
            _ => verdict,
        }
    }
}
