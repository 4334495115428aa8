//! NumPy's legacy random permutations (`numpy.random.RandomState`, frozen since 1.16), because torch-fidelity draws KID's
//! subsets and the Inception Score's shuffle from them: with them, equal features give equal figures.
//!
//! The generator is MT19937 (Matsumoto & Nishimura 1998).

const N: usize = 624;
const M: usize = 397;

/// What `RandomState(seed)` is, as far as permutations need it.
#[derive(Debug)]
pub(super) struct LegacyRandom {
    state: [u32; N],
    at: usize,
}

impl LegacyRandom {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            state[i] = 1_812_433_253_u32.wrapping_mul(state[i - 1] ^ (state[i - 1] >> 30)).wrapping_add(i as u32);
        }
        Self { state, at: N }
    }

    fn next(&mut self) -> u32 {
        if self.at == N {
            self.twist();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let mixed = if y & 1 == 0 { y >> 1 } else { (y >> 1) ^ 0x9908_b0df };
            self.state[i] = self.state[(i + M) % N] ^ mixed;
        }
        self.at = 0;
    }

    /// Uniform from 0 to `most`, both included, by masking and rejecting.
    fn at_most(&mut self, most: u32) -> u32 {
        let mask = most.checked_next_power_of_two().map_or(u32::MAX, |p| if p == most { 2 * p - 1 } else { p - 1 });
        loop {
            let value = self.next() & mask;
            if value <= most {
                return value;
            }
        }
    }

    /// `permutation(n)`; its first entries are `choice(n, size, replace=False)`.
    pub(super) fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        for i in (1..n).rev() {
            order.swap(i, self.at_most(i as u32) as usize);
        }
        order
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tch::Tensor;

    use super::*;

    /// The reference features: a linear congruential generator's, in [0, 1), float64, row by row.
    pub(in crate::metrics) fn uniform(rows: i64, columns: i64, seed: u64) -> Tensor {
        let mut s = seed;
        let mut next = || {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (s >> 11) as f64 / (1_u64 << 53) as f64
        };
        let values: Vec<f64> = (0..rows * columns).map(|_| next()).collect();
        Tensor::from_slice(&values).reshape([rows, columns])
    }

    /// The numbers that `tests/python/metrics_golden.py` wrote, made by the Python references.
    pub(in crate::metrics) fn golden(metric: &str) -> serde_json::Value {
        let all: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden/metrics.json")).unwrap();
        all[metric].clone()
    }

    pub(in crate::metrics) fn close(found: f64, expected: f64, relative: f64) {
        assert!((found - expected).abs() <= relative * expected.abs(), "{found} is not {expected} to {relative}");
    }

    #[test]
    fn permutations_are_numpys() {
        let mut random = LegacyRandom::new(2020);
        for (name, n) in [("first of 10", 10), ("second of 8", 8), ("third of 1000", 1000)] {
            let expected: Vec<i64> = serde_json::from_value(golden("permutations")[name].clone()).unwrap();
            assert_eq!(random.permutation(n)[..expected.len()], expected, "{name}");
        }
    }
}
