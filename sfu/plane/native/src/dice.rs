//! Where SSRCs, first sequence numbers and first timestamps come from: SplitMix64, so that a run can be repeated.

pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An SSRC or a timestamp.
    pub fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    /// A first sequence number, in the lower half as RFC 3711 advises.
    pub fn sequence(&mut self) -> u16 {
        (self.next() >> 49) as u16
    }
}
