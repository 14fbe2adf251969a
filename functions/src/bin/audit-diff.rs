//! The function `audit-diff`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::audit::diff::ENDPOINT)
}
