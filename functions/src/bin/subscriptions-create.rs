//! The function `subscriptions-create`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::create::ENDPOINT)
}
