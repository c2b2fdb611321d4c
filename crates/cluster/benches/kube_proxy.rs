//! How long a sync takes: Services with ten endpoints each.

use divan::Bencher;
use kubarium_cluster::Time;
use kubarium_cluster::kube_proxy::{
    Config, Family, Memory, NftChainsCache, NftSync, NodeInfo, ServiceChainsCache, State, Sync,
};
use kubarium_linux::netfilter::Netfilter;
use kubarium_objects::Value;

fn main() {
    divan::main();
}

const ENDPOINTS: usize = 10;

fn objects(services: usize) -> Vec<Value> {
    let mut objects = Vec::new();
    for n in 0..services {
        let (a, b) = (n / 250, n % 250);
        objects.push(format!(
            r#"{{"kind":"Service","metadata":{{"namespace":"default","name":"web-{n}"}},
                "spec":{{"clusterIP":"10.43.{a}.{b}","ports":[{{"name":"http","port":80}}]}}}}"#
        ));
        let endpoints: Vec<String> = (0..ENDPOINTS)
            .map(|i| {
                format!(
                    r#"{{"addresses":["10.{}.{b}.{i}"],"nodeName":"node-{i}"}}"#,
                    100 + a
                )
            })
            .collect();
        objects.push(format!(
            r#"{{"kind":"EndpointSlice","addressType":"IPv4","ports":[{{"name":"http","port":8080}}],
                "metadata":{{"namespace":"default","name":"web-{n}-x","labels":{{"kubernetes.io/service-name":"web-{n}"}}}},
                "endpoints":[{}]}}"#,
            endpoints.join(",")
        ));
    }
    objects
        .iter()
        .filter_map(|text| Value::from_json(text).ok())
        .collect()
}

fn state(services: usize) -> State {
    State::from_objects(Family::Ipv4, objects(services).iter())
}

fn sync(state: &State, cache: &mut ServiceChainsCache, tables: &mut Netfilter) {
    let (config, node) = (Config::default(), NodeInfo::from_object(&Value::Null));
    let mut sync = Sync {
        config: &config,
        node: &node,
        state,
        cache,
        remove_stale: true,
    };
    let _ = divan::black_box(sync.full(tables));
}

fn nft_sync(state: &State, cache: &mut NftChainsCache, tables: &mut Netfilter) {
    let (config, node) = (Config::default(), NodeInfo::from_object(&Value::Null));
    let mut sync = NftSync {
        config: &config,
        node: &node,
        state,
        cache,
        memory: &mut Memory::default(),
        at: Time(0),
    };
    let _ = divan::black_box(sync.full(tables));
}

/// Reading the objects.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5)]
fn read(bencher: Bencher, services: usize) {
    let objects = objects(services);
    bencher.bench_local(|| State::from_objects(Family::Ipv4, objects.iter()));
}

/// The first sync of the first node: every rule is made.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5)]
fn full_sync(bencher: Bencher, services: usize) {
    let state = state(services);
    bencher.bench_local(|| {
        let mut tables = Netfilter::default();
        sync(&state, &mut ServiceChainsCache::default(), &mut tables);
        tables
    });
}

/// The first sync of another node: rules are shared with the first.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5)]
fn full_sync_of_another_node(bencher: Bencher, services: usize) {
    let state = state(services);
    let mut cache = ServiceChainsCache::default();
    sync(&state, &mut cache, &mut Netfilter::default());
    bencher.bench_local(|| {
        let mut tables = Netfilter::default();
        sync(&state, &mut cache, &mut tables);
        tables
    });
}

/// The first sync of the first node in the nftables mode.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5)]
fn nftables_full_sync(bencher: Bencher, services: usize) {
    let state = state(services);
    bencher.bench_local(|| {
        let mut tables = Netfilter::default();
        nft_sync(&state, &mut NftChainsCache::default(), &mut tables);
        tables
    });
}

/// The first sync of another node in the nftables mode.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5)]
fn nftables_full_sync_of_another_node(bencher: Bencher, services: usize) {
    let state = state(services);
    let mut cache = NftChainsCache::default();
    nft_sync(&state, &mut cache, &mut Netfilter::default());
    bencher.bench_local(|| {
        let mut tables = Netfilter::default();
        nft_sync(&state, &mut cache, &mut tables);
        tables
    });
}
