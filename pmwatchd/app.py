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
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from pmwatchd import config
from pmwatchd.api.app import build_app
from pmwatchd.api.server import serve
from pmwatchd.core.events import Event
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import FenceAction
from pmwatchd.core.orders import Act, AskWitness, CheckAlive, FenceSoftly, Record
from pmwatchd.engine import Engine
from pmwatchd.errors import PmwatchdError
from pmwatchd.inquirer import Inquirer
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.io.heartbeat import Scheduler
from pmwatchd.io.inquiries import NetworkInquiries
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.io.kdump import DumpListener
from pmwatchd.io.local import LocalTransport
from pmwatchd.io.names import SystemNames
from pmwatchd.io.ssh import SshOptions, SshTransport
from pmwatchd.io.systemd import Notifier, listens_to_journal
from pmwatchd.observe import log
from pmwatchd.observe.metrics import Metrics
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Reloaded, Remembered
from pmwatchd.reload import Inventory
from pmwatchd.runner import Runner


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
    configuration = config.load(file)
    settings = configuration.settings
    kind = settings.log.format
    if kind == "json" and listens_to_journal():
        kind = "journal"
    log.configure(format=kind, level=settings.log.level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(Daemon(file, configuration).run(accept_empty_journal=accept_empty_journal))
    except PmwatchdError:
        raise
    except Exception as error:  # noqa: BLE001 - told once, as one line, and then the end
        if isinstance(error, ExceptionGroup) and error.split(PmwatchdError)[1] is None:
            raise PmwatchdError("; ".join(map(str, _leaves(error)))) from None
        structlog.get_logger().critical(
            "daemon.crashed",
            message="A bug or a broken invariant ends the process; the journal keeps its work.",
            exc_info=error,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The moving parts, built and not yet started."""

    engine: Engine
    runner: Runner
    inquirer: Inquirer
    dumps: DumpListener
    scheduler: Scheduler
    journal: SqliteJournal
    inventory: Inventory


class Daemon:
    """Everything that runs, joined."""

    def __init__(self, file: Path, configuration: config.Configuration) -> None:
        self._file = file
        self._configuration = configuration
        self._clock = SystemClock()
        self._notifier = Notifier.from_environment()
        self._registry = CollectorRegistry()
        per_host = configuration.settings.metrics.per_host
        self._engine: Engine | None = None
        self._metrics = Metrics(self._registry, lambda: self._engine, per_host=per_host)
        self._stream = EventStream()
        self._names = SystemNames(clock=self._clock.now)
        self._agent_dir = str(configuration.settings.fencing.agent_dir)

    async def run(self, *, accept_empty_journal: bool = False) -> None:
        """Build, run until a signal, and end cleanly: open operations stay in the journal."""
        state_dir = self._configuration.settings.state_dir
        journal, remembered = await SqliteJournal.open(
            state_dir, meter=self._metrics, accept_empty=accept_empty_journal
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(journal.close)
            stack.callback(self._names.close)
            options = _ssh_options(self._configuration.settings)
            questions = SshTransport(options, names=self._names)
            stack.push_async_callback(questions.close)
            ssh = SshTransport(options, meter=self._metrics, tell=self._tell, names=self._names)
            stack.push_async_callback(ssh.close)
            parts = self._build(journal, remembered, ssh, questions)
            stack.callback(parts.dumps.close)
            await self._live(parts)

    def _build(
        self,
        journal: SqliteJournal,
        remembered: Remembered,
        ssh: SshTransport,
        questions: SshTransport,
    ) -> _Parts:
        def inbox(event: Event) -> None:  # the engine is built last: it needs all the others
            engine.put(event)

        def apply(configuration: config.Configuration) -> None:
            options = _ssh_options(configuration.settings)
            self._watch_canaries(scheduler, configuration)
            try:
                scheduler.watch(configuration.hosts)
            except PmwatchdError:
                self._watch_canaries(scheduler, inventory.now)
                raise
            dumps.watch(configuration.hosts)
            ssh.use(options)
            questions.use(options)

        def carry_out(act: Act) -> None:
            match act:
                case AskWitness() | CheckAlive() | FenceSoftly():
                    inquirer.carry_out(act)
                case _:
                    runner.carry_out(act)

        scheduler = Scheduler(
            listen=inbox, meter=self._metrics, clock=self._clock.now, tell=self._tell
        )
        inventory = Inventory(self._file, self._configuration, apply=apply, tell=self._tell)
        runner = self._build_runner(ssh, scheduler, inbox)
        dumps = DumpListener(listen=inbox, clock=self._clock.now, tell=self._tell)
        inquirer = Inquirer(
            inquiries=NetworkInquiries(outpost=questions, local=LocalTransport(self._agent_dir)),
            inbox=inbox,
        )
        fleet = Fleet(
            epoch=remembered.epoch,
            now=self._clock.now(),
            wall=self._clock.wall(),
            memories=remembered.hosts,
            operations=remembered.operations,
            load=lambda: runner.running,
            last_answer_at=scheduler.last_answer_at,
            site=remembered.site,
        )
        engine = self._engine = Engine(
            fleet=fleet,
            journal=journal,
            carry_out=carry_out,
            tellers=(log.LogTeller(), self._metrics, self._stream),
            clock=self._clock,
            last_answer_at=scheduler.last_answer_at,
            sequence=remembered.sequence,
            durable=frozenset(saved.id for saved in remembered.operations),
            progressed=self._notifier.watchdog,
        )
        return _Parts(
            engine=engine,
            runner=runner,
            inquirer=inquirer,
            dumps=dumps,
            scheduler=scheduler,
            journal=journal,
            inventory=inventory,
        )

    def _build_runner(
        self, ssh: SshTransport, scheduler: Scheduler, inbox: Callable[[Event], None]
    ) -> Runner:
        agents = FenceAgents(
            agent_dir=self._agent_dir,
            ssh=ssh,
            local=LocalTransport(self._agent_dir),
            catalogue=Catalogue(tell=self._tell),
        )
        return Runner(
            agents=agents,
            inbox=inbox,
            prober=scheduler,
            clock=self._clock.now,
            names=self._names,
        )

    async def _live(self, parts: _Parts) -> None:
        """Bind first, then begin: a start that cannot serve must not touch any power."""
        settings = self._configuration.settings
        app = build_app(
            desk=parts.engine,
            journal=parts.journal,
            stream=self._stream,
            registry=self._registry,
            reload=lambda allow_removal: self._reload(parts, allow_removal=allow_removal),
            version=version("pmwatchd"),
            tell=self._tell,
        )
        self._tell(Record(event="daemon.started", fields={"version": version("pmwatchd")}))
        if replaced := parts.journal.replaced:
            lost = {"reason": replaced.reason, "lost": replaced.lost, "kept": str(replaced.kept)}
            self._tell(Record(event="journal.replaced", fields=lost))
        parts.inventory.tell()
        if settings.kdump.enabled:
            await parts.dumps.bind(*config.split_address(settings.kdump.listen))
        async with serve(
            app,
            socket_path=settings.api.socket,
            socket_group=settings.api.socket_group,
            metrics_listen=settings.metrics.listen,
        ):
            parts.scheduler.watch(self._configuration.hosts)
            self._watch_canaries(parts.scheduler, self._configuration)
            parts.dumps.watch(self._configuration.hosts)
            parts.engine.put(parts.inventory.loaded())
            gc.collect()
            gc.freeze()  # a large inventory stays; to look through it again would cost pauses
            async with asyncio.TaskGroup() as tasks, self._signals(tasks, parts) as stopped:
                await self._turn(parts, tasks, stopped)

    async def _turn(self, parts: _Parts, tasks: asyncio.TaskGroup, stopped: asyncio.Event) -> None:
        """Run until *stopped*, let running agents end, and make everything durable."""
        loop = tasks.create_task(parts.engine.run(), name="engine")
        door = tasks.create_task(parts.runner.run(), name="runner")
        ears = tasks.create_task(parts.scheduler.run(), name="heartbeats")
        others = [tasks.create_task(parts.inquirer.run(), name="questions")]
        if self._configuration.settings.kdump.enabled:
            others.append(tasks.create_task(parts.dumps.run(), name="crash dumps"))
        self._notifier.ready(f"watching {len(parts.inventory.now.hosts)} hosts")
        await stopped.wait()
        self._notifier.stopping()
        parts.engine.refuse()
        ears.cancel()
        await parts.runner.drain(parts.inventory.now.rules.fencing.over_s(FenceAction.OFF))
        parts.engine.stop()
        await loop
        door.cancel()
        for other in others:
            other.cancel()

    def _watch_canaries(self, scheduler: Scheduler, configuration: config.Configuration) -> None:
        heartbeat = configuration.settings.heartbeat
        scheduler.watch_canaries(
            configuration.rules.safety.canaries,
            interval_s=heartbeat.interval,
            timeout_s=heartbeat.timeout,
        )

    @contextlib.asynccontextmanager
    async def _signals(
        self, tasks: asyncio.TaskGroup, parts: _Parts
    ) -> AsyncIterator[asyncio.Event]:
        """SIGTERM and SIGINT end the daemon, SIGHUP reloads it."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def reload() -> None:
            tasks.create_task(self._reload(parts, allow_removal=False), name="reload")

        handlers = {signal.SIGTERM: stopped.set, signal.SIGINT: stopped.set, signal.SIGHUP: reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield stopped
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def _reload(self, parts: _Parts, *, allow_removal: bool) -> Reloaded:
        self._notifier.reloading()
        result = await parts.inventory.reload(allow_removal=allow_removal)
        if not result.faults:
            parts.engine.put(parts.inventory.loaded())
        self._notifier.ready(f"watching {len(parts.inventory.now.hosts)} hosts")
        return result

    def _tell(self, record: Record) -> None:
        if self._engine is not None:
            self._engine.tell(record)
