//! The dependency descriptor header extension (AV1 RTP specification 1.0, appendix A); see `sfu/dependency.py`.

use std::sync::Arc;

use crate::descriptor::Descriptor;

const MAX_TEMPLATES: usize = 64;
const SWITCH: u8 = 2;

/// Reads bits, the most significant first; None at the end.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        if self.at + count > 8 * self.data.len() {
            return None;
        }
        let mut value = 0;
        for bit in self.at..self.at + count {
            value = value << 1 | u32::from(self.data[bit / 8] >> (7 - bit % 8) & 1);
        }
        self.at += count;
        Some(value)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= 8 * self.data.len()).then_some(())
    }

    /// `ns(n)`: a number below `limit` in as few bits as it takes.
    fn below(&mut self, limit: u32) -> Option<u32> {
        let width = (32 - limit.leading_zeros()) as usize;
        let short = (1u32 << width) - limit;
        let value = self.take(width - 1)?;
        if value < short {
            Some(value)
        } else {
            Some((value << 1) - short + self.take(1)?)
        }
    }
}

struct Template {
    spatial: i32,
    temporal: i32,
    indications: Vec<u8>,
    differences: Vec<i64>,
}

struct Structure {
    offset: u32,
    templates: Vec<Template>,
    targets: Arc<[(i32, i32)]>,
}

/// One descriptor as it came, to be passed on: the `number` of its frame, the layers of the decode `targets`, the mask
/// of those that are active (None: not told), and the bit `after` which the mask ends or would stand.
pub struct Dependency {
    data: Box<[u8]>,
    pub number: i32,
    targets: Arc<[(i32, i32)]>,
    masked: Option<u32>,
    after: usize,
}

/// Appends `count` bits of `data` from the bit `from` on, zeros after its end.
fn copy_bits(out: &mut Vec<u8>, used: &mut usize, data: &[u8], from: usize, count: usize) {
    for bit in from..from + count {
        if *used % 8 == 0 {
            out.push(0);
        }
        let value = data.get(bit / 8).map_or(0, |byte| byte >> (7 - bit % 8) & 1);
        if let Some(last) = out.last_mut() {
            *last |= value << (7 - *used % 8);
        }
        *used += 1;
    }
}

impl Dependency {
    /// With `moved` subtracted from the frame's number and, with `limits` (the highest spatial and temporal layer that
    /// is forwarded), without the decode targets above them.
    pub fn rewrite(&self, moved: i32, limits: Option<(i32, i32)>) -> Vec<u8> {
        let mut data = self.data.to_vec();
        data[1..3].copy_from_slice(&((self.number - moved) as u16).to_be_bytes());
        let Some((highest_spatial, highest_temporal)) = limits else { return data };
        let mut mask = 0u32;
        for (place, (spatial, temporal)) in self.targets.iter().enumerate() {
            if *spatial <= highest_spatial && *temporal <= highest_temporal {
                mask |= 1 << place;
            }
        }
        mask &= self.masked.unwrap_or(u32::MAX);
        if mask == 0 {
            return data;
        }
        if data.len() == 3 {
            data.push(0);
        }
        let count = self.targets.len();
        let (mut made, mut used) = (Vec::with_capacity(data.len() + 5), 0);
        copy_bits(&mut made, &mut used, &data, 0, self.after - if self.masked.is_some() { count } else { 0 });
        copy_bits(&mut made, &mut used, &mask.to_be_bytes(), 32 - count, count);
        copy_bits(&mut made, &mut used, &data, self.after, 8 * data.len() - self.after);
        made[3] |= 0x40;
        made
    }
}

/// Reads the descriptors of one stream.
pub struct DependencyReader {
    structure: Option<Structure>,
    /// The last that could be read, for passing on.
    pub whole: Option<Dependency>,
    since: i64,
    time: i64,
    first: u32,
}

impl Default for DependencyReader {
    fn default() -> Self {
        DependencyReader { structure: None, whole: None, since: -1, time: -1, first: 0 }
    }
}

