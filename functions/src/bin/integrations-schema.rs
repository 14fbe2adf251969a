//! The function `integrations-schema`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::integrations::schema::ENDPOINT)
}
