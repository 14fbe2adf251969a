//! What the customer's database says of a statement before it is ever called.

use crate::problem::Problem;
use crate::services::Services;
use domain::{FieldError, Organization, Refusal};
use events::skill::{Definition, Statement};
use events::{IntegrationKind, OrganizationId};
use infra::databases::Session;
use infra::databases::error::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the database may take to say how it would run the statement. Binding goes on without it.
const EXPLAIN_WAIT: Duration = Duration::from_secs(3);

/// What the database said of a statement, if it could be asked.
#[derive(Clone, Default)]
pub struct Asked {
    plan: infra::databases::Plan,
    latency_ms: Option<u32>,
}

impl Asked {
    pub fn apply(self, definition: &mut Definition) {
        let statement = Arc::make_mut(&mut definition.statement);
        statement.uses_index = self.plan.uses_index.or(statement.uses_index.take());
        statement.estimated_rows = self.plan.estimated_rows.or(statement.estimated_rows);
        definition.expected_latency_ms = self.latency_ms.or(definition.expected_latency_ms);
    }
}

/// Lets the engine prepare and plan the statement, so that what it would refuse on a call is refused now.
///
/// # Errors
/// 422 when the engine refuses it. A database that cannot be reached is no reason against a draft.
pub async fn explain(
    services: &Arc<Services>,
    state: &Organization,
    kind: IntegrationKind,
    statement: &Statement,
) -> Result<Asked, Problem> {
    match tokio::time::timeout(EXPLAIN_WAIT, ask(services, &state.id, state, kind, statement)).await {
        Ok(Ok(asked)) => Ok(asked),
        Ok(Err(error)) => match error.fault {
            Fault::SchemaMismatch | Fault::PermissionDenied => {
                let message = format!("the database refuses this statement: {}", error.advice);
                let error = FieldError::new("operation", "refused_by_database", message);
                Err(Refusal::BindingInvalid(vec![error]).into())
            }
            Fault::DnsFailed
            | Fault::HostNotAllowed
            | Fault::ConnectRefused
            | Fault::ConnectTimeout
            | Fault::TlsRequired
            | Fault::TlsUntrusted
            | Fault::TlsNameMismatch
            | Fault::TlsExpired
            | Fault::AuthFailed
            | Fault::DatabaseMissing
            | Fault::TooManyConnections
            | Fault::StatementTimeout
            | Fault::LockTimeout
            | Fault::ReadOnlyRefused
            | Fault::ConstraintViolated
            | Fault::Conflict
            | Fault::ConnectionLost
            | Fault::InDoubt
            | Fault::ProtocolViolation
            | Fault::ServerError
            | Fault::CredentialsUnavailable
            | Fault::RecordUnavailable => Ok(Asked::default()),
        },
        Err(_) => Ok(Asked::default()),
    }
}

async fn ask(
    services: &Arc<Services>,
    organization: &OrganizationId,
    state: &Organization,
    kind: IntegrationKind,
    statement: &Statement,
) -> Result<Asked, infra::databases::DatabaseError> {
    let unconnected = || infra::databases::DatabaseError::new(Fault::ConnectionLost, "not connected");
    let connection = state.connection(kind).map_err(|_| unconnected())?;
    let source = services.credential_source(organization, kind, connection.credential_version);
    let credentials = source().await?;
    let session = if statement.action.is_write() { Session::ReadWrite } else { Session::ReadOnly };
    let _turn = services.manage(organization, kind).await;
    let drivers = services.pools.drivers();
    let mut connection = drivers.open(kind, &credentials, session).await.map_err(|failure| failure.error)?;
    let started = Instant::now();
    let round_trip = connection.ping().await?;
    let plan = connection.explain(statement).await?;
    tracing::debug!(ms = started.elapsed().as_secs_f64() * 1000.0, "asked for a plan");
    connection.close().await;
    Ok(Asked { plan, latency_ms: Some((round_trip.as_secs_f64() * 1000.0).ceil() as u32) })
}
