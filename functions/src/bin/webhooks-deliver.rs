//! The function `webhooks-deliver`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::deliver::REACTION)
}
