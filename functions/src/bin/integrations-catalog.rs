//! The function `integrations-catalog`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::catalog::ENDPOINT)
}
