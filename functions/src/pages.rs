//! Pages of lists: `limit`, an opaque `cursor` bound to the organization and the query, `total`.

use crate::endpoint::{Context, Reply};
use crate::problem::Problem;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::limits::{PAGE_DEFAULT, PAGE_MAX};
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::Sha256;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    pub limit: u32,
    pub next_cursor: Option<String>,
    pub total: u64,
}

/// Where a page starts and how long it is.
pub struct Page {
    pub limit: u32,
    /// The sort key of the last item of the page before.
    pub after: Option<String>,
    binding: [u8; 16],
}

impl Context {
    /// # Errors
    /// A limit outside 1..=100, or a cursor that this query of this organization did not give.
    pub fn page(&self) -> Result<Page, Problem> {
        let limit = match self.query("limit") {
            None => PAGE_DEFAULT,
            Some(text) => match text.parse() {
                Ok(limit) if (1..=PAGE_MAX).contains(&limit) => limit,
                _ => {
                    return Err(Problem::field(
                        "limit",
                        format!("must be a whole number from 1 to {PAGE_MAX}"),
                    ));
                }
            },
        };
        let binding = self.cursor_binding();
        let after = match self.query("cursor") {
            None => None,
            Some(cursor) => Some(open_cursor(cursor, &binding).ok_or_else(|| {
                Problem::field("cursor", "is not a cursor of this list; start again without it")
            })?),
        };
        Ok(Page { limit, after, binding })
    }

    /// Over the organization, the path and the query without paging, so that a cursor fits no other list.
    fn cursor_binding(&self) -> [u8; 16] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.services.cursor_key)
            .expect("HMAC takes keys of any length");
        let mut part = |text: &str| {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        };
        part(self.caller.organization.as_str());
        part(&self.instance);
        for (name, value) in &self.query {
            if !matches!(name.as_str(), "limit" | "cursor" | "min_position") {
                part(name);
                part(value);
            }
        }
        let bytes = mac.finalize().into_bytes();
        std::array::from_fn(|at| bytes[at])
    }
}

fn open_cursor(cursor: &str, binding: &[u8; 16]) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let key = bytes.strip_prefix(binding.as_slice())?;
    String::from_utf8(key.to_vec()).ok()
}

impl Page {
    /// Cuts `items`, sorted by the key that `key` gives, to this page.
    pub fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Pagination) {
        let mut total = 0;
        let mut page: Vec<T> = Vec::new();
        let mut more = false;
        for item in items {
            total += 1;
            if self.after.as_ref().is_some_and(|after| key(&item) <= *after) {
                continue;
            }
            if page.len() < self.limit as usize { page.push(item) } else { more = true }
        }
        let next_cursor = page.last().filter(|_| more).map(|last| self.cursor(&key(last)));
        (page, Pagination { limit: self.limit, next_cursor, total })
    }

    pub fn cursor(&self, key: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([self.binding.as_slice(), key.as_bytes()].concat())
    }
}

impl Reply {
    pub fn list(data: &impl Serialize, pagination: &Pagination) -> Self {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            success: bool,
            data: &'a T,
            pagination: &'a Pagination,
        }
        Self::raw(StatusCode::OK, &Envelope { success: true, data, pagination })
    }
}
