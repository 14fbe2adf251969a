//! The function `audit-checkpoint`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::audit::checkpoint::ENDPOINT)
}
