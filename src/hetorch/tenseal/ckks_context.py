"""The state of a CKKS context: parameters, keys and switches, shared by all that is encrypted under it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import Ciphertext, Plaintext, PublicKey
from hetorch.engine.secret import SecretKey, encrypt_plaintext_with_public_key
from hetorch.errors import InputError, KeyMissingError, LevelError
from hetorch.params import ParameterSet
from hetorch.tenseal.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.errors import MissingKeyError
from hetorch.tenseal.operands import real_number


@dataclass(frozen=True, slots=True)
class Encryptor:
    """Encrypts under a context's public key, or its secret one if the encryption is symmetric."""

    context: CkksContext

    def encrypt(self, values: NDArray[np.float64], scale: float) -> Ciphertext:
        """`values` (slot_count,) at the highest level."""
        return self.context.encrypt(values, scale)


@dataclass(frozen=True, slots=True)
class Decryptor:
    """Decrypts with a context's secret key."""

    context: CkksContext

    def decrypt(self, ciphertext: Ciphertext) -> NDArray[np.float64]:
        """The real parts of the slots, for the key holder alone."""
        return self.context.secret_key().decrypt(ciphertext)


def default_rotations(slot_count: int) -> list[int]:
    """The steps of SEAL's default Galois keys: plus and minus the powers of two below the slot count."""
    powers = [1 << k for k in range(slot_count.bit_length() - 1)]
    return [*powers, *(-power for power in powers)]


