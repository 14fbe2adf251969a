//! The function `keys-mint-first`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::mint_first::REACTION)
}
