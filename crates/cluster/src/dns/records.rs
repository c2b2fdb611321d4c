//! The records of the `kubernetes` plugin.

use std::net::Ipv4Addr;

use kubarium_objects::{Text, Value};

use super::corefile::{Kubernetes, Pods};
use super::{Answer, Code, Data, Record, Type};
use crate::cluster::Cluster;

/// How far a CNAME is followed.
const CHAIN_MAX: usize = 8;

struct Question<'a> {
    cluster: &'a Cluster,
    settings: &'a Kubernetes,
    zone: &'a str,
    kind: Type,
}

/// What is found under a name.
enum Found {
    /// Nothing: the name does not exist.
    Nothing,
    /// The name exists, perhaps without records of that type.
    Records(Vec<Record>, Vec<Record>),
}

/// Answers a question about a name in `zone`.
pub(super) fn answer(
    cluster: &Cluster,
    settings: &Kubernetes,
    zone: &str,
    name: &str,
    kind: Type,
) -> Answer {
    let question = Question {
        cluster,
        settings,
        zone,
        kind,
    };
    let found = if zone.ends_with(".arpa.") {
        question.reverse(name)
    } else {
        question.forward(name, 0)
    };
    let soa = Record {
        name: zone.to_owned(),
        ttl: settings.ttl,
        data: Data::Soa {
            zone: zone.to_owned(),
            serial: cluster.now.unix_seconds(),
            minimum: settings.ttl,
        },
    };
    let (code, answers, additional) = match found {
        Found::Nothing => (Code::NxDomain, Vec::new(), Vec::new()),
        Found::Records(answers, additional) => (Code::NoError, answers, additional),
    };
    let authority = if answers.is_empty() {
        vec![soa]
    } else {
        Vec::new()
    };
    Answer {
        code,
        is_authoritative: true,
        answers,
        authority,
        additional,
    }
}

