//! What happens to each packet that arrives; see `sfu/plane/python.py`.

use std::sync::Arc;

use crate::control::send_nacks;
use crate::course::{Body, Numbers, Placed};
use crate::history::MediaPacket;
use crate::incoming::{Incoming, Piece};
use crate::outbox::Outbox;
use crate::outgoing::Outgoing;
use crate::plane::{Dropped, Plane};
use crate::red::split;
use crate::rtp::{be16, parse_header, Extensions, Malformed, NO_LEVEL};
use crate::sending::Way;
use crate::slab::{Key, Slab};
use crate::srtp::{Refusal, MAX_DATAGRAM};
use crate::transport::Transport;

/// Why a packet goes no further: the counter's name.
#[derive(Clone, Copy, Debug)]
pub struct Stop(pub &'static str);

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Stop("malformed")
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop(refusal.name())
    }
}

impl Plane {
    /// One SRTP or SRTCP datagram from a transport's validated address; decrypted in place.
    pub fn receive(&mut self, transport: Option<Key>, datagram: &mut [u8], now: f64) {
        self.packets_in += 1;
        self.now = now;
        if let Err(Stop(reason)) = self.take(transport, datagram, now) {
            self.dropped.count(reason);
        }
    }

    fn take(&mut self, transport: Option<Key>, datagram: &mut [u8], now: f64) -> Result<(), Stop> {
        let key = transport.ok_or(Stop("unknown_transport"))?;
        let owner = self.transports.get_mut(key).ok_or(Stop("unknown_transport"))?;
        if datagram.len() > MAX_DATAGRAM {
            return Err(Stop("oversize"));
        }
        if datagram.len() < 12 {
            return Err(Stop("malformed"));
        }
        if !owner.admit(now) {
            return Err(Stop("rate"));
        }
        if (192..=223).contains(&datagram[1]) {
            let length = owner.srtp.open_rtcp(datagram)?;
            return self.receive_rtcp(key, &datagram[..length], now);
        }
        let length = owner.srtp.open_rtp(datagram)?;
        self.receive_rtp(key, &datagram[..length], now)
    }

    fn receive_rtp(&mut self, owner_key: Key, data: &[u8], now: f64) -> Result<(), Stop> {
        let owner = self.transports.get_mut(owner_key).ok_or(Stop("unknown_transport"))?;
        let header = parse_header(data)?;
        let block = &data[header.extension.0..header.extension.1];
        let mut values = None;
        if let (Some(id), true) = (owner.counted, header.profile != 0) {
            let parsed = Extensions::parse(header.profile, block)?;
            if let Some(&[high, low]) = parsed.get(id) {
                owner.arrivals.received(u16::from_be_bytes([high, low]), now);
            }
            values = Some(parsed);
        }
        let (key, repaired) = match (owner.media.get(&header.ssrc), owner.rtx.get(&header.ssrc)) {
            (Some(key), _) => (*key, false),
            (None, Some(key)) => (*key, true),
            (None, None) => owner.learn(&mut self.sources, &header, data, now)?.map_err(Stop)?,
        };
        let source = self.sources.get_mut(key).ok_or(Stop("unknown_ssrc"))?;
        let (mut start, end) = header.payload;
        owner.octets += (end - start) as u64;
        owner.newest_ssrc = header.ssrc;
        let wanted = if repaired { source.spec.rtx_payload_type } else { Some(source.spec.payload_type) };
        let redundant = Some(header.second & 0x7F) == source.spec.red_payload_type && !repaired;
        if Some(header.second & 0x7F) != wanted && !redundant {
            return Err(Stop("payload_type"));
        }
        let mut sequence = header.sequence;
        if repaired {
            if end - start < 2 {
                return Err(Stop("padding")); // probing on the retransmission stream
            }
            sequence = be16(data, start);
            start += 2;
        }
        let (mut level, mut dependency): (i16, &[u8]) = (NO_LEVEL, &[]);
        let level_id = source.spec.extensions.audio_level;
        if header.profile != 0 && (level_id.is_some() || source.dependency_id.is_some()) {
            let values = match values {
                Some(values) => values,
                None => Extensions::parse(header.profile, block)?,
            };
            match level_id {
                None => dependency = source.dependency_id.and_then(|id| values.get(id)).unwrap_or(&[]),
                Some(id) => {
                    if let Some(value) = values.get(id).and_then(|value| value.first()) {
                        level = i16::from(*value);
                    }
                }
            }
        }
        let whole = &data[start..end];
        let (blocks, payload) = if redundant { split(whole, source.spec.payload_type)? } else { (Vec::new(), whole) };
        let piece = Piece {
            sequence,
            timestamp: header.timestamp,
            marker: header.second & 0x80,
            level,
            payload,
            repaired,
            dependency,
            wrapped: whole,
            reach: blocks.len() as u8,
        };
        let packet = source.accept(&piece, now).map_err(Stop)?;
        if level != NO_LEVEL {
            source.hear(level as u8, now);
        }
        if !blocks.is_empty() {
            let recovered = source.recover(&packet, &blocks, now);
            for packet in recovered {
                self.forward(key, &packet, now);
                if let Some(source) = self.sources.get_mut(key) {
                    source.show(&packet, now);
                }
            }
        }
        let source = self.sources.get_mut(key).ok_or(Stop("unknown_ssrc"))?;
        let waiting = !source.waiting.is_empty();
        if !source.live.is_empty() {
            self.forward(key, &packet, now);
        }
        if packet.keyframe && waiting {
            self.start_waiting(key, &packet, now);
        }
        let Plane { sources, transports, out, .. } = self;
        let (Some(source), Some(owner)) = (sources.get_mut(key), transports.get_mut(owner_key)) else { return Ok(()) };
        source.show(&packet, now);
        if source.nack.as_ref().is_some_and(|nack| now >= nack.next_due) {
            send_nacks(owner, source, out, now);
        }
        Ok(())
    }

