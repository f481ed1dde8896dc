"""A vault under a passphrase or a key management service."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hetorch.client import Client, Vault
from hetorch.client.sealing import LARGEST_COST, SEALED, PassphraseWrap, WrappedKey
from hetorch.errors import InputError, VaultError
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small
from tests.client.test_client import samples
from tests.client.test_vault import SPEC


@pytest.fixture(scope="module")
def parameters() -> ParameterSet:
    return insecure_small(1 << 11, 2)


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.client.sealing.SCRYPT_COST", 1 << 14)
    monkeypatch.delenv("HETORCH_VAULT_PASSPHRASE", raising=False)


def seed_file(vault: Vault) -> Path:
    (path,) = vault.path.glob("*/seed")
    return path


def test_a_sealed_vault_opens_with_its_passphrase_only(tmp_path: Path, parameters: ParameterSet) -> None:
    vault = Vault(tmp_path / "keys", passphrase="correct horse")
    seed = vault.seed(parameters)
    assert vault.is_sealed and Vault(tmp_path / "keys", passphrase="correct horse").seed(parameters) == seed
    with pytest.raises(VaultError, match="passphrase is wrong, or"):
        Vault(tmp_path / "keys", passphrase="correct house")
    with pytest.raises(VaultError, match="is sealed: give passphrase="):
        Vault(tmp_path / "keys")
    for path in vault.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert seed not in data and seed.hex().encode() not in data and b"correct" not in data
            assert path.stat().st_mode & 0o777 == 0o600


def test_the_bytes_on_the_disk_are_what_the_standards_say(tmp_path: Path, parameters: ParameterSet) -> None:
    """scrypt of Python's standard library, and AES-GCM over what the module's docstring names."""
    vault = Vault(tmp_path / "keys", passphrase="pässword")
    seed = vault.seed(parameters)
    wrapped = bytes.fromhex(json.loads((vault.path / "key").read_bytes())["wrapped"])
    head, _, rest = wrapped.partition(b"\n")
    cost = json.loads(head)
    own = hashlib.scrypt(
        "pässword".encode(),
        salt=bytes.fromhex(cost["salt"]),
        n=cost["n"],
        r=cost["r"],
        p=cost["p"],
        dklen=32,
        maxmem=1 << 30,
    )
    key = AESGCM(own).decrypt(rest[:12], rest[12:], head + b"\n")
    path = seed_file(vault)
    body = path.read_bytes().removeprefix(SEALED)
    assert AESGCM(key).decrypt(body[:12], body[12:], SEALED + path.parent.name.encode()) == seed


def test_a_passphrase_is_the_same_however_its_letters_are_composed(
    tmp_path: Path, parameters: ParameterSet
) -> None:
    seed = Vault(tmp_path / "keys", passphrase="p\u00e4ss").seed(parameters)
    assert Vault(tmp_path / "keys", passphrase="pa\u0308ss").seed(parameters) == seed


def test_the_environment_has_a_passphrase_too(
    tmp_path: Path, parameters: ParameterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETORCH_VAULT_PASSPHRASE", "from outside")
    seed = Vault(tmp_path / "keys").seed(parameters)
    monkeypatch.delenv("HETORCH_VAULT_PASSPHRASE")
    assert Vault(tmp_path / "keys", passphrase="from outside").seed(parameters) == seed


def test_secrets_in_clear_are_not_taken_for_sealed_ones(tmp_path: Path, parameters: ParameterSet) -> None:
    vault = Vault(tmp_path / "keys")
    seed = vault.seed(parameters)
    with pytest.raises(VaultError, match=r"secrets in clear.*hetorch vault protect"):
        Vault(tmp_path / "keys", passphrase="p")
    assert seed_file(vault).read_bytes() == seed
    vault.protect(passphrase="p")
    assert vault.seed(parameters) == seed == Vault(tmp_path / "keys", passphrase="p").seed(parameters)
    assert seed not in seed_file(vault).read_bytes()


def test_a_seed_that_an_interrupted_protect_left_is_sealed_later(
    tmp_path: Path, parameters: ParameterSet
) -> None:
    vault = Vault(tmp_path / "keys")
    seed = vault.seed(parameters)
    vault.protect(passphrase="p")
    seed_file(vault).write_bytes(seed)
    assert Vault(tmp_path / "keys", passphrase="p").seed(parameters) == seed
    assert seed not in seed_file(vault).read_bytes()


def test_another_passphrase(tmp_path: Path, parameters: ParameterSet) -> None:
    vault = Vault(tmp_path / "keys", passphrase="old")
    seed = vault.seed(parameters)
    vault.protect(passphrase="new")
    with pytest.raises(VaultError, match="passphrase is wrong"):
        Vault(tmp_path / "keys", passphrase="old")
    assert Vault(tmp_path / "keys", passphrase="new").seed(parameters) == seed


class Service:
    """A key management service: a KeyWrap with a key of its own."""

    def __init__(self, name: str = "kms:alias/hetorch") -> None:
        self.name = name
        self.calls = 0

    def wrap(self, key: bytes) -> bytes:
        self.calls += 1
        return bytes(b ^ 0x5A for b in key) + b"tag"

    def unwrap(self, wrapped: bytes) -> bytes:
        self.calls += 1
        return bytes(b ^ 0x5A for b in wrapped[:-3])


def test_a_key_management_service_in_place_of_a_passphrase(tmp_path: Path, parameters: ParameterSet) -> None:
    service = Service()
    seed = Vault(tmp_path / "keys", wrap=service).seed(parameters)
    assert Vault(tmp_path / "keys", wrap=service).seed(parameters) == seed
    assert service.calls == 2  # once for each opening
    with pytest.raises(VaultError, match=r"wrapped by 'kms:alias/hetorch', and 'other' was given"):
        Vault(tmp_path / "keys", wrap=Service("other"))
    with pytest.raises(VaultError, match="and 'scrypt' was given"):
        Vault(tmp_path / "keys", passphrase="p")
    vault = Vault(tmp_path / "keys", wrap=service)
    vault.protect(passphrase="p")
    assert Vault(tmp_path / "keys", passphrase="p").seed(parameters) == seed


def test_a_service_that_fails_is_told(tmp_path: Path) -> None:
    class Down(Service):
        def wrap(self, key: bytes) -> bytes:
            raise ConnectionError("no route to the service")

    class Wrong(Service):
        def unwrap(self, wrapped: bytes) -> bytes:
            return b"short"

    with pytest.raises(VaultError, match=r"'kms:alias/hetorch' failed: ConnectionError: no route"):
        Vault(tmp_path / "a", wrap=Down())
    assert not (tmp_path / "a" / "key").exists()
    Vault(tmp_path / "b", wrap=Service())
    with pytest.raises(VaultError, match="unwrapped no key of 32 bytes"):
        Vault(tmp_path / "b", wrap=Wrong())


def test_seeds_cannot_be_swapped(tmp_path: Path, parameters: ParameterSet) -> None:
    other = insecure_small(1 << 11, 3)
    vault = Vault(tmp_path / "keys", passphrase="p")
    vault.seed(parameters), vault.seed(other)
    first, second = sorted(vault.path.glob("*/seed"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(VaultError, match="sealed in another vault or for other parameters"):
        for used in (parameters, other):
            vault.seed(used)


@pytest.mark.parametrize("place", [3, 30, -1])
def test_a_flipped_bit_is_noticed(tmp_path: Path, parameters: ParameterSet, place: int) -> None:
    vault = Vault(tmp_path / "keys", passphrase="p")
    vault.seed(parameters)
    path = seed_file(vault)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(VaultError):
        vault.seed(parameters)


@pytest.mark.parametrize(
    "cost",
    [
        {"n": LARGEST_COST * 2},
        {"n": 1 << 62},
        {"n": 1 << 13},
        {"n": (1 << 14) + 1},
        {"r": 17},
        {"p": 5},
        {"p": 0},
        {"n": 16384.0},
        {"n": True},
        {"salt": "00"},
        {"salt": 5},
        {"n": None},
    ],
)
def test_parameters_out_of_bounds_cost_no_time(tmp_path: Path, cost: dict[str, object]) -> None:
    """What a stranger wrote into the file must not take all memory, nor weaken the passphrase."""
    fields = {"n": 1 << 14, "r": 8, "p": 1, "salt": "00" * 16} | cost
    begin = time.process_time()
    with pytest.raises(VaultError, match="scrypt"):
        PassphraseWrap("p").unwrap(json.dumps(fields).encode() + b"\n" + bytes(60))
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"format": "hetorch-vault-key", "version": 2, "wrap": "scrypt", "wrapped": ""}',
        b'{"format": "hetorch-vault-key", "version": 1, "wrap": 5, "wrapped": ""}',
        b'{"format": "hetorch-vault-key", "version": 1, "wrap": "scrypt", "wrapped": "zz"}',
        b'{"format": "hetorch-vault-key", "version": 1, "wrap": "scrypt", "wrapped": "7b7d0a"}',
    ],
)
def test_a_damaged_key_file_is_a_vault_error(tmp_path: Path, data: bytes) -> None:
    Vault(tmp_path / "keys", passphrase="p")
    (tmp_path / "keys" / "key").write_bytes(data)
    with pytest.raises(VaultError):
        Vault(tmp_path / "keys", passphrase="p")
    with pytest.raises(VaultError, match="another version"):
        WrappedKey.from_bytes(
            json.dumps(
                {"format": "hetorch-vault-key", "version": 1, "wrap": "x", "wrapped": "00" * (1 << 15)}
            ).encode()
        )


@pytest.mark.parametrize("wrong", ["", "x" * 1025, b"bytes"])
def test_what_is_no_passphrase(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InputError, match="a passphrase is text"):
        Vault(tmp_path / "keys", passphrase=wrong)
    with pytest.raises(InputError, match="not both"):
        Vault(tmp_path / "keys", passphrase="p", wrap=Service())
    with pytest.raises(InputError, match="not both"):
        Vault(tmp_path / "keys").protect()


def test_a_closed_vault_tells_no_secret(tmp_path: Path, parameters: ParameterSet) -> None:
    vault = Vault(tmp_path / "keys", passphrase="p")
    vault.seed(parameters)
    vault.close()
    with pytest.raises(VaultError, match="is closed"):
        vault.seed(parameters)


def test_a_client_uses_a_sealed_vault(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(tmp_path / "keys", passphrase="p")
    with Client(url, vault=vault, allow_insecure=True) as client:
        right = client.predict(samples(1))
    monkeypatch.setenv("HETORCH_VAULT_PASSPHRASE", "p")
    with Client(url, vault=tmp_path / "keys", allow_insecure=True) as client:
        assert abs(client.predict(samples(1)) - right).max() < 1e-6
        assert (
            client.make_keys().key_id
            == vault.evaluation_keys(client.plan.parameters, client.plan.key_spec, lambda: [b""]).key_id
        )


def test_a_new_seed_forgets_all_that_belonged_to_the_old_one(
    tmp_path: Path, parameters: ParameterSet
) -> None:
    for vault in (Vault(tmp_path / "clear"), Vault(tmp_path / "sealed", passphrase="p")):
        old = vault.seed(parameters)
        vault.evaluation_keys(parameters, SPEC, lambda: [b"keys"])
        vault.record_shared(parameters, 1)
        vault.replace_seed(parameters)
        assert vault.seed(parameters) != old
        assert vault.find_evaluation_keys(parameters, SPEC) is None
        assert vault.shared(parameters).results == 0
        vault.record_shared(parameters, 1)
