//! What is told to models, against the rules of those who run them.

mod vendors;

use super::*;
use crate::arguments::bind;
use crate::catalog::fixture::shape;
use events::IntegrationKind;
use events::skill::{Bind, FieldType, Parameter, Shape, Source};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Map;
use vendors::{anthropic_breaches, openai_breaches};

fn any_shape() -> impl Strategy<Value = Shape> {
    let types = [
        FieldType::String,
        FieldType::Integer,
        FieldType::Bigint,
        FieldType::Decimal,
        FieldType::Float,
        FieldType::Boolean,
        FieldType::Date,
        FieldType::Time,
        FieldType::Timestamp,
        FieldType::Timestamptz,
        FieldType::Interval,
        FieldType::Uuid,
        FieldType::Json,
        FieldType::Binary,
        FieldType::Enum,
        FieldType::Array,
    ];
    let plain = (select(types.to_vec()), proptest::option::of(1..500u64), any::<[bool; 3]>());
    plain.prop_map(|(field_type, max_length, [unsigned, set, nested])| {
        let enum_values = match field_type {
            FieldType::Enum => vec!["booked".to_owned(), "it's off".to_owned()],
            _ => Vec::new(),
        };
        let element = Shape { max_length, ..shape(if nested { FieldType::Uuid } else { FieldType::String }) };
        Shape {
            max_length,
            unsigned,
            set: set && field_type == FieldType::Enum,
            integer_bytes: (field_type == FieldType::Integer).then_some(4),
            enum_values,
            element: (field_type == FieldType::Array).then(|| Box::new(element)),
            ..shape(field_type)
        }
    })
}

fn any_parameter() -> impl Strategy<Value = Parameter> {
    let source = select(vec![Source::Model, Source::Model, Source::Caller, Source::Constant]);
    let described = proptest::option::of(select(vec!["When it begins.", "Who calls."]));
    ("[a-c]_[a-c]", source, any::<[bool; 2]>(), described, any_shape()).prop_map(
        |(name, source, [required, nullable], description, shape)| Parameter {
            column: format!("column_of_{name}"),
            name,
            source,
            required,
            nullable,
            description: description.map(str::to_owned),
            value: (source == Source::Constant).then(|| json!("a constant")),
            shape,
        },
    )
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let parameters = proptest::collection::vec(any_parameter(), 0..5).prop_map(|mut parameters| {
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        parameters.dedup_by(|a, b| a.name == b.name);
        parameters
    });
    (parameters, select(vec![Action::Read, Action::Insert, Action::Update])).prop_map(
        |(parameters, action)| Statement {
            action,
            binds: (0..parameters.len()).map(|parameter| Bind::Value { parameter }).collect(),
            parameters,
            ..without_parameters()
        },
    )
}

fn tool(statement: &Statement) -> Tool<'_> {
    Tool { name: "find_patient", title: "Find patient", description: "Looks up.", statement }
}

fn in_all_words(tool: &Tool) -> [Described; 3] {
    [tool.for_openai(), tool.for_anthropic(), tool.for_mcp(json!({ "type": "object" }))]
}

/// The parts that a digest is for.
fn digested(described: &Described) -> Vec<&Value> {
    let parts = ["name", "description", "parameters", "input_schema", "inputSchema", "outputSchema"];
    parts.iter().filter_map(|part| described.definition.get(part)).collect()
}

