//! The function `agents-version-diff`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::diff::ENDPOINT)
}
