//! The function `subscriptions-delete`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::delete::ENDPOINT)
}
