//! The function `audit-state`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::audit::state::ENDPOINT)
}
