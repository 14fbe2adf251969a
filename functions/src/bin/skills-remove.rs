//! The function `skills-remove`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::remove::ENDPOINT)
}
