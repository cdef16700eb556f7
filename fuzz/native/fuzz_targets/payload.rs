//! Payload descriptors and key frames: a byte that picks the codec, two to move counters by, then the payload.
#![no_main]

use _native::descriptor::{rewrite, vp8, vp9};
use _native::keyframe::KeyframeTest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [codec, pictures, tl0, payload @ ..] = data else { return };
    let (name, sets) =
        [("VP8", false), ("VP9", false), ("H264", false), ("H264", true), ("AV1", false)][usize::from(*codec) % 5];
    let _ = KeyframeTest::of(name, sets).expect("known").starts(payload);
    let read = match name {
        "VP8" => vp8,
        "VP9" => vp9,
        _ => return,
    };
    let Some(found) = read(payload) else { return };
    let (pictures, tl0) = (i32::from(*pictures) << 7 | 5, i32::from(*tl0));
    let mut moved = payload.to_vec();
    rewrite(&mut moved, &found, pictures, tl0);
    let again = read(&moved).expect("still well-formed");
    assert_eq!(
        (again.spatial, again.temporal, again.end, again.fresh),
        (found.spatial, found.temporal, found.end, found.fresh)
    );
    assert_eq!(
        (again.picture_at, again.picture_bits, again.tl0_at),
        (found.picture_at, found.picture_bits, found.tl0_at)
    );
    if found.picture >= 0 {
        let mask = if found.picture_bits == 15 { 0x7FFF } else { 0x7F };
        assert_eq!(again.picture, (found.picture - pictures) & mask);
    }
});
