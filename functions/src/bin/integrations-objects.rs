//! The function `integrations-objects`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::objects::ENDPOINT)
}
