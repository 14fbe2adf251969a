//! How each engine spells a statement. A new engine is a file here and a line in [`of`].

mod mysql;
mod postgres;

use crate::catalog::{Field, Object};
use events::IntegrationKind;
use events::skill::{Direction, Shape};

pub(super) trait Dialect: Sync {
    /// Appends a name so that whatever it holds is a name.
    fn identifier(&self, text: &mut String, name: &str);

    /// Appends placeholder number `position`, from 1, of a value that is compared with or stored in `field`.
    fn value(&self, text: &mut String, position: usize, field: &Field);

    /// Appends the operator that compares `field` with a value for equality.
    fn equals(&self, text: &mut String, _field: &Field) {
        text.push_str(" = ");
    }

    /// Appends the placeholder of whether a value was given.
    fn given(&self, text: &mut String, position: usize);

    /// Appends what turns a selected column into a value that the driver can decode.
    fn selected(&self, text: &mut String, shape: &Shape);

    fn direction(&self, text: &mut String, field: &Field, direction: Direction);

    /// Whether an INSERT or UPDATE can answer with columns of its row.
    fn writes_return_rows(&self) -> bool;

    fn table(&self, text: &mut String, object: &Object) {
        self.identifier(text, &object.schema);
        text.push('.');
        self.identifier(text, &object.table);
    }

    fn column(&self, text: &mut String, alias: &str, name: &str) {
        text.push_str(alias);
        text.push('.');
        self.identifier(text, name);
    }
}

pub(super) fn of(kind: IntegrationKind) -> &'static dyn Dialect {
    match kind {
        IntegrationKind::Postgres => &postgres::Postgres,
        IntegrationKind::Mysql => &mysql::Mysql,
    }
}

/// A name between two `quote`s; the quote itself is doubled inside.
fn quoted(text: &mut String, name: &str, quote: char) {
    text.push(quote);
    for char in name.chars() {
        if char == quote {
            text.push(quote);
        }
        text.push(char);
    }
    text.push(quote);
}