impl DependencyReader {
    /// Descriptor of a packet by its unwrapped sequence and timestamp; None without a structure that fits.
    pub fn read(&mut self, data: &[u8], sequence: i64, timestamp: i64) -> Option<Descriptor> {
        self.whole = None;
        let mut bits = Bits { data, at: 0 };
        bits.take(1)?;
        let end = bits.take(1)? == 1;
        let (identifier, number) = (bits.take(6)?, bits.take(16)?);
        let mut late = None; // one that came with a packet too late to replace a newer one
        let (mut custom_indications, mut custom_differences, mut active) = (false, false, false);
        if data.len() > 3 {
            let told = bits.take(1)? == 1;
            active = bits.take(1)? == 1;
            custom_indications = bits.take(1)? == 1;
            custom_differences = bits.take(1)? == 1;
            bits.take(1)?;
            if told {
                let structure = read_structure(&mut bits)?;
                if sequence > self.since {
                    self.structure = Some(structure);
                    self.since = sequence;
                } else {
                    late = Some(structure);
                }
            }
        }
        let structure = late.as_ref().or(self.structure.as_ref())?;
        let masked = if active { Some(bits.take(structure.targets.len())?) } else { None };
        let after = if data.len() > 3 { bits.at } else { 29 }; // after five flags that there would be
        let template = structure.templates.get((identifier.wrapping_sub(structure.offset) & 0x3F) as usize)?;
        let mut custom = Vec::new();
        if custom_indications {
            for _ in structure.targets.iter() {
                custom.push(bits.take(2)? as u8);
            }
        }
        let indications = if custom_indications { &custom } else { &template.indications };
        let mut told = Vec::new();
        if custom_differences {
            loop {
                let size = bits.take(2)? as usize;
                if size == 0 {
                    break;
                }
                told.push(i64::from(bits.take(4 * size)?) + 1);
            }
        }
        let differences = if custom_differences { &told } else { &template.differences };
        if timestamp > self.time {
            self.time = timestamp;
            self.first = number;
        }
        let within = if timestamp == self.time { i64::from(number.wrapping_sub(self.first) & 0xFFFF) } else { -1 };
        let mut raises = -1;
        for (indication, (spatial, temporal)) in indications.iter().zip(structure.targets.iter()) {
            if *indication == SWITCH && *spatial == template.spatial {
                raises = raises.max(*temporal);
            }
        }
        let targets = structure.targets.clone();
        self.whole = Some(Dependency { data: data.into(), number: number as i32, targets, masked, after });
        Some(Descriptor {
            spatial: template.spatial,
            temporal: template.temporal,
            end,
            fresh: within < 0x8000 && differences.iter().all(|difference| *difference <= within),
            raises,
            ..Descriptor::default()
        })
    }
}

fn read_structure(bits: &mut Bits) -> Option<Structure> {
    let offset = bits.take(6)?;
    let count = bits.take(5)? as usize + 1;
    let mut layers = vec![(0, 0)];
    loop {
        let (spatial, temporal) = layers[layers.len() - 1];
        layers.push(match bits.take(2)? {
            0 => (spatial, temporal),
            1 => (spatial, temporal + 1),
            2 => (spatial + 1, 0),
            _ => break,
        });
        let (spatial, temporal) = layers[layers.len() - 1];
        if layers.len() > MAX_TEMPLATES || spatial > 3 || temporal > 7 {
            return None;
        }
    }
    let mut templates = Vec::new();
    for (spatial, temporal) in &layers {
        let mut indications = Vec::with_capacity(count);
        for _ in 0..count {
            indications.push(bits.take(2)? as u8);
        }
        templates.push(Template { spatial: *spatial, temporal: *temporal, indications, differences: Vec::new() });
    }
    for template in &mut templates {
        while bits.take(1)? == 1 {
            template.differences.push(i64::from(bits.take(4)?) + 1);
        }
    }
    let chains = bits.below(count as u32 + 1)?;
    if chains > 0 {
        for _ in 0..count {
            bits.below(chains)?;
        }
        bits.skip(4 * chains as usize * layers.len())?;
    }
    if bits.take(1)? == 1 {
        let spatial = layers[layers.len() - 1].0 as usize;
        bits.skip(32 * (spatial + 1))?;
    }
    let targets = (0..count)
        .map(|target| {
            let present = || templates.iter().filter(move |template| template.indications[target] != 0);
            (
                present().map(|template| template.spatial).max().unwrap_or(0),
                present().map(|template| template.temporal).max().unwrap_or(0),
            )
        })
        .collect();
    Some(Structure { offset, templates, targets })
}
