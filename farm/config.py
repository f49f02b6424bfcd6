"""Settings: `configs/farm.yaml` (or `FARM_CONFIG`) and `FARM_*`. Read once, at the edge."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml
from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from farm.errors import InvalidInput

#: Whom Flower lets in, with the password of the settings' file.
FLOWER_USER = "farm"

#: Seconds of a day.
DAY_S = 86_400.0


#: What else `FARM_` begins: compose, the tests, `docs/api.md`'s examples, this module.
_OTHERS = (
    "API", "API_KEY", "API_PORT", "CONFIG", "EMBEDDED", "FLOWER_PORT", "GPU_TESTS_DEVICE",
    "S3_PORT", "TAG", "TEST_CACHE",
)  # fmt: skip


class Settings(BaseSettings):
    """Everything an operator can set; each also as `FARM_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="forbid")

    home: Path = Path(".farm")
    """Folder of the embedded farm and of this host's caches."""
    id: str = "farm"
    """Farms that share a store touch only the jobs that carry their id."""
    broker_url: SecretStr = SecretStr("")
    """Redis: `redis://:PASSWORD@HOST`, `rediss://`, `unix://`; empty: an embedded one."""
    broker_password_file: str = ""
    """File of Redis's password, where `broker_url` has none."""
    store_url: str = ""
    """`file:///folder` or `s3://bucket/prefix`; empty: `store` in the home folder."""
    s3_endpoint_url: str = ""
    """Address of an S3 server other than Amazon's; credentials as boto3 finds them."""
    s3_public_url: str = ""
    """Where clients reach that server; empty: at the same address as the farm."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    voices: list[Path] = Field(default_factory=lambda: [Path("configs/voices")])
    """Folders with voice files (*.yaml), before the home's `voices` and the built-in."""
    voice: str = "slt"
    """The voice of jobs that name none."""
    children: int = Field(0, ge=0)
    """Worker children per family on the CPU of this host; 0: one per core."""
    devices: str = "cpu"
    """Where the engines run: `cpu`, or CUDA devices by number, `cuda:0,cuda:1`."""
    per_device: int = Field(0, ge=0)
    """Worker children per device; 0: one per core on the CPU, two on a GPU."""
    model_bytes: int = Field(1 << 30, ge=0)
    """Bytes of model files that a child keeps loaded; those used last stay."""
    child_bytes: int = Field(0, ge=0)
    """Bytes of memory beyond which a child is replaced after a unit; 0: 2 GiB + 4 `model_bytes`."""
    pass_s: float = Field(120.0, ge=0)
    """Seconds after which a child whose engine does not return is ended; 0: never."""
    warm: int | None = Field(None, ge=0)
    """Voices, those used last here, that a child loads before it takes work; unset: 1 on a GPU."""
    calibrate: bool | None = None
    """Whether to measure batches: how large, how decoded; unset: on a GPU. Otherwise 1 segment."""
    webhook_networks: list[IPvAnyNetwork] = Field(default_factory=list)
    """Networks (CIDR) that webhooks and reference URLs may reach though they are not public."""
    result_expires_s: int = 3600
    """Seconds that Celery keeps a task's small result, for Flower and for people."""
    segment_days: float = Field(0, ge=0)
    """Days after which a stored segment is deleted; spoken again if it is needed. 0: never."""
    upload_bytes: int = Field(256 << 20, ge=1)
    """Bytes of a file that a client may send to the API."""
    api_keys_file: str = ""
    """File of the API's keys; empty: `keys.json` in the home folder."""
    flower_password_file: str = ""
    """File of Flower's password; empty: `flower-password` in the home folder."""
    expected_families: list[str] = Field(default_factory=list)
    """Engine families that must have a live worker for `/readyz`, besides those with work."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=_config_file())
        return init_settings, env_settings, file

    @model_validator(mode="after")
    def _reach_redis(self) -> Settings:
        """Put the password of its file into the broker's URL, which must have one.

        A Redis that anybody reaches over a network takes anybody's work; a socket is a file.
        """
        self._add_password()
        url = urlsplit(self.broker_url.get_secret_value())
        if url.scheme in ("redis", "rediss") and not url.password:
            raise InvalidInput(
                f"setting 'broker_url': {url.scheme}://{url.netloc} has no password; say "
                f"{url.scheme}://:PASSWORD@{url.netloc.rpartition('@')[2]}, or set "
                "'broker_password_file'"
            )
        return self

    def _add_password(self) -> None:
        url, path = urlsplit(self.broker_url.get_secret_value()), self.broker_password_file
        if not path or not url.scheme or url.password:
            return
        try:
            password = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InvalidInput(
                f"setting 'broker_password_file': cannot read {path!r}: {error.strerror}"
            ) from error
        if not password:
            raise InvalidInput(f"setting 'broker_password_file': {path!r} is empty")
        host = url.netloc.rpartition("@")[2]
        netloc = f"{url.username or ''}:{quote(password, safe='')}@{host}"
        self.broker_url = SecretStr(url._replace(netloc=netloc).geturl())

    @property
    def device(self) -> str:
        """Where the engines run that a command loads by itself."""
        return self.devices.split(",")[0].strip()

    @property
    def cache(self) -> Path:
        """Folder of what this host can make or fetch again."""
        return self.home / "cache"

    def calibrates(self, device: str) -> bool:
        """Whether it is measured how a device is best used."""
        return device != "cpu" if self.calibrate is None else self.calibrate

    @property
    def cores(self) -> int:
        """Worker children per family."""
        return self.children or len(os.sched_getaffinity(0))

    @property
    def most_bytes(self) -> int:
        """Bytes of memory beyond which a worker's child is replaced."""
        return self.child_bytes or (2 << 30) + 4 * self.model_bytes

    @property
    def keys_path(self) -> Path:
        """File of the API's keys."""
        return Path(self.api_keys_file) if self.api_keys_file else self.home / "keys.json"

    @property
    def flower_password_path(self) -> Path:
        """File of Flower's password."""
        given = self.flower_password_file
        return Path(given) if given else self.home / "flower-password"

    @property
    def store(self) -> str:
        """The store's URL."""
        return self.store_url or (self.home.absolute() / "store").as_uri()


def unknown(names: Iterable[str]) -> dict[str, str]:
    """Return the `FARM_*` variables that nobody reads, each with the one it resembles, or none."""
    known = [*_OTHERS, *map(str.upper, Settings.model_fields)]
    given = {name: name.removeprefix("FARM_") for name in names if name.startswith("FARM_")}
    return {
        name: "".join(f"FARM_{near}" for near in get_close_matches(odd, known, 1))
        for name, odd in sorted(given.items())
        if odd not in known
    }


def _config_file() -> Path:
    path = Path(os.environ.get("FARM_CONFIG", "configs/farm.yaml"))
    if "FARM_CONFIG" in os.environ and not path.is_file():
        raise InvalidInput(f"FARM_CONFIG: no such file: {str(path)!r}")
    return path


def read_settings(**overrides: object) -> Settings:
    """Read the settings, or raise `InvalidInput` with the name of the bad one."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"setting {name!r}: {first['msg']}") from error
    except SettingsError as error:
        raise InvalidInput(f"settings: {error}; lists are written as JSON") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInput(f"{str(_config_file())!r} is not settings in YAML: {reason}") from error


def read_connected() -> Settings:
    """Read the settings of a farm whose Redis is given; `InvalidInput` without one."""
    settings = read_settings()
    if not settings.broker_url.get_secret_value():
        raise InvalidInput(
            "FARM_BROKER_URL is not set; give the Redis of the farm, or use `farm up`"
        )
    return settings
