//! For any catalog, scoping and request: no panic, and a text that is one statement of allowed names only.

use super::*;
use crate::catalog::fixture::{belongs_to, field, index, shape, table};
use crate::catalog::{Catalog, Field, Object, Trigger, drift};
use events::IntegrationKind;
use events::skill::{Action, Direction, FieldType, Projected, Source};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Value, visit_expressions, visit_relations};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

const TYPES: &[FieldType] = &[
    FieldType::String,
    FieldType::String,
    FieldType::String,
    FieldType::Integer,
    FieldType::Decimal,
    FieldType::Timestamptz,
    FieldType::Array,
    FieldType::Other,
];

/// Reserved words, quotes of every kind, comments, placeholders, other scripts, and plain names.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "id",
            "select",
            "user_id",
            "t",
            "r1",
            "a.b",
            "Order",
            "x\" OR 1=1 --",
            "`;DROP TABLE x",
            "\\"
        ])
        .prop_map(str::to_owned),
        "[a-c\"`'$?;\n .\\\\-]{1,6}",
        "\\PC{1,5}",
    ]
}

fn column() -> impl Strategy<Value = Field> {
    (name(), select(TYPES), any::<[bool; 3]>()).prop_map(
        |(name, field_type, [nullable, has_default, generated])| {
            let mut field = Field { nullable, has_default, generated, ..field(&name, field_type) };
            field.cast = Some("pg_catalog.\"text\"".to_owned());
            field.shape.native_type = "text".to_owned();
            if field_type == FieldType::Array {
                field.shape.element = Some(Box::new(shape(FieldType::Other)));
            }
            field
        },
    )
}

fn object() -> impl Strategy<Value = Object> {
    (name(), name(), proptest::collection::vec(column(), 1..5), any::<[u8; 3]>()).prop_map(
        |(name, schema, mut fields, [key, unique, lead])| {
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            fields.dedup_by(|a, b| a.name == b.name);
            let at = |pick: u8| fields[usize::from(pick) % fields.len()].name.clone();
            let mut object = Object { schema, primary_key: vec![at(key)], ..table(&name) };
            object.unique_keys = vec![vec![at(unique)]];
            object.indexes = vec![index("an index", &[&at(lead)])];
            object.triggers =
                vec![Trigger { name: "a".into(), on_insert: true, on_update: true, on_delete: false }];
            object.fields = fields;
            object
        },
    )
}

fn catalog() -> impl Strategy<Value = Catalog> {
    let kinds = select(IntegrationKind::ALL.to_vec());
    (kinds, proptest::collection::vec(object(), 1..4), any::<[u8; 6]>()).prop_map(
        |(kind, mut objects, picks)| {
            let count = objects.len();
            for (number, pick) in picks.chunks(2).enumerate() {
                let (from, to) = (usize::from(pick[0]) % count, usize::from(pick[1]) % count);
                let (own, other) = (objects[from].fields[0].name.clone(), objects[to].fields[0].name.clone());
                let target = objects[to].name.clone();
                let constraint = format!("fk {number}");
                objects[from].relationships.push(belongs_to(&constraint, &[&own], &target, &[&other]));
            }
            Catalog { kind, default_schema: "public".into(), objects }.finish()
        },
    )
}

/// Random numbers that pick names of the catalog, so that most requests come far.
#[derive(Clone, Debug)]
struct Picks {
    /// Whether what is plainly wrong is mended, so that the rest is reached.
    mended: bool,
    object: usize,
    action: Action,
    inputs: Vec<(usize, Option<bool>, Source, bool)>,
    leaves: Vec<(usize, usize)>,
    order: Option<usize>,
    key: Option<usize>,
    blocked: Option<(usize, usize)>,
    blocked_table: Option<usize>,
    limit: Option<u32>,
}

