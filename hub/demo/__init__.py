# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one proof crosses from department to department, on one machine, for real.

preparation  keys, certificates, configurations, tokens
processes    the development PKI, the stand-ins, the hub and three gateways
story        what the caseworker does, and what a sceptic may check
console      what is printed
"""

from pathlib import Path

from hub.demo.processes import begin_importing


def run_demo(folder: Path, *, keep_serving: bool, tls: bool = False) -> None:
    """Run the demonstration; see `story`.

    Args:
        folder: keeps everything; made when absent.
        keep_serving: keep the processes running until interrupted.
        tls: let hub and gateways speak TLS, with certificates on both sides.
    """
    begin_importing()
    from hub.demo.story import tell_story  # noqa: PLC0415 - imports while the processes' imports run beside

    tell_story(folder, keep_serving=keep_serving, tls=tls)


__all__ = ["run_demo"]
