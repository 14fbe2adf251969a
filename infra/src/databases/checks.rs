//! The six checks of sql/test.
