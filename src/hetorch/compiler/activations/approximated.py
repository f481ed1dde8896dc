"""The results of approximating a network: what became of each activation, and the network of polynomials."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.ir.tensor_program import TensorProgram
from hetorch.plan.report import ChannelCurve


@dataclass(frozen=True, slots=True)
class Fit:
    """The polynomial that replaces one activation.

    name, function   of the activation
    degree, depth    of the polynomial; the depth counts multiplications one after the other
    method           how the polynomial was found
    low, high        range over all elements of the tensor
    error            largest difference from the function on the calibration values and evenly over the range
    escapes          share of the values of one half of the calibration inputs that lie outside the range found from the
                     other half: an estimate for inputs to come
    reach            distance from the centre, in half ranges, up to which the polynomial stays below TAIL_GROWTH times
                     its largest value in the range, for every input (polynomial_growth)
    channel_low      range of each channel, as in PolynomialReport; and channel_high
    curves           the function and its polynomial in some of the channels
    histogram        shares of the calibration values in equal parts of the range
    """

    name: str
    function: str
    degree: int
    depth: int
    method: str
    low: float
    high: float
    error: float
    escapes: float
    reach: float
    channel_low: tuple[float, ...] = ()
    channel_high: tuple[float, ...] = ()
    curves: tuple[ChannelCurve, ...] = ()
    histogram: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Approximated:
    """The network with a polynomial in place of each activation.

    program                 without activations
    error, agreement        as from compare_outputs, on the calibration inputs
    degrees                 the degree asked for of each activation, in order
    fits                    what became of each activation, in order; empty during the search
    stable_off_calibration  True if the outputs are bounded on inputs beside those of calibration
    shortfall               what the network misses of what the user asked for, in one sentence; empty if nothing
    missing_levels          levels that the goal takes, by estimate, above the most that were allowed; 0 if the network
                            meets the goal, or misses it for another reason
    without_bootstraps      how near the network would be within one ring, in one sentence; empty if that was not asked
    refusal                 why the network is of no use at all, in one sentence; empty if it is
    is_judged               True if the network was to meet the activation_... tolerances; False if the user fixed its
                            degrees, whatever the outputs then are
    has_classes             True if an argmax of the outputs counts
    values                  the value of `program` that stands for each value of the network with activations, in order
    """

    program: TensorProgram
    error: float
    agreement: float
    degrees: tuple[int, ...]
    fits: tuple[Fit, ...] = ()
    stable_off_calibration: bool = True
    shortfall: str = ""
    missing_levels: int = 0
    refusal: str = ""
    has_classes: bool = False
    values: tuple[int, ...] = ()
    without_bootstraps: str = ""
    is_judged: bool = True
