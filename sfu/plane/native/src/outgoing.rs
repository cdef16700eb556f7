//! One sink: the subscriber's own numbering of a source's packets; see `sfu/plane/outgoing.py`.

use std::collections::{HashMap, VecDeque};

use crate::course::{Body, Course, Numbers, Placed, SenderReport};
use crate::descriptor::rewrite;
use crate::dice::Dice;
use crate::history::MediaPacket;
use crate::incoming::{Incoming, FRACTION, NTP_EPOCH};
use crate::red::retype;
use crate::rtcp::{self, Report};
use crate::rtp::{ExtensionIds, HeaderExtensions, NO_LEVEL};
use crate::slab::Key;

const RESEND_RATE: f64 = 400.0;
const RESEND_BURST: f64 = 400.0;
const LEAST_REPEAT: f64 = 0.02;
const MOST_REPEAT: f64 = 1.0;
const LOSSY: f64 = 0.05;
const SEALED: usize = 256;
const SEALED_SOUND: usize = 32;
const ABANDONED: usize = 1024;
const REPORTS_KEPT: usize = 8;

/// The subscriber's payload types for a codec, by its name.
pub struct Format {
    pub codec: String,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
}

#[derive(Default)]
pub struct SinkSpec {
    pub id: String,
    pub source: String,
    pub mid: String,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub extensions: ExtensionIds,
    pub cname: String,
    /// The subscriber asks for lost sound as well.
    pub nack: bool,
    pub red_payload_type: Option<u8>,
    /// It may show sources of any of these codecs.
    pub formats: Vec<Format>,
    /// Sender reports tell our clock instead of the publisher's.
    pub house_clock: bool,
}

impl SinkSpec {
    /// How packets of a codec leave.
    fn numbers(&self, codec: &str) -> Numbers {
        let found = self.formats.iter().find(|format| format.codec == codec);
        let own = (self.payload_type, self.rtx_payload_type);
        let (payload_type, rtx) = found.map_or(own, |format| (format.payload_type, format.rtx_payload_type));
        // Where codecs change, only those that need them leave with dependency descriptors.
        let described = self.extensions.dependency_descriptor.is_some() && (self.formats.is_empty() || codec == "AV1");
        Numbers { payload_type, rtx_payload_type: rtx.unwrap_or(0), described }
    }
}

/// The last keys that were put in, oldest forgotten first.
#[derive(Default)]
pub struct Recent<V> {
    values: HashMap<u16, V>,
    order: VecDeque<u16>,
}

impl<V> Recent<V> {
    pub fn get(&self, key: u16) -> Option<&V> {
        self.values.get(&key)
    }

    fn put(&mut self, key: u16, value: V, most: usize) {
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        if self.values.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, key: u16) {
        if self.values.remove(&key).is_some() {
            self.order.retain(|other| *other != key);
        }
    }
}

/// What is known of the way to the peer: round trip (0: not known), how long packets wait to leave, loss from 0 to 1.
#[derive(Clone, Copy)]
pub struct Toward {
    pub trip: f64,
    pub waited: f64,
    pub loss: f64,
}

/// State of one sink. `source` is what it shows, or will show first; `target` what it is aimed at.
pub struct Outgoing {
    pub key: Key,
    pub transport: Key,
    pub spec: SinkSpec,
    pub course: Course,
    pub extensions: HeaderExtensions,
    pub plain: bool,
    pub video: bool,
    /// The codec that was shown last.
    format: Option<String>,
    /// The number of the last packet that left through a pacer, other than retransmissions.
    pub newest: i64,
    pub paused: bool,
    pub source: String,
    pub target: String,
    pub wanted_at: f64,
    /// Where the transport keeps the state of the SSRCs.
    pub slot: usize,
    pub rtx_slot: usize,
    rtx_next: u16,
    /// Without RTX the very bytes are sent again: sealing anything else under the same index would break the cipher.
    pub sealed: Option<Recent<Box<[u8]>>>,
    pub packets: u64,
    pub octets: u64,
    pub nacks_received: u64,
    pub retransmissions: u64,
    pub fraction_lost: f64,
    pub round_trip: Option<f64>,
    /// The same, evened out.
    pub trip: Option<f64>,
    pub next_report: f64,
    reports: Vec<(u32, f64)>,
    tokens: f64,
    tokens_at: f64,
    resent: HashMap<u16, (f64, u64)>,
    resent_order: VecDeque<(u64, u16)>,
    resent_count: u64,
    abandoned: Recent<()>,
    pub urgent: bool,
}

