"""
The plan of the house: builds every object and joins them in one TaskGroup.

The only file that knows concrete classes.  What it builds, in the direction
in which a missed heartbeat travels::

    Scheduler -> Engine(Fleet) -> SqliteJournal -> Runner -> FenceAgents -> SSH, local
                    |
                    +-> log, metrics, event stream -> API
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from pmwatchd import config
from pmwatchd.api.app import build_app
from pmwatchd.api.server import serve
from pmwatchd.core.events import Event, InventoryLoaded
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import FenceAction
from pmwatchd.core.orders import Record
from pmwatchd.engine import Engine
from pmwatchd.errors import ConfigError, Fault, PmwatchdError
from pmwatchd.io.agents import FenceAgents
from pmwatchd.io.heartbeat import Scheduler
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.io.local import LocalTransport
from pmwatchd.io.ssh import SshOptions, SshTransport
from pmwatchd.io.systemd import Notifier, listens_to_journal
from pmwatchd.observe import log
from pmwatchd.observe.metrics import Metrics
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Reloaded
from pmwatchd.runner import Runner

NEEDS_RESTART = ("state_dir", "api", "metrics", "log")
"""Parts of the main file that a running daemon does not change."""


class SystemClock:
    """The clocks of this machine; ``CLOCK_BOOTTIME`` counts the time it slept."""

    def now(self) -> float:
        """Seconds, monotonic."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> datetime:
        """Wall-clock time, UTC."""
        return datetime.now(UTC)


