//! Every function in one program: which of them a process is, its handler says.

fn main() -> std::process::ExitCode {
    functions::lambda::serve_handler()
}
