//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01); see `sfu/twcc.py`.

use std::collections::BTreeMap;

use crate::rtp::{be16, Malformed};

pub const TICK: f64 = 0.00025;
pub const FORMAT: u8 = 15;
const REFERENCE: i64 = 256;
const LONGEST_RUN: usize = 0x1FFF;
const WRAP: i64 = 1 << 24;
const MAX_ARRIVALS: usize = 180;
const MAX_PENDING: usize = 2000;
const MAX_GAP: i64 = 8000;

const MISSING: u16 = 0;
const SMALL: u16 = 1;
const LARGE: u16 = 2;

/// One message about `count` packets from transport sequence number `base` on; `arrivals` are offsets from it and
/// ticks since the reference time.
#[derive(Debug)]
pub struct TransportFeedback {
    pub base: u16,
    pub count: u16,
    pub reference: u32,
    pub index: u8,
    pub arrivals: Vec<(i64, i64)>,
}

impl TransportFeedback {
    pub fn serialize(&self, sender: u32, media: u32) -> Vec<u8> {
        let mut runs: Vec<(u16, usize)> = Vec::new();
        let mut add = |symbol: u16, length: usize| match runs.last_mut() {
            Some(last) if last.0 == symbol => last.1 += length,
            _ => runs.push((symbol, length)),
        };
        let mut deltas = Vec::new();
        let (mut before, mut ticks) = (0, 0);
        for (offset, at) in &self.arrivals {
            if *offset > before {
                add(MISSING, (offset - before) as usize);
            }
            let step = at - ticks;
            ticks = *at;
            before = offset + 1;
            if (0..=255).contains(&step) {
                add(SMALL, 1);
                deltas.push(step as u8);
            } else {
                add(LARGE, 1);
                deltas.extend((step as i16).to_be_bytes());
            }
        }
        if i64::from(self.count) > before {
            add(MISSING, (i64::from(self.count) - before) as usize);
        }
        let mut body = chunks(runs);
        body.extend(deltas);
        let padding = body.len().next_multiple_of(4) - body.len();
        let first = 0x80 | FORMAT | if padding > 0 { 0x20 } else { 0 };
        if padding > 0 {
            body.resize(body.len() + padding - 1, 0);
            body.push(padding as u8);
        }
        let mut out = vec![first, 205];
        out.extend(((4 + body.len() / 4) as u16).to_be_bytes());
        out.extend(sender.to_be_bytes());
        out.extend(media.to_be_bytes());
        out.extend(self.base.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend((self.reference << 8 | u32::from(self.index)).to_be_bytes());
        out.extend(body);
        out
    }
}

/// Packet status chunks: runs where they are long, vectors of seven two-bit symbols where they are not.
fn chunks(mut runs: Vec<(u16, usize)>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut at, count) = (0, runs.len());
    while at < count {
        let (symbol, length) = runs[at];
        if length >= 7 || at == count - 1 {
            let take = length.min(LONGEST_RUN);
            out.extend((symbol << 13 | take as u16).to_be_bytes());
            runs[at].1 -= take;
            at += usize::from(runs[at].1 == 0);
            continue;
        }
        let (mut vector, mut filled) = (0u16, 0);
        while filled < 7 && at < count {
            let take = runs[at].1.min(7 - filled);
            for _ in 0..take {
                vector = vector << 2 | runs[at].0;
            }
            filled += take;
            runs[at].1 -= take;
            at += usize::from(runs[at].1 == 0);
        }
        vector <<= 2 * (7 - filled);
        out.extend((0xC000 | vector).to_be_bytes());
    }
    out
}

