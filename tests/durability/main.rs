//! Nothing is lost, and nothing is told twice under two ids: the program is killed at random instants, stopped and
//! copied, and afterwards what its sinks hold is compared with what its sources were given.
//!
//! `cargo test` kills a few times. A long round is
//! `BAITLINE_KILLS=100 cargo test --release --test durability -- --nocapture --test-threads 1`; the scenario that needs
//! a broker runs where `BAITLINE_TEST_KAFKA` names one, such as `127.0.0.1:9092`.

mod books;
mod copies;
mod files;
mod instance;
mod kafka;
mod receiver;
mod shippers;
mod stream;

/// How often each scenario kills.
fn kills() -> u32 {
    std::env::var("BAITLINE_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(4)
}
