//! How a sink's own numbers and times go on over pauses, dropped packets and changes of its source; see
//! `sfu/plane/course.py`, whose names and rules these are.

use crate::dice::Dice;
use crate::history::MediaPacket;
use crate::incoming::Incoming;
use crate::layers::{Layers, Selector};
use crate::slab::Key;

const SEGMENTS: usize = 256;

/// A source's sender report: raw NTP, unwrapped timestamp, arrival.
pub type SenderReport = (u64, i64, f64);

/// How the payload of a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Whole,
    /// Its layer is left out, but its number was given.
    Empty,
    /// With so much subtracted from picture id and TL0PICIDX.
    Moved {
        pictures: i32,
        tl0: i32,
    },
}

/// Number, marker and payload of a packet as it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub number: i64,
    pub marker: u8,
    pub body: Body,
}

/// How packets of one feed are called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    pub payload_type: u8,
    pub rtx_payload_type: u8,
    /// They leave with their dependency descriptors.
    pub described: bool,
}

/// One source feeding one sink, from the switch to it until the next.
pub struct Feed {
    id: u64,
    pub source: Key,
    pub time_offset: i64,
    tl0: i32,
    frames: i32,
    moves_pictures: bool,
    pub numbers: Numbers,
    pub selector: Option<Selector>,
}

impl Feed {
    fn shape(&self, packet: &MediaPacket, pictures: i32) -> (u8, Body) {
        let descriptor = packet.descriptor.as_ref();
        let mut marker = packet.marker;
        if marker == 0 && self.selector.as_ref().is_some_and(|selector| selector.ends(packet.timestamp, descriptor)) {
            marker = 0x80;
        }
        let moved = descriptor.is_some_and(|descriptor| descriptor.picture >= 0 || descriptor.tl0 >= 0);
        if moved && (pictures != 0 || self.tl0 != 0) {
            return (marker, Body::Moved { pictures, tl0: self.tl0 });
        }
        (marker, Body::Whole)
    }

    /// The dependency descriptor of a packet as it leaves.
    pub fn depends(&self, packet: &MediaPacket) -> Option<Vec<u8>> {
        let limits = self.selector.as_ref().map(|selector| selector.limits(packet.timestamp));
        packet.dependency.as_ref().map(|dependency| dependency.rewrite(self.frames, limits))
    }

    /// The same for a packet whose number is given already.
    pub fn late(&self, packet: &MediaPacket, pictures: i32) -> (u8, Body) {
        let left_out = |selector: &Selector| !selector.kept(packet.timestamp, packet.descriptor.as_ref());
        if self.selector.as_ref().is_some_and(left_out) {
            (0, Body::Empty)
        } else {
            self.shape(packet, pictures)
        }
    }
}

/// A range of sequences of a feed's source that left, or may still leave, as `first` and on.
struct Segment {
    feed: u64,
    source: Key,
    first: i64,
    start: i64,
    end: i64,
    pictures: i32,
}

/// What is behind a number that a sink has sent: the feed's id, picture offset and its source's sequence.
pub struct Origin {
    pub feed: u64,
    pub pictures: i32,
    pub sequence: i64,
}

/// The numbering of one sink.
pub struct Course {
    pub live: bool,
    pub live_since: f64,
    pub start: i64,
    pub offset: i64,
    pub time_offset: i64,
    pictures: i32,
    pub layers: Layers,
    pub careful: bool,
    /// Of the present feed, the last of `feeds`.
    present: Option<u64>,
    feeds: Vec<Feed>,
    highest: i64,
    torn: bool,
    skipped: i64,
    picture: i32,
    tl0: i32,
    /// The frame number at which the feed before ended, as it left.
    frame: i32,
    next: i64,
    left: Option<(i64, f64)>,
    segments: Vec<Segment>,
    ids: u64,
    numbers: Numbers,
}

