# SPDX-License-Identifier: Apache-2.0
"""Whom to believe: certificate chains, revocation, time, and the list of approved authorities."""
