//! What the ingress model costs, as counts: allocations and what is done again after a change. Times are the benchmark's
//! (`cargo bench --no-default-features`).

use std::io;

use albsync::{
    manifest::{self, Manifests, ParseOptions},
    model::{group, lbc},
    problem::codes,
};

#[allow(dead_code, reason = "some parts are the benchmark's")]
mod workload;

use workload::{PATHS, Workload, workload};

/// Allocations of LBC's own builder for 10,000 Ingresses with 4 paths each and 40,000 Services, with its look-ups
/// mocked and no YAML read.
const PEER_ALLOCATIONS: u64 = 13_400_000;
const INGRESSES: usize = 10_000;

/// Documents and facts to the model of all groups, and that to LBC's JSON.
fn model_and_json(workload: &Workload, manifests: &Manifests) -> usize {
    let built = group::build::build_all(manifests, &workload.facts, &workload.settings);
    assert!(built.problems.is_empty(), "{:?}", built.problems.first());
    let models = built.into_models();
    let mut sink = Count(0);
    serde_json::to_writer(&mut sink, &lbc::Models(&models)).expect("counting cannot fail");
    sink.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the work allocates, all of it on one thread: the counter sees no other.
fn counted(work: impl FnOnce() + Send) -> allocation_counter::AllocationInfo {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1);
    let one = one.build().expect("a thread");
    one.install(|| allocation_counter::measure(work))
}

fn allocations(ingresses: usize, groups: usize) -> u64 {
    let workload = workload(ingresses, groups);
    let manifests = workload::documents(ingresses, groups);
    let mut bytes = 0;
    let cost = counted(|| bytes = model_and_json(&workload, &manifests));
    // Each path's rule, target group and binding is in it.
    assert!(bytes > ingresses * PATHS * 500, "only {bytes} bytes");
    cost.count_total
}

#[test]
fn a_large_model_takes_a_fifth_of_the_peers_allocations_and_grows_no_faster_than_the_repository() {
    let per_ingress = |ingresses: usize, groups: usize| {
        let count = allocations(ingresses, groups);
        println!(
            "{ingresses} Ingresses in {groups} groups: {count} allocations, {:.1} a path",
            count as f64 / (ingresses * PATHS) as f64
        );
        count as f64 / ingresses as f64
    };
    let each = [1_000, 2_000, 5_000, INGRESSES]
        .map(|ingresses| (ingresses, per_ingress(ingresses, ingresses / 20)));
    let (_, first) = each[0];
    for (ingresses, one) in each {
        assert!(
            (one / first - 1.0).abs() < 0.1,
            "{ingresses} Ingresses: {one} each, {first} with the fewest"
        );
    }
    let few_groups = per_ingress(INGRESSES, 50);
    for one in each.map(|(_, one)| one).into_iter().chain([few_groups]) {
        let all = one * INGRESSES as f64;
        assert!(
            all <= PEER_ALLOCATIONS as f64 / 5.0,
            "{all:.0} allocations for {INGRESSES} Ingresses"
        );
    }
}

#[test]
fn after_a_change_of_one_file_one_file_is_read_and_one_group_is_built() {
    for groups in [500, 50] {
        after_one_change(groups);
    }
}

fn after_one_change(groups: usize) {
    let mut workload = workload(INGRESSES, groups);
    let options = ParseOptions::default();
    let (mut cache, mut models) = (manifest::Cache::default(), group::cache::Cache::default());
    let read = manifest::parse_changed(&workload.snapshot, &options, &mut cache).value;
    assert_eq!(cache.files_read, workload.snapshot.files.len());
    let (facts, settings) = (&workload.facts, &workload.settings);
    group::build::build_changed(&read, facts, settings, &mut models);
    assert_eq!(models.groups_built, groups);
    let annotation = "    alb.ingress.kubernetes.io/healthcheck-path: /ready\n";
    let text = workload::file(7, 7, annotation).into_bytes();
    let path = workload::path(7);
    workload.snapshot.files.insert(path, text.into());
    let cost = counted(|| {
        let read = manifest::parse_changed(&workload.snapshot, &options, &mut cache);
        assert_eq!(cache.files_read, 1);
        let changed = read.value.ingresses.iter().filter(|ingress| {
            let path = &ingress.options.target_group.health_check_path;
            path.as_ref().is_some_and(|path| path.text == "/ready")
        });
        assert_eq!(changed.count(), 1);
        let built = group::build::build_changed(&read.value, facts, settings, &mut models);
        assert_eq!(models.groups_built, 1);
        let is_changed = |it: &&group::TargetGroup| it.health_check.path == "/ready";
        let models = built.into_models();
        let target_groups = models.values().flat_map(|it| it.target_groups.values());
        assert_eq!(target_groups.filter(is_changed).count(), PATHS);
    });
    // Nothing is made anew for each document.
    let allocations = cost.count_total as usize;
    println!("{groups} groups: {allocations} allocations after a change of one file");
    let of_members = INGRESSES / groups * 400;
    assert!(allocations < INGRESSES + of_members, "{allocations}");
}

/// Allocations of a group in which one Ingress's `/` takes all requests of another's paths.
fn allocations_of_shadows(paths: usize) -> u64 {
    let mut workload = workload(1, 1);
    let ingress = |name: &str, paths: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  namespace: team-00
  name: {name}
  annotations:
    alb.ingress.kubernetes.io/group.name: group-000
spec:
  ingressClassName: alb
  rules:
  - http:
      paths:
{paths}"
        )
    };
    let path = |path: &str| {
        format!(
            "      - {{path: {path}, pathType: Prefix, backend: {{service: {{name: app-00000-0, port: {{number: 80}}}}}}}}\n"
        )
    };
    let narrow: String = (0..paths)
        .map(|number| path(&format!("/{number:05}")))
        .collect();
    // In the order of their names, the wide one first.
    let text = ingress("a", &path("/")) + "---\n" + &ingress("z", &narrow);
    workload
        .snapshot
        .files
        .insert("shadows.yaml".into(), text.into_bytes().into());
    let read = manifest::parse(&workload.snapshot, &ParseOptions::default());
    assert!(read.problems.is_empty(), "{:?}", read.problems.first());
    let mut told = 0;
    let cost = counted(|| {
        let built = group::build::build_all(&read.value, &workload.facts, &workload.settings);
        let shadows = built.problems.iter();
        told = shadows
            .filter(|problem| problem.code == codes::SHADOWED_RULE)
            .count();
    });
    // Those of the workload's own Ingress too.
    assert_eq!(told, paths + PATHS);
    cost.count_total
}

#[test]
fn shadowed_rules_cost_no_more_each_where_there_are_more_of_them() {
    let counts = [250, 500, 1_000].map(allocations_of_shadows);
    println!("{counts:?} allocations for 250, 500 and 1000 shadowed paths");
    for pair in counts.windows(2) {
        assert!(pair[1] as f64 <= pair[0] as f64 * 2.2, "{counts:?}");
    }
}