fn picks() -> impl Strategy<Value = Picks> {
    let sources = select(vec![Source::Model, Source::Model, Source::Caller, Source::Constant]);
    let input = (0usize..8, proptest::option::weighted(0.3, any::<bool>()), sources, any::<bool>());
    let blocked = proptest::option::weighted(0.25, (0usize..8, 0usize..8));
    (
        (0usize..8, select(vec![Action::Read, Action::Read, Action::Insert, Action::Update])),
        proptest::collection::vec(input, 0..4),
        proptest::collection::vec((0usize..8, 0usize..8), 0..4),
        (proptest::option::of(0usize..8), proptest::option::of(0usize..8), blocked),
        proptest::option::weighted(0.2, 0usize..8),
        (proptest::option::of(0u32..120), proptest::bool::weighted(0.8)),
    )
        .prop_map(
            |((object, action), inputs, leaves, (order, key, blocked), blocked_table, (limit, mended))| {
                Picks { mended, object, action, inputs, leaves, order, key, blocked, blocked_table, limit }
            },
        )
}

fn request(catalog: &Catalog, picks: &Picks) -> (Request, Blocked) {
    let mut blocked = Blocked::default();
    let Some(object) = catalog.objects.get(picks.object % catalog.objects.len().max(1)) else {
        return (Request::default(), blocked);
    };
    let column = |pick: usize| object.fields[pick % object.fields.len()].name.clone();
    if let Some((at, pick)) = picks.blocked {
        let object = &catalog.objects[at % catalog.objects.len()];
        let column = object.fields[pick % object.fields.len()].name.clone();
        blocked.blocked_columns.entry(object.name.clone()).or_default().insert(column);
    }
    if let Some(at) = picks.blocked_table {
        blocked.blocked_tables.insert(catalog.objects[at % catalog.objects.len()].name.clone());
    }
    let inputs = picks.inputs.iter().enumerate().map(|(at, (pick, required, source, valued))| RequestInput {
        param: if *source == Source::Caller { CALLER_PARAMETERS[at].to_owned() } else { format!("p{at}") },
        arg: column(*pick),
        required: *required,
        description: None,
        source: *source,
        value: (*source == Source::Constant || *valued && at == 3)
            .then(|| json!("never 'in' the text 987654321")),
    });
    let leaves = picks.leaves.iter().enumerate().map(|(at, (reach, pick))| {
        let edge = reach.checked_sub(4).and_then(|reach| object.relationships.get(reach));
        let (first, from) = match edge {
            Some(edge) => (edge.name.clone(), catalog.object(&edge.target).unwrap()),
            None => (object.name.clone(), object),
        };
        let column = from.fields[pick % from.fields.len()].name.clone();
        Projected { path: vec![first, column], leaf: format!("leaf_{at}") }
    });
    let mut request = Request {
        operation: format!("{}.{}", object.name, picks.action.as_str()),
        inputs: inputs.collect(),
        projection: leaves.collect(),
        order_by: picks.order.iter().map(|pick| (column(*pick), Direction::Desc)).collect(),
        limit: picks.limit,
        key_column: picks.key.map(column),
        key_param: picks.key.map(|_| "the_key".to_owned()),
    };
    if picks.mended {
        mend(&mut request, catalog.kind, object, picks.action);
    }
    (request, blocked)
}

