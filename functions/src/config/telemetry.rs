//! The environment variables of OpenTelemetry. Its SDK reads them itself, as their specification says; here they are
//! told of and checked, because the SDK would take a mistake for the default.

use super::Variable;
use domain::limits::TELEMETRY_TIMEOUT;
use infra::outgoing::Target;
use std::time::Duration;

pub const STANDARD_VARIABLES: &[Variable] = &[
    Variable {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        default: "none: nothing is sent",
        meaning: "a collector of OpenTelemetry that traces and metrics are sent to over OTLP (http/protobuf), such as \
                  http://127.0.0.1:4318; without TLS only in a private network",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        default: "/v1/traces below the endpoint",
        meaning: "the whole address for traces, when they go elsewhere or alone",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        default: "/v1/metrics below the endpoint",
        meaning: "the whole address for metrics, when they go elsewhere or alone",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        default: "none",
        meaning: "comma list of name=value, sent along with both, such as the key of a collector",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        default: "10000",
        meaning: "milliseconds that a collector has to take what it is sent; what takes longer is lost, and counted",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        default: "http/protobuf",
        meaning: "the protocol, of which there is one here",
    },
    Variable {
        name: "OTEL_SERVICE_NAME",
        default: "bindery",
        meaning: "what this server is called in traces and metrics",
    },
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        default: "none",
        meaning: "comma list of name=value that all traces and metrics bear, such as \
                  deployment.environment.name=production",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER",
        default: "parentbased_traceidratio, of 0.01",
        meaning: "which requests are traced: always_on, always_off, traceidratio, or one of these for requests whose \
                  caller does not decide it, as parentbased_always_on and so on",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER_ARG",
        default: "1.0",
        meaning: "the part of requests that a sampler by ratio takes, from 0.0 to 1.0",
    },
    Variable {
        name: "OTEL_METRIC_EXPORT_INTERVAL",
        default: "60000",
        meaning: "milliseconds between two sendings of metrics",
    },
    Variable {
        name: "OTEL_BSP_SCHEDULE_DELAY",
        default: "5000",
        meaning: "milliseconds that a finished span waits at most for others to be sent with",
    },
    Variable {
        name: "OTEL_BSP_MAX_QUEUE_SIZE",
        default: "2048",
        meaning: "finished spans that wait to be sent; what comes beyond that is dropped, and counted",
    },
    Variable {
        name: "OTEL_SDK_DISABLED",
        default: "false",
        meaning: "true has nothing traced, sent or served at --metrics-listen, whatever else is set",
    },
];

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    pub disabled: bool,
    pub sends_traces: bool,
    pub sends_metrics: bool,
    pub timeout: Duration,
    /// The environment says which requests are traced.
    pub names_sampler: bool,
}

impl TelemetryConfig {
    /// # Errors
    /// Every variable that is wrong, one sentence each.
    pub fn from_environment() -> Result<Self, Vec<String>> {
        Self::from_lookup(super::environment)
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let text =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut is_set = |name: &str| {
            let url = text(name);
            if let Some(Err(reason)) = url.as_deref().map(Target::parse) {
                wrong.push(format!("{name}: {reason}"));
            }
            url.is_some()
        };
        let (both, traces, metrics) = (is_set(ENDPOINT), is_set(TRACES), is_set(METRICS));
        let mut one_of = |name: &str, known: &[&str]| {
            let given = text(name);
            if let Some(given) = &given
                && !known.contains(&given.as_str())
            {
                wrong.push(format!("{name}: {given:?} must be {}", known.join(", ")));
            }
            given
        };
        for of in ["", "_TRACES", "_METRICS"] {
            one_of(&format!("OTEL_EXPORTER_OTLP{of}_PROTOCOL"), &["http/protobuf"]);
        }
        let disabled = one_of("OTEL_SDK_DISABLED", &["true", "false"]).as_deref() == Some("true");
        let names_sampler = one_of("OTEL_TRACES_SAMPLER", &SAMPLERS).is_some();
        if let Some(ratio) = text("OTEL_TRACES_SAMPLER_ARG")
            && !ratio.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio))
        {
            wrong.push("OTEL_TRACES_SAMPLER_ARG: must be a number from 0.0 to 1.0".to_owned());
        }
        let mut number = |name: &str| match text(name).map(|text| text.parse::<u32>()) {
            None => None,
            Some(Ok(number)) if number > 0 => Some(number),
            Some(_) => {
                wrong.push(format!("{name}: must be a whole number from 1 to {}", u32::MAX));
                None
            }
        };
        let timeout = number("OTEL_EXPORTER_OTLP_TIMEOUT").map(|ms| Duration::from_millis(u64::from(ms)));
        for name in ["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE"] {
            number(name);
        }
        let config = Self {
            disabled,
            sends_traces: both || traces,
            sends_metrics: both || metrics,
            timeout: timeout.unwrap_or(TELEMETRY_TIMEOUT),
            names_sampler,
        };
        if wrong.is_empty() { Ok(config) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<TelemetryConfig, Vec<String>> {
        TelemetryConfig::from_lookup(|name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_sent_without_an_endpoint_and_what_has_one_is() {
        let sent = |variables: &[(&str, &str)]| {
            let config = read(variables).expect("it is valid");
            (config.sends_traces, config.sends_metrics)
        };
        assert_eq!(sent(&[("OTEL_SERVICE_NAME", "bindery")]), (false, false));
        assert_eq!(sent(&[(ENDPOINT, "http://127.0.0.1:4318")]), (true, true));
        assert_eq!(sent(&[(TRACES, "https://collector.example/v1/traces")]), (true, false));
        assert_eq!(sent(&[(METRICS, "https://collector.example/v1/metrics")]), (false, true));
    }

    #[test]
    fn what_the_sdk_would_take_for_its_default_is_refused_all_at_once() {
        let wrong = read(&[
            (ENDPOINT, "127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_SDK_DISABLED", "yes"),
        ]);
        assert_eq!(wrong.expect_err("seven things are wrong").len(), 7);
    }
}
