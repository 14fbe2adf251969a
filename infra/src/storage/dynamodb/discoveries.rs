//! Discoveries that one function asks for and another runs.
//!
//! `J#<kind>#<id>` is a job; its insertion wakes the worker. `R#<kind>#<credential version>` names the job that runs
//! for a connection. Who asks puts both in one transaction, on condition that the second is where it was read: so of
//! any number who ask at once, one starts a job and the others join it.

use super::DynamoStore;
use super::errors::{Failure, unavailable};
use super::items::{self, Item, get_instant, get_number, get_text, number, text};
use super::tables::{SORT, TableName};
use super::transact::unbuilt;
use crate::storage::{DiscoveryJob, DiscoveryProgress, DiscoveryStore, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::limits::DISCOVERY_KEPT;
use events::{IntegrationKind, OrganizationId};
use jiff::{SignedDuration, Timestamp};

const JOB: &str = "job";
const STATE: &str = "state";
const TABLES: &str = "tables";
const ANSWER: &str = "answer";
/// When it was asked for, then the last sign of life.
const ALIVE: &str = "alive";
const EXPIRES: &str = "expires";

/// No worker has begun it yet.
const QUEUED: &str = "queued";
const RUNNING: &str = "running";
const ENDED: &str = "ended";
const GIVEN_UP: &str = "given_up";

/// How often it is looked again when others start and end jobs between two looks.
const LOOKS: u32 = 10;

#[async_trait]
impl DiscoveryStore for DynamoStore {
    async fn join_or_start(&self, job: DiscoveryJob) -> Result<DiscoveryJob, StoreError> {
        let partition = job.organization.as_str();
        for _ in 0..LOOKS {
            let now = Timestamp::now();
            let place = place(&job);
            let named = items::get(&self.client, &self.discoveries(), partition, &place).await?;
            let named = named.as_ref().map(|item| get_text(item, JOB).map(str::to_owned)).transpose()?;
            let former = match &named {
                Some(id) => self.job(&job.organization, job.kind, id).await?,
                None => None,
            };
            if let Some(former) = &former
                && self.is_alive(former, now)?
            {
                return read(former, &job.organization, job.kind);
            }
            match self.transact(self.start(&job, named.as_deref(), former.as_ref(), now)?).await {
                Ok(()) => return Ok(job),
                // Somebody else was faster, or gave a sign of life after all.
                Err(Failure::Cancelled(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(StoreError::Unavailable("others start and end this discovery too often".to_owned()))
    }

    /// None for a job that was given up, or that waited for a worker or for its next sign of life for too long.
    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError> {
        let Some(item) = self.job(organization, kind, id).await? else { return Ok(None) };
        let now = Timestamp::now();
        let there = match get_text(&item, STATE)? {
            // DynamoDB deletes late.
            ENDED => get_number::<i64>(&item, EXPIRES)? >= now.as_second(),
            _ => self.is_alive(&item, now)?,
        };
        if there { read(&item, organization, kind).map(Some) } else { Ok(None) }
    }

    async fn to_run(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError> {
        match self.job(organization, kind, id).await? {
            Some(item) if get_text(&item, STATE)? != GIVEN_UP => read(&item, organization, kind).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    async fn advance(&self, job: &DiscoveryJob, tables: u64) -> Result<bool, StoreError> {
        let now = microseconds(Timestamp::now());
        let update = [(STATE, text(RUNNING)), (TABLES, number(tables)), (ALIVE, now)];
        self.change(job, "SET #state = :state, #tables = :tables, #alive = :alive", update).await
    }

    /// What ended or was given up before stays as it is.
    async fn end(&self, job: &DiscoveryJob, answer: serde_json::Value) -> Result<(), StoreError> {
        let update = [(STATE, text(ENDED)), (ANSWER, text(answer.to_string()))];
        self.change(job, "SET #state = :state, #answer = :answer", update).await.map(|_| ())
    }
}

impl DynamoStore {
    fn discoveries(&self) -> String {
        self.names.table(TableName::Discoveries)
    }

    async fn job(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<Item>, StoreError> {
        items::get(&self.client, &self.discoveries(), organization.as_str(), &item_of(kind, id)).await
    }

    fn is_alive(&self, item: &Item, now: Timestamp) -> Result<bool, StoreError> {
        let patience = match get_text(item, STATE)? {
            QUEUED => self.patience.queue,
            RUNNING => self.patience.discovery,
            _ => return Ok(false),
        };
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        Ok(now.duration_since(get_instant(item, ALIVE)?) < patience)
    }

    /// Puts the job in the place where `named` is. A former one that still ran, but gave no sign of life, is given up
    /// in the same step, unless it gives one just now.
    fn start(
        &self,
        job: &DiscoveryJob,
        named: Option<&str>,
        former: Option<&Item>,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let kept = i64::try_from(DISCOVERY_KEPT.as_secs()).unwrap_or(i64::MAX);
        let expires = number(now.as_second().saturating_add(kept));
        let partition = job.organization.as_str();
        let put = || Put::builder().table_name(self.discoveries());
        let fresh = put()
            .set_item(Some(written(job, now, expires.clone())))
            .condition_expression("attribute_not_exists(#sort)")
            .expression_attribute_names("#sort", SORT);
        let pointer = [(JOB, text(&job.id)), (EXPIRES, expires)];
        let pointer = put().set_item(Some(items::item(partition, &place(job), pointer)));
        let pointer = match named {
            Some(named) => pointer
                .condition_expression("#job = :named")
                .expression_attribute_names("#job", JOB)
                .expression_attribute_values(":named", text(named)),
            None => pointer
                .condition_expression("attribute_not_exists(#sort)")
                .expression_attribute_names("#sort", SORT),
        };
        let mut all = Vec::new();
        for put in [fresh, pointer] {
            all.push(TransactWriteItem::builder().put(put.build().map_err(unbuilt)?).build());
        }
        let unended = |it: &&Item| matches!(get_text(it, STATE), Ok(QUEUED | RUNNING));
        if let Some(former) = former.filter(unended) {
            let update = Update::builder()
                .table_name(self.discoveries())
                .set_key(Some(items::key(partition, get_text(former, SORT)?)))
                .update_expression("SET #state = :given_up")
                .condition_expression("#state = :former AND #alive = :alive")
                .expression_attribute_names("#state", STATE)
                .expression_attribute_names("#alive", ALIVE)
                .expression_attribute_values(":given_up", text(GIVEN_UP))
                .expression_attribute_values(":former", text(get_text(former, STATE)?))
                .expression_attribute_values(":alive", microseconds(get_instant(former, ALIVE)?))
                .build()
                .map_err(unbuilt)?;
            all.push(TransactWriteItem::builder().update(update).build());
        }
        Ok(all)
    }

    /// Changes a job that is queued or runs. False when it does not.
    async fn change<const N: usize>(
        &self,
        job: &DiscoveryJob,
        expression: &str,
        attributes: [(&str, AttributeValue); N],
    ) -> Result<bool, StoreError> {
        let mut update = self
            .client
            .update_item()
            .table_name(self.discoveries())
            .set_key(Some(items::key(job.organization.as_str(), &item_of(job.kind, &job.id))))
            .update_expression(expression)
            .condition_expression("#state IN (:queued, :running)")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":queued", text(QUEUED))
            .expression_attribute_values(":running", text(RUNNING));
        for (name, value) in attributes {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// What the names of jobs begin with.
pub const JOBS: &str = "J#";

fn item_of(kind: IntegrationKind, id: &str) -> String {
    format!("{JOBS}{kind}#{id}")
}

/// The job that an item's name is of; none for what else is in the table.
pub fn job_of(item: &str) -> Option<(IntegrationKind, &str)> {
    let (kind, id) = item.strip_prefix(JOBS)?.split_once('#')?;
    Some((IntegrationKind::parse(kind)?, id))
}

fn place(job: &DiscoveryJob) -> String {
    format!("R#{}#{:010}", job.kind, job.credential_version)
}

fn microseconds(instant: Timestamp) -> AttributeValue {
    number(instant.as_microsecond())
}

fn written(job: &DiscoveryJob, now: Timestamp, expires: AttributeValue) -> Item {
    let (tables, answer) = match &job.progress {
        DiscoveryProgress::Running { tables } => (*tables, None),
        DiscoveryProgress::Ended { answer } => (0, Some(answer)),
    };
    let state = if answer.is_some() { ENDED } else { QUEUED };
    let mut item = items::item(
        job.organization.as_str(),
        &item_of(job.kind, &job.id),
        [
            (JOB, text(&job.id)),
            ("credential_version", number(job.credential_version)),
            ("command_id", text(job.command_id.as_str())),
            ("actor", text(serde_json::to_string(&job.actor).expect("an actor is JSON"))),
            ("request_id", text(job.request_id.as_str())),
            ("requested_at", microseconds(job.requested_at)),
            (STATE, text(state)),
            (TABLES, number(tables)),
            (ALIVE, microseconds(now)),
            (EXPIRES, expires),
        ],
    );
    item.extend(answer.map(|answer| (ANSWER.to_owned(), text(answer.to_string()))));
    item
}

fn read(
    item: &Item,
    organization: &OrganizationId,
    kind: IntegrationKind,
) -> Result<DiscoveryJob, StoreError> {
    let progress = match get_text(item, STATE)? {
        ENDED => {
            let answer = serde_json::from_str(get_text(item, ANSWER)?);
            DiscoveryProgress::Ended { answer: answer.map_err(|_| items::damaged(ANSWER))? }
        }
        _ => DiscoveryProgress::Running { tables: get_number(item, TABLES)? },
    };
    Ok(DiscoveryJob {
        id: get_text(item, JOB)?.to_owned(),
        organization: organization.clone(),
        kind,
        credential_version: get_number(item, "credential_version")?,
        command_id: get_text(item, "command_id")?.into(),
        actor: serde_json::from_str(get_text(item, "actor")?).map_err(|_| items::damaged("actor"))?,
        request_id: get_text(item, "request_id")?.into(),
        requested_at: get_instant(item, "requested_at")?,
        progress,
    })
}
