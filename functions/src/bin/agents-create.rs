//! The function `agents-create`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::create::ENDPOINT)
}
