//! The HTTP API in front of the functions: routes, throttling, access log and an optional domain.

use super::{Resource, attribute, join, reference, sub};
use crate::endpoint::Endpoint;
use crate::router::BASE;
use serde_json::{Map, Value, json};

pub const API: &str = "Api";
/// The condition that a domain was given.
pub const HAS_DOMAIN: &str = "HasDomain";
const OWN_URL: &str = "https://${DomainName}";
const ACCESS_LOG: &str = "AccessLogs";

/// The endpoint whose function also answers what stands beside the endpoints, and whatever has no route, so that even
/// an unknown address is answered as the contract says. It may do nothing but read.
const BESIDE: &str = "integrations-catalog";
const BESIDE_ROUTES: &[(&str, &str)] =
    &[("Health", "/healthz"), ("OpenApi", "/openapi.json"), ("Errors", "/errors/{code}")];

/// A little less than the 30 s after which the gateway itself gives up.
const TIMEOUT_MS: u32 = 29_000;

pub fn routes(endpoint: &Endpoint) -> Value {
    let mut events = Map::new();
    let route = |method: &str, path: &str| {
        json!({
            "Type": "HttpApi",
            "Properties": {
                "ApiId": reference(API),
                "Method": method,
                "Path": path,
                "PayloadFormatVersion": "2.0",
                "TimeoutInMillis": TIMEOUT_MS,
            },
        })
    };
    events.insert("Route".to_owned(), route(endpoint.method.as_str(), &format!("{BASE}{}", endpoint.path)));
    if endpoint.name == BESIDE {
        for (name, path) in BESIDE_ROUTES {
            events.insert((*name).to_owned(), route("GET", path));
        }
        let rest = json!({
            "Type": "HttpApi",
            "Properties": {
                "ApiId": reference(API), "PayloadFormatVersion": "2.0", "TimeoutInMillis": TIMEOUT_MS,
            },
        });
        events.insert("EverythingElse".to_owned(), rest);
    }
    Value::Object(events)
}

/// Without a domain and an address, functions link errors below the address that they were called by.
pub fn public_url() -> Value {
    json!({ "Fn::If": [HAS_DOMAIN, sub(OWN_URL), reference("PublicUrl")] })
}

pub fn resources() -> Vec<Resource> {
    // Names of fields only: no header and no query ever gets into the access log.
    let fields = [
        ("requestId", "requestId"),
        ("time", "requestTimeEpoch"),
        ("route", "routeKey"),
        ("status", "status"),
        ("latencyMs", "responseLatency"),
        ("integrationMs", "integrationLatency"),
        ("integrationError", "integrationErrorMessage"),
        ("address", "identity.sourceIp"),
        ("bytes", "responseLength"),
    ];
    let format: Vec<String> =
        fields.iter().map(|(name, variable)| format!(r#""{name}":"$context.{variable}""#)).collect();
    let api = json!({
        "Type": "AWS::Serverless::HttpApi",
        "Properties": {
            "Name": reference("AWS::StackName"),
            "DisableExecuteApiEndpoint": { "Fn::If": [HAS_DOMAIN, true, false] },
            "FailOnWarnings": true,
            "DefaultRouteSettings": {
                // Each route would have metrics of its own, at a price; functions count the same by endpoint.
                "DetailedMetricsEnabled": false,
                "ThrottlingBurstLimit": reference("ThrottlingBurst"),
                "ThrottlingRateLimit": reference("ThrottlingRate"),
            },
            "AccessLogSettings": {
                "DestinationArn": attribute(ACCESS_LOG, "Arn"),
                "Format": format!("{{{}}}", format.join(",")),
            },
        },
    });
    let log = json!({
        "Type": "AWS::Logs::LogGroup",
        "Properties": {
            "LogGroupName": join("/aws/apigateway/", "access"),
            "RetentionInDays": reference("LogRetentionDays"),
        },
    });
    let domain = json!({
        "Type": "AWS::ApiGatewayV2::DomainName",
        "Condition": HAS_DOMAIN,
        // The linter takes the parameter's default for its value, also where the condition says that it is not.
        "Metadata": { "cfn-lint": { "config": { "ignore_checks": ["W1030"] } } },
        "Properties": {
            "DomainName": reference("DomainName"),
            "DomainNameConfigurations": [{
                "CertificateArn": reference("CertificateArn"),
                "EndpointType": "REGIONAL",
                "SecurityPolicy": "TLS_1_2",
            }],
        },
    });
    let mapping = json!({
        "Type": "AWS::ApiGatewayV2::ApiMapping",
        "Condition": HAS_DOMAIN,
        // The stage is made by the transform, under this name.
        "DependsOn": "ApiApiGatewayDefaultStage",
        "Properties": { "ApiId": reference(API), "DomainName": reference("Domain"), "Stage": "$default" },
    });
    vec![
        (API.to_owned(), api),
        (ACCESS_LOG.to_owned(), log),
        ("Domain".to_owned(), domain),
        ("DomainMapping".to_owned(), mapping),
    ]
}

pub fn outputs() -> Value {
    let told = |what: &str, value: Value| json!({ "Description": what, "Value": value });
    let url = sub("https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}");
    json!({
        "ApiUrl": told("Where the API answers", json!({ "Fn::If": [HAS_DOMAIN, sub(OWN_URL), url] })),
        "DomainTarget": {
            "Description": "What the domain's DNS record has to point at",
            "Condition": HAS_DOMAIN,
            "Value": attribute("Domain", "RegionalDomainName"),
        },
    })
}