proptest! {
    #[test]
    fn every_definition_keeps_to_its_vendors_rules(statement in any_statement()) {
        let [openai, anthropic, mcp] = in_all_words(&tool(&statement));
        prop_assert_eq!(openai_breaches(&openai.definition), Vec::<String>::new());
        prop_assert_eq!(anthropic_breaches(&anthropic.definition), Vec::<String>::new());
        prop_assert_eq!(&mcp.definition["inputSchema"], &anthropic.definition["input_schema"]);
        let takes_any = |it: &Parameter| it.source == Source::Model && it.shape.field_type == FieldType::Json;
        prop_assert_eq!(&openai.definition["strict"], &json!(!statement.parameters.iter().any(takes_any)));
    }

    #[test]
    fn what_the_model_does_not_supply_and_what_runs_are_in_no_definition(statement in any_statement()) {
        for described in in_all_words(&tool(&statement)) {
            let text = described.definition.to_string();
            for inner in ["the_table", "the_statement", "the_hash", "the_index", "column_of_", "a constant"] {
                prop_assert!(!text.contains(inner), "{}", text);
            }
            for parameter in statement.parameters.iter().filter(|it| it.source != Source::Model) {
                prop_assert!(!text.contains(&format!("\"{}\"", parameter.name)), "{}", text);
            }
        }
    }

    #[test]
    fn a_digest_changes_exactly_when_what_it_covers_does(
        first in any_statement(), second in any_statement(), change in 0..6usize,
    ) {
        let before = tool(&first);
        let after = match change {
            0 => Tool { name: "find_patients", ..before },
            1 => Tool { description: "Looks up", ..before },
            // Not covered.
            2 => Tool { title: "Find a patient", ..before },
            3 => Tool { name: "find_patientLooks", description: " up.", ..before },
            _ => tool(&second),
        };
        for (before, after) in in_all_words(&before).iter().zip(&in_all_words(&after)) {
            prop_assert_eq!(before.digest == after.digest, digested(before) == digested(after));
        }
    }

    #[test]
    fn null_for_what_is_optional_is_the_same_as_nothing(statement in any_statement()) {
        let optional = statement.parameters.iter().filter(|it| it.source == Source::Model && !it.required);
        let nulls: Map<String, Value> = optional.map(|it| (it.name.clone(), Value::Null)).collect();
        prop_assert_eq!(
            bind(&statement, &nulls, &Map::new()), bind(&statement, &Map::new(), &Map::new())
        );
    }
}

#[test]
fn strict_mode_says_what_a_column_takes_in_its_own_subset() {
    let parameter = |name: &str, required: bool, shape: Shape| Parameter {
        name: name.to_owned(),
        source: Source::Model,
        required,
        nullable: !required,
        description: None,
        value: None,
        column: name.to_owned(),
        shape,
    };
    let set = Shape { set: true, enum_values: vec!["a".into(), "b".into()], ..shape(FieldType::Enum) };
    let mut statement = Statement {
        parameters: vec![
            parameter("id", true, shape(FieldType::Bigint)),
            parameter("name", false, Shape { max_length: Some(80), ..shape(FieldType::String) }),
            parameter("days", false, set),
        ],
        ..without_parameters()
    };
    let described = tool(&statement).for_openai();
    assert_eq!(
        described.definition,
        json!({
            "type": "function", "name": "find_patient", "description": "Looks up.", "strict": true,
            "parameters": {
                "type": "object",
                "properties": {
                    "id": { "type": "string", "pattern": "^-?[0-9]+$" },
                    "name": { "type": ["string", "null"], "description": "At most 80 characters. Null to leave it out." },
                    "days": {
                        "type": ["array", "null"], "items": { "type": "string", "enum": ["a", "b"] },
                        "description": "Each value at most once. Null to leave it out.",
                    },
                },
                "required": ["id", "name", "days"],
                "additionalProperties": false,
            },
        })
    );
    let many = (0..=crate::limits::STRICT_ENUM_VALUES).map(|at| at.to_string()).collect();
    statement.parameters[0].shape = Shape { enum_values: many, ..shape(FieldType::Enum) };
    assert_eq!(tool(&statement).for_openai().definition["strict"], false);
}

fn without_parameters() -> Statement {
    Statement {
        dialect: IntegrationKind::Postgres,
        action: Action::Read,
        object: "the_table".to_owned(),
        text: "SELECT the_statement".to_owned(),
        hash: "the_hash".to_owned(),
        binds: Vec::new(),
        parameters: Vec::new(),
        columns: Vec::new(),
        limit: 5,
        touches: Vec::new(),
        uses_index: Some("the_index".to_owned()),
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}

#[test]
fn the_checker_of_the_vendors_rules_finds_each_breach() {
    let open = json!({ "type": "function", "name": "a", "strict": true, "parameters": {
        "type": "object", "properties": { "b": { "type": "string", "maxLength": 3 }, "c": {} }, "required": ["b"],
    }});
    let breaches = openai_breaches(&open).join("\n");
    for breach in ["additionalProperties", "c is not required", "maxLength", "c has no type"] {
        assert!(breaches.contains(breach), "{breach}: {breaches}");
    }
    let unnamed = json!({ "name": "a.b", "input_schema": { "type": "array" } });
    assert_eq!(anthropic_breaches(&unnamed).len(), 2);
}
