//! A study that several workers share, while nothing goes wrong.

use search::Outcome;
use tests::postgres::Postgres;

use crate::worker::{Mode, alone, config, pulled, register, terms, work};

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn the_trials_are_those_of_a_search_without_a_database_however_many_workers_there_are() {
    let (server, expected) = (Postgres::new(&[]), alone(&config("s", 12)));
    for workers in [1, 3, 6] {
        let url = server.database(&format!("with{workers}"));
        register(&url, &config("s", 12), terms(60_000));
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let url = &url;
                scope.spawn(move || {
                    let folder = tempfile::tempdir().unwrap();
                    let outcome = work(url, "s", &format!("w{worker}"), folder.path(), Mode::Plain).unwrap();
                    assert_eq!(outcome, Outcome::Finished);
                });
            }
        });
        assert_eq!(pulled(&url, "s"), expected, "{workers} workers");
    }
}
