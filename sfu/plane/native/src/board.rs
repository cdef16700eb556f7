//! Which sinks get a source's packets and which wait for its next key frame; see `sfu/plane/switchboard.py`.

use crate::history::MediaPacket;
use crate::layers::Layers;
use crate::plane::{Misuse, Plane};
use crate::slab::Key;

/// A sink that still waits for a key frame says so again after this many seconds.
const REMIND: f64 = 1.0;

impl Plane {
    /// Tells that this sink needs a key frame of the source.
    pub fn want_keyframe(&mut self, source: Key, sink: Key) {
        let (Some(source), Some(sink)) = (self.sources.get(source), self.sinks.get_mut(sink)) else { return };
        if source.spec.video {
            self.wanted.put((source.spec.id.clone(), sink.spec.id.clone()), ());
            sink.wanted_at = self.now;
        }
    }

    /// Tells again of sinks that wait for long: for a first picture, another source or more spatial layers.
    pub fn remind(&mut self, key: Key, now: f64) {
        let Some(source) = self.sources.get(key).filter(|source| !source.paused) else { return };
        let due = |sink: &&Key| self.sinks.get(**sink).is_some_and(|sink| now - sink.wanted_at >= REMIND);
        let mut late: Vec<Key> = source.waiting.iter().filter(due).copied().collect();
        let top = source.rates.top;
        if top > 0 {
            let wants = |sink: &&Key| self.sinks.get(**sink).is_some_and(|sink| sink.course.wants_spatial(top));
            late.extend(source.live.iter().filter(wants).filter(due).copied());
        }
        for sink in late {
            self.want_keyframe(key, sink);
        }
    }

    /// The sink starts, or switches, with the next key frame of what it is aimed at.
    pub fn wait(&mut self, sink: Key) {
        let Some(target) = self.sinks.get(sink).map(|sink| sink.target.as_str()) else { return };
        let Some(key) = self.source_names.get(target).copied() else { return };
        let Some(source) = self.sources.get_mut(key) else { return };
        source.waiting.push(sink);
        if !source.paused {
            self.want_keyframe(key, sink);
        }
    }

    /// Neither gets packets nor waits for them.
    pub fn detach(&mut self, sink: Key) {
        self.stop_showing(sink);
        self.stop_waiting(sink);
    }

    fn stop_showing(&mut self, key: Key) {
        let Some(sink) = self.sinks.get_mut(key) else { return };
        let Some(source) = self.source_names.get(&sink.source).and_then(|key| self.sources.get_mut(*key)) else {
            return;
        };
        if let Some(at) = source.live.iter().position(|other| *other == key) {
            source.live.remove(at);
            sink.course.hold(source);
        }
    }

    fn stop_waiting(&mut self, key: Key) {
        let Some(sink) = self.sinks.get(key) else { return };
        if let Some(source) = self.source_names.get(&sink.target).and_then(|key| self.sources.get_mut(*key)) {
            source.waiting.retain(|other| *other != key);
        }
        let (target, name) = (&sink.target, &sink.spec.id);
        self.wanted.remove(|pair| pair.0 == *target && pair.1 == *name);
    }

    /// Another target, or other layers of it.
    pub fn aim(&mut self, key: Key, target: &str, layers: Layers) -> Result<(), Misuse> {
        let Some(sink) = self.sinks.get(key) else { return Ok(()) };
        let old = self.source_names.get(&sink.source).copied();
        let new = self.source_names.get(target).and_then(|key| self.sources.get(*key));
        let shown = old.and_then(|key| self.sources.get(key));
        if new.zip(shown).is_some_and(|(new, shown)| !sink.takes(&new.spec.codec, &shown.spec.codec)) {
            return Err(Misuse::Taken(format!("source {target} has another codec than sink {} shows", sink.spec.id)));
        }
        if target != sink.target {
            self.stop_waiting(key);
            let Some(sink) = self.sinks.get_mut(key) else { return Ok(()) };
            sink.target = target.to_owned();
            if !sink.paused && (target != sink.source || !sink.course.live) {
                self.wait(key);
            }
        }
        let Some(sink) = self.sinks.get_mut(key) else { return Ok(()) };
        if target != sink.source {
            sink.course.layers = layers; // of what it shows now it keeps those that it has
            return Ok(());
        }
        let feeding = sink.course.fed_by().and_then(|key| self.sources.get(key));
        sink.course.limit(layers, feeding);
        let live = sink.course.live;
        if let Some((old, source)) = old.and_then(|key| self.sources.get(key).map(|source| (key, source))) {
            if live && sink.course.wants_spatial(source.rates.top) {
                self.want_keyframe(old, key);
            }
        }
        Ok(())
    }

    /// Waiting sinks go live with this key frame, leaving what they showed.
    pub fn start(&mut self, key: Key, packet: &MediaPacket) -> Vec<Key> {
        let Plane { sources, sinks, .. } = self;
        let Some(source) = sources.get_mut(key) else { return Vec::new() };
        let past = |sink: &Key| sinks.get(*sink).is_some_and(|sink| sink.course.is_past(key, packet.sequence));
        let (waiting, starting) = source.waiting.drain(..).partition(past);
        source.waiting = waiting;
        let starting: Vec<Key> = starting;
        let name = source.spec.id.clone();
        for sink_key in &starting {
            self.stop_showing(*sink_key);
            let Plane { sinks, sources, transports, dice, switched, wanted, .. } = self;
            let (Some(sink), Some(source)) = (sinks.get_mut(*sink_key), sources.get(key)) else { continue };
            if sink.source != name {
                sink.source.clone_from(&name);
                switched.put(sink.spec.id.clone(), name.clone());
            }
            let (feeding, house) = (sink.course.fed_by().and_then(|key| sources.get(key)), sink.spec.house_clock);
            let before = feeding.and_then(|source| source.clock(house));
            sink.begin(packet, source, before, dice);
            sink.next_report = f64::NEG_INFINITY;
            if let Some(transport) = transports.get_mut(sink.transport) {
                transport.next_report = f64::NEG_INFINITY;
            }
            wanted.remove(|pair| pair.0 == name && pair.1 == sink.spec.id);
        }
        if let Some(source) = self.sources.get_mut(key) {
            source.live.extend(&starting);
        }
        starting
    }

    /// Sinks that are aimed at a new source begin to wait for it.
    pub fn await_source(&mut self, key: Key) {
        let Some(name) = self.sources.get(key).map(|source| source.spec.id.clone()) else { return };
        for sink in self.sinks.order.clone() {
            if self.sinks.get(sink).is_some_and(|sink| sink.target == name && !sink.paused) {
                self.wait(sink);
            }
        }
    }

    /// Sinks that show a source that goes stop where they are.
    pub fn forget_source(&mut self, key: Key) {
        let Plane { sinks, sources, wanted, now, .. } = self;
        let Some(source) = sources.get(key) else { return };
        for sink in sinks.order.clone() {
            if let Some(sink) = sinks.get_mut(sink) {
                sink.course.leave(source, *now);
            }
        }
        wanted.remove(|pair| pair.0 == source.spec.id);
    }
}
