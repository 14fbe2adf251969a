use super::*;

/// The bar's list, as text: the code's table is built differently, so that a slip in one shows.
const CLOSED_V4: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
];

/// Rows of IANA's registry that lie inside of those.
const REGISTERED_V4: [&str; 14] = [
    "0.0.0.0/32",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.169.254/32",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "224.0.0.0/24",
    "239.0.0.0/8",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

const CLOSED_V6: [&str; 5] = ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"];

const REGISTERED_V6: [&str; 26] = [
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2000::/3",
    "4000::/2",
    "5f00::/16",
    "fc00::/7",
    "fd00::/8",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

fn bounds(block: &str) -> (u128, u128) {
    let (address, prefix) = block.split_once('/').unwrap();
    let (number, bits) = match address.parse().unwrap() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let host_bits = bits - prefix.parse::<u32>().unwrap();
    let mask = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
    (number & !mask, number | mask)
}

/// What the bar says of an address, in plain numbers.
fn is_closed(number: u128, v6: bool) -> bool {
    let within = |blocks: &[&str]| {
        blocks.iter().any(|block| {
            let (first, last) = bounds(block);
            first <= number && number <= last
        })
    };
    if !v6 {
        return within(&CLOSED_V4);
    }
    let identifier = (number >> 32) as u32;
    !within(&["2000::/3"]) || within(&CLOSED_V6) || identifier == 0x5efe || identifier == 0x0200_5efe
}

fn address(number: u128, v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from(number))
    } else {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap()))
    }
}

#[test]
fn the_edges_of_every_special_block_are_judged_as_the_bar_says() {
    let guard = Guard::default();
    let mut cases = 0;
    let families: [(bool, Vec<&str>); 2] = [
        (false, CLOSED_V4.into_iter().chain(REGISTERED_V4).collect()),
        (true, CLOSED_V6.into_iter().chain(REGISTERED_V6).collect()),
    ];
    for (v6, blocks) in families {
        let top = if v6 { u128::MAX } else { u128::from(u32::MAX) };
        for block in blocks {
            let (first, last) = bounds(block);
            let quarter = (last - first) / 4;
            let edges = [
                first.checked_sub(1),
                Some(first),
                Some(first + quarter),
                Some(first + (last - first) / 2),
                Some(last - quarter),
                Some(last),
                last.checked_add(1).filter(|number| *number <= top),
            ];
            for number in edges.into_iter().flatten() {
                let address = address(number, v6);
                assert_eq!(guard.judge(address).is_err(), is_closed(number, v6), "{address} of {block}");
                cases += 1;
            }
        }
    }
    assert!(cases >= 300, "{cases}");
}

#[test]
fn addresses_of_the_public_internet_are_open() {
    let guard = Guard::default();
    for text in ["1.1.1.1", "8.8.8.8", "52.95.110.1", "168.63.129.15", "2606:4700::1111", "2a00:1450::1"] {
        assert_eq!(guard.judge(text.parse().unwrap()), Ok(()), "{text}");
    }
}

#[test]
fn an_isatap_identifier_hides_an_ipv4_address_in_any_prefix() {
    let guard = Guard::default();
    for text in ["2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:7f00:1"] {
        assert!(guard.judge(text.parse().unwrap()).is_err(), "{text}");
    }
    assert_eq!(guard.judge("2a00:1450::1:5efe:a00:1".parse().unwrap()), Ok(()));
}

#[test]
fn the_operator_opens_exactly_what_was_named() {
    let guard = Guard { allowed: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()] };
    let judged = |text: &str| guard.judge(text.parse().unwrap()).is_ok();
    assert!(judged("10.1.2.3") && judged("fd12::1"));
    assert!(!judged("10.2.0.1") && !judged("127.0.0.1") && !judged("::1"));
    assert!(!judged("::ffff:10.1.2.3"), "the wrapped form was not named");
}

#[test]
fn opening_all_of_ipv6_does_not_open_ipv4_through_a_wrapper() {
    let guard = Guard { allowed: vec!["::/0".parse().unwrap()] };
    assert!(guard.judge("::ffff:169.254.169.254".parse().unwrap()).is_err());
    assert!(guard.judge("::ffff:1.1.1.1".parse().unwrap()).is_ok());
}

/// Whether a host in this spelling could be dialled at all, leaving DNS out.
fn is_dialled(text: &str) -> bool {
    match Host::parse(text) {
        Err(_) => false,
        Ok(Host::Address(address)) => Guard::default().judge(address).is_ok(),
        Ok(host @ Host::Name(_)) => !host.is_localhost(),
    }
}

