//! Being written.

use super::dial::Dialer;
use super::driver::{Connection, Credentials, OpenError, Session};

pub async fn open(
    _dialer: &Dialer,
    _credentials: &Credentials,
    _session: Session,
) -> Result<Box<dyn Connection>, OpenError> {
    todo!("the mysql helper writes this")
}
