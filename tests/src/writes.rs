//! Live writes: one row or none, and one effect however often they are asked for.

mod doubts;
mod guard;
mod repeats;
mod shapes;
