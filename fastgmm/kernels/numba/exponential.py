"""Exponential and logarithm of lanes; LLVM calls the scalar library for them where no vector library is installed."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from fastgmm.kernels.numba.lanes import emit_fma

__all__ = ["exponential", "log_of_power_above", "logarithm", "lowest_exponent"]


class _Double:
    mantissa_bits = 52
    #: `exponential` takes no less: the result would not be a normal number.
    lowest_exponent = -700.0
    one = 0x3FF0000000000000
    root_half = 0x3FE6A09E667F3BCD
    #: Bits of 2^52: an integer below 2^52 put into its mantissa makes the float 2^52 plus that integer.
    integer_base = 0x4330000000000000
    #: ln 2 in two parts; the first times any exponent is exact.
    ln2 = (float.fromhex("0x1.62e42fefa3800p-1"), 5.497923018708371e-14)
    #: (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, interpolated at Chebyshev's nodes; relative error of exp 2^-55.
    exponential = (
        0.5,
        0.16666666666666669,
        0.04166666666662413,
        0.008333333333330062,
        0.0013888888917213717,
        0.00019841269863053618,
        2.4801521295954376e-05,
        2.7557268459997064e-06,
        2.7620088445409746e-07,
        2.510038549551032e-08,
    )
    #: (atanh(s) / s - 1) / s^2 in s^2 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1); relative error of atanh 2^-57.
    logarithm = (
        0.3333333333333335,
        0.1999999999994962,
        0.14285714313047945,
        0.11111105557572079,
        0.09091445278347882,
        0.07665837015081754,
        0.07308518774418575,
    )


class _Single:
    mantissa_bits = 23
    lowest_exponent = -86.0
    one = 0x3F800000
    root_half = 0x3F3504F3
    integer_base = 0x4B000000
    ln2 = (float.fromhex("0x1.62e4p-1"), 1.4286068203094173e-06)
    # Relative error 2^-26.5.
    exponential = (0.5, 0.16666576989698775, 0.041666554617204574, 0.008363179052722578, 0.0013926183587713494)
    # Relative error 2^-28.
    logarithm = (0.3333334253187517, 0.199943853367548, 0.14790199140759747)


_FORMATS = {types.float64: _Double, types.float32: _Single}


class _Emitter:
    """Emits lane arithmetic for one format."""

    def __init__(self, builder, lanes):
        self.builder = builder
        self.form = _FORMATS[lanes.dtype]
        element = ir.FloatType() if lanes.dtype == types.float32 else ir.DoubleType()
        self.floats = ir.VectorType(element, lanes.count)
        self.integers = ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.count)

    def constant(self, value):
        return ir.Constant(self.floats, [value] * self.floats.count)

    def integer(self, value):
        return ir.Constant(self.integers, [value] * self.integers.count)

    def as_integers(self, a):
        return self.builder.bitcast(a, self.integers)

    def as_floats(self, a):
        return self.builder.bitcast(a, self.floats)

    def fma(self, a, b, c):
        return emit_fma(self.builder, a, b, c)

    def polynomial(self, a, coefficients):
        result = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            result = self.fma(result, a, self.constant(coefficient))
        return result

    def raised(self, a):
        """Bits of a, moved so that sqrt(1/2) becomes a power of two."""
        return self.builder.add(self.as_integers(a), self.integer(self.form.one - self.form.root_half))

    def exponent(self, raised):
        """The exponent field as a float; before AVX-512 no instruction converts 64-bit integers."""
        biased = self.builder.lshr(raised, self.integer(self.form.mantissa_bits))
        placed = self.as_floats(self.builder.or_(biased, self.integer(self.form.integer_base)))
        bias = self.form.one >> self.form.mantissa_bits
        return self.builder.fsub(placed, self.constant(2.0**self.form.mantissa_bits + bias))


@intrinsic
def lowest_exponent(typing_context, a):
    """Return the least that `exponential` takes in the dtype of the lanes."""
    lowest = _FORMATS[a.dtype].lowest_exponent
    return types.float64(a), lambda context, builder, sig, args: ir.Constant(ir.DoubleType(), lowest)


@intrinsic
def exponential(typing_context, a):
    """Return exp(a) to about one unit in the last place, for lanes between `lowest_exponent` and 0.

    NaN stays NaN; below the range the result is arbitrary.
    """

    def emit(context, builder, sig, args):
        at = _Emitter(builder, a)
        # a = k ln 2 + r; adding the rounder leaves the integer k in the low bits of the sum.
        rounder = at.constant(1.5 * 2.0**at.form.mantissa_bits)
        shifted = at.fma(args[0], at.constant(1.4426950408889634), rounder)
        k = builder.fsub(shifted, rounder)
        r = at.fma(k, at.constant(-at.form.ln2[0]), args[0])
        r = at.fma(k, at.constant(-at.form.ln2[1]), r)
        tail = builder.fmul(at.polynomial(r, at.form.exponential), r)
        fraction = builder.fadd(at.fma(tail, r, r), at.constant(1.0))
        power = builder.shl(at.as_integers(shifted), at.integer(at.form.mantissa_bits))
        return at.as_floats(builder.add(at.as_integers(fraction), power))

    return a(a), emit


@intrinsic
def logarithm(typing_context, a):
    """Return the natural logarithm, to about two units in the last place, of positive normal lanes."""

    def emit(context, builder, sig, args):
        at = _Emitter(builder, a)
        # a = 2^e m with m in [sqrt(1/2), sqrt(2)), and log m = 2 atanh(s).
        raised = at.raised(args[0])
        e = at.exponent(raised)
        mantissa = builder.and_(raised, at.integer((1 << at.form.mantissa_bits) - 1))
        m = at.as_floats(builder.add(mantissa, at.integer(at.form.root_half)))
        one = at.constant(1.0)
        s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        s2 = builder.fmul(s, s)
        twice = builder.fadd(s, s)
        tail = builder.fmul(builder.fmul(twice, s2), at.polynomial(s2, at.form.logarithm))
        low = at.fma(e, at.constant(at.form.ln2[1]), tail)
        return at.fma(e, at.constant(at.form.ln2[0]), builder.fadd(twice, low))

    return a(a), emit


@intrinsic
def log_of_power_above(typing_context, a):
    """Return the logarithm of a power of two that is at least a and at most 4 a, for a >= 1; infinity may come in."""

    def emit(context, builder, sig, args):
        at = _Emitter(builder, a)
        e = builder.fadd(at.exponent(at.raised(args[0])), at.constant(1.0))
        return builder.fmul(e, at.constant(0.6931471805599453))

    return a(a), emit
