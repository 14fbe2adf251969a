//! The function `skills-call`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::call::ENDPOINT)
}
