//! The function `discoveries-run`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::discover::REACTION)
}
