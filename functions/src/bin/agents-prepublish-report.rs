//! The function `agents-prepublish-report`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::report::ENDPOINT)
}
