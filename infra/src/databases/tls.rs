//! Being written: rustls configurations for require, verify-ca and verify-full.
