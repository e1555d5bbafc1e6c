//! How long the ingress model takes on a large repository. Nothing is asserted here: counts are `tests/scale`'s.

use std::{
    hint::black_box,
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

use workload::workload;

fn model(c: &mut Criterion) {
    let mut all = c.benchmark_group("10000 Ingresses");
    all.sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    for groups in [500, 50] {
        let workload = workload(10_000, groups);
        let manifests = manifest::parse(&workload.snapshot, &ParseOptions::default()).value;
        all.bench_function(format!("model and JSON, {groups} groups"), |b| {
            b.iter(|| {
                let built =
                    group::build::build_all(&manifests, &workload.facts, &workload.settings);
                serde_json::to_vec(&lbc::Models(&black_box(built.into_models())))
            });
        });
    }
    let workload = workload(10_000, 500);
    all.bench_function("YAML to documents", |b| {
        b.iter(|| manifest::parse(black_box(&workload.snapshot), &ParseOptions::default()));
    });
    all.finish();
    after_one_change();
}

/// What a commit that changes one file costs, from its files to the models of all groups.
fn after_one_change() {
    let mut workload = workload(10_000, 500);
    let options = ParseOptions::default();
    let (mut documents, mut groups) = (manifest::Cache::default(), group::cache::Cache::default());
    for round in 0..5 {
        let annotation =
            format!("    alb.ingress.kubernetes.io/healthcheck-path: /ready-{round}\n");
        let text = workload::file(7, 7, &annotation).into_bytes();
        workload.snapshot.files.insert(workload::path(7), text);
        let start = Instant::now();
        let parsed = manifest::parse_changed(&workload.snapshot, &options, &mut documents);
        let read = start.elapsed();
        let built = group::build::build_changed(
            &parsed.value,
            &workload.facts,
            &workload.settings,
            &mut groups,
        );
        let all = start.elapsed();
        black_box(built);
        println!(
            "round {round}: {} files read in {read:.1?}, {} groups built; all in {all:.1?}",
            documents.files_read, groups.groups_built
        );
    }
}

criterion_group!(benches, model);
criterion_main!(benches);
