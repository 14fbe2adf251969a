//! The function `subscriptions-resume`.

fn main() -> std::process::ExitCode {
    functions::lambda::serve(&functions::subscriptions::resume::ENDPOINT)
}
