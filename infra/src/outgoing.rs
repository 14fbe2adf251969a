//! One HTTP request to an address that somebody named, through the same guard as every connection to a database.

use crate::databases::dial::Dialer;
use crate::databases::error::{DatabaseError, Fault};
use crate::databases::guard::{Guard, Host};
use crate::databases::tls;
use bytes::Bytes;
use events::integration::SslMode;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header, uri};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

/// An address that was judged as far as its spelling goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
    encrypted: bool,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    /// None when it did not end within the bytes that it may have.
    pub body: Option<Bytes>,
}

impl Target {
    /// `https` with a host; `http` is taken too, and dialled only where the operator has opened the address.
    ///
    /// # Errors
    /// One sentence for the field `url`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri =
            url.parse().map_err(|_| "is not a URL; write it like https://example.com/hook".to_owned())?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("must start with https://".to_owned()),
        };
        let authority = uri.authority().ok_or("must name a host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user or a password".to_owned());
        }
        if url.contains('#') {
            return Err("must not have a fragment".to_owned());
        }
        // In brackets when it is an address of IPv6.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // A number beyond a port's is no port to `http`, and would become the default.
        let has_port = authority.as_str() != authority.host();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if has_port => return Err("must have a port from 1 to 65535, or none".to_owned()),
            None if encrypted => 443,
            None => 80,
        };
        if host.is_empty() || port == 0 {
            return Err("must name a host and no port 0".to_owned());
        }
        Ok(Self { host, port, encrypted, uri })
    }

    /// Refuses what no delivery would ever be sent to, as far as that is known without DNS. A name is judged by what it
    /// leads to, at each delivery.
    ///
    /// # Errors
    /// One sentence for the field `url`.
    pub fn judge(&self, guard: &Guard) -> Result<(), String> {
        let host = Host::parse(&self.host)?;
        let addresses = match host {
            Host::Address(address) => vec![address],
            Host::Name(_) if host.is_localhost() => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Host::Name(_) => Vec::new(),
        };
        let may = |address: &IpAddr| guard.judge(*address);
        if let Some(Err(reason)) = addresses.iter().map(may).reduce(Result::or) {
            return Err(format!("leads to {reason}, which is not allowed"));
        }
        let is_opened = match addresses.as_slice() {
            [] => !guard.allowed.is_empty(),
            addresses => addresses.iter().any(|address| guard.opens(*address)),
        };
        if self.encrypted || is_opened { Ok(()) } else { Err("must start with https://".to_owned()) }
    }

    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// POSTs the body and reads an answer of at most so many bytes. Redirects are not followed.
    ///
    /// # Errors
    /// As dialling and TLS give them; `HostNotAllowed` for `http` to an address that is not opened, `ConnectTimeout`
    /// when there is no answer in time, `ProtocolViolation` when it is no HTTP.
    pub async fn post(
        &self,
        dialer: &Dialer,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        most: usize,
    ) -> Result<Answer, DatabaseError> {
        let stream = dialer.dial(&self.host, self.port, deadline).await?;
        if self.encrypted {
            let stream = tls::handshake(stream, &self.host, SslMode::VerifyFull, None, deadline).await?;
            return self.send(stream, headers, body, deadline, most).await;
        }
        let address = stream.peer_addr().map_err(|_| lost())?.ip();
        if !dialer.guard.opens(address) {
            let advice = "An address of the internet is only sent to over https.";
            return Err(DatabaseError::new(Fault::HostNotAllowed, advice));
        }
        self.send(stream, headers, body, deadline, most).await
    }

    async fn send(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        most: usize,
    ) -> Result<Answer, DatabaseError> {
        let exchange = async {
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|_| lost())?;
            let request = self.request(headers, body);
            let answer = async {
                let answer = sender.send_request(request).await.map_err(|_| lost())?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), most).collect().await;
                Ok(Answer { status, body: body.ok().map(Collected::to_bytes) })
            };
            let (mut answer, connection) = (pin!(answer), pin!(connection));
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                // The connection is driven for as long as the answer takes; it may end with an answer in hand.
                _ = connection => answer.await,
            }
        };
        timeout_at(deadline.into(), exchange).await.unwrap_or_else(|_elapsed| {
            Err(DatabaseError::new(Fault::ConnectTimeout, "The receiver did not answer in time."))
        })
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        let path = self.uri.path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| uri::PathAndQuery::from_static("/")));
        *request.headers_mut() = headers;
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        if let Ok(host) = HeaderValue::from_str(authority) {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }
}

fn lost() -> DatabaseError {
    DatabaseError::new(Fault::ConnectionLost, "The receiver closed the connection without a whole answer.")
}

#[cfg(test)]
mod tests {
    use super::Target;
    use crate::databases::guard::Guard;

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused() {
        for url in [
            "",
            "example.com",
            "/hook",
            "ftp://example.com/",
            "https://",
            "https:///hook",
            "https://user:password@example.com/",
            "https://user@example.com/",
            "https://example.com/#part",
            "https://example.com:0/",
            "https://exam ple.com/",
            "https://example.com:99999/",
            "file:///etc/passwd",
            "https://exämple.com/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_would_never_be_sent_to_is_refused_before_anybody_waits_for_it() {
        let judged = |url: &str, allowed: &[&str]| {
            let allowed = allowed.iter().map(|net| net.parse().expect("a block")).collect();
            Target::parse(url).expect("a receiver").judge(&Guard { allowed })
        };
        for (url, allowed) in [
            ("https://127.0.0.1/", &[][..]),
            ("https://localhost/", &[]),
            ("https://2130706433/", &[]),
            ("https://0x7f.1/", &[]),
            ("https://[::1]/", &[]),
            ("https://169.254.169.254/latest/meta-data/", &["127.0.0.0/8"]),
            ("http://example.com/", &[]),
            ("http://93.184.216.34/", &[]),
            ("http://93.184.216.34/", &["127.0.0.0/8"]),
        ] {
            assert!(judged(url, allowed).is_err(), "{url} {allowed:?}");
        }
        for (url, allowed) in [
            ("https://example.com/", &[][..]),
            ("https://93.184.216.34/", &[]),
            ("http://127.0.0.1:8080/", &["127.0.0.0/8"]),
            ("http://localhost/", &["127.0.0.0/8"]),
            // Only its addresses say whether they are opened.
            ("http://receiver.internal/", &["10.1.0.0/16"]),
        ] {
            assert_eq!(judged(url, allowed), Ok(()), "{url} {allowed:?}");
        }
    }

    #[test]
    fn host_port_and_path_are_taken_as_they_are_written() {
        let target = |url: &str| Target::parse(url).expect("a receiver");
        let with_port = target("https://hooks.example.com:8443/a/b?c=d");
        assert_eq!(
            (with_port.host.as_str(), with_port.port, with_port.encrypted),
            ("hooks.example.com", 8443, true)
        );
        let plain = target("http://127.0.0.1");
        assert_eq!((plain.host.as_str(), plain.port, plain.encrypted), ("127.0.0.1", 80, false));
        let six = target("https://[2606:4700::1]/");
        assert_eq!((six.host.as_str(), six.port), ("2606:4700::1", 443));
    }
}
