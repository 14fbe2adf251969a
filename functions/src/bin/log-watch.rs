//! The function `log-watch`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::watch::REACTION)
}
