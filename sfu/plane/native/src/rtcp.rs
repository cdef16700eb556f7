//! RTCP in and out: RFC 3550 section 6, RFC 4585 (NACK, PLI), RFC 5104 (FIR), REMB, transport-wide feedback.

use crate::rtp::{be16, be32, Malformed};
use crate::twcc::{self, TransportFeedback};

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;
pub const MAX_REPORTS: usize = 31;

/// One reception report block; `fraction_lost` from 0 to 1.
#[derive(Clone, Debug)]
pub struct Report {
    pub ssrc: u32,
    pub fraction_lost: f64,
    pub lost: i64,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub last_sr: u32,
    pub delay: u32,
}

/// What was received, as far as it matters here.
#[derive(Debug)]
pub enum Packet {
    Sender { ssrc: u32, ntp: u64, timestamp: u32 },
    Report(Report),
    Nack { media: u32, sequences: Vec<u16> },
    Pli { media: u32 },
    Fir { ssrcs: Vec<u32> },
    Feedback(TransportFeedback),
    Remb { bitrate: f64 },
    Bye { ssrcs: Vec<u32> },
}

/// The packets of a compound (or reduced-size) packet, those of unknown types left out.
pub fn parse_compound(data: &[u8]) -> Result<Vec<Packet>, Malformed> {
    let mut packets = Vec::new();
    if data.len() < 4 {
        return Err(Malformed);
    }
    let mut position = 0;
    while position < data.len() {
        if position + 4 > data.len() {
            return Err(Malformed);
        }
        let (first, kind) = (data[position], data[position + 1]);
        let start = position + 4;
        position = start + 4 * usize::from(be16(data, position + 2));
        if first & 0xC0 != 0x80 || position > data.len() {
            return Err(Malformed);
        }
        let mut body = &data[start..position];
        if first & 0x20 != 0 {
            let padding = usize::from(*body.last().ok_or(Malformed)?);
            if padding == 0 || padding > body.len() {
                return Err(Malformed);
            }
            body = &body[..body.len() - padding];
        }
        parse_one(kind, first & 0x1F, body, &mut packets)?;
    }
    Ok(packets)
}

fn need(body: &[u8], size: usize) -> Result<(), Malformed> {
    if body.len() < size {
        Err(Malformed)
    } else {
        Ok(())
    }
}

fn parse_one(kind: u8, form: u8, body: &[u8], out: &mut Vec<Packet>) -> Result<(), Malformed> {
    let count = usize::from(form);
    match kind {
        SR => {
            need(body, 24 + 24 * count)?;
            let ntp = u64::from(be32(body, 4)) << 32 | u64::from(be32(body, 8));
            out.push(Packet::Sender { ssrc: be32(body, 0), ntp, timestamp: be32(body, 12) });
            reports(body, 24, count, out);
        }
        RR => {
            need(body, 4 + 24 * count)?;
            reports(body, 4, count, out);
        }
        SDES => check_sdes(body, count)?,
        BYE => {
            need(body, 4 * count)?;
            out.push(Packet::Bye { ssrcs: (0..count).map(|at| be32(body, 4 * at)).collect() });
        }
        RTPFB | PSFB => {
            need(body, 8)?;
            feedback(kind, form, be32(body, 4), &body[8..], out)?;
        }
        _ => {}
    }
    Ok(())
}

fn feedback(kind: u8, form: u8, media: u32, body: &[u8], out: &mut Vec<Packet>) -> Result<(), Malformed> {
    match (kind, form) {
        (RTPFB, twcc::FORMAT) => out.push(Packet::Feedback(twcc::parse_feedback(body)?)),
        (RTPFB, 1) => out.push(Packet::Nack { media, sequences: nacked(body) }),
        (PSFB, 1) => out.push(Packet::Pli { media }),
        (PSFB, 4) => out.push(Packet::Fir { ssrcs: body.chunks_exact(8).map(|entry| be32(entry, 0)).collect() }),
        (PSFB, 15) if body.starts_with(b"REMB") => {
            need(body, 8)?;
            let value = be32(body, 4);
            need(body, 8 + 4 * (value >> 24) as usize)?;
            let bitrate = f64::from(value & 0x3FFFF) * 2f64.powi((value >> 18 & 0x3F) as i32);
            out.push(Packet::Remb { bitrate });
        }
        _ => {}
    }
    Ok(())
}

