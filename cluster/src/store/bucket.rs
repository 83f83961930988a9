//! A store in a bucket of S3, or of any server that speaks its language. Credentials come from the environment alone.

use std::fmt;
use std::net::IpAddr;
use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use mfactor::{Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use super::http::Http;
use super::{Environment, Kept, Place};

/// Where a server is that is not Amazon's, in the order in which Amazon's own tools look.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// Variables of which each is a way to log in.
const LOGINS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
/// What else is said of the server and of who logs in.
const SETTINGS: [&str; 10] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_REQUEST_PAYER",
];
/// What is tried again before a sentence says so.
const RETRIES: usize = 2;
const LONGEST_RETRY: Duration = Duration::from_secs(20);

/// A bucket, and the part of it that is the store.
pub(super) struct Bucket {
    name: String,
    /// The server.
    way: String,
    prefix: Path,
    client: AmazonS3,
    runtime: Runtime,
}

type Answer<T> = std::result::Result<T, object_store::Error>;

impl Bucket {
    /// The store at `s3://BUCKET/PREFIX`. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`Error::Input`] for another form, a way that is not encrypted, or an environment without credentials.
    pub fn open(url: &str, place: &str, environment: Environment) -> Result<Self> {
        let refused = |problem: &str| Error::input("the store's URL", problem);
        if place.contains(['@', '?', '#']) {
            return Err(refused(
                "has more in it than s3://BUCKET/PREFIX; credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ));
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_fitting =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_fitting) {
            return Err(refused("names no bucket: 3 to 63 lower-case letters, digits, dots and hyphens"));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/'))
            .map_err(|error| refused(&format!("has a prefix that is none: {error}")))?;
        let endpoint = ENDPOINTS.iter().find_map(|name| environment(name));
        check_way(endpoint.as_deref(), environment)?;
        check_login(environment)?;
        let client = client(bucket, endpoint.as_deref(), environment)?.build();
        let client = client.map_err(|error| Error::input(format!("store {url}"), innermost(&error)))?;
        let way = endpoint.unwrap_or_else(|| "Amazon S3".to_owned());
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Error::Defect(format!("no runtime can be made: {error}")))?;
        Ok(Self { name: url.to_owned(), way, prefix, client, runtime })
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode) -> Answer<()> {
        let (path, options) = (self.path(name), PutOptions::from(mode));
        let payload = PutPayload::from(bytes.to_vec());
        self.runtime.block_on(self.client.put_opts(&path, payload, options)).map(drop)
    }

    /// What went wrong, as a sentence.
    fn failed(&self, error: &object_store::Error) -> Error {
        use object_store::Error as Cause;
        let text = innermost(error);
        let is_denied = matches!(error, Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. });
        if text.contains("NoSuchBucket") {
            Error::input(self, "there is no such bucket; make it, or name another by --artifacts")
        } else if is_denied
            || ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"]
                .iter()
                .any(|code| text.contains(code))
        {
            // Servers need not tell whoever may not see it that a bucket is not there.
            let problem = "does not let this key read or write, or there is no such bucket; look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the key's rights";
            Error::input(self, problem)
        } else {
            let (way, said) = (&self.way, said(&text));
            let problem =
                format!("{way} does not do what it is asked ({said}); does it run, and is it full?");
            Error::Board { subject: self.to_string(), problem }
        }
    }
}

/// Refuses to send results as plain text to another machine, unless the environment says that it may be.
fn check_way(endpoint: Option<&str>, environment: Environment) -> Result<()> {
    let Some(place) = endpoint.and_then(|url| url.strip_prefix("http://")) else { return Ok(()) };
    let host = place.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if is_here || environment("AWS_ALLOW_HTTP").is_some_and(|value| value == "true") {
        return Ok(());
    }
    let problem = "goes to another machine as plain text; use https, or set AWS_ALLOW_HTTP=true where the network is trusted";
    Err(Error::input("AWS_ENDPOINT_URL", problem))
}

fn check_login(environment: Environment) -> Result<()> {
    if LOGINS.iter().any(|name| environment(name).is_some()) {
        return Ok(());
    }
    let problem = "is not set, and neither is another way to log in to the store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    Err(Error::input("AWS_ACCESS_KEY_ID", problem))
}

fn client(bucket: &str, endpoint: Option<&str>, environment: Environment) -> Result<AmazonS3Builder> {
    let http = Http::new(environment("AWS_CA_BUNDLE").as_deref().map(FilePath::new))?;
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: LONGEST_RETRY };
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
    for name in LOGINS.into_iter().chain(SETTINGS) {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
        if let (Some(value), Ok(key)) = (environment(name), key) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    // Whether plain text may be is decided above.
    Ok(builder.with_allow_http(true).with_http_connector(http))
}

/// The last cause, which is the first thing that went wrong.
fn innermost(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The code in an answer of XML, or else the first line, in few words.
fn said(text: &str) -> String {
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let line = code.map_or_else(|| text.lines().next().unwrap_or_default(), |(code, _)| code);
    line.chars().take(160).collect()
}

impl Place for Bucket {
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name);
        let read = self.runtime.block_on(async { self.client.get(&path).await?.bytes().await });
        read.map(|bytes| bytes.to_vec()).map_err(|error| match error {
            object_store::Error::NotFound { .. } if !innermost(&error).contains("NoSuchBucket") => {
                Error::input(format!("{self}, {name}"), "is not there")
            }
            error => self.failed(&error),
        })
    }

