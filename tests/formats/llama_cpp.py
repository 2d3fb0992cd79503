"""llama.cpp itself, out of the wheel `xllamacpp`: its reader of control vectors, and a model that runs under one.

The wheel's own Python passes no control vectors on, but its library exports llama.cpp's functions, called here with ctypes: the
C interface, and one function in C++ whose argument and result are spelled out as manylinux2014 wheels lay them out.
D width, L layers, V vocabulary.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_float, c_int8, c_int32, c_size_t, c_void_p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

READ = "_Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE"
OLD_STRINGS = "_Z11string_joinRKSt6vectorISsSaISsEERKSs"
"""A function of llama.cpp under the name that it has where std::string is one pointer wide, and only there."""
NEW_STRING = "_ZNSsC1EPKcRKSaIcE"
"""The constructor of that string in libstdc++."""


class _Params(ctypes.Structure):
    """A struct of parameters: its maker's defaults, handed on unread. Longer than any; a callee sees what it knows of."""

    _fields_ = (("bytes", c_int8 * 1024),)


class _Batch(ctypes.Structure):
    _fields_ = (
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        *((name, c_void_p) for name in ("embd", "pos", "n_seq_id", "seq_id", "logits")),
    )


class _Vector(ctypes.Structure):
    _fields_ = (("begin", c_void_p), ("end", c_void_p), ("room", c_void_p))


class _LoadInfo(ctypes.Structure):
    _fields_ = (("strength", c_float), ("fname", c_void_p))


class _Loaded(ctypes.Structure):
    _fields_ = (("n_embd", c_int32), ("data", _Vector))


class LlamaCpp:
    """The library, opened from a file. What it has to say goes to standard error.

    Raises:
        AttributeError: A function is lacking, or the C++ ABI is another.
        OSError: It is no library of this machine, or libstdc++ is not there.
    """

    def __init__(self, path: Path) -> None:
        self._c = c = ctypes.CDLL(str(path))
        c[OLD_STRINGS]  # looked up, to be refused where it is not
        self._read, self._new_string = c[READ], ctypes.CDLL("libstdc++.so.6")[NEW_STRING]
        self._read.restype = _Loaded
        c.llama_model_default_params.restype = c.llama_context_default_params.restype = _Params
        c.llama_model_load_from_file.restype = c.llama_init_from_model.restype = c_void_p
        c.llama_batch_get_one.restype = _Batch
        c.llama_get_logits_ith.restype = POINTER(c_float)
        c.llama_set_adapter_cvec.restype = c.llama_decode.restype = c_int32

    def read(self, path: Path, strength: float = 1.0) -> Floats | None:
        """What `--control-vector-scaled FILE:strength` loads: rows of blocks 1, 2, ... [L - 1, D]; None where it refuses."""
        name, allocator = c_void_p(), ctypes.c_char()
        self._new_string(byref(name), c_char_p(str(path).encode()), byref(allocator))
        info = _LoadInfo(strength, name)
        begin = ctypes.addressof(info)
        files = _Vector(begin, begin + ctypes.sizeof(info), begin + ctypes.sizeof(info))
        loaded = self._read(byref(files))
        if loaded.n_embd < 0:
            return None
        size = (loaded.data.end - loaded.data.begin) // ctypes.sizeof(c_float)
        flat = np.ctypeslib.as_array(ctypes.cast(loaded.data.begin, POINTER(c_float)), (size,))
        return flat.reshape(-1, loaded.n_embd).copy()

    def logits(self, model: Path, ids: Sequence[int], n_vocab: int, control: Floats | None) -> Floats:
        """Logits after the last token [V] of a GGUF model, under the rows that `read` gave or none."""
        c = self._c
        opened = c_void_p(c.llama_model_load_from_file(str(model).encode(), c.llama_model_default_params()))
        assert opened.value
        context = c_void_p(c.llama_init_from_model(opened, c.llama_context_default_params()))
        assert context.value
        if control is not None:
            rows, width = control.shape
            data = np.ascontiguousarray(control)
            failed = c.llama_set_adapter_cvec(
                context, data.ctypes.data_as(c_void_p), c_size_t(data.size), c_int32(width), c_int32(1), c_int32(rows)
            )  # fmt: skip
            assert failed == 0
        tokens = (c_int32 * len(ids))(*ids)
        assert c.llama_decode(context, c.llama_batch_get_one(tokens, c_int32(len(ids)))) == 0
        row = np.ctypeslib.as_array(c.llama_get_logits_ith(context, c_int32(-1)), (n_vocab,)).copy()
        c.llama_free(context)
        c.llama_model_free(opened)
        return row
