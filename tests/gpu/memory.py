"""Print the card's free bytes before, with and after a voice: `memory.py VOICE.json FOLDER`."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

from farm.cli import trying
from farm.engines import load
from farm.jobs import Voice, from_json


def free() -> int:
    """Free bytes of the first card (CUDA driver API, cuMemGetInfo), whoever uses it."""
    driver, context, device = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_int()
    there, whole = ctypes.c_size_t(), ctypes.c_size_t()
    calls = (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        driver.cuCtxSetCurrent(context),
        driver.cuMemGetInfo_v2(ctypes.byref(there), ctypes.byref(whole)),
    )
    if any(calls):
        raise OSError(f"CUDA errors {calls}")
    return there.value


def spoken(voice: Voice, folder: Path) -> int:
    """Load a voice, have it speak, and return the bytes that are free meanwhile."""
    engine = load(voice, folder, "cuda:0")
    for segment in trying.segments(voice):
        engine.speak([segment])
    return free()


def main(voice: Voice, folder: Path) -> None:
    """Measure after a first load, so that the libraries' own memory is not counted."""
    spoken(voice, folder)
    gc.collect()
    before = free()
    loaded = spoken(voice, folder)
    gc.collect()
    print(json.dumps({"before": before, "loaded": loaded, "after": free()}))


if __name__ == "__main__":
    main(from_json(Voice, Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
