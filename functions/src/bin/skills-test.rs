//! The function `skills-test`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::skills::test::ENDPOINT)
}
