//! The function `integrations-disconnect`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::disconnect::ENDPOINT)
}
