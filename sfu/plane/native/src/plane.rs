//! The state of the plane: transports, sources, sinks, and the calls that change them; see `sfu/plane/python.py`.
//! What arrives is in `receive`, what time brings in `control`, who gets what in `board`.

use std::collections::HashMap;

use crate::dice::Dice;
use crate::incoming::{Incoming, SourceSpec};
use crate::layers::Layers;
use crate::outbox::{Outbox, Route};
use crate::outgoing::{Outgoing, SinkSpec};
use crate::slab::{Key, Slab};
use crate::srtp::Srtp;
use crate::transport::Transport;

/// Why a call of the owner of the plane was wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Misuse {
    Taken(String),
    Absent(String),
}

/// What is counted of packets that went nowhere, by reason.
#[derive(Default)]
pub struct Dropped(pub HashMap<&'static str, u64>);

impl Dropped {
    pub fn count(&mut self, reason: &'static str) {
        self.add(reason, 1);
    }

    pub fn add(&mut self, reason: &'static str, count: u64) {
        *self.0.entry(reason).or_default() += count;
    }
}

/// What policy needs to know.
#[derive(Clone, Debug)]
pub enum Event {
    Level { source: String, level: u8, voice: bool, time: f64 },
    SenderReport { source: String, ntp: f64, timestamp: i64, arrival: f64 },
    KeyframeWanted { source: String, sink: String },
    Ended { source: String },
    Switched { sink: String, source: String },
    Estimate { transport: String, bits_per_second: f64 },
}

/// What is to be told by name, in the order in which it came up; told again it keeps its place.
pub struct Pending<K, V>(pub Vec<(K, V)>);

impl<K, V> Default for Pending<K, V> {
    fn default() -> Self {
        Pending(Vec::new())
    }
}

impl<K: PartialEq, V> Pending<K, V> {
    pub fn put(&mut self, key: K, value: V) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => self.0.push((key, value)),
        }
    }

    pub fn remove(&mut self, gone: impl Fn(&K) -> bool) {
        self.0.retain(|(key, _)| !gone(key));
    }
}

/// See the module text.
pub struct Plane {
    pub transports: Slab<Transport>,
    pub sources: Slab<Incoming>,
    pub sinks: Slab<Outgoing>,
    pub transport_names: HashMap<String, Key>,
    pub source_names: HashMap<String, Key>,
    pub sink_names: HashMap<String, Key>,
    pub out: Outbox,
    pub packets_in: u64,
    pub packets_out: u64,
    pub dropped: Dropped,
    pub dice: Dice,
    pub cname: String,
    pub now: f64,
    pub reports: Pending<String, (f64, i64, f64)>,
    pub wanted: Pending<(String, String), ()>,
    pub ended: Pending<String, ()>,
    pub switched: Pending<String, String>,
    pub estimates: Pending<String, f64>,
}

impl Plane {
    pub fn new(seed: u64, cname: &str) -> Self {
        Plane {
            transports: Slab::default(),
            sources: Slab::default(),
            sinks: Slab::default(),
            transport_names: HashMap::new(),
            source_names: HashMap::new(),
            sink_names: HashMap::new(),
            out: Outbox::default(),
            packets_in: 0,
            packets_out: 0,
            dropped: Dropped::default(),
            dice: Dice::new(seed),
            cname: cname.to_owned(),
            now: 0.0,
            reports: Pending::default(),
            wanted: Pending::default(),
            ended: Pending::default(),
            switched: Pending::default(),
            estimates: Pending::default(),
        }
    }

    // --- transports ---

    pub fn add_transport(&mut self, name: &str, srtp: Srtp, route: Route) -> Result<Key, Misuse> {
        if self.transport_names.contains_key(name) {
            return Err(Misuse::Taken(format!("transport {name} is already there")));
        }
        let key = self.transports.insert(Transport::new(name, srtp, route, &mut self.dice));
        if let Some(transport) = self.transports.get_mut(key) {
            transport.index = key.index;
        }
        self.transport_names.insert(name.to_owned(), key);
        Ok(key)
    }

