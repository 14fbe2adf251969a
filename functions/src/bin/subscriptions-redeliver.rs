//! The function `subscriptions-redeliver`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::redeliver::ENDPOINT)
}
