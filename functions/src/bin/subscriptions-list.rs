//! The function `subscriptions-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::list::ENDPOINT)
}
