//! Names to addresses without the system's resolver: no hosts file, no search list, no cache, no odd spellings.

use super::DatabaseError;
use super::error::Fault;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// How long one nameserver may take before the next is asked.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Resolver {
    /// None when the machine names no nameserver that can be used.
    inner: Option<TokioResolver>,
}

impl Resolver {
    pub(super) fn system() -> Self {
        let nameservers = read_system_conf().map(|(config, _)| config.name_servers().to_vec());
        Self::build(nameservers.unwrap_or_default())
    }

    pub(super) fn with_nameservers(nameservers: &[SocketAddr]) -> Self {
        let at = |address: &SocketAddr| {
            let with_port = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
            NameServerConfig::new(address.ip(), true, connections)
        };
        Self::build(nameservers.iter().map(at).collect())
    }

    fn build(nameservers: Vec<NameServerConfig>) -> Self {
        if nameservers.is_empty() {
            return Self { inner: None };
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), nameservers);
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        // Both families are asked for, since every answer is judged.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // A pool dials rarely; an answer that is never kept can never be a stale one.
        options.cache_size = 0;
        options.timeout = ATTEMPT_TIMEOUT;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Self { inner: builder.with_options(options).build().ok() }
    }

    /// All addresses of a name that [`super::guard::Host`] let through, IPv4 first.
    pub(super) async fn lookup(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, DatabaseError> {
        let Some(resolver) = &self.inner else {
            return Err(DatabaseError::new(
                Fault::DnsFailed,
                "This server has no nameserver to ask. Its operator has to configure one.",
            ));
        };
        let mut name = Name::from_ascii(name).map_err(|_| unknown())?;
        // Without this the search list would be tried.
        name.set_fqdn(true);
        let answer = match timeout_at(deadline.into(), resolver.lookup_ip(name)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_no_records_found() || error.is_nx_domain() => return Err(unknown()),
            Ok(Err(_)) | Err(_) => {
                return Err(DatabaseError::new(
                    Fault::DnsFailed,
                    "The nameservers did not answer for this host. Try again, or check the name's DNS zone.",
                ));
            }
        };
        let mut addresses: Vec<IpAddr> = answer.iter().collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
    }
}

fn unknown() -> DatabaseError {
    DatabaseError::new(Fault::DnsFailed, "DNS knows no address of this host. Check its spelling.")
}
