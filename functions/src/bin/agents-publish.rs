//! The function `agents-publish`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::publish::ENDPOINT)
}
