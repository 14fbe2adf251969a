//! How the story is shown to a person.

use crate::http::Answer;
use serde_json::Value;

/// Prints each request and a short answer, or nothing.
pub struct Teller {
    pub aloud: bool,
}

/// A characters' width that a terminal shows without wrapping twice.
const SHOWN: usize = 220;

impl Teller {
    pub(super) fn chapter(&self, text: &str) {
        if self.aloud {
            println!("\n── {text}");
        }
    }

    pub(super) fn remark(&self, text: &str) {
        if self.aloud {
            println!("   {text}");
        }
    }

    pub(super) fn request(&self, method: &str, path: &str, body: Option<&Value>) {
        if !self.aloud {
            return;
        }
        println!("   → {method} /api/v1{path}");
        if let Some(body) = body {
            println!("     {}", short(&without_secrets(body).to_string()));
        }
    }

    pub(super) fn answer(&self, answer: &Answer, shown: &str) {
        if self.aloud {
            println!("   ← {} {}", answer.status, short(shown));
        }
    }
}

fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn without_secrets(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(credentials) = body.get_mut("credentials").and_then(Value::as_object_mut) {
        credentials.insert("password".to_owned(), "(hidden)".into());
        credentials.insert("ca_pem".to_owned(), "(the private CA)".into());
    }
    body
}
