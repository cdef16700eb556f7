//! What a publisher that does not estimate for itself should send at most, from the losses we see; see `sfu/rate.py`.

const HIGH_LOSS: f64 = 0.10;
const LOW_LOSS: f64 = 0.02;
const GROWTH: f64 = 1.08;
const FLOOR: i64 = 100_000;
const DEFAULT_CAP: i64 = 2_500_000;

/// The estimate of one transport in bits/s. Starts at the cap; losses bring it down, quiet seconds up again.
pub struct LossRate {
    pub cap: i64,
    pub estimate: f64,
}

impl Default for LossRate {
    fn default() -> Self {
        LossRate { cap: DEFAULT_CAP, estimate: DEFAULT_CAP as f64 }
    }
}

impl LossRate {
    /// A raised cap is reached by growth unless nothing held the estimate down.
    pub fn set_cap(&mut self, cap: Option<i64>) {
        let unhindered = self.estimate >= self.cap as f64;
        self.cap = cap.map_or(DEFAULT_CAP, |cap| cap.max(FLOOR));
        self.estimate = if unhindered { self.cap as f64 } else { self.estimate.min(self.cap as f64) };
    }

    /// One interval: packets expected and lost before retransmission, and what came in, bits/s.
    pub fn update(&mut self, expected: i64, lost: i64, received_bits: f64) {
        if expected > 0 {
            let loss = (lost as f64 / expected as f64).max(0.0);
            if loss > HIGH_LOSS {
                let base = self.estimate.min((received_bits * 1.2).max(FLOOR as f64));
                self.estimate = base * (1.0 - 0.5 * loss.min(1.0));
            } else if loss < LOW_LOSS {
                self.estimate *= GROWTH;
            }
        }
        self.estimate = (self.cap as f64).min((FLOOR as f64).max(self.estimate));
    }
}