impl Question<'_> {
    fn record(&self, name: &str, data: Data) -> Record {
        Record {
            name: name.to_owned(),
            ttl: self.settings.ttl,
            data,
        }
    }

    fn wants(&self, kind: Type) -> bool {
        self.kind == kind || self.kind == Type::Any
    }

    fn nothing_more() -> Found {
        Found::Records(Vec::new(), Vec::new())
    }

    fn forward(&self, name: &str, depth: usize) -> Found {
        let inner = name
            .strip_suffix(self.zone)
            .unwrap_or("")
            .trim_end_matches('.');
        if inner.is_empty() {
            let mut records = Vec::new();
            if self.wants(Type::Ns) {
                records.push(self.record(name, Data::Ns(format!("ns.dns.{}", self.zone))));
            }
            if self.wants(Type::Soa) {
                let data = Data::Soa {
                    zone: self.zone.to_owned(),
                    serial: self.cluster.now.unix_seconds(),
                    minimum: self.settings.ttl,
                };
                records.push(self.record(name, data));
            }
            return Found::Records(records, Vec::new());
        }
        let labels: Vec<&str> = inner.split('.').collect();
        match labels.as_slice() {
            ["dns-version"] => {
                let text = self
                    .wants(Type::Txt)
                    .then(|| self.record(name, Data::Txt("1.1.0".to_owned())));
                Found::Records(text.into_iter().collect(), Vec::new())
            }
            ["svc" | "pod"] => Self::nothing_more(),
            [namespace, "svc" | "pod"] => match self.cluster.find("namespaces", "", namespace) {
                Some(_) => Self::nothing_more(),
                None => Found::Nothing,
            },
            [pod, namespace, "pod"] => self.pod(name, pod, namespace),
            [rest @ .., service, namespace, "svc"] => {
                self.service(name, rest, service, namespace, depth)
            }
            _ => Found::Nothing,
        }
    }

    /// `10-42-1-7.default.pod.cluster.local`
    fn pod(&self, name: &str, dashed: &str, namespace: &str) -> Found {
        let address: Result<Ipv4Addr, _> = dashed.replace('-', ".").parse();
        let (Ok(address), Some(_)) = (address, self.cluster.find("namespaces", "", namespace))
        else {
            return Found::Nothing;
        };
        let known = || {
            let text = address.to_string();
            self.cluster
                .etcd
                .list("pods", Some(namespace))
                .any(|(_, pod)| pod["status"]["podIP"].str() == text)
        };
        match self.settings.pods {
            Pods::Disabled => return Found::Nothing,
            Pods::Verified if !known() => return Found::Nothing,
            _ => {}
        }
        let record = self
            .wants(Type::A)
            .then(|| self.record(name, Data::A(address)));
        Found::Records(record.into_iter().collect(), Vec::new())
    }

    fn service(
        &self,
        name: &str,
        rest: &[&str],
        service: &str,
        namespace: &str,
        depth: usize,
    ) -> Found {
        let Some(object) = self.cluster.find("services", namespace, service) else {
            return Found::Nothing;
        };
        let spec = &object["spec"];
        if spec["type"].str() == "ExternalName" {
            return if rest.is_empty() {
                self.external(name, spec["externalName"].str(), depth)
            } else {
                Found::Nothing
            };
        }
        let own = format!("{service}.{namespace}.svc.{}", self.zone);
        let port = match rest {
            [] => None,
            [port, protocol] if port.starts_with('_') && protocol.starts_with('_') => {
                Some((&port[1..], &protocol[1..]))
            }
            [endpoint] => return self.endpoint(name, endpoint, namespace, service),
            _ => return Found::Nothing,
        };
        match spec["clusterIP"].str().parse::<Ipv4Addr>() {
            Ok(address) => self.cluster_ip(name, &own, address, port, spec),
            Err(_) => self.headless(name, &own, namespace, service, port),
        }
    }

    fn cluster_ip(
        &self,
        name: &str,
        own: &str,
        address: Ipv4Addr,
        port: Option<(&str, &str)>,
        spec: &Value,
    ) -> Found {
        let ports: Vec<u16> = spec["ports"]
            .items()
            .iter()
            .filter(|p| fits(p, port))
            .filter_map(|p| u16::try_from(p["port"].as_i64()?).ok())
            .collect();
        if port.is_some() && ports.is_empty() {
            return Found::Nothing;
        }
        let mut answers = Vec::new();
        let mut additional = Vec::new();
        if self.wants(Type::A) {
            answers.push(self.record(name, Data::A(address)));
        }
        if self.wants(Type::Srv) {
            let weight = u16::try_from(100 / ports.len().max(1)).unwrap_or(1);
            answers.extend(ports.iter().map(|p| {
                self.record(
                    name,
                    Data::Srv {
                        weight,
                        port: *p,
                        target: own.to_owned(),
                    },
                )
            }));
            additional.push(self.record(own, Data::A(address)));
        }
        Found::Records(answers, additional)
    }

    fn headless(
        &self,
        name: &str,
        own: &str,
        namespace: &str,
        service: &str,
        port: Option<(&str, &str)>,
    ) -> Found {
        let endpoints = self.endpoints(namespace, service);
        let matching: Vec<&Endpoint> = endpoints
            .iter()
            .filter(|e| port.is_none() || e.ports.iter().any(|p| fits(p, port)))
            .collect();
        if matching.is_empty() {
            // A headless Service without endpoints has no name.
            return Found::Nothing;
        }
        let mut answers: Vec<Record> = Vec::new();
        let mut additional = Vec::new();
        if self.wants(Type::A) {
            for endpoint in &matching {
                let record = self.record(name, Data::A(endpoint.address));
                if !answers.contains(&record) {
                    answers.push(record);
                }
            }
        }
        if self.wants(Type::Srv) {
            let count = matching
                .iter()
                .flat_map(|e| &e.ports)
                .filter(|p| fits(p, port))
                .count();
            let weight = u16::try_from(100 / count.max(1)).unwrap_or(1).max(1);
            for endpoint in &matching {
                let target = format!("{}.{own}", endpoint.name);
                for p in endpoint.ports.iter().filter(|p| fits(p, port)) {
                    let port = u16::try_from(p["port"].as_i64().unwrap_or(0)).unwrap_or(0);
                    answers.push(self.record(
                        name,
                        Data::Srv {
                            weight,
                            port,
                            target: target.clone(),
                        },
                    ));
                }
                additional.push(self.record(&target, Data::A(endpoint.address)));
            }
        }
        Found::Records(answers, additional)
    }

    fn endpoint(&self, name: &str, endpoint: &str, namespace: &str, service: &str) -> Found {
        let endpoints = self.endpoints(namespace, service);
        let records: Vec<Record> = endpoints
            .iter()
            .filter(|e| e.name == endpoint)
            .map(|e| self.record(name, Data::A(e.address)))
            .collect();
        match (records.is_empty(), self.wants(Type::A)) {
            (true, _) => Found::Nothing,
            (false, true) => Found::Records(records, Vec::new()),
            (false, false) => Self::nothing_more(),
        }
    }

    fn external(&self, name: &str, target: &str, depth: usize) -> Found {
        if let Ok(address) = target.parse() {
            let record = self
                .wants(Type::A)
                .then(|| self.record(name, Data::A(address)));
            return Found::Records(record.into_iter().collect(), Vec::new());
        }
        let target = super::full(target);
        let mut answers = vec![self.record(name, Data::Cname(target.clone()))];
        let follows = self.kind != Type::Cname && depth < CHAIN_MAX && target.ends_with(self.zone);
        if follows && let Found::Records(more, _) = self.forward(&target, depth + 1) {
            answers.extend(more);
        }
        Found::Records(answers, Vec::new())
    }

    fn endpoints(&self, namespace: &str, service: &str) -> Vec<Endpoint> {
        endpoints(self.cluster, namespace, service)
    }

    fn reverse(&self, name: &str) -> Found {
        let Some(inner) = name.strip_suffix(".in-addr.arpa.") else {
            return Found::Nothing;
        };
        let mut parts: Vec<&str> = inner.split('.').collect();
        parts.reverse();
        let Ok(address) = parts.join(".").parse::<Ipv4Addr>() else {
            return Found::Nothing;
        };
        let domain = self
            .settings
            .zones
            .iter()
            .find(|z| !z.ends_with(".arpa."))
            .map_or("cluster.local.", String::as_str);
        let text = address.to_string();
        let service = self
            .cluster
            .etcd
            .list("services", None)
            .find(|(_, s)| s["spec"]["clusterIP"].str() == text);
        let names: Vec<String> = match service {
            Some((key, _)) => vec![format!("{}.{}.svc.{domain}", key.name, key.namespace)],
            None => {
                let slices = self
                    .cluster
                    .etcd
                    .list("endpointslices.discovery.k8s.io", None);
                let has = |slice: &Value| {
                    slice["endpoints"]
                        .items()
                        .iter()
                        .any(|e| e["addresses"].items().iter().any(|a| a.str() == text))
                };
                slices
                    .filter(|(_, slice)| has(slice))
                    .filter_map(|(key, slice)| {
                        let service =
                            slice["metadata"]["labels"][crate::index::SERVICE_NAME].as_str()?;
                        let endpoint = endpoints(self.cluster, &key.namespace, service)
                            .into_iter()
                            .find(|e| e.address == address)?;
                        Some(format!(
                            "{}.{service}.{}.svc.{domain}",
                            endpoint.name, key.namespace
                        ))
                    })
                    .collect()
            }
        };
        if names.is_empty() {
            return Found::Nothing;
        }
        let records = names
            .into_iter()
            .filter(|_| self.wants(Type::Ptr))
            .map(|n| self.record(name, Data::Ptr(n)));
        Found::Records(records.collect(), Vec::new())
    }
}

