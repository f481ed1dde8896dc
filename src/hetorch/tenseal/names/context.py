"""The encryption context of TenSEAL's API: parameters, keys, the global scale and the automatic steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from typing import Any, NoReturn

from hetorch.params import Security
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.parameters import ckks_parameters
from hetorch.tenseal.names import seal_objects
from hetorch.tenseal.names.context_bytes import dump_state, load_state
from hetorch.tenseal.names.keys import (
    Decryptor,
    Encryptor,
    GaloisKeys,
    PublicKey,
    RelinKeys,
    SEALContext,
    SecretKey,
)
from hetorch.tenseal.scheme.arguments import switch_position
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.scheme.errors import incompatible, refusal


class Context:
    """The parameters and keys that encrypted vectors and tensors need; ciphertexts refer to it.

    Args:
        scheme: CKKS, or BFV, which needs seal-python.
        poly_modulus_degree: the ring degree N.
        plain_modulus: the modulus of BFV's integers, a prime = 1 mod 2N; CKKS ignores it.
        coeff_mod_bit_sizes: the sizes of SEAL's primes, the last one for key switching; each rescaling takes the last
            of the others away.
        encryption_type: the key to encrypt with.
        n_threads: kept for TenSEAL's sake and written nowhere. The threads of the process share the work
            (HETORCH_NUM_THREADS, else all cores).
        data: the state of another context, in place of new keys.
        security: "128" or "he-standard-2018", a table that the parameters are held against. None asks the 2024 table
            first and then, with a LegacySecurityWarning, the one of 2018, which TenSEAL follows.

    Raises:
        ValueError: the parameters are wrong or not secure.
    """

    def __init__(
        self,
        scheme: SCHEME_TYPE | None = None,
        poly_modulus_degree: int | None = None,
        plain_modulus: int | None = None,
        coeff_mod_bit_sizes: Sequence[int] = [],
        encryption_type: ENCRYPTION_TYPE = ENCRYPTION_TYPE.ASYMMETRIC,
        n_threads: int | None = None,
        data: Any = None,
        *,
        security: Security | str | None = None,
    ) -> None:
        if data is not None:
            self.data = data
            return
        if scheme is SCHEME_TYPE.BFV:
            if plain_modulus is None:
                raise refusal(ValueError, "plain_modulus must be provided")
        elif scheme is not SCHEME_TYPE.CKKS:
            raise refusal(ValueError, "Invalid scheme type, use either SCHEME_TYPE.BFV or SCHEME_TYPE.CKKS")
        if not isinstance(encryption_type, ENCRYPTION_TYPE):
            raise _not_an_encryption_type(encryption_type)
        if not (isinstance(n_threads, int) and n_threads > 0):
            n_threads = os.cpu_count() or 1
        if scheme is SCHEME_TYPE.BFV:
            self.data = BfvContext.generate(
                poly_modulus_degree, plain_modulus, coeff_mod_bit_sizes, encryption_type, n_threads, security
            )
            return
        parameters = ckks_parameters(poly_modulus_degree, coeff_mod_bit_sizes, security)
        self.data = CkksContext.generate(parameters, encryption_type, n_threads)

    @property
    def data(self) -> Any:
        """The state that everything encrypted under this context shares."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, CkksContext | BfvContext):
            raise refusal(TypeError, f"value must be of type {CkksContext}", f"got {type(value).__name__}")
        self._data = value

    @classmethod
    def _wrap(cls, data: Any) -> Context:
        return cls(data=data)

    def copy(self) -> Context:
        """Return a context with the same keys; changes to one do not reach the other."""
        return self._wrap(self.data.copy())

    def __copy__(self) -> Context:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "cannot pickle 'Context' object: use serialize(), whose bytes hold the secret key only if asked, and "
            "context_from()"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Context:
        """Return the same copy for all objects that share this context."""
        if id(self.data) not in memo:
            memo[id(self.data)] = self.data.copy()
        return self._wrap(memo[id(self.data)])

    @classmethod
    def load(cls, data: bytes, n_threads: int | None = None) -> Context:
        """Return the context of `serialize`'s bytes, or of TenSEAL's; ValueError for other bytes."""
        return cls._wrap(load_state(data, n_threads))

    def serialize(
        self,
        save_public_key: bool = True,
        save_secret_key: bool = False,
        save_galois_keys: bool = True,
        save_relin_keys: bool = True,
    ) -> bytes:
        """Return TenSEAL's bytes of this context with the keys asked for; by default without the secret key."""
        return dump_state(
            self.data,
            switch_position(save_public_key, "serialize"),
            switch_position(save_secret_key, "serialize"),
            switch_position(save_galois_keys, "serialize"),
            switch_position(save_relin_keys, "serialize"),
        )

    @property
    def global_scale(self) -> float:
        """The scale of whatever is encrypted without one; ValueError until it is set."""
        return float(self.data.global_scale)

    @global_scale.setter
    def global_scale(self, value: float) -> None:
        self.data.global_scale = value

    @property
    def auto_mod_switch(self) -> bool:
        """True if operands of different levels are brought to the lower one."""
        return bool(self.data.auto_mod_switch)

    @auto_mod_switch.setter
    def auto_mod_switch(self, value: bool) -> None:
        self.data.auto_mod_switch = switch_position(value, "")

    @property
    def auto_relin(self) -> bool:
        """True if products are relinearised at once. As in TenSEAL, setting it in a public context changes nothing."""
        return bool(self.data.auto_relin)

    @auto_relin.setter
    def auto_relin(self, value: bool) -> None:
        position = switch_position(value, "")
        if self.is_private():
            self.data.auto_relin = position

    @property
    def auto_rescale(self) -> bool:
        """True if products are rescaled at once, which takes one level."""
        return bool(self.data.auto_rescale)

    @auto_rescale.setter
    def auto_rescale(self, value: bool) -> None:
        self.data.auto_rescale = switch_position(value, "")

    def has_galois_keys(self) -> bool:
        return bool(self.data.has_galois_keys())

    def galois_keys(self) -> GaloisKeys:
        return GaloisKeys(seal_objects.GaloisKeys(self.data.galois_keys(), self.data.seal))

    def generate_galois_keys(self, secret_key: SecretKey | None = None) -> None:
        """Make keys for rotations, from the context's secret key or from `secret_key`; ValueError without either."""
        self.data.generate_galois_keys(_secret_data(secret_key))

    def has_relin_keys(self) -> bool:
        return bool(self.data.has_relin_keys())

    def relin_keys(self) -> RelinKeys:
        return RelinKeys(seal_objects.RelinKeys(self.data.relin_keys(), self.data.seal))

    def generate_relin_keys(self, secret_key: SecretKey | None = None) -> None:
        """Make a key for products, from the context's secret key or from `secret_key`; ValueError without either."""
        self.data.generate_relin_keys(_secret_data(secret_key))

    def has_secret_key(self) -> bool:
        return bool(self.data.has_secret_key())

    def secret_key(self) -> SecretKey:
        return SecretKey(seal_objects.SecretKey(self.data.secret_key(), self.data.seal))

    def has_public_key(self) -> bool:
        return bool(self.data.has_public_key())

    def public_key(self) -> PublicKey:
        return PublicKey(seal_objects.PublicKey(self.data.public_key(), self.data.seal))

    def is_private(self) -> bool:
        return self.has_secret_key()

    def is_public(self) -> bool:
        return not self.has_secret_key()

    def seal_context(self) -> SEALContext:
        return SEALContext(seal_objects.SEALContext(self.data.parameters, self.data.seal))

    def encryptor(self) -> Encryptor:
        return Encryptor(self.data.encryptor())

    def decryptor(self) -> Decryptor:
        return Decryptor(self.data.decryptor())

    def make_context_public(
        self, generate_galois_keys: bool = False, generate_relin_keys: bool = False
    ) -> None:
        """Drop the secret key, after making the keys asked for; the rest may be sent to whoever computes."""
        self.data.make_public(
            switch_position(generate_galois_keys, "make_context_public"),
            switch_position(generate_relin_keys, "make_context_public"),
        )


