"""Print a device's free bytes before, with and after a voice: `memory.py VOICE.json FOLDER DEVICE`.

Of the CPU: by how much this process takes less than nothing.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import psutil

from farm.cli import trying
from farm.engines import load
from farm.jobs import Voice
from farm.schema import from_json


def free(device: str) -> int:
    """Free bytes of the first card (CUDA driver API, cuMemGetInfo), whoever uses it."""
    gc.collect()
    if device == "cpu":
        return -int(psutil.Process().memory_info().rss)
    if "torch" in sys.modules:
        # What torch keeps for its next tensors is nobody's.
        sys.modules["torch"].cuda.empty_cache()
    driver, context, number = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_int()
    there, whole = ctypes.c_size_t(), ctypes.c_size_t()
    calls = (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(number), 0),
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), number),
        driver.cuCtxSetCurrent(context),
        driver.cuMemGetInfo_v2(ctypes.byref(there), ctypes.byref(whole)),
    )
    if any(calls):
        raise OSError(f"CUDA errors {calls}")
    return there.value


def spoken(voice: Voice, folder: Path, device: str) -> int:
    """Load a voice, have it speak, and return the bytes that are free meanwhile."""
    engine = load(voice, folder, device)
    for segment in trying.segments(voice):
        engine.speak([segment])
    return free(device)


def main(voice: Voice, folder: Path, device: str) -> None:
    """Measure after a first load, so that the libraries' own memory is not counted."""
    spoken(voice, folder, device)
    before = free(device)
    loaded = spoken(voice, folder, device)
    print(json.dumps({"before": before, "loaded": loaded, "after": free(device)}))


if __name__ == "__main__":
    main(from_json(Voice, Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]), sys.argv[3])
