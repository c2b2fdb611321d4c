//! Which devices claims get on a node: the first set that satisfies all requests, looked for device by
//! device (`staging/src/k8s.io/dynamic-resource-allocation/structured`).

use std::collections::{BTreeMap, BTreeSet};

use kubarium_objects::custom::cel::{self, Expression};
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::devices::{CLASSES, DeviceId};
use super::node::{NodeInfo, NodeTerm};
use crate::etcd::Etcd;

/// A claim gets no more devices than this (`AllocationResultsMaxSize`).
const MOST: usize = 32;
/// So many devices are tried; the real search ends after ten seconds.
const STEPS: u32 = 20_000;
/// What a request can have that is not simulated.
const NOT_SIMULATED: [&str; 3] = ["adminAccess", "capacity", "derivedAttributes"];

/// Why there is no allocation.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is none on this node.
    OnNode(String),
    /// There can be none at all.
    Wrong(String),
}

// --- What is asked for ------------------------------------------------------------------------------

/// What a claim asks for.
#[derive(Debug)]
pub(super) struct Wish {
    /// `namespace/name`
    name: String,
    spec: Value,
    requests: Vec<Request>,
}

/// Devices of one kind, or the first of several kinds that can be had.
#[derive(Debug)]
pub(super) struct Request {
    alternatives: Vec<Alternative>,
}

#[derive(Debug)]
struct Alternative {
    /// What it is remembered by.
    number: usize,
    /// `request`, or `request/alternative`.
    name: Text,
    class: Text,
    class_config: Value,
    selectors: Vec<Selector>,
    /// How many; all where there is no number.
    count: Option<usize>,
    tolerations: Value,
}

#[derive(Debug)]
struct Selector {
    expression: Option<Expression>,
    /// `class gpu: selector #0`
    name: String,
}

impl Selector {
    fn all<'a>(of: &'a str, list: &'a Value) -> impl Iterator<Item = Selector> + 'a {
        list.items()
            .iter()
            .enumerate()
            .map(move |(at, selector)| Selector {
                expression: Expression::parse(selector["cel"]["expression"].str()).ok(),
                name: format!("{of}: selector #{at}"),
            })
    }
}

impl Request {
    /// The name of an alternative of a request.
    pub fn qualified(request: &str, alternative: &str) -> Text {
        format!("{request}/{alternative}").into()
    }
}

impl Wish {
    /// Reads a claim; `number` counts the alternatives of all claims of a pod. Errors: a sentence,
    /// when it cannot be met anywhere.
    pub fn read(etcd: &Etcd, claim: &Value, number: &mut usize) -> Result<Wish, String> {
        let name = format!("{}/{}", claim.namespace(), claim.name());
        let mut requests = Vec::new();
        for request in claim["spec"]["devices"]["requests"].items() {
            let own = request["name"].str();
            let mut alternatives = Vec::new();
            let exact = request.get("exactly").map(|exactly| (own.into(), exactly));
            let others = request["firstAvailable"].items().iter();
            let others = others.map(|other| (Request::qualified(own, other["name"].str()), other));
            for (full, one) in exact.into_iter().chain(others) {
                *number += 1;
                alternatives.push(Alternative::read(etcd, &name, full, one, *number)?);
            }
            if alternatives.is_empty() {
                return Err(format!(
                    "resource claim {name}, request {own}: unknown request type"
                ));
            }
            requests.push(Request { alternatives });
        }
        Ok(Wish {
            name,
            spec: claim["spec"]["devices"].clone(),
            requests,
        })
    }
}

