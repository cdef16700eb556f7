//! Redundant audio (RFC 2198); see `sfu/red.py`.

use crate::rtp::Malformed;

const MAX_REDUNDANT: usize = 8;
const HEADER: usize = 4;

/// By how many clock units a block is older than its packet, and its data.
pub type Block<'a> = (i64, &'a [u8]);

/// The redundant blocks, the oldest first, and the packet's own data, all of which must be of `payload_type`.
pub fn split(payload: &[u8], payload_type: u8) -> Result<(Vec<Block<'_>>, &[u8]), Malformed> {
    if payload.is_empty() {
        return Ok((Vec::new(), payload)); // padding alone
    }
    let mut headers = Vec::new();
    let mut position = 0;
    loop {
        let head = *payload.get(position).ok_or(Malformed)?;
        if head & 0x7F != payload_type {
            return Err(Malformed);
        }
        if head & 0x80 == 0 {
            position += 1;
            break;
        }
        let rest = payload.get(position + 1..position + HEADER).ok_or(Malformed)?;
        if headers.len() == MAX_REDUNDANT {
            return Err(Malformed);
        }
        let packed = rest.iter().fold(0usize, |packed, byte| packed << 8 | usize::from(*byte));
        headers.push((packed >> 10, packed & 0x3FF));
        position += HEADER;
    }
    let mut blocks = Vec::with_capacity(headers.len());
    for (offset, length) in headers {
        blocks.push((offset as i64, payload.get(position..position + length).ok_or(Malformed)?));
        position += length;
    }
    Ok((blocks, &payload[position..]))
}

/// Another payload type for the headers of all blocks, of which `redundant` are redundant.
pub fn retype(payload: &mut [u8], redundant: u8, payload_type: u8) {
    for place in 0..=usize::from(redundant) {
        if let Some(head) = payload.get_mut(HEADER * place) {
            *head = *head & 0x80 | payload_type;
        }
    }
}
