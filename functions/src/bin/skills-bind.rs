//! The function `skills-bind`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::bind::ENDPOINT)
}
