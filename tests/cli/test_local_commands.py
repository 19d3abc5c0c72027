"""``check`` and ``config``: what needs no daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pmwatchd.cli import main
from pmwatchd.lab import SCENARIOS


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a main file with one host that is unprotected but correct."""
    (tmp_path / "hosts.d").mkdir()
    (tmp_path / "hosts.d/a.toml").write_text('[[hosts]]\nname = "node1"\naddress = "10.0.0.1"\n')
    main_file = tmp_path / "pmwatchd.toml"
    main_file.write_text('[grace]\nperiod = "90s"\n')
    return main_file


def test_a_site_without_faults_passes_the_check(site: Path) -> None:
    said = invoke("check", "--config", str(site), "--no-secrets")

    assert said.exit_code == 0, said.output
    assert "no faults" in said.stdout


def test_every_fault_is_told_with_its_remedy_and_counted_at_the_end(site: Path) -> None:
    site.write_text('[grace]\nperiod = "soon"\nfailure = 3\n[fencing]\noff_attempts = "two"\n')

    said = invoke("check", "--config", str(site), "--no-secrets")

    assert said.exit_code == 2
    for key in ("grace.period", "grace.failure", "fencing.off_attempts"):
        assert key in said.stdout
    assert "Did you mean 'failures'?" in said.stdout
    assert said.stdout.splitlines()[-1] == "3 faults"


def test_a_check_as_json_is_one_document(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.toml").write_text('[[hosts]]\nname = "node1"\nadress = "10.0.0.1"\n')

    said = invoke("check", "--config", str(site), "--inventory", str(other), "--json")

    assert said.exit_code == 2
    document = json.loads(said.stdout)
    assert {"file", "key", "reason", "remedy"} <= set(document["faults"][0])
    assert set(document) == {"faults", "warnings", "notes"}


def test_config_shows_values_with_their_origins_and_ovirt_names(site: Path) -> None:
    said = invoke("config", "--config", str(site))

    assert said.exit_code == 0, said.output
    line = next(line for line in said.stdout.splitlines() if line.startswith("grace.period"))
    assert "90s" in line
    assert "pmwatchd.toml" in line
    assert "TimeoutToResetVdsInSeconds" in line


def test_config_of_one_host_as_json(site: Path) -> None:
    said = invoke("config", "--config", str(site), "--host", "node1", "--json")

    assert said.exit_code == 0, said.output
    assert "address" in {one["key"] for one in json.loads(said.stdout)["items"]}


@pytest.mark.parametrize("words", [("config",), ("run",), ("config", "--host", "nodeX")])
def test_a_faulty_or_unknown_configuration_is_told_on_stderr(
    site: Path, words: tuple[str, ...]
) -> None:
    if words != ("config", "--host", "nodeX"):
        site.write_text("[nonsense]\n")

    said = invoke(words[0], "--config", str(site), *words[1:])

    assert said.exit_code == 2
    assert said.stdout == ""
    assert "1 fault" in said.stderr


@pytest.mark.parametrize("words", [("--scenario", "nonsense"), ("--hosts", "0"), ("explode", "n1")])
def test_the_lab_refuses_what_it_cannot_play(words: tuple[str, ...]) -> None:
    assert invoke("lab", *words).exit_code == 2


def test_the_lab_lists_its_scenarios() -> None:
    said = invoke("lab", "--help")

    assert all(scenario in said.stdout for scenario in SCENARIOS)