    fn has(&self, name: &str) -> Result<bool> {
        match self.runtime.block_on(self.client.head(&self.path(name))) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        match self.put(name, bytes, PutMode::Create) {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.put(name, bytes, PutMode::Overwrite).map_err(|error| self.failed(&error))
    }

    fn names(&self) -> Result<Vec<Kept>> {
        let listed = self.runtime.block_on(self.client.list_with_delimiter(Some(&self.prefix)));
        let listed = listed.map_err(|error| self.failed(&error))?;
        let kept = |object: ObjectMeta| {
            let age = SystemTime::now().duration_since(object.last_modified.into()).unwrap_or_default();
            Some(Kept { name: object.location.filename()?.to_owned(), bytes: object.size, age })
        };
        Ok(listed.objects.into_iter().filter_map(kept).collect())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.runtime.block_on(self.client.delete(&self.path(name))).map_err(|error| self.failed(&error))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {}", self.name)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows the credentials.
        write!(f, "Bucket({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for here in
            ["http://127.0.0.1:9000", "http://[::1]:9000/x", "http://localhost", "https://s3.example.org"]
        {
            check_way(Some(here), &|_| None).unwrap();
        }
        let text = check_way(Some("http://s3.example.org:9000"), &|_| None).unwrap_err().to_string();
        assert!(text.contains("AWS_ALLOW_HTTP"), "{text}");
        check_way(Some("http://s3.example.org:9000"), &|_| Some("true".to_owned())).unwrap();
    }

    #[test]
    fn what_names_no_bucket_is_refused_without_a_word_of_what_it_holds() {
        for (place, problem) in [
            ("AK:secret@bucket/x", "AWS_SECRET_ACCESS_KEY"),
            ("bucket?secret=x", "s3://BUCKET/PREFIX"),
            ("B", "names no bucket"),
            ("bucket//x", "prefix"),
        ] {
            let text = Bucket::open(&format!("s3://{place}"), place, &|_| None).unwrap_err().to_string();
            assert!(text.contains(problem) && !text.contains("secret@"), "{place}: {text}");
        }
    }

    #[test]
    fn an_answer_is_cut_down_to_its_code() {
        assert_eq!(said("<Error><Code>SlowDown</Code><Message>x</Message></Error>"), "SlowDown");
        assert_eq!(said("connection refused\nat once"), "connection refused");
    }
}
