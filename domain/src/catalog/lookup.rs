//! Names as people write them, with the nearest valid ones when they are wrong.

use super::{Catalog, Field, Object};
use crate::nearest::nearest;

impl Catalog {
    /// # Errors
    /// The names that are closest to one that matches nothing. They may be blocked names: for who may see those.
    pub fn lookup(&self, name: &str) -> Result<&Object, Vec<String>> {
        self.object(name).ok_or_else(|| nearest(name, self.objects.iter().map(|object| object.name.as_str())))
    }
}

impl Object {
    /// # Errors
    /// As [`Catalog::lookup`].
    pub fn lookup(&self, column: &str) -> Result<&Field, Vec<String>> {
        self.field(column).ok_or_else(|| nearest(column, self.fields.iter().map(|field| field.name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::fixture::clinic;
    use events::IntegrationKind;

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_ones() {
        let catalog = clinic(IntegrationKind::Postgres);
        assert_eq!(catalog.lookup("patient").unwrap_err()[0], "patients");
        assert_eq!(catalog.lookup("patients").unwrap().lookup("fullname").unwrap_err()[0], "full_name");
    }
}
