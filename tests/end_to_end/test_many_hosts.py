"""A fleet of a thousand hosts is watched and scraped."""

from __future__ import annotations

import subprocess

from tests.kit.parts import needs, program
from tests.kit.site import Site
from tests.kit.waiting import eventually

HOSTS = 1000


@needs("promtool", "ssh-keygen")
def test_the_scrape_of_a_thousand_hosts_is_valid_exposition_format(site: Site) -> None:
    crowd = site.crowd(HOSTS)
    daemon = site.configure({"heartbeat": {"interval": "5s", "timeout": "2s"}})
    daemon.start()
    eventually(
        lambda: f'pmwatchd_hosts{{status="up"}} {HOSTS}' in daemon.get("/metrics")[1],
        within_s=30,
        what="every host is up",
    )

    status, scrape = daemon.get("/metrics")

    judged = subprocess.run(
        [program("promtool") or "", "check", "metrics"],
        input=scrape.encode(),
        check=False,
        capture_output=True,
    )
    assert status == 200
    assert judged.returncode == 0, judged.stderr.decode()
    assert scrape.count("\npmwatchd_host_up{") == crowd.size
