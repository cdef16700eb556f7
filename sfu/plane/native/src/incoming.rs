//! One source: what is known of an incoming stream, and who listens to it; see `sfu/plane/incoming.py`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::course::SenderReport;
use crate::dependency::DependencyReader;
use crate::descriptor::{self, Descriptor};
use crate::history::{History, MediaPacket};
use crate::keyframe::KeyframeTest;
use crate::layers::LayerRates;
use crate::nack::NackTracker;
use crate::pli::PliThrottle;
use crate::reception::Reception;
use crate::red::Block;
use crate::reorder::{Released, Reorder};
use crate::rtp::{ExtensionIds, NO_LEVEL};
use crate::sequence::Numbering;
use crate::slab::Key;

const HISTORY_AGE: f64 = 3.0;
pub const NTP_EPOCH: f64 = 2_208_988_800.0;
pub const FRACTION: f64 = 4_294_967_296.0;
/// Seconds by which a sender report and its arrival may differ, by our clock.
const FAR: f64 = 10.0;
const WINDOW: f64 = 10.0;

/// The least of the samples of the last one to two windows; see `sfu/timing.py`.
struct Least {
    now: f64,
    before: f64,
    since: f64,
}

impl Least {
    fn add(&mut self, value: f64, time: f64) -> f64 {
        if time - self.since > WINDOW {
            self.before = if time - self.since <= 2.0 * WINDOW { self.now } else { f64::INFINITY };
            (self.now, self.since) = (value, time);
        }
        self.now = self.now.min(value);
        self.now.min(self.before)
    }
}

#[derive(Default)]
pub struct SourceSpec {
    pub id: String,
    pub video: bool,
    pub codec: String,
    pub clock_rate: i64,
    /// The codec's parameters have H264 parameter sets.
    pub parameter_sets: bool,
    pub mid: String,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    pub extensions: ExtensionIds,
    pub nack: bool,
    pub rid: Option<String>,
    pub red_payload_type: Option<u8>,
}

/// A packet in order for a tap; `lost` before it.
pub struct TapPacket {
    pub packet: Arc<MediaPacket>,
    pub lost: i64,
}

#[derive(Clone, Copy)]
enum Describe {
    Vp8,
    Vp9,
}

/// One packet of a stream, its header read.
pub struct Piece<'a> {
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: u8,
    pub level: i16,
    pub payload: &'a [u8],
    pub repaired: bool,
    pub dependency: &'a [u8],
    /// The payload as it came, where it has `reach` redundant blocks.
    pub wrapped: &'a [u8],
    pub reach: u8,
}

/// State of one source. `live` sinks get every packet, `waiting` ones start at the next key frame.
pub struct Incoming {
    pub key: Key,
    pub transport: Key,
    pub spec: SourceSpec,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    pub paused: bool,
    is_keyframe: Option<KeyframeTest>,
    pub numbering: Numbering,
    pub reception: Reception,
    pub history: History,
    pub nack: Option<NackTracker>,
    pub pli: PliThrottle,
    pub live: Vec<Key>,
    pub waiting: Vec<Key>,
    pub last_arrival: f64,
    describe: Option<Describe>,
    pub dependency_id: Option<u8>,
    dependencies: DependencyReader,
    pub scalable: bool,
    pub moves_pictures: bool,
    pub newest: Option<Descriptor>,
    /// The number of the newest frame by its dependency descriptor; it goes on when the stream begins anew.
    pub frame: i32,
    frames: i32,
    pub torn: bool,
    retired: VecDeque<u32>,
    pub loudest: u8,
    pub voice: bool,
    pub heard_at: f64,
    pub report: Option<SenderReport>,
    apart: Least,
    ahead: f64,
    pub packets: u64,
    pub bytes: u64,
    pub retransmitted: u64,
    pub keyframes: u64,
    lost: i64,
    pub nacks_sent: u64,
    pub plis_sent: u64,
    pub recovered: u64,
    /// The first sequence after a start, pause or jump: redundancy of what was before it is not used.
    since: Option<i64>,
    pub rates: LayerRates,
    keyframe_time: i64,
    /// Which of the caller's taps listens.
    pub tap: Option<u64>,
    reorder: Reorder,
    skipped: i64,
    /// In order for the tap, not yet fetched.
    pub tapped: Vec<TapPacket>,
}

