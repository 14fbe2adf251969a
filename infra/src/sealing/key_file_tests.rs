use super::*;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

mod conformance {
    use super::*;

    fn sealer() -> KeyFileSealer {
        KeyFileSealer::open_or_create(&folder().path().join("master.key")).expect("a key")
    }

    crate::sealer_conformance!(sealer());
}

#[test]
fn a_missing_key_is_made_for_its_owner_alone_and_found_again() {
    let folder = folder();
    let path = folder.path().join("keys").join("master.key");
    let first = KeyFileSealer::open_or_create(&path).expect("made");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o600);
    let second = KeyFileSealer::open_or_create(&path).expect("read");
    assert_eq!(*first.derive("x"), *second.derive("x"));
    let left: Vec<_> = fs::read_dir(path.parent().expect("its folder")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing but the key is left: {left:?}");
}

#[test]
fn of_processes_that_start_at_once_all_use_the_same_key() {
    let folder = folder();
    let path = folder.path().join("master.key");
    let keys: Vec<_> = std::thread::scope(|scope| {
        let start = || *KeyFileSealer::open_or_create(&path).expect("a key").derive("x");
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert!(keys.iter().all(|key| key == &keys[0]));
}

#[test]
fn a_key_that_group_or_world_can_read_is_refused_with_the_command_that_mends_it() {
    let folder = folder();
    let path = folder.path().join("master.key");
    KeyFileSealer::open_or_create(&path).expect("made");
    for mode in [0o640, 0o604, 0o660, 0o610, 0o601, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        let refused = KeyFileSealer::open_or_create(&path).err().expect("refused");
        assert!(matches!(refused, KeyFileError::Exposed(..)), "{mode:o}: {refused}");
        assert!(refused.to_string().contains(&format!("chmod 600 {}", path.display())), "{refused}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    assert!(KeyFileSealer::open(&path).is_ok());
}

#[test]
fn a_file_that_is_no_master_key_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("master.key");
    let key = BASE64_STANDARD.encode([1; 32]);
    let short = BASE64_STANDARD.encode([1; 31]);
    let texts = [
        String::new(),
        key.clone(),
        format!("{HEADER}\n"),
        format!("{HEADER}\n{short}\n"),
        format!("{HEADER}\nnot base64\n"),
        format!("another header\n{key}\n"),
        format!("{HEADER}\n{key}\nmore\n"),
    ];
    for text in texts {
        write(&path, &text, 0o600);
        let refused = KeyFileSealer::open_or_create(&path).err().expect("refused");
        assert!(matches!(refused, KeyFileError::Malformed(_)), "{text:?}: {refused}");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }
    write(&path, &format!("{HEADER}\n{key}\n"), 0o600);
    assert!(KeyFileSealer::open(&path).is_ok());
}

#[test]
fn a_missing_key_is_not_made_by_opening() {
    let folder = folder();
    let path = folder.path().join("master.key");
    assert!(matches!(KeyFileSealer::open(&path), Err(KeyFileError::Missing(_))));
    assert!(!path.exists());
}

#[test]
fn derived_keys_differ_by_label_and_by_master_key() {
    let one = KeyFileSealer::new(Zeroizing::new([1; 32]));
    let two = KeyFileSealer::new(Zeroizing::new([2; 32]));
    assert_ne!(*one.derive("pepper"), *one.derive("bodies"));
    assert_ne!(*one.derive("pepper"), *two.derive("pepper"));
    assert_ne!(*one.derive("pepper"), *one.master);
    assert_ne!(*one.derive("pepper"), *one.wrapping);
}

#[tokio::test]
async fn another_master_key_does_not_open_it() {
    let one = KeyFileSealer::new(Zeroizing::new([1; 32]));
    let two = KeyFileSealer::new(Zeroizing::new([2; 32]));
    let context = SealContext::credentials(&"acme".into(), events::IntegrationKind::Mysql, 1);
    let sealed = one.seal(&context, b"secret").await.expect("seals");
    assert!(matches!(two.open(&context, &sealed).await, Err(SealError::DoesNotOpen)));
}