def run(file: Path, *, accept_empty_journal: bool = False) -> int:
    """
    Run the daemon until SIGTERM or SIGINT and return its exit code.

    Args:
        accept_empty_journal: Begin an empty journal where a damaged one lies.

    Raises:
        ConfigError: The main file is faulty.
        PmwatchdError: The journal, a socket or a capability is missing.
    """
    # A reload asked for too early means nothing yet; by default it would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configuration = config.load(file)
    settings = configuration.settings
    kind = settings.log.format
    if kind == "json" and listens_to_journal():
        kind = "journal"
    log.configure(format=kind, level=settings.log.level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(Daemon(file, configuration).run(accept_empty_journal=accept_empty_journal))
    except ExceptionGroup as group:
        expected, bugs = group.split(PmwatchdError)
        if expected is not None and bugs is None:
            raise PmwatchdError("; ".join(map(str, _leaves(expected)))) from None
        structlog.get_logger().critical(
            "daemon.crashed",
            message="A bug or a broken invariant ends the process; the journal keeps its work.",
            exc_info=group,
        )
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take the faster loop where the extra ``fast`` is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _ssh_options(settings: config.Settings) -> SshOptions:
    return SshOptions(
        private_key=_ssh_key(settings.ssh.private_key),
        known_hosts=settings.ssh.known_hosts,
        connect_timeout_s=settings.ssh.connect_timeout,
    )


def _ssh_key(key: Path | config.SecretRef) -> Path:
    """
    Find the file of the SSH key.

    Raises:
        PmwatchdError: It is a credential that systemd did not pass on.
    """
    if isinstance(key, Path):
        return key
    path = config.credential_path(key.name)
    if path is None:
        raise PmwatchdError(
            f"ssh.private_key: there is no credential {key.name!r}. Put it into the unit's "
            "LoadCredential= folder, or give a path."
        )
    return path


class Daemon:
    """Everything that runs, joined."""

    def __init__(self, file: Path, configuration: config.Configuration) -> None:
        self._file = file
        self._configuration = configuration
        self._clock = SystemClock()
        self._notifier = Notifier.from_environment()
        self._registry = CollectorRegistry()
        per_host = configuration.settings.metrics.per_host
        self._metrics = Metrics(self._registry, lambda: self._engine, per_host=per_host)
        self._stream = EventStream()
        self._engine: Engine | None = None
        self._ssh: SshTransport | None = None
        self._reloading = asyncio.Lock()

    async def run(self, *, accept_empty_journal: bool = False) -> None:
        """Build, run until a signal, and end cleanly: open operations stay in the journal."""
        settings = self._configuration.settings
        journal, remembered = await SqliteJournal.open(
            settings.state_dir, meter=self._metrics, accept_empty=accept_empty_journal
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(journal.close)

            def inbox(event: Event) -> None:  # the engine is built last: it needs all the others
                engine.put(event)

            options = _ssh_options(settings)
            ssh = self._ssh = SshTransport(options, meter=self._metrics, tell=self._tell)
            stack.push_async_callback(ssh.close)
            agent_dir = str(settings.fencing.agent_dir)
            scheduler = Scheduler(listen=inbox, meter=self._metrics, clock=self._clock.now)
            runner = Runner(
                agents=FenceAgents(
                    agent_dir=agent_dir,
                    fencing=lambda: self._configuration.rules.fencing,
                    ssh=ssh,
                    local=LocalTransport(agent_dir),
                ),
                inbox=inbox,
                prober=scheduler,
                clock=self._clock.now,
            )
            fleet = Fleet(
                epoch=remembered.epoch,
                now=self._clock.now(),
                wall=self._clock.wall(),
                memories=remembered.hosts,
                operations=remembered.operations,
                load=lambda: runner.running,
            )
            engine = self._engine = Engine(
                fleet=fleet,
                journal=journal,
                carry_out=runner.carry_out,
                tellers=(log.LogTeller(), self._metrics, self._stream),
                clock=self._clock,
                last_answer_at=scheduler.last_answer_at,
                sequence=remembered.sequence,
                durable=frozenset(saved.id for saved in remembered.operations),
                progressed=self._notifier.watchdog,
            )
            await self._live(engine, runner, scheduler, journal)

    async def _live(
        self, engine: Engine, runner: Runner, scheduler: Scheduler, journal: SqliteJournal
    ) -> None:
        settings = self._configuration.settings
        app = build_app(
            desk=engine,
            journal=journal,
            stream=self._stream,
            registry=self._registry,
            reload=lambda allow_removal: self._reload(scheduler, allow_removal=allow_removal),
            version=version("pmwatchd"),
            tell=self._tell,
        )
        self._tell(Record(event="daemon.started", fields={"version": version("pmwatchd")}))
        if (old := journal.replaced) is not None:
            fields = {"reason": old.reason, "kept": str(old.kept), "lost": old.lost}
            self._tell(Record(event="journal.replaced", fields=fields))
        self._tell_inventory()
        scheduler.watch(self._configuration.hosts)
        engine.put(self._inventory())
        gc.collect()
        gc.freeze()  # a large inventory stays; looking through it again and again would cost pauses
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(engine.run(), name="engine")
            door = tasks.create_task(runner.run(), name="runner")
            ears = tasks.create_task(scheduler.run(), name="heartbeats")
            async with (
                serve(
                    app,
                    socket_path=settings.api.socket,
                    socket_group=settings.api.socket_group,
                    metrics_listen=settings.metrics.listen,
                ),
                self._signals(tasks, scheduler) as stopped,
            ):
                self._notifier.ready(f"watching {len(self._configuration.hosts)} hosts")
                await stopped.wait()
                self._notifier.stopping()
                ears.cancel()
                await runner.drain(self._configuration.rules.fencing.over_s(FenceAction.OFF))
                engine.stop()
                await loop
                door.cancel()

    @contextlib.asynccontextmanager
    async def _signals(
        self, tasks: asyncio.TaskGroup, scheduler: Scheduler
    ) -> AsyncIterator[asyncio.Event]:
        """SIGTERM and SIGINT end the daemon, SIGHUP reloads it."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def reload() -> None:
            tasks.create_task(self._reload(scheduler, allow_removal=False), name="reload")

        handlers = {signal.SIGTERM: stopped.set, signal.SIGINT: stopped.set, signal.SIGHUP: reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield stopped
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    # configuration -----------------------------------------------------------------------

    async def _reload(self, scheduler: Scheduler, *, allow_removal: bool) -> Reloaded:
        """Read everything again; with any fault the running inventory is kept."""
        async with self._reloading:
            self._notifier.reloading()
            try:
                result = await self._try_reload(scheduler, allow_removal=allow_removal)
            finally:
                self._notifier.ready(f"watching {len(self._configuration.hosts)} hosts")
        if result.faults:
            for fault in result.faults:
                self._tell_fault(fault)
        else:
            fields = {"added": result.added, "changed": result.changed, "removed": result.removed}
            self._tell(Record(event="config.reloaded", fields=fields))
        return result

    async def _try_reload(self, scheduler: Scheduler, *, allow_removal: bool) -> Reloaded:
        try:
            new = await asyncio.to_thread(config.load, self._file)
        except ConfigError as error:
            return Reloaded(faults=error.faults)
        if new.faults:
            return Reloaded(faults=new.faults)
        old = self._configuration
        refusal = None if allow_removal else config.removal_refused(old.hosts, new.hosts)
        if refusal is not None:
            remedy = "Repeat with --allow-removal if that is meant"
            folder = str(new.settings.inventory)
            return Reloaded(faults=(Fault(folder, "hosts", refusal, remedy),))
        added, changed, removed = config.compare(old.hosts, new.hosts)
        fixed = [
            f"{part}: changed, and needs a restart of the daemon"
            for part in NEEDS_RESTART
            if getattr(old.settings, part) != getattr(new.settings, part)
        ]
        try:
            options = _ssh_options(new.settings)
            scheduler.watch(new.hosts)
        except PmwatchdError as error:  # a capability or a credential that only now is needed
            fault = Fault(str(self._file), "reload", str(error), "Mend it and reload again")
            return Reloaded(faults=(fault,))
        self._configuration = new
        if self._engine is not None and self._ssh is not None:
            self._engine.put(self._inventory())
            self._ssh.use(options)
        warnings = (*new.warnings, *fixed)
        return Reloaded(added=added, changed=changed, removed=removed, warnings=warnings)

    def _inventory(self) -> InventoryLoaded:
        configuration = self._configuration
        faults = configuration.faults
        refused = f"{len(faults)} faults, the first: {faults[0]}" if faults else ""
        return InventoryLoaded(configuration.hosts, configuration.rules, refused)

    def _tell_inventory(self) -> None:
        configuration = self._configuration
        self._tell(Record(event="inventory.loaded", fields={"hosts": len(configuration.hosts)}))
        for fault in configuration.faults:
            self._tell_fault(fault)
        for warning in configuration.warnings:
            structlog.get_logger().warning("inventory.warned", message=warning)

    def _tell_fault(self, fault: Fault) -> None:
        fields = {"reason": f"{fault.reason} ({fault.file}: {fault.key}). {fault.remedy}."}
        self._tell(Record(event="inventory.refused", host=fault.host, fields=fields))

    def _tell(self, record: Record) -> None:
        if self._engine is not None:
            self._engine.tell(record)
