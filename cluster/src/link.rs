//! A connection that is made again when it breaks. What is done over it may be done again, so a piece of work must find out
//! itself whether an earlier try of it came through.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mfactor::{Error, Result};
use postgres::types::ToSql;
use postgres::{Client, NoTls, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::trouble::Trouble;

/// Pauses before the connection is made again: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1600);

/// What every connection says first. A worker that is frozen within a transaction is thrown out of it, one that waits gives
/// up, and neither the role's settings nor the server's time zone or isolation change anything.
const SETTINGS: &str = "
SET idle_in_transaction_session_timeout = '10s';
SET lock_timeout = '30s';
SET statement_timeout = '60s';
SET TIME ZONE 'UTC';
SET default_transaction_isolation = 'read committed';
SET extra_float_digits = 1;
SET client_min_messages = 'warning';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SELECT set_config(name, value, false) FROM (VALUES
    ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4'), ('tcp_user_timeout', '30000')
) AS wanted (name, value) WHERE EXISTS (SELECT FROM pg_settings WHERE pg_settings.name = wanted.name)";

/// How every transaction begins, whatever the role's settings are.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Parameters of a statement.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How long a database that is gone is waited for.
#[derive(Clone)]
pub struct Patience {
    /// `None` for ever.
    pub limit: Option<Duration>,
    /// Ends the waiting.
    pub stop: Arc<AtomicBool>,
    /// Is told that something is waited for, and why.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Patience {
    /// None: what does not succeed at once fails.
    pub fn none() -> Self {
        Self { limit: Some(Duration::ZERO), stop: Arc::default(), say: Arc::new(|_| {}) }
    }

    /// Tries again with pauses until it succeeds, while the error says that it may. `is_again` tells the work that an
    /// earlier try was made. What is to be waited for is said once.
    pub(crate) fn until<T>(&self, mut work: impl FnMut(bool) -> Result<T, (bool, Error)>) -> Result<T> {
        let (began, mut pause, mut is_again) = (Instant::now(), FIRST_PAUSE, false);
        loop {
            let error = match work(is_again) {
                Err((true, error)) => error,
                ended => return ended.map_err(|(_, error)| error),
            };
            if self.limit.is_some_and(|limit| began.elapsed() >= limit) {
                return Err(error);
            }
            if self.is_stopped() {
                return Err(Error::Interrupted(format!(
                    "stopped while it was waited for something: {error}"
                )));
            }
            // What lasts no longer than this is not worth a word.
            if pause == LONGEST_PAUSE / 2 {
                (self.say)(&format!("{error}; it is tried again"));
            }
            is_again = true;
            self.sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not when it is to stop.
    fn sleep(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while Instant::now() < end && !self.is_stopped() {
            std::thread::sleep(FIRST_PAUSE.min(end.saturating_duration_since(Instant::now())));
        }
    }
}

/// A connection to a database.
pub struct Link {
    address: Address,
    patience: Patience,
    session: Option<Session>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// As the database, or the way there, refuses: it is not waited for.
    pub fn open(address: &Address, patience: Patience) -> Result<Self> {
        let session = Session::open(address).map_err(|trouble| trouble.sentence(address))?;
        Ok(Self { address: address.clone(), patience, session: Some(session) })
    }

    /// A second one to the same database, which is made when it is needed.
    pub(crate) fn beside(&self) -> Self {
        Self { address: self.address.clone(), patience: self.patience.clone(), session: None }
    }

    /// Where it goes.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How long it waits.
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Does a piece of work, again as often as the connection breaks under it. The work is told whether it is tried again:
    /// then an earlier try may have come through.
    pub(crate) fn work<T>(
        &mut self,
        mut work: impl FnMut(&mut Session, bool) -> Result<T, Trouble>,
    ) -> Result<T> {
        let Self { address, patience, session } = self;
        patience.until(|is_again| {
            attempt(address, session, |session| work(session, is_again))
                .map_err(|trouble| (trouble.is_passing(), trouble.sentence(address)))
        })
    }

    /// Does it once, or twice where the connection was broken already.
    pub(crate) fn work_at_once<T>(
        &mut self,
        mut work: impl FnMut(&mut Session) -> Result<T, Trouble>,
    ) -> Result<T> {
        let Self { address, session, .. } = self;
        let first = attempt(address, session, &mut work);
        let done = if first.as_ref().is_err_and(Trouble::is_passing) {
            attempt(address, session, &mut work)
        } else {
            first
        };
        done.map_err(|trouble| trouble.sentence(address))
    }
}

/// One try, over the connection that there is or a new one. After an error nothing is known of the connection.
fn attempt<T>(
    address: &Address,
    kept: &mut Option<Session>,
    work: impl FnOnce(&mut Session) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut session = match kept.take() {
        Some(session) => session,
        None => Session::open(address)?,
    };
    let done = work(&mut session)?;
    *kept = Some(session);
    Ok(done)
}

/// A connection as long as it holds, with the statements that it knows.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    fn open(address: &Address) -> Result<Self, Trouble> {
        let config = address.config();
        let mut client = match address.encryption() {
            Some(tls) => config.connect(MakeRustlsConnect::new((**tls).clone()))?,
            None => config.connect(NoTls)?,
        };
        client.batch_execute(SETTINGS)?;
        Ok(Self { client, statements: HashMap::new() })
    }

    fn statement(&mut self, text: &'static str) -> Result<Statement, Trouble> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(text)?;
        self.statements.insert(text, statement.clone());
        Ok(statement)
    }

    /// The rows of a statement.
    pub fn rows(&mut self, text: &'static str, values: Values) -> Result<Vec<Row>, Trouble> {
        let statement = self.statement(text)?;
        Ok(self.client.query(&statement, values)?)
    }

    /// The first row of a statement, if there is one.
    pub fn row(&mut self, text: &'static str, values: Values) -> Result<Option<Row>, Trouble> {
        Ok(self.rows(text, values)?.into_iter().next())
    }

    /// Runs a statement; the number of rows that it changed.
    pub fn execute(&mut self, text: &'static str, values: Values) -> Result<u64, Trouble> {
        let statement = self.statement(text)?;
        Ok(self.client.execute(&statement, values)?)
    }

    /// Runs statements without values, one after the other.
    pub fn batch(&mut self, text: &str) -> Result<(), Trouble> {
        Ok(self.client.batch_execute(text)?)
    }

    /// Does something in one transaction, which is kept if the answer is `Some`. After an error the connection is given up,
    /// and with it the transaction.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Option<T>, Trouble>,
    ) -> Result<Option<T>, Trouble> {
        self.batch(BEGIN)?;
        let done = work(self)?;
        self.end(done)
    }

    /// The same, in which `settings` hold, under a lock on the row of one of Optuna's studies: whoever begins a trial in it
    /// takes that first. Others wait meanwhile, so there is no more than one way to the server before the work.
    pub fn locked<T>(
        &mut self,
        study: i32,
        settings: &str,
        work: impl FnOnce(&mut Self) -> Result<Option<T>, Trouble>,
    ) -> Result<Option<T>, Trouble> {
        let lock = format!("SELECT 1 FROM studies WHERE study_id = {study} FOR UPDATE");
        let answers = self.client.simple_query(&format!("{BEGIN}; {settings} {lock}"))?;
        if !answers.iter().any(|answer| matches!(answer, SimpleQueryMessage::Row(_))) {
            let problem = "was removed from the database, by `mfactor cluster remove` or by Optuna";
            return Err(Error::input("the study", problem).into());
        }
        let done = work(self)?;
        self.end(done)
    }

    fn end<T>(&mut self, done: Option<T>) -> Result<Option<T>, Trouble> {
        self.batch(if done.is_some() { "COMMIT" } else { "ROLLBACK" })?;
        Ok(done)
    }
}
