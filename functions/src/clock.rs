//! The one place that reads the clock.

use jiff::Timestamp;

pub fn now() -> Timestamp {
    Timestamp::now()
}
