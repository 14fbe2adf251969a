//! Live writes: one row or none, and one effect however often they are asked for.

mod doubts;
#[cfg(feature = "aws")]
mod doubts_on_lambda;
mod guard;
mod repeats;
mod settling;
mod shapes;
