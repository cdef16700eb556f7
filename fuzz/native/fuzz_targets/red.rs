//! Redundant audio: a byte with the payload type of its blocks, then the payload.
#![no_main]

use _native::red::{retype, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, payload @ ..] = data else { return };
    let kind = kind & 0x7F;
    let Ok((blocks, own)) = split(payload, kind) else { return };
    if payload.is_empty() {
        return;
    }
    let told: usize = blocks.iter().map(|(_, block)| block.len()).sum();
    assert_eq!(told + own.len() + 4 * blocks.len() + 1, payload.len());
    let mut moved = payload.to_vec();
    retype(&mut moved, blocks.len() as u8, kind ^ 0x55);
    assert_eq!(split(&moved, kind ^ 0x55).expect("the same but for its types"), (blocks, own));
});
