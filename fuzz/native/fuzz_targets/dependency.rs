//! The dependency descriptors of one stream: pieces whose control byte says how far sequence and time go on.
#![no_main]

use _native::dependency::DependencyReader;
use libfuzzer_sys::fuzz_target;

mod pieces;

fuzz_target!(|data: &[u8]| {
    let mut reader = DependencyReader::default();
    let (mut sequence, mut timestamp) = (70_000i64, 1_000_000i64);
    for (control, piece) in pieces::pieces(data) {
        sequence += i64::from(control & 7) - 2;
        timestamp += 3000 * (i64::from(control >> 3 & 3) - 1);
        if let Some(told) = reader.read(piece, sequence, timestamp) {
            assert!((0..=3).contains(&told.spatial) && (0..=7).contains(&told.temporal) && told.raises <= 7);
            let Some(whole) = reader.whole.take() else { continue };
            for limits in [None, Some((0, 0)), Some((1, 0)), Some((0, 1)), Some((7, 7))] {
                let passed = whole.rewrite(i32::from(control), limits);
                assert!(passed.len() >= piece.len() && passed.len() <= piece.len() + 5);
            }
        }
    }
});
