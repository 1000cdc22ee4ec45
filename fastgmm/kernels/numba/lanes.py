"""A vector of rows as a Numba type, so that kernels say which values share an instruction.

LLVM vectorises an innermost loop only; the loops that matter here keep a block of accumulators in registers across a
reduction, which it leaves scalar. So a `Lanes` value is one LLVM vector of 64 bytes (8 float64, 16 float32), which the
code generator cuts into what the processor has: one AVX-512 register, two of AVX2, four of SSE2 or NEON. Lanes may be
added, subtracted, multiplied, divided and compared; a comparison gives a mask for `select`, `bits`.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.extending import intrinsic, lower_builtin, models, register_model
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.np import arrayobj

__all__ = [
    "add_to",
    "bare",
    "bits",
    "emit_add_to",
    "emit_fma",
    "emit_load",
    "emit_spread",
    "emit_store",
    "fill",
    "fma",
    "inlined",
    "kernel",
    "lanes_of",
    "larger",
    "load",
    "load_strided",
    "lowest_bit",
    "select",
    "smaller",
    "spread",
    "store",
    "total",
]

VECTOR_BYTES = 64

kernel = njit(nogil=True, error_model="numpy")
inlined = njit(nogil=True, error_model="numpy", forceinline=True)


class LanesType(types.Type):
    """As many values of `dtype` as fit in `VECTOR_BYTES`."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.count = 8 * VECTOR_BYTES // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype})")


class MaskType(types.Type):
    """One truth value per lane."""

    def __init__(self, count):
        self.count = count
        super().__init__(name=f"Mask({count})")


def _element(dtype):
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def _vector(lanes):
    return ir.VectorType(_element(lanes.dtype), lanes.count)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _vector(lanes))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, mask):
        super().__init__(manager, mask, ir.VectorType(ir.IntType(1), mask.count))


# --- arithmetic and comparison ---------------------------------------------------------------------------------------


def _define_operator(function, emit, compares=False):
    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and isinstance(args[0], LanesType) and args[0] == args[1]:
                return signature(MaskType(args[0].count) if compares else args[0], *args)
            return None

    @lower_builtin(function, LanesType, LanesType)
    def _lower(context, builder, sig, args):
        return emit(builder, *args)


_define_operator(operator.add, lambda builder, a, b: builder.fadd(a, b))
_define_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_define_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_define_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_define_operator(operator.gt, lambda builder, a, b: builder.fcmp_ordered(">", a, b), compares=True)
_define_operator(operator.ge, lambda builder, a, b: builder.fcmp_ordered(">=", a, b), compares=True)
_define_operator(operator.lt, lambda builder, a, b: builder.fcmp_ordered("<", a, b), compares=True)


def _splat(builder, value, count):
    vector = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(vector, vector, zeros)


def emit_fma(builder, a, b, c):
    """Emit a * b + c, fused where the processor can (llvm.fmuladd falls back to two operations, never to a call)."""
    width = 32 if isinstance(a.type.element, ir.FloatType) else 64
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.v{a.type.count}f{width}"
    )
    return builder.call(function, [a, b, c])


@intrinsic
def fma(typing_context, a, b, c):
    """Return a * b + c."""
    return a(a, a, a), lambda context, builder, sig, args: emit_fma(builder, *args)


@intrinsic
def larger(typing_context, a, b):
    """Return the larger of each pair, b where one is NaN."""

    def emit(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, a), emit


@intrinsic
def smaller(typing_context, a, b):
    """Return the smaller of each pair, b where one is NaN."""

    def emit(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return a(a, a), emit


@intrinsic
def select(typing_context, mask, a, b):
    """Return a where `mask`, else b."""
    return a(mask, a, a), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def bits(typing_context, mask):
    """Return the mask as an integer, bit l for lane l."""

    def emit(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(mask.count)), ir.IntType(64))

    return types.int64(mask), emit


@intrinsic
def lowest_bit(typing_context, mask):
    """Return the place of the lowest bit of an integer that is not zero."""

    def emit(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), emit


@intrinsic
def total(typing_context, a):
    """Return the sum of the lanes as float64, added in a tree."""

    def emit(context, builder, sig, args):
        parts = [builder.extract_element(args[0], ir.Constant(ir.IntType(32), lane)) for lane in range(a.count)]
        if a.dtype == types.float32:
            parts = [builder.fpext(part, ir.DoubleType()) for part in parts]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[i], parts[i + half]) for i in range(half)]
        return parts[0]

    return types.float64(a), emit


