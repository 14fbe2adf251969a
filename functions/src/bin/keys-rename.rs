//! The function `keys-rename`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::keys::rename::ENDPOINT)
}
