//! The function `agents-get`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::get::ENDPOINT)
}
