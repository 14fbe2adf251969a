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
