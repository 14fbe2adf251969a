//! The protocol's server, for one request.

use super::answer::ENDPOINT;
use super::context;
use super::result::{self, Told};
use super::watch::Watch;
use crate::endpoint::{Context, Measured, Reply};
use crate::problem::Problem;
use crate::skills::call::published;
use crate::skills::outcome::answer_schema;
use domain::limits::TOOLS_FRESH;
use domain::organization::Live;
use infra::storage::calls::Protocol;
use infra::telemetry::{Request, carried};
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const INSTRUCTIONS: &str = "Each answer has an outcome. Where it has a sentence to say, that is what the caller may be \
                            told; never make up what an answer does not hold. A call that is in doubt is not to be \
                            repeated.";

#[derive(Clone)]
pub struct Server {
    pub context: Arc<Context>,
    /// Of the skill that was called.
    pub measured: Arc<Mutex<Option<Measured>>>,
    /// The SDK answers in a task of its own.
    pub request: Option<Request>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        if let Some(tools) = &mut capabilities.tools {
            tools.list_changed = Some(self.tells_changes());
        }
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("bindery", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(INSTRUCTIONS.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let state = &self.context.caller.state;
        let agent = state.agent(self.context.path("agentId"));
        let (_, agent) = agent.map_err(|refusal| result::error(&refusal.into()))?;
        let runnable = state.live_skills(agent).filter(|live| !live.is_quarantined());
        let tools = ListToolsResult::with_all_items(runnable.map(|live| tool(&live)).collect());
        let fresh = u64::try_from(TOOLS_FRESH.as_millis()).unwrap_or(u64::MAX);
        Ok(tools.with_ttl_ms(fresh).with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        protocol: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let started = Instant::now();
        let own = self.context.as_ref().clone();
        let called = call(own, &protocol.meta, &request.name, request.arguments, started);
        let reply = carried(self.request.clone(), called).await.map_err(|problem| result::error(&problem))?;
        *self.measured.lock().expect("not poisoned") = reply.measured;
        Ok(CallToolResult::from(Told::by(&reply)?).into())
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.tells_changes().then(|| SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut watch = Watch::of(&self.context, &ENDPOINT).map_err(|problem| result::error(&problem))?;
        let told = async {
            while let Some(changed) = watch.next().await {
                if changed && subscription.sink().notify_tool_list_changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = told => {}
            () = subscription.cancelled() => {}
        }
        Ok(())
    }
}

/// The skill behind a tool.
pub async fn call(
    context: Context,
    meta: &JsonObject,
    tool: &str,
    arguments: Option<JsonObject>,
    started: Instant,
) -> Result<Reply, Problem> {
    let request = context::call_request(&context, meta, arguments)?;
    published(context, &ENDPOINT, Protocol::Mcp, tool, &request, started).await
}

impl Server {
    /// A gateway that holds an answer back until it is whole lets no news through.
    fn tells_changes(&self) -> bool {
        !self.context.services.behind_gateway
    }
}

fn tool(live: &Live) -> Tool {
    let told = domain::tools::Tool::from(live.definition.as_ref());
    let described = told.for_mcp(answer_schema(told.statement));
    let mut tool: Tool = serde_json::from_value(described.definition).expect("it is a tool");
    tool.meta.get_or_insert_default().insert("bindery/digest".to_owned(), described.digest.into());
    tool
}
