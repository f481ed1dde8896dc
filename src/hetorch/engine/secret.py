"""The data owner's side: key generation, encryption and decryption. No server may import this module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native, _secret
from hetorch.engine.codec import collect_keys
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, KeyEnd, KeyLink, SparseSecret, all_links
from hetorch.engine.native import Slots, slot_values
from hetorch.engine.random import SEED_BYTES, keystream, random_seed, wipe
from hetorch.engine.sharing import Sharing
from hetorch.engine.uniform import uniform_pieces
from hetorch.errors import InputError, LevelError, ParameterError
from hetorch.params import ParameterSet

# Random bytes that the core takes for each coefficient (cpp/ring/sample.h).
_TERNARY_BYTES = 8
_GAUSSIAN_BYTES = 8
_SPARSE_BYTES = 24

UniformSource = Callable[[int, int], bytes | Iterator[bytes]]
"""A function of (index, length) that returns the bytes of a uniform polynomial: 16 for each residue, row by row
(cpp/ring/sample.h)."""


def flood(values: NDArray[np.float64], sharing: Sharing) -> NDArray[np.float64]:
    """Add Gaussian noise of standard deviation `sharing.noise_std(values.size)` to `values` (noise flooding).

    Decrypted CKKS values have an error that depends on the secret key, so only flooded ones may leave the key holder.
    The seed of the noise comes from the operating system.
    """
    count = values.size
    words = np.frombuffer(keystream(random_seed(), 16 * count, domain=b"flood"), dtype="<u8").reshape(
        2, count
    )
    # Box-Muller on the middles of 2^53 equal intervals of (0, 1).
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    normal = np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1])
    noise: NDArray[np.float64] = sharing.noise_std(count) * normal.reshape(values.shape)
    return values + noise


class SecretKey:
    """A dense ternary secret key. It is expanded from a 32-byte seed, so only the seed must be kept.

    Objects are immutable, and many threads may use one.
    """

    def __init__(self, parameters: ParameterSet, core: _secret.SecretKey, seed: bytes | None) -> None:
        self.parameters = parameters
        self._context = core_context(parameters)
        self._core = core
        self._seed = seed

    @classmethod
    def generate(cls, parameters: ParameterSet, seed: bytes | None = None) -> SecretKey:
        """Return a new key, or the key of `seed` (32 secret bytes)."""
        seed = random_seed() if seed is None else bytes(bytearray(seed))  # a copy of its own, to be wiped
        random = keystream(seed, parameters.ring_degree * _TERNARY_BYTES, domain=b"secret key")
        core = _secret.SecretKey(core_context(parameters), random)
        wipe(random)
        return cls(parameters, core, seed)

    @classmethod
    def from_coefficients(cls, parameters: ParameterSet, coefficients: NDArray[np.int8]) -> SecretKey:
        """Return the key with these `ring_degree` coefficients, each -1, 0 or 1. It has no seed."""
        array = np.asarray(coefficients)
        # np.isin would look integers up in a table, and nothing may be indexed by a secret.
        ternary = (array == -1) | (array == 0) | (array == 1)
        if array.shape != (parameters.ring_degree,) or not np.all(ternary):
            raise InputError(f"a secret key has {parameters.ring_degree} coefficients, each -1, 0 or 1")
        array = np.ascontiguousarray(array, dtype=np.int8)
        return cls(parameters, _secret.SecretKey.from_coefficients(core_context(parameters), array), None)

    @classmethod
    def from_rows(cls, parameters: ParameterSet, rows: NDArray[np.uint64]) -> SecretKey:
        """Return the key with these residues. It has no seed.

        Args:
            parameters: the parameters of the key.
            rows: (primes, ring_degree), the residues over all primes, the special ones last, in the NTT domain and the
                core's order.

        Raises:
            InputError: a coefficient of the key is not -1, 0 or 1.
        """
        array = np.ascontiguousarray(rows, dtype=np.uint64)
        try:
            return cls(parameters, _secret.SecretKey.from_rows(core_context(parameters), array), None)
        except ParameterError as error:
            raise InputError(str(error)) from None

    def coefficients(self) -> NDArray[np.int8]:
        """Return the `ring_degree` coefficients, each -1, 0 or 1: the key itself, in clear."""
        return np.asarray(self._core.coefficients(self._context))

    def __repr__(self) -> str:
        return f"SecretKey(N=2^{self.parameters.ring_degree.bit_length() - 1}, secret)"

    def __reduce__(self) -> str:
        raise TypeError("a secret key is never pickled; keep its seed in a vault")

    def wipe(self) -> None:
        """Overwrite the seed, and drop the expanded key, which is overwritten when its last use ends. The object cannot
        be used again."""
        self._wipe_seed()
        del self._core

    def __del__(self, ends: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ends():  # then the modules that overwrite it are gone, and so is the memory
            self._wipe_seed()

    def _wipe_seed(self) -> None:
        seed, self._seed = getattr(self, "_seed", None), None
        if seed is not None:
            wipe(seed)

    @property
    def seed(self) -> bytes:
        """The 32 bytes from which generate() made the key, as secret as the key."""
        if self._seed is None:
            raise InputError("this key was made from coefficients and has no seed")
        return bytes(bytearray(self._seed))  # a copy: ours is overwritten

    def encrypt(
        self,
        values: Slots,
        *,
        scale: float,
        level: int | None = None,
        uniform: UniformSource | None = None,
    ) -> _native.Ciphertext:
        """Encrypt `values` (slot_count,), real or complex, at `level` (default: the highest).

        The second half of the ciphertext is the expansion of a seed, and is sent as the seed. The error of a slot has a
        standard deviation of about 3.19 * sqrt(N) / scale, and encoding adds sqrt(N/12) / scale.

        With `uniform`, the second half is the polynomial that this function returns for index 0; two ciphertexts must
        never have the same one. The seed of such a ciphertext has no meaning: only its residues may be read.
        """
        level = self.parameters.max_level if level is None else level
        if not 0 <= level <= self.parameters.max_level:
            raise LevelError(
                f"level {level} does not exist; the chain has levels 0..{self.parameters.max_level}"
            )
        return self.encrypt_plaintext(
            _native.encode(self._context, slot_values(values, self.parameters.slot_count), level, scale),
            uniform,
        )

    def encrypt_plaintext(
        self, plaintext: _native.Plaintext, uniform: UniformSource | None = None
    ) -> _native.Ciphertext:
        """Encrypt an encoded message at its own level and scale; the error and `uniform` are those of encrypt."""
        seed = random_seed() if uniform is None else bytes(SEED_BYTES)
        source = self._uniform_of(seed) if uniform is None else uniform
        error = self._fresh_error()
        try:
            return _secret.encrypt(self._context, self._core, plaintext, seed, source, error)
        finally:
            wipe(error)

    def decrypt(
        self, ciphertext: _native.Ciphertext, *, for_sharing: Sharing | None = None
    ) -> NDArray[np.float64]:
        """Decrypt, and return the real parts of the slots, shape (slot_count,).

        They are for the key holder alone, because their error depends on the key (IND-CPA-D). Give `for_sharing` if the
        whole vector will be shared. If only a few values will be, call `flood` on those, which takes less noise.
        """
        values = self.decrypt_complex(ciphertext).real.copy()
        return values if for_sharing is None else flood(values, for_sharing)

    def decrypt_complex(self, ciphertext: _native.Ciphertext) -> NDArray[np.complex128]:
        """Decrypt, and return the slots with their imaginary parts; for the key holder alone."""
        return _native.decode(self._context, _secret.decrypt(self._context, self._core, ciphertext))

    def public_key(self, *, extended: bool = False) -> _native.PublicKey:
        """Return a fresh public key, with which others can encrypt for the owner of this key.

        An `extended` key is over the special primes too, like SEAL's. Encryption then ends with a division by P, which
        leaves less noise and takes longer. Our own wire format cannot hold such a key.
        """
        seed = random_seed()
        return _secret.make_public_key(
            self._context,
            self._core,
            seed,
            self._uniform_of(seed),
            self._fresh_error(),
            extended,
        )

    def evaluation_keys(
        self, spec: EvaluationKeySpec, progress: Callable[[int, int], None] | None = None
    ) -> _native.EvaluationKeys:
        """Return fresh keys for `spec`, all in memory; `progress(done, total)` is called after each of them."""
        return collect_keys(self.parameters, spec, self.switching_keys(spec, progress))

    def switching_keys(
        self, spec: EvaluationKeySpec, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[_native.SwitchingKey]:
        """Yield fresh keys for `spec`, in the order of `all_links`; each is made when it is asked for.

        `progress(done, total)` is called after each of them. The sparse secret of bootstrapping is drawn anew, occurs
        in these keys alone, and is wiped when the iterator ends or is dropped.
        """
        links = all_links(self.parameters, spec)
        sparse = None if spec.sparse is None else self._draw_sparse(spec.sparse)
        for done, link in enumerate(links, 1):
            key = self._linked_key(link, sparse)
            if progress is not None:  # before the key is given, because nobody asks again after the last one
                progress(done, len(links))
            # Making a key leaves buffers of more than twice its size, which are not needed while it is written, and it
            # leaves one that the next key of another size cannot use.
            _native.trim_pool()
            yield key
            del key
            _native.trim_pool()

    def _linked_key(self, link: KeyLink, sparse: _secret.SecretKey | None) -> _native.SwitchingKey:
        context, family = self._context, link.family.pair
        if link.from_end is KeyEnd.DENSE_SQUARED:
            return _secret.make_relinearisation_key(
                context, self._core, link.level, *self._key_randomness(), family
            )
        if link.from_end is KeyEnd.DENSE and link.to_end is KeyEnd.DENSE:
            return _secret.make_switching_key(
                context, self._core, self._core, link.element, link.level, *self._key_randomness(), family
            )
        assert sparse is not None  # the spec tells it if a key connects it
        if link.from_end is KeyEnd.SPARSE_SCALED:
            return _secret.make_scaled_key(
                context, sparse, self._core, link.element, *self._key_randomness(), family
            )
        return _secret.make_switching_key(
            context, self._core, sparse, link.element, link.level, *self._key_randomness(), family
        )

    def _draw_sparse(self, shape: SparseSecret) -> _secret.SecretKey:
        seed = random_seed()
        random = keystream(seed, shape.weight * _SPARSE_BYTES, domain=b"sparse secret")
        try:
            return _secret.SecretKey.sparse(self._context, random, shape.weight, shape.spacing)
        finally:
            wipe(seed, random)

    def extended_public_key(self, uniform: UniformSource) -> _native.PublicKey:
        """Return an extended public key (see public_key) whose uniform half `uniform` returns for index 0."""
        error = self._fresh_error()
        return _secret.make_public_key(self._context, self._core, bytes(SEED_BYTES), uniform, error, True)

    def switching_key(
        self,
        element: int | None,
        level: int,
        uniform: UniformSource,
        family: tuple[int, int] | None = None,
    ) -> _native.SwitchingKey:
        """Return the key of a Galois element or, if `element` is None, the relinearisation key.

        `uniform` returns the uniform half of each digit, by its index; `family` is the main one by default.
        """
        secret = random_seed()

        def errors(index: int, length: int) -> bytes:
            return _error_piece(secret, index, length)

        randomness = (bytes(SEED_BYTES), uniform, errors)
        if element is None:
            return _secret.make_relinearisation_key(self._context, self._core, level, *randomness, family)
        return _secret.make_switching_key(
            self._context, self._core, self._core, element, level, *randomness, family
        )

    def _key_randomness(
        self,
    ) -> tuple[bytes, UniformSource, Callable[[int, int], bytes]]:
        seed, secret = random_seed(), random_seed()
        return seed, self._uniform_of(seed), lambda index, length: _error_piece(secret, index, length)

    def _fresh_error(self) -> bytes:
        """Return the random bytes of one error polynomial."""
        seed = random_seed()
        error = _error_piece(seed, 0, self.parameters.ring_degree * _GAUSSIAN_BYTES)
        wipe(seed)
        return error

    @staticmethod
    def _uniform_of(seed: bytes) -> UniformSource:
        assert len(seed) == SEED_BYTES
        return lambda index, length: uniform_pieces(seed, index, length)


def _error_piece(seed: bytes, index: int, length: int) -> bytes:
    return keystream(seed, length, domain=b"error" + index.to_bytes(4, "little"))


def encrypt_with_public_key(
    parameters: ParameterSet,
    key: _native.PublicKey,
    values: Slots,
    *,
    scale: float,
    level: int | None = None,
) -> _native.Ciphertext:
    """Encrypt for the owner of `key`.

    The ciphertext is twice as large as one of secret-key encryption. The error of a slot, e_0 + e_1 s + e u,
    has a standard deviation of about 3.19 * N * sqrt(4/3) / scale.
    """
    level = parameters.max_level if level is None else level
    if not 0 <= level <= parameters.max_level:
        raise LevelError(f"level {level} does not exist; the chain has levels 0..{parameters.max_level}")
    plaintext = _native.encode(
        core_context(parameters), slot_values(values, parameters.slot_count), level, scale
    )
    return encrypt_plaintext_with_public_key(parameters, key, plaintext)


def encrypt_plaintext_with_public_key(
    parameters: ParameterSet, key: _native.PublicKey, plaintext: _native.Plaintext
) -> _native.Ciphertext:
    """Encrypt an encoded message for the owner of `key`, as encrypt_with_public_key does.

    With an extended key, the error of a slot is mostly the rounding of the division by P, whose standard deviation is
    about sqrt(N) * sqrt((1 + 2N/3) / 12) / scale.
    """
    random = keystream(
        random_seed(),
        parameters.ring_degree * (_TERNARY_BYTES + 2 * _GAUSSIAN_BYTES),
        domain=b"public encryption",
    )
    return _native.encrypt(core_context(parameters), plaintext, key, random)
