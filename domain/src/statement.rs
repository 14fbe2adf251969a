//! The compiler: a binding and a catalog in, a frozen statement out.

use crate::FieldError;
use crate::catalog::Catalog;
use events::scoping::Blocked;
use events::skill::{Binding, Direction, Statement};

/// A binding as it came from the client: everything is still text and may be wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub operation: String,
    pub inputs: Vec<RequestInput>,
    pub projection: Vec<events::skill::Projected>,
    pub order_by: Vec<(String, Direction)>,
    pub limit: Option<u32>,
    pub key_column: Option<String>,
    pub key_param: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestInput {
    pub param: String,
    pub arg: String,
    pub required: Option<bool>,
    pub description: Option<String>,
    pub source: events::skill::Source,
    pub value: Option<serde_json::Value>,
}

/// # Errors
/// Everything that is wrong, each with its field and the nearest valid names.
pub fn compile(
    _catalog: &Catalog,
    _blocked: &Blocked,
    _request: &Request,
) -> Result<(Binding, Statement), Vec<FieldError>> {
    todo!("the domain helper writes this")
}
