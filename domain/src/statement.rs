//! The compiler: a binding and a catalog in, a frozen statement out.
//!
//! `request` is what a client sends, `check` looks every name up and collects all that is wrong, `render` writes
//! the text, `dialect` knows how each engine spells it, `effects` says what a write sets off, `tool` shows the
//! statement's parameters to a model.

mod check;
mod dialect;
mod effects;
mod render;
mod request;
mod tool;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use effects::side_effects;
pub use render::hash;
pub use request::{CALLER_PARAMETERS, Request, RequestInput, SLUG_MAX, slug};
pub use tool::{allowed_fields, parameters_schema, required_params, row_schema, strict_parameters_schema};

use crate::FieldError;
use crate::catalog::Catalog;
use events::scoping::Blocked;
use events::skill::{Binding, Statement};

/// A read is `SELECT … FROM object t [LEFT JOIN target r1 ON …] WHERE t.column = ? [ORDER BY …] LIMIT n + 1`, a
/// write one single-row `INSERT` or an `UPDATE … WHERE key = ?`. The text holds names that were found in the
/// catalog, placeholders and the limit, nothing else. In `binds` the filter or key of a read or update stands last.
///
/// # Errors
/// Everything that is wrong, each with its field and the nearest valid names.
pub fn compile(
    catalog: &Catalog,
    blocked: &Blocked,
    request: &Request,
) -> Result<(Binding, Statement), Vec<FieldError>> {
    let plan = check::check(catalog, blocked, request)?;
    let assigned: Vec<&str> = plan.assignments.iter().map(|(_, field)| field.name.as_str()).collect();
    let effects = effects::of(catalog, plan.action, plan.object, &assigned, blocked);
    let statement = render::render(catalog.kind, &plan, effects);
    Ok((request.binding(&plan), statement))
}