impl Course {
    pub fn new(dice: &mut Dice) -> Self {
        Course {
            live: false,
            live_since: f64::INFINITY,
            start: 0,
            offset: 0,
            time_offset: 0,
            pictures: 0,
            layers: Layers::default(),
            careful: false,
            present: None,
            feeds: Vec::new(),
            highest: -1,
            torn: false,
            skipped: -1,
            picture: -1,
            tl0: -1,
            frame: -1,
            next: i64::from(dice.sequence()),
            left: None,
            segments: Vec::new(),
            ids: 0,
            numbers: Numbers::default(),
        }
    }

    pub fn feed(&self, id: u64) -> Option<&Feed> {
        self.feeds.iter().rev().find(|feed| feed.id == id)
    }

    pub fn now(&self) -> Option<&Feed> {
        self.present.and_then(|id| self.feed(id))
    }

    fn now_mut(&mut self) -> Option<&mut Feed> {
        let id = self.present?;
        self.feeds.iter_mut().rev().find(|feed| feed.id == id)
    }

    /// The source that feeds the sink.
    pub fn fed_by(&self) -> Option<Key> {
        self.now().map(|feed| feed.source)
    }

    // --- starting, stopping, aiming ---

    /// How packets of the present feed, or else of the last one, are called.
    #[inline]
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// The next feed is of another codec: its picture ids and frame numbers have nothing to go on from.
    pub fn forget_pictures(&mut self) {
        (self.picture, self.tl0, self.frame) = (-1, -1, -1);
    }

    /// Goes live with this packet, a key frame's first. `before` and `after` are the last reports of the source shown so
    /// far and of this one.
    pub fn begin(
        &mut self,
        packet: &MediaPacket,
        source: &Incoming,
        numbers: Numbers,
        before: Option<SenderReport>,
        after: Option<SenderReport>,
        dice: &mut Dice,
    ) {
        if self.fed_by() != Some(source.key) {
            self.numbers = numbers;
            self.time_offset = packet.timestamp - self.first_timestamp(packet, source, before.zip(after), dice);
            let (mut tl0, mut pictures) = (0, 0);
            if let Some(descriptor) = &packet.descriptor {
                if descriptor.picture >= 0 && self.picture >= 0 {
                    pictures = (descriptor.picture - self.picture - 1) & 0x7FFF;
                }
                if descriptor.tl0 >= 0 && self.tl0 >= 0 {
                    tl0 = (descriptor.tl0 - self.tl0 - 1) & 0xFF;
                }
            }
            let mut frames = 0;
            if let Some(dependency) = packet.dependency.as_ref().filter(|_| self.frame >= 0) {
                frames = (dependency.number - self.frame - 1) & 0xFFFF;
            }
            self.pictures = pictures;
            self.ids += 1;
            self.present = Some(self.ids);
            self.feeds.push(Feed {
                id: self.ids,
                source: source.key,
                time_offset: self.time_offset,
                tl0,
                frames,
                moves_pictures: source.moves_pictures,
                numbers,
                selector: None,
            });
            self.forget_feeds();
        }
        self.live = true;
        self.live_since = packet.arrival;
        self.start = packet.sequence;
        self.offset = packet.sequence - self.next;
        self.highest = packet.sequence - 1;
        self.torn = false;
        self.skipped = -1;
        self.select(source);
        if let Some(selector) = self.now_mut().and_then(|feed| feed.selector.as_mut()) {
            selector.start(packet.timestamp);
        }
        self.settle();
    }

    /// Whether it has shown the source further than this late packet: it must not go back there.
    pub fn is_past(&self, source: Key, sequence: i64) -> bool {
        self.segments.iter().any(|segment| segment.source == source && segment.end >= sequence)
    }

    /// Which layers to forward of the source that is shown; `source` is what feeds the sink.
    pub fn limit(&mut self, layers: Layers, source: Option<&Incoming>) {
        self.layers = layers;
        let (Some(source), true) = (source, self.present.is_some()) else { return };
        self.select(source);
        if self.live && !self.careful {
            self.highest = source.numbering.highest;
            self.torn = source.torn;
            self.note(source);
            if let Some(selector) = self.now_mut().and_then(|feed| feed.selector.as_mut()) {
                selector.passed(source.numbering.timestamp);
            }
        }
        self.settle();
    }

