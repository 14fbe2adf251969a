//! What the template says of each function. It is read from there, so that what stands in for AWS routes and tells what
//! is deployed, and nothing else.

use functions::sam;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

/// A function of the template.
pub struct Declared {
    /// Its handler, which is the name of an endpoint or a reaction.
    pub name: String,
    /// Keys of the gateway's routes to it, such as `GET /healthz`, or [`DEFAULT`].
    pub routes: Vec<String>,
    /// It has an address of its own, where its answers are streamed.
    pub has_url: bool,
    /// Values as CloudFormation computes them, each an intrinsic function.
    pub variables: Map<String, Value>,
    pub memory_mb: u32,
    pub timeout: Duration,
}

/// The key of the route that gets what fits no other.
pub const DEFAULT: &str = "$default";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| sam::template().document());

pub static FUNCTIONS: LazyLock<Vec<Declared>> = LazyLock::new(|| {
    let resources = DOCUMENT["Resources"].as_object().expect("resources");
    let functions = resources.values().filter(|it| it["Type"] == "AWS::Serverless::Function");
    functions.map(|it| declared(&it["Properties"])).collect()
});

fn declared(properties: &Value) -> Declared {
    let variables = [&DOCUMENT["Globals"]["Function"], properties].map(|it| &it["Environment"]["Variables"]);
    let variables = variables.into_iter().filter_map(Value::as_object).flatten();
    let events = properties["Events"].as_object().into_iter().flat_map(Map::values);
    Declared {
        name: properties["Handler"].as_str().expect("a handler").to_owned(),
        routes: events.filter(|event| event["Type"] == "HttpApi").map(route_key).collect(),
        has_url: properties["FunctionUrlConfig"]["InvokeMode"] == "RESPONSE_STREAM",
        variables: variables.map(|(name, value)| (name.clone(), value.clone())).collect(),
        memory_mb: u32::try_from(properties["MemorySize"].as_u64().expect("MB")).expect("a few thousand"),
        timeout: Duration::from_secs(properties["Timeout"].as_u64().expect("seconds")),
    }
}

/// SAM makes the default route of an event without a path.
fn route_key(event: &Value) -> String {
    let properties = &event["Properties"];
    match (properties["Method"].as_str(), properties["Path"].as_str()) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        (None, None) => DEFAULT.to_owned(),
        (_, _) => panic!("a route has a method and a path, or neither: {properties}"),
    }
}

/// Computes what the template uses: `known` holds the values of `Ref` by name, and of `Fn::GetAtt` as `<id>.<attribute>`.
/// A parameter that is not known has its default; conditions do not hold, because each is that something optional was
/// given.
pub fn resolved(value: &Value, known: &BTreeMap<&str, String>) -> String {
    if let Value::String(text) = value {
        return text.clone();
    }
    if let Some(name) = value["Ref"].as_str() {
        let default = || DOCUMENT["Parameters"][name]["Default"].as_str().map(str::to_owned);
        return known.get(name).cloned().or_else(default).unwrap_or_else(|| panic!("nobody knows {name}"));
    }
    if let [Value::String(id), Value::String(attribute)] = array(&value["Fn::GetAtt"]) {
        let name = format!("{id}.{attribute}");
        return known.get(name.as_str()).cloned().unwrap_or_else(|| panic!("nobody knows {name}"));
    }
    if let [_, _, otherwise] = array(&value["Fn::If"]) {
        return resolved(otherwise, known);
    }
    panic!("{value} cannot be computed here")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, FUNCTIONS};
    use functions::endpoint::Shape;
    use functions::endpoints;

    #[test]
    fn every_endpoint_is_reached_by_a_route_or_by_an_address_of_its_own() {
        for endpoint in endpoints::ALL {
            let declared = FUNCTIONS.iter().find(|it| it.name == endpoint.name).expect("it is deployed");
            let is_stream = matches!(endpoint.shape, Shape::Stream);
            assert_eq!((declared.has_url, declared.routes.is_empty()), (is_stream, is_stream));
        }
        let default = FUNCTIONS.iter().flat_map(|it| &it.routes).filter(|key| *key == DEFAULT);
        assert_eq!(default.count(), 1);
    }
}