/// Corrects what random picks nearly never get right: the key, the filter, and the columns that must be set.
fn mend(request: &mut Request, kind: IntegrationKind, object: &Object, action: Action) {
    request.limit = request.limit.map(|limit| limit.clamp(1, 100));
    let unique = object.unique_keys[0][0].clone();
    let takes = |name: &str, kinds: &[FieldType]| {
        object.field(name).is_some_and(|field| kinds.contains(&field.shape.field_type))
    };
    let bindable = [FieldType::String, FieldType::Integer, FieldType::Decimal, FieldType::Timestamptz];
    request.inputs.retain(|input| takes(&input.arg, &bindable));
    for input in &mut request.inputs {
        if input.source == Source::Constant && !takes(&input.arg, &[FieldType::String]) {
            (input.source, input.value) = (Source::Model, None);
        }
    }
    match action {
        Action::Read => {
            request.inputs.truncate(1);
            request.key_column = request.inputs.is_empty().then(|| unique.clone());
            request.key_param = request.key_column.is_some().then(|| "by".to_owned());
            for input in &mut request.inputs {
                (input.arg, input.required) = (unique.clone(), None);
            }
        }
        Action::Insert | Action::Update => {
            request.order_by.clear();
            request
                .projection
                .retain(|leaf| kind == IntegrationKind::Postgres && leaf.path[0] == object.name);
            (request.key_column, request.key_param) = (None, None);
            let mut seen = BTreeSet::new();
            request.inputs.retain(|input| {
                let field = object.field(&input.arg).unwrap();
                !field.generated && seen.insert(input.arg.clone())
            });
        }
    }
    if action == Action::Update {
        request.inputs.retain(|input| input.arg != unique);
        (request.key_column, request.key_param) = (Some(unique), Some("the_key".to_owned()));
    }
    if action == Action::Insert {
        request.inputs.iter_mut().for_each(|input| input.required = None);
        let missing: Vec<_> = object
            .fields
            .iter()
            .filter(|field| {
                field.must_be_set() && !request.inputs.iter().any(|input| input.arg == field.name)
            })
            .collect();
        request.inputs.extend(missing.iter().enumerate().map(|(at, field)| RequestInput {
            param: format!("must_{at}"),
            arg: field.name.clone(),
            ..RequestInput::default()
        }));
    }
}

fn text_of(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => ident.value.clone(),
            ObjectNamePart::Function(function) => panic!("a function as a name: {function}"),
        })
        .collect()
}

/// Every object and column that an independent parser finds in the text, and every literal.
struct Seen {
    tables: BTreeSet<Vec<String>>,
    columns: BTreeSet<String>,
    literals: Vec<String>,
}

fn unescape(ident: &Ident) -> String {
    ident.value.clone()
}

