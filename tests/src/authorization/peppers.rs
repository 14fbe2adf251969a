//! Keys while the pepper of their hashes is rotated, by processes that know of it and one that does not yet.

use crate::http::Http;
use crate::reviewed::broken::beside;
use crate::site::Site;
use async_trait::async_trait;
use infra::peppers::{PepperSource, Peppers};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

struct Rotated(Arc<Peppers>);

#[async_trait]
impl PepperSource for Rotated {
    fn known(&self) -> Arc<Peppers> {
        self.0.clone()
    }

    async fn latest(&self) -> Arc<Peppers> {
        self.0.clone()
    }
}

/// A process that knows of this many rotations since the site's own pepper.
async fn after_rotations(site: &Site, count: u8) -> Http {
    let pepper = |rotation| match rotation {
        0 => site.embedded.peppers.known().current.clone(),
        rotation => Zeroizing::new([rotation; 32]),
    };
    let peppers = Peppers { current: pepper(count), previous: Some(pepper(count - 1)) };
    beside(site, |services| services.peppers = Arc::new(Rotated(Arc::new(peppers)))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_outlives_one_rotation_of_the_pepper_and_new_ones_are_made_with_the_new_one() {
    let site = Site::start().await;
    let (once, twice) = (after_rotations(&site, 1).await, after_rotations(&site, 2).await);
    let body = json!({ "name": "new", "scopes": ["agents:read"] });
    let minted = once.post("/keys", body).await;
    let minted = minted.data()["key"].as_str().expect("its text").to_owned();
    assert_eq!(site.http.get("/agents").await.status, 200);
    assert_eq!(once.get("/agents").await.status, 200, "one rotation ends no key");
    assert_eq!(twice.get("/agents").await.refusal(401), "invalid_api_key");
    assert_eq!(once.with_key(&minted).get("/agents").await.status, 200);
    assert_eq!(twice.with_key(&minted).get("/agents").await.status, 200);
    assert_eq!(site.http.with_key(&minted).get("/agents").await.refusal(401), "invalid_api_key");
}
