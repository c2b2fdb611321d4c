//! The network of a case in the machine's kernel: a process in each namespace, cables between them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use super::Observed;
use super::case::{Case, Flow};

/// The program that loads rules.
pub fn restore_program() -> &'static str {
    static PROGRAM: OnceLock<&str> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let nft = "iptables-nft-restore";
        let there = Command::new(nft).arg("--version").output().is_ok();
        if there { nft } else { "iptables-restore" }
    })
}

struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn new() -> Result<Agent, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut child = Command::new("unshare")
            .arg("--net")
            .arg(program)
            .arg("agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("unshare: {e}"))?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Agent {
            child,
            input,
            output,
        })
    }

    fn ask(&mut self, question: &str) -> Result<String, String> {
        let gone = |e: std::io::Error| format!("the agent is gone: {e}");
        self.input.write_all(question.as_bytes()).map_err(gone)?;
        self.input.flush().map_err(gone)?;
        let mut length = String::new();
        self.output.read_line(&mut length).map_err(gone)?;
        let mut answer = vec![0; length.trim().parse().unwrap_or(0)];
        self.output.read_exact(&mut answer).map_err(gone)?;
        Ok(String::from_utf8_lossy(&answer).into())
    }

    fn shell(&mut self, script: &str) -> Result<String, String> {
        let answer = self.ask(&format!("sh {}\n{script}", script.len()))?;
        match answer.split_once(' ') {
            Some(("0", text)) => Ok(text.to_owned()),
            _ => Err(answer),
        }
    }
}

/// Can this kernel do what cases need? Errors: what it cannot.
pub fn probe() -> Result<(), String> {
    let mut agent = Agent::new()?;
    for (what, script) in [
        ("veth", "ip link add test0 type veth peer name test1"),
        ("bridge", "ip link add test2 type bridge"),
        (
            "bridge netfilter",
            "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
        ),
        (
            "vxlan",
            "ip link add test3 type vxlan id 1 dstport 8472 dev lo",
        ),
        (
            "list of tracked connections",
            "test -e /proc/self/net/nf_conntrack",
        ),
    ] {
        agent.shell(script).map_err(|_| what.to_owned())?;
    }
    let restore = restore_program();
    let rules = "*nat\n-A POSTROUTING -m statistic --mode nth --every 2 --packet 0 -m recent --name x --set -j MASQUERADE --random-fully\nCOMMIT\n";
    agent
        .shell(&format!("{restore} <<'E'\n{rules}E\n"))
        .map_err(|why| format!("iptables for this: {why}"))?;
    Ok(())
}

/// Commands as one script, those for `ip` and `bridge` in batches.
fn script(commands: &[String]) -> String {
    let mut out = String::new();
    let mut batch: Option<&str> = None;
    for command in commands {
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        let batched = matches!(program, "ip" | "bridge");
        if batch.is_some_and(|b| b != program) {
            out += "E\n";
            batch = None;
        }
        if batched {
            if batch.is_none() {
                let _ = writeln!(out, "{program} -batch - <<'E'");
                batch = Some(program);
            }
            // A bridge that looks after multicast sends reports of its own.
            let quiet = if rest.ends_with("type bridge") {
                " mcast_snooping 0"
            } else {
                ""
            };
            let _ = writeln!(out, "{rest}{quiet}");
        } else if let Some((key, value)) = command
            .strip_prefix("sysctl -qw ")
            .and_then(|s| s.split_once('='))
        {
            // A device's name may have a dot in it.
            let path = key.replace("flannel.1", "flannel/1").replace('.', "\n");
            let path = path.replace('/', ".").replace('\n', "/");
            let _ = writeln!(out, "echo {value} > /proc/sys/{path}");
        } else {
            let _ = writeln!(out, "{command}");
        }
    }
    if batch.is_some() {
        out += "E\n";
    }
    out
}

pub fn run(case: &Case, patience: u64) -> Result<Observed, String> {
    let mut wire = Agent::new()?;
    let mut agents = Vec::new();
    for _ in &case.spaces {
        agents.push(Agent::new()?);
    }
    let pid = |agents: &[Agent], at: usize| agents[at].child.id();
    let mut plug =
        String::from("ip link add wire type bridge mcast_snooping 0\nip link set wire up\n");
    for (n, space) in case.spaces.iter().enumerate() {
        // Does the process live in its namespace by now?
        agents[n].shell("true")?;
        if space.wired {
            let pid = pid(&agents, n);
            let _ = write!(
                plug,
                "ip link add w{n} type veth peer name eth0 netns {pid}\nip link set w{n} master wire\nip link set w{n} up\n"
            );
        }
    }
    wire.shell(&plug)?;
    for cable in &case.cables {
        let pid = pid(&agents, cable.to.0);
        let (name, other) = (&cable.from.1, &cable.to.1);
        agents[cable.from.0].shell(&format!(
            "ip link add {name} type veth peer name {other} netns {pid}\n"
        ))?;
    }
    for (space, agent) in case.spaces.iter().zip(&mut agents) {
        let mut all = vec![
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1".to_owned(),
            "sysctl -qw net.ipv6.conf.default.disable_ipv6=1".to_owned(),
            "sysctl -qw net.ipv4.icmp_msgs_per_sec=100000".to_owned(),
        ];
        all.extend_from_slice(&space.setup);
        agent
            .shell(&script(&all))
            .map_err(|e| format!("{}: {e}", space.name))?;
        if !space.sets.is_empty() {
            agent.shell(&format!("ipset restore <<'E'\n{}E\n", space.sets))?;
        }
        if !space.rules.is_empty() {
            let restore = restore_program();
            agent
                .shell(&format!("{restore} <<'E'\n{}E\n", space.rules))
                .map_err(|e| format!("{}: {e}", space.name))?;
        }
        let said = agent.ask(&format!(
            "listen {} {} 80,8080\n",
            space.name,
            space.addresses.join(",")
        ))?;
        if said != "ok" {
            return Err(format!("{}: {said}", space.name));
        }
    }
    let mut observed = Observed::default();
    for flow in &case.flows {
        let question = match flow {
            Flow::Tcp { to, bytes, .. } => format!("tcp {to} {bytes} {patience}\n"),
            Flow::Udp { to, .. } => format!("udp {to} {patience}\n"),
            Flow::Icmp { to, .. } => format!("icmp {to} {patience}\n"),
        };
        observed.flows.push(agents[flow.from()].ask(&question)?);
    }
    let save = restore_program().replace("restore", "save");
    for (space, agent) in case.spaces.iter().zip(&mut agents) {
        if !space.rules.is_empty() {
            let saved = agent.shell(&format!("{save} -c\n"))?;
            observed
                .rules
                .extend(super::rules::passed(&space.name, &saved));
            let tracked = agent.shell("cat /proc/self/net/nf_conntrack\n")?;
            let lines = tracked.lines().filter(|l| l.starts_with("ipv4"));
            observed
                .tracked
                .extend(lines.filter_map(|l| super::rules::tracked(&space.name, l)));
        }
    }
    observed.tracked.sort();
    observed.tracked.dedup();
    Ok(observed)
}
