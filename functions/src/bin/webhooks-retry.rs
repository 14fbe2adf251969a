//! The function `webhooks-retry`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::retry::REACTION)
}
