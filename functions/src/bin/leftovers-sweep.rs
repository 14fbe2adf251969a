//! The function `leftovers-sweep`.

fn main() -> std::process::ExitCode {
    functions::lambda::react(&functions::reactions::sweep::REACTION)
}
