use super::*;
use crate::emulators::{MARGIN, impatient_sdk_config};
use crate::storage::{Artefacts, StoreError};
use domain::limits::ARTEFACT_INLINE_BYTES;
use events::{OrganizationId, Seq};
use std::time::Instant;
use tables::TableName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

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
async fn a_bucket_that_says_nothing_or_stops_in_the_middle_is_unavailable_in_time() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nthe first words"] {
        let names = names().await;
        let config = impatient_sdk_config(&says(said).await).await;
        let s3 = aws_sdk_s3::Client::new(&config);
        let store = DynamoStore { s3, ..patient(&names, Patience::default()).await };
        let since = Instant::now();
        let refused = store.get(&acme(), &"0".repeat(64)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(since.elapsed() < AWS_OPERATION_TIMEOUT + MARGIN, "{:?}", since.elapsed());
    }
}

/// A server that answers every connection with this and then nothing.
async fn says(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(text.as_bytes()).await.expect("it listens");
            held.push(socket);
        }
    });
    url
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
