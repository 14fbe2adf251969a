//! The function `credentials-reencrypt`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::reencrypt::REACTION)
}
