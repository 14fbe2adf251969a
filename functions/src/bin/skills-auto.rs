//! The function `skills-auto`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::auto::ENDPOINT)
}
