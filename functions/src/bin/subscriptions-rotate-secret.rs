//! The function `subscriptions-rotate-secret`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::rotate_secret::ENDPOINT)
}
