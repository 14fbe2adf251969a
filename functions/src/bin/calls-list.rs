//! The function `agents-tools`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::calls::list::ENDPOINT)
}
