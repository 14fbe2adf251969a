//! The function `views-project`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::project::REACTION)
}