fn check_sdes(body: &[u8], count: usize) -> Result<(), Malformed> {
    let mut position = 0;
    for _ in 0..count {
        need(body, position + 4)?;
        position += 4;
        loop {
            need(body, position + 1)?;
            if body[position] == 0 {
                position = (position / 4 + 1) * 4;
                break;
            }
            need(body, position + 2)?;
            let end = position + 2 + usize::from(body[position + 1]);
            need(body, end)?;
            position = end;
        }
    }
    Ok(())
}

fn reports(body: &[u8], start: usize, count: usize, out: &mut Vec<Packet>) {
    for at in (0..count).map(|index| start + 24 * index) {
        let loss = be32(body, at + 4);
        out.push(Packet::Report(Report {
            ssrc: be32(body, at),
            fraction_lost: f64::from(loss >> 24) / 256.0,
            lost: i64::from((loss << 8) as i32 >> 8),
            highest_sequence: be32(body, at + 8),
            jitter: be32(body, at + 12),
            last_sr: be32(body, at + 16),
            delay: be32(body, at + 20),
        }));
    }
}

fn nacked(body: &[u8]) -> Vec<u16> {
    let mut sequences = Vec::new();
    for entry in body.chunks_exact(4) {
        let (base, mask) = (be16(entry, 0), be16(entry, 2));
        sequences.push(base);
        sequences.extend((0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| base.wrapping_add(bit + 1)));
    }
    sequences
}

// --- what is sent -------------------------------------------------------------------------------

fn packet(kind: u8, count: usize, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | count as u8, kind];
    out.extend(((body.len() / 4) as u16).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

impl Report {
    fn serialize(&self, out: &mut Vec<u8>) {
        let fraction = ((self.fraction_lost * 256.0) as i64).clamp(0, 255) as u32;
        let lost = (self.lost.clamp(-0x80_0000, 0x7F_FFFF) & 0xFF_FFFF) as u32;
        let fields = [self.ssrc, fraction << 24 | lost, self.highest_sequence, self.jitter, self.last_sr, self.delay];
        out.extend(words(&fields));
    }
}

pub fn sender_report(ssrc: u32, ntp: u64, timestamp: u32, packets: u64, octets: u64) -> Vec<u8> {
    packet(SR, 0, &words(&[ssrc, (ntp >> 32) as u32, ntp as u32, timestamp, packets as u32, octets as u32]))
}

/// At most `MAX_REPORTS`.
pub fn receiver_report(ssrc: u32, reports: &[Report]) -> Vec<u8> {
    let mut body = words(&[ssrc]);
    for report in reports {
        report.serialize(&mut body);
    }
    packet(RR, reports.len(), &body)
}

pub fn source_description(ssrc: u32, cname: &str) -> Vec<u8> {
    let name = &cname.as_bytes()[..cname.len().min(255)];
    let mut chunk = words(&[ssrc]);
    chunk.extend([1, name.len() as u8]);
    chunk.extend(name);
    chunk.resize(chunk.len() + 4 - chunk.len() % 4, 0); // at least one zero ends the items
    packet(SDES, 1, &chunk)
}

pub fn nack(sender: u32, media: u32, sequences: &[u16]) -> Vec<u8> {
    let mut body = words(&[sender, media]);
    let mut present: Option<(u16, u16)> = None;
    for sequence in sequences {
        if let Some((base, mask)) = &mut present {
            let ahead = sequence.wrapping_sub(*base).wrapping_sub(1);
            if ahead < 16 {
                *mask |= 1 << ahead;
                continue;
            }
            body.extend(base.to_be_bytes());
            body.extend(mask.to_be_bytes());
        }
        present = Some((*sequence, 0));
    }
    if let Some((base, mask)) = present {
        body.extend(base.to_be_bytes());
        body.extend(mask.to_be_bytes());
    }
    packet(RTPFB, 1, &body)
}

pub fn pli(sender: u32, media: u32) -> Vec<u8> {
    packet(PSFB, 1, &words(&[sender, media]))
}

pub fn remb(sender: u32, bitrate: u64, ssrcs: &[u32]) -> Vec<u8> {
    let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
    let mut body = words(&[sender, 0]);
    body.extend(b"REMB");
    body.extend(words(&[(ssrcs.len() as u32) << 24 | exponent << 18 | (bitrate >> exponent) as u32]));
    body.extend(words(ssrcs));
    packet(PSFB, 15, &body)
}
