use super::*;
use crate::storage::{Artefacts, StoreError};
use domain::limits::ARTEFACT_INLINE_BYTES;
use events::{OrganizationId, Seq};
use tables::TableName;

fn acme() -> OrganizationId {
    "acme".into()
}

#[tokio::test]
async fn what_fits_the_table_is_there_and_what_does_not_is_in_the_bucket() {
    let names = names().await;
    let store = store(&names).await;
    let (small, large) = (vec![1; ARTEFACT_INLINE_BYTES], vec![2; ARTEFACT_INLINE_BYTES + 1]);
    for bytes in [&small, &large] {
        let address = store.put(&acme(), bytes).await.expect("put");
        assert_eq!(store.put(&acme(), bytes).await.expect("put again"), address);
        assert_eq!(store.get(&acme(), &address).await.expect("got").as_ref(), Some(bytes));
    }
    let objects = s3().await.list_objects_v2().bucket(&names.bucket).send().await.expect("a list");
    let keys: Vec<_> = objects.contents().iter().filter_map(|object| object.key()).collect();
    let address = store.put(&acme(), &large).await.expect("put");
    assert_eq!(keys, [format!("acme/{address}")]);
}

#[tokio::test]
async fn bytes_that_were_changed_do_not_give_their_address() {
    let names = names().await;
    let store = store(&names).await;
    let large = vec![2; ARTEFACT_INLINE_BYTES + 1];
    let in_table = store.put(&acme(), b"small").await.expect("put");
    let in_bucket = store.put(&acme(), &large).await.expect("put");
    let changed = items::item("acme", &in_table, [("bytes", items::bytes("smell"))]);
    let table = names.table(TableName::Artefacts);
    store.client.put_item().table_name(table).set_item(Some(changed)).send().await.expect("put");
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"other");
    let put = store.s3.put_object().bucket(&names.bucket).key(format!("acme/{in_bucket}")).body(body);
    put.send().await.expect("put");
    for address in [in_table, in_bucket] {
        let refused = store.get(&acme(), &address).await;
        assert!(matches!(refused, Err(StoreError::Corrupt { seq: Seq(0), .. })), "{refused:?}");
    }
}
