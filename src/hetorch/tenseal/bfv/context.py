"""The state of a BFV context: seal-python's parameters, keys, encoder and evaluator."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import ParameterError
from hetorch.params import Security
from hetorch.tenseal.bfv.seal_python import library
from hetorch.tenseal.scheme.arguments import ring_degree_of
from hetorch.tenseal.scheme.context_state import ContextState
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.scheme.errors import OperandTypeError
from hetorch.tenseal.scheme.security import check_security


class BfvContext(ContextState[Any, Any, Any, Any]):
    """A BFV context on seal-python, whose objects its keys are. Values are integers modulo the plain modulus, nearest
    to zero. The state's `parameters` are a SEALContext.

    Args:
        parameters: seal-python's EncryptionParameters.
        security: the table to ask, as in `check_security`.

    Raises:
        ParameterError: SEAL refuses the parameters, or they are below the security asked for.
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
            raise ParameterError(
                f"encryption parameters are not set correctly: {self.parameters.parameter_error_message()}"
            )
        self.ring_degree = int(parameters.poly_modulus_degree())
        self.primes = tuple(int(prime.value()) for prime in parameters.coeff_modulus())
        check_security(self.ring_degree, self.primes, security)
        try:
            self.encoder = seal.BatchEncoder(self.parameters)
        except (RuntimeError, ValueError) as error:
            raise ParameterError(
                f"{error}: plain_modulus must be a prime = 1 mod 2 * poly_modulus_degree"
            ) from None
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
            ParameterError: SEAL refuses the parameters, or they are below the security asked for.
            OperandTypeError: the degree or the plain modulus is no int.
        """
        seal = library()
        degree = ring_degree_of(poly_modulus_degree)
        try:
            modulus = operator.index(plain_modulus)  # type: ignore[arg-type]  # the call tests whether it is one
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
        generator = seal.KeyGenerator(context.parameters)
        context._secret = generator.secret_key()
        if encryption_type is ENCRYPTION_TYPE.ASYMMETRIC:
            context._public = generator.create_public_key()
        context.generate_relin_keys()
        return context

    def equals(self, other: object) -> bool:
        """Return True if the parameters are the same."""
        return isinstance(other, BfvContext) and (
            self is other or list(self.parameters.first_parms_id()) == list(other.parameters.first_parms_id())
        )

    @property
    def slot_count(self) -> int:
        """The integers in one ciphertext: N, in two rows of N/2."""
        return int(self.encoder.slot_count())

    # Keys

    def _new_galois_keys(self, secret: Any) -> Any:
        return library().KeyGenerator(self.parameters, secret).create_galois_keys()

    def _new_relin_keys(self, secret: Any) -> Any:
        return library().KeyGenerator(self.parameters, secret).create_relin_keys()

    # Encryption

    def encryptor(self) -> Any:
        """Return seal-python's encryptor; MissingKeyError without a key to encrypt with."""
        seal = library()
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            return seal.Encryptor(self.parameters, self.secret_key())
        return seal.Encryptor(self.parameters, self.public_key())

    def decryptor(self) -> Any:
        """Return seal-python's decryptor; MissingKeyError in a public context."""
        return library().Decryptor(self.parameters, self.secret_key())

    def encode(self, values: NDArray[np.int64]) -> Any:
        """Encode up to slot_count integers, taken modulo the plain modulus; the other slots hold 0."""
        t = self.plain_modulus
        centred = (np.asarray(values, dtype=np.int64) + t // 2) % t - t // 2
        # seal-python reads an array's memory without its strides.
        return self.encoder.encode(np.ascontiguousarray(centred))

    def encrypt(self, values: NDArray[np.int64]) -> Any:
        """Encrypt up to slot_count integers."""
        plain = self.encode(values)
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            return self.encryptor().encrypt_symmetric(plain)
        return self.encryptor().encrypt(plain)

    def decrypt(self, ciphertext: Any, secret_key: Any) -> NDArray[np.int64]:
        """Return the integers in all slots."""
        plain = library().Decryptor(self.parameters, secret_key).decrypt(ciphertext)
        return np.asarray(self.encoder.decode(plain), dtype=np.int64)
