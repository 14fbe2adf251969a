//! The OpenAPI 3.1 document, from the endpoint list.

use crate::body;
use crate::endpoint::{Endpoint, Repeat, Shape};
use crate::endpoints;
use crate::integrations::discovery::DiscoveryProgress;
use crate::pages::Pagination;
use crate::problem::Code;
use crate::router::BASE;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

pub fn document(public_url: &str) -> Value {
    // Answers leave out what is empty and requests may leave out what has a default: two contracts. Only those of
    // answers get names of their own.
    let named = SchemaSettings::draft2020_12().for_serialize();
    let mut generator = named.with(|it| it.definitions_path = "/components/schemas".into()).into_generator();
    let mut requests = body::generator();
    let lists = Lists {
        pagination: generator.subschema_for::<Pagination>().to_value(),
        accepted: generator.subschema_for::<DiscoveryProgress>().to_value(),
    };
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints::ALL {
        let data = (endpoint.response)(&mut generator).to_value();
        let request = endpoint.request.map(|request| request(&mut requests).to_value());
        let path = paths.entry(format!("{BASE}{}", endpoint.path)).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] = operation(endpoint, request, data, &lists);
    }
    paths.insert("/errors/{code}".to_owned(), json!({ "get": {
        "operationId": "errors-explain", "summary": "What an error code means and how to mend it", "security": [],
        "parameters": [{ "name": "code", "in": "path", "required": true, "schema": { "type": "string" } }],
        "responses": {
            "200": { "description": "Its meaning" },
            "404": problem_response("`not_found`"),
        },
    }}));
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem_schema());
    paths.insert("/healthz".to_owned(), json!({ "get": {
        "operationId": "healthz", "summary": "Whether the server can serve", "security": [],
        "responses": { "200": { "description": "It can" }, "503": problem_response("Its store cannot be used") },
    }}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bindery",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lets an AI agent on a live call look up and change records in a customer's own \
                PostgreSQL, MySQL or MariaDB, with nothing running that the customer did not author and approve.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "security": [{ "apiKey": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "apiKey": {
                "type": "http", "scheme": "bearer", "bearerFormat": "flowyte_sk_live_<keyId>_<secret><crc>",
            }},
        },
    })
}

/// Schemas that answers share.
struct Lists {
    pagination: Value,
    /// What a 202 tells of the work that goes on.
    accepted: Value,
}

fn operation(endpoint: &Endpoint, request: Option<Value>, data: Value, lists: &Lists) -> Value {
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": format!("Needs the scope `{}`.", endpoint.scope.as_str()),
        "parameters": parameters(endpoint),
        "responses": responses(endpoint, data, lists),
    });
    if endpoint.shape == Shape::Stream {
        operation["description"] = format!(
            "Needs the scope `{}`. On AWS it is served at an address of its own, which the deployment's outputs tell: \
             the gateway of the other endpoints holds an answer back until it is whole, and answers 404 here.",
            endpoint.scope.as_str()
        )
        .into();
    }
    if let Some(schema) = request {
        operation["requestBody"] = json!({
            // Without a field that must be there, no body means all defaults.
            "required": schema["required"].is_array(),
            "content": { "application/json": { "schema": schema } },
        });
    }
    operation
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let mut parameters = Vec::new();
    for part in endpoint.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            parameters.push(json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" },
            }));
        }
    }
    let mut query = |name: &str, required: bool, meaning: &str, schema: Value| {
        parameters.push(json!({
            "name": name, "in": "query", "required": required, "description": meaning, "schema": schema,
        }));
    };
    for parameter in endpoint.query {
        query(parameter.name, parameter.required, parameter.meaning, json!({ "type": "string" }));
    }
    if endpoint.shape.is_paged() {
        query(
            "limit",
            false,
            "Items on a page",
            json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }),
        );
        query("cursor", false, "nextCursor of the page before", json!({ "type": "string" }));
    }
    if endpoint.takes_min_position() {
        let meaning = "Answers no older than this X-Bindery-Position";
        query("min_position", false, meaning, json!({ "type": "integer", "minimum": 0 }));
    }
    if endpoint.repeat != Repeat::Harmless {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes the request repeatable for 7 days",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    if endpoint.shape == Shape::Stream {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "Resumes after this event; goes before the parameter after",
            "schema": { "type": "integer", "minimum": 0 },
        }));
    }
    if endpoint.problems.contains(&Code::StaleVersion) {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The ETag that the change was decided on; 412 when it is not the current one",
            "schema": { "type": "string" },
        }));
    }
    parameters
}

