//! The function `integrations-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::list::ENDPOINT)
}