impl Outgoing {
    pub fn new(transport: Key, spec: SinkSpec, video: bool, dice: &mut Dice) -> Self {
        let course = Course::new(dice);
        let extensions = HeaderExtensions::new(spec.extensions, &spec.mid);
        let sealed = ((video || spec.nack) && spec.rtx_payload_type.is_none()).then(Recent::default);
        Outgoing {
            key: transport,
            transport,
            course,
            plain: extensions.plain(),
            extensions,
            video,
            format: None,
            newest: -1,
            paused: false,
            source: spec.source.clone(),
            target: spec.source.clone(),
            wanted_at: f64::NEG_INFINITY,
            slot: 0,
            rtx_slot: 0,
            rtx_next: dice.sequence(),
            sealed,
            packets: 0,
            octets: 0,
            nacks_received: 0,
            retransmissions: 0,
            fraction_lost: 0.0,
            round_trip: None,
            trip: None,
            next_report: f64::NEG_INFINITY,
            reports: Vec::new(),
            tokens: RESEND_BURST,
            tokens_at: f64::NEG_INFINITY,
            resent: HashMap::new(),
            resent_order: VecDeque::new(),
            resent_count: 0,
            abandoned: Recent::default(),
            urgent: false,
            spec,
        }
    }

    /// Whether it may go on with this codec after that one.
    pub fn takes(&self, codec: &str, shown: &str) -> bool {
        let formats = &self.spec.formats;
        if formats.is_empty() {
            codec == shown
        } else {
            formats.iter().any(|format| format.codec == codec)
        }
    }

    /// Goes live with this packet, a key frame's first; see `Course::begin`.
    pub fn begin(&mut self, packet: &MediaPacket, source: &Incoming, before: Option<SenderReport>, dice: &mut Dice) {
        let codec = &source.spec.codec;
        if self.format.as_ref() != Some(codec) {
            self.course.forget_pictures();
            self.format = Some(codec.clone());
        }
        let numbers = self.spec.numbers(codec);
        self.course.begin(packet, source, numbers, before, source.clock(self.spec.house_clock), dice);
    }

    /// Appends the RTP packet under the sink's own names; gives the length of its header.
    #[inline]
    pub fn render(&mut self, out: &mut Vec<u8>, packet: &MediaPacket, placed: &Placed, now: f64, number: u16) -> usize {
        let numbers = self.course.numbers();
        let payload_type = if packet.reach > 0 { self.spec.red_payload_type } else { Some(numbers.payload_type) };
        let second = placed.marker | payload_type.unwrap_or(0);
        let timestamp = (packet.timestamp - self.course.time_offset) as u32;
        let left_out = placed.body == Body::Empty || packet.payload.is_empty();
        let depends =
            self.course.now().filter(|_| numbers.described && !left_out).and_then(|feed| feed.depends(packet));
        let sequence = placed.number as u16;
        let head = self.header(out, 0x80, second, sequence, timestamp, self.spec.ssrc, packet.level, now, number);
        let header = head + self.describe(out, head, depends);
        let at = out.len();
        body(out, packet, placed.body);
        if packet.reach > 0 && out[at] & 0x7F != numbers.payload_type {
            retype(&mut out[at..], packet.reach, numbers.payload_type);
        }
        header
    }

