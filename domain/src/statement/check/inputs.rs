//! Inputs: what fills the statement, and whether each value can stand where it is bound.

use super::{Checker, RequestInput};
use crate::arguments;
use crate::catalog::{Field, Indexed, Object, is_bindable};
use crate::limits::INPUTS_MAX;
use crate::nearest::nearest;
use crate::statement::request::{CALLER_PARAMETERS, is_parameter_name};
use events::skill::{Action, Parameter, Source};
use std::collections::HashSet;

#[derive(Default)]
pub(super) struct Inputs<'a> {
    pub parameters: Vec<Parameter>,
    pub filter: Option<(usize, &'a Field)>,
    pub assignments: Vec<(usize, &'a Field)>,
}

/// A declared parameter: an input of the request, or the one that `keyParam` declares.
struct Item<'a> {
    param: &'a str,
    arg: &'a str,
    /// Where the client finds them: `inputs[2]` or nothing for the key.
    path: Option<usize>,
    input: Option<&'a RequestInput>,
    role: Role,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// Finds the rows of a read, or the row of an update.
    Filter,
    Assigned,
}

impl Item<'_> {
    fn param_path(&self) -> String {
        self.path.map_or_else(|| "keyParam".to_owned(), |at| format!("inputs[{at}].param"))
    }

    fn arg_path(&self) -> String {
        self.path.map_or_else(|| "keyColumn".to_owned(), |at| format!("inputs[{at}].arg"))
    }

    fn part(&self, part: &str) -> String {
        self.path.map_or_else(|| "keyParam".to_owned(), |at| format!("inputs[{at}].{part}"))
    }

    fn source(&self) -> Source {
        self.input.map(|input| input.source).unwrap_or_default()
    }

    /// A key always is; so is what the binding itself supplies.
    fn is_required(&self) -> bool {
        self.source() == Source::Constant || self.input.is_none_or(RequestInput::is_required)
    }
}

/// Which parameter `keyColumn` and `keyParam` mean.
enum Key<'a> {
    None,
    Input(usize),
    Declared {
        param: &'a str,
        column: &'a str,
    },
    /// Already reported.
    Wrong,
}

impl<'a> Checker<'a> {
    pub(super) fn inputs(&mut self, object: &'a Object, action: Action) -> Inputs<'a> {
        let items = self.items(action);
        self.count(&items);
        self.names(&items);
        let mut inputs = Inputs::default();
        for item in &items {
            let field = self.column(object, item.arg, &item.arg_path());
            self.source(item, field);
            let Some(field) = field else { continue };
            if !is_bindable(&field.shape) {
                let message =
                    format!("Values of `{}` (`{}`) cannot be bound.", field.name, field.shape.native_type);
                self.error(item.arg_path(), "type_not_bindable", message);
                continue;
            }
            let at = inputs.parameters.len();
            match item.role {
                Role::Filter => {
                    self.filter(object, action, item, field);
                    inputs.filter = Some((at, field));
                }
                Role::Assigned => {
                    self.assignment(action, item, field);
                    if inputs.assignments.iter().any(|(_, other)| other.name == field.name) {
                        let message = format!("`{}` is set twice.", field.name);
                        self.error(item.arg_path(), "duplicate_column", message);
                    }
                    inputs.assignments.push((at, field));
                }
            }
            inputs.parameters.push(parameter(item, field));
        }
        match action {
            Action::Read => self.one_filter(object, &items),
            Action::Insert => self.all_set(object, &items),
            Action::Update => self.key_and_change(object, &items),
        }
        inputs
    }

    /// Names alone, when the operation is not known.
    pub(super) fn parameter_names(&mut self) {
        let items: Vec<Item> = self.request.inputs.iter().enumerate().map(assigned).collect();
        self.count(&items);
        self.names(&items);
    }

    fn items(&mut self, action: Action) -> Vec<Item<'a>> {
        let key = self.key(action);
        let mut items: Vec<Item> = self.request.inputs.iter().enumerate().map(assigned).collect();
        match key {
            Key::Input(at) => items[at].role = Role::Filter,
            Key::Declared { param, column } => {
                let item = Item { param, arg: column, path: None, input: None, role: Role::Filter };
                items.insert(0, item);
            }
            Key::None | Key::Wrong => {}
        }
        if action == Action::Read {
            items.iter_mut().for_each(|item| item.role = Role::Filter);
        }
        items
    }

