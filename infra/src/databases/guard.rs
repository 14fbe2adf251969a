//! Which addresses may be dialled.

use ipnet::IpNet;

/// Private ranges stay shut unless the operator of the server opened them.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// `BINDERY_ALLOW_PRIVATE_HOSTS`
    pub allowed: Vec<IpNet>,
}
