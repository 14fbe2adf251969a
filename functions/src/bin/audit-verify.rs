//! The function `audit-verify`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::audit::verify::ENDPOINT)
}
