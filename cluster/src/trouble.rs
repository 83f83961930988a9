//! What went wrong between this program and the database: whether it passes by itself, and the sentence for it.

use std::io::ErrorKind;

use mfactor::Error;
use postgres::error::{DbError, SqlState};

use crate::address::Address;

/// Why a piece of work with the database did not come to its end.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The database, or the way there.
    Database(postgres::Error),
    /// Something that trying again does not change.
    Other(Error),
}

impl From<postgres::Error> for Trouble {
    fn from(error: postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Trouble {
    /// Whether the same work may succeed later: the server restarts, the network is cut, a disk is full, others have what is
    /// needed.
    pub fn is_passing(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error.as_db_error() {
            Some(answer) => is_passing(answer.code()),
            None => !is_of_tls(error) && !is_of_login(error) && !is_of_values(error),
        }
    }

    /// The sentence.
    pub fn sentence(self, address: &Address) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Database(error) => match error.as_db_error() {
                Some(answer) => of_answer(answer, address),
                None => of_way(&error, address),
            },
        }
    }
}

fn is_passing(code: &SqlState) -> bool {
    // Connections, transactions that met each other, resources, what a lock or a person did, the system under the server;
    // and a standby that is not yet what takes writes.
    const CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
    CLASSES.iter().any(|class| code.code().starts_with(class))
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}

/// What the server said.
fn of_answer(answer: &DbError, address: &Address) -> Error {
    let code = answer.code();
    let user = address.user();
    let input = |problem: String| Error::input(address, problem);
    if *code == SqlState::INVALID_PASSWORD {
        input(format!(
            "does not let {user:?} in ({}); its password belongs into ~/.pgpass or PGPASSWORD",
            answer.message()
        ))
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        input(format!(
            "does not let {user:?} in ({}); look at the user in the URL, and at the server's pg_hba.conf",
            answer.message()
        ))
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        input(format!("there is none of this name; to make it, run: createdb {}", address.database()))
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        input(format!(
            "{user:?} may not do that ({}); `mfactor cluster init` says which rights a worker needs",
            answer.message()
        ))
    } else if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(code) {
        input(format!("lacks a table of mfactor ({}); run: mfactor cluster init", answer.message()))
    } else if *code == SqlState::DISK_FULL {
        board(address, "its disk is full; make room there, nothing is lost")
    } else {
        let hint = answer.hint().map_or(String::new(), |hint| format!(" ({hint})"));
        board(address, format!("it answers: {}{hint}", answer.message()))
    }
}

/// That the server cannot be reached, or is not the one that it should be.
fn of_way(error: &postgres::Error, address: &Address) -> Error {
    let cause = innermost(error);
    if is_of_tls(error) && cause.contains(NO_TLS) {
        let problem = "the server has no encryption; turn it on there (ssl = on), or name sslmode=disable where plain text may be";
        return Error::input(address, problem);
    }
    if is_of_tls(error) {
        let problem = format!(
            "the connection cannot be trusted: {cause}; the URL's sslrootcert names the certificate of whoever signed the server's"
        );
        return Error::input(address, problem);
    }
    if is_of_login(error) {
        let problem = format!("cannot log in ({cause}); its password belongs into ~/.pgpass or PGPASSWORD");
        return Error::input(address, problem);
    }
    board(address, format!("cannot be reached: {cause}; is the server running, and the URL right?"))
}

/// That the database, or the way there, failed.
fn board(address: &Address, problem: impl ToString) -> Error {
    Error::Board { subject: address.to_string(), problem: problem.to_string() }
}

/// What the driver says of a server that has no certificate at all.
const NO_TLS: &str = "does not support TLS";

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn innermost(error: &postgres::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Kinds of the driver's errors are told by the words that each begins with: it shows them in no other way.
fn begins_with(error: &postgres::Error, words: &str) -> bool {
    error.to_string().starts_with(words)
}

/// Whether the two do not trust each other; a connection that broke while they spoke of it is another thing.
fn is_of_tls(error: &postgres::Error) -> bool {
    let is_broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() != ErrorKind::InvalidData)
    };
    begins_with(error, "error performing TLS handshake") && !causes(error).any(is_broken)
}

fn is_of_login(error: &postgres::Error) -> bool {
    begins_with(error, "authentication error") || begins_with(error, "invalid configuration")
}

fn is_of_values(error: &postgres::Error) -> bool {
    begins_with(error, "error serializing") || begins_with(error, "error deserializing")
}
