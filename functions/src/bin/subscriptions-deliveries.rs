//! The function `subscriptions-deliveries`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::deliveries::ENDPOINT)
}
