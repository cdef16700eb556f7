//! RFC 4571: a stream in pieces, and all at once, gives the same datagrams.
#![no_main]

use _native::framing::{Deframer, Overlong, MAX_FRAME};
use libfuzzer_sys::fuzz_target;

mod pieces;

fn cut<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Overlong> {
    let (mut deframer, mut found) = (Deframer::default(), Vec::new());
    for part in parts {
        deframer.feed(&mut part.to_vec(), &mut |datagram: &mut [u8]| found.push(datagram.to_vec()))?;
    }
    Ok(found)
}

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = pieces::pieces(data).into_iter().map(|(_, part)| part).collect();
    let whole = parts.concat();
    let found = cut(parts.into_iter());
    assert_eq!(found, cut(std::iter::once(whole.as_slice())));
    if let Ok(found) = found {
        assert!(found.iter().all(|datagram| (1..=MAX_FRAME).contains(&datagram.len())));
    }
});
