"""One forward call of any Keras network, recorded: every tensor in it, and the graph that made it.

A watcher around ``keras.Operation.__call__`` notes each call while the network is traced, so functional, sequential,
nested and subclassed networks look alike, and custom layers show what is inside them; what is written between the calls
is found in the graph (`between`). Where somebody wrote ``@tf.function`` above a ``call``, what it does is traced into
the same graph. That graph is kept, and each pass (`compiled`) is built on it: the network itself is traced once and
never changed.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.autograph.core.ag_ctx import ControlStatusCtx, Status
from tensorflow.python.eager.polymorphic_function.autograph_util import py_func_from_autograph
from tensorflow.python.framework.auto_control_deps import AutomaticControlDependencies

from ..collecting import uncollected
from .between import Span, is_functional, made_between
from .feeding import PLAIN, Feed
from .functions import function_of
from .head import Head, read, rows_of
from .scopes import allow_any_name

_alone = threading.Lock()  # held while methods of Keras and TensorFlow are replaced: one trace at a time
_Function = type(tf.function(lambda: None))


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or an operation, as it was traced.

    Attributes:
        path: the name; inside other layers a path, ``vgg16/block5_conv3``. The second call of a layer has ``#2``, the
            second output of a call ``:1``.
        operation: what was called.
        inputs: the tensors it was given.
        output: the tensor it gave.
        aliases: of what gave the same tensor: what it has inside, or a dropout behind it.
    """

    path: str
    operation: keras.Operation
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Recording:
    """A network that was traced once.

    Attributes:
        calls: in the order in which their outputs were made, each output once.
        batch: the traced input, float32 (n, h, w, c); n is None where the network takes any number.
        output: the traced output that is explained, (n, ..., classes).
        rows: the same as float32 (n, classes).
        head: what it is made of.
    """

    calls: tuple[Call, ...]
    batch: tf.Tensor
    output: tf.Tensor
    rows: tf.Tensor
    head: Head

    @property
    def tensors(self) -> dict[str, tf.Tensor]:
        """What each call gave, by its path."""
        return {path: call.output for call in self.calls for path in (call.path, *call.aliases)}

    @property
    def operations(self) -> list[tf.Operation]:
        """What the graph is made of: each stands after those that it needs."""
        return self.batch.graph.get_operations()


@uncollected()
def record(
    model: keras.Model,
    shape: tuple[int | None, ...],
    feed: Feed = PLAIN,
    gradient_of: Mapping[str, str] | None = None,
) -> Recording:
    """Trace one call of ``model``. What the network raises is raised.

    Args:
        model: it is not changed.
        shape: of the batch it is traced on, (n, h, w, c).
        feed: how it is called.
        gradient_of: types of operations whose gradient is another one: type -> name of a registered gradient.
    """
    for may_inline in (True, False):
        calls: list[Call] = []
        spans: list[Span] = []
        graph = tf.__internal__.FuncGraph("network")
        try:
            with (
                graph.as_default(),
                AutomaticControlDependencies(),  # a variable that is set before it is read
                _watching(graph, calls, spans, may_inline),
                graph.gradient_override_map(dict(gradient_of or {})),
            ):
                allow_any_name()
                _keep_slopes(graph)
                batch = tf.compat.v1.placeholder(tf.float32, shape)
                graph.inputs.append(batch)
                output = feed.chosen(feed.call(model, batch))
                rows, head = rows_of(output), read(output)
            break
        except Exception:  # a layer may raise anything; perhaps because of how it is called here
            if not may_inline:
                raise
    order = {operation.name: i for i, operation in enumerate(graph.get_operations())}
    calls = [call for call in calls if call.output.graph is graph]  # none in the body of a loop
    names = [name for call in calls for name in (call.path, *call.aliases)]
    known = {call.output.name for call in calls}
    calls += [Call(*written) for written in made_between(graph, spans, names, known)]
    calls.sort(key=lambda call: order[call.output.op.name])  # of several outputs the second may be made first
    return Recording(tuple(calls), batch, output, rows, head)


@uncollected()
def compiled(
    recording: Recording, build: Callable[..., Sequence[tf.Tensor]], *more: tf.TensorSpec
) -> Callable[..., list[tf.Tensor]]:
    """A pass through a recorded network.

    Args:
        recording: what `record` gave. It is not for several threads at once.
        build: makes the results from the tensors of the recording, in its graph, where every gradient is known; it is
            given a tensor for each of ``more``.
        more: what the pass takes besides the batch.

    Returns:
        A function of the batch, float32 (n, h, w, c), and the values of ``more``, which may be called from several
        threads. It holds nothing of the recording.
    """
    with recording.batch.graph.as_default():
        given = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in more]
        results = list(build(*given))
    return function_of([recording.batch, *given], results)


