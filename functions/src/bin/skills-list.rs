//! The function `skills-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::list::ENDPOINT)
}
