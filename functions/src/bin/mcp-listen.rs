//! The function `mcp-listen`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::mcp::listen::ENDPOINT)
}
