//! Configuration: every environment variable by name, unit, default and reason; read once, checked at once.

mod assistant;
#[cfg(any(test, feature = "embedded"))]
mod telemetry;

pub use assistant::{AssistantConfig, Provider};
#[cfg(any(test, feature = "embedded"))]
pub use telemetry::{STANDARD_VARIABLES, TelemetryConfig};

use infra::secret::Secret;
use ipnet::IpNet;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One environment variable. `bindery --help` prints this list.
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "BINDERY_ALLOW_PRIVATE_HOSTS",
        default: "",
        meaning: "comma list of address blocks (CIDR) that databases may live in although they are private, \
                  loopback or link-local, such as 127.0.0.0/8,::1/128; everything else private stays refused",
    },
    Variable {
        name: "BINDERY_PUBLIC_URL",
        default: "http:// and the address listened on",
        meaning: "how clients reach this server; error documents are linked below it",
    },
    Variable {
        name: "BINDERY_RATE_PER_KEY",
        default: "1000",
        meaning: "requests per second of one API key, with as many again in a burst",
    },
    Variable {
        name: "BINDERY_RATE_PER_ORGANIZATION",
        default: "5000",
        meaning: "requests per second of all keys of one organization, with as many again in a burst",
    },
    Variable {
        name: "BINDERY_MISSES_PER_CALL",
        default: "5",
        meaning: "distinct keys that one call may look up in vain before it looks up no more, at most 1000",
    },
    Variable {
        name: "BINDERY_MISSES_PER_CALLER",
        default: "20",
        meaning: "the same for one number that calls, within an hour from the first on, at most 1000",
    },
    Variable {
        name: "BINDERY_DISCOVERY_ANSWER_AFTER_MS",
        default: "5000",
        meaning: "milliseconds after which a discovery answers 202 and goes on behind it",
    },
    Variable {
        name: "BINDERY_STREAM_ENDS_AFTER_MS",
        default: "86400000",
        meaning: "milliseconds after which a stream of events ends, so that its client resumes elsewhere; below the \
                  time limit of what serves it",
    },
    Variable {
        name: "BINDERY_STREAM_HEARTBEAT_MS",
        default: "15000",
        meaning: "milliseconds of silence after which a stream of events sends a comment, so that nothing between \
                  server and client takes it for dead",
    },
    Variable {
        name: "BINDERY_WEBHOOK_RETRY_BASE_MS",
        default: "1000",
        meaning: "milliseconds before a webhook is tried again the first time; each next wait doubles, up to an hour",
    },
    Variable {
        name: "BINDERY_WEBHOOK_TIMEOUT_MS",
        default: "15000",
        meaning: "milliseconds that a receiver of a webhook has to answer, at most 15000; what takes longer has failed, \
                  and is tried again",
    },
    Variable {
        name: "BINDERY_WEBHOOK_GIVE_UP_MS",
        default: "86400000",
        meaning: "milliseconds of failing after which a webhook's subscription is parked until somebody resumes it",
    },
    Variable {
        name: "BINDERY_CALLS_KEPT_DAYS",
        default: "90",
        meaning: "days for which records of live calls are kept",
    },
    Variable {
        name: "BINDERY_ASSISTANT",
        default: "embedded",
        meaning: "who proposes bindings for goals: embedded, which needs no service; openai, for any service that \
                  speaks OpenAI's chat completions with structured output; or bedrock",
    },
    Variable {
        name: "BINDERY_ASSISTANT_URL",
        default: "https://api.openai.com/v1, or Bedrock's address in the region of AWS",
        meaning: "what the paths of the assistant's service stand below; it may be in a private network, and only \
                  there without TLS",
    },
    Variable {
        name: "BINDERY_ASSISTANT_MODEL",
        default: "none, which only embedded takes",
        meaning: "the model that is asked; for bedrock a model's id, or the id or ARN of an inference profile",
    },
    Variable {
        name: "BINDERY_ASSISTANT_KEY",
        default: "none",
        meaning: "the key of a service of openai's kind; functions on AWS read theirs from Secrets Manager",
    },
    Variable {
        name: "BINDERY_ASSISTANT_TIMEOUT_MS",
        default: "20000",
        meaning: "milliseconds after which a goal is not left to the assistant any longer, at most 20000",
    },
    Variable {
        name: "BINDERY_LOG",
        default: "info",
        meaning: "what is logged, as a comma list such as warn,functions=debug; log lines never hold values of \
                  arguments, rows or credentials",
    },
];

