//! States of the past in memory: those that were used last, within a bound on their size.

use super::Folded;
use domain::limits::PAST_REMEMBERED_BYTES;
use events::{OrganizationId, Seq};
use std::collections::VecDeque;

/// The one used last comes first.
#[derive(Default)]
pub struct Remembered(VecDeque<Folded>);

impl Remembered {
    /// The last one at or before `seq`.
    pub fn nearest(&mut self, organization: &OrganizationId, seq: Seq) -> Option<Folded> {
        let reaches = |folded: &Folded| {
            let state = folded.present.state();
            (state.id == *organization && state.head <= seq).then_some(state.head)
        };
        let candidates = self.0.iter().enumerate().filter_map(|(at, it)| Some((reaches(it)?, at)));
        let (_, at) = candidates.max()?;
        let found = self.0.remove(at)?;
        self.0.push_front(found.clone());
        Some(found)
    }

    /// The newest stays, however large it is.
    pub fn add(&mut self, folded: Folded) {
        let place = |it: &Folded| (it.present.state().id.clone(), it.present.head());
        self.0.retain(|it| place(it) != place(&folded));
        self.0.push_front(folded);
        let mut sum = 0;
        let fitting = self.0.iter().take_while(|it| {
            sum += it.bytes;
            sum <= PAST_REMEMBERED_BYTES
        });
        let fitting = fitting.count().max(1);
        self.0.truncate(fitting);
    }
}
