//! The function `integrations-scoping-patch`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::scoping_patch::ENDPOINT)
}
