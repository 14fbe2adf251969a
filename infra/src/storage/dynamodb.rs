//! The backend on AWS: the log and what stands beside it in DynamoDB, large artefacts in S3.

pub mod tables;
