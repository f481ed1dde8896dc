"""The catalogue of a key folder: one SQLite database that knows each stored file and each upload that is under way.

The database is the truth: a file that it does not name is deleted at the next start, and an entry without its file is
no entry. Several processes may use one folder; each sees what the others stored or deleted. On one machine they share a
write-ahead log (WAL). That needs shared memory, so on a network file system the database has a rollback journal, which
needs file locks that work between the machines. Deleted entries are overwritten (secure_delete), and `forget` also
empties the write-ahead log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetorch.errors import StorageError
from hetorch.serving.keys.store_clock import Reading, StoreClock

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS stored (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, key_id TEXT NOT NULL, content TEXT NOT NULL, what TEXT NOT NULL,
  file TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, created REAL NOT NULL, used REAL NOT NULL,
  used_seconds REAL NOT NULL, uses INTEGER NOT NULL, turn INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, key_id));
CREATE INDEX IF NOT EXISTS by_turn ON stored (tenant, uses > 0, turn);
CREATE TABLE IF NOT EXISTS uploads (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, model TEXT NOT NULL,
  what TEXT NOT NULL, bytes INTEGER NOT NULL, begun_seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 0), seconds REAL NOT NULL, wall REAL NOT NULL);
"""
_BUSY_SECONDS = 10.0
"""Time for which a process waits for another one's change, in seconds."""
LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
"""The file systems of one machine. On one that is missing here, changes take some milliseconds more."""
_ENTRY = "tenant, kind, key_id, content, what, file, bytes, created, used, uses"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of an upload: the keys with the id `key_id`, or what belongs to them, of one tenant and kind."""

    tenant: str
    kind: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored upload. `what`: "keys" or "weights"; `content`: SHA-256 of the upload (hex); `file`: its name in the
    folder; `bytes`: its size; `created` and `used`: seconds since 1970; `uses`: computations that asked for it."""

    slot: Slot
    content: str
    what: str
    file: str
    bytes: int
    created: float
    used: float
    uses: int


@dataclass(frozen=True, slots=True)
class UploadEntry:
    """An upload that is under way: `content` is the SHA-256 (hex) and `bytes` the length that its client declared."""

    id: str
    tenant: str
    kind: str
    content: str
    model: str
    what: str
    bytes: int


