use super::*;

pub async fn reading_starts_and_ends_inside_of_commits<B: Backend>(backend: &B) {
    let store = backend.open().await;
    fill(&*store, &acme(), &[5, 1, 3]).await;
    let all = store.read(&acme(), Seq(0), 100).await.expect("reads");
    assert_eq!(seqs(&all), (1..=9).collect::<Vec<_>>());
    for after in 0..=9 {
        for limit in 0..=10 {
            let found = store.read(&acme(), Seq(after), limit).await.expect("reads");
            let wanted: Vec<_> =
                all.iter().filter(|event| event.seq.0 > after).take(limit).cloned().collect();
            assert_eq!(found, wanted, "after {after}, at most {limit}");
        }
    }
    assert_eq!(store.read(&acme(), Seq(100), 10).await.expect("reads"), []);
}

pub async fn reading_page_by_page_gives_every_event_once<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let sizes: Vec<usize> = (0..300).map(|at| 1 + at % 3).collect();
    fill(&*store, &acme(), &sizes).await;
    let all = store.read(&acme(), Seq(0), usize::MAX).await.expect("reads");
    assert_eq!(all.len(), sizes.iter().sum::<usize>());
    let mut paged = Vec::new();
    while let Some(page) = Some(store.read(&acme(), Seq(paged.len() as u64), 7).await.expect("reads"))
        .filter(|page| !page.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

pub async fn organizations_do_not_see_each_other<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let other = OrganizationId::from("other");
    append(&*store, commit(&acme(), "same", vec![agent("x", "of acme"), key("a")])).await;
    let theirs = append(&*store, commit(&other, "same", vec![agent("x", "of other")])).await;
    assert!(!theirs.replayed);
    assert_eq!(seqs(&theirs.events), [1]);
    assert_eq!(theirs.state.version(&key("a").0), Seq(0));
    assert_eq!(store.head(&acme()).await, Ok(Seq(2)));
    let events = store.read(&other, Seq(0), 10).await.expect("reads");
    assert_eq!(events, theirs.events);
    assert_eq!(events[0].event, agent("x", "of other").1);
    assert_eq!(store.organizations().await, Ok(vec![acme(), other]));
    assert_eq!(store.head(&"nobody".into()).await, Ok(Seq(0)));
    assert_eq!(store.read(&"nobody".into(), Seq(0), 10).await, Ok(vec![]));
}

pub async fn a_key_leads_to_the_organization_that_minted_it<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let other = OrganizationId::from("other");
    append(&*store, commit(&acme(), "one", vec![key("a")])).await;
    append(&*store, commit(&other, "one", vec![agent("x", "X"), key("b")])).await;
    assert_eq!(store.organization_of_key(&"a".into()).await, Ok(Some(acme())));
    assert_eq!(store.organization_of_key(&"b".into()).await, Ok(Some(other)));
    assert_eq!(store.organization_of_key(&"c".into()).await, Ok(None));
}

pub async fn a_key_id_of_another_organization_cannot_be_minted_again<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let other = OrganizationId::from("other");
    append(&*store, commit(&acme(), "one", vec![key("a")])).await;
    let refused = store.append(commit(&other, "one", vec![key("a")])).await.err();
    assert!(matches!(refused, Some(AppendError::StreamMoved { .. })), "{refused:?}");
    assert_eq!(store.organization_of_key(&"a".into()).await, Ok(Some(acme())));
    assert_eq!(store.head(&other).await, Ok(Seq(0)));
}

pub async fn what_was_written_is_there_after_opening_again<B: Backend>(backend: &B) {
    let store = backend.open().await;
    fill(&*store, &acme(), &[2, 3]).await;
    append(&*store, commit(&acme(), "key", vec![key("a")])).await;
    let before = store.state(&acme()).await.expect("a state");
    let events = store.read(&acme(), Seq(0), 100).await.expect("reads");
    drop(store);

    let store = backend.open().await;
    assert!(store.warm_state(&acme()).is_none());
    assert_eq!(*store.state(&acme()).await.expect("a state"), *before);
    assert_eq!(store.read(&acme(), Seq(0), 100).await.expect("reads"), events);
    assert!(append(&*store, commit(&acme(), "key", vec![key("b")])).await.replayed);
    assert_eq!(append(&*store, commit(&acme(), "more", vec![key("b")])).await.events[0].seq, Seq(7));
}
