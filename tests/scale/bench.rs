//! How long the ingress model takes on a large repository, and how much memory. Times are not asserted: the machine may
//! be busy with something else, so the processor's time is printed beside.

use std::{
    env, fs,
    hint::black_box,
    process::{self, Command},
    time::{Duration, Instant},
};

use albsync::{
    manifest::{self, ParseOptions},
    model::{group, lbc},
};
use criterion::{Criterion, criterion_group, criterion_main};

#[allow(dead_code, reason = "some parts are the counting test's")]
#[path = "workload.rs"]
mod workload;

use workload::{Workload, workload};

const INGRESSES: usize = 10_000;

/// Both by the wall and by what all threads had of the processors.
#[derive(Clone, Copy)]
struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu(),
        }
    }

    fn elapsed(self) -> String {
        let (wall, cpu) = (self.wall.elapsed(), cpu() - self.cpu);
        format!("{wall:.1?} (processor {cpu:.1?})")
    }
}

/// Time that the threads have had of the processors; zero where the kernel does not say.
fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|it| it.parse().ok()).unwrap_or(0) / 1024
}

/// Says that this process is a child that measures one workload with that many groups, and nothing else.
const ALONE: &str = "ALBSYNC_BENCH_GROUPS";

fn model(c: &mut Criterion) {
    if let Some(groups) = env::var(ALONE).ok().and_then(|it| it.parse().ok()) {
        whole(groups);
        process::exit(0);
    }
    for groups in [500, 50] {
        alone(groups);
        after_one_change(groups);
    }
    let mut all = c.benchmark_group("10000 Ingresses");
    all.sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    for groups in [500, 50] {
        let workload = workload(INGRESSES, groups);
        let manifests = manifest::parse(&workload.snapshot, &ParseOptions::default()).value;
        all.bench_function(format!("model and JSON, {groups} groups"), |b| {
            b.iter(|| json(&workload, &manifests));
        });
    }
    let workload = workload(INGRESSES, 500);
    all.bench_function("YAML to documents", |b| {
        b.iter(|| manifest::parse(black_box(&workload.snapshot), &ParseOptions::default()));
    });
    all.finish();
}

fn json(workload: &Workload, manifests: &manifest::Manifests) -> Vec<u8> {
    let built = group::build::build_all(manifests, &workload.facts, &workload.settings);
    serde_json::to_vec(&lbc::Models(&black_box(built.into_models()))).expect("JSON")
}

/// [`whole`] in a process of its own: what a process has had at most never falls again.
fn alone(groups: usize) {
    let child = env::current_exe().and_then(|this| {
        let mut child = Command::new(this);
        child.arg("--bench").env(ALONE, groups.to_string()).status()
    });
    assert!(child.is_ok_and(|status| status.success()));
}

/// YAML to JSON, once from the beginning.
fn whole(groups: usize) {
    let workload = workload(INGRESSES, groups);
    let before = peak();
    let start = Clock::start();
    let read = manifest::parse(&workload.snapshot, &ParseOptions::default()).value;
    let to_documents = start.elapsed();
    let peak_of_documents = peak();
    let middle = Clock::start();
    let json = json(&workload, &read);
    println!(
        "{groups} groups: YAML to documents {to_documents}, model and JSON {}, all {}; memory {before} MiB before, \
         {peak_of_documents} MiB with documents, {} MiB at most; JSON has {} MiB",
        middle.elapsed(),
        start.elapsed(),
        peak(),
        json.len() >> 20,
    );
}

/// What a commit that changes one file costs, from its files to the models of all groups.
fn after_one_change(groups: usize) {
    let mut workload = workload(INGRESSES, groups);
    let options = ParseOptions::default();
    let (mut documents, mut models) = (manifest::Cache::default(), group::cache::Cache::default());
    // What a daemon holds of the commit before.
    let mut in_force = None;
    for round in 0..6 {
        let annotation =
            format!("    alb.ingress.kubernetes.io/healthcheck-path: /ready-{round}\n");
        let text = workload::file(7, 7, &annotation).into_bytes();
        let path = workload::path(7);
        workload.snapshot.files.insert(path, text.into());
        let start = Clock::start();
        manifest::named_files(&workload.snapshot);
        let named = start.elapsed();
        let middle = Clock::start();
        let parsed = manifest::parse_changed(&workload.snapshot, &options, &mut documents);
        let read = middle.elapsed();
        let middle = Clock::start();
        let built = group::build::build_changed(
            &parsed.value,
            &workload.facts,
            &workload.settings,
            &mut models,
        );
        println!(
            "{groups} groups, commit {round}: files that are named looked for in {named}, {} files read in {read}, {} groups built in {}; all in {}",
            documents.files_read,
            models.groups_built,
            middle.elapsed(),
            start.elapsed(),
        );
        if round > 0 {
            assert_eq!((documents.files_read, models.groups_built), (1, 1));
        }
        in_force = Some((parsed, built));
    }
    black_box(in_force);
}

criterion_group!(benches, model);
criterion_main!(benches);
