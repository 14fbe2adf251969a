//! Looks every name of a request up in the catalog and collects all that is wrong.

mod inputs;
mod projection;

use super::request::{Request, RequestInput};
use crate::FieldError;
use crate::catalog::{Catalog, Field, Object, ObjectKind, Relationship};
use crate::limits::{ROWS_DEFAULT, ROWS_MAX};
use crate::nearest::nearest;
use events::scoping::Blocked;
use events::skill::{Action, Direction, FieldType, Parameter, Shape};

/// A binding that is right, with its names resolved.
pub(super) struct Plan<'a> {
    pub object: &'a Object,
    pub action: Action,
    pub parameters: Vec<Parameter>,
    /// The parameter that finds the rows, and the column it is compared with. An insert has none.
    pub filter: Option<(usize, &'a Field)>,
    /// Parameters that are stored, and where.
    pub assignments: Vec<(usize, &'a Field)>,
    pub joins: Vec<Join<'a>>,
    pub projection: Vec<Leaf<'a>>,
    pub order: Vec<(&'a Field, Direction)>,
    pub limit: u32,
}

pub(super) struct Join<'a> {
    pub relationship: &'a Relationship,
    pub target: &'a Object,
}

/// One value of the answer.
pub(super) struct Leaf<'a> {
    pub name: &'a str,
    /// Index into the joins; the object itself without one.
    pub join: Option<usize>,
    pub field: &'a Field,
}

/// What every check works on.
struct Checker<'a> {
    catalog: &'a Catalog,
    blocked: &'a Blocked,
    request: &'a Request,
    errors: Vec<FieldError>,
}

pub(super) fn check<'a>(
    catalog: &'a Catalog,
    blocked: &'a Blocked,
    request: &'a Request,
) -> Result<Plan<'a>, Vec<FieldError>> {
    let mut checker = Checker { catalog, blocked, request, errors: Vec::new() };
    let operation = checker.operation();
    let limit = checker.limit();
    checker.leaf_names();
    let Some((object, action)) = operation else {
        checker.parameter_names();
        return Err(checker.errors);
    };
    let inputs = checker.inputs(object, action);
    let (joins, projection) = checker.projection(object, action);
    let order = checker.order(object, action);
    if !checker.errors.is_empty() {
        return Err(checker.errors);
    }
    let plan = Plan {
        object,
        action,
        parameters: inputs.parameters,
        filter: inputs.filter,
        assignments: inputs.assignments,
        joins,
        projection,
        order,
        limit: if action.is_write() { 1 } else { limit },
    };
    match unusable_name(&plan) {
        Some(error) => Err(vec![error]),
        None => Ok(plan),
    }
}

