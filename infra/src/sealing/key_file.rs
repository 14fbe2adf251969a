//! The master key in a file that only its owner can read.

use super::cipher::{self, decrypt, encrypt};
use super::{SealContext, SealError, Sealed, Sealer};
use crate::derive::{Bytes32, derive};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const HEADER: &str = "bindery master key v1";

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the master key {0} can be read by others (mode {1:o}); run: chmod 600 {0}")]
    Exposed(PathBuf, u32),
    #[error(
        "{0} is not a master key of Bindery: it must hold the line \"{HEADER}\" and 32 bytes as base64; \
         restore it from a backup, for nothing that was sealed under it opens without it"
    )]
    Malformed(PathBuf),
    #[error(
        "the master key {0} does not exist; restore it from a backup, or remove what was sealed under it"
    )]
    Missing(PathBuf),
    #[error("the master key {0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

/// Seals under a key of its own for every record; that key is wrapped by one that the master key derives. Wrapping
/// keys see one random nonce a record, which is safe for 2^32 records.
pub struct KeyFileSealer {
    master: Bytes32,
    wrapping: Bytes32,
}

impl KeyFileSealer {
    /// Reads the master key.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |error| KeyFileError::Io(path.to_owned(), error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(KeyFileError::Missing(path.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        // Of the file that was opened: the name may lead elsewhere by now.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed(path.to_owned(), mode));
        }
        // One allocation that is never outgrown, so that no copy stays behind unwiped.
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        file.take(4096).read_to_end(&mut text).map_err(failed)?;
        let master = parse(&text).ok_or_else(|| KeyFileError::Malformed(path.to_owned()))?;
        Ok(Self::new(master))
    }

    /// Reads the master key, and makes one first when there is none.
    pub fn open_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match Self::open(path) {
            Err(KeyFileError::Missing(_)) => {
                create(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    fn new(master: Bytes32) -> Self {
        let wrapping = derive(master.as_slice(), "wrap data keys");
        Self { master, wrapping }
    }

    /// A key for another use, such as the pepper of API keys. Equal labels give equal keys; nothing can be learnt
    /// from one about another or about the master key.
    pub fn derive(&self, label: &str) -> Bytes32 {
        derive(self.master.as_slice(), label)
    }
}

fn parse(text: &[u8]) -> Option<Bytes32> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    if lines.next()? != HEADER {
        return None;
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(lines.next()?.trim_end()).ok()?);
    if lines.next().is_some() {
        return None;
    }
    let mut master = Zeroizing::new([0; 32]);
    if decoded.len() != master.len() {
        return None;
    }
    master.copy_from_slice(&decoded);
    Some(master)
}

/// Writes a whole file under another name and links it into place: nobody ever reads half a key, and of two
/// processes that start at once, both use the key of the first.
fn create(path: &Path) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Io(path.to_owned(), error);
    let mut master = Zeroizing::new([0; 32]);
    getrandom::fill(master.as_mut_slice()).map_err(|_| KeyFileError::NoRandomness)?;
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(master.as_slice()));

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let temporary = folder.join(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(HEADER.as_bytes())?;
        file.write_all(b"\n")?;
        file.write_all(encoded.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })();
    let removed = fs::remove_file(&temporary);
    written.map_err(failed)?;
    removed.map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[async_trait]
impl Sealer for KeyFileSealer {
    async fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Sealed, SealError> {
        let context = context.canonical();
        let mut data_key = Zeroizing::new([0; 32]);
        getrandom::fill(data_key.as_mut_slice()).map_err(|_| SealError::Unavailable)?;
        let body = encrypt(&data_key, &context, plain)?;
        let wrapped_key = encrypt(&self.wrapping, &context, data_key.as_slice())?;
        Ok(Sealed { wrapped_key, body })
    }

    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let context = context.canonical();
        let unwrapped = decrypt(&self.wrapping, &context, &sealed.wrapped_key)?;
        let data_key = cipher::data_key(&unwrapped).ok_or(SealError::DoesNotOpen)?;
        decrypt(&data_key, &context, &sealed.body)
    }
}

#[cfg(test)]
#[path = "key_file_tests.rs"]
mod tests;
