//! What an event of a stream costs: the time per element.

mod cases;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn sse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sse");
    for case in cases::streams() {
        group.throughput(Throughput::Elements(case.events()));
        group.bench_function(case.name, |bencher| bencher.iter(|| case.run()));
    }
}

criterion_group!(benches, sse);
criterion_main!(benches);
