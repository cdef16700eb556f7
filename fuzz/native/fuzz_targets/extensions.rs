//! Header extensions of both forms: two bytes of profile, then the block.
#![no_main]

use _native::rtp::Extensions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [high, low, block @ ..] = data else { return };
    if let Ok(values) = Extensions::parse(u16::from_be_bytes([*high, *low]), block) {
        for id in 0..=255 {
            assert!(values.get(id).is_none_or(|value| value.len() <= block.len()));
        }
    }
});
