"""The state of a CKKS context: parameters, keys, scales and encryption, shared by all that is encrypted under it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import Ciphertext, Plaintext, PublicKey
from hetorch.engine.secret import SecretKey, encrypt_plaintext_with_public_key
from hetorch.errors import KeyMissingError, LevelError
from hetorch.interop.seal_format.parameters import SealParameters, seal_parameters
from hetorch.params import ParameterSet
from hetorch.tenseal.scheme.context_state import ContextState
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.scheme.errors import encoding_errors, refusal

RelinKey = _native.SwitchingKey
GaloisKeys = dict[int, _native.SwitchingKey]
"""Switching keys by Galois element."""


@dataclass(frozen=True, slots=True)
class Encryptor:
    """Encrypts under a context's public key, or under its secret one if encryption is symmetric."""

    context: CkksContext

    def encrypt(self, values: NDArray[np.float64], scale: float) -> Ciphertext:
        """Encrypt `values` (slot_count,) at the highest level."""
        return self.context.encrypt(values, scale)


@dataclass(frozen=True, slots=True)
class Decryptor:
    """Decrypts with a context's secret key."""

    context: CkksContext

    def decrypt(self, ciphertext: Ciphertext) -> NDArray[np.float64]:
        """Return the real parts of the slots, for the key holder alone."""
        return self.context.decrypt(ciphertext, self.context.secret_key())


def default_rotations(slot_count: int) -> list[int]:
    """Return the steps of SEAL's default Galois keys: plus and minus the powers of two below the slot count."""
    powers = [1 << k for k in range(slot_count.bit_length() - 1)]
    return [*powers, *(-power for power in powers)]