impl Alternative {
    fn read(
        etcd: &Etcd,
        claim: &str,
        name: Text,
        request: &Value,
        number: usize,
    ) -> Result<Alternative, String> {
        let asks = |field: &&&str| !matches!(request[**field], Value::Null | Value::Bool(false));
        if let Some(field) = NOT_SIMULATED.iter().find(asks) {
            return Err(format!(
                "resource claim {claim}, request {name}: {field} is not simulated yet"
            ));
        }
        let class = request["deviceClassName"].text();
        let Some(found) = etcd.get(&ObjectKey::new(CLASSES, "", class.clone())) else {
            return Err(format!(
                "request {name}: device class {class} does not exist"
            ));
        };
        let of_class = format!("class {class}");
        let of_claim = format!("claim {claim}");
        let selectors = Selector::all(&of_class, &found["spec"]["selectors"]);
        let own = Selector::all(&of_claim, &request["selectors"]);
        let count = request["count"].as_i64().unwrap_or(1);
        Ok(Alternative {
            number,
            name,
            class_config: found["spec"]["config"].clone(),
            selectors: selectors.chain(own).collect(),
            count: match request["allocationMode"].str() {
                "All" => None,
                _ => Some(usize::try_from(count).unwrap_or(0)),
            },
            tolerations: request["tolerations"].clone(),
            class,
        })
    }

    /// Whether it stands the taints of a device.
    fn stands(&self, device: &Value) -> bool {
        let taints = device["taints"].items().iter();
        let mut hard = taints.filter(|t| matches!(t["effect"].str(), "NoSchedule" | "NoExecute"));
        let tolerates = |toleration: &Value, taint: &Value| {
            let fits =
                |field: &str| toleration[field].is_empty() || toleration[field] == taint[field];
            let same_value = toleration["operator"].str() == "Exists"
                || toleration["value"].str() == taint["value"].str();
            fits("effect") && fits("key") && same_value
        };
        hard.all(|taint| self.tolerations.items().iter().any(|t| tolerates(t, taint)))
    }
}

// --- What there is ----------------------------------------------------------------------------------

/// What drivers offer: their slices by node, and those that are not of one node.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    by_node: BTreeMap<Text, Vec<Value>>,
    others: Vec<Value>,
    /// Of each pool the newest generation, and how many slices of it there are.
    pools: BTreeMap<PoolId, (i64, i64)>,
}

/// A driver, and the name of one of its pools.
type PoolId = (Text, Text);

fn pool_id(slice: &Value) -> PoolId {
    let spec = &slice["spec"];
    (spec["driver"].text(), spec["pool"]["name"].text())
}

fn generation(slice: &Value) -> i64 {
    slice["spec"]["pool"]["generation"].as_i64().unwrap_or(0)
}

impl Inventory {
    pub fn of<'a>(slices: impl Iterator<Item = &'a Value>) -> Inventory {
        let mut all = Inventory::default();
        for slice in slices {
            let (newest, count) = all.pools.entry(pool_id(slice)).or_default();
            if generation(slice) > *newest {
                (*newest, *count) = (generation(slice), 0);
            }
            *count += i64::from(generation(slice) == *newest);
            let list = match slice["spec"]["nodeName"].text() {
                node if node.is_empty() => &mut all.others,
                node => all.by_node.entry(node).or_default(),
            };
            list.push(slice.clone());
        }
        all
    }

    /// The pools that a node can reach (`GatherPools`).
    fn reachable(&self, node: &NodeInfo) -> Vec<Pool> {
        let mut pools: BTreeMap<PoolId, Vec<&Value>> = BTreeMap::new();
        let own = self.by_node.get(&node.name).into_iter().flatten();
        let others = self.others.iter().filter(|slice| {
            let spec = &slice["spec"];
            let mut devices = spec["devices"].items().iter();
            let some = spec["perDeviceNodeSelection"].as_bool() == Some(true)
                && devices.any(|device| is_for_node(device, node));
            some || is_for_node(spec, node)
        });
        for slice in own.chain(others) {
            let id = pool_id(slice);
            if self
                .pools
                .get(&id)
                .is_some_and(|(newest, _)| *newest == generation(slice))
            {
                pools.entry(id).or_default().push(slice);
            }
        }
        let pools = pools.into_iter();
        pools
            .map(|(id, slices)| self.pool(id, &slices, node))
            .collect()
    }

    fn pool(&self, id: PoolId, slices: &[&Value], node: &NodeInfo) -> Pool {
        let wanted = slices
            .first()
            .and_then(|s| s["spec"]["pool"]["resourceSliceCount"].as_i64());
        let count = self.pools.get(&id).map(|(_, count)| *count);
        let mut pool = Pool {
            name: format!("{}/{}", id.0, id.1),
            is_incomplete: wanted != count,
            is_invalid: false,
            devices: Vec::new(),
        };
        let mut names = BTreeSet::new();
        for slice in slices {
            let each = slice["spec"]["perDeviceNodeSelection"].as_bool() == Some(true);
            for device in slice["spec"]["devices"].items() {
                pool.is_invalid |= !names.insert(device["name"].text());
                if !each || is_for_node(device, node) {
                    pool.devices.push(Device {
                        id: [id.0.clone(), id.1.clone(), device["name"].text()],
                        place: if each { device } else { &slice["spec"] }.clone(),
                        object: device.clone(),
                    });
                }
            }
        }
        pool
    }
}

