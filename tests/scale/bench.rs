//! How long the ingress model takes on a large repository. Nothing is asserted here: counts are `tests/scale`'s.

use std::{hint::black_box, time::Duration};

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
}

criterion_group!(benches, model);
criterion_main!(benches);
