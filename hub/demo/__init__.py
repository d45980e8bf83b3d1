# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one proof crosses from department to department, on one machine, for real.

preparation  keys, certificates, configurations, tokens
processes    the development PKI, the stand-ins, the hub and three gateways
story        what the caseworker does, and what a sceptic may check
console      what is printed
"""

from hub.demo.story import run_demo

__all__ = ["run_demo"]
