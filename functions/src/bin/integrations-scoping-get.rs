//! The function `integrations-scoping-get`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::scoping_get::ENDPOINT)
}