class CkksContext:
    """Mutable, as TenSEAL's: keys come and go and switches turn. Not for use from several threads while it changes."""

    scheme = SCHEME_TYPE.CKKS

    def __init__(self, parameters: ParameterSet, encryption_type: ENCRYPTION_TYPE, n_threads: int) -> None:
        self.parameters = parameters
        self.encryption_type = encryption_type
        self.n_threads = n_threads
        self.core = core_context(parameters)
        self.auto_relin = True
        self.auto_rescale = True
        self.auto_mod_switch = True
        self._scale: float | None = None
        self._secret: SecretKey | None = None
        self._public: PublicKey | None = None
        self._relin: _native.SwitchingKey | None = None
        self._galois: dict[int, _native.SwitchingKey] | None = None
        self._evaluator: _native.Evaluator | None = None
        self._ladders: dict[float, tuple[float, ...]] = {}
        self.log2_moduli = tuple(itertools.accumulate(map(math.log2, parameters.modulus_chain)))
        """Bits of the modulus at each level."""
        self.noisy_switches = 2 * parameters.special_primes[0] < max(parameters.modulus_chain)
        """Whether a key switch leaves so much noise that it should meet products before their rescale."""

    @classmethod
    def generate(
        cls, parameters: ParameterSet, encryption_type: ENCRYPTION_TYPE, n_threads: int
    ) -> CkksContext:
        """A context with a new secret key, a public one unless encryption is symmetric, and a relinearisation key."""
        context = cls(parameters, encryption_type, n_threads)
        context._secret = SecretKey.generate(parameters)
        if encryption_type is ENCRYPTION_TYPE.ASYMMETRIC:
            context._public = context._secret.public_key(extended=True)
        context.generate_relin_keys()
        return context

    def copy(self) -> CkksContext:
        """The same keys and switches; later changes touch one of the two only."""
        other = CkksContext(self.parameters, self.encryption_type, self.n_threads)
        other.__dict__.update(self.__dict__)
        other._galois = None if self._galois is None else dict(self._galois)
        return other

    def equals(self, other: CkksContext) -> bool:
        """Whether ciphertexts of the two may meet: same parameters and global scale. Keys are not compared."""
        return self is other or (self.parameters == other.parameters and self._scale == other._scale)

    # Scales

    def has_global_scale(self) -> bool:
        return self._scale is not None

    @property
    def global_scale(self) -> float:
        """The scale of what is encoded without one; InputError (a ValueError) until it is set."""
        if self._scale is None:
            raise InputError("no global scale: set context.global_scale, or give a scale")
        return self._scale

    @global_scale.setter
    def global_scale(self, value: float) -> None:
        self._scale = _positive(real_number(value, "global_scale"))

    def scale_or_global(self, scale: float | None) -> float:
        """The scale of what is encrypted with the argument `scale`; InputError unless it is above 0 and finite."""
        return self.global_scale if scale is None else _positive(real_number(scale, "scale"))

    def ladder(self, scale: float) -> tuple[float, ...]:
        """The scale at each level of what began with `scale`: S_L = scale, S_(l-1) = S_l^2 / q_l.

        All that automatic rescaling makes stays on this ladder, so that sums meet exactly (Kim, Papadimitriou and
        Polyakov, eprint 2020/1118): a product of two ciphertexts by itself, one with a plaintext because the plaintext
        is encoded at the scale that makes it so.
        """
        found = self._ladders.get(scale)
        if found is None:
            steps = [scale]
            for prime in reversed(self.parameters.modulus_chain[1:]):
                steps.append(steps[-1] * steps[-1] / prime)
            found = self._ladders[scale] = tuple(reversed(steps))
        return found

    # Keys

    def has_galois_keys(self) -> bool:
        return self._galois is not None

    def galois_keys(self) -> dict[int, _native.SwitchingKey]:
        """The keys by Galois element; MissingKeyError without them."""
        if self._galois is None:
            raise MissingKeyError(
                "the current context doesn't hold a Galois keys: call generate_galois_keys() where the secret key is"
            )
        return self._galois

    def generate_galois_keys(self, secret_key: SecretKey | None = None) -> None:
        """Keys for rotations by plus and minus the powers of two, and for conjugation: SEAL's default ones."""
        degree = self.parameters.ring_degree
        top = self.parameters.max_level
        elements = {galois_element(steps, degree, 3) for steps in default_rotations(degree // 2)} | {
            2 * degree - 1
        }
        spec = EvaluationKeySpec(None, tuple((element, top) for element in sorted(elements)))
        keys = self._key_maker(secret_key).evaluation_keys(spec)
        self.set_galois_keys({element: keys.galois(element) for element in elements})

    def set_galois_keys(self, keys: dict[int, _native.SwitchingKey] | None) -> None:
        """Take keys made elsewhere."""
        self._galois = keys
        self._evaluator = None

    def has_relin_keys(self) -> bool:
        return self._relin is not None

    def relin_keys(self) -> _native.SwitchingKey:
        """The relinearisation key; MissingKeyError without it."""
        if self._relin is None:
            raise MissingKeyError(
                "the current context doesn't hold Relinearization keys: call generate_relin_keys() where the secret "
                "key is"
            )
        return self._relin

    def generate_relin_keys(self, secret_key: SecretKey | None = None) -> None:
        """A new relinearisation key."""
        spec = EvaluationKeySpec(self.parameters.max_level, ())
        self.set_relin_keys(self._key_maker(secret_key).evaluation_keys(spec).relinearisation)

    def set_relin_keys(self, key: _native.SwitchingKey | None) -> None:
        """Take a key made elsewhere."""
        self._relin = key
        self._evaluator = None

    def has_secret_key(self) -> bool:
        return self._secret is not None

    def secret_key(self) -> SecretKey:
        """The secret key; MissingKeyError in a public context."""
        if self._secret is None:
            raise MissingKeyError("the current context is public, it doesn't hold a Secret key")
        return self._secret

    def set_secret_key(self, key: SecretKey | None) -> None:
        """Take or drop the secret key."""
        self._secret = key

    def has_public_key(self) -> bool:
        self._check_asymmetric("has_public_key")
        return self._public is not None

    def public_key(self) -> PublicKey:
        """The public key; InputError if the encryption is symmetric, MissingKeyError without one."""
        self._check_asymmetric("public_key")
        if self._public is None:
            raise MissingKeyError("the current context doesn't hold a public key")
        return self._public

    def set_public_key(self, key: PublicKey | None) -> None:
        """Take a key made elsewhere."""
        self._public = key

    def make_public(self, generate_galois_keys: bool, generate_relin_keys: bool) -> None:
        """Drop the secret key; nothing else that this context holds tells it."""
        if self._secret is None:
            return
        self._check_asymmetric("make_context_public")
        if generate_galois_keys and self._galois is None:
            self.generate_galois_keys()
        if generate_relin_keys and self._relin is None:
            self.generate_relin_keys()
        self._secret = None

    def _key_maker(self, secret_key: SecretKey | None) -> SecretKey:
        if secret_key is None:
            if self._secret is None:
                raise MissingKeyError("you need to provide a secret_key: this context is public")
            return self._secret
        if secret_key.parameters != self.parameters:
            raise InputError("the secret key was made under other parameters")
        return secret_key

    def _check_asymmetric(self, what: str) -> None:
        if self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC:
            raise InputError(f"{what} is not supported for symmetric encryption")

    # Encryption

    def check_can_encrypt(self) -> None:
        """MissingKeyError if there is no key to encrypt with."""
        if self._secret is None and (
            self._public is None or self.encryption_type is ENCRYPTION_TYPE.SYMMETRIC
        ):
            raise MissingKeyError("this context doesn't support encryption: it holds no key for it")

    def encrypt(self, values: NDArray[np.float64], scale: float) -> Ciphertext:
        """`values` (slot_count,) at the highest level."""
        top = self.parameters.max_level
        return self._encrypt(_native.encode(self.core, values.astype(np.complex128), top, scale))

    def encrypt_constant(self, value: float, scale: float) -> Ciphertext:
        """`value` in every slot, at the highest level: a constant polynomial, without an embedding."""
        coefficients = np.zeros(self.parameters.ring_degree)
        if not scale > 0 or not math.isfinite(scale):
            raise LevelError(f"scale out of bounds: {scale}")
        coefficients[0] = np.rint(value * scale)
        return self._encrypt(_native.lift(self.core, coefficients, self.parameters.max_level, scale))

    def _encrypt(self, plaintext: Plaintext) -> Ciphertext:
        # Who has the secret key encrypts with it, in both modes: the result is as good for everybody else, has less
        # noise and takes half the time.
        if self._secret is not None:
            return self._secret.encrypt_plaintext(plaintext)
        self.check_can_encrypt()
        return encrypt_plaintext_with_public_key(self.parameters, self.public_key(), plaintext)

    def encryptor(self) -> Encryptor:
        """MissingKeyError if there is no key to encrypt with."""
        self.check_can_encrypt()
        return Encryptor(self)

    def decryptor(self) -> Decryptor:
        """MissingKeyError in a public context."""
        self.secret_key()
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
        """Slots to the left by `steps`, with as few of the keys at hand as powers of two allow.

        MissingKeyError if the keys do not reach.
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

    def _rotate_once(self, ciphertext: Ciphertext, steps: int) -> Ciphertext:
        try:
            return self.evaluator.rotate(ciphertext, steps)
        except KeyMissingError as error:
            raise MissingKeyError(str(error)) from None


def _positive(scale: float) -> float:
    if not scale > 0 or not math.isfinite(scale):
        raise InputError(f"invalid scale value: {scale}, expected above 0: scale out of bounds")
    return scale


def _signed_powers(steps: int) -> list[int]:
    """`steps` as a sum of signed powers of two, no two neighbours: the fewest terms (NAF; Reitwiesner 1960)."""
    found = []
    power = 1
    while steps:
        if steps & 1:
            digit = 2 - (steps & 3)
            found.append(digit * power)
            steps -= digit
        steps >>= 1
        power <<= 1
    return found
