use super::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, UdpSocket};

const A: u16 = 1;
const AAAA: u16 = 28;

/// A nameserver on loopback: each name has a list of answers, one for each resolution, the last one for good.
struct Nameserver {
    address: SocketAddr,
    asked: Arc<Mutex<HashMap<(String, u16), usize>>>,
}

type Zone = Vec<(&'static str, Vec<Vec<&'static str>>)>;

impl Nameserver {
    async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let counts = asked.clone();
        tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let answer = answer(&packet[..length], &zone, &counts);
                socket.send_to(&answer, from).await.ok();
            }
        });
        Self { address, asked }
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(&(name.to_owned(), A)).copied().unwrap_or(0)
    }
}

fn answer(query: &[u8], zone: &Zone, counts: &Mutex<HashMap<(String, u16), usize>>) -> Vec<u8> {
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let mut counts = counts.lock().unwrap();
    let count = counts.entry((name.clone(), kind)).or_insert(0);
    let known = zone.iter().find(|(zone, _)| *zone == name);
    let addresses: Vec<IpAddr> = known
        .map(|(_, answers)| &answers[(*count).min(answers.len() - 1)])
        .into_iter()
        .flatten()
        .map(|text| text.parse().unwrap())
        .filter(|address: &IpAddr| address.is_ipv4() == (kind == A))
        .collect();
    *count += 1;
    let mut reply = query[..2].to_vec();
    let code = if known.is_some() { 0 } else { 3 };
    reply.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    reply.extend(question);
    for address in addresses {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        match address {
            IpAddr::V4(address) => {
                reply.extend([0, 4]);
                reply.extend(address.octets());
            }
            IpAddr::V6(address) => {
                assert_eq!(kind, AAAA);
                reply.extend([0, 16]);
                reply.extend(address.octets());
            }
        }
    }
    reply
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn opened(net: &str) -> Guard {
    Guard { allowed: vec![net.parse().unwrap()] }
}

async fn fault(dialer: &Dialer, host: &str, port: u16) -> Fault {
    dialer.dial(host, port, soon()).await.unwrap_err().fault
}

#[tokio::test]
async fn one_denied_answer_condemns_the_name() {
    let nameserver = Nameserver::start(vec![
        ("mixed.example", vec![vec!["93.184.216.34", "10.0.0.1"]]),
        ("six.example", vec![vec!["93.184.216.34", "::1"]]),
        ("mapped.example", vec![vec!["::ffff:127.0.0.1"]]),
        ("private.example", vec![vec!["127.0.0.1"]]),
    ])
    .await;
    let dialer = Dialer::with_nameservers(Guard::default(), &[nameserver.address]);
    for name in ["mixed.example", "six.example", "mapped.example", "private.example"] {
        assert_eq!(fault(&dialer, name, 5432).await, Fault::HostNotAllowed, "{name}");
    }
}

#[tokio::test]
async fn each_dial_resolves_once_and_dials_what_was_judged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Good for the first dial, then it turns.
    let nameserver =
        Nameserver::start(vec![("turning.example", vec![vec!["127.0.0.1"], vec!["127.0.0.2"]])]).await;
    let dialer = Dialer::with_nameservers(opened("127.0.0.1/32"), &[nameserver.address]);
    let stream = dialer.dial("turning.example", port, soon()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], port)));
    assert!(stream.nodelay().unwrap());
    assert_eq!(nameserver.asked("turning.example"), 1);
    for dials in 2..20 {
        assert_eq!(fault(&dialer, "turning.example", port).await, Fault::HostNotAllowed);
        assert_eq!(nameserver.asked("turning.example"), dials);
    }
}

#[tokio::test]
async fn localhost_never_goes_to_dns_and_opens_only_with_its_range() {
    let nameserver = Nameserver::start(vec![("localhost", vec![vec!["93.184.216.34"]])]).await;
    let closed = Dialer::with_nameservers(Guard::default(), &[nameserver.address]);
    assert_eq!(fault(&closed, "localhost", 5432).await, Fault::HostNotAllowed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Dialer::with_nameservers(opened("127.0.0.0/8"), &[nameserver.address]);
    assert!(open.dial("localhost", port, soon()).await.is_ok());
    assert_eq!(nameserver.asked("localhost"), 0);
}

#[tokio::test]
async fn names_are_asked_for_as_they_are_without_a_search_list() {
    let nameserver = Nameserver::start(vec![]).await;
    let dialer = Dialer::with_nameservers(Guard::default(), &[nameserver.address]);
    assert_eq!(fault(&dialer, "db", 5432).await, Fault::DnsFailed);
    let asked = nameserver.asked.lock().unwrap();
    assert!(asked.keys().all(|(name, _)| name == "db"), "{asked:?}");
}

#[tokio::test]
async fn a_second_address_is_tried_when_the_first_refuses() {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let nameserver = Nameserver::start(vec![("two.example", vec![vec!["127.0.0.1", "127.0.0.2"]])]).await;
    let dialer = Dialer::with_nameservers(opened("127.0.0.0/8"), &[nameserver.address]);
    assert!(dialer.dial("two.example", port, soon()).await.is_ok());
    drop(listener);
    assert_eq!(fault(&dialer, "two.example", port).await, Fault::ConnectRefused);
}

#[tokio::test]
async fn a_silent_nameserver_ends_at_the_deadline() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dialer = Dialer::with_nameservers(Guard::default(), &[silent.local_addr().unwrap()]);
    let started = Instant::now();
    let error = dialer.dial("db.example", 5432, started + Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.fault, Fault::DnsFailed);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_dialer_without_nameservers_says_so() {
    let dialer = Dialer::with_nameservers(Guard::default(), &[]);
    assert_eq!(fault(&dialer, "db.example", 5432).await, Fault::DnsFailed);
}

/// One request after the other is read to its empty line and answered with success.
async fn taking(listener: TcpListener) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    while let Ok((stream, _)) = listener.accept().await {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "a request has an end");
        }
        stream.write_all(b"HTTP/1.1 204 Taken\r\nConnection: close\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn a_webhook_whose_name_turns_is_judged_anew_at_each_delivery() {
    use crate::outgoing::Target;
    use bytes::Bytes;
    use http::HeaderMap;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(taking(listener));
    let answers =
        vec![vec!["127.0.0.1"], vec!["169.254.169.254"], vec!["127.0.0.1", "10.0.0.1"], vec!["127.0.0.1"]];
    let nameserver = Nameserver::start(vec![("turning.example", answers)]).await;
    let dialer = Dialer::with_nameservers(opened("127.0.0.1/32"), &[nameserver.address]);
    let target = Target::parse(&format!("http://turning.example:{port}/hook")).unwrap();
    let mut told = Vec::new();
    for _ in 0..4 {
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        let posted = target.post(&dialer, HeaderMap::new(), Bytes::new(), deadline, 0).await;
        told.push(posted.map(|answer| answer.status.as_u16()).map_err(|error| error.fault));
    }
    assert_eq!(told, [Ok(204), Err(Fault::HostNotAllowed), Err(Fault::HostNotAllowed), Ok(204)]);
    assert_eq!(nameserver.asked("turning.example"), 4, "one resolution for each");
}
