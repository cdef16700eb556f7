//! Sealing what no well-behaved peer would send.

use _native::srtp::Srtp;

/// Seals in place; false where the bytes cannot be sealed at all, and then they are as before.
pub fn seal(srtp: &mut Srtp, data: &mut Vec<u8>, rtcp: bool) -> bool {
    let before = data.clone();
    let done = if rtcp { data.len() >= 8 && srtp.seal_rtcp(data, 0).is_ok() } else { seal_rtp(srtp, data) };
    if !done {
        *data = before;
    }
    done
}

fn seal_rtp(srtp: &mut Srtp, data: &mut Vec<u8>) -> bool {
    let Some(header) = header(data) else { return false };
    let slot = srtp.slot(u32::from_be_bytes([data[8], data[9], data[10], data[11]]));
    srtp.seal_rtp(slot, data, 0, header).is_ok()
}

/// Where SRTP begins to encrypt, whatever else is wrong with the packet.
fn header(data: &[u8]) -> Option<usize> {
    let mut at = 12 + 4 * usize::from(data.first()? & 0x0F);
    if data[0] & 0x10 != 0 {
        let words = data.get(at + 2..at + 4)?;
        at += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (at <= data.len() && data.len() >= 12).then_some(at)
}
