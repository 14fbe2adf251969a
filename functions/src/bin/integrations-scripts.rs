//! The function `integrations-scripts`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::scripts::ENDPOINT)
}