    /// Whether a packet leaves with its redundancy, where the transport wants it: not before the sink has sent all
    /// that it repeats.
    pub fn wraps(&self, redundant: &MediaPacket) -> bool {
        self.spec.red_payload_type.is_some() && redundant.sequence - i64::from(redundant.reach) >= self.course.start
    }

    /// The same as a retransmission (RFC 4588); `numbers` and `time_offset` as they were when the packet was sent first,
    /// `depends` its dependency descriptor as it leaves.
    #[allow(clippy::too_many_arguments)]
    pub fn render_rtx(
        &mut self,
        out: &mut Vec<u8>,
        packet: &MediaPacket,
        placed: &Placed,
        numbers: Numbers,
        time_offset: i64,
        depends: Option<Vec<u8>>,
        now: f64,
    ) -> usize {
        let second = placed.marker | numbers.rtx_payload_type;
        let timestamp = (packet.timestamp - time_offset) as u32;
        let sequence = self.rtx_next;
        self.rtx_next = sequence.wrapping_add(1);
        let ssrc = self.spec.rtx_ssrc.unwrap_or(0);
        let head = self.header(out, 0x80, second, sequence, timestamp, ssrc, packet.level, now, 0);
        let left_out = placed.body == Body::Empty || packet.payload.is_empty();
        let header = head + self.describe(out, head, depends.filter(|_| numbers.described && !left_out));
        out.extend_from_slice(&(placed.number as u16).to_be_bytes());
        body(out, packet, placed.body);
        header
    }

    /// A packet of the retransmission stream with `size` bytes of padding (1 to 255) and nothing else.
    pub fn render_padding(&mut self, out: &mut Vec<u8>, size: usize, now: f64) -> usize {
        let sequence = self.rtx_next;
        self.rtx_next = sequence.wrapping_add(1);
        let (second, ssrc) = (self.course.numbers().rtx_payload_type, self.spec.rtx_ssrc.unwrap_or(0));
        let header = self.header(out, 0xA0, second, sequence, 0, ssrc, NO_LEVEL, now, 0);
        out.resize(out.len() + size - 1, 0);
        out.push(size as u8);
        header
    }

    /// Adds a dependency descriptor to the header of `head` bytes that stands last; gives by how much it grows.
    fn describe(&mut self, out: &mut Vec<u8>, head: usize, depends: Option<Vec<u8>>) -> usize {
        let Some(depends) = depends else { return 0 };
        let start = out.len() - head;
        let more = self.extensions.describe(out, start + 12, &depends);
        if more > 0 {
            out[start] |= 0x10;
        }
        more
    }

    #[allow(clippy::too_many_arguments)]
    #[inline]
    fn header(
        &mut self,
        out: &mut Vec<u8>,
        first: u8,
        second: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        level: i16,
        now: f64,
        number: u16,
    ) -> usize {
        let start = out.len();
        let mut fixed = [0u8; 12];
        fixed[0] = first;
        fixed[1] = second;
        fixed[2..4].copy_from_slice(&sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&ssrc.to_be_bytes());
        out.extend_from_slice(&fixed);
        let extension = self.extensions.render(out, level, now, number);
        if extension > 0 {
            out[start] |= 0x10;
        }
        12 + extension
    }

    /// Whether another retransmission of this number is allowed now; counts it if so.
    pub fn may_resend(&mut self, number: u16, toward: Toward, now: f64) -> bool {
        let again = LEAST_REPEAT.max(MOST_REPEAT.min(toward.trip)) + toward.waited;
        if self.resent.get(&number).is_some_and(|(at, _)| now - at < again) {
            return false;
        }
        if now > self.tokens_at {
            self.tokens = RESEND_BURST.min(self.tokens + (now - self.tokens_at) * RESEND_RATE);
            self.tokens_at = now;
        }
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        self.resent_count += 1;
        let before = self.resent.insert(number, (now, self.resent_count));
        self.urgent = before.is_some() && toward.loss > LOSSY;
        self.resent_order.push_back((self.resent_count, number));
        if self.resent_order.len() > 4 * SEALED {
            // One asked for again and again, behind an old one, would make it grow without bound.
            let resent = &self.resent;
            self.resent_order.retain(|(count, number)| resent.get(number).is_some_and(|(_, last)| last == count));
        }
        while let Some((count, oldest)) = self.resent_order.front().copied() {
            let stale = self.resent.get(&oldest).is_none_or(|(_, present)| *present != count);
            if !stale {
                if self.resent.len() <= 2 * SEALED {
                    break;
                }
                self.resent.remove(&oldest);
            }
            self.resent_order.pop_front();
        }
        true
    }

