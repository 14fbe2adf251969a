//! The function `integrations-test`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::test::ENDPOINT)
}
