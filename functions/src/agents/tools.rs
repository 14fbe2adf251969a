//! `GET /agents/{agentId}/tools`: what the agent's model is told of its skills.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use crate::skills::outcome::answer_schema;
use domain::organization::Live;
use domain::tools::{Described, Tool};
use events::SkillId;
use http::{HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-tools",
    method: Method::GET,
    path: "/agents/{agentId}/tools",
    scope: Scope::AgentsRead,
    summary: "Tool definitions of the published skills, ready for a model's vendor; those that are quarantined are \
              named and left out",
    query: &[QueryParameter {
        name: "format",
        required: false,
        meaning: "openai (Responses API, strict), anthropic (Messages API) or mcp; mcp unless said otherwise",
    }],
    request: None,
    response: schema::<AgentTools>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AgentTools {
    /// The version that serves calls; null before the first.
    version: Option<u32>,
    format: Format,
    tools: Vec<ToolItem>,
    /// Published tools whose calls are refused.
    quarantined: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ToolItem {
    skill_id: SkillId,
    /// Changes exactly when name, description or a schema of this definition does.
    digest: String,
    /// As the vendor takes it.
    #[schemars(with = "serde_json::Map<String, Value>")]
    definition: Value,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Openai,
    Anthropic,
    Mcp,
}

impl Format {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "openai" => Ok(Format::Openai),
            "anthropic" => Ok(Format::Anthropic),
            "mcp" => Ok(Format::Mcp),
            _ => Err(Problem::field("format", "must be openai, anthropic or mcp")),
        }
    }

    fn describe(self, live: &Live) -> Described {
        let tool = Tool::from(live.definition.as_ref());
        match self {
            Format::Openai => tool.for_openai(),
            Format::Anthropic => tool.for_anthropic(),
            Format::Mcp => tool.for_mcp(answer_schema(tool.statement)),
        }
    }
}

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (_, agent) = state.agent(context.path("agentId"))?;
    let format = Format::parse(context.query("format").unwrap_or("mcp"))?;
    let (stopped, runnable): (Vec<Live>, Vec<Live>) =
        state.live_skills(agent).partition(Live::is_quarantined);
    let tools = runnable.iter().map(|live| {
        let Described { digest, definition } = format.describe(live);
        ToolItem { skill_id: live.skill_id.clone(), digest, definition }
    });
    let mut reply = Reply::ok(&AgentTools {
        version: state.live_version(agent).map(|version| version.version),
        format,
        tools: tools.collect(),
        quarantined: stopped.iter().map(|live| live.definition.tool.clone()).collect(),
    });
    // Of the answer itself: a publish, a rollback and a quarantine each change it.
    let tag = format!("\"{}\"", &hex::encode(Sha256::digest(&reply.body))[..32]);
    reply.headers.push((header::ETAG, HeaderValue::from_str(&tag).expect("hex digits and quotes")));
    Ok(reply)
}
