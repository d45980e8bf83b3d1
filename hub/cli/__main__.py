# SPDX-License-Identifier: Apache-2.0
"""`python -m hub.cli` is the command `heliograph`."""

from hub.cli import main

main()
