//! The same tree as JSON, for programs.
//!
//! Names become member names; where a key has none, its number or text does. A byte string is
//! `{"bytes": "hex"}`, one that holds an item is that item, and a value with a known meaning is
//! `{"value": -9, "meaning": "ESP256"}`.

use serde_json::{Map, Value, json};

use super::node::{Node, Shape};
use crate::output::hex;

/// The value of a tree.
pub(crate) fn value(node: &Node<'_>) -> Value {
    let value = bare_value(node);
    match &node.meaning {
        Some(meaning) => json!({ "value": value, "meaning": meaning }),
        None => value,
    }
}

fn bare_value(node: &Node<'_>) -> Value {
    match &node.shape {
        Shape::Integer(number) => integer(*number),
        Shape::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Shape::Cut(bytes) => json!({ "bytes": hex(bytes), "broken": true }),
        Shape::Label(text) => json!({ "bytes": hex(text.as_bytes()), "text": text }),
        Shape::Embedded(inner) => value(inner),
        Shape::Text(text) => json!(text),
        Shape::Chunks(chunks) => json!({ "chunks": values(chunks) }),
        Shape::Array { items, .. } => array(items),
        Shape::Commands(commands) => commands.iter().map(command).collect(),
        Shape::Map { entries, .. } => {
            let mut map = Map::new();
            for (key, entry) in entries {
                insert(
                    &mut map,
                    key,
                    name(key),
                    entry.as_ref().map_or(broken(), value),
                );
            }
            Value::Object(map)
        }
        Shape::Tag(tag, inner) => json!({ "tag": tag, "value": value(inner) }),
        Shape::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => Value::Number(number),
            None => json!(number.to_string()),
        },
        Shape::Simple(20) => json!(false),
        Shape::Simple(21) => json!(true),
        Shape::Simple(22) => Value::Null,
        Shape::Simple(number) => json!({ "simple": number }),
        Shape::Hidden => json!({ "secret": "not shown" }),
        Shape::Missing => broken(),
    }
}

/// An object if every element has a name, else an array.
fn array(items: &[Node<'_>]) -> Value {
    if items.is_empty() || items.iter().any(|item| item.name.is_none()) {
        return values(items);
    }
    let mut map = Map::new();
    for item in items {
        insert(&mut map, item, name(item), value(item));
    }
    Value::Object(map)
}

fn values(items: &[Node<'_>]) -> Value {
    items.iter().map(value).collect()
}

fn command((command, argument): &(Node<'_>, Option<Node<'_>>)) -> Value {
    json!({
        "command": name(command),
        "code": bare_value(command),
        "argument": argument.as_ref().map_or(broken(), value),
    })
}

fn name(key: &Node<'_>) -> String {
    match (key.name, &key.shape) {
        (Some(name), _) => name.to_owned(),
        (None, Shape::Text(text)) => (*text).to_owned(),
        (None, Shape::Integer(number)) => number.to_string(),
        _ => bare_value(key).to_string(),
    }
}

/// Two keys may have one name, where a text key looks like a known one: neither is lost.
fn insert(map: &mut Map<String, Value>, key: &Node<'_>, name: String, value: Value) {
    let name = if map.contains_key(&name) {
        format!("{name} (at byte {})", key.offset)
    } else {
        name
    };
    map.insert(name, value);
}

fn integer(number: i128) -> Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => json!(number),
        (_, Ok(number)) => json!(number),
        // Below -2^63, which only CBOR has.
        _ => json!(number.to_string()),
    }
}

fn broken() -> Value {
    json!({ "broken": true })
}
