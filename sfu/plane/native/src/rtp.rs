//! RTP headers (RFC 3550, section 5.1) and header extensions (RFC 8285), read and written.

/// Bytes from the network that are not what they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub const NO_LEVEL: i16 = -1;

#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Marker bit and payload type.
    pub second: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Of the header extension; 0: none.
    pub profile: u16,
    pub extension: (usize, usize),
    pub payload: (usize, usize),
}

pub fn parse_header(data: &[u8]) -> Result<Header, Malformed> {
    let size = data.len();
    if size < 12 || data[0] & 0xC0 != 0x80 {
        return Err(Malformed);
    }
    let mut position = 12 + 4 * usize::from(data[0] & 0x0F);
    let (mut profile, mut extension) = (0, (0, 0));
    if data[0] & 0x10 != 0 {
        if size < position + 4 {
            return Err(Malformed);
        }
        profile = be16(data, position);
        let start = position + 4;
        position = start + 4 * usize::from(be16(data, position + 2));
        extension = (start, position);
    }
    let mut end = size;
    if data[0] & 0x20 != 0 {
        let padding = usize::from(data[size - 1]);
        if padding == 0 || padding > size {
            return Err(Malformed);
        }
        end -= padding;
    }
    if position > end {
        return Err(Malformed);
    }
    Ok(Header {
        second: data[1],
        sequence: be16(data, 2),
        timestamp: be32(data, 4),
        ssrc: be32(data, 8),
        profile,
        extension,
        payload: (position, end),
    })
}

#[inline]
pub fn be16(data: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([data[at], data[at + 1]])
}

#[inline]
pub fn be32(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

/// Header extensions of one packet, checked as a whole.
#[derive(Clone, Copy)]
pub struct Extensions<'a> {
    profile: u16,
    data: &'a [u8],
}

impl<'a> Extensions<'a> {
    pub fn parse(profile: u16, data: &'a [u8]) -> Result<Self, Malformed> {
        let extensions = Extensions { profile, data };
        extensions.scan(|_, _| false)?;
        Ok(extensions)
    }

    /// The value of the first extension with this id.
    pub fn get(&self, id: u8) -> Option<&'a [u8]> {
        let mut found = None;
        let _ = self.scan(|present, value| {
            if present == id {
                found = Some(value);
            }
            present == id
        });
        found
    }

    fn scan(&self, mut stop: impl FnMut(u8, &'a [u8]) -> bool) -> Result<(), Malformed> {
        let (data, size) = (self.data, self.data.len());
        let one_byte = self.profile == 0xBEDE;
        if !one_byte && self.profile & 0xFFF0 != 0x1000 {
            return Ok(());
        }
        let mut position = 0;
        while position < size {
            let head = data[position];
            position += 1;
            let id = if one_byte { head >> 4 } else { head };
            if id == 0 {
                continue; // padding
            }
            let length = if one_byte {
                if id == 15 {
                    break; // reserved: stop here (section 4.2)
                }
                usize::from(head & 0x0F) + 1
            } else {
                position += 1;
                usize::from(*data.get(position - 1).ok_or(Malformed)?)
            };
            let value = data.get(position..position + length).ok_or(Malformed)?;
            if stop(id, value) {
                return Ok(());
            }
            position += length;
        }
        Ok(())
    }
}

/// Ids negotiated on one m-line.
#[derive(Clone, Copy, Default, Debug)]
pub struct ExtensionIds {
    pub mid: Option<u8>,
    pub audio_level: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub transport_cc: Option<u8>,
    pub rid: Option<u8>,
    pub repaired_rid: Option<u8>,
    pub dependency_descriptor: Option<u8>,
}

/// The extension block of one outgoing stream, made once for each audio level.
pub struct HeaderExtensions {
    ids: ExtensionIds,
    mid: Vec<u8>,
    blocks: Vec<Option<Box<[u8]>>>,
    timed_at: usize,
    counted_at: usize,
}

