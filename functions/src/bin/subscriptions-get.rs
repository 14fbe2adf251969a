//! The function `subscriptions-get`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::get::ENDPOINT)
}
