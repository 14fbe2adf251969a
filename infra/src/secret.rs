//! Text that must not be seen: no Debug, no Display, no Serialize, wiped on drop.

use zeroize::Zeroizing;

#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Named so that every use is found by searching for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use crate::sealing::Sealed;
    use crate::sealing::key_file::KeyFileSealer;
    use std::fmt::{Debug, Display};

    /// Whether a type implements a trait: an inherent constant, which only exists when it does, hides the trait's.
    macro_rules! implements {
        ($type:ty: $($bound:tt)+) => {{
            #[allow(dead_code)]
            struct Probe<T>(std::marker::PhantomData<T>);
            #[allow(dead_code)]
            trait Otherwise {
                const ANSWER: bool = false;
            }
            impl<T> Otherwise for Probe<T> {}
            #[allow(dead_code)]
            impl<T: $($bound)+> Probe<T> {
                const ANSWER: bool = true;
            }
            <Probe<$type>>::ANSWER
        }};
    }

    #[test]
    fn the_probe_tells_who_implements_what() {
        assert!(implements!(String: Debug));
        assert!(implements!(String: Display));
        assert!(implements!(String: serde::Serialize));
        assert!(!implements!(std::fs::File: Display));
    }

    #[test]
    fn secrets_cannot_be_printed_or_serialized() {
        assert!(!implements!(Secret: Debug));
        assert!(!implements!(Secret: Display));
        assert!(!implements!(Secret: serde::Serialize));
        assert!(!implements!(Secret: std::ops::Deref));
        assert!(!implements!(Sealed: Debug));
        assert!(!implements!(Sealed: serde::Serialize));
        assert!(!implements!(KeyFileSealer: Debug));
    }
}
