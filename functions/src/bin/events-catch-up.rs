//! The function `events-catch-up`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::catch_up::REACTION)
}