# --- memory ----------------------------------------------------------------------------------------------------------


@intrinsic
def bare(typing_context, argument):
    """Return an array as the pointer to its data, a named tuple of arrays and scalars as one of pointers and scalars.

    An array counts references, and does so wherever it is handed to a function or read from a tuple: atomic operations
    and calls in the loops over rows (6 ns per row and component, of which 1 is arithmetic, at three features). Pointers
    count none, and one argument in place of seven compiles faster. The caller holds the arrays for the whole pass.
    """

    def pointer(numba_type):
        return types.CPointer(numba_type.dtype) if isinstance(numba_type, types.Array) else numba_type

    def emit_one(context, builder, numba_type, value):
        if isinstance(numba_type, types.Array):
            return arrayobj.make_array(numba_type)(context, builder, value).data
        return value

    if isinstance(argument, types.Array):
        return pointer(argument)(argument), lambda context, builder, sig, args: emit_one(
            context, builder, argument, args[0]
        )
    result = types.NamedTuple([pointer(member) for member in argument.types], argument.instance_class)

    def emit(context, builder, sig, args):
        members = [
            emit_one(context, builder, member, builder.extract_value(args[0], i))
            for i, member in enumerate(argument.types)
        ]
        return context.make_tuple(builder, result, members)

    return result(argument), emit


def emit_load(builder, array_type, array, index):
    vector = ir.PointerType(_vector(LanesType(array_type.dtype)))
    return builder.load(builder.bitcast(builder.gep(array, [index]), vector), align=1)


def emit_store(builder, array, index, value):
    builder.store(value, builder.bitcast(builder.gep(array, [index]), ir.PointerType(value.type)), align=1)


def emit_spread(builder, array_type, array, index):
    value = builder.load(builder.gep(array, [index]))
    return _splat(builder, value, LanesType(array_type.dtype).count)


@intrinsic
def lanes_of(typing_context, array):
    """Return how many values of the dtype of an array or lanes a Lanes has."""
    count = LanesType(array.dtype).count
    return types.int64(array), lambda context, builder, sig, args: ir.Constant(ir.IntType(64), count)


@intrinsic
def load(typing_context, array, index):
    """Return the lanes that start at `index` of a flat array."""

    def emit(context, builder, sig, args):
        return emit_load(builder, array, *args)

    return LanesType(array.dtype)(array, types.int64), emit


@intrinsic
def load_strided(typing_context, array, index, stride):
    """Return every `stride`-th value of a flat array from `index` on."""
    lanes = LanesType(array.dtype)

    def emit(context, builder, sig, args):
        flat, at, step = args
        vector = ir.Constant(_vector(lanes), ir.Undefined)
        for lane in range(lanes.count):
            value = builder.load(builder.gep(flat, [at]))
            vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
            at = builder.add(at, step)
        return vector

    return lanes(array, types.int64, types.int64), emit


@intrinsic
def store(typing_context, array, index, value):
    """Write lanes to a flat array from `index` on."""

    def emit(context, builder, sig, args):
        emit_store(builder, *args)

    return types.void(array, types.int64, value), emit


@intrinsic
def spread(typing_context, array, index):
    """Return one value of a flat array in every lane."""

    def emit(context, builder, sig, args):
        return emit_spread(builder, array, *args)

    return LanesType(array.dtype)(array, types.int64), emit


@intrinsic
def fill(typing_context, like, value):
    """Return `value`, in the dtype of the array or lanes `like`, in every lane."""
    lanes = LanesType(like.dtype)

    def emit(context, builder, sig, args):
        return _splat(builder, args[1], lanes.count)

    return lanes(like, lanes.dtype), emit


def emit_add_to(builder, array, index, value):
    wide = ir.VectorType(ir.DoubleType(), value.type.count)
    if value.type != wide:
        value = builder.fpext(value, wide)
    pointer = builder.bitcast(builder.gep(array, [index]), ir.PointerType(wide))
    builder.store(builder.fadd(builder.load(pointer, align=1), value), pointer, align=1)


@intrinsic
def add_to(typing_context, array, index, value):
    """Add lanes to a flat float64 array from `index` on."""

    def emit(context, builder, sig, args):
        emit_add_to(builder, *args)

    return types.void(array, types.int64, value), emit
