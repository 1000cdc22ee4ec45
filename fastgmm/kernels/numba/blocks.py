"""Blocks of registers: tuples of Lanes, and what is done to all their members at once.

A block stays in registers across a loop. The operations are unrolled when they are compiled, for whatever length the
tuple has.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from fastgmm.kernels.numba.lanes import LanesType, emit_add_to, emit_fma, emit_load, emit_spread, emit_store

__all__ = [
    "add_to_block",
    "centre_and_multiply",
    "multiply_add",
    "multiply_add_rows",
    "scaled_squares",
    "shifted_squares",
    "squared_differences",
    "store_block",
    "sum_of_squares",
]


def _at(builder, index, offset):
    return builder.add(index, ir.Constant(ir.IntType(64), offset))


def _members(builder, block):
    return [builder.extract_value(block, i) for i in range(block.type.count)]


def _block(builder, members):
    block = ir.Constant(ir.ArrayType(members[0].type, len(members)), ir.Undefined)
    for i, member in enumerate(members):
        block = builder.insert_value(block, member, i)
    return block


@intrinsic
def multiply_add(typing_context, block, lanes, array, index, stride):
    """Return block[c] + lanes * array[index + c * stride] for every member c."""

    def emit(context, builder, sig, args):
        block_value, x, flat, at, step = args
        members = []
        for member in _members(builder, block_value):
            members.append(emit_fma(builder, x, emit_spread(builder, array, flat, at), member))
            at = builder.add(at, step)
        return _block(builder, members)

    return block(block, lanes, array, types.int64, types.int64), emit


@intrinsic
def multiply_add_rows(typing_context, block, lanes, array, index, stride):
    """Return block[c] + lanes * (the lanes from array[index + c * stride] on) for every member c."""

    def emit(context, builder, sig, args):
        block_value, x, flat, at, step = args
        members = []
        for member in _members(builder, block_value):
            members.append(emit_fma(builder, x, emit_load(builder, array, flat, at), member))
            at = builder.add(at, step)
        return _block(builder, members)

    return block(block, lanes, array, types.int64, types.int64), emit


@intrinsic
def centre_and_multiply(
    typing_context, block, rows, at, stride, means, mean_at, centred, centred_at, factor, factor_at
):
    """Centre as many features as `block` has members and add their products with a packed triangle to it.

    Feature i of the lanes is ``rows[at + i * stride]`` on; less ``means[mean_at + i]`` it is left in ``centred`` for
    later columns. Row i of the triangle, packed without its zeros, multiplies it into members i and above.
    """

    def emit(context, builder, sig, args):
        block_value, x, x_at, x_stride, m, m_at, c, c_at, f, f_at = args
        members = _members(builder, block_value)
        lanes = LanesType(rows.dtype).count
        packed = 0
        for i in range(len(members)):
            feature = emit_load(builder, rows, x, x_at)
            feature = builder.fsub(feature, emit_spread(builder, means, m, _at(builder, m_at, i)))
            emit_store(builder, c, _at(builder, c_at, i * lanes), feature)
            for j in range(i, len(members)):
                entry = emit_spread(builder, factor, f, _at(builder, f_at, packed))
                members[j] = emit_fma(builder, feature, entry, members[j])
                packed += 1
            x_at = builder.add(x_at, x_stride)
        return _block(builder, members)

    integer = types.int64
    return block(block, rows, integer, integer, means, integer, centred, integer, factor, integer), emit


@intrinsic
def sum_of_squares(typing_context, lanes, block):
    """Return lanes + the sum of the squares of the members."""

    def emit(context, builder, sig, args):
        result = args[0]
        for member in _members(builder, args[1]):
            result = emit_fma(builder, member, member, result)
        return result

    return lanes(lanes, block), emit


@intrinsic
def scaled_squares(typing_context, block, lanes, array, index):
    """Return block[c] + (lanes * scale[c] + shift[c])^2; scales, then shifts lie in `array` from `index` on."""

    def emit(context, builder, sig, args):
        block_value, x, flat, at = args
        members = _members(builder, block_value)
        for c, member in enumerate(members):
            scale = emit_spread(builder, array, flat, _at(builder, at, c))
            shift = emit_spread(builder, array, flat, _at(builder, at, c + len(members)))
            distance = emit_fma(builder, x, scale, shift)
            members[c] = emit_fma(builder, distance, distance, member)
        return _block(builder, members)

    return block(block, lanes, array, types.int64), emit


@intrinsic
def squared_differences(typing_context, block, lanes, array, index):
    """Return block[c] + ((lanes + shift[c]) * scale[c])^2: exact where scale and shift are large."""

    def emit(context, builder, sig, args):
        block_value, x, flat, at = args
        members = _members(builder, block_value)
        for c, member in enumerate(members):
            scale = emit_spread(builder, array, flat, _at(builder, at, c))
            shift = emit_spread(builder, array, flat, _at(builder, at, c + len(members)))
            distance = builder.fmul(builder.fadd(x, shift), scale)
            members[c] = emit_fma(builder, distance, distance, member)
        return _block(builder, members)

    return block(block, lanes, array, types.int64), emit


@intrinsic
def shifted_squares(typing_context, block, lanes, array, index):
    """Return block[c] + (lanes + array[index + c])^2."""

    def emit(context, builder, sig, args):
        block_value, x, flat, at = args
        members = _members(builder, block_value)
        for c, member in enumerate(members):
            distance = builder.fadd(x, emit_spread(builder, array, flat, _at(builder, at, c)))
            members[c] = emit_fma(builder, distance, distance, member)
        return _block(builder, members)

    return block(block, lanes, array, types.int64), emit


@intrinsic
def store_block(typing_context, array, index, stride, block):
    """Write the members of a block to a flat array, `stride` apart."""

    def emit(context, builder, sig, args):
        flat, at, step, block_value = args
        for member in _members(builder, block_value):
            emit_store(builder, flat, at, member)
            at = builder.add(at, step)

    return types.void(array, types.int64, types.int64, block), emit


@intrinsic
def add_to_block(typing_context, array, index, stride, block):
    """Add the members of a block to a flat float64 array, `stride` apart."""

    def emit(context, builder, sig, args):
        flat, at, step, block_value = args
        for member in _members(builder, block_value):
            emit_add_to(builder, flat, at, member)
            at = builder.add(at, step)

    return types.void(array, types.int64, types.int64, block), emit
