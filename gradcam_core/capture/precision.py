"""Passes in bfloat16: half the bytes of float32, the same range, three digits. For processors that multiply in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context

from ..errors import SettingError

PRECISIONS = ("float32", "bfloat16")
_KNOW_IT = ("avx512_bf16", "amx_bf16", "bf16")  # how Linux calls it, of Intel and AMD and of Arm


def has_bfloat16() -> bool:
    """Whether this machine's processor multiplies in bfloat16. Where it does not say, it does not."""
    try:
        words = re.findall(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    return bool(words) and not set(_KNOW_IT).isdisjoint(words[0].split())


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let the passes that this thread runs meanwhile multiply in another precision.

    What goes in and what comes out stays float32. TensorFlow rewrites a copy of each pass (its "auto mixed precision"
    for oneDNN): convolutions and products of matrices are done in bfloat16, sums that need it in float32.

    Args:
        precision: one of ``PRECISIONS``.

    Raises:
        SettingError: there is no such precision, or the processor does not have it.
    """
    if precision not in PRECISIONS:
        raise SettingError(f"The precision is {' or '.join(map(repr, PRECISIONS))}, not {precision!r}.")
    if precision == "float32":
        yield
        return
    if not has_bfloat16():
        raise SettingError(
            "This machine's processor does not multiply in bfloat16, so it would be slower, not faster. Leave the "
            "precision at float32."
        )
    here = context.context()
    before = here.function_call_options
    settings = config_pb2.ConfigProto()
    settings.CopyFrom(here.config)
    rewrites = settings.graph_options.rewrite_options
    rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    here.function_call_options = context.FunctionCallOptions(config_proto=settings)
    try:
        yield
    finally:
        here.function_call_options = before