class CkksContext(ContextState[SecretKey, PublicKey, RelinKey, GaloisKeys]):
    """A CKKS context on hetorch's core.

    `log2_moduli` are the bits of the modulus at each level. With `noisy_switches` a key switch leaves so much noise,
    its special prime being far below the others, that it should meet products before their rescale.
    """

    scheme = SCHEME_TYPE.CKKS
    parameters: ParameterSet

    def __init__(self, parameters: ParameterSet, encryption_type: ENCRYPTION_TYPE, n_threads: int) -> None:
        super().__init__(parameters, encryption_type, n_threads)
        self.core = core_context(parameters)
        self._modulus_bits = math.prod(parameters.modulus_chain).bit_length()
        self.log2_moduli = tuple(itertools.accumulate(map(math.log2, parameters.modulus_chain)))
        self.noisy_switches = 2 * parameters.special_primes[0] < max(parameters.modulus_chain)
        self._evaluator: _native.Evaluator | None = None
        self._ladders: dict[float, tuple[float, ...]] = {}

    @classmethod
    def generate(
        cls, parameters: ParameterSet, encryption_type: ENCRYPTION_TYPE, n_threads: int
    ) -> CkksContext:
        """Return a context with new keys: secret, relinearisation, and a public one unless encryption is symmetric."""
        context = cls(parameters, encryption_type, n_threads)
        context._secret = SecretKey.generate(parameters)
        if encryption_type is ENCRYPTION_TYPE.ASYMMETRIC:
            context._public = context._secret.public_key(extended=True)
        context.generate_relin_keys()
        return context

    def copy(self) -> Self:
        other = super().copy()
        other._galois = None if self._galois is None else dict(self._galois)
        return other

    def equals(self, other: object) -> bool:
        """Return True if the parameters and the global scale are the same, and the keys not known to differ."""
        return self is other or (
            isinstance(other, CkksContext)
            and self.parameters == other.parameters
            and self._scale == other._scale
            and self.same_owner(other)
        )

    @property
    def seal(self) -> SealParameters:
        return seal_parameters(self.parameters)

    # Scales

    def scale_or_global(self, scale: float | None) -> float:
        """Return the scale to encrypt at: `scale`, or for None the global one; ValueError if the modulus forbids it."""
        size = self.global_scale if scale is None else scale
        # SEAL's bound (CKKSEncoder::encode): a scale has two bits less than the modulus.
        if not 0 < size < math.inf or int(math.log2(size)) + 1 >= self._modulus_bits:
            raise refusal(
                ValueError,
                "scale out of bounds",
                f"the scale is {size:g}, expected above 0 and below 2^{self._modulus_bits - 1}",
            )
        return size

    def ladder(self, scale: float) -> tuple[float, ...]:
        """Return the scale at each level of what began with `scale`: S_L = scale, S_(l-1) = S_l^2 / q_l.

        All results of automatic rescaling stay on this ladder, so that sums meet exactly (Kim, Papadimitriou and
        Polyakov, eprint 2020/1118): a product of two ciphertexts lands on it by itself, one with a plaintext because
        the plaintext is encoded at the scale that makes it so.
        """
        ladder = self._ladders.get(scale)
        if ladder is None:
            steps = [scale]
            for prime in reversed(self.parameters.modulus_chain[1:]):
                steps.append(steps[-1] * steps[-1] / prime)
            ladder = self._ladders[scale] = tuple(reversed(steps))
        return ladder

    # Keys

    def _new_galois_keys(self, secret: SecretKey) -> GaloisKeys:
        self._check_owner(secret)
        degree = self.parameters.ring_degree
        top = self.parameters.max_level
        elements = {galois_element(steps, degree, 3) for steps in default_rotations(degree // 2)} | {
            2 * degree - 1
        }
        spec = EvaluationKeySpec(None, tuple((element, top) for element in sorted(elements)))
        keys = secret.evaluation_keys(spec)
        return {element: keys.galois(element) for element in elements}

    def _new_relin_keys(self, secret: SecretKey) -> RelinKey:
        self._check_owner(secret)
        spec = EvaluationKeySpec(self.parameters.max_level, ())
        key = secret.evaluation_keys(spec).relinearisation
        assert key is not None
        return key

    def _key_bytes(self, key: SecretKey | PublicKey) -> bytes:
        if isinstance(key, SecretKey):
            return key.coefficients().tobytes()
        return np.ascontiguousarray(_native.public_key_rows(key)).tobytes()

    def _check_owner(self, secret: SecretKey) -> None:
        if secret.parameters != self.parameters:
            raise refusal(
                ValueError,
                "secret key is not valid for encryption parameters",
                "it was made under other parameters",
            )

    def set_galois_keys(self, keys: GaloisKeys | None) -> None:
        super().set_galois_keys(keys)
        self._evaluator = None

    def set_relin_keys(self, key: RelinKey | None) -> None:
        super().set_relin_keys(key)
        self._evaluator = None

    # Encryption

    def check_can_encrypt(self) -> None:
        """Raise ValueError if there is no key to encrypt with."""
        if self._secret is None and (
            self._public is None or self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC
        ):
            raise refusal(
                ValueError, "this context doesn't support encryption", "it holds no key to encrypt with"
            )

    def encrypt(self, values: NDArray[np.float64], scale: float) -> Ciphertext:
        """Encrypt `values` (slot_count,) at the highest level."""
        top = self.parameters.max_level
        with encoding_errors(values):
            plaintext = _native.encode(self.core, values.astype(np.complex128), top, scale)
        return self._encrypt(plaintext)

    def encrypt_constant(self, value: float, scale: float) -> Ciphertext:
        """Encrypt `value` in every slot, at the highest level: a constant polynomial, which needs no embedding."""
        coefficients = np.zeros(self.parameters.ring_degree)
        coefficients[0] = np.rint(value * scale)
        return self._encrypt(_native.lift(self.core, coefficients, self.parameters.max_level, scale))

    def _encrypt(self, plaintext: Plaintext) -> Ciphertext:
        # A private context encrypts with its secret key in both modes: the result serves everybody as well, has less
        # noise and takes half the time.
        if self._secret is not None:
            return self._secret.encrypt_plaintext(plaintext)
        self.check_can_encrypt()
        return encrypt_plaintext_with_public_key(self.parameters, self.public_key(), plaintext)

    def encryptor(self) -> Encryptor:
        """Return the context's encryptor; ValueError if there is no key to encrypt with."""
        self.check_can_encrypt()
        return Encryptor(self)

    def decryptor(self) -> Decryptor:
        """Return the context's decryptor; ValueError in a public context."""
        if not self.has_secret_key():
            raise refusal(ValueError, "this context doesn't support decryption")
        return Decryptor(self)

    # Evaluation

    @property
    def evaluator(self) -> _native.Evaluator:
        """The core's evaluator with the keys that the context holds now."""
        if self._evaluator is None:
            keys = _native.EvaluationKeys(self._relin, list((self._galois or {}).items()))
            self._evaluator = _native.Evaluator(self.core, keys)
        return self._evaluator

    def rotate(self, ciphertext: Ciphertext, steps: int) -> Ciphertext:
        """Rotate the slots to the left by `steps`, with as few of the keys at hand as powers of two allow.

        Raises:
            ValueError: the keys at hand do not add up to `steps`.
        """
        slots = self.parameters.slot_count
        steps %= slots
        if steps == 0:
            return ciphertext
        keys = self.galois_keys()
        degree = self.parameters.ring_degree
        if galois_element(steps, degree, 3) in keys:
            return self._rotate_once(ciphertext, steps)
        for step in _signed_powers(steps if steps <= slots // 2 else steps - slots):
            ciphertext = self._rotate_once(ciphertext, step % slots)
        return ciphertext

    def decrypt(self, ciphertext: Ciphertext, key: SecretKey) -> NDArray[np.float64]:
        """Return the real parts of the slots; ValueError if the ciphertext does not decrypt under `key`.

        Under another key, and where values have left the modulus, the coefficients are uniform modulo q: their root
        mean square is q / sqrt(12), and that of the real parts' share q / sqrt(24) = 0.204 q. A message that is read
        correctly has coefficients below q / 2, all of them, so that its root mean square is far below.
        """
        self._check_owner(key)
        slots = key.decrypt(ciphertext)
        size = math.sqrt(2 * float(slots @ slots)) / len(slots) / 2 * ciphertext.scale
        if not size < 0.17 * 2.0 ** self.log2_moduli[ciphertext.level]:
            raise refusal(
                ValueError,
                "the ciphertext does not decrypt under this key",
                "it was encrypted under another key, or its values have left the modulus; TenSEAL returns numbers "
                "without meaning here",
            )
        return slots

    def _rotate_once(self, ciphertext: Ciphertext, steps: int) -> Ciphertext:
        try:
            return self.evaluator.rotate(ciphertext, steps)
        except KeyMissingError as error:
            raise refusal(ValueError, "Galois key not present", str(error)) from None
        except LevelError as error:
            raise refusal(ValueError, "encrypted size must be 2", str(error)) from None


def _signed_powers(steps: int) -> list[int]:
    """Return `steps` as a sum of signed powers of two, no two neighbours: the fewest terms (NAF; Reitwiesner 1960)."""
    terms = []
    power = 1
    while steps:
        if steps & 1:
            digit = 2 - (steps & 3)
            terms.append(digit * power)
            steps -= digit
        steps >>= 1
        power <<= 1
    return terms