    fn select(&mut self, source: &Incoming) {
        let layers = self.layers;
        let Some(feed) = self.now_mut() else { return };
        if feed.selector.is_none() && source.scalable && layers != Layers::default() {
            feed.selector = Some(Selector::new(source.numbering.timestamp));
        }
        if let Some(selector) = &mut feed.selector {
            selector.aim(layers);
        }
    }

    fn settle(&mut self) {
        let Some(feed) = self.now() else { return };
        let limited = feed.selector.as_ref().is_some_and(|selector| !selector.open());
        let careful = limited || self.pictures != 0 || feed.tl0 != 0;
        let before = std::mem::replace(&mut self.careful, careful);
        if before && !careful {
            self.close(self.highest); // late packets may still belong to layers that were left out
            self.start = self.highest + 1;
        }
    }

    /// Whether more spatial layers are wanted than are forwarded, of those up to `top` that there are.
    pub fn wants_spatial(&self, top: i32) -> bool {
        let selector = self.now().and_then(|feed| feed.selector.as_ref());
        selector.is_some_and(|selector| selector.spatial < top.min(selector.wanted_spatial))
    }

    fn first_timestamp(
        &self,
        packet: &MediaPacket,
        source: &Incoming,
        reports: Option<(SenderReport, SenderReport)>,
        dice: &mut Dice,
    ) -> i64 {
        let Some((last, at)) = self.left else { return i64::from(dice.word()) };
        let rate = source.numbering.clock_rate;
        let passed = last + (((packet.arrival - at) * rate as f64).round_ties_even() as i64).max(1);
        let (true, Some((before, after))) = (self.present.is_some(), reports) else { return passed };
        let between = ((i128::from(after.0) - i128::from(before.0)) * i128::from(rate)) >> 32;
        let reported = i128::from(before.1 - self.time_offset + packet.timestamp - after.1) + between;
        // Clocks that disagree by more than a second are not of one publisher, or were set meanwhile.
        if (reported - i128::from(passed)).abs() <= i128::from(rate) {
            (reported as i64).max(last + 1)
        } else {
            passed
        }
    }

    /// Stops being live after all that the source has had so far.
    pub fn hold(&mut self, source: &Incoming) {
        if !self.live || self.present.is_none() {
            return;
        }
        self.live = false;
        let end = source.numbering.highest;
        if !self.careful {
            self.torn = source.torn;
            self.note(source);
        }
        if let (true, Some(feed)) = (source.frame >= 0, self.now()) {
            self.frame = (source.frame - feed.frames) & 0xFFFF;
        }
        // After a torn frame one number stays free, lest the next frame be joined to it.
        self.next = end - self.offset + 1 + i64::from(self.torn);
        self.left = Some((source.numbering.timestamp - self.time_offset, source.last_arrival));
        self.close(end);
    }

    /// Where picture ids stand that were not looked at so far.
    fn note(&mut self, source: &Incoming) {
        (self.picture, self.tl0) = source.newest.map_or((-1, -1), |newest| (newest.picture, newest.tl0));
    }

    fn close(&mut self, end: i64) {
        let Some(feed) = self.now() else { return };
        if end >= self.start {
            let segment = Segment {
                feed: feed.id,
                source: feed.source,
                first: self.start - self.offset,
                start: self.start,
                end,
                pictures: self.pictures,
            };
            self.segments.push(segment);
            if self.segments.len() > 2 * SEGMENTS {
                self.segments.drain(..SEGMENTS);
                self.forget_feeds();
            }
        }
    }

    /// Keeps the present feed and those that segments refer to.
    fn forget_feeds(&mut self) {
        let (segments, present) = (&self.segments, self.present);
        self.feeds.retain(|feed| Some(feed.id) == present || segments.iter().any(|segment| segment.feed == feed.id));
    }

