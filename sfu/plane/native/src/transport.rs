//! One transport: keys, route, and which SSRC belongs to what; see `sfu/plane/transport.py`.

use std::collections::HashMap;

use crate::bandwidth::START;
use crate::dice::Dice;
use crate::incoming::Incoming;
use crate::outbox::{Outbox, Route};
use crate::outgoing::{Outgoing, Toward};
use crate::rate::LossRate;
use crate::rtcp;
use crate::rtp::{Extensions, Header, Malformed};
use crate::sending::Sending;
use crate::slab::{Key, Slab};
use crate::srtp::Srtp;
use crate::twcc::ArrivalRecorder;

const SILENCE: f64 = 1.0;
const DATAGRAM: usize = 1200;
const PACKETS_PER_SECOND: f64 = 4000.0;
const PACKETS_AT_ONCE: f64 = 4000.0;
const MEASURE: f64 = 1.0;
const NEWS: f64 = 0.1;
const CHANGE: f64 = 0.01;

/// The sending side, for whoever asks.
pub struct TransportStats {
    pub estimate: f64,
    pub sent_bitrate: f64,
    pub pacer_delay: f64,
    pub round_trip: Option<f64>,
    pub loss: f64,
    pub feedback: &'static str,
}

pub struct Transport {
    pub index: u32,
    pub name: String,
    pub route: Route,
    pub srtp: Srtp,
    pub sources: Vec<Key>,
    pub media: HashMap<u32, Key>,
    pub rtx: HashMap<u32, Key>,
    /// By SSRC, in the order in which they came.
    pub sinks: Vec<(u32, Key)>,
    pub sinks_by_ssrc: HashMap<u32, Key>,
    /// Who we are in receiver reports and feedback.
    pub ssrc: u32,
    pub rate: LossRate,
    pub next_report: f64,
    pub reported_at: Option<f64>,
    pub octets: u64,
    pub wanted_bitrate: f64,
    /// Sound goes out with its redundancy.
    pub redundancy: bool,
    pub remb: Option<f64>,
    sent_bitrate: f64,
    pub sending: Option<Box<Sending>>,
    pub counted: Option<u8>,
    pub arrivals: ArrivalRecorder,
    pub newest_ssrc: u32,
    pub next_feedback: f64,
    told: (f64, f64),
    measured: Option<(f64, u64)>,
    tokens: f64,
    tokens_at: f64,
}

impl Transport {
    pub fn new(name: &str, srtp: Srtp, route: Route, dice: &mut Dice) -> Self {
        Transport {
            index: 0,
            name: name.to_owned(),
            route,
            srtp,
            sources: Vec::new(),
            media: HashMap::new(),
            rtx: HashMap::new(),
            sinks: Vec::new(),
            sinks_by_ssrc: HashMap::new(),
            ssrc: dice.word(),
            rate: LossRate::default(),
            next_report: f64::NEG_INFINITY,
            reported_at: None,
            octets: 0,
            wanted_bitrate: 0.0,
            redundancy: false,
            remb: None,
            sent_bitrate: 0.0,
            sending: None,
            counted: None,
            arrivals: ArrivalRecorder::default(),
            newest_ssrc: 0,
            next_feedback: 0.0,
            told: (f64::NEG_INFINITY, 0.0),
            measured: None,
            tokens: PACKETS_AT_ONCE,
            tokens_at: 0.0,
        }
    }

    /// Whether the peer may have another datagram looked at; counts it if so.
    pub fn admit(&mut self, now: f64) -> bool {
        if self.tokens < 1.0 {
            let gained = (now - self.tokens_at) * PACKETS_PER_SECOND;
            if gained < 1.0 {
                return false;
            }
            self.tokens = PACKETS_AT_ONCE.min(gained);
            self.tokens_at = now;
        }
        self.tokens -= 1.0;
        true
    }

    // --- how sending goes ---

    pub fn toward(&self, sink: &Outgoing, now: f64) -> Toward {
        let Some(sending) = self.sending.as_ref().filter(|sending| sending.heard()) else {
            return Toward { trip: sink.trip.unwrap_or(0.0), waited: 0.0, loss: sink.fraction_lost };
        };
        // Reports count packets that were overtaken as lost; feedback tells that they came.
        let estimator = &sending.estimator;
        let trip = sink.trip.or(estimator.round_trip).unwrap_or(0.0);
        Toward { trip, waited: sending.delay(now), loss: estimator.loss.loss }
    }

