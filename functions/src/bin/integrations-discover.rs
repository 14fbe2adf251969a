//! The function `integrations-discover`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::discover::ENDPOINT)
}
