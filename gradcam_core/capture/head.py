"""The logits of a network, found by walking back from its output through the traced graph.

What the output is, and not how somebody wrote it, decides: a softmax is a softmax as a layer, an argument, a function
of TensorFlow or a formula, inside a custom head, quantised or not, and the mean of several is the softmax of something
too. `read` gives those logits as tensors of the same graph. Whether they are right is checked by numbers elsewhere.
"""

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

# Operations whose output holds the values of their first input, whatever its shape or type.
HANDS_ON = {
    "Cast", "CheckNumerics", "EnsureShape", "ExpandDims", "Identity", "IdentityN", "PreventGradient", "Reshape",
    "Snapshot", "Squeeze", "StopGradient", "Transpose",
}  # fmt: skip
_CLIPS = {"ClipByValue", "Maximum", "Minimum"}
_SMALL = 1e-3  # added to a probability so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class Head:
    """What a network's output is made of.

    Attributes:
        activation: "softmax" of all logits, "sigmoid" of each, or "linear" where the output shows none.
        logits: float32 (n, classes); (n, h, w, classes) of an output for each pixel.
        is_log: whether the output is the logarithm of the probabilities.
        is_bounded: whether a "linear" one ends in some other function than a weighted sum or a ReLU, so that values
            from 0 to 1 may be probabilities after all.
        is_plain: whether the output is nothing but that activation of these logits, so that numbers need not tell.
    """

    activation: str
    logits: tf.Tensor
    is_log: bool = False
    is_bounded: bool = False
    is_plain: bool = False


def read(output: tf.Tensor) -> Head:
    """The head of a network, from its output (n, ..., classes) in a graph that is being traced."""
    last = _handed_on(output)
    inside, is_log = _logarithm(output)
    found = _single(_mixture(inside))
    if found is None:
        is_sum = last.op.type in _SUMS_OF_WEIGHTS or (
            last.op.type == "AddV2" and _handed_on(last.op.inputs[0]).op.type in _SUMS_OF_WEIGHTS
        )
        is_plain = is_sum or (last.op.type == "Tanh" and output.shape[1:].num_elements() == 1)  # it has two signs
        return Head("linear", rows_of(output), is_bounded=_is_bounded(output), is_plain=is_plain)
    is_plain = last.op.type in ("LogSoftmax", "Sigmoid", "Softmax")
    if found.axis is not None and _groups(found.logits, found.axis) > 1 and not (is_grid(output) and found.axis == 3):
        found, is_plain = _each(found), False
    activation = "sigmoid" if found.axis is None else "softmax"
    return Head(activation, rows_of(found.logits), is_log, is_plain=is_plain)


