//! The function `skills-patch`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::patch::ENDPOINT)
}
