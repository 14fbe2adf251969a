//! The function `keys-revoke`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::keys::revoke::ENDPOINT)
}