    /// The loop that everything else is there for.
    fn forward(&mut self, key: Key, packet: &Arc<MediaPacket>, now: f64) {
        let Some(source) = self.sources.get_mut(key) else { return };
        let live = std::mem::take(&mut source.live);
        let Plane { sinks, transports, out, dropped, packets_out, .. } = self;
        for sink in &live {
            if let Some(sink) = sinks.get_mut(*sink) {
                *packets_out += send_one(transports, sink, packet, out, dropped, now, true);
            }
        }
        if let Some(source) = self.sources.get_mut(key) {
            source.live = live;
        }
    }

    /// Waiting sinks go live with this packet. Where it was late, what came before it follows at once.
    fn start_waiting(&mut self, key: Key, packet: &Arc<MediaPacket>, now: f64) {
        for sink in self.start(key, packet) {
            let Plane { sources, sinks, transports, out, dropped, packets_out, .. } = self;
            let (Some(source), Some(sink)) = (sources.get(key), sinks.get_mut(sink)) else { continue };
            for sequence in packet.sequence..=source.numbering.highest {
                if let Some(present) = source.history.get(sequence) {
                    *packets_out += send_one(transports, sink, present, out, dropped, now, false);
                }
            }
        }
    }

    /// Answers a subscriber's NACK from the source's history, or from the bytes sent where there is no RTX.
    pub fn resend(&mut self, key: Key, numbers: &[u16], now: f64) {
        let Plane { sources, sinks, transports, out, dropped, packets_out, .. } = self;
        let Some(sink) = sinks.get_mut(key) else { return };
        let Some(transport) = transports.get_mut(sink.transport) else { return };
        sink.nacks_received += 1;
        for number in numbers {
            *packets_out += resend_one(sources, transport, sink, *number, out, dropped, now);
        }
    }
}

/// One packet to one sink; `may_be_plain`: as it comes, to a sink that was live before it.
#[inline]
fn send_one(
    transports: &mut Slab<Transport>,
    sink: &mut Outgoing,
    packet: &Arc<MediaPacket>,
    out: &mut Outbox,
    dropped: &mut Dropped,
    now: f64,
    may_be_plain: bool,
) -> u64 {
    let wrapped = packet.redundant.as_ref().filter(|redundant| {
        sink.wraps(redundant) && transports.get(sink.transport).is_some_and(|transport| transport.redundancy)
    });
    let course = &mut sink.course;
    let in_order = !course.careful && packet.sequence >= course.start;
    let plain = may_be_plain && sink.plain && in_order && sink.sealed.is_none() && wrapped.is_none();
    let placed = if plain {
        Placed { number: packet.sequence - course.offset, marker: packet.marker, body: Body::Whole }
    } else {
        let Some(placed) = course.place(packet) else { return 0 };
        placed
    };
    let packet = wrapped.unwrap_or(packet);
    let Some(transport) = transports.get_mut(sink.transport) else { return 0 };
    if !plain && transport.sending.is_some() {
        return with_sending(transport, out, dropped, |sending, way| sending.media(way, sink, packet, &placed, now));
    }
    let start = out.arena.len();
    let header = sink.render(&mut out.arena, packet, &placed, now, 0);
    let octets = out.arena.len() - start - header;
    if let Err(refusal) = transport.srtp.seal_rtp(sink.slot, &mut out.arena, start, header) {
        out.arena.truncate(start);
        dropped.count(refusal.name());
        return 0;
    }
    sink.keep(placed.number, &out.arena[start..]);
    out.commit(transport.route, transport.index, sink.video, start);
    sink.packets += 1;
    sink.octets += octets as u64;
    1
}

