//! The function `doubts-settle`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::doubts::REACTION)
}
