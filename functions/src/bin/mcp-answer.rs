//! The function `mcp-answer`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::mcp::answer::ENDPOINT)
}