impl Incoming {
    pub fn new(transport: Key, spec: SourceSpec) -> Self {
        let video = spec.video;
        let describe = match spec.codec.as_str() {
            "VP8" if video => Some(Describe::Vp8),
            "VP9" if video => Some(Describe::Vp9),
            _ => None,
        };
        let dependency_id = spec.extensions.dependency_descriptor.filter(|_| describe.is_none() && video);
        Incoming {
            key: transport,
            transport,
            ssrc: spec.ssrc,
            rtx_ssrc: spec.rtx_ssrc,
            paused: false,
            is_keyframe: if video { KeyframeTest::of(&spec.codec, spec.parameter_sets) } else { None },
            numbering: Numbering::new(spec.clock_rate),
            reception: Reception::new(spec.clock_rate),
            history: History::new(if video { 1024 } else { 256 }, HISTORY_AGE),
            nack: spec.nack.then(NackTracker::default),
            pli: PliThrottle::default(),
            live: Vec::new(),
            waiting: Vec::new(),
            last_arrival: f64::NEG_INFINITY,
            describe,
            dependency_id,
            dependencies: DependencyReader::default(),
            scalable: describe.is_some() || dependency_id.is_some(),
            moves_pictures: spec.codec == "VP8",
            newest: None,
            frame: -1,
            frames: 0,
            torn: false,
            retired: VecDeque::new(),
            loudest: 128,
            voice: false,
            heard_at: 0.0,
            report: None,
            apart: Least { now: f64::INFINITY, before: f64::INFINITY, since: f64::NEG_INFINITY },
            ahead: 0.0,
            packets: 0,
            bytes: 0,
            retransmitted: 0,
            keyframes: 0,
            lost: 0,
            nacks_sent: 0,
            plis_sent: 0,
            recovered: 0,
            since: None,
            rates: LayerRates::default(),
            keyframe_time: -1,
            tap: None,
            reorder: if video { Reorder::new(512, 0.3) } else { Reorder::new(64, 0.15) },
            skipped: 0,
            tapped: Vec::new(),
            spec,
        }
    }

