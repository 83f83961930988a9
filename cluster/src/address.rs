//! Where the database is: a URL as libpq and Optuna know it, and whether the way there is encrypted.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mfactor::{Error, Result};
use postgres::config::{Config, Host, SslMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::password;

/// Port of PostgreSQL where a URL names none.
const PORT: u16 = 5432;
/// Where Debian and most others have the server's socket.
const SOCKETS: &str = "/run/postgresql";
/// How long one try to connect may take.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// After this long without an answer a peer is asked whether it is there, and after this much more it is taken for gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// A database, and how to get there.
#[derive(Clone)]
pub struct Address {
    config: Config,
    /// `None` for plain text.
    encryption: Option<Arc<ClientConfig>>,
}

/// Parameters of a URL that the connection's own parser does not know, or knows too little of.
#[derive(Debug, Default)]
struct Extra {
    sslmode: Option<String>,
    sslrootcert: Option<PathBuf>,
    passfile: Option<PathBuf>,
}

impl Address {
    /// Reads `postgresql://USER@HOST:PORT/DATABASE?sslmode=…&sslrootcert=FILE`, also with the driver that SQLAlchemy has in
    /// it (`postgresql+psycopg://`), and looks for the password. Host and certificate are always checked; plain text goes to
    /// this machine alone, or where `is_insecure` allows it.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no such URL, a password in it, a way that is not encrypted, or a password file that
    /// others can read.
    pub fn parse(text: &str, is_insecure: bool) -> Result<Self> {
        let (url, extra) = split(text)?;
        let mut config = Config::from_str(&url).map_err(|error| refused(&cause(&error)))?;
        if config.get_password().is_some() {
            let problem = "has a password in it, which lists of processes and logs show; put it into ~/.pgpass or PGPASSWORD";
            return Err(Error::input("the database's URL", problem));
        }
        if config.get_hosts().is_empty() {
            config.host_path(SOCKETS);
        }
        let encryption = encryption(&config, &extra, is_insecure)?;
        config
            .ssl_mode(if encryption.is_some() { SslMode::Require } else { SslMode::Disable })
            .connect_timeout(LONGEST_CONNECT)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(LONGEST_SILENCE)
            .application_name("mfactor");
        let address = Self { config, encryption };
        let password = password::find(&address, extra.passfile.as_deref())?;
        Ok(password.map_or(address.clone(), |password| address.with_password(&password)))
    }

    fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// How to connect.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How the way is encrypted, where it is.
    pub(crate) fn encryption(&self) -> Option<&Arc<ClientConfig>> {
        self.encryption.as_ref()
    }

    /// Whether others could read what is sent.
    pub fn is_plain(&self) -> bool {
        self.encryption.is_none()
    }

    /// Host, or the socket's folder, of the first server.
    pub(crate) fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => SOCKETS.to_owned(),
        }
    }

    /// Port of the first server.
    pub(crate) fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(PORT)
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {:?} at {}:{}", self.database(), self.host(), self.port())
    }
}

fn refused(problem: &str) -> Error {
    Error::input("the database's URL", format!("{problem}; it looks like postgresql://USER@HOST/DATABASE"))
}

/// What an error of the parser has to say, without the words that all of them begin with.
fn cause(error: &postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A URL without what only this file understands, and that.
fn split(text: &str) -> Result<(String, Extra)> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(refused("is none"));
    };
    if !matches!(scheme.split('+').next(), Some("postgresql" | "postgres")) {
        return Err(refused(&format!("begins with {scheme:?}")));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut extra, mut others) = (Extra::default(), Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match key {
            "sslmode" => extra.sslmode = Some(value.to_owned()),
            "sslrootcert" => extra.sslrootcert = Some(PathBuf::from(value)),
            "passfile" => extra.passfile = Some(PathBuf::from(value)),
            _ => others.push(parameter),
        }
    }
    Ok((format!("postgresql://{place}?{}", others.join("&")), extra))
}

