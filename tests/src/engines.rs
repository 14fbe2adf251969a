//! The database servers that the tests talk to: one PostgreSQL and one MariaDB for the whole test process, started
//! when the first test asks, by the script that `make run` uses too. They end with the process, however it ends: the
//! script stops them when the pipe to its standard input closes.

pub mod pooler;

use events::IntegrationKind;
use events::integration::SslMode;
use infra::databases::Credentials;
use infra::secret::Secret;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server that demands TLS, with a certificate for `localhost` from a private CA.
pub struct Engine {
    pub kind: IntegrationKind,
    pub host: &'static str,
    pub port: u16,
    /// The CA, to be given as `ca_pem`.
    pub ca_pem: String,
    /// The server's own log.
    pub log: String,
    client: Client,
}

/// How the administrator gets in: a unix socket that only this user may open.
struct Client {
    program: String,
    arguments: Vec<String>,
}

/// The PostgreSQL of this test process.
pub fn postgres() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| start("postgres").running(IntegrationKind::Postgres))
}

/// The MariaDB of this test process.
pub fn mysql() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| start("mysql").running(IntegrationKind::Mysql))
}

pub fn engine(kind: IntegrationKind) -> &'static Engine {
    match kind {
        IntegrationKind::Postgres => postgres(),
        IntegrationKind::Mysql => mysql(),
    }
}

impl Engine {
    /// An engine that somebody else started and that the environment describes, as `scripts/engines.sh` writes it.
    pub fn running(kind: IntegrationKind) -> Option<Engine> {
        let settings = Settings(std::env::vars().collect());
        let prefix = match kind {
            IntegrationKind::Postgres => "POSTGRES",
            IntegrationKind::Mysql => "MYSQL",
        };
        std::env::var(format!("{prefix}_PORT")).ok()?;
        Some(settings.running(kind))
    }

    /// Creates a database of its own name, runs `sql` in it and returns the name.
    pub fn database(&self, sql: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        match self.kind {
            IntegrationKind::Postgres => self.admin_sql("postgres", &format!("CREATE DATABASE {name}")),
            IntegrationKind::Mysql => {
                self.admin_sql("mysql", &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))
            }
        };
        self.admin_sql(&name, sql);
        name
    }

    /// Creates a database that holds the sample clinic.
    pub fn clinic(&self) -> String {
        match self.kind {
            IntegrationKind::Postgres => self.database(include_str!("../../demo/postgres/clinic.sql")),
            IntegrationKind::Mysql => self.database(include_str!("../../demo/mysql/clinic.sql")),
        }
    }

    /// A user who may read all of this database, and nothing else.
    pub fn reader(&self, database: &str) -> Credentials {
        let user = format!("reader_of_{database}");
        self.admin_sql(
            database,
            &match self.kind {
                IntegrationKind::Postgres => format!(
                    "CREATE ROLE {user} LOGIN PASSWORD 'secret';
                     GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"
                ),
                IntegrationKind::Mysql => format!(
                    "CREATE USER {user} IDENTIFIED BY 'secret';
                     GRANT SELECT, SHOW VIEW, TRIGGER ON {database}.* TO {user}"
                ),
            },
        );
        self.credentials(database, &user, "secret")
    }

    /// A user who may read and write all of this database, and nothing else.
    pub fn owner(&self, database: &str) -> Credentials {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let user = format!("owner_{}_of_{database}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let grants = match self.kind {
            IntegrationKind::Postgres => format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'secret';
                 GRANT ALL ON ALL TABLES IN SCHEMA public TO {user};
                 GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}"
            ),
            IntegrationKind::Mysql => {
                format!("CREATE USER {user} IDENTIFIED BY 'secret'; GRANT ALL ON {database}.* TO {user}")
            }
        };
        self.admin_sql(database, &grants);
        self.credentials(database, &user, "secret")
    }

    /// A user who may do everything, over TCP.
    pub fn admin(&self, database: &str) -> Credentials {
        let user = format!("admin_of_{database}");
        self.admin_sql(
            database,
            &match self.kind {
                IntegrationKind::Postgres => format!("CREATE ROLE {user} SUPERUSER LOGIN PASSWORD 'secret'"),
                IntegrationKind::Mysql => format!(
                    "CREATE USER {user} IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO {user} WITH GRANT OPTION"
                ),
            },
        );
        self.credentials(database, &user, "secret")
    }

    /// Credentials over verified TLS.
    pub fn credentials(&self, database: &str, user: &str, password: &str) -> Credentials {
        Credentials {
            host: self.host.to_owned(),
            port: self.port,
            database: database.to_owned(),
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            sslmode: SslMode::VerifyFull,
            ca_pem: Some(self.ca_pem.clone()),
        }
    }

    /// Runs statements as administrator and returns their rows, a line each. Columns are separated by `|` on
    /// PostgreSQL and by a tab on MariaDB.
    ///
    /// # Panics
    /// When a statement fails, with the engine's message.
    pub fn admin_sql(&self, database: &str, sql: &str) -> String {
        self.try_admin_sql(database, sql).unwrap_or_else(|message| panic!("{message}\nin: {sql}"))
    }

    /// Like [`Engine::admin_sql`]; the error is the engine's message.
    pub fn try_admin_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self.run(database, sql).expect("the engine's command line client runs");
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).expect("rows are UTF-8"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn run(&self, database: &str, sql: &str) -> std::io::Result<Output> {
        let mut child = client(&self.client.program)
            .args(&self.client.arguments)
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it was piped");
        std::thread::scope(|scope| {
            // From a thread of its own: a client that fills its output pipe stops reading. One that ended early, by
            // an error that its status tells, breaks the pipe.
            scope.spawn(move || stdin.write_all(sql.as_bytes()).ok());
            child.wait_with_output()
        })
    }
}

