//! Skills: bound, reviewed, tested, called.

pub mod answers;
pub mod auto;
pub mod bind;
pub mod binding;
pub mod call;
pub mod caller_phone;
pub mod doubts;
pub mod execute;
pub mod get;
pub mod identity;
pub mod list;
pub mod misses;
pub mod outcome;
pub mod patch;
pub mod plan;
pub mod remove;
pub mod repeats;
pub mod run;
pub mod test;
pub mod wire;
