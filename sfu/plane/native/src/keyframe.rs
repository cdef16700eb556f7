//! Where a video key frame starts, told from RTP payloads: VP8, VP9, H264 and AV1; see `sfu/keyframe.py`.

/// Whether a payload is the first of a key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyframeTest {
    Vp8,
    Vp9,
    /// Parameter sets count as the start.
    H264,
    /// They came in the SDP, so that an IDR picture may stand alone.
    H264Idr,
    Av1,
}

impl KeyframeTest {
    /// None for codecs that are not known here.
    pub fn of(codec: &str, parameter_sets: bool) -> Option<Self> {
        match codec.to_uppercase().as_str() {
            "VP8" => Some(KeyframeTest::Vp8),
            "VP9" => Some(KeyframeTest::Vp9),
            "H264" if parameter_sets => Some(KeyframeTest::H264Idr),
            "H264" => Some(KeyframeTest::H264),
            "AV1" => Some(KeyframeTest::Av1),
            _ => None,
        }
    }

    pub fn starts(self, payload: &[u8]) -> bool {
        match self {
            KeyframeTest::Vp8 => vp8(payload).unwrap_or(false),
            KeyframeTest::Vp9 => vp9(payload).unwrap_or(false),
            KeyframeTest::H264 => h264(payload, |kind| kind == 7),
            KeyframeTest::H264Idr => h264(payload, |kind| kind == 7 || kind == 5),
            KeyframeTest::Av1 => payload.len() > 1 && payload[0] & 0x88 == 0x08,
        }
    }
}

fn vp8(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    if first & 0x10 == 0 || first & 0x07 != 0 {
        return None;
    }
    let mut position = 1;
    if first & 0x80 != 0 {
        let flags = *payload.get(1)?;
        position = 2;
        if flags & 0x80 != 0 {
            position += if payload.get(position)? & 0x80 != 0 { 2 } else { 1 };
        }
        position += usize::from(flags & 0x40 != 0) + usize::from(flags & 0x30 != 0);
    }
    Some(payload.get(position)? & 0x01 == 0)
}

fn vp9(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    if first & 0x08 == 0 || first & 0x40 != 0 {
        return None;
    }
    if first & 0x20 == 0 {
        return Some(true);
    }
    let mut position = 1;
    if first & 0x80 != 0 {
        position += if payload.get(position)? & 0x80 != 0 { 2 } else { 1 };
    }
    Some(payload.get(position)? >> 1 & 0x07 == 0)
}

fn h264(payload: &[u8], wanted: fn(u8) -> bool) -> bool {
    let Some(first) = payload.first() else { return false };
    let kind = first & 0x1F;
    match kind {
        24 | 25 => {
            let mut position = if kind == 24 { 1 } else { 3 };
            while position + 2 < payload.len() {
                if wanted(payload[position + 2] & 0x1F) {
                    return true;
                }
                position += 2 + usize::from(u16::from_be_bytes([payload[position], payload[position + 1]]));
            }
            false
        }
        28 | 29 => payload.get(1).is_some_and(|head| head & 0x80 != 0 && wanted(head & 0x1F)),
        _ => wanted(kind),
    }
}
