"""The key vault: private, atomic, and honest about damage."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hetorch.client.vault import SharedSoFar, Vault, default_vault_path, spec_digest
from hetorch.engine.codec import FORMAT_VERSION, MAGIC
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import VaultError
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small

SPEC = EvaluationKeySpec(1, ((5, 2), (25, 1)))


@pytest.fixture(scope="module")
def parameters() -> ParameterSet:
    return insecure_small(1 << 11, 2)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "deep" / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path, parameters: ParameterSet) -> None:
    before = os.umask(0)
    try:
        vault = Vault(tmp_path / "keys")
        vault.seed(parameters)
        vault.record_shared(parameters, 2)
        vault.evaluation_keys(parameters, SPEC, lambda: [b"keys"])
    finally:
        os.umask(before)
    assert mode(vault.path) == 0o700
    (folder,) = vault.path.iterdir()
    assert mode(folder) == 0o700
    files = [path for path in folder.iterdir() if path.is_file()]
    assert len(files) == 5  # seed and its id, shared, keys, lock
    assert all(mode(path) == 0o600 for path in files)


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o701, 0o777])
def test_a_vault_that_others_may_enter_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "keys"
    path.mkdir()
    path.chmod(bits)
    with pytest.raises(VaultError, match=f"mode {bits:03o}.*chmod 700"):
        Vault(path)
    assert mode(path) == bits  # said, not silently changed


def test_a_seed_that_others_may_read_is_refused(vault: Vault, parameters: ParameterSet) -> None:
    vault.seed(parameters)
    (path,) = vault.path.glob("*/seed")
    path.chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        vault.seed(parameters)


def test_a_seed_behind_a_link_is_refused(vault: Vault, parameters: ParameterSet, tmp_path: Path) -> None:
    vault.seed(parameters)
    (path,) = vault.path.glob("*/seed")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VaultError, match="cannot be read"):
        vault.seed(parameters)


def test_a_file_in_the_place_of_the_vault_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("no folder")
    with pytest.raises(VaultError, match="not a folder"):
        Vault(tmp_path / "keys")


def test_the_seed_stays_and_differs_by_parameters(vault: Vault, parameters: ParameterSet) -> None:
    other = insecure_small(1 << 11, 3)
    assert not vault.has_seed(parameters)
    seed = vault.seed(parameters)
    assert vault.has_seed(parameters)
    assert len(seed) == 32
    assert Vault(vault.path).seed(parameters) == seed
    assert vault.seed(other) != seed


def test_a_damaged_seed_is_refused_and_not_replaced(vault: Vault, parameters: ParameterSet) -> None:
    vault.seed(parameters)
    (path,) = vault.path.glob("*/seed")
    path.write_bytes(b"short")
    with pytest.raises(VaultError, match="5 bytes instead of 32"):
        vault.seed(parameters)
    assert path.read_bytes() == b"short"


@pytest.mark.parametrize("name", ["seed", "seed.id"])
def test_one_flipped_bit_of_a_secret_is_noticed(vault: Vault, parameters: ParameterSet, name: str) -> None:
    vault.evaluation_keys(parameters, SPEC, lambda: [b"keys"])
    (path,) = vault.path.glob(f"*/{name}")
    data = bytearray(path.read_bytes())
    data[17] ^= 1
    path.write_bytes(data)
    sentence = r"/seed is not the one that .*/seed\.id belongs to.*delete the folder"
    with pytest.raises(VaultError, match=sentence):
        vault.seed(parameters)
    with pytest.raises(VaultError, match=sentence):
        vault.find_evaluation_keys(parameters, SPEC)


def test_the_secret_of_another_vault_is_noticed(
    vault: Vault, parameters: ParameterSet, tmp_path: Path
) -> None:
    other = Vault(tmp_path / "other")
    for used in (vault, other):
        used.evaluation_keys(parameters, SPEC, lambda: [b"keys"])
    (own,), (foreign,) = vault.path.glob("*/seed"), other.path.glob("*/seed")
    own.write_bytes(foreign.read_bytes())
    with pytest.raises(VaultError, match="is not the one that"):
        vault.seed(parameters)
    # Together with its id the foreign secret is accepted, but the keys beside it belong to the old one.
    (own.parent / "seed.id").write_bytes((foreign.parent / "seed.id").read_bytes())
    assert vault.seed(parameters) == other.seed(parameters)
    with pytest.raises(VaultError, match=r"\.evk were made with another secret than .*delete the file"):
        vault.find_evaluation_keys(parameters, SPEC)


def test_a_secret_of_other_parameters_is_noticed(vault: Vault, parameters: ParameterSet) -> None:
    seeds = []
    for used in (parameters, insecure_small(1 << 11, 3)):
        vault.seed(used)
        seeds.append(vault.path / used.fingerprint().hex())
    for name in ("seed", "seed.id"):
        (seeds[0] / name).write_bytes((seeds[1] / name).read_bytes())
    with pytest.raises(VaultError, match="is not the one that"):
        vault.seed(parameters)


def test_keys_of_another_vault_are_noticed(vault: Vault, parameters: ParameterSet, tmp_path: Path) -> None:
    other = Vault(tmp_path / "other")
    foreign = other.evaluation_keys(parameters, SPEC, lambda: [b"theirs"]).path
    own = vault.evaluation_keys(parameters, SPEC, lambda: [b"ours"]).path
    copied = own.parent / foreign.name
    copied.write_bytes(foreign.read_bytes())
    sentence = f"{foreign.name} were made with another secret"
    with pytest.raises(VaultError, match=sentence):
        vault.find_evaluation_keys(parameters, SPEC)
    with pytest.raises(VaultError, match=sentence):
        vault.evaluation_keys(parameters, SPEC, lambda: [b"more"])
    copied.unlink()
    found = vault.find_evaluation_keys(parameters, SPEC)
    assert found is not None
    assert found.path.read_bytes() == b"ours"


def test_a_lost_secret_is_not_replaced(vault: Vault, parameters: ParameterSet) -> None:
    vault.seed(parameters)
    (path,) = vault.path.glob("*/seed")
    path.unlink()
    with pytest.raises(VaultError, match="is gone"):
        vault.seed(parameters)
    assert not path.exists()


def test_a_vault_without_seed_ids_stays_readable(vault: Vault, parameters: ParameterSet) -> None:
    """An earlier version wrote keys that do not name their secret; they are made again."""
    seed = vault.seed(parameters)
    (record,) = vault.path.glob("*/seed.id")
    record.unlink()
    old = record.parent / f"{spec_digest(SPEC)}.{'0' * 64}.evk"
    old.write_bytes(b"of nobody knows which secret")
    assert vault.seed(parameters) == seed
    assert record.exists()
    assert vault.evaluation_keys(parameters, SPEC, lambda: [b"ours"]).path.read_bytes() == b"ours"
    assert not old.exists()


def test_keys_in_another_format_version_are_made_again(vault: Vault, parameters: ParameterSet) -> None:
    other = MAGIC + bytes([FORMAT_VERSION + 1]) + b"keys of another hetorch"
    stored = vault.evaluation_keys(parameters, SPEC, lambda: [other])
    assert vault.find_evaluation_keys(parameters, SPEC) is None
    assert not stored.path.exists()
    own = MAGIC + bytes([FORMAT_VERSION]) + b"keys of this one"
    assert vault.evaluation_keys(parameters, SPEC, lambda: [own]).path.read_bytes() == own
    assert vault.find_evaluation_keys(parameters, SPEC) is not None


def test_many_at_once_get_one_seed_and_make_keys_once(vault: Vault, parameters: ParameterSet) -> None:
    made: list[int] = []

    def make() -> Iterator[bytes]:
        made.append(1)
        yield os.urandom(64)

    def use(_: int) -> tuple[bytes, str]:
        own = Vault(vault.path)
        return own.seed(parameters), own.evaluation_keys(parameters, SPEC, make).key_id

    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(use, range(16)))
    assert len(results) == 1
    assert len(made) == 1


def test_evaluation_keys_are_found_by_spec_and_checked(vault: Vault, parameters: ParameterSet) -> None:
    assert vault.find_evaluation_keys(parameters, SPEC) is None
    stored = vault.evaluation_keys(parameters, SPEC, lambda: [b"some keys"])
    assert (stored.path.read_bytes(), stored.size) == (b"some keys", 9)
    stored.check()
    assert vault.find_evaluation_keys(parameters, SPEC) == stored
    assert vault.find_evaluation_keys(parameters, EvaluationKeySpec(None, SPEC.galois)) is None
    stored.path.write_bytes(b"other key")
    with pytest.raises(VaultError, match="were changed"):
        stored.check()


def test_a_failed_making_leaves_nothing(vault: Vault, parameters: ParameterSet) -> None:
    def fail() -> Iterator[bytes]:
        yield b"the first key"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.evaluation_keys(parameters, SPEC, fail)
    assert vault.find_evaluation_keys(parameters, SPEC) is None
    assert sorted(path.name for path in vault.path.glob("*/*")) == [".lock", "seed", "seed.id"]


def test_shared_results_add_up_to_one_budget(vault: Vault, parameters: ParameterSet) -> None:
    assert vault.shared(parameters) == SharedSoFar(0, Fraction(0))
    vault.record_shared(parameters, 2)
    assert vault.record_shared(parameters, 4) == SharedSoFar(2, Fraction(3, 4))
    with pytest.raises(VaultError, match="too much"):
        vault.record_shared(parameters, 3)
    assert Vault(vault.path).shared(parameters) == SharedSoFar(2, Fraction(3, 4))
    assert vault.record_shared(parameters, 4).spent == 1


def test_exactly_tau_results_with_noise_for_tau_fit(vault: Vault, parameters: ParameterSet) -> None:
    for _ in range(7):
        vault.record_shared(parameters, 7)
    with pytest.raises(VaultError, match="7 results"):
        vault.record_shared(parameters, 7)


def test_a_count_is_on_the_disk_when_it_is_given(
    vault: Vault, parameters: ParameterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure a renamed file is there only if its folder was flushed after the renaming."""
    steps: list[tuple[str, int | str]] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noting_replace(source: str, target: Path) -> None:
        steps.append(("replace", Path(target).name))
        replace(source, target)

    vault.record_shared(parameters, 3)
    folder = (vault.path / parameters.fingerprint().hex()).stat().st_ino
    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    vault.record_shared(parameters, 3)
    file = (vault.path / parameters.fingerprint().hex() / "shared").stat().st_ino
    assert steps == [("fsync", file), ("replace", "shared"), ("fsync", folder)]