    pub fn transport(&self, name: &str) -> Result<Key, Misuse> {
        self.transport_names.get(name).copied().ok_or_else(|| Misuse::Absent(name.to_owned()))
    }

    pub fn transport_mut(&mut self, name: &str) -> Result<&mut Transport, Misuse> {
        let key = self.transport(name)?;
        self.transports.get_mut(key).ok_or_else(|| Misuse::Absent(name.to_owned()))
    }

    pub fn set_route(&mut self, name: &str, route: Route) -> Result<Key, Misuse> {
        let key = self.transport(name)?;
        self.transport_mut(name)?.route = route;
        Ok(key)
    }

    /// What is gone: its key, and the ids of its sources and of its sinks.
    pub fn remove_transport(&mut self, name: &str) -> Option<(Key, Vec<String>, Vec<String>)> {
        self.estimates.remove(|key| key == name);
        let key = self.transport_names.remove(name)?;
        let gone = self.transports.get(key)?;
        let ids = gone.sources.iter().filter_map(|key| self.sources.get(*key)).map(|source| source.spec.id.clone());
        let shown = gone.sinks.iter().filter_map(|(_, key)| self.sinks.get(*key)).map(|sink| sink.spec.id.clone());
        let (ids, shown) = (ids.collect(), shown.collect());
        let sources: Vec<Key> = gone.sources.clone();
        let sinks: Vec<Key> = gone.sinks.iter().map(|(_, key)| *key).collect();
        for source in sources {
            self.drop_source(source);
        }
        for sink in sinks {
            self.drop_sink(sink);
        }
        self.transports.remove(key);
        Some((key, ids, shown))
    }

    // --- sources ---

    pub fn add_source(&mut self, transport: &str, spec: SourceSpec) -> Result<(), Misuse> {
        if self.source_names.contains_key(&spec.id) {
            return Err(Misuse::Taken(format!("source {} is already there", spec.id)));
        }
        let owner = self.transport(transport)?;
        let name = spec.id.clone();
        let key = self.sources.insert(Incoming::new(owner, spec));
        let (Some(source), Some(owner)) = (self.sources.get_mut(key), self.transports.get_mut(owner)) else {
            return Err(Misuse::Absent(transport.to_owned()));
        };
        source.key = key;
        if !owner.add_source(source) {
            self.sources.remove(key);
            return Err(Misuse::Taken(format!("an SSRC of source {name} is already another source's")));
        }
        self.source_names.insert(name, key);
        self.await_source(key);
        Ok(())
    }

    pub fn pause_source(&mut self, name: &str, paused: bool) {
        let Some(key) = self.source_names.get(name).copied() else { return };
        let Some(source) = self.sources.get_mut(key) else { return };
        if !source.set_paused(paused) {
            return;
        }
        if paused {
            for sink in std::mem::take(&mut source.live) {
                if let Some(sink) = self.sinks.get_mut(sink) {
                    sink.course.hold(source);
                    // Those that are to show another source wait for that one already.
                    if sink.target == source.spec.id {
                        source.waiting.push(sink.key);
                    }
                }
            }
            source.history.clear();
        }
        if let Some(nack) = &mut source.nack {
            nack.reset();
        }
        if !paused {
            for sink in source.waiting.clone() {
                self.want_keyframe(key, sink);
            }
        }
    }

    pub fn remove_source(&mut self, name: &str) {
        if let Some(key) = self.source_names.get(name).copied() {
            self.drop_source(key);
        }
    }

    fn drop_source(&mut self, key: Key) {
        self.forget_source(key);
        let Some(gone) = self.sources.remove(key) else { return };
        let name = &gone.spec.id;
        self.source_names.remove(name);
        self.reports.remove(|source| source == name);
        self.ended.remove(|source| source == name);
        if let Some(transport) = self.transports.get_mut(gone.transport) {
            transport.remove_source(key);
        }
    }

    pub fn source_mut(&mut self, name: &str) -> Option<&mut Incoming> {
        let key = self.source_names.get(name)?;
        self.sources.get_mut(*key)
    }