    /// Once a second: what was sent since.
    pub fn measure(&mut self, sinks: &Slab<Outgoing>, now: f64) {
        if self.measured.is_some_and(|(at, _)| now - at < MEASURE) {
            return;
        }
        let octets = match &self.sending {
            Some(sending) => sending.octets,
            None => self.sinks.iter().filter_map(|(_, key)| sinks.get(*key)).map(|sink| sink.octets).sum(),
        };
        if let Some((at, before)) = self.measured {
            self.sent_bitrate = (octets.saturating_sub(before) * 8) as f64 / (now - at);
        }
        self.measured = Some((now, octets));
    }

    pub fn add_sink(&mut self, sink: &Outgoing) {
        self.sinks.push((sink.spec.ssrc, sink.key));
        self.sinks_by_ssrc.insert(sink.spec.ssrc, sink.key);
        if sink.extensions.number_at() > 0 && self.sending.is_none() {
            self.sending = Some(Box::default());
            self.measured = None;
        }
    }

    pub fn remove_sink(&mut self, ssrc: u32) {
        self.sinks.retain(|(other, _)| *other != ssrc);
        self.sinks_by_ssrc.remove(&ssrc);
    }

    /// What the subscriber can take, in bit/s; None before it has told enough.
    fn estimate(&self, now: f64) -> Option<f64> {
        match &self.sending {
            Some(sending) if sending.heard() => sending.settled(now).then(|| sending.available()),
            _ => self.remb,
        }
    }

    /// The estimate, where it has changed and it is time to tell.
    pub fn news(&mut self, now: f64) -> Option<f64> {
        let (at, told) = self.told;
        let estimate = self.estimate(now)?;
        if now - at < NEWS || (estimate - told).abs() <= CHANGE * told {
            return None;
        }
        self.told = (now, estimate);
        Some(estimate)
    }

    pub fn stats(&self, sinks: &Slab<Outgoing>, now: f64) -> TransportStats {
        let all = || self.sinks.iter().filter_map(|(_, key)| sinks.get(*key));
        let packets: u64 = all().map(|sink| sink.packets).sum();
        let lost = all().fold(0.0, |sum, sink| sum + sink.packets as f64 * sink.fraction_lost);
        let mut loss = if packets > 0 { lost / packets as f64 } else { 0.0 };
        let mut round_trip = all().filter_map(|sink| sink.round_trip).reduce(f64::min);
        let estimate = self.estimate(now);
        let mut feedback = if estimate.is_some() { "remb" } else { "none" };
        if let Some(sending) = self.sending.as_ref().filter(|sending| sending.heard()) {
            feedback = "twcc";
            loss = sending.estimator.loss.loss;
            round_trip = round_trip.or(sending.estimator.round_trip);
        }
        TransportStats {
            estimate: estimate.unwrap_or(START),
            sent_bitrate: self.sent_bitrate,
            pacer_delay: self.sending.as_ref().map_or(0.0, |sending| sending.delay(now)),
            round_trip,
            loss,
            feedback,
        }
    }

    // --- which stream is it ---

    /// False where an SSRC is taken.
    pub fn add_source(&mut self, source: &Incoming) -> bool {
        let spec = &source.spec;
        let taken = |ssrc: &u32| self.media.contains_key(ssrc) || self.rtx.contains_key(ssrc);
        if [spec.ssrc, spec.rtx_ssrc].iter().flatten().any(taken) {
            return false;
        }
        self.sources.push(source.key);
        if spec.extensions.transport_cc.is_some() {
            self.counted = spec.extensions.transport_cc;
        }
        if let Some(ssrc) = spec.ssrc {
            self.media.insert(ssrc, source.key);
        }
        if let Some(ssrc) = spec.rtx_ssrc {
            self.rtx.insert(ssrc, source.key);
        }
        true
    }

    pub fn remove_source(&mut self, source: Key) {
        self.sources.retain(|key| *key != source);
        self.media.retain(|_, key| *key != source);
        self.rtx.retain(|_, key| *key != source);
    }