/// What a function on AWS is told beside that. The template sets those without a default.
pub const DEPLOYMENT_VARIABLES: &[Variable] = &[
    Variable {
        name: "BINDERY_TABLES",
        default: "",
        meaning: "what the names of the deployment's tables begin with, before a hyphen",
    },
    Variable { name: "BINDERY_BUCKET", default: "", meaning: "the bucket of artefacts above 64 KB" },
    Variable {
        name: "BINDERY_CREDENTIALS_KEY",
        default: "",
        meaning: "id, ARN or alias of the KMS key that wraps the data keys of credentials",
    },
    Variable {
        name: "BINDERY_ANSWERS_KEY",
        default: "",
        meaning: "id, ARN or alias of the KMS key that wraps the data keys of kept answers",
    },
    Variable {
        name: "BINDERY_CHECKPOINTS_KEY",
        default: "",
        meaning: "id, ARN or alias of the asymmetric KMS key that signs checkpoints of the log",
    },
    Variable {
        name: "BINDERY_EVENT_BUS",
        default: "",
        meaning: "name or ARN of the bus of EventBridge that events are put on",
    },
    Variable {
        name: "BINDERY_SECRETS",
        default: "",
        meaning: "what the names of the deployment's secrets begin with, before a slash",
    },
    Variable {
        name: "BINDERY_ASSISTANT_KEY_SECRET",
        default: "none",
        meaning: "ARN of the secret whose text is the key of the assistant's service",
    },
    Variable {
        name: "BINDERY_HEAD_TRUSTED_MS",
        default: "60000",
        meaning: "milliseconds for which reads go on, after the log's head was last confirmed, when the log cannot be \
                  reached; at most 60000, because a key that was revoked meanwhile is taken for as long",
    },
    Variable {
        name: "BINDERY_WARM_ORGANIZATIONS",
        default: "empty",
        meaning: "comma list of organizations whose state is loaded before the first request, and to whose databases \
                  a function of live calls opens a connection: for provisioned concurrency, which pays for a start \
                  that nobody waits for",
    },
];

/// Checked configuration. No Debug: it may hold the key of an assistant's service.
#[derive(Clone)]
pub struct Config {
    pub allow_private_hosts: Vec<IpNet>,
    /// Without a slash at the end.
    pub public_url: String,
    pub rate_per_key: u32,
    pub rate_per_organization: u32,
    pub misses_per_call: u32,
    pub misses_per_caller: u32,
    pub discovery_answer_after: Duration,
    pub stream_ends_after: Duration,
    pub stream_heartbeat: Duration,
    pub webhook_retry_base: Duration,
    pub webhook_timeout: Duration,
    pub webhook_give_up: Duration,
    pub calls_kept: Duration,
    pub assistant: AssistantConfig,
    pub assistant_key: Option<Secret>,
    pub log: Targets,
}

