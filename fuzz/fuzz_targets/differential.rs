//! What the targets have in common that compare the needle scan with decoding everything.

use std::sync::Arc;

use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector, Severity},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;

/// Those to whom the whole namespaces of the decoys are bait, and those to whom they are not. Making them takes longer than
/// what is done with an input.
pub type Detectors = [Detector; 2];

type Search = fn(&mut Detector, &Block<'_>, Timestamp, &mut Vec<Detection>);

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

pub fn detectors(decoys: &[Decoy]) -> Detectors {
    [true, false].map(|whole_namespace| {
        let decoys: Vec<Decoy> = decoys
            .iter()
            .map(|decoy| Decoy {
                whole_namespace,
                ..decoy.clone()
            })
            .collect();
        Detector::new(&Config::default(), &decoys, None, "fuzz".into())
            .expect("the globs are globs")
    })
}

/// The needle scan finds in `bytes` what decoding each of `lines` finds, which say the same.
pub fn compare(detectors: &Detectors, bytes: &[u8], shape: Shape, lines: &[u8]) {
    for detector in detectors {
        assert_eq!(
            found(detector, Detector::scan, bytes, shape),
            found(detector, Detector::decode_all, lines, Shape::Lines)
        );
    }
}

/// By a detector that has seen nothing before.
fn found(detector: &Detector, search: Search, bytes: &[u8], shape: Shape) -> Vec<Detection> {
    let block = Block {
        bytes,
        shape,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    let (mut detector, mut found) = (detector.another(), Vec::new());
    search(&mut detector, &block, Timestamp::UNIX_EPOCH, &mut found);
    detector.finish(Timestamp::UNIX_EPOCH, &mut found);
    found
}
