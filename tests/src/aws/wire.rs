//! The JSON protocol of AWS, as the emulators take it: with the form of a signature, and no secret in it. What tests
//! look at or set up goes this way, past the code under test.

use serde_json::Value;

#[derive(Clone)]
pub struct Wire {
    url: String,
    client: reqwest::Client,
}

impl Wire {
    pub fn to(url: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS");
        Self { url: url.to_owned(), client }
    }

    /// `target` names the operation, such as `DynamoDB_20120810.Scan`.
    ///
    /// # Panics
    /// When the emulator refuses.
    pub async fn call(&self, target: &str, body: Value) -> Value {
        let service = match target.split('.').next().unwrap_or_default() {
            "TrentService" => "kms",
            "secretsmanager" => "secretsmanager",
            "AWSEvents" => "events",
            "AmazonSQS" => "sqs",
            _ => "dynamodb",
        };
        let answer = self
            .client
            .post(&self.url)
            .header("X-Amz-Target", target)
            .header("X-Amz-Date", "20260101T000000Z")
            .header("Authorization", authorization(service))
            .header("Content-Type", "application/x-amz-json-1.0")
            .body(body.to_string())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{target}: {error}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_else(|error| panic!("{target}: {error}"));
        assert!(status.is_success(), "{target}: {status}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }

    /// A request of S3; the body of its answer.
    ///
    /// # Panics
    /// When the emulator refuses.
    pub async fn s3(&self, method: reqwest::Method, path: &str, body: &'static str) -> Vec<u8> {
        let answer = self
            .client
            .request(method, format!("{}/{path}", self.url))
            .header("X-Amz-Date", "20260101T000000Z")
            .header("Authorization", authorization("s3"))
            .body(body)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap_or_else(|error| panic!("{path}: {error}")).into()
    }

    /// Every item of a table.
    pub async fn scan(&self, table: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut request = serde_json::json!({ "TableName": table });
        loop {
            let mut page = self.call("DynamoDB_20120810.Scan", request.clone()).await;
            items.extend(page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => return items,
            }
        }
    }
}

fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=emulator/20260101/eu-central-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0"
    )
}