/// How the way is encrypted; `None` where it need not be.
fn encryption(config: &Config, extra: &Extra, is_insecure: bool) -> Result<Option<Arc<ClientConfig>>> {
    let is_here = is_here(config);
    match extra.sslmode.as_deref() {
        None if is_here || is_insecure => Ok(None),
        Some("disable" | "allow" | "prefer") if is_here || is_insecure => Ok(None),
        Some(mode @ ("disable" | "allow" | "prefer")) => {
            let problem = format!(
                "has sslmode={mode}, which sends passwords and results as plain text to another machine; use verify-full, or \
                 pass --insecure-database where the network is trusted"
            );
            Err(Error::input("the database's URL", problem))
        }
        None | Some("require" | "verify-ca" | "verify-full") => {
            client(extra.sslrootcert.as_deref()).map(|client| Some(Arc::new(client)))
        }
        Some(other) => Err(refused(&format!("has sslmode={other:?}, which is none"))),
    }
}

/// Whether every server is this machine.
fn is_here(config: &Config) -> bool {
    let is_loopback = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    };
    let addresses = config.get_hostaddrs();
    config.get_hosts().iter().all(is_loopback) && addresses.iter().all(IpAddr::is_loopback)
}

/// TLS that trusts the certificates in a file, or those that browsers trust.
fn client(roots: Option<&Path>) -> Result<ClientConfig> {
    let trusted = match roots {
        Some(path) if path != Path::new("system") => read_roots(path)?,
        _ => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Defect(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(trusted).with_no_client_auth())
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let bytes = mfactor::files::read(path)?;
    let refused = |problem: String| Error::file(path, format!("is no certificate in PEM form ({problem})"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() { Err(refused("it holds none".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        Address::parse(url, false).err().unwrap().to_string()
    }

    #[test]
    fn urls_of_libpq_and_of_sqlalchemy_are_read() {
        for url in [
            "postgresql://mfactor@db.example.org:5433/optuna",
            "postgres://mfactor@db.example.org:5433/optuna?sslmode=verify-full",
            "postgresql+psycopg://mfactor@db.example.org:5433/optuna?sslmode=require&application_name=x",
        ] {
            let address = Address::parse(url, false).unwrap();
            assert_eq!(address.to_string(), "database \"optuna\" at db.example.org:5433", "{url}");
            assert_eq!(address.user(), "mfactor");
            assert!(!address.is_plain(), "{url}");
        }
    }

    #[test]
    fn plain_text_goes_to_this_machine_alone() {
        for url in [
            "postgresql://m@localhost/o",
            "postgresql://m@127.0.0.1/o?sslmode=prefer",
            "postgresql://m@[::1]/o?sslmode=disable",
            "postgresql://m@%2Frun%2Fpostgresql/o",
            "postgresql:///o?user=m",
        ] {
            assert!(Address::parse(url, false).unwrap().is_plain(), "{url}");
        }
        for mode in ["disable", "allow", "prefer"] {
            let url = format!("postgresql://m@db.example.org/o?sslmode={mode}");
            assert!(problem(&url).contains("--insecure-database"), "{url}");
            assert!(Address::parse(&url, true).unwrap().is_plain());
        }
        let mixed = "postgresql://m@localhost,db.example.org/o?sslmode=disable";
        assert!(problem(mixed).contains("plain text"));
        let elsewhere = "postgresql://m@localhost/o?hostaddr=10.0.0.1&sslmode=disable";
        assert!(problem(elsewhere).contains("plain text"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        let text = problem("postgresql://m:secret@localhost/o");
        assert!(text.contains("~/.pgpass") && !text.contains("secret"), "{text}");
        assert!(problem("postgresql://m@localhost/o?password=secret").contains("~/.pgpass"));
        assert!(problem("mysql://m@localhost/o").contains("mysql"));
        assert!(problem("localhost").contains("is none"));
        assert!(problem("postgresql://m@localhost/o?sslmode=maybe").contains("maybe"));
        assert!(problem("postgresql://m@localhost/o?colour=red").contains("colour"));
        assert!(problem("postgresql://m@db.example.org/o?sslrootcert=/nowhere.pem").contains("/nowhere.pem"));
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        let url = format!("postgresql://m@db.example.org/o?sslrootcert={}", file.path().display());
        assert!(problem(&url).contains("PEM"), "{}", problem(&url));
    }
}
