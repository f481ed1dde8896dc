"""The state of a BFV context: seal-python's objects behind the same methods as a CKKS context's."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, ParameterError, WireError
from hetorch.interop.seal_format import SealParameters
from hetorch.interop.seal_format.members import ciphertext_limit, members_bytes
from hetorch.interop.seal_format.stream import Bytes
from hetorch.interop.seal_format.switching_keys import keys_limit
from hetorch.interop.tenseal_format import ContextMessage, PrivateMessage
from hetorch.params import Security
from hetorch.tenseal.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.errors import MissingKeyError, OperandTypeError
from hetorch.tenseal.parameters import check_security, ring_degree_of
from hetorch.tenseal.seal_python import library, loaded, saved

_MOST_PARTS = 16
"""Polynomials of a ciphertext that was multiplied without relinearisation: SEAL's bound (SEAL_CIPHERTEXT_SIZE_MAX)."""


class BfvContext:
    """Mutable, as TenSEAL's. Values are integers modulo the plain modulus, taken nearest to zero."""

    scheme = SCHEME_TYPE.BFV

    def __init__(
        self,
        parameters: Any,
        encryption_type: ENCRYPTION_TYPE,
        n_threads: int,
        security: Security | str | None = None,
    ) -> None:
        seal = library()
        self.encryption_type = encryption_type
        self.n_threads = n_threads
        self.auto_relin = True
        self.auto_rescale = True
        self.auto_mod_switch = True
        self._encryption_parameters = parameters
        self._plain_modulus = int(parameters.plain_modulus().value())
        self.parameters = seal.SEALContext(parameters)
        if not self.parameters.parameters_set():
            raise ParameterError(
                f"encryption parameters are not set correctly: {self.parameters.parameter_error_message()}"
            )
        self._ring_degree = int(parameters.poly_modulus_degree())
        self._primes = tuple(int(prime.value()) for prime in parameters.coeff_modulus())
        check_security(self._ring_degree, self._primes, security)
        try:
            self.encoder = seal.BatchEncoder(self.parameters)
        except (RuntimeError, ValueError) as error:
            raise ParameterError(
                f"{error}: plain_modulus must be a prime = 1 mod 2 * poly_modulus_degree"
            ) from None
        self.evaluator = seal.Evaluator(self.parameters)
        self._secret: Any = None
        self._public: Any = None
        self._relin: Any = None
        self._galois: Any = None
        self._scale: float | None = None

    @classmethod
    def generate(
        cls,
        poly_modulus_degree: object,
        plain_modulus: object,
        coeff_mod_bit_sizes: Sequence[int],
        encryption_type: ENCRYPTION_TYPE,
        n_threads: int,
        security: Security | str | None = None,
    ) -> BfvContext:
        """New keys under these parameters; without bit sizes SEAL's own for the ring. ValueError for wrong ones, and
        for what `security` does not allow."""
        seal = library()
        degree = ring_degree_of(poly_modulus_degree)
        try:
            modulus = operator.index(plain_modulus)  # type: ignore[arg-type]  # that it may not be one is the point
        except TypeError:
            raise OperandTypeError(
                f"plain_modulus must be an int, got {type(plain_modulus).__name__}"
            ) from None
        parameters = seal.EncryptionParameters(seal.scheme_type.bfv)
        try:
            parameters.set_poly_modulus_degree(degree)
            parameters.set_plain_modulus(modulus)
            primes = (
                seal.CoeffModulus.Create(degree, list(coeff_mod_bit_sizes))
                if coeff_mod_bit_sizes
                else seal.CoeffModulus.BFVDefault(degree)
            )
            parameters.set_coeff_modulus(primes)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ParameterError(f"BFV parameters: {error}") from None
        context = cls(parameters, encryption_type, n_threads, security)
        maker = seal.KeyGenerator(context.parameters)
        context._secret = maker.secret_key()
        if encryption_type is ENCRYPTION_TYPE.ASYMMETRIC:
            context._public = maker.create_public_key()
        context.generate_relin_keys()
        return context

    def copy(self) -> BfvContext:
        """The same keys and switches; later changes touch one of the two only."""
        other = object.__new__(BfvContext)
        other.__dict__.update(self.__dict__)
        return other

    def equals(self, other: object) -> bool:
        """Whether ciphertexts of the two may meet: the same parameters."""
        return isinstance(other, BfvContext) and (
            self is other or list(self.parameters.first_parms_id()) == list(other.parameters.first_parms_id())
        )

    @property
    def slot_count(self) -> int:
        """Integers in one ciphertext: N, in two rows of N/2."""
        return int(self.encoder.slot_count())

    def has_global_scale(self) -> bool:
        return self._scale is not None

    @property
    def global_scale(self) -> float:
        """BFV has no scale: it is kept if set, and changes nothing."""
        if self._scale is None:
            raise InputError("no global scale")
        return self._scale

    @global_scale.setter
    def global_scale(self, value: float) -> None:
        if not value > 0:
            raise InputError(f"invalid scale value: {value}, expected above 0")
        self._scale = float(value)

    # Keys

    def has_galois_keys(self) -> bool:
        return self._galois is not None

    def galois_keys(self) -> Any:
        """seal-python's keys; MissingKeyError without them."""
        if self._galois is None:
            raise MissingKeyError(
                "the current context doesn't hold a Galois keys: call generate_galois_keys()"
            )
        return self._galois

    def generate_galois_keys(self, secret_key: Any = None) -> None:
        """SEAL's default keys, for all rotations."""
        self._galois = self._maker(secret_key).create_galois_keys()

    def has_relin_keys(self) -> bool:
        return self._relin is not None

    def relin_keys(self) -> Any:
        """seal-python's key; MissingKeyError without it."""
        if self._relin is None:
            raise MissingKeyError(
                "the current context doesn't hold Relinearization keys: call generate_relin_keys()"
            )
        return self._relin

    def generate_relin_keys(self, secret_key: Any = None) -> None:
        """A new relinearisation key."""
        self._relin = self._maker(secret_key).create_relin_keys()

    def has_secret_key(self) -> bool:
        return self._secret is not None

    def secret_key(self) -> Any:
        """seal-python's key; MissingKeyError in a public context."""
        if self._secret is None:
            raise MissingKeyError("the current context is public, it doesn't hold a Secret key")
        return self._secret

    def has_public_key(self) -> bool:
        self._check_asymmetric("has_public_key")
        return self._public is not None

    def public_key(self) -> Any:
        """seal-python's key; InputError if the encryption is symmetric."""
        self._check_asymmetric("public_key")
        if self._public is None:
            raise MissingKeyError("the current context doesn't hold a public key")
        return self._public

    def make_public(self, generate_galois_keys: bool, generate_relin_keys: bool) -> None:
        """Drop the secret key, after making the keys asked for."""
        if self._secret is None:
            return
        self._check_asymmetric("make_context_public")
        if generate_galois_keys and self._galois is None:
            self.generate_galois_keys()
        if generate_relin_keys and self._relin is None:
            self.generate_relin_keys()
        self._secret = None

    def _maker(self, secret_key: Any) -> Any:
        key = self._secret if secret_key is None else secret_key
        if key is None:
            raise MissingKeyError("you need to provide a secret_key: this context is public")
        return library().KeyGenerator(self.parameters, key)

    def _check_asymmetric(self, what: str) -> None:
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            raise InputError(f"{what} is not supported for symmetric encryption")

    # Encryption

    def encryptor(self) -> Any:
        """seal-python's encryptor; MissingKeyError without a key to encrypt with."""
        seal = library()
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            return seal.Encryptor(self.parameters, self.secret_key())
        return seal.Encryptor(self.parameters, self.public_key())

    def decryptor(self) -> Any:
        """seal-python's decryptor; MissingKeyError in a public context."""
        return library().Decryptor(self.parameters, self.secret_key())

    def encode(self, values: NDArray[np.int64]) -> Any:
        """Up to slot_count integers as a plaintext, taken modulo the plain modulus; the other slots 0."""
        t = self._plain_modulus
        centred = (np.asarray(values, dtype=np.int64) + t // 2) % t - t // 2
        # seal-python reads an array's memory without its strides.
        return self.encoder.encode(np.ascontiguousarray(centred))

    def encrypt(self, values: NDArray[np.int64]) -> Any:
        """Up to slot_count integers."""
        plain = self.encode(values)
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            return self.encryptor().encrypt_symmetric(plain)
        return self.encryptor().encrypt(plain)

    def decrypt(self, ciphertext: Any, secret_key: Any) -> NDArray[np.int64]:
        """All slots."""
        plain = library().Decryptor(self.parameters, secret_key).decrypt(ciphertext)
        return np.asarray(self.encoder.decode(plain), dtype=np.int64)

    # Bytes

    @classmethod
    def load(cls, message: ContextMessage, seal_parameters: SealParameters, n_threads: int) -> BfvContext:
        """From TenSEAL's message; WireError (a ValueError) for keys that do not fit the parameters."""
        from hetorch.tenseal.serialisation import encryption_type_of, set_switches

        parameters = library().EncryptionParameters(library().scheme_type.bfv)
        try:
            parameters.load_bytes(seal_parameters.dump())
        except (RuntimeError, ValueError) as error:
            raise WireError(f"SEAL's parameters of degree {seal_parameters.ring_degree}: {error}") from None
        context = cls(parameters, encryption_type_of(message), n_threads)
        set_switches(context, message)
        if message.global_scale > 0:
            context.global_scale = message.global_scale

        degree, primes = context._ring_degree, context._primes

        def read(loader: str, data: Any, what: str, limit: int) -> Any:
            return loaded(context.parameters, loader, bytes(data), what, limit) if len(data) else None

        def read_keys(loader: str, data: Any, what: str, places: int) -> Any:
            return read(loader, data, what, keys_limit(primes, degree, len(data), places))

        one, pair = (members_bytes(parts, len(primes), degree) for parts in (1, 2))
        context._public = read("from_public_str", message.public_key, "the public key", pair)
        if message.private is None:
            context._relin = read_keys("from_relin_str", message.relin_keys, "the relinearisation key", 1)
            context._galois = read_keys("from_galois_str", message.galois_keys, "the Galois keys", degree)
            return context
        context._secret = read("from_secret_str", message.private.secret_key, "the secret key", one)
        if context._secret is not None and message.private.relin_keys_generated:
            context.generate_relin_keys()
        if context._secret is not None and message.private.galois_keys_generated:
            context.generate_galois_keys()
        return context

    def load_ciphertext(self, data: Bytes) -> Any:
        """seal-python's ciphertext; WireError for what is none of this context."""
        limit = ciphertext_limit(len(data), _MOST_PARTS, self._primes, self._ring_degree)
        return loaded(self.parameters, "from_cipher_str", bytes(data), "a ciphertext", limit)

    def dump(
        self, save_public_key: bool, save_secret_key: bool, save_galois_keys: bool, save_relin_keys: bool
    ) -> bytes:
        """TenSEAL's message with the keys asked for, those that there are."""
        from hetorch.tenseal.serialisation import switches_of

        public = saved(self._public) if save_public_key and self._public is not None else b""
        private = None
        relin = galois = b""
        if save_secret_key and self._secret is not None:
            private = PrivateMessage(
                saved(self._secret),
                save_relin_keys and self.has_relin_keys(),
                save_galois_keys and self.has_galois_keys(),
            )
        else:
            relin = saved(self._relin) if save_relin_keys and self._relin is not None else b""
            galois = saved(self._galois) if save_galois_keys and self._galois is not None else b""
        return ContextMessage(
            SealParameters(
                SCHEME_TYPE.BFV.value,
                self._encryption_parameters.poly_modulus_degree(),
                tuple(prime.value() for prime in self._encryption_parameters.coeff_modulus()),
                self._plain_modulus,
            ).dump(),
            public,
            switches_of(self),
            -1.0 if self._scale is None else self._scale,
            relin,
            galois,
            private,
            self.encryption_type.value,
        ).dump()