/// Whether what a slice or a device says of its nodes means a node.
fn is_for_node(place: &Value, node: &NodeInfo) -> bool {
    let terms = place["nodeSelector"]["nodeSelectorTerms"].items();
    *place["nodeName"].str() == *node.name
        || place["allNodes"].as_bool() == Some(true)
        || terms.iter().any(|term| NodeTerm::read(term).matches(node))
}

#[derive(Debug)]
struct Pool {
    name: String,
    /// Slices of its newest generation are missing.
    is_incomplete: bool,
    /// Two devices have the same name.
    is_invalid: bool,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    id: DeviceId,
    object: Value,
    /// What says on which nodes it can be used.
    place: Value,
}

impl Device {
    /// Whether it is given away in ways that are not simulated.
    fn is_special(&self) -> bool {
        !self.object["consumesCounters"].is_empty()
            || !self.object["bindingConditions"].is_empty()
            || self.object["allowMultipleAllocations"].as_bool() == Some(true)
    }

    /// An attribute by its full name; one without a domain is in the driver's.
    fn attribute(&self, name: &str) -> Option<&Value> {
        let attributes = &self.object["attributes"];
        attributes.get(name).or_else(|| {
            let (domain, own) = name.split_once('/')?;
            attributes.get(own).filter(|_| domain == &*self.id[0])
        })
    }

    /// The device as expressions see it (`dynamic-resource-allocation/cel`).
    fn as_cel(&self) -> Value {
        let by_domain = |fields: &Value, read: fn(&Value) -> Value| {
            let mut domains = Value::new_object();
            for (name, value) in fields.entries() {
                let (domain, own) = name.split_once('/').unwrap_or((&self.id[0], name));
                domains[domain][own] = read(value);
            }
            cel::with_default(domains, Value::new_object())
        };
        object([
            ("allowMultipleAllocations", false.into()),
            (
                "attributes",
                by_domain(&self.object["attributes"], attribute),
            ),
            (
                "capacity",
                by_domain(&self.object["capacity"], |c| {
                    cel::quantity(c["value"].str())
                }),
            ),
            ("driver", (&self.id[0]).into()),
        ])
    }
}

fn attribute(value: &Value) -> Value {
    match value.get("version") {
        Some(version) => cel::version(version.str()),
        None => value
            .entries()
            .first()
            .map(|(_, v)| v.clone())
            .unwrap_or_default(),
    }
}

// --- The search -------------------------------------------------------------------------------------

/// The allocations of some claims on a node: for each its `status.allocation`.
pub(super) fn allocate(
    wishes: &[&Wish],
    inventory: &Inventory,
    taken: &BTreeSet<DeviceId>,
    node: &NodeInfo,
) -> Result<Vec<Value>, Trouble> {
    let pools = inventory.reachable(node);
    let usable = pools
        .iter()
        .filter(|pool| !pool.is_incomplete && !pool.is_invalid);
    let mut search = Search {
        wishes,
        devices: usable.flat_map(|pool| &pool.devices).collect(),
        taken,
        node,
        fits: BTreeMap::new(),
        all: BTreeMap::new(),
        chosen: wishes.iter().map(|_| Vec::new()).collect(),
        steps: 0,
    };
    search.prepare(&pools)?;
    if search.request(0, 0)? {
        return Ok(search.results());
    }
    if pools.iter().any(|pool| pool.is_invalid) {
        return Err(Trouble::OnNode(
            "invalid resource pools were encountered".to_owned(),
        ));
    }
    let why = match search.devices.iter().any(|device| device.is_special()) {
        true => {
            "cannot allocate all claims (devices with counters, shared capacity or binding conditions are not simulated yet)"
        }
        false => "cannot allocate all claims",
    };
    Err(Trouble::OnNode(why.to_owned()))
}