/// Spellings of one address that some parser somewhere takes for it.
fn encodings(target: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = target.octets();
    let number = u32::from(target);
    let [high, low] = [number >> 16, number & 0xffff];
    let tail = number & 0x00ff_ffff;
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{number}"),
        format!("{number}."),
        format!("0{number:o}"),
        format!("0x{number:x}"),
        format!("0X{number:X}"),
        format!("0x{number:016x}"),
        format!("{a}.{tail}"),
        format!("{a}.{b}.{low}"),
        format!("0x{a:x}.{tail}"),
        format!("{a}.0x{tail:x}"),
        format!("{a}.{b}.0x{low:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.{c}.{d}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:02x}.{b}.0{c:o}.{d}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{}.{}.{}.{}", u32::from(a) + 256, b, c, d),
        format!("{}", u64::from(number) + (1 << 32)),
        format!("::ffff:{a}.{b}.{c}.{d}"),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("::ffff:{high:x}:{low:x}"),
        format!("0:0:0:0:0:FFFF:{high:X}:{low:X}"),
        format!("::{a}.{b}.{c}.{d}"),
        format!("::ffff:0:{a}.{b}.{c}.{d}"),
        format!("64:ff9b::{a}.{b}.{c}.{d}"),
        format!("64:ff9b:1::{high:x}:{low:x}"),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2001:0:{high:x}:{low:x}::1"),
        format!("2001::{:x}:{:x}", !high & 0xffff, !low & 0xffff),
        format!("2a00:1450::5efe:{high:x}:{low:x}"),
        format!("fe80::{high:x}:{low:x}%eth0"),
        format!("{a}.{b}.{c}.{d}:5432"),
        format!("[::ffff:{high:x}:{low:x}]:5432"),
        format!("user@{a}.{b}.{c}.{d}"),
        format!("http://{a}.{b}.{c}.{d}/"),
        format!(" {a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}\n"),
        format!("{a}.{b}.{c}.{d}\0.example.com"),
        format!("{a}%2e{b}%2e{c}%2e{d}"),
        format!("{a}。{b}。{c}。{d}"),
        format!("①.{b}.{c}.{d}"),
        format!("{a}..{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}/32"),
        format!("[{a}.{b}.{c}.{d}]"),
        format!("{a},{b},{c},{d}"),
    ]
}

#[test]
fn no_spelling_of_a_closed_address_can_be_dialled() {
    let targets = [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "10.255.0.7",
        "100.100.100.200",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.192",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    let mut cases = 0;
    for target in targets {
        for spelling in encodings(target.parse().unwrap()) {
            assert!(!is_dialled(&spelling), "{spelling:?} of {target}");
            cases += 1;
        }
    }
    for spelling in [
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::",
        "0",
        "0x7f.1",
        "127.1",
        "fd00:ec2::254",
    ] {
        assert!(!is_dialled(spelling), "{spelling:?}");
        cases += 1;
    }
    assert!(cases >= 16 * 40, "{cases}");
}

#[test]
fn honest_names_and_addresses_are_taken_as_they_are() {
    let name = |text: &str| Ok(Host::Name(text.to_owned()));
    assert_eq!(Host::parse("DB-1.example.com."), name("db-1.example.com"));
    assert_eq!(Host::parse("db"), name("db"));
    assert_eq!(Host::parse("my_db.internal.example"), name("my_db.internal.example"));
    assert_eq!(Host::parse("xn--bcher-kva.example"), name("xn--bcher-kva.example"));
    assert_eq!(Host::parse("1.example.com"), name("1.example.com"));
    assert_eq!(Host::parse("0x1.example"), name("0x1.example"));
    assert_eq!(Host::parse("8.8.8.8"), Ok(Host::Address("8.8.8.8".parse().unwrap())));
    assert_eq!(Host::parse("[2a00:1450::1]"), Ok(Host::Address("2a00:1450::1".parse().unwrap())));
    let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    assert_eq!(Host::parse(&longest), name(&longest));
}

#[test]
fn what_is_no_host_is_refused_with_a_sentence() {
    let bad = [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "-a.example",
        "a-.example",
        "a b",
        "a\tb",
        "a\u{7f}",
        "a/b",
        "a@b",
        "a:b",
        "a%b",
        "bücher.example",
        "postgres://db",
        "[",
        "]",
        "[]",
        "[::1",
        "::1]",
        "1.2.3.4.5",
        "1.2.3",
        "a.1",
        "a.0x",
        "user:pass@db",
    ];
    for text in bad {
        assert!(Host::parse(text).is_err_and(|advice| advice.ends_with('.')), "{text:?}");
    }
    assert!(Host::parse(&"a".repeat(64)).is_err());
    assert!(Host::parse(&"a.".repeat(127)).is_ok());
    assert!(Host::parse(&"a.".repeat(128)).is_err());
}
