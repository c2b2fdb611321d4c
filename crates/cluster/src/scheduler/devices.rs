//! DynamicResources: devices that pods claim
//! (kubernetes v1.37, `pkg/scheduler/framework/plugins/dynamicresources`).
//!
//! Not simulated: administrative access, parts of a device's capacity and derived attributes (a claim
//! that asks for them says so), devices that share counters or capacity or are bound under conditions
//! (they are never given away, and a node that has such ones says so), DeviceTaintRules, extended
//! resources that device classes stand for.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::allocator::{Inventory, Request, Trouble, Wish, allocate};
use super::cache::{Cache, Store};
use super::filter::{Failure, Reason};
use super::node::{NodeInfo, NodeTerm};
use super::pod::PodInfo;
use crate::etcd::Etcd;

/// The resource of claims.
pub(crate) const CLAIMS: &str = "resourceclaims.resource.k8s.io";
/// The resource of classes.
pub(super) const CLASSES: &str = "deviceclasses.resource.k8s.io";
/// The resource of what drivers offer.
pub(super) const SLICES: &str = "resourceslices.resource.k8s.io";
/// Keeps an allocated claim until nobody uses it.
pub(crate) const FINALIZER: &str = "resource.kubernetes.io/delete-protection";

/// A device: its driver, its pool, its name.
pub(super) type DeviceId = [Text; 3];

/// The devices that a claim has.
pub(super) fn held(claim: &Value) -> impl Iterator<Item = DeviceId> + '_ {
    let results = &claim["status"]["allocation"]["devices"]["results"];
    let id = |r: &Value| ["driver", "pool", "device"].map(|part| r[part].text());
    results.items().iter().map(id)
}

/// The name of the claim that a pod means with one of `spec.resourceClaims`, and whether it was made
/// for the pod; nothing where none is needed (`resourceclaim.Name`).
///
/// # Errors
/// A sentence where the claim is not made yet.
pub(crate) fn claim_name(pod: &Value, entry: &Value) -> Result<Option<(Text, bool)>, String> {
    if !entry["resourceClaimName"].is_empty() {
        return Ok(Some((entry["resourceClaimName"].text(), false)));
    }
    let statuses = pod["status"]["resourceClaimStatuses"].items();
    match statuses.iter().find(|s| s["name"] == entry["name"]) {
        Some(status) if status["resourceClaimName"].is_empty() => Ok(None),
        Some(status) => Ok(Some((status["resourceClaimName"].text(), true))),
        None => Err(format!(
            "pod \"{}/{}\": ResourceClaim not created yet",
            pod.namespace(),
            pod.name()
        )),
    }
}

/// The claims of a pod that there are to be, in its order.
///
/// # Errors
/// A sentence where one is not there, or not the pod's.
pub(super) fn claims<'a>(
    etcd: &'a Etcd,
    pod: &Value,
) -> Result<Vec<(ObjectKey, &'a Value)>, String> {
    let mut found = Vec::new();
    for entry in pod["spec"]["resourceClaims"].items() {
        let Some((name, generated)) = claim_name(pod, entry)? else {
            continue;
        };
        let key = ObjectKey::new(CLAIMS, pod.namespace(), name);
        let Some(claim) = etcd.get(&key) else {
            return Err(format!(
                "could not find ResourceClaim \"{}/{}\"",
                key.namespace, key.name
            ));
        };
        if claim.is_deleting() {
            return Err(format!("resourceclaim \"{}\" is being deleted", key.name));
        }
        if generated && !is_for(claim, pod) {
            let (space, pod) = (&key.namespace, pod.name());
            return Err(format!(
                "ResourceClaim {space}/{} was not created for Pod {space}/{pod} (Pod is not owner)",
                key.name
            ));
        }
        found.push((key, claim));
    }
    Ok(found)
}

/// Whether a claim was made for a pod.
pub(crate) fn is_for(claim: &Value, pod: &Value) -> bool {
    claim
        .controller_ref()
        .is_some_and(|owner| owner.uid() == pod.uid())
}

/// Whether a claim is reserved for a pod.
pub(crate) fn is_reserved_for(claim: &Value, pod: &Value) -> bool {
    let reserved = claim["status"]["reservedFor"].items();
    reserved.iter().any(|r| r["uid"].str() == pod.uid())
}

/// A pod as one of those for whom a claim is reserved.
pub(crate) fn consumer(pod: &Value) -> Value {
    object([
        ("name", pod.name().into()),
        ("resource", "pods".into()),
        ("uid", pod.uid().into()),
    ])
}

/// What a pod's claims ask of its node.
#[derive(Clone, Debug, Default)]
pub(super) struct Devices(Option<Arc<Wanted>>);

#[derive(Debug)]
struct Wanted {
    claims: Vec<Claim>,
    inventory: Inventory,
    taken: Arc<BTreeSet<DeviceId>>,
}

#[derive(Debug)]
struct Claim {
    key: ObjectKey,
    object: Value,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has its devices, which can be used on nodes that one of the terms means, or on all.
    Allocated(Option<Vec<NodeTerm>>),
    Open(Wish),
}