impl HeaderExtensions {
    pub fn new(ids: ExtensionIds, mid: &str) -> Self {
        let mut made = HeaderExtensions {
            ids,
            mid: mid.as_bytes().to_vec(),
            blocks: (0..257).map(|_| None).collect(),
            timed_at: 0,
            counted_at: 0,
        };
        let (block, short) = made.build(NO_LEVEL);
        let head = if short { 1 } else { 2 };
        let mut at = 4;
        if ids.abs_send_time.is_some() {
            made.timed_at = at + head;
            at += head + 3;
        }
        if ids.transport_cc.is_some() {
            made.counted_at = at + head;
        }
        made.blocks[0] = Some(block);
        made
    }

    /// Whether blocks depend on nothing but the level.
    pub fn plain(&self) -> bool {
        let ids = &self.ids;
        ids.abs_send_time.is_none() && ids.transport_cc.is_none() && ids.dependency_descriptor.is_none()
    }

    /// Where in a packet without CSRCs the transport sequence number is; 0: nowhere.
    pub fn number_at(&self) -> usize {
        if self.counted_at > 0 {
            12 + self.counted_at
        } else {
            0
        }
    }

    fn build(&self, level: i16) -> (Box<[u8]>, bool) {
        let mut values: Vec<(u8, Vec<u8>)> = Vec::new();
        if let Some(id) = self.ids.abs_send_time {
            values.push((id, vec![0; 3]));
        }
        if let Some(id) = self.ids.transport_cc {
            values.push((id, vec![0; 2]));
        }
        if let (Some(id), false) = (self.ids.mid, self.mid.is_empty()) {
            values.push((id, self.mid.clone()));
        }
        if let (Some(id), true) = (self.ids.audio_level, level != NO_LEVEL) {
            values.push((id, vec![level as u8]));
        }
        // Descriptors outgrow the short form; a stream keeps to one, so that all else is found at the same place.
        let long = self.ids.dependency_descriptor.is_some();
        let short = !long && values.iter().all(|(id, value)| *id <= 14 && (1..=16).contains(&value.len()));
        if values.is_empty() {
            return (Box::from([]), true);
        }
        let mut block: Vec<u8> = vec![0; 4];
        for (id, value) in &values {
            if short {
                block.push(id << 4 | (value.len() - 1) as u8);
            } else {
                block.extend([*id, value.len() as u8]);
            }
            block.extend(value);
        }
        block.resize(block.len().next_multiple_of(4), 0);
        let words = (block.len() / 4 - 1) as u16;
        block[..2].copy_from_slice(&(if short { 0xBEDEu16 } else { 0x1000 }).to_be_bytes());
        block[2..4].copy_from_slice(&words.to_be_bytes());
        (block.into(), short)
    }

    /// Adds a dependency descriptor to the block that stands last in `out`, from `at` on; gives by how much it grows.
    pub fn describe(&self, out: &mut Vec<u8>, at: usize, dependency: &[u8]) -> usize {
        let Some(id) = self.ids.dependency_descriptor.filter(|_| (1..256).contains(&dependency.len())) else {
            return 0;
        };
        let before = out.len();
        if before == at {
            out.extend_from_slice(&[0; 4]);
        }
        out.extend_from_slice(&[id, dependency.len() as u8]);
        out.extend_from_slice(dependency);
        out.resize(at + (out.len() - at).next_multiple_of(4), 0);
        let words = ((out.len() - at) / 4 - 1) as u16;
        out[at..at + 2].copy_from_slice(&0x1000u16.to_be_bytes());
        out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
        out.len() - before
    }

    /// Appends the block for a level; `number` is the transport sequence number. Gives its length.
    #[inline]
    pub fn render(&mut self, out: &mut Vec<u8>, level: i16, now: f64, number: u16) -> usize {
        let slot = (level + 1) as usize;
        if self.blocks[slot].is_none() {
            self.blocks[slot] = Some(self.build(level).0);
        }
        let at = out.len();
        let block: &[u8] = self.blocks[slot].as_deref().unwrap_or(&[]);
        out.extend_from_slice(block);
        if self.timed_at > 0 {
            // Seconds as 24 bits of 6.18 fixed point.
            let time = ((now * 262_144.0) as i64 & 0xFF_FFFF) as u32;
            out[at + self.timed_at..at + self.timed_at + 3].copy_from_slice(&time.to_be_bytes()[1..]);
        }
        if self.counted_at > 0 {
            out[at + self.counted_at..at + self.counted_at + 2].copy_from_slice(&number.to_be_bytes());
        }
        block.len()
    }
}