impl Config {
    /// # Errors
    /// Every variable that is wrong, one sentence each.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
        default_url: &str,
    ) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut allow_private_hosts = Vec::new();
        for block in lookup("BINDERY_ALLOW_PRIVATE_HOSTS").unwrap_or_default().split(',') {
            match block.trim() {
                "" => {}
                block => match block.parse::<IpNet>() {
                    Ok(net) => allow_private_hosts.push(net),
                    Err(_) => wrong.push(format!(
                        "BINDERY_ALLOW_PRIVATE_HOSTS: {block:?} is not an address block; write it like 10.0.0.0/8"
                    )),
                },
            }
        }
        let public_url = lookup("BINDERY_PUBLIC_URL").unwrap_or_else(|| default_url.to_owned());
        if !(public_url.starts_with("http://") || public_url.starts_with("https://")) {
            wrong.push(format!("BINDERY_PUBLIC_URL: {public_url:?} must start with http:// or https://"));
        }
        let mut number = |name: &str, default: u32| match lookup(name).map(|text| text.trim().parse::<u32>())
        {
            None => default,
            Some(Ok(number)) if number > 0 => number,
            Some(_) => {
                wrong.push(format!("{name}: must be a whole number from 1 to {}", u32::MAX));
                default
            }
        };
        let rate_per_key = number("BINDERY_RATE_PER_KEY", domain::limits::RATE_PER_KEY);
        let rate_per_organization =
            number("BINDERY_RATE_PER_ORGANIZATION", domain::limits::RATE_PER_ORGANIZATION);
        let misses_per_call = number("BINDERY_MISSES_PER_CALL", domain::limits::MISSES_PER_CALL);
        let misses_per_caller = number("BINDERY_MISSES_PER_CALLER", domain::limits::MISSES_PER_CALLER);
        let answer_after = domain::limits::DISCOVERY_ANSWER_AFTER.as_millis() as u32;
        let discovery_answer_after = number("BINDERY_DISCOVERY_ANSWER_AFTER_MS", answer_after);
        let stream_ends_after =
            number("BINDERY_STREAM_ENDS_AFTER_MS", domain::limits::STREAM_ENDS_AFTER.as_millis() as u32);
        let stream_heartbeat =
            number("BINDERY_STREAM_HEARTBEAT_MS", domain::limits::STREAM_HEARTBEAT.as_millis() as u32);
        let webhook_retry_base =
            number("BINDERY_WEBHOOK_RETRY_BASE_MS", domain::limits::WEBHOOK_RETRY_BASE.as_millis() as u32);
        let webhook_timeout =
            number("BINDERY_WEBHOOK_TIMEOUT_MS", domain::limits::WEBHOOK_TIMEOUT.as_millis() as u32);
        let webhook_give_up =
            number("BINDERY_WEBHOOK_GIVE_UP_MS", domain::limits::WEBHOOK_GIVE_UP.as_millis() as u32);
        let days = |duration: Duration| duration.as_secs() / DAY.as_secs();
        let calls_kept_days = number("BINDERY_CALLS_KEPT_DAYS", days(domain::limits::CALLS_KEPT) as u32);
        if u64::from(calls_kept_days) > days(domain::limits::CALLS_KEPT_MAX) {
            wrong.push(format!(
                "BINDERY_CALLS_KEPT_DAYS: must be at most {}",
                days(domain::limits::CALLS_KEPT_MAX)
            ));
        }
        if u128::from(webhook_timeout) > domain::limits::WEBHOOK_TIMEOUT.as_millis() {
            wrong.push("BINDERY_WEBHOOK_TIMEOUT_MS: must be at most 15000".to_owned());
        }
        for (name, misses) in
            [("BINDERY_MISSES_PER_CALL", misses_per_call), ("BINDERY_MISSES_PER_CALLER", misses_per_caller)]
        {
            if misses as usize > domain::limits::MISSES_MAX {
                wrong.push(format!("{name}: must be at most {}", domain::limits::MISSES_MAX));
            }
        }
        let assistant = AssistantConfig::from_lookup(&lookup, &mut wrong);
        let log = lookup("BINDERY_LOG").unwrap_or_else(|| "info".to_owned());
        // A space would be part of a name.
        let log = log.replace(' ', "").parse::<Targets>().unwrap_or_else(|error| {
            wrong.push(format!("BINDERY_LOG: {error}; write it like warn,functions=debug"));
            Targets::new()
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let log = without_values(&log);
        Ok(Self {
            allow_private_hosts,
            public_url: public_url.trim_end_matches('/').to_owned(),
            rate_per_key,
            rate_per_organization,
            misses_per_call,
            misses_per_caller,
            discovery_answer_after: Duration::from_millis(u64::from(discovery_answer_after)),
            stream_ends_after: Duration::from_millis(u64::from(stream_ends_after)),
            stream_heartbeat: Duration::from_millis(u64::from(stream_heartbeat)),
            webhook_retry_base: Duration::from_millis(u64::from(webhook_retry_base)),
            webhook_timeout: Duration::from_millis(u64::from(webhook_timeout)),
            webhook_give_up: Duration::from_millis(u64::from(webhook_give_up)),
            calls_kept: DAY * calls_kept_days,
            assistant,
            assistant_key: lookup("BINDERY_ASSISTANT_KEY").map(Secret::new),
            log,
        })
    }

    /// # Errors
    /// As [`Config::from_lookup`].
    pub fn from_environment(default_url: &str) -> Result<Self, Vec<String>> {
        Self::from_lookup(environment, default_url)
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The SDK of the Model Context Protocol tells messages whole, a caller's arguments and a customer's rows among them, and
/// something of each call even at `info`. What matters of it we log ourselves.
fn without_values(asked: &Targets) -> Targets {
    let kept = asked.iter().filter(|(target, _)| !target.starts_with("rmcp"));
    Targets::new()
        .with_default(asked.default_level().unwrap_or(LevelFilter::OFF))
        .with_targets(kept)
        .with_target("rmcp", LevelFilter::ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_variable_is_named_at_once() {
        let lookup = |name: &str| match name {
            "BINDERY_ALLOW_PRIVATE_HOSTS" => Some("10.0.0.0/8, nonsense".to_owned()),
            "BINDERY_RATE_PER_KEY" => Some("0".to_owned()),
            "BINDERY_PUBLIC_URL" => Some("example.com".to_owned()),
            "BINDERY_WEBHOOK_TIMEOUT_MS" => Some("15001".to_owned()),
            "BINDERY_MISSES_PER_CALLER" => Some("1001".to_owned()),
            "BINDERY_LOG" => Some("functions=loud".to_owned()),
            _ => None,
        };
        let wrong = Config::from_lookup(lookup, "http://127.0.0.1:8480").err().expect("much is wrong");
        assert_eq!(wrong.len(), 6, "{wrong:?}");
    }

    #[test]
    fn an_empty_environment_opens_nothing_private() {
        let config = Config::from_lookup(|_| None, "http://127.0.0.1:8480").expect("defaults are valid");
        assert!(config.allow_private_hosts.is_empty());
    }

    #[test]
    fn a_log_filter_names_levels_by_target_with_or_without_spaces() {
        let lookup = |name: &str| (name == "BINDERY_LOG").then(|| "warn, functions=debug".to_owned());
        let log = Config::from_lookup(lookup, "http://127.0.0.1:8480").expect("a valid filter").log;
        assert!(log.would_enable("functions::router", &tracing::Level::DEBUG));
        assert!(!log.would_enable("infra::databases", &tracing::Level::INFO));
    }

    #[test]
    fn messages_of_the_protocol_are_not_logged_however_loud_the_log_is() {
        for asked in ["debug", "rmcp=trace", "rmcp::service=trace,info"] {
            let lookup = |name: &str| (name == "BINDERY_LOG").then(|| asked.to_owned());
            let log = Config::from_lookup(lookup, "http://127.0.0.1:8480").expect("a valid filter").log;
            assert!(!log.would_enable("rmcp::service", &tracing::Level::WARN), "{asked}");
            assert!(log.would_enable("rmcp::service", &tracing::Level::ERROR), "{asked}");
        }
    }
}
