//! The function `keys-mint`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::keys::mint::ENDPOINT)
}
