//! The database's password: `PGPASSWORD`, or else the file `~/.pgpass`, as libpq has them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, files};

use crate::address::Address;

/// The password for an address, if there is one. `file` is a password file that the URL names.
///
/// # Errors
/// [`Error::Input`] if others may read the password file.
pub(crate) fn find(address: &Address, file: Option<&Path>) -> Result<Option<String>> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(password) = variable("PGPASSWORD") {
        return password.into_string().map(Some).map_err(|_| Error::input("PGPASSWORD", "is not UTF-8"));
    }
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let named = file.map(Path::to_owned).or_else(|| variable("PGPASSFILE").map(PathBuf::from));
    match named.or_else(home) {
        Some(path) if path.exists() => of_file(&path, address),
        _ => Ok(None),
    }
}

fn of_file(path: &Path, address: &Address) -> Result<Option<String>> {
    let mode = std::fs::metadata(path).map_err(Error::io("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        let problem = format!("can be read by others; to mend it, run: chmod 600 {}", path.display());
        return Err(Error::file(path, problem));
    }
    let sought = [&*address.host(), &address.port().to_string(), address.database(), address.user()];
    Ok(of_text(&files::read_text(path)?, sought))
}

/// The password of the first line that fits host, port, database and user. libpq calls a socket `localhost`.
fn of_text(text: &str, sought: [&str; 4]) -> Option<String> {
    let fits = |(field, sought): (&String, &str)| {
        field == "*" || field == sought || field == "localhost" && sought.starts_with('/')
    };
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(fields);
    let mut fitting = lines.filter(|fields| fields.len() == 5 && fields.iter().zip(sought).all(fits));
    fitting.next().and_then(|mut fields| fields.pop())
}

/// Fields between colons, in which a backslash takes away the meaning of what follows.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut characters) = (vec![String::new()], line.chars());
    while let Some(character) = characters.next() {
        let is_end = character == ':' && fields.len() < 5;
        if is_end {
            fields.push(String::new());
            continue;
        }
        let taken = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
        fields.last_mut().expect("there is always a field").push(taken);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# host:port:database:user:password\nother:*:*:*:no\ndb:5432:optuna:m:a\\:b\\\\c:d\n*:*:*:*:last\n";
        let of = |host, port| of_text(text, [host, port, "optuna", "m"]);
        assert_eq!(of("db", "5432").as_deref(), Some("a:b\\c:d"));
        assert_eq!(of("db", "5433").as_deref(), Some("last"));
        assert_eq!(of_text("db:5432:optuna:m:x\n", ["db", "5432", "optuna", "n"]), None);
        assert_eq!(of_text("broken line\n\n", ["db", "5432", "optuna", "m"]), None);
        let socket = of_text("localhost:*:*:m:x\n", ["/run/postgresql", "5432", "o", "m"]);
        assert_eq!(socket.as_deref(), Some("x"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_what_mends_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*:*:*:*:secret\n").unwrap();
        let open = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            of_file(file.path(), &Address::parse("postgresql://m@localhost/o", false).unwrap())
        };
        let text = open(0o640).unwrap_err().to_string();
        assert!(text.contains("chmod 600") && !text.contains("secret"), "{text}");
        assert_eq!(open(0o600).unwrap().as_deref(), Some("secret"));
    }
}
