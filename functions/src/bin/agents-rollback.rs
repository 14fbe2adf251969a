//! The function `agents-rollback`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::rollback::ENDPOINT)
}