fn responses(endpoint: &Endpoint, data: Value, lists: &Lists) -> Value {
    let body = |data: &Value| {
        let mut properties =
            json!({ "success": { "const": true }, "data": data, "message": { "type": "string" } });
        let mut required = vec!["success", "data"];
        if endpoint.shape == Shape::List {
            properties["data"] = json!({ "type": "array", "items": data });
        }
        if endpoint.shape.is_paged() {
            properties["pagination"] = lists.pagination.clone();
            required.push("pagination");
        }
        json!({ "type": "object", "properties": properties, "required": required })
    };
    let mut responses = Map::new();
    for status in endpoint.success {
        let (description, data) =
            if *status == 202 { ("It goes on", &lists.accepted) } else { ("Success", &data) };
        let content = match endpoint.shape {
            Shape::One | Shape::List | Shape::Paged => {
                json!({ "application/json": { "schema": body(data) } })
            }
            // To a notification there is no answer.
            Shape::Messages if *status == 202 => json!({}),
            Shape::Messages => json!({
                "application/json": { "schema": data },
                "text/event-stream": { "schema": { "type": "string" } },
            }),
            // A schema for what is in a frame would need a later OpenAPI.
            Shape::Stream => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        };
        responses.insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    let usual = [
        Code::ValidationError,
        Code::InvalidApiKey,
        Code::InsufficientScope,
        Code::NotFound,
        Code::BodyTooLarge,
        Code::RateLimited,
        Code::ServiceUnavailable,
    ];
    let with_body = [Code::UnsupportedMediaType];
    let repeatable = [Code::IdempotencyInProgress, Code::IdempotencyKeyReused];
    let codes = usual
        .iter()
        .chain(with_body.iter().filter(|_| endpoint.request.is_some()))
        .chain(repeatable.iter().filter(|_| endpoint.repeat != Repeat::Harmless))
        .chain(endpoint.problems);
    let mut by_status: std::collections::BTreeMap<u16, Vec<&str>> = std::collections::BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(code.as_str());
    }
    for (status, mut codes) in by_status {
        codes.dedup();
        responses.insert(status.to_string(), problem_response(&format!("`{}`", codes.join("`, `"))));
    }
    if endpoint.shape == Shape::Messages && endpoint.request.is_some() {
        // What the protocol itself refuses is one of its own messages.
        let message = json!({ "schema": data });
        for status in ["400", "403", "404", "415"] {
            responses[status]["content"]["application/json"] = message.clone();
        }
        let refused = "Accept must name application/json and text/event-stream";
        let refused = json!({ "description": refused, "content": { "application/json": message } });
        responses.insert("406".to_owned(), refused);
    }
    Value::Object(responses)
}

fn problem_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "description": "RFC 9457. Branch on status and code.",
        "required": ["type", "title", "status", "detail", "instance", "code", "requestId"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "enum": codes },
            "requestId": { "type": "string" },
            "scope": { "type": "string", "description": "insufficient_scope: what the key lacks" },
            "currentVersion": { "type": "string", "description": "stale_version: the ETag to decide on again" },
            "checks": {
                "type": "array", "description": "connection_failed: as sql/test gives them",
                "items": { "$ref": "#/components/schemas/Check" },
            },
            "errors": { "type": "array", "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": { "type": "string" },
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "nearest": { "type": "array", "items": { "type": "string" } },
                },
            }},
        },
    })
}
