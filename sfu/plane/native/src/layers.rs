//! Which layers of a scalable stream to forward, and what each of them costs; see `sfu/layers.py` for the rules.

use std::collections::{BTreeMap, VecDeque};

use crate::descriptor::{Descriptor, ALL};

const SAMPLE_EVERY: f64 = 0.1;
const WINDOW: f64 = 1.0;
const CHANGES: usize = 32;

type Counts = BTreeMap<(i32, i32), u64>;

/// Bit/s of each layer alone over about the last second.
#[derive(Default)]
pub struct LayerRates {
    /// The highest spatial layer that came lately.
    pub top: i32,
    counts: Counts,
    samples: VecDeque<(f64, Counts)>,
}

impl LayerRates {
    pub fn count(&mut self, spatial: i32, temporal: i32, size: usize) {
        *self.counts.entry((spatial, temporal)).or_default() += size as u64;
    }

    /// Call at least every `SAMPLE_EVERY` seconds or so.
    pub fn sample(&mut self, now: f64) {
        if self.samples.back().is_some_and(|(at, _)| now - at < SAMPLE_EVERY) {
            return;
        }
        self.samples.push_back((now, self.counts.clone()));
        while self.samples.len() > 2 && self.samples[1].0 <= now - WINDOW {
            self.samples.pop_front();
        }
        self.top = self.rates().iter().map(|((spatial, _), _)| *spatial).max().unwrap_or(0);
    }

    /// By (spatial, temporal); layers that brought nothing lately are left out.
    pub fn rates(&self) -> Vec<((i32, i32), f64)> {
        if self.samples.len() < 2 {
            return Vec::new();
        }
        let (since, before) = &self.samples[0];
        let (until, after) = &self.samples[self.samples.len() - 1];
        after
            .iter()
            .map(|(layer, total)| {
                let bits = (total - before.get(layer).copied().unwrap_or(0)) * 8;
                (*layer, bits as f64 / (until - since))
            })
            .filter(|(_, rate)| *rate != 0.0)
            .collect()
    }
}

/// Which packets of a scalable source one sink gets.
pub struct Selector {
    pub spatial: i32,
    pub temporal: i32,
    pub wanted_spatial: i32,
    pub wanted_temporal: i32,
    goal: (i32, i32),
    time: i64,
    /// Limits in force from a time on.
    changes: Vec<(i64, i32, i32)>,
}

impl Selector {
    /// Everything was forwarded so far, up to the picture of this time.
    pub fn new(time: i64) -> Self {
        Selector {
            spatial: ALL,
            temporal: ALL,
            wanted_spatial: ALL,
            wanted_temporal: ALL,
            goal: (ALL, ALL),
            time,
            changes: vec![(-1, ALL, ALL)],
        }
    }

    /// The highest layers to forward, None for all.
    pub fn aim(&mut self, layers: Layers) {
        self.wanted_spatial = layers.spatial.map_or(ALL, |layer| layer.max(0));
        self.wanted_temporal = layers.temporal.map_or(ALL, |layer| layer.max(0));
    }

    /// Everything was forwarded, unseen, up to the picture of this time.
    pub fn passed(&mut self, time: i64) {
        self.time = time;
        self.goal = (ALL, ALL);
    }

    /// A key frame of this time begins it anew.
    pub fn start(&mut self, time: i64) {
        self.goal = (self.wanted_spatial, self.wanted_temporal);
        self.time = time;
        self.limit(self.goal.0, self.goal.1);
    }

    /// Everything is forwarded, and nothing else is wanted.
    pub fn open(&self) -> bool {
        [self.spatial, self.temporal, self.wanted_spatial, self.wanted_temporal] == [ALL; 4]
    }

    /// Whether to forward a packet that comes in order.
    pub fn decide(&mut self, time: i64, keyframe: bool, marker: u8, descriptor: Option<&Descriptor>) -> bool {
        if keyframe {
            self.start(time);
        } else if time != self.time {
            self.time = time;
            self.goal = (self.wanted_spatial, self.wanted_temporal);
            self.limit(self.spatial.min(self.wanted_spatial), self.temporal.min(self.wanted_temporal));
        }
        let Some(descriptor) = descriptor else { return false };
        let (goal_spatial, goal_temporal) = self.goal;
        if goal_temporal > self.temporal {
            if descriptor.temporal <= self.temporal {
                if descriptor.raises > self.temporal && (marker != 0 || descriptor.spatial == self.spatial) {
                    self.limit(self.spatial, goal_temporal.min(descriptor.raises));
                }
            } else if descriptor.sync && descriptor.temporal == self.temporal + 1 {
                self.limit(self.spatial, descriptor.temporal);
            }
        }
        if goal_spatial > self.spatial && descriptor.fresh && descriptor.spatial == self.spatial + 1 {
            self.limit(descriptor.spatial, self.temporal);
        }
        descriptor.spatial <= self.spatial && descriptor.temporal <= self.temporal
    }

    /// Whether a packet that is late belongs to what was forwarded.
    pub fn kept(&self, time: i64, descriptor: Option<&Descriptor>) -> bool {
        let (spatial, temporal) = self.limits(time);
        descriptor.is_some_and(|descriptor| descriptor.spatial <= spatial && descriptor.temporal <= temporal)
    }

    /// Whether a packet is the last of its picture now that higher spatial layers are left out.
    pub fn ends(&self, time: i64, descriptor: Option<&Descriptor>) -> bool {
        descriptor.is_some_and(|descriptor| descriptor.end && descriptor.spatial == self.limits(time).0)
    }

    fn limit(&mut self, spatial: i32, temporal: i32) {
        if (spatial, temporal) == (self.spatial, self.temporal) {
            return;
        }
        self.spatial = spatial;
        self.temporal = temporal;
        if self.changes.last().is_some_and(|(time, _, _)| *time == self.time) {
            self.changes.pop();
        }
        self.changes.push((self.time, spatial, temporal));
        if self.changes.len() > CHANGES {
            self.changes.remove(0);
        }
    }

    /// The highest layers that were forwarded at a time.
    pub fn limits(&self, time: i64) -> (i32, i32) {
        let found = self.changes.iter().rev().find(|(since, _, _)| *since <= time).or(self.changes.first());
        found.map_or((ALL, ALL), |(_, spatial, temporal)| (*spatial, *temporal))
    }
}

/// The highest layers to forward; None: all that there are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Layers {
    pub spatial: Option<i32>,
    pub temporal: Option<i32>,
}
