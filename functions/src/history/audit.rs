//! What was true at an instant, and how that came to be.

pub mod checkpoint;
pub mod diff;
mod differences;
mod naming;
pub mod state;
pub mod verify;
mod view;
pub mod words;

pub use naming::Naming;
pub use view::View;

use crate::problem::Problem;
use crate::services::Services;
use events::{OrganizationId, Seq};
use jiff::Timestamp;

/// A point of an organization's history.
#[derive(Clone, Copy)]
pub struct Point {
    pub seq: Seq,
    /// What keys are judged by: the instant that was asked for, or when the event was recorded.
    pub at: Option<Timestamp>,
}

impl Services {
    /// A sequence number or an instant in RFC 3339.
    ///
    /// # Errors
    /// 400 for neither, and for a sequence number beyond the log's end.
    pub async fn point(
        &self,
        organization: &OrganizationId,
        field: &str,
        text: &str,
    ) -> Result<Point, Problem> {
        if let Ok(seq) = text.parse().map(Seq) {
            let head = self.log.head(organization).await?;
            if seq > head {
                return Err(Problem::field(field, format!("the log ends at {head}")));
            }
            let before = Seq(seq.0.saturating_sub(1));
            let event = self.log.read(organization, before, 1).await?;
            let recorded_at = event.first().filter(|event| event.seq == seq).map(|event| event.recorded_at);
            return Ok(Point { seq, at: recorded_at });
        }
        let at: Timestamp = text.parse().map_err(|_| {
            Problem::field(field, "must be a sequence number or an instant such as 2026-03-03T14:03:00Z")
        })?;
        let seq = self.past.position(organization, at).await?;
        Ok(Point { seq, at: Some(at) })
    }
}
