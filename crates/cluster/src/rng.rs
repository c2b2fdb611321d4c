//! The simulation's one source of randomness.

/// SplitMix64: small, quick, and the same everywhere. The state is part of the simulation, so a
/// snapshot continues with the same numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator whose numbers depend on `seed` alone.
    pub fn new(seed: u64) -> Rng {
        Rng {
            state: seed ^ 0x6b75_6261_7269_756d,
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// `length` characters of the alphabet that Kubernetes makes names' random parts from
    /// (apimachinery's `rand.String`: no vowels, no look-alikes).
    pub fn name(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length)
            .map(|_| char::from(ALPHABET[self.below(ALPHABET.len() as u64) as usize]))
            .collect()
    }

    /// Hexadecimal digits, as in container IDs.
    pub fn hex(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize]))
            .collect()
    }

    /// A version-4 UUID (RFC 9562).
    pub fn uuid(&mut self) -> String {
        Rng::uuid_of(self.uuid_bits())
    }

    /// What a UUID is made from.
    pub(crate) fn uuid_bits(&mut self) -> (u64, u64) {
        (self.next_u64(), self.next_u64())
    }

    /// The UUID that is made from these bits.
    pub(crate) fn uuid_of((a, b): (u64, u64)) -> String {
        let mut text = String::with_capacity(36);
        let mut digits = |number: u64, count: u32| {
            for at in (0..count).rev() {
                let digit = number >> (4 * at) & 0xf;
                text.push(char::from(b"0123456789abcdef"[digit as usize]));
            }
            if text.len() < 36 {
                text.push('-');
            }
        };
        digits(a >> 32, 8);
        digits(a >> 16 & 0xffff, 4);
        digits(a & 0xfff | 0x4000, 4);
        digits(b >> 48 & 0x3fff | 0x8000, 4);
        digits(b & 0xffff_ffff_ffff, 12);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_everything() {
        let numbers = |seed| {
            let mut r = Rng::new(seed);
            (r.uuid(), r.name(5), r.below(10))
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        let uuid = Rng::new(3).uuid();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
    }
}