def test_a_damaged_record_is_refused(vault: Vault, parameters: ParameterSet) -> None:
    vault.record_shared(parameters, 2)
    (path,) = vault.path.glob("*/shared")
    path.write_bytes(b"1 1/0\n")
    with pytest.raises(VaultError, match="damaged"):
        vault.record_shared(parameters, 2)


def test_where_the_vault_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HETORCH_VAULT", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_vault_path() == tmp_path / ".local" / "share" / "hetorch" / "keys"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_vault_path() == tmp_path / "data" / "hetorch" / "keys"
    monkeypatch.setenv("HETORCH_VAULT", "~/mine")
    assert default_vault_path() == tmp_path / "mine"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["seed", "seed.id", "shared", ".lock"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_refused_at_once(
    vault: Vault, parameters: ParameterSet, name: str, kind: str
) -> None:
    vault.record_shared(parameters, 2)
    vault.seed(parameters)
    (folder,) = (path for path in vault.path.iterdir() if path.is_dir())
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(VaultError):
        vault.seed(parameters)
        vault.shared(parameters)


@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_keys_or_of_the_vault_is_refused_at_once(
    vault: Vault, parameters: ParameterSet, tmp_path: Path
) -> None:
    stored = vault.evaluation_keys(parameters, SPEC, lambda: [b"keys"])
    stored.path.unlink()
    os.mkfifo(stored.path, 0o600)
    with pytest.raises(VaultError, match="no regular file"):
        stored.check()
    with pytest.raises(VaultError, match="no regular file"):
        vault.find_evaluation_keys(parameters, SPEC)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(VaultError, match="not a folder"):
        Vault(tmp_path / "pipe")


def test_a_vault_that_cannot_be_written_is_told(
    vault: Vault, parameters: ParameterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file system, which root meets too; permissions do not stop it."""
    make, opened = Path.mkdir, os.open

    def mkdir(self: Path, *args: Any, **options: Any) -> None:
        if vault.path in self.parents and not self.exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        make(self, *args, **options)

    def refused(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(vault.path)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(VaultError, match=r"cannot be made: Read-only file system; give a folder"):
        vault.seed(parameters)
    monkeypatch.setattr(Path, "mkdir", make)
    vault.has_seed(parameters)
    (vault.path / parameters.fingerprint().hex()).mkdir(mode=0o700)
    monkeypatch.setattr(os, "open", refused)
    for use in (
        lambda: vault.seed(parameters),
        lambda: vault.record_shared(parameters, 1),
        lambda: vault.find_evaluation_keys(parameters, SPEC),
    ):
        with pytest.raises(VaultError, match="Read-only file system"):
            use()


def test_what_a_killed_process_left_is_deleted(vault: Vault, parameters: ParameterSet) -> None:
    vault.seed(parameters)
    (folder,) = vault.path.iterdir()
    (folder / ".new-0123456789abcdef").write_bytes(b"half of the keys")
    vault.seed(parameters)
    assert not list(folder.glob(".new-*"))