def ckks_state(context: object, scale: object) -> CkksContext:
    """Return the state of a CKKS context to encrypt under at `scale`; TypeError or ValueError for anything else."""
    if not isinstance(context, Context):
        raise refusal(TypeError, "context must be a tenseal.Context")
    if not isinstance(context.data, CkksContext):
        raise not_ckks(context.data, scale)
    return context.data


def not_ckks(state: Any, scale: object = 0) -> Exception:
    """Return the error of encrypting at `scale`, or for None at the global one, under a BFV context."""
    if scale is None:
        _ = state.global_scale  # TenSEAL asks for it first
    return refusal(ValueError, "unsupported scheme", "a context of SCHEME_TYPE.CKKS is needed")


def _not_an_encryption_type(value: object) -> Exception:
    """Return TenSEAL's error, which comes from reading the value of a member of the enumeration."""
    advice = f"encryption_type must be an ENCRYPTION_TYPE, got {type(value).__name__}"
    if isinstance(value, Enum):
        return incompatible("new", advice)
    try:
        value.value  # type: ignore[attr-defined]  # noqa: B018  # the message is Python's own
    except AttributeError as error:
        return refusal(AttributeError, str(error), advice)
    return incompatible("new", advice)


def _secret_data(secret_key: object) -> Any:
    if secret_key is None:
        return None
    if not isinstance(secret_key, SecretKey):
        raise refusal(TypeError, f"incorrect type: {type(secret_key)} != SecretKey")
    return secret_key.data.native
