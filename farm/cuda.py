"""Which CUDA devices there are, asked of the driver by a process of its own.

A process that has initialised CUDA cannot fork children that use it, and a worker is such a
parent. `python -m farm.cuda` prints {"names": [...], "error": "..."}; it honours
CUDA_VISIBLE_DEVICES, as the children will. Calls: CUDA driver API, cuInit to cuDeviceGetName.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

from farm.errors import Unavailable

#: Seconds that the driver may take: it wakes every device.
ASK_S = 60


def names() -> list[str]:
    """Return the devices' names, in the order of their numbers.

    Raises:
        Unavailable: there is none, with the driver's reason.
    """
    command = [sys.executable, "-m", "farm.cuda"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True)
        found = json.loads(run.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(f"the CUDA driver cannot be asked for its devices: {error}") from error
    if not found["names"]:
        raise Unavailable(f"there is no CUDA device here: {found['error']}")
    return list(found["names"])


def _ask() -> list[str]:
    driver = ctypes.CDLL("libcuda.so.1")
    _check(driver, driver.cuInit(0))
    count = ctypes.c_int()
    _check(driver, driver.cuDeviceGetCount(ctypes.byref(count)))
    found = []
    for number in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        _check(driver, driver.cuDeviceGet(ctypes.byref(device), number))
        _check(driver, driver.cuDeviceGetName(name, len(name), device))
        found.append(name.value.decode(errors="replace"))
    return found


def _check(driver: ctypes.CDLL, code: int) -> None:
    if code:
        reason = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(reason))
        raise OSError(f"CUDA error {code}: {(reason.value or b'unknown').decode()}")


def _main() -> None:
    try:
        found, error = _ask(), "the driver counts 0 devices"
    except OSError as failed:
        found, error = [], " ".join(str(failed).split())
    print(json.dumps({"names": found, "error": error}))


if __name__ == "__main__":
    _main()
