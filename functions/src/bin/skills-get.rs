//! The function `skills-get`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::get::ENDPOINT)
}
