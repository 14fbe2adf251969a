//! stub
use super::Postgres;
use crate::databases::DatabaseError;
use domain::catalog::Catalog;
pub(super) async fn introspect(
    _p: &mut Postgres,
    _g: &(dyn Fn(u64) + Send + Sync),
) -> Result<Catalog, DatabaseError> {
    unimplemented!()
}
