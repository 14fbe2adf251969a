//! Many calls, few connections.

use super::*;
use events::OrganizationId;
use infra::databases::error::Fault;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};

pub fn pools(credentials: &Credentials) -> (Arc<Pools>, PoolKey, CredentialSource) {
    let key = PoolKey {
        organization: OrganizationId::from("live"),
        kind: IntegrationKind::Postgres,
        credential_version: 1,
    };
    let credentials = credentials.clone();
    let source: CredentialSource = Arc::new(move || {
        let credentials = credentials.clone();
        Box::pin(async move { Ok(credentials) })
    });
    (Arc::new(Pools::new(drivers())), key, source)
}

fn connections(database: &str) -> u32 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'bindery'"
    );
    admin_sql("postgres", &sql).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_share_ten_connections_and_the_surplus_hears_so_quickly() {
    let credentials = database(BOOKINGS);
    let (pools, key, source) = pools(&credentials);
    let read = Arc::new(read_statement("SELECT pg_catalog.pg_sleep(0.5)::text", 0, 5));
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let (pools, key, source, read) = (pools.clone(), key.clone(), source.clone(), read.clone());
            tokio::spawn(async move {
                let started = Instant::now();
                let done = pools.read(&key, &source, &read, &[], soon()).await;
                (done.map(|_| ()).map_err(|error| error.fault), started.elapsed())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(connections(&credentials.database) <= 10);
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            (Ok(()), _) => served += 1,
            (Err(fault), took) => {
                assert_eq!(fault, Fault::TooManyConnections);
                assert!(took < Duration::from_secs(3), "{took:?}");
            }
        }
    }
    assert!(served >= 10);
    // Writes share the same cap.
    let write = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    let written =
        pools.write(&key, &source, &write, &[text("x"), Bound::Integer(1)], soon(), None).await.unwrap();
    assert_eq!(written.matched, 1);
    assert!(connections(&credentials.database) <= 10);

    // Evicted connections close.
    pools.evict(&key.organization, key.kind, 2);
    let started = Instant::now();
    while connections(&credentials.database) > 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closed_is_replaced_without_an_error() {
    let credentials = database(BOOKINGS);
    let (pools, key, source) = pools(&credentials);
    let read = Arc::new(read_statement("SELECT note FROM public.bookings WHERE id = $1::int4", 1, 5));
    for _ in 0..3 {
        let rows = pools.read(&key, &source, &read, &[Bound::Integer(1)], soon()).await.unwrap();
        assert_eq!(rows.rows.len(), 1);
        let terminate = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' \
             AND application_name = 'bindery'",
            credentials.database
        );
        admin_sql("postgres", &terminate);
    }
}
