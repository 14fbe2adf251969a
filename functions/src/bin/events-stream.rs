//! The function `events-stream`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::history::stream::ENDPOINT)
}