    /// What `may_resend` allowed last did not leave after all: it may be asked for again at once.
    pub fn not_resent(&mut self, number: u16) {
        self.resent.remove(&number);
    }

    /// The packet has not left and need not: requests for it are not answered.
    pub fn abandon(&mut self, number: i64) {
        self.abandoned.put(number as u16, (), ABANDONED);
    }

    pub fn is_abandoned(&self, number: u16) -> bool {
        self.abandoned.get(number).is_some()
    }

    pub fn not_abandoned(&mut self, number: i64) {
        self.abandoned.remove(number as u16);
    }

    /// For sinks without RTX: the bytes as they left.
    #[inline]
    pub fn keep(&mut self, number: i64, sealed: &[u8]) {
        if let Some(kept) = &mut self.sealed {
            kept.put(number as u16, sealed.into(), if self.video { SEALED } else { SEALED_SOUND });
        }
    }

    /// The source's own clock carried on; after a while ours, where a source never reports.
    pub fn sender_report(&mut self, source: &Incoming, now: f64) -> Option<Vec<u8>> {
        if !self.course.live {
            return None;
        }
        let numbering = &source.numbering;
        let (ntp, time, at) = if let Some(report) = source.clock(self.spec.house_clock) {
            report
        } else if now - self.course.live_since > 5.0 {
            let at = source.last_arrival;
            (((NTP_EPOCH + at) * FRACTION) as u64, numbering.timestamp, at)
        } else {
            return None;
        };
        let ntp = ntp.wrapping_add_signed(((now - at) * FRACTION) as i64);
        let passed = ((now - at) * numbering.clock_rate as f64).round_ties_even() as i64;
        let timestamp = time + passed - self.course.time_offset;
        let middle = (ntp >> 16) as u32;
        match self.reports.iter_mut().find(|(known, _)| *known == middle) {
            Some(known) => known.1 = now,
            None => self.reports.push((middle, now)),
        }
        if self.reports.len() > REPORTS_KEPT {
            self.reports.remove(0);
        }
        Some(rtcp::sender_report(self.spec.ssrc, ntp, timestamp as u32, self.packets, self.octets))
    }

    /// The subscriber's reception report.
    pub fn reported(&mut self, report: &Report, now: f64) {
        self.fraction_lost = report.fraction_lost;
        let sent = self.reports.iter().find(|(middle, _)| *middle == report.last_sr).map(|(_, at)| *at);
        if let (Some(sent), true) = (sent, report.last_sr != 0) {
            let trip = (now - sent - f64::from(report.delay) / 65536.0).max(0.0);
            self.round_trip = Some(trip);
            self.trip = Some(self.trip.map_or(trip, |before| before + (trip - before) / 4.0));
        }
    }

    /// Padding goes out where retransmissions do, so that it never tears a picture.
    pub fn pads(&self) -> bool {
        self.course.live && self.spec.rtx_ssrc.is_some() && self.sealed.is_none() && self.extensions.number_at() > 0
    }
}

#[inline]
fn body(out: &mut Vec<u8>, packet: &MediaPacket, body: Body) {
    if body == Body::Empty {
        return;
    }
    let at = out.len();
    out.extend_from_slice(&packet.payload);
    if let (Body::Moved { pictures, tl0 }, Some(descriptor)) = (body, &packet.descriptor) {
        rewrite(&mut out[at..], descriptor, pictures, tl0);
    }
}
