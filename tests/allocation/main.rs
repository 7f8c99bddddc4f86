//! A block without a decoy in it costs not one allocation.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use baitline::{
    config::Decoy,
    detect::{Config, Detector, Severity},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;

struct Counting;

thread_local! {
    /// Of this thread alone: the test harness allocates on its own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn decoys(count: usize) -> Vec<Decoy> {
    let decoy = |index| Decoy {
        namespace: format!("trap-{index}"),
        service_account: format!("bait-{index}-sa"),
        secret: Some(format!("bait-{index}-token")),
        pod: Some(format!("bait-{index}-*")),
        whole_namespace: true,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    };
    (0..count).map(decoy).collect()
}

#[test]
fn a_block_without_a_needle_allocates_nothing() {
    let line = r#"{"kind":"Event","requestURI":"/api?a=1\u0026b=2","user":{"username":"jane"}}"#;
    let clean = [line; 1000].join("\n");
    for count in [1, 64, 500] {
        let mut detector = Detector::new(&Config::default(), &decoys(count), None, "test".into())
            .expect("the globs are globs");
        let mut scan = |bytes: &[u8]| {
            let provenance = |_| Provenance::default();
            let block = Block {
                bytes,
                shape: Shape::Lines,
                header: None,
                first_part: None,
                provenance: &provenance,
            };
            let mut found = Vec::new();
            let before = ALLOCATIONS.get();
            detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
            (found.len(), ALLOCATIONS.get() - before)
        };
        assert_eq!(scan(clean.as_bytes()), (0, 0), "{count} decoys");
        let last = count - 1;
        let hit = format!(
            r#"{{"auditID":"1","verb":"list","user":{{"username":"system:serviceaccount:trap-{last}:bait-{last}-sa"}}}}"#
        );
        let (found, allocations) = scan(format!("{clean}\n{hit}\n{clean}").as_bytes());
        assert_eq!(found, 1, "{count} decoys");
        assert!(allocations > 0, "what is found is counted");
    }
}
