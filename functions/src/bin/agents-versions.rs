//! The function `agents-versions`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::agents::versions::ENDPOINT)
}
