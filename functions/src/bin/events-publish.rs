//! The function `events-publish`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::publish::REACTION)
}