    pub fn request_keyframe(&mut self, name: &str, now: f64) -> bool {
        let Some(source) = self.source_names.get(name).and_then(|key| self.sources.get_mut(*key)) else { return false };
        let Some(transport) = self.transports.get_mut(source.transport).filter(|_| source.spec.video) else {
            return false;
        };
        let due = source.pli.request(now);
        crate::control::send_pli(transport, source, &mut self.out, due)
    }

    // --- sinks ---

    pub fn add_sink(&mut self, transport: &str, spec: SinkSpec) -> Result<(), Misuse> {
        let owner = self.transport(transport)?;
        let Some(holder) = self.transports.get_mut(owner) else { return Err(Misuse::Absent(transport.to_owned())) };
        if self.sink_names.contains_key(&spec.id) || holder.sinks_by_ssrc.contains_key(&spec.ssrc) {
            return Err(Misuse::Taken(format!("sink {} or its SSRC is already there", spec.id)));
        }
        let source = self.source_names.get(&spec.source).and_then(|key| self.sources.get(*key));
        let video = source.is_none_or(|source| source.spec.video);
        let name = spec.id.clone();
        let mut sink = Outgoing::new(owner, spec, video, &mut self.dice);
        sink.slot = holder.srtp.slot(sink.spec.ssrc);
        sink.rtx_slot = holder.srtp.slot(sink.spec.rtx_ssrc.unwrap_or(0));
        let key = self.sinks.insert(sink);
        if let Some(sink) = self.sinks.get_mut(key) {
            sink.key = key;
            holder.add_sink(sink);
        }
        self.sink_names.insert(name, key);
        self.wait(key);
        Ok(())
    }

    pub fn pause_sink(&mut self, name: &str, paused: bool) {
        let Some(key) = self.sink_names.get(name).copied() else { return };
        let Some(sink) = self.sinks.get_mut(key) else { return };
        if sink.paused == paused {
            return;
        }
        sink.paused = paused;
        if paused {
            self.detach(key);
        } else {
            self.wait(key);
        }
    }

    pub fn aim_sink(&mut self, name: &str, source: &str, layers: Layers) -> Result<(), Misuse> {
        match self.sink_names.get(name).copied() {
            Some(key) => self.aim(key, source, layers),
            None => Ok(()),
        }
    }

    pub fn remove_sink(&mut self, name: &str) {
        if let Some(key) = self.sink_names.get(name).copied() {
            self.drop_sink(key);
        }
    }

    fn drop_sink(&mut self, key: Key) {
        let Some(sink) = self.sinks.get(key) else { return };
        let (name, source, transport, ssrc) =
            (sink.spec.id.clone(), sink.source.clone(), sink.transport, sink.spec.ssrc);
        if let Some(transport) = self.transports.get_mut(transport) {
            transport.remove_sink(ssrc);
        }
        self.sink_names.remove(&name);
        self.detach(key);
        self.wanted.remove(|pair| pair.0 == source && pair.1 == name);
        self.switched.remove(|sink| *sink == name);
        self.sinks.remove(key);
    }

    // --- events ---

    pub fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let Plane { sources, .. } = self;
        for key in sources.order.clone() {
            let Some(source) = sources.get_mut(key).filter(|source| source.loudest <= 127) else { continue };
            let (level, voice, time) = (source.loudest, source.voice, source.heard_at);
            events.push(Event::Level { source: source.spec.id.clone(), level, voice, time });
            source.loudest = 128;
            source.voice = false;
        }
        for (source, (ntp, timestamp, arrival)) in self.reports.0.drain(..) {
            events.push(Event::SenderReport { source, ntp, timestamp, arrival });
        }
        events.extend(self.wanted.0.drain(..).map(|((source, sink), ())| Event::KeyframeWanted { source, sink }));
        events.extend(self.ended.0.drain(..).map(|(source, ())| Event::Ended { source }));
        events.extend(self.switched.0.drain(..).map(|(sink, source)| Event::Switched { sink, source }));
        for (transport, bits_per_second) in self.estimates.0.drain(..) {
            events.push(Event::Estimate { transport, bits_per_second });
        }
        events
    }
}