    /// Finds the source of an SSRC not seen before and remembers it: its key and whether it is the retransmission
    /// stream; the reason where there is none.
    pub fn learn(
        &mut self,
        sources: &mut Slab<Incoming>,
        header: &Header,
        data: &[u8],
        now: f64,
    ) -> Result<Result<(Key, bool), &'static str>, Malformed> {
        let (payload_type, ssrc) = (header.second & 0x7F, header.ssrc);
        let values = Extensions::parse(header.profile, &data[header.extension.0..header.extension.1])?;
        let key = match self.sources.iter().find(|key| sources.get(**key).is_some_and(|source| names(&values, source)))
        {
            Some(key) => {
                let Some(source) = sources.get(*key) else { return Ok(Err("unknown_ssrc")) };
                if source.is_retired(ssrc) && now - source.last_arrival < SILENCE {
                    return Ok(Err("retired_ssrc")); // late packets of the stream before must not take it back
                }
                *key
            }
            None => {
                let mut fitting = self.sources.iter().filter(|key| {
                    sources.get(**key).is_some_and(|source| {
                        let spec = &source.spec;
                        [Some(spec.payload_type), spec.rtx_payload_type, spec.red_payload_type]
                            .contains(&Some(payload_type))
                    })
                });
                let (Some(key), None) = (fitting.next(), fitting.next()) else { return Ok(Err("unknown_ssrc")) };
                let Some(source) = sources.get(*key) else { return Ok(Err("unknown_ssrc")) };
                let again = Some(payload_type) == source.spec.rtx_payload_type;
                let present = if again { source.rtx_ssrc } else { source.ssrc };
                if present.is_some() && now - source.last_arrival < SILENCE {
                    return Ok(Err("unknown_ssrc"));
                }
                *key
            }
        };
        let Some(source) = sources.get_mut(key) else { return Ok(Err("unknown_ssrc")) };
        if payload_type == source.spec.payload_type || Some(payload_type) == source.spec.red_payload_type {
            if let Some(before) = source.ssrc {
                self.media.remove(&before);
            }
            source.bind(ssrc);
            self.media.insert(ssrc, key);
            Ok(Ok((key, false)))
        } else if Some(payload_type) == source.spec.rtx_payload_type {
            if let Some(before) = source.rtx_ssrc {
                self.rtx.remove(&before);
            }
            source.rtx_ssrc = Some(ssrc);
            self.rtx.insert(ssrc, key);
            Ok(Ok((key, true)))
        } else {
            Ok(Err("payload_type"))
        }
    }

    // --- sending RTCP ---

    /// Feedback led by an empty receiver report, as a peer without reduced-size RTCP must have it.
    pub fn send_feedback(&mut self, out: &mut Outbox, packet: Vec<u8>) {
        let head = rtcp::receiver_report(self.ssrc, &[]);
        self.send_compound(out, &[head, packet]);
    }

    /// Packets in order, in as few datagrams as their size allows.
    pub fn send_compound(&mut self, out: &mut Outbox, packets: &[Vec<u8>]) {
        let mut start = out.arena.len();
        for packet in packets {
            let pending = out.arena.len() - start;
            if pending > 0 && pending + packet.len() > DATAGRAM {
                self.flush(out, start);
                start = out.arena.len();
            }
            out.arena.extend_from_slice(packet);
        }
        if out.arena.len() > start {
            self.flush(out, start);
        }
    }

    fn flush(&mut self, out: &mut Outbox, start: usize) {
        match self.srtp.seal_rtcp(&mut out.arena, start) {
            Ok(()) => out.commit(self.route, self.index, false, start),
            Err(_) => out.arena.truncate(start),
        }
    }
}

/// Whether header extensions name the source: by mid, and by (repaired) rid where it is one of several encodings.
fn names(values: &Extensions, source: &Incoming) -> bool {
    let (ids, spec) = (&source.spec.extensions, &source.spec);
    if ids.mid.and_then(|id| values.get(id)) != Some(spec.mid.as_bytes()) {
        return false;
    }
    let Some(rid) = &spec.rid else { return true };
    [ids.rid, ids.repaired_rid].into_iter().flatten().any(|id| values.get(id) == Some(rid.as_bytes()))
}