class Catalogue:
    """The database at `path`, made if it is missing; ":memory:" for one that nobody else sees. Safe from many threads.
    With `shared` processes of several machines may open it: it then has no write-ahead log, for which they would need a
    memory in common, and waits for the disk more often.

    Every method raises StorageError where the database cannot be read or written.
    """

    def __init__(self, path: Path | str, *, shared: bool = False) -> None:
        self._journal = "DELETE" if shared else "WAL"
        self._lock = threading.RLock()
        self._path = path
        self._database = self._open()
        with self._lock, _storage(path):
            rows = self._database.execute("SELECT seconds, wall FROM clock").fetchall()
        self._clock = StoreClock(Reading(*rows[0]) if rows else None)

    @classmethod
    def copy_of(cls, path: Path) -> Catalogue:
        """Return a copy in memory of a database in a folder that cannot be written."""
        catalogue = cls(":memory:")
        with (
            _storage(path),
            contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            ) as source,
        ):
            source.backup(catalogue._database)
        return catalogue

    def close(self) -> None:
        """Write the time and close the database."""
        with self._lock:
            with contextlib.suppress(StorageError):  # a folder that went away has no use for it
                self.write_time()
            self._database.close()

    def find(self, slot: Slot) -> Entry | None:
        """Return the entry of a slot, or None."""
        rows = self._read(
            f"SELECT {_ENTRY} FROM stored WHERE tenant = ? AND kind = ? AND key_id = ?",
            (slot.tenant, slot.kind, slot.key_id),
        )
        return _entry(rows[0]) if rows else None

    def of_keys(self, tenant: str, key_id: str) -> list[Entry]:
        """Return all entries of a tenant under a key id: the keys, and what belongs to them."""
        rows = self._read(f"SELECT {_ENTRY} FROM stored WHERE tenant = ? AND key_id = ?", (tenant, key_id))
        return [_entry(row) for row in rows]

    def entries(self, tenant: str | None = None, kind: str | None = None) -> list[Entry]:
        """Return the entries, only those of a tenant or kind if it is given.

        Those that no computation ever asked for are first, and then the least recently used.
        """
        rows = self._read(
            f"SELECT {_ENTRY} FROM stored WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR kind = ?2) "
            "ORDER BY uses > 0, turn",
            (tenant, kind),
        )
        return [_entry(row) for row in rows]

    def usage(self) -> dict[str, int]:
        """Return the bytes of each tenant's files."""
        return dict(self._read("SELECT tenant, SUM(bytes) FROM stored GROUP BY tenant", ()))

    def unused_for(self, seconds: float) -> list[Entry]:
        """Return the entries that were not used for so many seconds of the folder's life."""
        limit = self._clock.read().seconds - seconds
        return [
            _entry(row) for row in self._read(f"SELECT {_ENTRY} FROM stored WHERE used_seconds < ?", (limit,))
        ]

    def put(self, slot: Slot, content: str, what: str, file: str, size: int) -> Entry | None:
        """Add an entry; return the one whose place it takes, if there is one."""
        now = self._clock.read()
        with self._changing():
            before = self.find(slot)
            uses = 0 if before is None else before.uses
            values = (slot.tenant, slot.kind, slot.key_id, content, what, file, size, now.wall, now.wall)
            self._database.execute(
                "INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                "(SELECT COALESCE(MAX(turn), 0) + 1 FROM stored))",
                (*values, now.seconds, uses),
            )
        return before

    def used(self, uses: dict[str, int]) -> None:
        """Count uses of files, the most recent one last."""
        now = self._clock.read()
        with self._changing():
            (turn,) = self._database.execute("SELECT COALESCE(MAX(turn), 0) FROM stored").fetchone()
            self._database.executemany(
                "UPDATE stored SET uses = uses + ?, turn = ?, used = ?, used_seconds = ? WHERE file = ?",
                [
                    (count, turn + index, now.wall, now.seconds, file)
                    for index, (file, count) in enumerate(uses.items(), 1)
                ],
            )

    def forget(self, entries: Sequence[Entry]) -> None:
        """Delete entries; what they said is overwritten, in the write-ahead log too."""
        if not entries:
            return
        with self._changing():
            self._database.executemany("DELETE FROM stored WHERE file = ?", [(one.file,) for one in entries])
        self._empty_log()

    def uploads(self, tenant: str | None = None) -> list[UploadEntry]:
        """Return the uploads under way, the oldest first."""
        rows = self._read(
            "SELECT id, tenant, kind, content, model, what, bytes FROM uploads WHERE ?1 IS NULL OR tenant = ?1 "
            "ORDER BY begun_seconds",
            (tenant,),
        )
        return [UploadEntry(*row) for row in rows]

    def uploads_older_than(self, seconds: float) -> list[str]:
        """Return the ids of the uploads that began before so many seconds of the folder's life."""
        limit = self._clock.read().seconds - seconds
        return [row[0] for row in self._read("SELECT id FROM uploads WHERE begun_seconds < ?", (limit,))]

    def begin_upload(self, upload: UploadEntry) -> None:
        """Add an upload that begins."""
        values = (upload.id, upload.tenant, upload.kind, upload.content, upload.model, upload.what)
        with self._changing():
            self._database.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, upload.bytes, self._clock.read().seconds),
            )

    def end_upload(self, upload: str) -> None:
        """Delete an upload that has ended."""
        with self._changing():
            self._database.execute("DELETE FROM uploads WHERE id = ?", (upload,))

    def write_time(self) -> None:
        """Store the reading of the clock, from which the next process goes on."""
        now = self._clock.read()
        with self._changing():
            self._database.execute(
                "INSERT INTO clock VALUES (0, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "seconds = MAX(seconds, excluded.seconds), wall = excluded.wall",
                (now.seconds, now.wall),
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Make the changes of the block one transaction."""
        with self._lock, _storage(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit()

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock, _storage(self._path):
            return self._database.execute(query, values).fetchall()

    def _empty_log(self) -> None:
        """Write the write-ahead log into the database, and cut it off."""
        with self._lock, _storage(self._path):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _open(self) -> sqlite3.Connection:
        with _storage(self._path):
            database = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                remote = isinstance(self._path, Path) and is_on_network(self._path.parent)
                journal = "DELETE" if remote else self._journal
                database.execute(f"PRAGMA journal_mode = {journal}").fetchall()
                database.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'WAL' else 'FULL'}")
                database.execute("PRAGMA secure_delete = ON").fetchall()
                (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if state != "ok" or version not in (0, SCHEMA_VERSION):
                    raise sqlite3.DatabaseError(f"version {version}, state {state}")
                database.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
            except BaseException:
                database.close()
                raise
        return database


def is_on_network(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """True if a folder may be on the file system of another machine: all but the known local kinds may."""
    path = str(folder.resolve())
    best, kind = "", ""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return False
    for line in lines:
        place, _, rest = line.partition(" - ")
        point = place.split()[4].replace("\\040", " ")
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind not in LOCAL


class CatalogueDamaged(StorageError):
    """The database is no database, or one of another version."""


class CatalogueFull(StorageError):
    """The disk has no room for a change of the database."""


@contextlib.contextmanager
def _storage(path: Path | str) -> Iterator[None]:
    """Turn an error of SQLite into a StorageError."""
    try:
        yield
    except sqlite3.OperationalError as error:  # full, read-only, locked
        kind = CatalogueFull if error.sqlite_errorcode == sqlite3.SQLITE_FULL else StorageError
        raise kind(f"the catalogue {path} of stored keys cannot be used: {error}") from error
    except sqlite3.Error as error:
        raise CatalogueDamaged(f"the catalogue {path} of stored keys is damaged: {error}") from error


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(Slot(*row[:3]), *row[3:])
