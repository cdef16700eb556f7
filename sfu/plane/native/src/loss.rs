//! How much of the loss is congestion? The loss-based half of the estimate; see `sfu/loss.py`.

const DURATION: f64 = 0.25;
const OBSERVATIONS: usize = 20;
const WEIGHT: f64 = 0.9;
const INHERENT: f64 = 0.12;
const BALANCE: f64 = 75_000.0;
const LEAST_INHERENT: f64 = 0.001;
const NEWTON: f64 = 0.75;
const LINEAR_BIAS: f64 = 0.0002;
const LOG_BIAS: f64 = 0.02;
const BIAS_LOSS: f64 = 0.15;
const LEAST_BIAS: f64 = 0.1;
const CANDIDATES: [f64; 3] = [1.02, 1.0, 0.95];

struct Observation {
    rate: f64,
    arrived: f64,
    lost: f64,
}

/// Rates in bit/s. `estimate` is infinite while loss does not tell of any limit.
pub struct LossModel {
    pub estimate: f64,
    pub loss: f64,
    inherent: f64,
    observations: Vec<Observation>,
    since: Option<f64>,
    packets: i64,
    lost: i64,
    octets: i64,
}

impl Default for LossModel {
    fn default() -> Self {
        LossModel {
            estimate: f64::INFINITY,
            loss: 0.0,
            inherent: 0.01,
            observations: Vec::new(),
            since: None,
            packets: 0,
            lost: 0,
            octets: 0,
        }
    }
}

/// What one feedback message counted.
pub struct Counted {
    pub packets: i64,
    pub lost: i64,
    pub octets: i64,
    pub newest_sent: f64,
}

impl LossModel {
    /// `acked` is the rate that arrives, `ceiling` the delay-based estimate.
    pub fn observe(&mut self, counted: &Counted, acked: f64, ceiling: f64) {
        self.packets += counted.packets;
        self.lost += counted.lost;
        self.octets += counted.octets;
        let Some(since) = self.since else {
            self.begin(counted.newest_sent);
            return;
        };
        let passed = counted.newest_sent - since;
        if passed < DURATION || self.packets <= 0 {
            return;
        }
        let lost = self.lost.min(self.packets).max(0);
        self.observations.push(Observation {
            rate: (self.octets * 8) as f64 / passed,
            arrived: (self.packets - lost) as f64,
            lost: lost as f64,
        });
        if self.observations.len() > OBSERVATIONS {
            self.observations.remove(0);
        }
        self.begin(counted.newest_sent);
        self.update(acked, ceiling);
    }

    fn begin(&mut self, at: f64) {
        self.since = Some(at);
        self.packets = 0;
        self.lost = 0;
        self.octets = 0;
    }

    /// The path is another one now.
    pub fn forget(&mut self) {
        self.observations.clear();
        self.estimate = f64::INFINITY;
        self.loss = 0.0;
    }

    fn update(&mut self, acked: f64, ceiling: f64) {
        let (mut weight, mut total, mut missing) = (1.0, 0.0, 0.0);
        for observation in self.observations.iter().rev() {
            total += weight * (observation.arrived + observation.lost);
            missing += weight * observation.lost;
            weight *= WEIGHT;
        }
        self.loss = if total != 0.0 { missing / total } else { 0.0 };
        if missing == 0.0 {
            self.estimate = f64::INFINITY;
            self.inherent = LEAST_INHERENT.max(self.inherent * WEIGHT);
            return;
        }
        let present = self.estimate.min(ceiling);
        let mut candidates: Vec<f64> = CANDIDATES.iter().map(|factor| ceiling.min(present * factor)).collect();
        if 0.0 < acked && acked < ceiling {
            candidates.push(acked);
        }
        candidates.push(ceiling);
        let (mut best, mut best_value, mut best_inherent) = (present, f64::NEG_INFINITY, self.inherent);
        for bandwidth in candidates {
            let inherent = self.fit(bandwidth);
            let value = self.objective(bandwidth, inherent);
            if value > best_value {
                (best, best_value, best_inherent) = (bandwidth, value, inherent);
            }
        }
        self.inherent = best_inherent;
        if self.loss > INHERENT {
            best = best.min(BALANCE.max(BALANCE / (self.loss - INHERENT)));
        }
        if best > self.estimate {
            best = best.min(self.estimate.max(1.5 * acked));
        }
        self.estimate = if best < ceiling { best } else { f64::INFINITY };
    }

    fn fit(&self, bandwidth: f64) -> f64 {
        let mut inherent = self.inherent;
        let (mut first, mut second, mut weight) = (0.0, 0.0, 1.0);
        for Observation { rate, arrived, lost } in self.observations.iter().rev() {
            let excess = if *rate > bandwidth { 1.0 - bandwidth / rate } else { 0.0 };
            let p = (inherent + (1.0 - inherent) * excess).max(0.0001).min(0.9999);
            let slope = 1.0 - excess;
            first += weight * slope * (lost / p - arrived / (1.0 - p));
            second -= weight * slope * slope * (lost / (p * p) + arrived / ((1.0 - p) * (1.0 - p)));
            weight *= WEIGHT;
        }
        if second < 0.0 {
            inherent -= NEWTON * first / second;
        }
        LEAST_INHERENT.max(inherent.min(INHERENT + BALANCE / bandwidth).min(1.0))
    }

    fn objective(&self, bandwidth: f64, inherent: f64) -> f64 {
        let kilobits = bandwidth / 1000.0;
        let mut bias = LINEAR_BIAS * kilobits + LOG_BIAS * (1.0 + kilobits).ln();
        let away = (BIAS_LOSS - self.loss).max(0.0);
        bias *= LEAST_BIAS.max(away / (0.002 + away));
        let (mut value, mut weight) = (0.0, 1.0);
        for Observation { rate, arrived, lost } in self.observations.iter().rev() {
            let excess = if *rate > bandwidth { 1.0 - bandwidth / rate } else { 0.0 };
            let p = (inherent + (1.0 - inherent) * excess).max(0.0001).min(0.9999);
            value += weight * (lost * p.ln() + arrived * (1.0 - p).ln() + bias * (arrived + lost));
            weight *= WEIGHT;
        }
        value
    }
}
