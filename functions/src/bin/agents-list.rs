//! The function `agents-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::list::ENDPOINT)
}
