//! The function `keys-rotate`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::keys::rotate::ENDPOINT)
}
