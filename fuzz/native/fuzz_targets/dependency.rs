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
        }
    }
});
