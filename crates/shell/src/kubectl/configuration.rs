//! What the kubeconfig and the flags beside it come to, and why it cannot be used
//! (`client-go/tools/clientcmd`: `validation.go`, `client_config.go`, v1.37).

use kubarium_objects::{Value, go, yaml};

use super::Kubectl;
use super::error::{Error, Result, plain};
use crate::kubeconfig::{FILE, Kubeconfig};

/// The usual configuration, while a command uses another.
#[derive(Clone)]
pub(crate) struct Aside {
    usual: Kubeconfig,
    /// What was read in its place, of how many files.
    read: Kubeconfig,
    files: usize,
}

impl Kubectl<'_> {
    /// A global flag's value; empty where the command has one of its own under that name.
    pub fn global(&self, name: &str) -> &str {
        let mut own = self.command.flags.iter().flat_map(|table| table.iter());
        match own.any(|flag| flag.name == name) {
            true => "",
            false => self.flags.str(name),
        }
    }

    /// The name of the user's entry: `--user`, or the context's.
    pub fn auth_info_name(&self) -> &str {
        let context = self.session.kubeconfig.context(self.global("context"));
        match self.global("user") {
            "" => context.map_or("", |c| c.user.as_str()),
            given => given,
        }
    }

    /// The user's entry of the kubeconfig.
    pub fn auth_info(&self) -> Value {
        let users = &self.session.kubeconfig.users;
        users
            .get(self.auth_info_name())
            .cloned()
            .unwrap_or_default()
    }

    /// Refuses a configuration with which no request can be made, and one that leads to another
    /// cluster than the one there is.
    pub fn check_configuration(&self) -> Result {
        self.check_file()?;
        let config = &self.session.kubeconfig;
        let context = match self.global("context") {
            "" => &config.current,
            given => given,
        };
        if !context.is_empty() && !config.contexts.contains_key(context) {
            return Err(Error::Verbatim(format!(
                "Error in configuration: context was not found for specified context: {context}"
            )));
        }
        if !self.flags.str("server").is_empty() {
            return Ok(());
        }
        let cluster = match self.global("cluster") {
            "" => config.context(context).map_or("", |c| c.cluster.as_str()),
            given => given,
        };
        let mut problems = self.auth_info_problems();
        problems.extend(self.cluster_problems(cluster));
        match &problems[..] {
            [] => {}
            [one] => return plain(one),
            many => {
                let lines: String = many.iter().map(|p| format!("* {p}\n")).collect();
                return Err(Error::Verbatim(format!(
                    "Error in configuration: \n{lines}"
                )));
            }
        }
        let user = self.global("user");
        if !user.is_empty() && !config.users.contains_key(user) {
            return plain(format!("auth info {} does not exist", go::quote(user)));
        }
        let server = config.clusters.get(cluster);
        self.reach(server.map_or("", |c| c["server"].str()))
    }

    /// The file that `--kubeconfig` names has to be there.
    fn check_file(&self) -> Result {
        let given = self.flags.str("kubeconfig");
        let path = self.session.absolute(&self.cwd, given);
        match self.session.read_file(&path) {
            None if !given.is_empty() && path != FILE => {
                plain(format!("stat {given}: no such file or directory"))
            }
            _ => Ok(()),
        }
    }

    /// Takes the files that `--kubeconfig` or KUBECONFIG names in the place of the usual one.
    pub fn use_own_files(&mut self, variable: &str) -> Result<Option<Aside>> {
        let given = match self.flags.str("kubeconfig") {
            "" => variable,
            given => given,
        };
        let paths = given.split(':').filter(|path| !path.is_empty());
        let files: Vec<String> = paths
            .map(|path| self.session.absolute(&self.cwd, path))
            .collect();
        if matches!(&files[..], [] | [_] if files.iter().all(|file| file == FILE)) {
            return Ok(None);
        }
        let read = |path: &str| self.session.read_file(path);
        let config = self.session.kubeconfig.load(&files, read);
        let config = config.map_err(Error::Plain)?;
        let usual = std::mem::replace(&mut self.session.kubeconfig, config.clone());
        Ok(Some(Aside {
            usual,
            read: config,
            files: files.len(),
        }))
    }

    /// Puts the usual file back, and writes what a command has changed into its own.
    pub fn put_back(&mut self, aside: Aside) -> Result {
        let used = std::mem::replace(&mut self.session.kubeconfig, aside.usual);
        if used == aside.read {
            return Ok(());
        }
        if aside.files > 1 {
            return plain(crate::registry::not_yet(
                "changing several kubeconfig files at once",
                "name the one with --kubeconfig",
            ));
        }
        let text = yaml::to_yaml(&used.view(true));
        match self.session.put_file(&used.file, text.as_bytes()) {
            Ok(()) => Ok(()),
            Err(_) => plain(format!("open {}: no such file or directory", used.file)),
        }
    }

    fn unreadable(&self, path: &str) -> Option<String> {
        let there = path.is_empty() || self.session.read_file(path).is_some();
        (!there).then(|| format!("open {path}: no such file or directory"))
    }

    /// `validateAuthInfo`
    fn auth_info_problems(&self) -> Vec<String> {
        let (name, entry) = (self.auth_info_name(), self.auth_info());
        let of = |flag: &str| match self.global(flag) {
            "" => entry[flag].str().to_owned(),
            given => given.to_owned(),
        };
        let mut problems = Vec::new();
        let (certificate, key) = (of("client-certificate"), of("client-key"));
        let has = |field: &str| !entry[field].is_empty();
        if !certificate.is_empty() || has("client-certificate-data") {
            if key.is_empty() && !has("client-key-data") {
                problems.push(format!("client-key-data or client-key must be specified for {name} to use the clientCert authentication method."));
            }
            for (what, path) in [("client-cert", &certificate), ("client-key", &key)] {
                if let Some(why) = self.unreadable(path) {
                    problems.push(format!(
                        "unable to read {what} {path} for {name} due to {why}"
                    ));
                }
            }
        }
        let plugin = &entry["exec"];
        if !plugin.is_null() {
            for field in ["command", "apiVersion", "interactiveMode"] {
                if plugin[field].is_empty() {
                    problems.push(format!(
                        "{field} must be specified for {name} to use exec authentication plugin"
                    ));
                }
            }
        }
        problems
    }

    /// `validateClusterInfo`
    fn cluster_problems(&self, name: &str) -> Vec<String> {
        let known = self.session.kubeconfig.clusters.get(name);
        let entry = known.cloned().unwrap_or_default();
        // A context that names no cluster means the one on this machine.
        let wanted = known.is_some() || !self.global("cluster").is_empty();
        let mut problems = Vec::new();
        if wanted && entry["server"].is_empty() {
            problems.push(format!("no server found for cluster {}", go::quote(name)));
        }
        let authority = match self.global("certificate-authority") {
            "" => entry["certificate-authority"].str(),
            given => given,
        };
        if let Some(why) = self.unreadable(authority) {
            problems.push(format!(
                "unable to read certificate-authority {authority} for {name} due to {why}"
            ));
        }
        problems
    }

    /// Only the simulated cluster answers; no cluster means the one on this machine.
    fn reach(&self, server: &str) -> Result {
        if server == self.session.kubeconfig.server {
            return Ok(());
        }
        let host = server
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .split('/')
            .next()
            .filter(|host| !host.is_empty())
            .unwrap_or("localhost:8080");
        Err(Error::Verbatim(format!(
            "The connection to the server {host} was refused - did you specify the right host or port?"
        )))
    }
}
