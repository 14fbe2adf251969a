//! The function `integrations-search`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::search::ENDPOINT)
}
