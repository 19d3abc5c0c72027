"""A quick iron, a BMC, and a way to run the bundled agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pmwatchd.lab import fence_lab
from pmwatchd.lab.bmc import PowerDevice
from pmwatchd.lab.iron import Iron
from tests.lab.workshop import PASSWORD, QUICK, RunAgent, Said, Told


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def iron(told: Told) -> AsyncIterator[Iron]:
    iron = Iron(told, QUICK)
    yield iron
    iron.close()


@pytest.fixture
async def bmc(iron: Iron) -> AsyncIterator[PowerDevice]:
    switch = iron.switch(iron.machine("node3"), "node3-bmc", is_feed=False)
    device = PowerDevice(
        "node3-bmc",
        "127.0.0.1",
        {"": switch},
        user="fence",
        password=PASSWORD,
        place=lambda address: f"a machine at {address}",
    )
    await device.open()
    yield device
    device.close()


@pytest.fixture
def run_agent() -> RunAgent:
    async def run(*argv: str, stdin: str = "") -> Said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(fence_lab.__file__)), *argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await asyncio.wait_for(process.communicate(stdin.encode()), 10)
        return Said(process.returncode, stdout.decode(), stderr.decode())

    return run
