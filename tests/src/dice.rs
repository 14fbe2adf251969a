//! Chance that comes again, and how much of it.

/// SplitMix64: the same throws for the same seed, on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn pick<T>(&mut self, of: &[T]) -> Option<usize> {
        (!of.is_empty()).then(|| self.below(of.len() as u64) as usize)
    }
}

/// So many every day, and so many in `make prove`.
pub fn tier(everyday: usize, full: usize) -> usize {
    if std::env::var_os("BINDERY_PROVE").is_some() { full } else { everyday }
}
