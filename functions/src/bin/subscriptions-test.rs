//! The function `subscriptions-test`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::test::ENDPOINT)
}
