//! Being written: the embedded backend.
