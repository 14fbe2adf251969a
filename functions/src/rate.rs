//! Rates of one key and of one organization.

use crate::problem::{Code, Problem};
use crate::telemetry::{Happened, tell};
use events::{KeyId, OrganizationId};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use http::{HeaderName, HeaderValue, header};
use std::hash::Hash;
use std::num::NonZeroU32;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

pub struct Rates {
    keys: Limiter<KeyId>,
    /// Of one key, as every answer tells it.
    limit: HeaderValue,
    organizations: Limiter<OrganizationId>,
}

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl Rates {
    pub fn new(per_key: u32, per_organization: u32) -> Self {
        Self {
            keys: limiter(per_key),
            limit: HeaderValue::from(per_key.max(1)),
            organizations: limiter(per_organization),
        }
    }

    /// Headers for the answer, or the refusal with its own.
    pub fn check(
        &self,
        organization: &OrganizationId,
        key: &KeyId,
    ) -> Result<[(HeaderName, HeaderValue); 3], Problem> {
        let of_key = self.keys.check_key(key).map_err(|until| refused("key", &until))?;
        self.organizations.check_key(organization).map_err(|until| refused("organization", &until))?;
        Ok([
            (LIMIT.clone(), self.limit.clone()),
            (REMAINING.clone(), HeaderValue::from(of_key.remaining_burst_capacity())),
            (RESET.clone(), HeaderValue::from_static("1")),
        ])
    }

    /// Forgets keys that have been quiet long enough to have their whole burst again.
    pub fn forget_quiet(&self) {
        self.keys.retain_recent();
        self.organizations.retain_recent();
    }
}

fn limiter<K: Hash + Eq + Clone>(per_second: u32) -> Limiter<K> {
    let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
    RateLimiter::dashmap(quota).with_middleware()
}

fn refused(whose: &'static str, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> Problem {
    tell(Happened::RateRefused { whose });
    let seconds = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
    Problem::new(Code::RateLimited, format!("the {whose} is above its rate; wait {seconds} s"))
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
        .with_header(LIMIT.clone(), HeaderValue::from(until.quota().burst_size().get()))
        .with_header(REMAINING.clone(), HeaderValue::from(0))
        .with_header(RESET.clone(), HeaderValue::from(seconds))
}
