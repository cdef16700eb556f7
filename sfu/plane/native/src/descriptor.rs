//! What VP8 (RFC 7741) and VP9 (RFC 9628) payload descriptors tell about a packet's place among the layers of its
//! stream; see `sfu/descriptor.py` for the fields.

/// Higher than any layer.
pub const ALL: i32 = 7;

#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    pub spatial: i32,
    pub temporal: i32,
    pub end: bool,
    pub fresh: bool,
    pub raises: i32,
    pub sync: bool,
    /// VP8 and VP9 picture id; -1: none.
    pub picture: i32,
    pub picture_at: usize,
    pub picture_bits: u8,
    pub tl0: i32,
    pub tl0_at: usize,
}

impl Default for Descriptor {
    fn default() -> Self {
        Descriptor {
            spatial: 0,
            temporal: 0,
            end: false,
            fresh: false,
            raises: -1,
            sync: false,
            picture: -1,
            picture_at: 0,
            picture_bits: 15,
            tl0: -1,
            tl0_at: 0,
        }
    }
}

/// Picture id at `position`, and what comes after it.
fn picture(payload: &[u8], position: usize, out: &mut Descriptor) -> Option<usize> {
    out.picture_at = position;
    let first = i32::from(*payload.get(position)?);
    if first & 0x80 != 0 {
        out.picture = (first & 0x7F) << 8 | i32::from(*payload.get(position + 1)?);
        return Some(position + 2);
    }
    out.picture = first;
    out.picture_bits = 7;
    Some(position + 1)
}

/// None for a truncated one.
pub fn vp8(payload: &[u8]) -> Option<Descriptor> {
    let size = payload.len();
    if size < 2 {
        return None;
    }
    let mut out = Descriptor::default();
    let mut position = 1;
    if payload[0] & 0x80 != 0 {
        let flags = payload[1];
        position = 2;
        if flags & 0x80 != 0 {
            if size < position + 2 {
                return None;
            }
            position = picture(payload, position, &mut out)?;
        }
        if flags & 0x40 != 0 {
            out.tl0 = i32::from(*payload.get(position)?);
            out.tl0_at = position;
            position += 1;
        }
        if flags & 0x30 != 0 {
            let byte = *payload.get(position)?;
            if flags & 0x20 != 0 {
                out.temporal = i32::from(byte >> 6);
                out.sync = byte & 0x20 != 0;
            }
            position += 1;
        }
    }
    // The frame tag's first bit: after a key frame nothing depends on what was before.
    let body = payload.get(position)?;
    let key = payload[0] & 0x17 == 0x10 && body & 0x01 == 0;
    out.fresh = key;
    out.raises = if key { ALL } else { -1 };
    Some(out)
}

/// None for a truncated one.
pub fn vp9(payload: &[u8]) -> Option<Descriptor> {
    if payload.len() < 2 {
        return None;
    }
    let first = payload[0];
    let mut out = Descriptor::default();
    let mut up = false;
    let mut position = 1;
    if first & 0x80 != 0 {
        position = picture(payload, position, &mut out)?;
    }
    if first & 0x20 != 0 {
        let layers = *payload.get(position)?;
        out.temporal = i32::from(layers >> 5);
        up = layers & 0x10 != 0;
        out.spatial = i32::from(layers >> 1 & 7);
        position += 1;
        if first & 0x10 == 0 {
            out.tl0 = i32::from(*payload.get(position)?);
            out.tl0_at = position;
            position += 1;
        }
    }
    payload.get(position)?;
    out.fresh = first & 0x40 == 0;
    out.end = first & 0x04 != 0;
    out.raises = if up || (out.fresh && out.spatial == 0) { ALL } else { -1 };
    Some(out)
}

/// Subtracts from the picture id and TL0PICIDX of a payload, in place.
pub fn rewrite(payload: &mut [u8], descriptor: &Descriptor, pictures: i32, tl0: i32) {
    if descriptor.picture >= 0 {
        let at = descriptor.picture_at;
        if descriptor.picture_bits == 15 {
            let number = (descriptor.picture - pictures) & 0x7FFF;
            payload[at] = 0x80 | (number >> 8) as u8;
            payload[at + 1] = number as u8;
        } else {
            payload[at] = ((descriptor.picture - pictures) & 0x7F) as u8;
        }
    }
    if descriptor.tl0 >= 0 {
        payload[descriptor.tl0_at] = (descriptor.tl0 - tl0) as u8;
    }
}
