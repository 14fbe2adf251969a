//! The function `integrations-connect`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::connect::ENDPOINT)
}