struct Search<'a> {
    wishes: &'a [&'a Wish],
    devices: Vec<&'a Device>,
    taken: &'a BTreeSet<DeviceId>,
    node: &'a NodeInfo,
    /// Whether a device is what an alternative selects.
    fits: BTreeMap<(usize, usize), bool>,
    /// The devices of alternatives that want all.
    all: BTreeMap<usize, Vec<usize>>,
    /// Of each claim the alternatives with the devices that they have got.
    chosen: Vec<Vec<(&'a Alternative, usize)>>,
    steps: u32,
}

impl<'a> Search<'a> {
    /// What can be said before the search (`validateDeviceRequest`).
    fn prepare(&mut self, pools: &[Pool]) -> Result<(), Trouble> {
        for wish in self.wishes {
            let mut sum = 0_usize;
            for request in &wish.requests {
                let mut least = usize::MAX;
                for alternative in &request.alternatives {
                    let at = || format!("claim {}, request {}", wish.name, alternative.name);
                    let count = match alternative.count {
                        Some(count) => count,
                        None => self.want_all(alternative, pools, &at())?,
                    };
                    least = least.min(count);
                }
                if least > MOST - sum {
                    let name = request.alternatives.first().map_or("", |a| &*a.name);
                    return Err(Trouble::Wrong(format!(
                        "claim {}, request {name}: adding {least} devices exceeds the claim limit of {MOST}, with {sum} already accounted for",
                        wish.name
                    )));
                }
                sum += least;
            }
        }
        Ok(())
    }

    fn want_all(
        &mut self,
        alternative: &'a Alternative,
        pools: &[Pool],
        at: &str,
    ) -> Result<usize, Trouble> {
        let asks = |pool: &Pool, state: &str| {
            let name = &pool.name;
            Err(Trouble::OnNode(format!(
                "{at}: asks for all devices, but resource pool {name} is currently {state}"
            )))
        };
        for pool in pools {
            match pool {
                Pool {
                    is_incomplete: true,
                    ..
                } => return asks(pool, "being updated"),
                Pool {
                    is_invalid: true, ..
                } => return asks(pool, "invalid"),
                _ => {}
            }
        }
        let mut all = Vec::new();
        for device in 0..self.devices.len() {
            if self.selects(alternative, device)? {
                all.push(device);
            }
        }
        let count = all.len();
        self.all.insert(alternative.number, all);
        Ok(count)
    }

