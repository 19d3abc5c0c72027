"""The main file as a model; every default of the daemon is written here once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pmwatchd.config.durations import within
from pmwatchd.config.faults import WrongError
from pmwatchd.config.safety import SafetySettings
from pmwatchd.config.values import (
    Count,
    EnvPort,
    Full,
    Place,
    ProbeModel,
    SecretRef,
    Section,
    Words,
    check_address,
    reference,
)
from pmwatchd.core import rules


def split_address(text: str) -> tuple[str, int]:
    """
    Take ``host:port`` or ``[host]:port`` apart.

    Raises:
        WrongError: It is neither.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:  # noqa: PLR2004 - the largest port
        raise WrongError("is not an address with a port", 'Write for example "127.0.0.1:9784"')
    return check_address(host), int(port)


def _listen(value: object) -> str:
    if not isinstance(value, str):
        raise WrongError("is not an address with a port", 'Write for example "127.0.0.1:9784"')
    split_address(value)
    return value


def _listens(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _path(value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise WrongError("is not a path", "Write it in quotes")
    return Path(value)


def _absolute(value: object) -> Path:
    path = _path(value)
    if not path.is_absolute():
        raise WrongError("is not an absolute path", "Begin it with /: proxies look there too")
    return path


def _key(value: object) -> Path | SecretRef:
    if not isinstance(value, dict):
        return _path(value)
    found = reference(value)
    if found.place is not Place.CREDENTIAL:
        raise WrongError("is neither a path nor a credential", 'Write { credential = "ssh_key" }')
    return found


PathText = Annotated[Path, BeforeValidator(_path)]
ListenText = Annotated[str, BeforeValidator(_listen)]
Listen = Annotated[tuple[ListenText, ...], BeforeValidator(_listens)]


class HeartbeatSettings(Section):
    """How hosts are asked for a sign of life; durations in seconds."""

    interval: Annotated[float, within("100ms", "1h")] = 5.0
    timeout: Annotated[float, within("50ms", "60s")] = 2.0
    require: Literal["any", "all"] = "any"
    weak: Literal["alive", "silent"] = "alive"
    probes: Annotated[tuple[ProbeModel, ...], Field(min_length=1)] = (
        ProbeModel(type="tcp", port=22),
    )


class GraceSettings(Section):
    """How long a host may be silent; both limits must be reached."""

    period: Annotated[float, within("100ms", "1d")] = 60.0
    failures: Count = 3


class RetrySettings(Section):
    """How long a failed operation waits: from *min*, doubling, to *max*, in seconds."""

    min: Annotated[float, within("100ms", "1d")] = 60.0
    max: Annotated[float, within("100ms", "7d")] = 1800.0

    @model_validator(mode="after")
    def _min_is_not_over_max(self) -> Self:
        if self.min > self.max:
            raise WrongError("min is longer than max", "Make max at least as long as min")
        return self


class FencingSettings(Section):
    """The rules of switching power; durations in seconds."""

    off_status_delay: Annotated[float, within("100ms", "10m")] = 10.0
    off_status_retries: Count = 18
    on_status_delay: Annotated[float, within("100ms", "10m")] = 10.0
    on_status_retries: Count = 18
    off_attempts: Count = 1
    on_attempts: Count = 2
    agent_timeout: Annotated[float, within("500ms", "10m")] = 30.0
    status_timeout: Annotated[float, within("500ms", "10m")] = 10.0
    # sshd confirms a start before timeout(1) counts; on a busy machine that takes a while
    kill_after: Annotated[float, within("1s", "60s")] = 5.0
    confirm_gap: Annotated[float, within("50ms", "60s")] = 0.5
    boot_timeout: Annotated[float, within("1s", "1d")] = 600.0
    quiet_time: Annotated[float, within("0s", "1d")] = 180.0
    on_if_found_off: bool = True
    retry: RetrySettings = RetrySettings()
    proxies: Words = ("cluster", "dc")
    implicit_proxies: bool = True
    candidates_per_source: Count = 3
    agent_dir: Annotated[Path, BeforeValidator(_absolute)] = Path("/usr/sbin")


class SshSettings(Section):
    """How proxies are reached; host keys are always verified."""

    user: Full = "pmwatchd"
    port: EnvPort = 22
    private_key: Annotated[Path | SecretRef, BeforeValidator(_key)] = Path(
        "/etc/pmwatchd/ssh/id_ed25519"
    )
    known_hosts: PathText = Path("/etc/pmwatchd/ssh/known_hosts")
    connect_timeout: Annotated[float, within("100ms", "60s")] = 5.0


class KdumpSettings(Section):
    """How crash dumps are heard and how long they are waited for; durations in seconds."""

    enabled: bool = False
    listen: ListenText = "[::]:7410"
    start_window: Annotated[float, within("0s", "1h")] = 30.0
    quiet_after: Annotated[float, within("100ms", "1h")] = 30.0
    ceiling: Annotated[float, within("100ms", "1d")] = 1800.0


class ApiSettings(Section):
    """Where the client speaks to the daemon."""

    socket: PathText = Path("/run/pmwatchd/api.sock")
    socket_group: Full = "pmwatchd-admin"


class MetricsSettings(Section):
    """Where Prometheus reads; each entry of *listen* is ``host:port``."""

    listen: Listen = ()
    per_host: bool = True


class LogSettings(Section):
    """How the log is written."""

    format: Literal["json", "console", "journal"] = "json"
    level: Literal["debug", "info", "warning", "error", "critical"] = "info"


class Settings(BaseSettings):
    """
    The main file with ``conf.d`` and the environment merged over it.

    Durations are seconds.  Without sources it holds the defaults; the
    environment is only read by :mod:`pmwatchd.config.sources`.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix="PMWATCHD_",
        env_nested_delimiter="__",
    )

    inventory: PathText = Path("hosts.d")
    state_dir: PathText = Path("/var/lib/pmwatchd")
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    grace: GraceSettings = GraceSettings()
    fencing: FencingSettings = FencingSettings()
    ssh: SshSettings = SshSettings()
    safety: SafetySettings = SafetySettings()
    kdump: KdumpSettings = KdumpSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back."""
        return (init_settings,)

    def rules(self) -> rules.Rules:
        """What the core takes from all this."""
        fencing = self.fencing
        return rules.Rules(
            safety=self.safety.rules(),
            kdump=rules.KdumpRules(
                enabled=self.kdump.enabled,
                start_window_s=self.kdump.start_window,
                quiet_after_s=self.kdump.quiet_after,
                ceiling_s=self.kdump.ceiling,
            ),
            ssh_user=self.ssh.user,
            ssh_port=self.ssh.port,
            fencing=rules.Fencing(
                off_status_delay_s=fencing.off_status_delay,
                off_status_retries=fencing.off_status_retries,
                on_status_delay_s=fencing.on_status_delay,
                on_status_retries=fencing.on_status_retries,
                off_attempts=fencing.off_attempts,
                on_attempts=fencing.on_attempts,
                agent_timeout_s=fencing.agent_timeout,
                status_timeout_s=fencing.status_timeout,
                kill_after_s=fencing.kill_after,
                confirm_gap_s=fencing.confirm_gap,
                quiet_time_s=fencing.quiet_time,
                on_if_found_off=fencing.on_if_found_off,
                retry_min_s=fencing.retry.min,
                retry_max_s=fencing.retry.max,
                candidates_per_source=fencing.candidates_per_source,
            ),
        )