/// An address of a Service, as its slices list it.
struct Endpoint {
    /// Its host name, or its address with dashes.
    name: String,
    address: Ipv4Addr,
    ports: Vec<Value>,
}

fn endpoints(cluster: &Cluster, namespace: &str, service: &str) -> Vec<Endpoint> {
    let (namespace, service) = (Text::from(namespace), Text::from(service));
    let mut found = Vec::new();
    for slice in cluster
        .index
        .slices_of(&namespace, &service)
        .filter_map(|key| cluster.etcd.get(key))
    {
        let ready = slice["endpoints"]
            .items()
            .iter()
            .filter(|e| e["conditions"]["ready"].as_bool() != Some(false));
        for endpoint in ready {
            for address in endpoint["addresses"]
                .items()
                .iter()
                .filter_map(|a| a.str().parse::<Ipv4Addr>().ok())
            {
                let name = match endpoint["hostname"].str() {
                    "" => address.to_string().replace('.', "-"),
                    hostname => hostname.to_owned(),
                };
                found.push(Endpoint {
                    name,
                    address,
                    ports: slice["ports"].items().to_vec(),
                });
            }
        }
    }
    found
}

/// Whether a port is the one asked for.
fn fits(port: &Value, wanted: Option<(&str, &str)>) -> bool {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    wanted.is_none_or(|(name, wanted)| {
        port["name"].str().eq_ignore_ascii_case(name) && protocol.eq_ignore_ascii_case(wanted)
    })
}
