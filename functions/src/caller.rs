//! Who is calling: the key alone decides the organization.

use crate::clock;
use crate::endpoint::Endpoint;
use crate::key_text::{self, Presented};
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::Organization;
use events::{Actor, ActorKind, KeyId, OrganizationId};
use http::{HeaderMap, HeaderValue, header};
use infra::peppers::PepperSource;
use std::sync::Arc;

/// An authenticated request's key, and its organization's state when it was checked.
#[derive(Clone)]
pub struct Caller {
    pub organization: OrganizationId,
    pub key_id: KeyId,
    pub state: Arc<Organization>,
}

impl Caller {
    pub fn actor(&self) -> Actor {
        Actor { kind: ActorKind::Key, id: self.key_id.to_string() }
    }
}

impl Services {
    /// # Errors
    /// 401 for everything that is wrong with the key, in the same words; 403 naming the scope.
    pub async fn authenticate(&self, headers: &HeaderMap, endpoint: &Endpoint) -> Result<Caller, Problem> {
        let presented = presented(headers)?;
        let organization = self.organization_of(presented.key_id).await?.ok_or_else(invalid)?;
        let warm = if endpoint.is_live() { self.log.warm_state(&organization) } else { None };
        let state = match warm {
            Some(state) => state,
            None if endpoint.is_live() => self.log.state_or_trusted(&organization).await?,
            None => self.log.state(&organization).await?,
        };
        self.admit(&presented, state, endpoint).await
    }

    /// Judges a key on this state.
    async fn admit(
        &self,
        presented: &Presented<'_>,
        state: Arc<Organization>,
        endpoint: &Endpoint,
    ) -> Result<Caller, Problem> {
        self.let_go_of_ended(&state);
        let (key_id, key) = state.keys.get_key_value(presented.key_id).ok_or_else(invalid)?;
        if !key.is_valid(clock::now()) || !matches(&*self.peppers, presented.secret, &key.secret_hash).await {
            return Err(invalid());
        }
        let scope = endpoint.scope.as_str();
        if !key.has_scope(scope) {
            return Err(Problem::lacks_scope(scope, format!("this key lacks the scope {scope}")));
        }
        let (organization, key_id) = (state.id.clone(), key_id.clone());
        Ok(Caller { organization, key_id, state })
    }

    /// The same caller on the log's end, for what must not rely on memory.
    ///
    /// # Errors
    /// 503 when the log cannot be reached; else as [`Services::authenticate`].
    pub async fn authenticate_at_the_end(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        endpoint: &Endpoint,
    ) -> Result<Caller, Problem> {
        let head = self.log.head(&caller.organization).await?;
        let state = self.log.state(&caller.organization).await?;
        if state.head < head {
            return Err(Problem::unavailable("the log could not be read to its end"));
        }
        self.admit(&presented(headers)?, state, endpoint).await
    }

    /// The same caller on the state of now; judged anew when anything changed since.
    pub async fn authenticate_again(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        endpoint: &Endpoint,
    ) -> Result<Caller, Problem> {
        match self.log.warm_state(&caller.organization) {
            Some(state) if Arc::ptr_eq(&state, &caller.state) => Ok(caller),
            Some(_) | None => Box::pin(self.authenticate(headers, endpoint)).await,
        }
    }

    async fn organization_of(&self, key_id: &str) -> Result<Option<OrganizationId>, Problem> {
        if let Some(known) = self.organizations_by_key.read().expect("not poisoned").get(key_id) {
            return Ok(Some(known.clone()));
        }
        let key_id = KeyId::from(key_id);
        let found = self.log.organization_of_key(&key_id).await?;
        if let Some(organization) = &found {
            // A key never changes its organization, so this needs no eviction; unknown ids are not remembered.
            self.organizations_by_key.write().expect("not poisoned").insert(key_id, organization.clone());
        }
        Ok(found)
    }
}

fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, text)| key_text::parse(text.trim()))
        .ok_or_else(invalid)
}

/// A key that was minted after a rotation of the pepper is what shows a warm process that there was one.
async fn matches(peppers: &dyn PepperSource, secret: &str, stored: &str) -> bool {
    let known = peppers.known();
    if key_text::secret_matches(&known, secret, stored) {
        return true;
    }
    let latest = peppers.latest().await;
    !Arc::ptr_eq(&known, &latest) && key_text::secret_matches(&latest, secret, stored)
}

fn invalid() -> Problem {
    Problem::new(Code::InvalidApiKey, "send Authorization: Bearer with an API key that is in force")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bindery\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::peppers::Peppers;
    use std::sync::RwLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use zeroize::Zeroizing;

    /// A process that learns of rotations when it asks.
    struct Rotating {
        known: RwLock<Arc<Peppers>>,
        latest: RwLock<Arc<Peppers>>,
        asked: AtomicUsize,
    }

    fn peppers(current: u8, previous: Option<u8>) -> Arc<Peppers> {
        let pepper = |byte| Zeroizing::new([byte; 32]);
        Arc::new(Peppers { current: pepper(current), previous: previous.map(pepper) })
    }

    #[async_trait::async_trait]
    impl PepperSource for Rotating {
        fn known(&self) -> Arc<Peppers> {
            self.known.read().unwrap().clone()
        }

        async fn latest(&self) -> Arc<Peppers> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let latest = self.latest.read().unwrap().clone();
            *self.known.write().unwrap() = latest.clone();
            latest
        }
    }

    #[tokio::test]
    async fn after_a_rotation_old_keys_open_and_new_ones_open_where_nobody_knew_of_it() {
        let (before, after) = (peppers(1, None), peppers(2, Some(1)));
        let old = key_text::secret_hash(&before.current, "old");
        let new = key_text::secret_hash(&after.current, "new");
        let process =
            Rotating { known: RwLock::new(before), latest: RwLock::new(after), asked: AtomicUsize::new(0) };
        assert!(matches(&process, "old", &old).await);
        assert_eq!(process.asked.load(Ordering::Relaxed), 0, "nothing is asked for a key that matches");
        assert!(matches(&process, "new", &new).await);
        assert_eq!(process.asked.load(Ordering::Relaxed), 1);
        assert!(matches(&process, "old", &old).await && matches(&process, "new", &new).await);
        assert!(!matches(&process, "old", &new).await);
        *process.latest.write().unwrap() = peppers(3, Some(2));
        assert!(!matches(&process, "other", &old).await);
        assert!(!matches(&process, "old", &old).await, "two rotations end a key");
    }
}