/// Calls with the transport's `Sending`, which it has, taken out.
pub fn with_sending(
    transport: &mut Transport,
    out: &mut Outbox,
    dropped: &mut Dropped,
    call: impl FnOnce(&mut crate::sending::Sending, &mut Way) -> u64,
) -> u64 {
    let Some(mut sending) = transport.sending.take() else { return 0 };
    let left = call(&mut sending, &mut Way { transport, out, dropped });
    transport.sending = Some(sending);
    left
}

fn resend_one(
    sources: &Slab<Incoming>,
    transport: &mut Transport,
    sink: &mut Outgoing,
    number: u16,
    out: &mut Outbox,
    dropped: &mut Dropped,
    now: f64,
) -> u64 {
    let start = out.arena.len();
    let toward = transport.toward(sink, now);
    if sink.sealed.is_some() {
        if sink.sealed.as_ref().is_none_or(|kept| kept.get(number).is_none()) || !sink.may_resend(number, toward, now) {
            return 0;
        }
        if let Some(sealed) = sink.sealed.as_ref().and_then(|kept| kept.get(number)) {
            if let Some(sending) = &mut transport.sending {
                sending.repeated(sink, sealed);
            }
            out.arena.extend_from_slice(sealed);
        }
    } else {
        let highest = sink.course.fed_by().and_then(|key| sources.get(key)).map(|source| source.numbering.highest);
        let Some(origin) = sink.course.origin(i64::from(number), highest) else { return 0 };
        if sink.spec.rtx_payload_type.is_none() || sink.spec.rtx_ssrc.is_none() {
            return 0;
        }
        let Some(feed) = sink.course.feed(origin.feed) else { return 0 };
        let (marker_body, numbers, time_offset, feeding) = (feed, feed.numbers, feed.time_offset, feed.source);
        let Some(packet) = sources.get(feeding).and_then(|source| source.history.get(origin.sequence)) else {
            return 0;
        };
        let (marker, body) = marker_body.late(packet, origin.pictures);
        let depends = marker_body.depends(packet);
        if sink.is_abandoned(number) || !sink.may_resend(number, toward, now) {
            return 0;
        }
        let placed = Placed { number: i64::from(number), marker, body };
        if transport.sending.is_some() {
            let before = sink.retransmissions;
            let again = (&**packet, &placed, numbers, time_offset);
            let mut left = repair(transport, sink, again, depends.clone(), out, dropped, now);
            if sink.retransmissions == before {
                sink.not_resent(number);
            } else if sink.urgent {
                left += repair(transport, sink, again, depends, out, dropped, now);
            }
            return left;
        }
        let header = sink.render_rtx(&mut out.arena, packet, &placed, numbers, time_offset, depends, now);
        if let Err(refusal) = transport.srtp.seal_rtp(sink.rtx_slot, &mut out.arena, start, header) {
            out.arena.truncate(start);
            dropped.count(refusal.name());
            return 0;
        }
    }
    sink.retransmissions += 1;
    out.commit(transport.route, transport.index, sink.video, start);
    1
}

/// One retransmission by way of the transport's pacer.
fn repair(
    transport: &mut Transport,
    sink: &mut Outgoing,
    (packet, placed, numbers, time_offset): (&MediaPacket, &Placed, Numbers, i64),
    depends: Option<Vec<u8>>,
    out: &mut Outbox,
    dropped: &mut Dropped,
    now: f64,
) -> u64 {
    let mut data = Vec::with_capacity(MAX_DATAGRAM);
    let header = sink.render_rtx(&mut data, packet, placed, numbers, time_offset, depends, now);
    with_sending(transport, out, dropped, |sending, way| sending.again(way, sink, data, header, now))
}
