//! MySQL and MariaDB: where they differ.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    MySql,
    MariaDb,
}

impl Engine {
    /// The engine and its version, digits and points only, out of what `VERSION()` says:
    /// `8.0.36-28`, `10.11.6-MariaDB-1:10.11.6+maria~deb12`, and `5.5.5-10.11.6-MariaDB` behind some proxies.
    pub fn of(version: &str) -> (Self, String) {
        let engine =
            if version.to_ascii_lowercase().contains("mariadb") { Engine::MariaDb } else { Engine::MySql };
        let own = match engine {
            Engine::MariaDb => version.strip_prefix("5.5.5-").unwrap_or(version),
            Engine::MySql => version,
        };
        let digits: String = own.chars().take_while(|char| char.is_ascii_digit() || *char == '.').collect();
        (engine, digits.trim_end_matches('.').chars().take(32).collect())
    }

    pub fn name(self) -> &'static str {
        match self {
            Engine::MySql => "MySQL",
            Engine::MariaDb => "MariaDB",
        }
    }

    pub fn is_supported(self, version: &str) -> bool {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        match self {
            Engine::MySql => version >= (8, 0),
            Engine::MariaDb => version >= (10, 6),
        }
    }

    pub fn read_only_variable(self) -> &'static str {
        match self {
            Engine::MySql => "transaction_read_only",
            // the name that 10.6 and every later one knows
            Engine::MariaDb => "tx_read_only",
        }
    }

    /// MySQL counts milliseconds and stops reads only; MariaDB counts seconds and stops everything.
    pub fn time_limit(self, limit: Duration) -> (&'static str, String) {
        match self {
            Engine::MySql => ("max_execution_time", limit.as_millis().to_string()),
            Engine::MariaDb => ("max_statement_time", limit.as_secs().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_behind_prefixes_and_before_suffixes() {
        let expected = [
            ("8.0.36", Engine::MySql, "8.0.36"),
            ("8.4.2-2.cll.el9", Engine::MySql, "8.4.2"),
            ("8.0.mysql_aurora.3.04.0", Engine::MySql, "8.0"),
            ("10.11.6-MariaDB-1:10.11.6+maria~deb12", Engine::MariaDb, "10.11.6"),
            ("5.5.5-10.6.12-MariaDB-log", Engine::MariaDb, "10.6.12"),
            ("hostile\u{1b}[2J", Engine::MySql, ""),
        ];
        for (text, engine, version) in expected {
            assert_eq!(Engine::of(text), (engine, version.to_owned()), "{text}");
        }
    }

    #[test]
    fn servers_without_the_needed_features_are_too_old() {
        assert!(Engine::MySql.is_supported("8.0.11"));
        assert!(!Engine::MySql.is_supported("5.7.44"));
        assert!(!Engine::MySql.is_supported(""));
        assert!(Engine::MariaDb.is_supported("10.6.0"));
        assert!(Engine::MariaDb.is_supported("11.4"));
        assert!(!Engine::MariaDb.is_supported("10.5.23"));
    }
}
