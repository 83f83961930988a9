//! HTTP for `object_store` by the client that downloads data sets: one request after the other, and TLS by rustls.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use mfactor::{Error, Result, files};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig};

/// How long a server may take to take a connection, to begin its answer, and to send or take a whole file.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
const LONGEST_BODY: Duration = Duration::from_secs(1800);

/// A client for every request.
#[derive(Debug, Clone)]
pub(super) struct Http(Agent);

impl Http {
    /// A client that trusts the certificates in a file of PEM form, or those that browsers trust.
    pub fn new(roots: Option<&Path>) -> Result<Self> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = roots {
            tls = tls.root_certs(read_roots(path)?);
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(LONGEST_CONNECT))
            .timeout_recv_response(Some(LONGEST_ANSWER))
            .timeout_send_body(Some(LONGEST_BODY))
            .timeout_recv_body(Some(LONGEST_BODY));
        Ok(Self(config.build().new_agent()))
    }

    fn send(&self, request: Request<Vec<u8>>) -> std::result::Result<Response<Vec<u8>>, ureq::Error> {
        let has_body = [Method::PUT, Method::POST].contains(request.method());
        let answer = if has_body { self.0.run(request) } else { self.0.run(request.map(drop)) }?;
        let (head, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Response::from_parts(head, bytes))
    }
}

fn read_roots(path: &Path) -> Result<RootCerts> {
    let bytes = files::read(path)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let roots: Vec<_> = ureq::tls::parse_pem(&bytes).filter_map(certificate).collect();
    if roots.is_empty() {
        return Err(Error::file(path, "holds no certificate in PEM form"));
    }
    Ok(RootCerts::new_with_certs(&roots))
}

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await?.to_bytes().to_vec();
        let answer = self.send(Request::from_parts(head, bytes));
        answer.map(|answer| answer.map(Into::into)).map_err(|error| HttpError::new(kind(&error), error))
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// Whether trying again may help.
fn kind(error: &ureq::Error) -> HttpErrorKind {
    match error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => HttpErrorKind::Unknown,
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    }
}
