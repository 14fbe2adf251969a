//! The function `keys-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::keys::list::ENDPOINT)
}