    fn key(&mut self, action: Action) -> Key<'a> {
        let request = self.request;
        let (column, param) = (request.key_column.as_deref(), request.key_param.as_deref());
        if action == Action::Insert {
            for (given, field) in [(column, "keyColumn"), (param, "keyParam")] {
                if given.is_some() {
                    let message = "A key finds the row of an update; an insert makes a new row.";
                    self.error(field, "key_not_applicable", message);
                }
            }
            return Key::None;
        }
        let named = param.and_then(|param| request.inputs.iter().position(|input| input.param == param));
        match (column, param, named) {
            (None, None, _) => Key::None,
            (Some(column), Some(param), Some(at)) if request.inputs[at].arg != column => {
                let message = format!("The input `{param}` is bound to another column than `keyColumn`.");
                self.error("keyParam", "key_mismatch", message);
                Key::Wrong
            }
            (_, Some(_), Some(at)) => Key::Input(at),
            (Some(column), Some(param), None) => Key::Declared { param, column },
            (Some(column), None, _) => {
                let bound = request.inputs.iter().position(|input| input.arg == column);
                bound.map_or(Key::Declared { param: column, column }, Key::Input)
            }
            (None, Some(_), None) => {
                let message = "`keyParam` declares a parameter, so `keyColumn` must say for which column.";
                self.error("keyColumn", "key_missing", message);
                Key::Wrong
            }
        }
    }

    fn count(&mut self, items: &[Item]) {
        if items.len() > INPUTS_MAX {
            let message = format!("A skill takes at most {INPUTS_MAX} parameters.");
            self.error("inputs", "too_many_inputs", message);
        }
    }

    fn names(&mut self, items: &[Item]) {
        let mut seen = HashSet::new();
        for item in items {
            if !is_parameter_name(item.param) {
                let message =
                    "A parameter's name is 1 to 64 letters, digits and `_`, and starts with no digit.";
                self.error(item.param_path(), "invalid_param", message);
            } else if !seen.insert(item.param) {
                let message = format!("There is more than one parameter `{}`.", item.param);
                self.error(item.param_path(), "duplicate_param", message);
            }
        }
    }

    fn source(&mut self, item: &Item, field: Option<&Field>) {
        let Some(input) = item.input else { return };
        match (input.source, &input.value) {
            (Source::Constant, None) => {
                let message = "A constant needs its `value`.";
                self.error(item.part("value"), "constant_without_value", message);
            }
            (Source::Constant, Some(value)) => {
                let Some(field) = field.filter(|field| is_bindable(&field.shape)) else { return };
                if let Err(error) = arguments::fits(self.catalog.kind, &field.shape, value) {
                    let message = format!("The value does not fit `{}`: {}", field.name, error.message);
                    self.error(item.part("value"), "invalid_value", message);
                }
            }
            (Source::Model | Source::Caller, Some(_)) => {
                let message = "Only an input with `source: constant` has a `value`.";
                self.error(item.part("value"), "value_without_constant", message);
            }
            (Source::Caller, None) if !CALLER_PARAMETERS.contains(&input.param.as_str()) => {
                let near = nearest(&input.param, CALLER_PARAMETERS);
                let message = format!(
                    "The context of a call supplies {}; the parameter's name must be one of them.",
                    CALLER_PARAMETERS.map(|name| format!("`{name}`")).join(", ")
                );
                self.error_near(item.param_path(), "unknown_caller_param", message, near);
            }
            (Source::Model | Source::Caller, None) => {}
        }
    }

    fn filter(&mut self, object: &'a Object, action: Action, item: &Item, field: &Field) {
        if !item.is_required() {
            let message = "What finds the rows must be given: leave `required` out or set it to true.";
            self.error(item.part("required"), "filter_must_be_required", message);
        }
        if action == Action::Update && !object.is_unique(&field.name) {
            let (names, listed) = self.names_of(object, |field| object.is_unique(&field.name));
            let message = format!(
                "`{}` is not unique, so an update by it could change many rows. {listed}",
                field.name
            );
            let near = near_or_all(&field.name, names);
            self.error_near(item.arg_path(), "key_not_unique", message, near);
        }
        if action == Action::Read && field.indexed == Indexed::None {
            let (names, listed) = self.names_of(object, |field| field.indexed != Indexed::None);
            let message =
                format!("No index leads with `{}`, so a read by it could take long. {listed}", field.name);
            let near = near_or_all(&field.name, names);
            self.error_near(item.arg_path(), "filter_not_indexed", message, near);
        }
    }

    /// Bindable columns of a kind, and a sentence that lists them.
    fn names_of(&self, object: &'a Object, is: impl Fn(&Field) -> bool) -> (Vec<&'a str>, String) {
        let names: Vec<&str> = self
            .visible_columns(object)
            .filter(|field| is_bindable(&field.shape) && is(field))
            .map(|field| field.name.as_str())
            .collect();
        let listed = match names.as_slice() {
            [] => "There is no column that would do.".to_owned(),
            [only] => format!("Possible is `{only}`."),
            _ => format!("Possible are `{}`.", names.join("`, `")),
        };
        (names, listed)
    }

    fn assignment(&mut self, action: Action, item: &Item, field: &Field) {
        let name = &field.name;
        if field.generated {
            let message = format!("The database computes `{name}` itself; it cannot be set.");
            self.error(item.arg_path(), "column_generated", message);
        }
        if action != Action::Insert || item.is_required() {
            return;
        }
        if field.has_default {
            let message = format!(
                "Left out by the agent, `{name}` would be NULL instead of its default. Make it required, make it a \
                 constant, or leave it out of the inputs so that the default applies."
            );
            self.error(item.part("required"), "default_overwritten", message);
        } else if !field.nullable {
            let message = format!("`{name}` must not be NULL, so the parameter must be required.");
            self.error(item.part("required"), "required_column_optional", message);
        }
    }

    fn one_filter(&mut self, object: &'a Object, items: &[Item]) {
        if items.is_empty() {
            let (names, listed) = self.names_of(object, |field| field.indexed != Indexed::None);
            let message = format!("A read filters on exactly one indexed column. {listed}");
            let near = near_or_all("", names);
            self.error_near("inputs", "filter_missing", message, near);
        }
        for item in items.iter().skip(1) {
            let message = "A read filters on exactly one column; this is one more.";
            self.error(item.arg_path(), "too_many_filters", message);
        }
    }

    fn all_set(&mut self, object: &'a Object, items: &[Item]) {
        if items.is_empty() {
            self.error("inputs", "inputs_missing", "An insert sets at least one column.");
        }
        for field in object.fields.iter().filter(|field| field.must_be_set()) {
            let name = &field.name;
            if self.blocked.column(&object.name, name) {
                let message =
                    "The table needs a value in a column that the scoping blocks, so no row can be added.";
                self.error("operation", "column_blocked", message);
            } else if !items.iter().any(|item| item.arg == name) {
                let message = format!(
                    "`{name}` must not be NULL and has no default: bind it to a parameter or give a constant."
                );
                self.errors.push(
                    crate::FieldError::new("inputs", "required_column_missing", message)
                        .nearest(vec![name.clone()]),
                );
            }
        }
    }

    fn key_and_change(&mut self, object: &'a Object, items: &[Item]) {
        let key = items.iter().find(|item| item.role == Role::Filter);
        if key.is_none() && !self.errors.iter().any(|error| error.field.starts_with("key")) {
            let (names, listed) = self.names_of(object, |field| object.is_unique(&field.name));
            let message =
                format!("An update finds its row by a unique column: name it in `keyColumn`. {listed}");
            let near = near_or_all("", names);
            self.error_near("keyColumn", "key_missing", message, near);
        }
        let mut sets = false;
        for item in items.iter().filter(|item| item.role == Role::Assigned) {
            sets = true;
            if key.is_some_and(|key| key.arg == item.arg) {
                let message = format!("`{}` finds the row, so the update cannot set it.", item.arg);
                self.error(item.arg_path(), "key_not_settable", message);
            }
        }
        if !sets {
            self.error("inputs", "inputs_missing", "An update sets at least one column beside its key.");
        }
    }
}

fn assigned<'a>((at, input): (usize, &'a RequestInput)) -> Item<'a> {
    Item { param: &input.param, arg: &input.arg, path: Some(at), input: Some(input), role: Role::Assigned }
}

fn near_or_all(name: &str, names: Vec<&str>) -> Vec<String> {
    let near = nearest(name, names.iter().copied());
    if near.is_empty() {
        names.into_iter().take(crate::limits::NEAREST).map(str::to_owned).collect()
    } else {
        near
    }
}

fn parameter(item: &Item, field: &Field) -> Parameter {
    let described = item.input.and_then(|input| input.description.clone());
    Parameter {
        name: item.param.to_owned(),
        source: item.source(),
        required: item.is_required(),
        // Nothing equals NULL, so it cannot find a row.
        nullable: item.role == Role::Assigned && field.nullable,
        description: described.or_else(|| field.comment.clone()),
        value: item.input.and_then(|input| input.value.clone()),
        column: field.name.clone(),
        shape: field.shape.clone(),
    }
}
