//! Which hosts may be dialled: how a host may be spelled, and which addresses it may lead to.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// Private ranges stay shut unless the operator of the server opened them.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// `BINDERY_ALLOW_PRIVATE_HOSTS`
    pub allowed: Vec<IpNet>,
}

/// Why an address is refused: a phrase that completes "it leads to …".
pub type Reason = &'static str;

/// Blocks of IPv4 that are not the public internet: the IANA special-purpose registry, multicast, and the address
/// at which one cloud serves its metadata from inside a public block.
const DENIED_V4: [(Ipv4Net, Reason); 19] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "a private network"),
    (v4(100, 64, 0, 0, 10), "a carrier's shared network"),
    (v4(127, 0, 0, 0, 8), "the server's own machine"),
    (v4(169, 254, 0, 0, 16), "a link-local or metadata address"),
    (v4(172, 16, 0, 0, 12), "a private network"),
    (v4(192, 0, 0, 0, 24), "a protocol-assignment block"),
    (v4(192, 0, 2, 0, 24), "a documentation block"),
    (v4(192, 31, 196, 0, 24), "the AS112 block"),
    (v4(192, 52, 193, 0, 24), "the AMT block"),
    (v4(192, 88, 99, 0, 24), "the 6to4 relay block"),
    (v4(192, 168, 0, 0, 16), "a private network"),
    (v4(192, 175, 48, 0, 24), "the AS112 block"),
    (v4(198, 18, 0, 0, 15), "a benchmarking block"),
    (v4(198, 51, 100, 0, 24), "a documentation block"),
    (v4(203, 0, 113, 0, 24), "a documentation block"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "a reserved block"),
    (v4(168, 63, 129, 16, 32), "a cloud's metadata address"),
];

/// The only block of IPv6 that is routed on the public internet.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is special inside of it.
const DENIED_V6: [(Ipv6Net, Reason); 5] = [
    (v6(0x2001, 0, 0, 23), "a protocol-assignment or Teredo block"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation block"),
    (v6(0x2002, 0, 0, 16), "the 6to4 block, which wraps IPv4 addresses"),
    (v6(0x2620, 0x4f, 0x8000, 48), "the AS112 block"),
    (v6(0x3fff, 0, 0, 20), "a documentation block"),
];

/// Networks of an operator's own: those of RFC 1918 and RFC 4193, and this machine. Link-local addresses, where most
/// clouds serve metadata, are not among them.
const PRIVATE: [IpNet; 6] = [
    IpNet::V4(v4(10, 0, 0, 0, 8)),
    IpNet::V4(v4(127, 0, 0, 0, 8)),
    IpNet::V4(v4(172, 16, 0, 0, 12)),
    IpNet::V4(v4(192, 168, 0, 0, 16)),
    IpNet::V6(v6(0xfc00, 0, 0, 7)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

impl Guard {
    /// For an address that the operator set himself, and no customer can: it may be in a network of his own.
    pub fn of_the_operator() -> Self {
        Self { allowed: PRIVATE.to_vec() }
    }

    /// Whether the operator opened this address.
    pub fn opens(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|net| net.contains(&address))
    }

    /// # Errors
    /// What kind of address it is, when it may not be dialled.
    pub fn judge(&self, address: IpAddr) -> Result<(), Reason> {
        let opened = self.opens(address);
        if let IpAddr::V6(address) = address
            && let Some(mapped) = address.to_ipv4_mapped()
        {
            // The system dials the IPv4 address inside, so that one has to pass as well.
            return if opened {
                self.judge(IpAddr::V4(mapped))
            } else {
                Err("an IPv4 address wrapped in IPv6")
            };
        }
        if opened {
            return Ok(());
        }
        match address {
            IpAddr::V4(address) => judge_v4(address),
            IpAddr::V6(address) => judge_v6(address),
        }
    }
}

fn judge_v4(address: Ipv4Addr) -> Result<(), Reason> {
    match DENIED_V4.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), Reason> {
    if !PUBLIC_V6.contains(&address) {
        return Err("an IPv6 address outside the public internet");
    }
    if let Some((_, reason)) = DENIED_V6.iter().find(|(net, _)| net.contains(&address)) {
        return Err(reason);
    }
    // ISATAP puts an IPv4 address, private ones too, behind this interface id.
    let [_, _, _, _, id, marker, _, _] = address.segments();
    if marker == 0x5efe && (id == 0 || id == 0x0200) {
        return Err("an ISATAP address, which wraps an IPv4 address");
    }
    Ok(())
}

/// A host in one of the spellings that mean the same to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Lower case, without a trailing dot.
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// # Errors
    /// One sentence that says how to write the host.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("The host is empty; give a DNS name or an IP address.".into());
        }
        if !text.is_ascii() {
            return Err(
                "The host holds letters outside ASCII; write an international name in its xn-- form.".into(),
            );
        }
        if text.contains(':') || text.contains('[') {
            return parse_v6(text);
        }
        // Judged before the syntax of names, so that 0x7f.1 and the like are told what they are.
        let last = text.strip_suffix('.').unwrap_or(text).rsplit('.').next().unwrap_or_default();
        if is_numeric(last) {
            return text.parse().map(|address| Host::Address(IpAddr::V4(address))).map_err(|_| {
                "The host looks like an IPv4 address but is not four decimal numbers from 0 to 255 without leading \
                 zeros."
                    .into()
            });
        }
        parse_name(text)
    }

    /// `localhost` and what is below it never goes to DNS (RFC 6761).
    pub fn is_localhost(&self) -> bool {
        match self {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(_) => false,
        }
    }
}

/// What address parsers of C libraries take for a number: digits, or hexadecimal.
fn is_numeric(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn parse_v6(text: &str) -> Result<Host, String> {
    let bare = match (text.strip_prefix('['), text.ends_with(']')) {
        (Some(rest), true) => &rest[..rest.len() - 1],
        (Some(_), false) | (None, true) => text,
        (None, false) => text,
    };
    bare.parse::<Ipv6Addr>().map(|address| Host::Address(IpAddr::V6(address))).map_err(|_| {
        "The host is not an IPv6 address; a port belongs in its own field, and zone ids are not supported.".into()
    })
}

fn parse_name(text: &str) -> Result<Host, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return Err("The host is longer than the 253 characters of a DNS name.".into());
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("Each part of the host between dots must have 1 to 63 characters.".into());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.bytes().all(plain) || label.starts_with('-') || label.ends_with('-') {
            return Err(
                "The host may hold letters, digits, dots, hyphens and underscores only; scheme, user, port \
                        and path do not belong in it."
                    .into(),
            );
        }
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}
