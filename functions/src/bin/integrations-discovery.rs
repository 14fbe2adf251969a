//! The function `integrations-discovery`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::discovery::ENDPOINT)
}