/// `body` is what follows the two SSRCs, padding removed. Cost is bounded by its size.
pub fn parse_feedback(body: &[u8]) -> Result<TransportFeedback, Malformed> {
    let size = body.len();
    if size < 8 {
        return Err(Malformed);
    }
    let (base, count) = (be16(body, 0), be16(body, 2));
    let reference = u32::from_be_bytes([0, body[4], body[5], body[6]]);
    if count == 0 {
        return Err(Malformed);
    }
    let total = usize::from(count);
    let mut received: Vec<(i64, u16)> = Vec::new();
    let (mut position, mut offset) = (8, 0usize);
    while offset < total {
        if position + 2 > size {
            return Err(Malformed);
        }
        let chunk = be16(body, position);
        position += 2;
        if chunk & 0x8000 != 0 {
            let width = if chunk & 0x4000 != 0 { 2 } else { 1 };
            let mut shift: i32 = 14 - width;
            while shift >= 0 {
                let symbol = chunk >> shift & if width == 2 { 3 } else { 1 };
                if symbol != 0 && offset < total {
                    received.push((offset as i64, symbol));
                }
                offset += 1;
                shift -= width;
            }
            continue;
        }
        let (symbol, run) = (chunk >> 13 & 3, usize::from(chunk) & LONGEST_RUN);
        if run == 0 {
            return Err(Malformed);
        }
        let run = run.min(total - offset);
        if symbol != 0 {
            if received.len() + run > size {
                return Err(Malformed); // each needs a byte at least
            }
            received.extend((offset..offset + run).map(|at| (at as i64, symbol)));
        }
        offset += run;
    }
    let mut ticks = 0;
    let mut arrivals = Vec::with_capacity(received.len());
    for (offset, symbol) in received {
        match symbol {
            SMALL => {
                ticks += i64::from(*body.get(position).ok_or(Malformed)?);
                position += 1;
            }
            LARGE => {
                if position + 2 > size {
                    return Err(Malformed);
                }
                ticks += i64::from(be16(body, position) as i16);
                position += 2;
            }
            _ => return Err(Malformed),
        }
        arrivals.push((offset, ticks));
    }
    Ok(TransportFeedback { base, count, reference, index: body[7], arrivals })
}

/// Arrival times of successive messages on one line: the 24-bit reference time unwrapped.
pub struct FeedbackClock {
    last: i64,
    units: i64,
}

impl Default for FeedbackClock {
    fn default() -> Self {
        FeedbackClock { last: -1, units: 0 }
    }
}

impl FeedbackClock {
    /// The reference time as seconds of the receiver's clock, from an arbitrary origin.
    pub fn seconds(&mut self, reference: u32) -> f64 {
        let reference = i64::from(reference);
        if self.last >= 0 {
            let step = (reference - self.last) & 0xFF_FFFF;
            self.units += if step >= WRAP / 2 { step - WRAP } else { step };
        }
        self.last = reference;
        self.units as f64 * (REFERENCE as f64 * TICK)
    }
}

/// What a peer is to be told of its packets: `received` once per packet, `feedback` every 50 to 100 ms.
pub struct ArrivalRecorder {
    arrived: BTreeMap<i64, i64>,
    highest: i64,
    next: i64,
    index: u8,
}

impl Default for ArrivalRecorder {
    fn default() -> Self {
        ArrivalRecorder { arrived: BTreeMap::new(), highest: -1, next: -1, index: 0 }
    }
}

impl ArrivalRecorder {
    pub fn pending(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// A packet with this transport sequence number.
    pub fn received(&mut self, sequence: u16, now: f64) {
        let highest = self.highest;
        let number;
        if highest < 0 {
            number = i64::from(sequence) + 0x10000;
            self.next = number;
        } else {
            number = highest + i64::from(sequence.wrapping_sub(highest as u16) as i16);
        }
        if number > highest {
            if highest >= 0 && number - highest > MAX_GAP {
                self.arrived.clear();
                self.next = number;
            }
            self.highest = number;
        } else if number < highest - MAX_GAP {
            return;
        }
        if !self.arrived.contains_key(&number) && self.arrived.len() < MAX_PENDING {
            self.arrived.insert(number, (now / TICK) as i64);
        }
    }

    /// Messages about all that came since the last call.
    pub fn feedback(&mut self) -> Vec<TransportFeedback> {
        let mut messages = Vec::new();
        let numbers: Vec<(i64, i64)> = std::mem::take(&mut self.arrived).into_iter().collect();
        let mut at = 0;
        while at < numbers.len() {
            // Gaps before a packet belong to the message that has it.
            let base = self.next.min(numbers[at].0);
            let reference = numbers[at].1.div_euclid(REFERENCE);
            let origin = reference * REFERENCE;
            let mut ticks = origin;
            let mut arrivals: Vec<(i64, i64)> = Vec::new();
            while at < numbers.len() && arrivals.len() < MAX_ARRIVALS {
                let (number, arrival) = numbers[at];
                if !(-0x8000..=0x7FFF).contains(&(arrival - ticks)) || number - base > 2 * MAX_GAP {
                    break;
                }
                arrivals.push((number - base, arrival - origin));
                ticks = arrival;
                at += 1;
            }
            let Some((last, _)) = arrivals.last() else {
                self.next = numbers[at].0; // so late that it no longer fits with the numbers before it
                continue;
            };
            let count = last + 1;
            messages.push(TransportFeedback {
                base: base as u16,
                count: count as u16,
                reference: (reference & 0xFF_FFFF) as u32,
                index: self.index,
                arrivals,
            });
            self.index = self.index.wrapping_add(1);
            self.next = self.next.max(base + count);
        }
        messages
    }
}
