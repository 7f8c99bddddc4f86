//! What the targets have in common that compare the needle scan with decoding everything.

use std::sync::Arc;

use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector, Severity},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;

pub fn decoy(namespace: &str, service_account: &str) -> Decoy {
    Decoy {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        secret: None,
        pod: None,
        whole_namespace: true,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    }
}

/// The needle scan finds in `bytes` what decoding every record finds, whether or not the whole namespaces are bait.
pub fn compare(decoys: &[Decoy], bytes: &[u8]) {
    for whole_namespace in [true, false] {
        let decoys: Vec<Decoy> = decoys
            .iter()
            .map(|decoy| Decoy {
                whole_namespace,
                ..decoy.clone()
            })
            .collect();
        assert_eq!(run(&decoys, bytes, false), run(&decoys, bytes, true));
    }
}

fn run(decoys: &[Decoy], bytes: &[u8], decode_all: bool) -> Vec<Detection> {
    let mut detector =
        Detector::new(&Config::default(), decoys, None, "fuzz".into()).expect("the globs are globs");
    let block = Block {
        bytes,
        shape: Shape::Lines,
        provenance: &|_| Provenance::default(),
    };
    let mut found = Vec::new();
    if decode_all {
        detector.decode_all(&block, Timestamp::UNIX_EPOCH, &mut found);
    } else {
        detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
    }
    found
}