/// What the script printed, `NAME=value` a line.
struct Settings(Vec<(String, String)>);

impl Settings {
    fn get(&self, engine: &str, name: &str) -> &str {
        self.value(&format!("{engine}_{name}"))
    }

    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("scripts/engines.sh printed no {name}")).1
    }

    fn running(&self, kind: IntegrationKind) -> Engine {
        match kind {
            IntegrationKind::Postgres => {
                let [port, socket, admin] =
                    ["PORT", "SOCKET", "ADMIN"].map(|name| self.get("POSTGRES", name));
                let program = format!("{}/psql", self.get("POSTGRES", "BIN"));
                let arguments = format!("-X -q -A -t -v ON_ERROR_STOP=1 -h {socket} -p {port} -U {admin} -d");
                self.engine(kind, "POSTGRES", program, &arguments)
            }
            IntegrationKind::Mysql => {
                let [socket, admin] = ["SOCKET", "ADMIN"].map(|name| self.get("MYSQL", name));
                let arguments = format!(
                    "--no-defaults --default-character-set=utf8mb4 --batch --skip-column-names --socket={socket} --user={admin}"
                );
                self.engine(kind, "MYSQL", "mariadb".to_owned(), &arguments)
            }
        }
    }

    fn engine(&self, kind: IntegrationKind, prefix: &str, program: String, arguments: &str) -> Engine {
        let ca_pem = std::fs::read_to_string(self.value("CA_PEM")).expect("the CA's certificate was written");
        Engine {
            kind,
            host: "localhost",
            port: self.get(prefix, "PORT").parse().expect("a port"),
            ca_pem,
            log: self.get(prefix, "LOG").to_owned(),
            client: Client { program, arguments: arguments.split(' ').map(str::to_owned).collect() },
        }
    }
}

/// Starts one engine and leaves the script waiting for this process to end.
fn start(name: &str) -> Settings {
    start_with(name, &[])
}

fn start_with(name: &str, environment: &[(&str, &str)]) -> Settings {
    let (child, settings) = hold(name, environment);
    // Its standard input stays open until this process is gone.
    std::mem::forget(child);
    settings
}

/// Starts one engine, which stops when the child's standard input closes.
fn hold(name: &str, environment: &[(&str, &str)]) -> (Child, Settings) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engines.sh");
    let mut child = Command::new(script)
        .args(["hold", name])
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/engines.sh runs");
    let mut settings = Settings(Vec::new());
    for line in BufReader::new(child.stdout.take().expect("it was piped")).lines() {
        let line = line.expect("the script prints UTF-8");
        if line == "READY" {
            return (child, settings);
        }
        let (name, value) = line.split_once('=').expect("NAME=value");
        settings.0.push((name.to_owned(), value.to_owned()));
    }
    let status = child.wait().expect("the script was started");
    panic!("scripts/engines.sh could not start {name}, see its messages above: {status}");
}