    /// The source is gone: what it sent cannot be sent again.
    pub fn leave(&mut self, source: &Incoming, now: f64) {
        if self.fed_by() == Some(source.key) {
            self.hold(source);
            self.left = Some((source.numbering.timestamp - self.time_offset, now));
            self.present = None;
        }
        self.segments.retain(|segment| segment.source != source.key);
        self.forget_feeds();
    }

    // --- packets ---

    /// How a packet of the present source leaves; None where its layer is left out, or it fell into a pause.
    #[inline]
    pub fn place(&mut self, packet: &MediaPacket) -> Option<Placed> {
        let sequence = packet.sequence;
        let present = self.present?;
        let at = self.feeds.iter().rposition(|feed| feed.id == present)?;
        if !self.careful && sequence >= self.start {
            let (marker, body) = self.feeds[at].shape(packet, self.pictures);
            return Some(Placed { number: sequence - self.offset, marker, body });
        }
        if !self.careful || sequence <= self.highest {
            let (number, pictures) = self.earlier(present, sequence);
            let (marker, body) = self.feeds[at].late(packet, pictures);
            return number.map(|number| Placed { number, marker, body });
        }
        self.highest = sequence;
        let descriptor = packet.descriptor.as_ref();
        if let Some(selector) = &mut self.feeds[at].selector {
            if !selector.decide(packet.timestamp, packet.keyframe, packet.marker, descriptor) {
                self.skip(at, packet);
                return None;
            }
            if selector.open() {
                self.settle();
            }
        }
        let feed = &self.feeds[at];
        let (marker, body) = feed.shape(packet, self.pictures);
        self.torn = marker == 0;
        if let Some(descriptor) = descriptor {
            if descriptor.picture >= 0 {
                self.picture = (descriptor.picture - self.pictures) & 0x7FFF;
            }
            if descriptor.tl0 >= 0 {
                self.tl0 = (descriptor.tl0 - feed.tl0) & 0xFF;
            }
        }
        Some(Placed { number: sequence - self.offset, marker, body })
    }

    /// Leaves a packet out: what follows moves up.
    fn skip(&mut self, at: usize, packet: &MediaPacket) {
        self.close(packet.sequence - 1);
        self.start = packet.sequence + 1;
        self.offset += 1;
        let moves = self.feeds.get(at).is_some_and(|feed| feed.moves_pictures);
        if let (true, Some(descriptor)) = (moves && packet.timestamp != self.skipped, &packet.descriptor) {
            self.skipped = packet.timestamp;
            if descriptor.picture >= 0 {
                self.pictures = (self.pictures + 1) & 0x7FFF;
            }
        }
    }

    /// Number and picture offset of a late packet.
    fn earlier(&self, feed: u64, sequence: i64) -> (Option<i64>, i32) {
        if self.live && sequence >= self.start {
            return (Some(sequence - self.offset), self.pictures);
        }
        for segment in self.segments.iter().rev() {
            if segment.feed != feed {
                break;
            }
            if sequence >= segment.start {
                let number = segment.first + sequence - segment.start;
                return ((sequence <= segment.end).then_some(number), segment.pictures);
            }
        }
        (None, 0)
    }

    /// What is behind a 16-bit number; `highest` is that of the source that feeds the sink.
    pub fn origin(&self, number: i64, highest: Option<i64>) -> Option<Origin> {
        let present = self.present.filter(|_| self.live).zip(highest);
        let newest = present.map_or(self.next - 1, |(_, highest)| highest - self.offset);
        let back = (newest - number) & 0xFFFF;
        if back > 0x7FFF {
            return None;
        }
        let wanted = newest - back;
        if let (Some((feed, _)), true) = (present, wanted >= self.start - self.offset) {
            return Some(Origin { feed, pictures: self.pictures, sequence: wanted + self.offset });
        }
        let index = self.segments.partition_point(|segment| segment.first <= wanted).checked_sub(1)?;
        let segment = &self.segments[index];
        let sequence = segment.start + wanted - segment.first;
        (sequence <= segment.end).then_some(Origin { feed: segment.feed, pictures: segment.pictures, sequence })
    }
}
