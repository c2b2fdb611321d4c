//! Who reaches whom: a connection tried from every pod to every pod, each in the network as it is.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use kubarium_linux::{Connect, NamespaceId, Protocol, Verdict};
use kubarium_objects::Text;

use crate::cluster::Cluster;
use crate::kube_proxy;
use crate::rng::Rng;

/// Most pods that are tried: each with each is 4,096 connections.
pub const REACH_MOST: usize = 64;

/// A table of who reaches whom.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The pods, as `NAMESPACE/NAME`, by these.
    pub pods: Vec<Text>,
    /// For each pod, as a client, what becomes of its connections to each pod.
    pub verdicts: Vec<Vec<Verdict>>,
}

impl Cluster {
    /// Tries a port from every pod to every pod (of one namespace, or of all). The cluster stays as it is.
    ///
    /// # Errors
    /// There are too many pods.
    pub fn reach(
        &mut self,
        namespace: Option<&str>,
        protocol: Protocol,
        port: u16,
    ) -> Result<Reach, String> {
        let mut nodes: BTreeSet<Text> = BTreeSet::new();
        let mut pods: Vec<(Text, SocketAddrV4, NamespaceId)> = Vec::new();
        for (key, pod) in self.etcd.list("pods", namespace) {
            let ip = pod["status"]["podIP"].str().parse();
            let host = pod["spec"]["hostNetwork"].as_bool() == Some(true);
            let (Ok(ip), false, Some((node, sandbox))) = (ip, host, self.sandbox_of(key)) else {
                continue;
            };
            if self.net.namespace(sandbox.netns).is_none() {
                continue;
            }
            let name = format!("{}/{}", key.namespace, key.name).into();
            pods.push((name, SocketAddrV4::new(ip, port), sandbox.netns));
            nodes.insert(node.clone());
        }
        if pods.len() > REACH_MOST {
            return Err(format!(
                "{} pods are too many for a table, which has {REACH_MOST} at the most: choose a namespace with -n",
                pods.len()
            ));
        }
        // From pod to pod no packet comes to another node.
        for node in nodes {
            kube_proxy::bring_up_to_date(self, &node);
        }
        let now = kubarium_linux::Time(self.now.0);
        let mut verdicts = Vec::new();
        for (_, _, from) in &pods {
            let row = pods.iter().map(|(_, to, _)| {
                let connect = Connect {
                    protocol,
                    handshake: true,
                    timeout: kubarium_linux::Time::from_secs(1),
                    ..Connect::tcp(*from, *to)
                };
                // Every connection is tried in a network of its own: none sees what another left.
                let mut dice = Rng::new(1);
                let mut net = self.net.clone();
                net.connect(&connect, now, &mut dice, None).verdict
            });
            verdicts.push(row.collect());
        }
        let pods = pods.into_iter().map(|(name, _, _)| name).collect();
        Ok(Reach { pods, verdicts })
    }
}
