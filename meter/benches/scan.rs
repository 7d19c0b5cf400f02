//! How fast bodies are scanned.

mod cases;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    for case in cases::bodies() {
        group.throughput(Throughput::Bytes(case.bytes()));
        group.bench_function(case.name, |bencher| bencher.iter(|| case.run()));
    }
}

criterion_group!(benches, scan);
criterion_main!(benches);