def _handed_on(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type in HANDS_ON:
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor


_SUMS_OF_WEIGHTS = {"BatchMatMulV2", "BiasAdd", "Conv2D", "Einsum", "MatMul"}


def is_grid(output: tf.Tensor) -> bool:
    """Whether an output is (n, h, w, classes) of more than one pixel, as of a segmentation."""
    return output.shape.rank == 4 and any(side != 1 for side in output.shape[1:3])


def rows_of(tensor: tf.Tensor) -> tf.Tensor:
    """float32 (n, classes) from (n, ..., classes); those of a grid stay where they are."""
    tensor = tf.cast(tensor, tf.float32)
    if is_grid(tensor):
        return tensor
    count = tensor.shape[1:].num_elements()
    return tf.reshape(tensor, (-1, count) if count else (tf.shape(tensor)[0], -1))


def _is_bounded(tensor: tf.Tensor) -> bool:
    while tensor.op.type in HANDS_ON or tensor.op.type in _SUMS:
        tensor = next((x for x in tensor.op.inputs if tf.get_static_value(x) is None), tensor.op.inputs[0])
    return tensor.op.type not in _UNBOUNDED


_SUMS = {"AddV2", "BiasAdd", "Mean", "Mul", "RealDiv", "Sub", "Sum"}
_UNBOUNDED = {
    "BatchMatMulV2", "Conv2D", "Einsum", "FusedBatchNormV3", "MatMul", "Relu", "LeakyRelu", "Elu", "Selu", "Softplus",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Term:
    """A share of probabilities of the shape of ``logits``: their softmax along an axis, or the sigmoid of each."""

    logits: tf.Tensor
    axis: int | None  # None: sigmoids
    weight: float = 1.0


def _logarithm(tensor: tf.Tensor) -> tuple[tf.Tensor, bool]:
    """The probabilities whose logarithm the tensor is, or the tensor itself."""
    start = tensor
    while tensor.op.type in HANDS_ON or tensor.op.type in _CLIPS:
        tensor = tensor.op.inputs[0]
    kind, inputs = tensor.op.type, tensor.op.inputs
    if kind == "LogSoftmax":
        return tf.nn.softmax(inputs[0]), True
    if kind == "Log" and _mixture(inputs[0]):
        return inputs[0], True
    if kind == "Neg" and inputs[0].op.type == "Softplus" and inputs[0].op.inputs[0].op.type == "Neg":
        return tf.sigmoid(inputs[0].op.inputs[0].op.inputs[0]), True  # tf.math.log_sigmoid
    return start, False


def _mixture(tensor: tf.Tensor) -> list[_Term]:
    """The weighted sum of probabilities that a tensor is; empty where it is none that is known."""
    operation, inputs = tensor.op, tensor.op.inputs
    kind = operation.type
    if kind == "Softmax":
        return [_Term(inputs[0], inputs[0].shape.rank - 1)]
    if kind == "Sigmoid":
        return [_Term(inputs[0], None)]
    is_shift = kind == "AddV2" and 0 < abs(_number(inputs[1]) or 0) <= _SMALL
    if kind in HANDS_ON or kind in _CLIPS or is_shift or (kind == "StridedSlice" and _is_whole(operation)):
        source = inputs[tensor.value_index if kind == "IdentityN" else 0]
        if kind in _CLIPS and _number(inputs[1]) is None:
            return []
        return [moved for term in _mixture(source) if (moved := _reshaped(term, tensor))]
    if kind in ("AddV2", "AddN"):
        parts = [_mixture(x) for x in inputs]
        return [term for part in parts for term in part] if all(parts) else []
    if kind in ("Mul", "RealDiv"):
        return _scaled(kind, *inputs) or _by_formula(tensor)
    if kind == "Mean":
        return _averaged(_mixture(inputs[0]), tensor)
    if kind in ("ConcatV2", "Pack"):
        members = [_single(_mixture(x)) for x in (inputs[:-1] if kind == "ConcatV2" else inputs)]
        known = [member for member in members if member]
        axis = int(_number(inputs[-1]) or 0) if kind == "ConcatV2" else operation.get_attr("axis")
        return _joined(known, axis % tensor.shape.rank, is_new=kind == "Pack") if len(known) == len(members) else []
    if kind == "Exp":
        inside, is_log = _logarithm(inputs[0])
        return _mixture(inside) if is_log else []
    if kind == "Sub" and _number(inputs[0]) == 1:
        term = _single(_mixture(inputs[1]))
        return [_Term(-_each(term).logits, None)] if term else []
    if kind == "StridedSlice" and (term := _single(_mixture(inputs[0]))):
        masks = {name: operation.get_attr(name) for name in _MASKS}
        cut = tf.raw_ops.StridedSlice(
            input=_each(term).logits, begin=inputs[1], end=inputs[2], strides=inputs[3], **masks
        )
        return [_Term(cut, None)]
    if kind == "GatherV2" and (term := _single(_mixture(inputs[0]))):
        return [_Term(tf.gather(_each(term).logits, inputs[1], axis=int(_number(inputs[2]) or 0)), None)]
    return _by_formula(tensor)


def _is_whole(cut: tf.Operation) -> bool:
    """Whether a slice only adds or drops axes of one element: ``x[:, None]``."""
    before, after = (x.shape[1:].num_elements() for x in (cut.inputs[0], cut.outputs[0]))
    strides = tf.get_static_value(cut.inputs[3])
    return before is not None and before == after and strides is not None and min(strides) > 0


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _by_formula(tensor: tf.Tensor) -> list[_Term]:
    """exp(x) / sum(exp(x)) and 1 / (1 + exp(-x)), as people write them."""
    kind, inputs = tensor.op.type, tensor.op.inputs
    if kind == "RealDiv" and inputs[0].op.type == "Exp" and inputs[1].op.type == "Sum":
        exponent, axis = inputs[0].op.inputs[0], _number(inputs[1].op.inputs[1])
        if inputs[1].op.inputs[0].op.type != "Exp" or axis is None:
            return []
        shift = exponent.op.inputs[1] if exponent.op.type == "Sub" else None
        while shift is not None and shift.op.type in HANDS_ON:
            shift = shift.op.inputs[0]
        is_shifted = shift is not None and shift.op.type == "Max"
        return [_Term(exponent.op.inputs[0] if is_shifted else exponent, int(axis) % exponent.shape.rank)]
    below = inputs[1] if kind == "RealDiv" and _number(inputs[0]) == 1 else inputs[0] if kind == "Reciprocal" else None
    if below is not None and below.op.type == "AddV2":
        one, power = sorted(below.op.inputs, key=lambda x: _number(x) is None)
        if _number(one) == 1 and power.op.type == "Exp" and power.op.inputs[0].op.type == "Neg":
            return [_Term(power.op.inputs[0].op.inputs[0], None)]
    return []


def _scaled(kind: str, a: tf.Tensor, b: tf.Tensor) -> list[_Term]:
    if kind == "Mul" and _number(a) is not None:
        a, b = b, a
    factor = _number(b)
    if not factor:
        return []
    return [replace(t, weight=t.weight * (1 / factor if kind == "RealDiv" else factor)) for t in _mixture(a)]


def _reshaped(term: _Term, like: tf.Tensor) -> _Term | None:
    """The term where its values are handed on in another shape; its classes stay along one axis."""
    if term.logits.shape == like.shape and like.op.type != "Transpose":
        return term
    if term.axis is None or _groups(term.logits, term.axis) > 1:
        term = _each(term)
        if like.op.type == "Transpose":
            return replace(term, logits=tf.transpose(term.logits, like.op.inputs[1]))
    axis = None if term.axis is None else int(np.argmax([size or 1 for size in like.shape[1:]])) + 1
    return replace(term, logits=tf.reshape(term.logits, tf.shape(like)), axis=axis)


def _averaged(terms: list[_Term], mean: tf.Tensor) -> list[_Term]:
    """Terms after a mean over axes that are not those of the classes."""
    axes = tf.get_static_value(mean.op.inputs[1])
    if axes is None or not terms:
        return []
    axes = sorted({int(axis) % mean.op.inputs[0].shape.rank for axis in np.atleast_1d(axes)})
    found = []
    for term in terms:
        count = np.prod([term.logits.shape[axis] or np.nan for axis in axes])
        if term.axis in axes or np.isnan(count):
            return []
        logits = _mean_logits(term.logits, np.array(1 / count, np.float32), axes, term.axis)
        if mean.op.get_attr("keep_dims"):
            found.append(replace(term, logits=tf.reshape(logits, tf.shape(mean))))
        else:
            after = None if term.axis is None else term.axis - sum(axis < term.axis for axis in axes)
            found.append(replace(term, logits=logits, axis=after))
    return found


def _joined(parts: list[_Term], axis: int, is_new: bool) -> list[_Term]:
    join = tf.stack if is_new else tf.concat
    (before,) = along if len(along := {part.axis for part in parts}) == 1 else (None,)
    if before is not None and (is_new or before != axis):
        return [_Term(join([part.logits for part in parts], axis), before + (is_new and axis <= before))]
    return [_Term(join([_each(part).logits for part in parts], axis), None)]


def _single(terms: list[_Term]) -> _Term | None:
    """Terms as one; None where they are no probabilities, for their weights do not sum up to 1."""
    if not terms or min(term.weight for term in terms) <= 0 or abs(sum(term.weight for term in terms) - 1) > _SMALL:
        return None
    if len(terms) == 1:
        return terms[0]
    if len({term.axis for term in terms}) > 1:
        terms = [_each(term) for term in terms]
    logits = tf.stack([tf.cast(term.logits, tf.float32) for term in terms])
    weights = np.array([term.weight for term in terms], np.float32).reshape(-1, *[1] * (logits.shape.rank - 1))
    axis = terms[0].axis
    return _Term(_mean_logits(logits, weights, [0], None if axis is None else axis + 1), axis)


def _mean_logits(logits: tf.Tensor, weights: np.ndarray, over: list[int], axis: int | None) -> tf.Tensor:
    r"""The logits of the mean of probabilities over some axes; the weights sum up to 1 over these.

    For softmaxes :math:`z = \log \sum_i w_i \mathrm{softmax}(z_i) + \sum_i w_i \mathrm{lse}(z_i)`: their softmax is
    the mean of the softmaxes. The second summand is the same for all classes. It makes them the mean of the logits
    where all are sure, so that no gradient vanishes there. For sigmoids
    :math:`z = \log \sum_i w_i \sigma(z_i) - \log \sum_i w_i \sigma(-z_i)`.
    """
    logits, log_weights = tf.cast(logits, tf.float32), np.log(weights)
    if axis is None:
        yes, no = (tf.reduce_logsumexp(tf.math.log_sigmoid(x) + log_weights, over) for x in (logits, -logits))
        return yes - no
    sums = tf.reduce_logsumexp(logits, axis, keepdims=True)
    mean = tf.reduce_logsumexp(logits - sums + log_weights, over, keepdims=True)
    return tf.squeeze(mean + tf.reduce_sum(sums * weights, over, keepdims=True), over)


def _each(term: _Term) -> _Term:
    r"""The same probabilities as sigmoids: :math:`z_c - \log \sum_{j \neq c} e^{z_j}` for those of a softmax."""
    if term.axis is None:
        return term
    logits = tf.cast(term.logits, tf.float32)
    size = logits.shape[term.axis]
    others = tf.expand_dims(logits, term.axis) + tf.reshape(
        tf.linalg.diag(tf.fill([size], -np.inf)), [size, size] + [1] * (logits.shape.rank - 1 - term.axis)
    )  # (..., class, other class, ...)
    return _Term(logits - tf.reduce_logsumexp(others, axis=term.axis + 1), None, term.weight)


def _groups(logits: tf.Tensor, axis: int) -> int:
    """How many softmaxes there are in each row."""
    return int(np.prod([size or 1 for i, size in enumerate(logits.shape) if i not in (0, axis)]))


def _number(tensor: tf.Tensor) -> float | None:
    value = tf.get_static_value(tensor)
    return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None