fn parse(statement: &Statement) -> Seen {
    let dialect: &dyn Dialect = match statement.dialect {
        IntegrationKind::Postgres => &PostgreSqlDialect {},
        IntegrationKind::Mysql => &MySqlDialect {},
    };
    let parsed = Parser::parse_sql(dialect, &statement.text)
        .unwrap_or_else(|error| panic!("{error} in {}", statement.text));
    assert_eq!(parsed.len(), 1, "{}", statement.text);
    let mut seen = Seen { tables: BTreeSet::new(), columns: BTreeSet::new(), literals: Vec::new() };
    let _ = visit_relations(&parsed, |name| {
        seen.tables.insert(text_of(name));
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions(&parsed, |expression| {
        match expression {
            Expr::CompoundIdentifier(parts) => {
                assert!(parts.len() == 2 && parts[0].quote_style.is_none(), "{expression}");
                seen.columns.insert(unescape(&parts[1]));
            }
            Expr::Identifier(ident) => {
                seen.columns.insert(unescape(ident));
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(_) => {}
                literal => seen.literals.push(literal.to_string()),
            },
            Expr::Function(function) => panic!("a call: {function}"),
            Expr::Subquery(query) => panic!("a query inside: {query}"),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    seen
}

fn judge(catalog: &Catalog, blocked: &Blocked, statement: &Statement) {
    let seen = parse(statement);
    let text = &statement.text;
    let limit = (statement.action == Action::Read).then(|| (statement.limit + 1).to_string());
    assert_eq!(seen.literals, Vec::from_iter(limit), "{text}");
    assert!(!text.contains("987654321"), "{text}");
    let mut tables = BTreeSet::new();
    let mut columns = BTreeSet::new();
    for touched in &statement.touches {
        assert!(!blocked.table(&touched.object), "{text}");
        let object = catalog.object(&touched.object).unwrap();
        // On MySQL the session's own database is not named.
        let bare = statement.dialect == IntegrationKind::Mysql && object.name == object.table;
        let schema = (!bare).then(|| object.schema.clone());
        tables.insert(schema.into_iter().chain([object.table.clone()]).collect());
        for column in &touched.columns {
            assert!(!blocked.column(&touched.object, &column.name), "{text}");
            assert!(object.field(&column.name).is_some());
            columns.insert(column.name.clone());
        }
    }
    assert_eq!(seen.tables, tables, "{text}");
    assert!(seen.columns.is_subset(&columns), "{:?} beside {columns:?} in {text}", seen.columns);
    assert_eq!(drift(statement, catalog, blocked), None, "{text}");
    assert_eq!(statement.hash, hash(statement));
    let placeholders = statement.binds.len();
    if statement.dialect == IntegrationKind::Postgres {
        assert!(text.contains(&format!("${placeholders}::")), "{text}");
    }
}

/// `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(512), ..config }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_text_is_one_statement_of_allowed_names_without_values(catalog in catalog(), picks in picks()) {
        let (request, blocked) = request(&catalog, &picks);
        if let Ok((_, statement)) = compile(&catalog, &blocked, &request) {
            judge(&catalog, &blocked, &statement);
        }
    }

    #[test]
    fn no_request_makes_the_compiler_panic(
        catalog in catalog(),
        words in proptest::collection::vec(prop_oneof![name(), "[a-z]{0,3}\\.(read|insert|update|)"], 9),
        limit in any::<Option<u32>>(),
    ) {
        let request = Request {
            operation: words[0].clone(),
            inputs: vec![RequestInput {
                param: words[1].clone(),
                arg: words[2].clone(),
                required: None,
                description: None,
                source: Source::Model,
                value: Some(json!(words[3])),
            }],
            projection: vec![
                Projected { path: words[4..6].to_vec(), leaf: words[6].clone() },
                Projected { path: words[..1].to_vec(), leaf: words[7].clone() },
            ],
            order_by: vec![(words[8].clone(), Direction::Asc)],
            limit,
            key_column: limit.map(|_| words[2].clone()),
            key_param: limit.map(|_| words[1].clone()),
        };
        let errors = compile(&catalog, &Blocked::default(), &request).unwrap_err();
        prop_assert!(errors.iter().all(|error| !error.message.is_empty() && !error.field.is_empty()));
    }

    #[test]
    fn what_is_visible_holds_nothing_blocked(catalog in catalog(), picks in picks()) {
        let (_, blocked) = request(&catalog, &picks);
        for object in &catalog.visible(&blocked).objects {
            prop_assert!(!blocked.table(&object.name));
            let columns = object.fields.iter().map(|field| &field.name);
            let keys = object.keys().flatten().chain(object.indexes.iter().flat_map(|index| &index.columns));
            let edges = object.relationships.iter();
            for column in columns.chain(keys).chain(edges.clone().flat_map(|edge| &edge.fields)) {
                prop_assert!(!blocked.column(&object.name, column));
            }
            for edge in edges {
                prop_assert!(!edge.target_fields.iter().any(|column| blocked.column(&edge.target, column)));
            }
        }
    }
}

/// The generator is of no use when nearly everything it makes is refused.
#[test]
fn the_generator_reaches_every_action() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut compiled = [0; 3];
    for _ in 0..1000 {
        let catalog = catalog().new_tree(&mut runner).unwrap().current();
        let picks = picks().new_tree(&mut runner).unwrap().current();
        let (request, blocked) = request(&catalog, &picks);
        if let Ok((_, statement)) = compile(&catalog, &blocked, &request) {
            compiled[statement.action as usize] += 1;
        }
    }
    assert!(compiled.iter().all(|count| *count > 20), "{compiled:?}");
}