    /// Places one packet of the stream; the reason where it is to be dropped.
    pub fn accept(&mut self, piece: &Piece, now: f64) -> Result<Arc<MediaPacket>, &'static str> {
        let epoch = self.numbering.epoch;
        let (sequence, timestamp) = (piece.sequence, piece.timestamp);
        let (number, time) = if piece.repaired {
            self.numbering.place_repair(sequence, timestamp, now).ok_or("stray_retransmission")?
        } else {
            self.numbering.place(sequence, timestamp, now, self.torn).ok_or("sequence_jump")?
        };
        self.last_arrival = now;
        if number == self.numbering.highest {
            self.torn = self.is_keyframe.is_some() && piece.marker == 0;
        }
        if let (true, Some(nack)) = (self.numbering.epoch != epoch, &mut self.nack) {
            nack.reset();
        }
        if !piece.repaired {
            self.reception.packet(number, time, self.numbering.epoch, now);
        }
        if self.paused {
            return Err("paused");
        }
        if self.since.is_none() || self.numbering.epoch != epoch {
            self.since = Some(number);
        }
        let payload = piece.payload;
        // The first packet of a picture only, though several may look like a start.
        let keyframe = self.is_keyframe.is_none_or(|test| time != self.keyframe_time && test.starts(payload));
        let mut descriptor = None;
        if !payload.is_empty() {
            descriptor = match self.describe {
                Some(Describe::Vp8) => descriptor::vp8(payload),
                Some(Describe::Vp9) => descriptor::vp9(payload),
                None if piece.dependency.is_empty() => None,
                None => self.dependencies.read(piece.dependency, number, time),
            };
        }
        let mut packet = MediaPacket {
            sequence: number,
            timestamp: time,
            marker: piece.marker,
            level: piece.level,
            keyframe,
            arrival: now,
            payload: payload.into(),
            descriptor,
            dependency: None,
            reach: 0,
            redundant: None,
        };
        if let (Some(_), Some(mut whole)) = (descriptor, self.dependencies.whole.take()) {
            if self.numbering.epoch != epoch && self.frame >= 0 {
                self.frames = (whole.number - self.frame - 1) & 0xFFFF;
            }
            whole.number = (whole.number - self.frames) & 0xFFFF;
            if number == self.numbering.highest {
                self.frame = whole.number;
            }
            packet.dependency = Some(whole);
        }
        if piece.reach > 0 && self.since.is_some_and(|since| number - i64::from(piece.reach) >= since) {
            let wrapped = MediaPacket { payload: piece.wrapped.into(), reach: piece.reach, dependency: None, ..packet };
            packet = MediaPacket { payload: payload.into(), redundant: Some(Arc::new(wrapped)), descriptor, ..packet };
        }
        let packet = Arc::new(packet);
        if !self.history.add(&packet) {
            return Err("duplicate");
        }
        if let Some(nack) = &mut self.nack {
            nack.received(number, now, piece.repaired);
        }
        self.packets += 1;
        self.bytes += payload.len() as u64;
        if piece.reach > 0 {
            let more = piece.wrapped.len() - payload.len();
            self.bytes += more as u64;
            self.rates.count(0, 1, more);
        }
        match descriptor {
            None => self.rates.count(0, 0, payload.len()),
            Some(told) => {
                self.rates.count(told.spatial, told.temporal, payload.len());
                if number == self.numbering.highest {
                    self.newest = descriptor;
                }
            }
        }
        self.retransmitted += u64::from(piece.repaired);
        if keyframe && self.is_keyframe.is_some() {
            self.keyframe_time = time;
            self.keyframes += 1;
            self.pli.keyframe();
        }
        Ok(packet)
    }

    /// The packets before this one that never came and that its redundant blocks bring, the oldest first.
    pub fn recover(&mut self, packet: &MediaPacket, blocks: &[Block], now: f64) -> Vec<Arc<MediaPacket>> {
        let mut found = Vec::new();
        for (place, (offset, payload)) in blocks.iter().enumerate() {
            let number = packet.sequence - blocks.len() as i64 + place as i64;
            let time = packet.timestamp - offset;
            if payload.is_empty() || *offset == 0 || self.since.is_none_or(|since| number < since) {
                continue;
            }
            if self.history.get(number - 1).is_some_and(|before| before.timestamp >= time) {
                continue; // not the packet that its place says
            }
            let recovered = Arc::new(MediaPacket {
                sequence: number,
                timestamp: time,
                marker: 0,
                level: NO_LEVEL,
                keyframe: true,
                arrival: now,
                payload: (*payload).into(),
                descriptor: None,
                dependency: None,
                reach: 0,
                redundant: None,
            });
            if self.history.add(&recovered) {
                if let Some(nack) = &mut self.nack {
                    nack.received(number, now, true);
                }
                self.recovered += 1;
                found.push(recovered);
            }
        }
        found
    }

    /// An RFC 6464 byte: voice flag and -dBov.
    pub fn hear(&mut self, level: u8, now: f64) {
        self.heard_at = now;
        self.loudest = self.loudest.min(level & 0x7F);
        if level & 0x80 != 0 {
            self.voice = true;
        }
    }

    /// A sender report; `timestamp` unwrapped.
    pub fn reported(&mut self, ntp: u64, timestamp: i64, now: f64) {
        self.report = Some((ntp, timestamp, now));
        self.reception.sender_report(ntp, now);
        self.ahead = self.apart.add(NTP_EPOCH + now - ntp as f64 / FRACTION, now);
    }

    /// The last sender report; with `house` by our clock, as the least delayed reports tell how far that is off.
    pub fn clock(&self, house: bool) -> Option<SenderReport> {
        let (ntp, timestamp, at) = self.report?;
        if !house {
            return self.report;
        }
        let arrived = NTP_EPOCH + at;
        let told = ntp as f64 / FRACTION + self.ahead;
        let told = if (told - arrived).abs() > FAR { arrived } else { told };
        Some(((told * FRACTION) as u64, timestamp, at))
    }

    /// The stream goes on under another SSRC.
    pub fn bind(&mut self, ssrc: u32) {
        if let Some(before) = self.ssrc.filter(|before| *before != ssrc) {
            self.numbering.renew();
            self.since = None;
            self.report = None;
            self.retired.push_back(before);
            if self.retired.len() > 4 {
                self.retired.pop_front();
            }
        }
        self.ssrc = Some(ssrc);
    }

    pub fn is_retired(&self, ssrc: u32) -> bool {
        self.retired.contains(&ssrc)
    }

    pub fn set_tap(&mut self, tap: Option<u64>) {
        self.tap = tap;
        self.reorder.reset();
        self.skipped = 0;
        self.tapped.clear();
    }

    /// Hands the packet to the tap, in order.
    pub fn show(&mut self, packet: &Arc<MediaPacket>, now: f64) {
        if self.tap.is_some() {
            let released = self.reorder.push(packet, now);
            self.deliver(released);
        }
    }

    /// Deadlines of the tap's reordering and age of the history. True where video was lost for good.
    pub fn settle(&mut self, now: f64) -> bool {
        self.history.expire(now);
        self.rates.sample(now);
        if self.tap.is_some() {
            let released = self.reorder.poll(now);
            self.deliver(released);
        }
        let given_up = self.nack.as_ref().map_or(0, |nack| nack.given_up);
        let lost = given_up > self.lost;
        self.lost = given_up;
        lost
    }

    fn deliver(&mut self, released: Vec<Released>) {
        for (lost, packet) in released {
            self.skipped += lost;
            if packet.payload.is_empty() {
                continue; // padding alone only carries the numbers on
            }
            if self.tap.is_none() || self.tapped.len() >= MOST_TAPPED {
                self.skipped += i64::from(self.tap.is_some()); // nobody fetches them
                continue;
            }
            self.tapped.push(TapPacket { packet, lost: std::mem::take(&mut self.skipped) });
        }
    }

    /// Paused sources are read but nothing is kept; true where that changes anything.
    pub fn set_paused(&mut self, paused: bool) -> bool {
        if paused == self.paused {
            return false;
        }
        self.paused = paused;
        self.loudest = 128;
        self.voice = false;
        let released = self.reorder.reset();
        self.deliver(released);
        self.skipped = 0;
        self.since = None;
        true
    }
}

/// Packets that wait for one tap at most: seconds of video, while Python is stuck.
const MOST_TAPPED: usize = 4096;
