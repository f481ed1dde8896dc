"""The state of a context: switches, global scale and keys, which the contexts of both schemes have alike."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Self, TypeVar

from hetorch.errors import WireError
from hetorch.interop.seal_format import SealParameters
from hetorch.interop.tenseal_format import AUTO_MOD_SWITCH, AUTO_RELIN, AUTO_RESCALE, ContextMessage
from hetorch.tenseal.scheme.arguments import real_number
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.scheme.errors import refusal

Secret = TypeVar("Secret")
Public = TypeVar("Public")
Relin = TypeVar("Relin")
Galois = TypeVar("Galois")


class ContextState(ABC, Generic[Secret, Public, Relin, Galois]):
    """The state that everything encrypted under a context shares.

    Mutable, as TenSEAL's: keys come and go and switches turn. Not for use from several threads while it changes.
    Getters of keys raise ValueError where there is none, and those of a public key where encryption is symmetric.
    """

    scheme: ClassVar[SCHEME_TYPE]

    def __init__(self, parameters: Any, encryption_type: ENCRYPTION_TYPE, n_threads: int) -> None:
        self.parameters = parameters
        self.encryption_type = encryption_type
        self.n_threads = n_threads
        self.auto_relin = True
        self.auto_rescale = True
        self.auto_mod_switch = True
        self._scale: float | None = None
        self._secret: Secret | None = None
        self._public: Public | None = None
        self._relin: Relin | None = None
        self._galois: Galois | None = None
        self._hashes: dict[int, tuple[Secret | Public, bytes]] = {}

    def copy(self) -> Self:
        """Return a state with the same keys and switches; later changes touch one of the two only."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    @abstractmethod
    def equals(self, other: Any) -> bool:
        """Return True if ciphertexts of the two contexts may meet: same parameters, and no sign of different keys."""

    @property
    @abstractmethod
    def seal(self) -> SealParameters:
        """The parameters as SEAL has them."""

    @abstractmethod
    def _key_bytes(self, key: Secret | Public) -> bytes:
        """Return bytes that are equal for equal keys."""

    def same_owner(self, other: Any) -> bool:
        """Return False if the two contexts are known to have different keys: by the secret, else by the public ones.

        TenSEAL does not compare keys; it computes numbers without meaning.
        """
        for own, theirs in ((self._secret, other._secret), (self._public, other._public)):
            if own is not None and theirs is not None:
                return own is theirs or self._key_hash(own) == self._key_hash(theirs)
        return True

    def _key_hash(self, key: Secret | Public) -> bytes:
        kept = self._hashes.get(id(key))
        if kept is None or kept[0] is not key:
            kept = self._hashes[id(key)] = key, hashlib.blake2b(self._key_bytes(key)).digest()
        return kept[1]

    # Switches and scale

    @property
    def auto_flags(self) -> int:
        """The three automatic steps as the flags in TenSEAL's message."""
        return int(
            AUTO_RELIN * self.auto_relin
            | AUTO_RESCALE * self.auto_rescale
            | AUTO_MOD_SWITCH * self.auto_mod_switch
        )

    @auto_flags.setter
    def auto_flags(self, flags: int) -> None:
        self.auto_relin = bool(flags & AUTO_RELIN)
        self.auto_rescale = bool(flags & AUTO_RESCALE)
        self.auto_mod_switch = bool(flags & AUTO_MOD_SWITCH)

    def has_global_scale(self) -> bool:
        return self._scale is not None

    @property
    def global_scale(self) -> float:
        """The scale of what is encoded without one; ValueError until it is set. It changes nothing under BFV."""
        if self._scale is None:
            raise refusal(ValueError, "no global scale", "set context.global_scale, or give a scale")
        return self._scale

    @global_scale.setter
    def global_scale(self, value: float) -> None:
        self._scale = checked_scale(real_number(value, ""))

    # Keys

    @abstractmethod
    def _new_relin_keys(self, secret: Secret) -> Relin:
        """Make a relinearisation key from `secret`; ValueError if that was made under other parameters."""

    @abstractmethod
    def _new_galois_keys(self, secret: Secret) -> Galois:
        """Make SEAL's default Galois keys from `secret`: for the powers of two, and for conjugation."""

    def has_galois_keys(self) -> bool:
        return self._galois is not None

    def galois_keys(self) -> Galois:
        if self._galois is None:
            raise refusal(
                ValueError,
                "the current context doesn't hold a Galois keys",
                "call generate_galois_keys() where the secret key is",
            )
        return self._galois

    def generate_galois_keys(self, secret_key: Secret | None = None) -> None:
        """Make new Galois keys from `secret_key`, or from the context's own."""
        self.set_galois_keys(self._new_galois_keys(self._secret_or_own(secret_key)))

    def set_galois_keys(self, keys: Galois | None) -> None:
        self._galois = keys

    def has_relin_keys(self) -> bool:
        return self._relin is not None

    def relin_keys(self) -> Relin:
        if self._relin is None:
            raise refusal(
                ValueError,
                "the current context doesn't hold Relinearization keys",
                "call generate_relin_keys() where the secret key is",
            )
        return self._relin

    def generate_relin_keys(self, secret_key: Secret | None = None) -> None:
        """Make a new relinearisation key from `secret_key`, or from the context's own."""
        self.set_relin_keys(self._new_relin_keys(self._secret_or_own(secret_key)))

    def set_relin_keys(self, key: Relin | None) -> None:
        self._relin = key

    def has_secret_key(self) -> bool:
        return self._secret is not None

    def secret_key(self) -> Secret:
        if self._secret is None:
            raise refusal(ValueError, "the current context is public, it doesn't hold a Secret key")
        return self._secret

    def set_secret_key(self, key: Secret | None) -> None:
        self._secret = key

    def has_public_key(self) -> bool:
        self._check_asymmetric("has_public_key")
        return self._public is not None

    def public_key(self) -> Public:
        self._check_asymmetric("public_key")
        if self._public is None:
            raise refusal(ValueError, "the current context doesn't hold a public key")
        return self._public

    def set_public_key(self, key: Public | None) -> None:
        self._public = key

    def make_public(self, generate_galois_keys: bool, generate_relin_keys: bool) -> None:
        """Drop the secret key, after making the keys asked for; what remains does not reveal it."""
        if self._secret is None:
            return
        self._check_asymmetric("make_context_public")
        if generate_galois_keys and self._galois is None:
            self.generate_galois_keys()
        if generate_relin_keys and self._relin is None:
            self.generate_relin_keys()
        self._secret = None
        self._hashes = {}

    def _secret_or_own(self, secret_key: Secret | None) -> Secret:
        key = self._secret if secret_key is None else secret_key
        if key is None:
            raise refusal(ValueError, "you need to provide a secret_key", "this context is public")
        return key

    def _check_asymmetric(self, what: str) -> None:
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            raise refusal(ValueError, f"{what} is not supported for symmetric encryption")


def checked_scale(scale: float) -> float:
    """Return a global scale; ValueError below 0. As in TenSEAL, encryption alone refuses 0 and infinity."""
    if scale < 0:
        raise refusal(ValueError, "invalid scale value", f"a scale is above 0, got {scale}")
    return scale


def encryption_type_of(message: ContextMessage) -> ENCRYPTION_TYPE:
    """Return the encryption type that a context's bytes name; WireError for an unknown number."""
    try:
        return ENCRYPTION_TYPE(message.encryption_type)
    except ValueError:
        raise WireError(
            f"the context has encryption type {message.encryption_type}, expected 0 or 1"
        ) from None
