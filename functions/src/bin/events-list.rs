//! The function `events-list`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::events::ENDPOINT)
}
