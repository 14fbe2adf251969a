//! Two servers on one data folder would not see each other's rate limits, pools and running writes.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "serving.lock";

/// Held until it is dropped; the operating system lets go of it when the process dies.
#[derive(Debug)]
pub struct ServingLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another bindery is serving from {0}: stop it, or give this one a data folder of its own")]
    Taken(PathBuf),
    #[error("{0} cannot be locked: {1}")]
    Io(PathBuf, std::io::Error),
}

impl ServingLock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(FILE);
        let open = || {
            std::fs::create_dir_all(data_dir)?;
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path)
        };
        let file = open().map_err(|error| LockError::Io(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(LockError::Io(path, error)),
        }
    }
}