/// A client that knows nothing of the developer's own settings of databases.
fn client(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

#[cfg(test)]
mod tests {
    use super::{Engine, client, engine, hold, mysql, postgres};
    use events::IntegrationKind;
    use infra::databases::Credentials;
    use std::io::Write;
    use std::path::Path;

    #[test]
    fn both_engines_hold_the_same_clinic() {
        let questions = [
            "SELECT count(*), min(reference), max(reference) FROM appointments",
            "SELECT sum(total), count(paid_at) FROM invoices",
            "SELECT count(*), sum(amount) FROM invoice_lines",
            "SELECT full_name, phone, ssn FROM patients WHERE last_name LIKE 'Ek%' ORDER BY id LIMIT 1",
            "SELECT patient_name, practitioner_name FROM appointment_details WHERE reference = 'APT-000123'",
        ];
        let (on_postgres, on_mysql) = (postgres().clinic(), mysql().clinic());
        for question in questions {
            let expected = postgres().admin_sql(&on_postgres, question).replace('|', "\t");
            assert!(!expected.trim().is_empty(), "no row for: {question}");
            assert_eq!(mysql().admin_sql(&on_mysql, question), expected, "{question}");
        }
    }

    #[test]
    fn a_new_appointment_gets_the_next_reference_and_a_touched_one_a_new_time() {
        for kind in IntegrationKind::ALL {
            let (engine, clinic) = (engine(kind), engine(kind).clinic());
            let booked = engine.admin_sql(
                &clinic,
                "INSERT INTO appointments (patient_id, practitioner_id, location_id, service_id, starts_at, ends_at)
                 VALUES (1, 1, 1, 1, '2027-05-03 10:00:00', '2027-05-03 10:15:00');
                 UPDATE appointments SET reason = 'Tooth' WHERE reference = 'APT-003000';
                 SELECT max(reference) FROM appointments;
                 SELECT reference FROM appointments WHERE updated_at <> created_at",
            );
            assert_eq!(booked.lines().collect::<Vec<_>>(), ["APT-003001", "APT-003000"], "{kind:?}");
        }
    }

    #[test]
    fn a_database_sees_nothing_of_another() {
        for kind in IntegrationKind::ALL {
            let (first, second) =
                (engine(kind).database("CREATE TABLE a (id int)"), engine(kind).database(""));
            assert_ne!(first, second);
            assert!(engine(kind).try_admin_sql(&second, "SELECT * FROM a").is_err(), "{kind:?}");
        }
    }

    #[test]
    fn an_engine_lets_a_user_in_by_verified_tls_and_not_without() {
        for kind in IntegrationKind::ALL {
            let engine = engine(kind);
            let database = engine.database("CREATE TABLE a (id int)");
            for user in [engine.reader(&database), engine.admin(&database)] {
                let log_in = |tls| match kind {
                    IntegrationKind::Postgres => log_in_to_postgres(engine, &user, tls),
                    IntegrationKind::Mysql => log_in_to_mysql(engine, &user, tls),
                };
                assert!(log_in(true), "{kind:?} {}", user.user);
                assert!(!log_in(false), "{kind:?} {}", user.user);
            }
        }
    }

    #[test]
    fn an_engine_ends_and_leaves_nothing_when_the_process_that_asked_for_it_is_gone() {
        for name in ["postgres", "mysql"] {
            let (mut child, settings) = hold(name, &[]);
            let home = Path::new(settings.value("ENGINES_HOME"));
            assert!(home.exists());
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
            assert!(!home.exists());
            let command_line =
                Path::new("/proc").join(settings.get(&name.to_uppercase(), "PID")).join("cmdline");
            assert!(std::fs::read(command_line).unwrap_or_default().is_empty(), "{name} still runs");
        }
    }

    fn log_in_to_postgres(engine: &Engine, user: &Credentials, tls: bool) -> bool {
        let Credentials { host, port, database, user, password, .. } = user;
        let sslmode = if tls { "verify-full" } else { "disable" };
        let to = format!("host={host} port={port} dbname={database} user={user} sslmode={sslmode}");
        let ca = ca_file(engine);
        let mut command = client(&engine.client.program);
        command.env("PGPASSWORD", password.expose()).env("PGSSLROOTCERT", ca.path());
        command.args(["-X", "-c", "SELECT id FROM a", &to]).output().unwrap().status.success()
    }

    fn log_in_to_mysql(engine: &Engine, user: &Credentials, tls: bool) -> bool {
        let Credentials { host, port, database, user, password, .. } = user;
        let ca = ca_file(engine);
        let mut command = client(&engine.client.program);
        command
            .args(["--no-defaults", "--protocol=tcp"])
            .arg(format!("--host={host}"))
            .arg(format!("--port={port}"));
        command.arg(format!("--user={user}")).arg(format!("--password={}", password.expose()));
        if tls {
            command.arg(format!("--ssl-ca={}", ca.path().display())).arg("--ssl-verify-server-cert");
        } else {
            command.arg("--ssl=0");
        }
        command.args(["-e", "SELECT id FROM a", database]).output().unwrap().status.success()
    }

    fn ca_file(engine: &Engine) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(engine.ca_pem.as_bytes()).unwrap();
        file
    }
}
