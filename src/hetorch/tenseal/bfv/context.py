"""The state of a BFV context: seal-python's parameters, keys, encoder and evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.interop.seal_format import SealParameters
from hetorch.params import Security
from hetorch.tenseal.bfv.seal_python import library, saved
from hetorch.tenseal.scheme.arguments import bit_sizes_of, whole_number
from hetorch.tenseal.scheme.context_state import ContextState
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.scheme.errors import refusal
from hetorch.tenseal.scheme.security import check_security


class BfvContext(ContextState[Any, Any, Any, Any]):
    """A BFV context on seal-python, whose objects its keys are. Values are integers modulo the plain modulus, nearest
    to zero. The state's `parameters` are a SEALContext.

    Args:
        parameters: seal-python's EncryptionParameters.
        security: the table to ask, as in `check_security`.

    Raises:
        ValueError: SEAL refuses the parameters.
        SecurityError: they are below the security asked for.
    """

    scheme = SCHEME_TYPE.BFV

    def __init__(
        self,
        parameters: Any,
        encryption_type: ENCRYPTION_TYPE,
        n_threads: int,
        security: Security | str | None = None,
    ) -> None:
        seal = library()
        super().__init__(seal.SEALContext(parameters), encryption_type, n_threads)
        self.plain_modulus = int(parameters.plain_modulus().value())
        if not self.parameters.parameters_set():
            raise refusal(
                ValueError,
                "encryption parameters are not set correctly",
                self.parameters.parameter_error_message(),
            )
        self.ring_degree = int(parameters.poly_modulus_degree())
        self.primes = tuple(int(prime.value()) for prime in parameters.coeff_modulus())
        check_security(self.ring_degree, self.primes, security)
        self._encoder: Any = None
        # The secret keys last used, each with its encryptor or decryptor.
        self._symmetric: tuple[Any, Any] | None = None
        self._reader: tuple[Any, Any] | None = None
        self.evaluator = seal.Evaluator(self.parameters)

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
        """Return a context with new keys; SEAL's own primes for the ring if there are no bit sizes.

        Raises:
            ValueError, RuntimeError: SEAL refuses the parameters.
            SecurityError: they are below the security asked for.
            TypeError: an argument is no int.
        """
        seal = library()
        degree = whole_number(poly_modulus_degree, "new", 64)
        modulus = whole_number(plain_modulus, "new", 64)
        sizes = bit_sizes_of(coeff_mod_bit_sizes)
        parameters = seal.EncryptionParameters(seal.scheme_type.bfv)
        parameters.set_poly_modulus_degree(degree)
        parameters.set_plain_modulus(modulus)
        parameters.set_coeff_modulus(
            seal.CoeffModulus.Create(degree, sizes) if sizes else seal.CoeffModulus.BFVDefault(degree)
        )
        context = cls(parameters, encryption_type, n_threads, security)
        generator = seal.KeyGenerator(context.parameters)
        context._secret = generator.secret_key()
        if encryption_type is ENCRYPTION_TYPE.ASYMMETRIC:
            context._public = generator.create_public_key()
        context.generate_relin_keys()
        return context

    def equals(self, other: object) -> bool:
        """Return True if the parameters are the same, and the keys not known to differ."""
        return self is other or (
            isinstance(other, BfvContext) and self.seal == other.seal and self.same_owner(other)
        )

    @property
    def seal(self) -> SealParameters:
        return SealParameters(self.scheme.value, self.ring_degree, self.primes, self.plain_modulus)

    @property
    def encoder(self) -> Any:
        """seal-python's encoder; ValueError if the plain modulus allows no packing of integers into slots."""
        if self._encoder is None:
            try:
                self._encoder = library().BatchEncoder(self.parameters)
            except (RuntimeError, ValueError) as error:
                raise refusal(
                    ValueError, str(error), "plain_modulus must be a prime = 1 mod 2 * poly_modulus_degree"
                ) from None
        return self._encoder

    @property
    def slot_count(self) -> int:
        """The integers in one ciphertext: N, in two rows of N/2."""
        return int(self.encoder.slot_count())

    # Keys

    def make_public(self, generate_galois_keys: bool, generate_relin_keys: bool) -> None:
        super().make_public(generate_galois_keys, generate_relin_keys)
        self._symmetric = self._reader = None

    def _new_galois_keys(self, secret: Any) -> Any:
        return library().KeyGenerator(self.parameters, secret).create_galois_keys()

    def _new_relin_keys(self, secret: Any) -> Any:
        return library().KeyGenerator(self.parameters, secret).create_relin_keys()

    def _key_bytes(self, key: Any) -> bytes:
        return saved(key)

    # Encryption

    def encryptor(self) -> Any:
        """Return seal-python's encryptor; ValueError without a key to encrypt with."""
        seal = library()
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            return seal.Encryptor(self.parameters, self.secret_key())
        return seal.Encryptor(self.parameters, self.public_key())

    def decryptor(self) -> Any:
        """Return seal-python's decryptor; ValueError in a public context."""
        return library().Decryptor(self.parameters, self.secret_key())

    def encode(self, values: NDArray[np.int64]) -> Any:
        """Encode up to slot_count integers, taken modulo the plain modulus; the other slots hold 0."""
        t = self.plain_modulus
        centred = (np.asarray(values, dtype=np.int64) + t // 2) % t - t // 2
        # seal-python reads an array's memory without its strides.
        return self.encoder.encode(np.ascontiguousarray(centred))

    def encode_constant(self, value: int) -> Any:
        """Encode `value` modulo the plain modulus in all slots: a constant polynomial, which needs no transform."""
        self.encoder  # noqa: B018  # refuses a plain modulus without slots
        return library().Plaintext(f"{value % self.plain_modulus:X}")

    def encrypt(self, values: NDArray[np.int64]) -> Any:
        """Encrypt up to slot_count integers."""
        return self.encrypt_plain(self.encode(values))

    def encrypt_plain(self, plain: Any) -> Any:
        """Encrypt an encoded polynomial.

        A private context encrypts with its secret key in both modes, as under CKKS: the result serves everybody as
        well, has less noise and takes less time.
        """
        if self._secret is not None:
            if self._symmetric is None or self._symmetric[0] is not self._secret:
                self._symmetric = self._secret, library().Encryptor(self.parameters, self._secret)
            return self._symmetric[1].encrypt_symmetric(plain)
        return self.encryptor().encrypt(plain)

    def decrypt(self, ciphertext: Any, secret_key: Any) -> NDArray[np.int64]:
        """Return the integers in all slots; ValueError if no noise budget is left, as under another key."""
        if not isinstance(secret_key, library().SecretKey):
            raise refusal(
                ValueError,
                "secret key is not valid for encryption parameters",
                "it is of another scheme",
            )
        if self._reader is None or self._reader[0] is not secret_key:
            self._reader = secret_key, library().Decryptor(self.parameters, secret_key)
        decryptor = self._reader[1]
        if decryptor.invariant_noise_budget(ciphertext) == 0:
            raise refusal(
                ValueError,
                "the ciphertext does not decrypt: its noise budget is 0",
                "it took more products than the primes of the context allow, or was encrypted under another key; "
                "TenSEAL returns numbers without meaning here",
            )
        plain = decryptor.decrypt(ciphertext)
        return np.asarray(self.encoder.decode(plain), dtype=np.int64)
