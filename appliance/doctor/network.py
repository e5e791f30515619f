"""The network: a way out where it is needed, and the ports of the page."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

from appliance import vitals
from appliance.doctor.finding import VERDICTS, Box, Finding
from appliance.providers.policy import in_use
from appliance.thresholds import judge


def check(box: Box) -> Iterator[Finding]:
    """Yield whether there is a network, and whether the page's port is free."""
    cloud = [name for name, provider in in_use(box.settings).items() if not provider.lan]
    route = vitals.has_route(box.proc)
    if cloud and not route:
        verdict = judge({"network_down": 1.0}, box.settings.thresholds)["network_down"]
        values = {"names": ", ".join(cloud)}
        yield Finding("network.down", VERDICTS[verdict.level], values, "ip route; nmcli device")
    elif route:
        yield Finding("network.ok")
    else:
        yield Finding("network.none")
    web = box.settings.web
    if web.enabled and web.port and not box.running and _taken(web.host, web.port):
        command = f"ss -ltnp 'sport = :{web.port}'"
        yield Finding("network.port_taken", "failure", {"port": web.port}, command)


def _taken(host: str, port: int) -> bool:
    """Return whether another program listens there, so that the service could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        # As the page's server does: what only lingers from before does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return False
        except OSError:
            return True
    return False
