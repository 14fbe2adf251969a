//! The function `agents-tools`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::tools::ENDPOINT)
}
