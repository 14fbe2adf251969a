//! How AWS is reached: region, credentials and endpoints as the platform sets them, and a limit on every wait, for the
//! SDK has none by itself.

pub use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use domain::limits::{AWS_ATTEMPT_TIMEOUT, AWS_ATTEMPTS, AWS_BACKOFF, AWS_OPERATION_TIMEOUT};

/// What every client is made of.
pub async fn load() -> SdkConfig {
    loader().load().await
}

/// The same limits, before region, credentials and endpoints are known.
pub fn loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(AWS_ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(AWS_ATTEMPT_TIMEOUT)
        .operation_timeout(AWS_OPERATION_TIMEOUT)
        .build();
    // The standard mode draws its backoff at random below a bound that doubles.
    let retries = RetryConfig::standard().with_max_attempts(AWS_ATTEMPTS).with_initial_backoff(AWS_BACKOFF);
    aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).retry_config(retries)
}
