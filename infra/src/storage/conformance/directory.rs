use super::*;
use crate::storage::directory::Directory;
use events::KeyId;

async fn names(store: &dyn Directory, organization: &str) -> Vec<(String, String)> {
    let names = store.names(&organization.into()).await.expect("reads");
    names.into_iter().map(|(key, name)| (key.to_string(), name)).collect()
}

async fn rename(store: &dyn Directory, organization: &str, key: &str, name: Option<&str>) {
    store.rename(&organization.into(), &KeyId::from(key), name).await.expect("renames");
}

fn named(key: &str, name: &str) -> (String, String) {
    (key.to_owned(), name.to_owned())
}

pub async fn a_name_is_given_changed_and_erased<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert_eq!(names(&*store, "acme").await, []);
    rename(&*store, "acme", "k1", Some("Ada's laptop")).await;
    rename(&*store, "acme", "k2", Some("telephony")).await;
    assert_eq!(names(&*store, "acme").await, [named("k1", "Ada's laptop"), named("k2", "telephony")]);
    rename(&*store, "acme", "k1", Some("Grace's laptop")).await;
    assert_eq!(names(&*store, "acme").await[0], named("k1", "Grace's laptop"));
    for _ in 0..2 {
        rename(&*store, "acme", "k1", None).await;
        assert_eq!(names(&*store, "acme").await, [named("k2", "telephony")]);
    }
    let another = backend.open().await;
    assert_eq!(names(&*another, "acme").await, [named("k2", "telephony")]);
}

pub async fn names_belong_to_one_organization<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    rename(&*store, "acme", "k1", Some("ours")).await;
    rename(&*store, "other", "k1", Some("theirs")).await;
    rename(&*store, "other", "k1", None).await;
    assert_eq!(names(&*store, "acme").await, [named("k1", "ours")]);
    assert_eq!(names(&*store, "other").await, []);
}