impl<'a> Checker<'a> {
    fn error(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, code, message));
    }

    fn error_near(
        &mut self,
        field: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
        nearest: Vec<String>,
    ) {
        self.errors.push(FieldError::new(field, code, message).nearest(nearest));
    }

    /// `<object>.<action>`; the object's own name may hold dots.
    fn operation(&mut self) -> Option<(&'a Object, Action)> {
        let operation = &self.request.operation;
        let (name, action) = operation.rsplit_once('.').unwrap_or((operation, ""));
        let known = [Action::Read, Action::Insert, Action::Update].into_iter().find(|a| a.as_str() == action);
        let Some(action) = known else {
            // `patients` and `patients.list` mean the object `patients`, `sales.orders` may mean that one.
            let object = [operation.as_str(), name].into_iter().find_map(|name| self.visible_object(name));
            let near = match object {
                Some(object) => object.operations(),
                None => self.near_operations(name, Action::Read),
            };
            let message = "An operation is an object's name, a point, and `read`, `insert` or `update`.";
            self.error_near("operation", "unknown_operation", message, near);
            return None;
        };
        if self.blocked.table(name) && self.catalog.object(name).is_some() {
            self.error(
                "operation",
                "column_blocked",
                format!("`{name}` is blocked for agents by the scoping."),
            );
            return None;
        }
        let Some(object) = self.catalog.object(name) else {
            let near = self.near_operations(name, action);
            let message = format!("There is no table or view `{name}` in the discovered schema.");
            self.error_near("operation", "unknown_object", message, near);
            return None;
        };
        if let Some(message) = forbidden(object, action) {
            let allowed = object.operations();
            self.error_near("operation", "operation_not_allowed", message, allowed);
        }
        Some((object, action))
    }

    fn visible_object(&self, name: &str) -> Option<&'a Object> {
        self.catalog.object(name).filter(|object| !self.blocked.table(&object.name))
    }

    fn near_operations(&self, name: &str, action: Action) -> Vec<String> {
        let objects = self.catalog.objects.iter().map(|object| object.name.as_str());
        let near = nearest(name, objects.filter(|name| !self.blocked.table(name)));
        near.into_iter().map(|name| format!("{name}.{}", action.as_str())).collect()
    }

    /// A column of an object, or an error at `path` that says why there is none.
    fn column(&mut self, object: &'a Object, name: &str, path: &str) -> Option<&'a Field> {
        match object.field(name) {
            Some(_) if self.blocked.column(&object.name, name) => {
                let message = format!("`{}.{name}` is blocked for agents by the scoping.", object.name);
                self.error(path, "column_blocked", message);
                None
            }
            Some(field) => Some(field),
            None => {
                let near = nearest(name, self.visible_columns(object).map(|field| field.name.as_str()));
                let message = format!("`{}` has no column `{name}`.", object.name);
                self.error_near(path, "unknown_column", message, near);
                None
            }
        }
    }

    fn visible_columns(&self, object: &'a Object) -> impl Iterator<Item = &'a Field> + use<'a> {
        let blocked = self.blocked;
        object.fields.iter().filter(move |field| !blocked.column(&object.name, &field.name))
    }

    fn limit(&mut self) -> u32 {
        let limit = self.request.limit.unwrap_or(ROWS_DEFAULT);
        if !(1..=ROWS_MAX).contains(&limit) {
            self.error("limit", "limit_out_of_range", format!("A limit is a number from 1 to {ROWS_MAX}."));
        }
        limit
    }

    fn order(&mut self, object: &'a Object, action: Action) -> Vec<(&'a Field, Direction)> {
        let mut order: Vec<(&Field, Direction)> = Vec::new();
        if action.is_write() && !self.request.order_by.is_empty() {
            self.error(
                "orderBy",
                "order_not_applicable",
                "A write concerns one row; only a read has an order.",
            );
            return order;
        }
        for (at, (name, direction)) in self.request.order_by.iter().enumerate() {
            let path = format!("orderBy[{at}].column");
            let Some(field) = self.column(object, name, &path) else { continue };
            if order.iter().any(|(other, _)| other.name == field.name) {
                self.error(path, "duplicate_column", format!("The order names `{name}` twice."));
            } else if !is_sortable(&field.shape) {
                let message = format!("Values of `{name}` (`{}`) have no order.", field.shape.native_type);
                self.error(path, "order_not_sortable", message);
            } else {
                order.push((field, *direction));
            }
        }
        // Rows that are equal by what was asked for keep one order, so that a cut answer is the same each time.
        let tie_break: Vec<&Field> =
            object.primary_key.iter().filter_map(|name| object.field(name)).collect();
        let visible = tie_break.iter().all(|field| !self.blocked.column(&object.name, &field.name));
        if !order.is_empty() && visible {
            for field in tie_break {
                if !order.iter().any(|(other, _)| other.name == field.name) {
                    order.push((field, Direction::Asc));
                }
            }
        }
        order
    }
}

/// Why an operation cannot be bound here whatever its inputs are.
fn forbidden(object: &Object, action: Action) -> Option<String> {
    let name = &object.name;
    let kind = match object.kind {
        ObjectKind::Table => None,
        ObjectKind::View => Some("view"),
        ObjectKind::MaterializedView => Some("materialized view"),
    };
    if let Some(kind) = kind.filter(|_| action.is_write()) {
        return Some(format!("`{name}` is a {kind}; only tables are written."));
    }
    if object.keeps_all_writes && action.is_write() {
        return Some(format!(
            "What keeps the rows of `{name}` has no transactions, so a write of more than one row could not be \
             taken back. Only tables of a transactional engine are written."
        ));
    }
    let allowed = match action {
        Action::Read => object.privileges.select,
        Action::Insert => object.privileges.insert,
        Action::Update => object.privileges.update,
    };
    let privilege = match action {
        Action::Read => "SELECT",
        Action::Insert => "INSERT",
        Action::Update => "UPDATE",
    };
    (!allowed).then(|| {
        format!("The connected database user lacks {privilege} on `{name}`. Grant it and discover again.")
    })
}

fn is_sortable(shape: &Shape) -> bool {
    match shape.field_type {
        FieldType::Json | FieldType::Other => false,
        FieldType::Array => shape.set || shape.element.as_deref().is_some_and(is_sortable),
        FieldType::String
        | FieldType::Integer
        | FieldType::Bigint
        | FieldType::Decimal
        | FieldType::Float
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Binary
        | FieldType::Enum => true,
    }
}

/// No engine allows NUL in a name; a catalog that holds one is not to be trusted with a statement's text.
fn unusable_name(plan: &Plan) -> Option<FieldError> {
    let objects = std::iter::once(plan.object).chain(plan.joins.iter().map(|join| join.target));
    let unusable = objects.into_iter().find(|object| {
        let fields = object.fields.iter().flat_map(|field| [Some(&field.name), field.cast.as_ref()]);
        fields.flatten().chain([&object.schema, &object.table]).any(|name| name.contains('\0'))
    })?;
    let message =
        format!("A name in `{}` holds a character that no statement can.", unusable.name.replace('\0', ""));
    Some(FieldError::new("operation", "name_unusable", message))
}
