"""The main file, ``conf.d`` and the environment."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pmwatchd import config
from pmwatchd.core.rules import Rules
from pmwatchd.errors import ConfigError, Fault
from tests.config.folder import Folder

SAMPLE = Path(__file__).parents[2] / "config"


def faults(folder: Folder) -> dict[str, Fault]:
    with pytest.raises(ConfigError) as raised:
        folder.load()
    return {fault.key: fault for fault in raised.value.faults}


def test_every_value_in_the_sample_is_the_default(folder: Folder) -> None:
    folder.main((SAMPLE / "pmwatchd.toml").read_text())
    sample = folder.load()
    folder.main("")
    default = folder.load()

    assert sample.settings == default.settings
    assert set(sample.origins.values()) == {"pmwatchd.toml"}, "the sample leaves a key out"
    assert set(default.origins.values()) == {"default"}


def test_the_defaults_are_those_of_the_core(folder: Folder) -> None:
    folder.main("")

    assert folder.load().rules == Rules()


def test_the_sample_of_the_inventory_is_sound_once_its_comments_are_taken_away(
    folder: Folder,
) -> None:
    text = (SAMPLE / "hosts.d" / "example.toml").read_text()
    tables = text[text.index("# [defaults]") :]
    folder.inventory("\n".join(line.removeprefix("#")[1:] for line in tables.splitlines()))

    assert tomllib.loads(text) == {}
    assert folder.check(secrets=False).faults == ()


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [('"500ms"', 0.5), ('"90s"', 90), ('"5m"', 300), ('"2h"', 7200), ("7", 7), ("1.5", 1.5)],
)
def test_a_duration_has_a_unit_or_is_a_number_of_seconds(
    folder: Folder, text: str, duration_s: float
) -> None:
    folder.main(f"[grace]\nperiod = {text}\n")

    assert folder.load().settings.grace.period == duration_s


@pytest.mark.parametrize(
    ("text", "said"), [('"5min"', "'min'"), ('"-5s"', "-5s"), ("true", "duration"), ('"9d"', "1d")]
)
def test_a_duration_that_is_none_or_out_of_all_measure_is_a_fault_that_says_so(
    folder: Folder, text: str, said: str
) -> None:
    folder.main(f"[grace]\nperiod = {text}\n")

    assert said in faults(folder)["grace.period"].reason


@pytest.mark.parametrize("text", ["'200ms'", "0.999", "'61s'"])
def test_the_margin_for_the_end_of_an_agent_is_a_second_at_least(folder: Folder, text: str) -> None:
    folder.main(f"[fencing]\nkill_after = {text}\n")

    found = faults(folder)

    assert list(found) == ["fencing.kill_after"]
    assert "1s" in found["fencing.kill_after"].reason
    assert found["fencing.kill_after"].remedy


def test_an_unknown_key_is_a_fault_that_names_the_nearest_known_one(folder: Folder) -> None:
    folder.main("[heartbeat]\nintervall = 5\n")

    fault = faults(folder)["heartbeat.intervall"]
    assert (fault.reason, fault.remedy) == ("unknown key", "Did you mean 'interval'?")


@pytest.mark.parametrize(
    "text",
    [
        "[[hooks]]\non = ['on_off']",
        "[api]\ntokens = []",
    ],
)
def test_a_part_whose_feature_is_not_built_yet_does_not_exist(folder: Folder, text: str) -> None:
    folder.main(text)

    assert {fault.reason for fault in faults(folder).values()} == {"unknown key"}


def test_conf_d_is_laid_over_the_main_file_in_name_order_table_by_table(folder: Folder) -> None:
    folder.main("[fencing]\nretry = { min = '2m', max = '20m' }\non_attempts = 3\n")
    folder.write("conf.d/20-b.toml", "[fencing]\nretry = { max = '50m' }\n")
    folder.write("conf.d/10-a.toml", "[fencing]\nretry = { max = '40m' }\noff_attempts = 2\n")

    loaded = folder.load()

    fencing = loaded.settings.fencing
    assert (fencing.retry.min, fencing.retry.max) == (120, 3000)
    assert (fencing.on_attempts, fencing.off_attempts) == (3, 2)
    assert loaded.origins["fencing.retry.min"] == "pmwatchd.toml"
    assert loaded.origins["fencing.retry.max"] == "conf.d/20-b.toml"


def test_the_environment_has_the_last_word(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("conf.d/a.toml", "[log]\nlevel = 'error'\n")
    monkeypatch.setenv("PMWATCHD_LOG__LEVEL", "debug")
    monkeypatch.setenv("PMWATCHD_FENCING__RETRY__MIN", "10s")
    monkeypatch.setenv("PMWATCHD_FENCING__PROXIES", "Engine, DataCenter")
    monkeypatch.setenv("PMWATCHD_METRICS__LISTEN", '["127.0.0.1:9784"]')
    monkeypatch.setenv("PMWATCHD_STATE_DIR", "/tmp/state")  # noqa: S108 - only read

    loaded = folder.load()

    assert loaded.settings.log.level == "debug"
    assert loaded.origins["log.level"] == "environment PMWATCHD_LOG__LEVEL"
    assert loaded.settings.fencing.retry.min == 10
    assert loaded.settings.fencing.proxies == ("engine", "dc")
    assert loaded.settings.metrics.listen == ("127.0.0.1:9784",)
    assert loaded.settings.state_dir == Path("/tmp/state")  # noqa: S108


def test_a_fault_names_the_file_that_the_bad_value_came_from(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.main("[grace]\nfailures = 0\nperiod = '5s'\n")
    extra = folder.write("conf.d/a.toml", "[grace]\nperiod = 'soon'\n")
    monkeypatch.setenv("PMWATCHD_FENCING__ON_ATTEMPTS", "many")
    monkeypatch.setenv("PMWATCHD_GRASE__PERIOD", "5s")

    found = faults(folder)

    assert found["grace.failures"].file == str(folder.main_file)
    assert found["grace.period"].file == str(extra)
    assert found["fencing.on_attempts"].file == "environment"
    assert found["grase.period"].remedy == "Did you mean 'grace'?"


def test_a_file_that_is_no_toml_is_a_fault_with_its_line(folder: Folder) -> None:
    folder.main("[grace]\nperiod = \n")

    assert "line 2" in faults(folder)


def test_a_missing_main_file_is_a_fault(folder: Folder) -> None:
    folder.main_file.unlink()

    assert "No such file" in faults(folder)["file"].reason


def test_the_client_s_variables_are_not_the_daemon_s_and_others_are_pointed_out(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMWATCHD_URL", "unix:/run/pmwatchd/api.sock")
    monkeypatch.setenv("PMWATCHD_GRACE_PERIOD", "5s")

    [warning] = folder.load().warnings

    assert "PMWATCHD_GRACE_PERIOD" in warning


def test_paths_are_relative_to_the_main_file(folder: Folder) -> None:
    folder.main("inventory = 'there'\n[ssh]\nprivate_key = 'key'\n")
    folder.write("there/a.toml", "[[hosts]]\nname = 'node1'\naddress = '10.0.0.1'\n")

    loaded = folder.load()

    assert list(loaded.hosts) == ["node1"]
    assert loaded.settings.ssh.private_key == folder.path / "key"


def test_the_key_of_ssh_may_be_a_credential(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.main("[ssh]\nprivate_key = { credential = 'ssh_key' }\n")
    key = folder.write("credentials/pmwatchd_ssh_key", "x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key.parent))

    found = folder.load().settings.ssh.private_key

    assert isinstance(found, config.SecretRef)
    assert config.credential_path(found.name) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("heartbeat.probes = []", "heartbeat.probes"),
        ("heartbeat.probes = [{ type = 'snmp' }]", "heartbeat.probes[0].type"),
        ("heartbeat.probes = [{ type = 'tcp' }]", "heartbeat.probes[0]"),
        ("heartbeat.probes = [{ type = 'icmp', port = 3 }]", "heartbeat.probes[0]"),
        ("heartbeat.probes = [{ type = 'ssh', path = '/' }]", "heartbeat.probes[0]"),
        ("heartbeat.probes = [{ type = 'http', path = 'a b' }]", "heartbeat.probes[0]"),
        ("heartbeat.require = 'most'", "heartbeat.require"),
        ("metrics.listen = ['9784']", "metrics.listen[0]"),
        ("metrics.listen = ['127.0.0.1:99999']", "metrics.listen[0]"),
        ("fencing.proxies = ['cluster', 'CLUSTER']", "fencing.proxies"),
        ("fencing.agent_dir = 'sbin'", "fencing.agent_dir"),
        ("fencing.retry = { min = '5m', max = '1m' }", "fencing.retry"),
        ("fencing = 3", "fencing"),
        ("ssh.private_key = { file = 'x' }", "ssh.private_key"),
        ("ssh.port = 0", "ssh.port"),
        ("ssh.port = true", "ssh.port"),
        ("grace.failures = true", "grace.failures"),
        ("state_dir = ''", "state_dir"),
        ("api.socket_group = ''", "api.socket_group"),
        ("log.format = 'xml'", "log.format"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_fault_with_its_key_and_a_remedy(
    folder: Folder, text: str, key: str
) -> None:
    folder.main(text)

    found = faults(folder)

    assert list(found) == [key]
    assert found[key].remedy


def test_an_address_with_a_port_is_taken_apart() -> None:
    assert config.split_address("127.0.0.1:9784") == ("127.0.0.1", 9784)
    assert config.split_address("[::1]:9784") == ("::1", 9784)


DEEP = ("a = " + "[" * 3000, "a = " + "[" * 200 + "]" * 200, ".".join("a" * 3000) + " = 1")


@pytest.mark.parametrize("text", DEEP, ids=["unclosed", "closed", "dotted"])
def test_a_file_that_is_nested_without_measure_is_a_fault_and_nothing_worse(
    folder: Folder, text: str
) -> None:
    folder.main(text)

    assert "nested too deeply" in faults(folder)["file"].reason


def test_an_environment_that_is_nested_without_measure_is_a_fault_and_nothing_worse(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMWATCHD_HOOKS", "[" * 100_000)
    monkeypatch.setenv("PMWATCHD_FENCING__RETRY", "[" * 100_000)
    monkeypatch.setenv("PMWATCHD_GRACE__PERIOD__" + "__".join("a" * 2000), "1")

    assert any("nested too deeply" in fault.reason for fault in faults(folder).values())


@pytest.mark.parametrize(("text", "key"), [("a = [", "end of document"), ("\nb = 1 =", "line 2")])
def test_a_fault_of_syntax_says_once_where_it_is(folder: Folder, text: str, key: str) -> None:
    folder.main(text)

    fault = faults(folder)[key]

    assert str(fault).count(key) == 1
    assert fault.remedy == "Correct the syntax"