def _keep_slopes(graph: tf.Graph) -> None:
    """Let the graph that is being traced, and no other, keep each LeakyRelu that follows a sum apart from it.

    TensorFlow 2.21 makes one operation of a convolution, its bias, a sum and a LeakyRelu, and takes a slope of 0.2 for
    the last, whatever was asked for: what it compiles gives other values than the network itself.
    """
    make = graph._create_op_internal

    def made(op_type: str, inputs: list[tf.Tensor], *args: Any, **kwargs: Any) -> tf.Operation:  # noqa: ANN401
        if op_type == "LeakyRelu" and tf.is_symbolic_tensor(inputs[0]) and inputs[0].op.type in ("Add", "AddV2"):
            with graph.gradient_override_map({"Snapshot": "Identity"}):
                inputs = [tf.raw_ops.Snapshot(input=inputs[0])]
        return make(op_type, inputs, *args, **kwargs)

    graph._create_op_internal = made


@contextmanager
def _watching(graph: tf.Graph, calls: list[Call], spans: list[Span], may_inline: bool) -> Iterator[None]:
    """Note every call of an operation in this thread, below the first, until it ends; and whose code is in between.

    A ``tf.function`` that is called meanwhile is a part of the graph like any other code, where it may be inlined.
    """
    me = threading.get_ident()
    stack: list[tuple[keras.Operation, str]] = []
    uses: Counter[str] = Counter()
    known: dict[int, int] = {}  # id of an output -> its place in `calls`, which keep it alive

    def note(operation: keras.Operation, inputs: list[tf.Tensor], outputs: Any, start: int) -> None:  # noqa: ANN401
        path = "/".join([*(name for _, name in stack[1:]), _name(operation, stack[-1][0])])
        uses[path] += 1
        path = path if uses[path] == 1 else f"{path}#{uses[path]}"
        for i, output in enumerate(keras.tree.flatten(outputs)):
            if not tf.is_symbolic_tensor(output) or (id(output) not in known and any(output is x for x in inputs)):
                continue
            place = known.setdefault(id(output), len(calls))
            call = Call(f"{path}:{i}" if i else path, operation, tuple(inputs), output)
            if place == len(calls):
                calls.append(call)
                continue
            old = calls[place]
            if place >= start:  # the last tensor inside a layer is what the layer gives: it has the layer's name
                calls[place] = replace(call, aliases=(old.path, *old.aliases))
            else:
                calls[place] = replace(old, aliases=(*old.aliases, call.path))

    def mark() -> None:
        if tf.compat.v1.get_default_graph() is graph:
            path = tuple(name for _, name in stack[1:])
            spans.append(Span(graph.version, stack[-1][0] if stack else None, path))

    with _alone:
        original, compiled_call = keras.Operation.__call__, _Function.__call__

        def inlined(function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if not may_inline or threading.get_ident() != me or tf.executing_eagerly():
                return compiled_call(function, *args, **kwargs)
            if not function._autograph:
                return function.python_function(*args, **kwargs)
            converted = py_func_from_autograph(function.python_function, function._experimental_autograph_options)
            with ControlStatusCtx(Status.UNSPECIFIED, options=None):  # so that "if" and "for" may be over tensors
                return converted(*args, **kwargs)

        def watched(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if threading.get_ident() != me or (stack and _is_closed(stack[-1][0])):
                return original(operation, *args, **kwargs)
            start = len(calls)
            parent = stack[-1][0] if stack else None
            stack.append((operation, _name(operation, parent)))
            mark()
            try:
                outputs = original(operation, *args, **kwargs)
            finally:
                stack.pop()
                mark()
            if stack and not is_functional(operation):
                note(
                    operation,
                    [x for x in keras.tree.flatten((args, kwargs)) if tf.is_symbolic_tensor(x)],
                    outputs,
                    start,
                )
            return outputs

        keras.Operation.__call__, _Function.__call__ = watched, inlined
        try:
            yield
        finally:
            keras.Operation.__call__, _Function.__call__ = original, compiled_call


def _is_closed(operation: keras.Operation) -> bool:
    """Whether what is inside is the layer's own business: an attention of Keras, but not a model or a wrapper."""
    return type(operation).__module__.startswith("keras.src.layers") and not isinstance(operation, keras.layers.Wrapper)


def _name(operation: keras.Operation, parent: keras.Operation | None) -> str:
    """The operation's name; where Keras made it up, and counts it up, that of the attribute which holds it."""
    if parent is None or is_functional(parent) or not isinstance(operation, keras.Layer):
        return operation.name
    automatic = keras.src.utils.naming.to_snake_case(type(operation).__name__)
    if not re.fullmatch(rf"{automatic}(_\d+)?", operation.name):
        return operation.name
    for attribute, value in vars(parent).items():
        if attribute.startswith("_"):
            continue
        for i, one in enumerate(value if isinstance(value, list | tuple) else ()):
            if one is operation:
                return f"{attribute}_{i}"
        if value is operation:
            return attribute
    return operation.name
