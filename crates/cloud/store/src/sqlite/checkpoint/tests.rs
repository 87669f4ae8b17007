use super::*;
use crate::sqlite::connection::open_writer;

struct Bench {
    dir: tempfile::TempDir,
    file: Arc<Path>,
    writer: Connection,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let file: Arc<Path> = dir.path().join("muster.db").into();
    let writer = open_writer(&file).unwrap();
    writer.execute_batch("CREATE TABLE t (x)").unwrap();
    Bench { dir, file, writer }
}

impl Bench {
    fn wal_bytes(&self) -> u64 {
        let wal = self.dir.path().join("muster.db-wal");
        std::fs::metadata(wal).unwrap().len()
    }

    fn commit(&self, checkpointer: &Checkpointer) {
        let insert = "INSERT INTO t (x) VALUES (randomblob(20000))";
        self.writer.execute(insert, []).unwrap();
        checkpointer.committed(&self.writer, &self.file);
    }
}

#[test]
fn the_wal_begins_anew_while_commits_go_on() {
    let bench = bench();
    let checkpointer = Checkpointer::start(&bench.file, 64).unwrap();
    // 40 MiB of rows; without a copy, the WAL would be as long.
    for _ in 0..2000 {
        bench.commit(&checkpointer);
    }
    assert!(bench.wal_bytes() < 20 << 20, "{}", bench.wal_bytes());
}

#[test]
fn what_is_below_the_limit_is_not_copied() {
    let bench = bench();
    let checkpointer = Checkpointer::start(&bench.file, 1 << 20).unwrap();
    for _ in 0..20 {
        bench.commit(&checkpointer);
    }
    drop(checkpointer);
    let sql = "PRAGMA wal_checkpoint(NOOP)";
    let now = progress(&bench.writer, &bench.file, sql).unwrap();
    assert_eq!(now.copied, 0);
    assert!(now.written > 20);
}