/// What is written once a pod has a node: each of its claims, with the devices that it gets if it has
/// none yet.
pub(super) type Reservations = Vec<(ObjectKey, Option<Value>)>;

impl Devices {
    /// PreFilter. Errors: a sentence, when the pod cannot be put anywhere.
    pub fn new(cache: &Cache, store: Store<'_>, pod: &PodInfo) -> Result<Devices, String> {
        if pod.object["spec"]["resourceClaims"].items().is_empty() {
            return Ok(Devices::default());
        }
        let mut wanted = Wanted {
            claims: Vec::new(),
            inventory: Inventory::default(),
            taken: cache.devices.clone(),
        };
        let (mut requests, mut any) = (0, false);
        for (key, claim) in claims(store.etcd, &pod.object)? {
            let allocation = &claim["status"]["allocation"];
            let state = if allocation.is_null() {
                any = true;
                State::Open(Wish::read(store.etcd, claim, &mut requests)?)
            } else {
                let selector = allocation.get("nodeSelector");
                let terms = |s: &Value| {
                    s["nodeSelectorTerms"]
                        .items()
                        .iter()
                        .map(NodeTerm::read)
                        .collect()
                };
                State::Allocated(selector.map(terms))
            };
            let object = claim.clone();
            wanted.claims.push(Claim { key, object, state });
        }
        if wanted.claims.is_empty() {
            return Ok(Devices::default());
        }
        if any {
            let slices = store.etcd.list(SLICES, None).map(|(_, slice)| slice);
            wanted.inventory = Inventory::of(slices);
        }
        Ok(Devices(Some(Arc::new(wanted))))
    }

    /// Whether any node suits.
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    pub fn filter(&self, node: &NodeInfo) -> Result<(), Failure> {
        let Some(wanted) = &self.0 else {
            return Ok(());
        };
        wanted.allocate(node)?;
        let away = |claim: &Claim| match &claim.state {
            State::Allocated(Some(terms)) => !terms.iter().any(|term| term.matches(node)),
            _ => false,
        };
        match wanted.claims.iter().any(away) {
            true => Err(rejected("resourceclaim not available on the node".into())),
            false => Ok(()),
        }
    }

    /// What the claims get on the chosen node.
    pub fn to_reserve(&self, node: &NodeInfo) -> Reservations {
        let Some(wanted) = &self.0 else {
            return Vec::new();
        };
        let mut new = wanted.allocate(node).unwrap_or_default().into_iter();
        let claims = wanted.claims.iter();
        claims
            .map(|claim| match claim.state {
                State::Open(_) => (claim.key.clone(), new.next()),
                State::Allocated(_) => (claim.key.clone(), None),
            })
            .collect()
    }

    /// The scores of the feasible nodes: the more first choices they have, the better. `None` where
    /// no claim gives a choice.
    pub fn scores(&self, nodes: &[&Arc<NodeInfo>]) -> Option<Vec<i64>> {
        let wanted = self.0.as_ref()?;
        let choices = |claim: &Claim| {
            let requests = claim.object["spec"]["devices"]["requests"].items();
            requests.iter().any(|r| !r["firstAvailable"].is_empty())
        };
        if !wanted.claims.iter().any(choices) {
            return None;
        }
        Some(nodes.iter().map(|node| wanted.score(node)).collect())
    }
}

impl Wanted {
    fn allocate(&self, node: &NodeInfo) -> Result<Vec<Value>, Failure> {
        let open = self.claims.iter().filter_map(|claim| match &claim.state {
            State::Open(wish) => Some(wish),
            State::Allocated(_) => None,
        });
        let open: Vec<&Wish> = open.collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        allocate(&open, &self.inventory, &self.taken, node).map_err(|trouble| match trouble {
            Trouble::OnNode(why) => rejected(why.into()),
            Trouble::Wrong(why) => Failure::unresolvable(Reason::Error(
                format!("running \"DynamicResources\" filter plugin: {why}").into(),
            )),
        })
    }

    /// `computeScore`: the first alternative of a request counts 8, the next 7, …
    fn score(&self, node: &NodeInfo) -> i64 {
        let mut new = self.allocate(node).unwrap_or_default().into_iter();
        let mut sum = 0;
        for claim in &self.claims {
            let allocation = match claim.state {
                State::Open(_) => new.next().unwrap_or_default(),
                State::Allocated(_) => claim.object["status"]["allocation"].clone(),
            };
            let results = allocation["devices"]["results"].items();
            for request in claim.object["spec"]["devices"]["requests"].items() {
                for (at, other) in request["firstAvailable"].items().iter().enumerate() {
                    let name = Request::qualified(request["name"].str(), other["name"].str());
                    if results.iter().any(|r| *r["request"].str() == *name) {
                        sum += 8 - i64::try_from(at).unwrap_or(8);
                    }
                }
            }
        }
        sum
    }
}

fn rejected(why: Text) -> Failure {
    Failure::unresolvable(Reason::Devices(why))
}
