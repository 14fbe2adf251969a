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

    /// A remark below the last, whole however long it is.
    pub(super) fn line(&self, text: &str) {
        for (at, line) in wrapped(text).iter().enumerate() {
            self.remark(&format!("{}{line}", if at == 0 { "  " } else { "    " }));
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

/// Lines that a terminal shows without wrapping them itself.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.chars().count() + word.chars().count() >= SHOWN / 2 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
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
