//! Figures of the store alone, by hand.

use std::fs;

use super::*;

/// Figures, by hand: `cargo test --release --lib store::tests::figures -- --ignored --nocapture`.
#[test]
#[ignore = "takes two minutes; a measurement, not a test"]
fn figures() {
    let written = || {
        let io = fs::read_to_string("/proc/self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok()).unwrap()
    };
    let dir = tempfile::tempdir_in(".").unwrap();
    let health = Health::default();
    let store = open(dir.path(), &health, BOOT).store;
    run(async {
        let mut latencies = Vec::new();
        for n in 0..5000 {
            let started = Instant::now();
            store.write(command(n)).await;
            latencies.push(started.elapsed());
        }
        latencies.sort();
        println!("one at a time: p50 {:?} p99 {:?} max {:?}", latencies[2500], latencies[4950], latencies[4999]);
        let started = Instant::now();
        for n in 0..100_000 {
            store.commit(command(n), || {}).await;
        }
        store.write(Batch::default()).await;
        println!("{:.0} commits/s", 100_000.0 / started.elapsed().as_secs_f64());
    });
    checkpoint(&store);
    let before = written();
    for n in 0..1000u64 {
        let mut batch = command(n);
        batch.ops.pop();
        batch.append("default/all", 4096, format!(r#"{{"id":"{n:026}","ts":1719400000000}}"#));
        run(store.write(batch));
        std::thread::sleep(Duration::from_millis(100));
    }
    checkpoint(&store);
    let after = written();
    std::thread::sleep(Duration::from_secs(65));
    let idle = written() - after;
    println!(
        "{} bytes for 1,000 commits at 10/s and a checkpoint more than due; {idle} bytes in 65 s idle",
        after - before
    );
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{:?} {:?}", health.problems(), status.lines().find(|line| line.starts_with("VmRSS")));
}
