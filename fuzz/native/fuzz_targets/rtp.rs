//! RTP headers with the extensions in them.
#![no_main]

use _native::rtp::{parse_header, Extensions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = parse_header(data) else { return };
    let (start, end) = header.payload;
    assert!(start <= end && end <= data.len() && start >= 12);
    let block = &data[header.extension.0..header.extension.1];
    if let Ok(values) = Extensions::parse(header.profile, block) {
        let told: usize = (1..=255).filter_map(|id| values.get(id)).map(<[u8]>::len).sum();
        assert!(told <= block.len());
    }
});
