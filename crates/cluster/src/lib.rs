//! A simulated Kubernetes cluster: etcd, API server, controllers, scheduler, kubelets, container
//! runtimes, CNI, kube-proxy and DNS, on one deterministic clock with one source of randomness.
//!
//! [`Cluster`] is the whole state as a plain value; [`Simulation`] adds the way back in time.

mod alike;
pub mod api;
mod bootstrap;
pub mod cluster;
pub mod cni;
pub mod config;
mod controllers;
mod dns;
pub mod etcd;
pub mod event;
pub mod faults;
mod few;
pub mod history;
pub mod images;
pub mod index;
mod iptables;
pub mod kube_proxy;
pub mod kubelet;
pub mod kubelet_iptables;
pub mod load;
pub mod machine;
pub mod network_policy;
pub mod node;
mod programs;
pub mod queue;
pub mod quota;
pub mod recorder;
pub mod rng;
mod run;
pub mod runtime;
pub mod scheduler;
mod shared_map;
pub mod task;
pub mod time;
pub mod trace;

pub use cluster::{Change, Cluster};
pub use config::Config;
pub use controllers::controller_names;
pub use event::{Action, Component, Event, EventId};
pub use history::{Branch, Outside, Simulation};
pub use run::Run;
pub use time::Time;