    /// Sees to a request of a claim, and to all after it.
    fn request(&mut self, claim: usize, request: usize) -> Result<bool, Trouble> {
        let Some(wish) = self.wishes.get(claim) else {
            return Ok(true);
        };
        let Some(found) = wish.requests.get(request) else {
            return self.request(claim + 1, 0);
        };
        for alternative in &found.alternatives {
            if self.device((claim, request), alternative, 0)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the next device of an alternative of which some are found already, and all after it.
    fn device(
        &mut self,
        at: (usize, usize),
        alternative: &'a Alternative,
        found: usize,
    ) -> Result<bool, Trouble> {
        let all = self.all.get(&alternative.number);
        let wanted = all.map_or(alternative.count.unwrap_or(0), Vec::len);
        if wanted == 0 {
            // All of none is nothing.
            return Ok(false);
        }
        if found >= wanted {
            return self.request(at.0, at.1 + 1);
        }
        if wanted - found > MOST - self.chosen[at.0].len() {
            return Ok(false);
        }
        let next = all.and_then(|all| all.get(found)).copied();
        let places = match next {
            Some(place) => place..place + 1,
            None => 0..self.devices.len(),
        };
        for place in places {
            self.steps += 1;
            if self.steps > STEPS {
                let node = &self.node.name;
                return Err(Trouble::Wrong(format!(
                    "node {node}: timed out trying to allocate devices"
                )));
            }
            if !self.is_free(alternative, place)? {
                continue;
            }
            if !self.agrees(at.0, alternative, place) {
                if next.is_some() {
                    return Err(self.contradiction(at.0, alternative, place));
                }
                continue;
            }
            self.chosen[at.0].push((alternative, place));
            if self.device(at, alternative, found + 1)? {
                return Ok(true);
            }
            self.chosen[at.0].pop();
        }
        Ok(false)
    }

    fn contradiction(&self, claim: usize, alternative: &Alternative, place: usize) -> Trouble {
        let device = self.devices[place].id.join("/");
        Trouble::Wrong(format!(
            "claim {}, request {}: cannot add device {device} because a claim constraint would not be satisfied",
            self.wishes[claim].name, alternative.name
        ))
    }

    /// Whether a device can be had for an alternative.
    fn is_free(&mut self, alternative: &Alternative, place: usize) -> Result<bool, Trouble> {
        let device = self.devices[place];
        let mut chosen = self.chosen.iter().flatten();
        Ok(!self.taken.contains(&device.id)
            && !chosen.any(|(_, other)| *other == place)
            && !device.is_special()
            && self.selects(alternative, place)?
            && alternative.stands(&device.object))
    }

    /// Whether a device is what an alternative selects.
    fn selects(&mut self, alternative: &Alternative, place: usize) -> Result<bool, Trouble> {
        let at = (alternative.number, place);
        if let Some(known) = self.fits.get(&at) {
            return Ok(*known);
        }
        let device = self.devices[place];
        let mut fits = true;
        if !alternative.selectors.is_empty() {
            let names = [("device", device.as_cel())];
            for selector in &alternative.selectors {
                fits = fits && selector.matches(&names, device)?;
            }
        }
        self.fits.insert(at, fits);
        Ok(fits)
    }

    /// Whether a device goes with those that its claim has got, by the claim's constraints.
    fn agrees(&self, claim: usize, alternative: &Alternative, place: usize) -> bool {
        let constraints = self.wishes[claim].spec["constraints"].items();
        constraints.iter().all(|constraint| {
            let means = |name: &str| {
                let requests = constraint["requests"].items();
                let base = name.split('/').next().unwrap_or(name);
                requests.is_empty() || requests.iter().any(|r| [name, base].contains(&r.str()))
            };
            if !means(&alternative.name) {
                return true;
            }
            let (name, same) = match constraint.get("matchAttribute") {
                Some(name) => (name.str(), true),
                None => (constraint["distinctAttribute"].str(), false),
            };
            let Some(own) = self.devices[place].attribute(name) else {
                return false;
            };
            let others = self.chosen[claim]
                .iter()
                .filter(|(other, _)| means(&other.name));
            let mut others = others.map(|(_, place)| self.devices[*place].attribute(name));
            others.all(|other| (other == Some(own)) == same)
        })
    }

    fn results(&self) -> Vec<Value> {
        let claims = self.wishes.iter().zip(&self.chosen);
        claims
            .map(|(wish, chosen)| self.result(wish, chosen))
            .collect()
    }

    fn result(&self, wish: &Wish, chosen: &[(&Alternative, usize)]) -> Value {
        let result = |(alternative, place): &(&Alternative, usize)| {
            let [driver, pool, device] = &self.devices[*place].id;
            let mut result = object([
                ("device", device.into()),
                ("driver", driver.into()),
                ("pool", pool.into()),
                ("request", (&alternative.name).into()),
            ]);
            if !alternative.tolerations.is_empty() {
                result["tolerations"] = alternative.tolerations.clone();
            }
            result
        };
        let results: Vec<Value> = chosen.iter().map(result).collect();
        let mut devices = object([("results", results.into())]);
        let config = config(wish, chosen);
        if !config.is_empty() {
            devices["config"] = config.into();
        }
        let mut allocation = object([("devices", devices)]);
        let places = chosen.iter().map(|(_, place)| &self.devices[*place].place);
        if let Some(selector) = node_selector(places) {
            allocation["nodeSelector"] = selector;
        }
        allocation
    }
}

impl Selector {
    fn matches(&self, names: &[(&str, Value)], device: &Device) -> Result<bool, Trouble> {
        let name = &self.name;
        let Some(expression) = &self.expression else {
            return Err(Trouble::Wrong(format!(
                "{name}: CEL compile error: this expression is not simulated yet"
            )));
        };
        match expression.evaluate(names) {
            Ok(Value::Bool(matches)) => Ok(matches),
            Ok(_) => Ok(false),
            Err(why) => Err(Trouble::Wrong(format!(
                "{name} on device {}: CEL runtime error: {why}",
                device.id.join("/")
            ))),
        }
    }
}

/// What drivers are told: of each class once, and of the claim where it means a request that is met.
fn config(wish: &Wish, chosen: &[(&Alternative, usize)]) -> Vec<Value> {
    let mut classes: Vec<(&Alternative, Vec<Text>)> = Vec::new();
    let mut met: Vec<&Text> = Vec::new();
    for (alternative, _) in chosen {
        if met.contains(&&alternative.name) {
            continue;
        }
        met.push(&alternative.name);
        match classes
            .iter_mut()
            .find(|(other, _)| other.class == alternative.class)
        {
            Some((_, names)) => names.push(alternative.name.clone()),
            None => classes.push((alternative, vec![alternative.name.clone()])),
        }
    }
    let mut all = Vec::new();
    let mut add = |config: &Value, source: &str, requests: &[Text]| {
        let mut entry = object([
            ("opaque", config["opaque"].clone()),
            ("source", source.into()),
        ]);
        // What is for all requests names none.
        let names = |name: &Text| {
            let base = name.split('/').next().unwrap_or(name);
            requests.iter().any(|r| r == name || **r == *base)
        };
        if !requests.is_empty() && !met.iter().all(|name| names(name)) {
            let requests = requests.iter().map(Value::from);
            entry["requests"] = requests.collect::<Vec<_>>().into();
        }
        all.push(entry);
    };
    for (class, names) in &classes {
        let entries = class.class_config.items().iter();
        entries.for_each(|entry| add(entry, "FromClass", names));
    }
    for entry in wish.spec["config"].items() {
        let requests: Vec<Text> = entry["requests"].items().iter().map(Value::text).collect();
        let base = |name: &Text| name.split('/').next().unwrap_or(name).to_owned();
        let meant = |name: &&Text| requests.iter().any(|r| r == *name || **r == *base(name));
        if requests.is_empty() || met.iter().any(meant) {
            add(entry, "FromClaim", &requests);
        }
    }
    all
}

/// Where the devices can be used together; everywhere, where nothing is said (`createNodeSelector`).
fn node_selector<'a>(places: impl Iterator<Item = &'a Value>) -> Option<Value> {
    let term = |term: Value| object([("nodeSelectorTerms", vec![term].into())]);
    let mut together = Value::new_object();
    for place in places {
        if !place["nodeName"].is_empty() {
            let own = object([
                ("key", "metadata.name".into()),
                ("operator", "In".into()),
                ("values", vec![place["nodeName"].clone()].into()),
            ]);
            return Some(term(object([("matchFields", vec![own].into())])));
        }
        let said = &place["nodeSelector"]["nodeSelectorTerms"][0];
        for field in ["matchFields", "matchExpressions"] {
            for requirement in said[field].items() {
                if !together[field].items().contains(requirement) {
                    together[field].push(requirement.clone());
                }
            }
        }
    }
    let said = |field: &str| !together[field].items().is_empty();
    (said("matchFields") || said("matchExpressions")).then(|| term(together.clone()))
}
