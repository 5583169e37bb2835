"""ICC profiles, made byte by byte: of monitors by their primaries, of grey by its curve, of a press by its inks."""

import struct

import numpy as np

# Primaries and white as XYZ under D50, one a row: what the profiles of these spaces hold (Bradford-adapted).
SRGB = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]])
DISPLAY_P3 = np.array([[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]])
ADOBE_RGB = np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]])
PROPHOTO = np.array([[0.79767, 0.28804, 0.0], [0.13519, 0.71188, 0.0], [0.03134, 0.00009, 0.82491]])
WHITE_D50 = (0.9642, 1.0, 0.8249)


def srgb_curve() -> bytes:
    """The curve that sRGB and Display P3 share (IEC 61966-2-1), as a parametric curve of type 3."""
    return b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def monitor_profile(primaries: np.ndarray, curve: bytes) -> bytes:
    columns = {name + b"XYZ": _xyz(row) for name, row in zip((b"r", b"g", b"b"), primaries, strict=True)}
    return _profile(b"mntr", b"RGB ", b"XYZ ", columns | {name + b"TRC": curve for name in (b"r", b"g", b"b")})


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma_curve(gamma)})


def press_profile(points: int = 13) -> bytes:
    """Four inks that are not pure, each laid over the others, by a table of ``points`` amounts of each (lut16Type)."""
    amounts = np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * 4, indexing="ij"), -1).reshape(-1, 4)
    lab = _lab_of_inks(amounts)
    encoded = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], 1)
    straight = struct.pack(">2H", 0, 65535)
    table = (
        b"mft2\0\0\0\0" + bytes([4, 3, points, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">2H", 2, 2)
        + straight * 4 + encoded.round().clip(0, 65535).astype(">u2").tobytes() + straight * 3
    )  # fmt: skip
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table}, version=0x02400000)


def light_of_inks(amounts: np.ndarray) -> np.ndarray:
    """(..., 4) of cyan, magenta, yellow, black from 0 to 1 -> (..., 3) of sRGB's light, 0 to 1."""
    passes = np.array([[0.05, 0.75, 0.9], [0.85, 0.1, 0.65], [1.0, 0.97, 0.1], [0.03, 0.03, 0.03]])
    return np.prod(1 - amounts[..., None] * (1 - passes), axis=-2) ** 1.6


def _lab_of_inks(amounts: np.ndarray) -> np.ndarray:
    """(n, 4) of inks -> (n, 3) of L*, a*, b* under D50 (CIE 15)."""
    relative = light_of_inks(amounts) @ SRGB / WHITE_D50
    root = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _profile(kind: bytes, space: bytes, between: bytes, tags: dict[bytes, bytes], version: int = 0x04300000) -> bytes:
    name = b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", 2, 28) + "x".encode("utf-16-be")
    tags = {b"desc": name, b"wtpt": _xyz(WHITE_D50), **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", version, kind, space, between)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*WHITE_D50)
    return header.ljust(128, b"\0") + table + body
